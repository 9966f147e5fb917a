//! What an operation on an instance can be told.

use super::WorkflowSleepDuration;
use crate::bindings::miniflow::worker::workflow as wit;

/// How an instance is terminated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminateOptions {
    /// Whether its steps are undone first; see [`Rollback`](crate::Rollback).
    pub rollback: bool,
}

impl TerminateOptions {
    /// Makes options that undo nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the steps are undone first.
    #[must_use]
    pub fn rollback(mut self, rollback: bool) -> Self {
        self.rollback = rollback;
        self
    }

    pub(super) fn into_wit(self) -> wit::TerminateOptions {
        wit::TerminateOptions { rollback: self.rollback }
    }
}

/// How an instance is restarted.
///
/// ```
/// # use miniflow_sdk::{RestartFrom, RestartOptions, StepType};
/// let from = RestartFrom::new("process").count(3).step_type(StepType::Do);
/// let options = RestartOptions::new().from(from);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartOptions {
    /// The first step that runs again; what began before it is kept. None: everything runs again.
    pub from: Option<RestartFrom>,
}

impl RestartOptions {
    /// Makes options that keep nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the first step that runs again.
    #[must_use]
    pub fn from(mut self, from: RestartFrom) -> Self {
        self.from = Some(from);
        self
    }

    pub(super) fn into_wit(self) -> wit::RestartOptions {
        wit::RestartOptions {
            from: self.from.map(|from| wit::RestartFrom {
                name: from.name,
                count: from.count,
                step_type: from.type_.map(|kind| match kind {
                    StepType::Do => wit::StepType::Do,
                    StepType::Sleep => wit::StepType::Sleep,
                    StepType::WaitForEvent => wit::StepType::WaitForEvent,
                }),
            }),
        }
    }
}

/// A step in the history of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartFrom {
    /// Its name.
    pub name: String,
    /// Which of the steps of that name and type, from 1; the first unless told.
    pub count: Option<u32>,
    /// Its type; [`StepType::Do`] unless told.
    pub type_: Option<StepType>,
}

impl RestartFrom {
    /// Names the first `do` of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), count: None, type_: None }
    }

    /// Sets which of the steps of that name and type it is, from 1.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Sets the type.
    #[must_use]
    pub fn step_type(mut self, type_: StepType) -> Self {
        self.type_ = Some(type_);
        self
    }
}

/// The types of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepType {
    /// [`do_`](crate::WorkflowStep::do_) and its siblings.
    Do,
    /// [`sleep`](crate::WorkflowStep::sleep) and [`sleep_until`](crate::WorkflowStep::sleep_until).
    Sleep,
    /// [`wait_for_event`](crate::WorkflowStep::wait_for_event).
    WaitForEvent,
}

/// Which events of an instance are followed.
///
/// ```
/// # use miniflow_sdk::SubscribeOptions;
/// let options = SubscribeOptions::new().cursor(17).filter(["step_completed", "step_errored"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The id of the last event that was seen already. None: from the beginning.
    pub cursor: Option<u64>,
    /// The types to be given, such as `step_completed`. None: all.
    pub filter: Option<Vec<String>>,
}

impl SubscribeOptions {
    /// Makes options that follow everything from the beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the id of the last event that was seen already.
    #[must_use]
    pub fn cursor(mut self, cursor: u64) -> Self {
        self.cursor = Some(cursor);
        self
    }

    /// Sets the types to be given.
    #[must_use]
    pub fn filter<S: Into<String>>(mut self, types: impl IntoIterator<Item = S>) -> Self {
        self.filter = Some(types.into_iter().map(Into::into).collect());
        self
    }

    pub(super) fn into_wit(self) -> wit::SubscribeOptions {
        wit::SubscribeOptions { cursor: self.cursor, filter: self.filter }
    }
}

/// How long an instance is kept after its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionOptions {
    /// After it completed or was terminated.
    pub success_retention: Option<WorkflowSleepDuration>,
    /// After it failed.
    pub error_retention: Option<WorkflowSleepDuration>,
}

impl RetentionOptions {
    pub(super) fn into_wit(self) -> wit::Retention {
        wit::Retention {
            success: self.success_retention.map(WorkflowSleepDuration::into_wit),
            error: self.error_retention.map(WorkflowSleepDuration::into_wit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_to_restart_from_keeps_what_is_not_said_open() {
        let from = RestartOptions::new().from(RestartFrom::new("same")).into_wit().from.unwrap();
        assert_eq!((from.name.as_str(), from.count), ("same", None));
        assert!(from.step_type.is_none());
        let from = RestartFrom::new("same").count(2).step_type(StepType::WaitForEvent);
        let from = RestartOptions::new().from(from).into_wit().from.unwrap();
        assert_eq!(from.count, Some(2));
        assert!(matches!(from.step_type, Some(wit::StepType::WaitForEvent)));
    }

    #[test]
    fn nothing_is_undone_unless_asked_for() {
        assert!(!TerminateOptions::default().into_wit().rollback);
        assert!(TerminateOptions::new().rollback(true).into_wit().rollback);
    }
}
