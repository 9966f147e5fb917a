//! What a test has to say about the steps of an instance.

use std::fmt;
use std::sync::Arc;

use miniflow_runtime::script::{Directed, Direction, Selected, StepRef};
use miniflow_runtime::{Bytes, ErrorInfo};
use serde::Serialize;

use crate::error::Error;
use crate::workflow::json;

/// A step: its name, and how many-th of that name it is, from 1. `"charge"` is the first, `("charge", 2)` the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step(pub(crate) StepRef);

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self(StepRef::new(name, 1))
    }
}

impl From<String> for Step {
    fn from(name: String) -> Self {
        Self(StepRef::new(name, 1))
    }
}

impl From<(&str, u32)> for Step {
    fn from((name, index): (&str, u32)) -> Self {
        Self(StepRef::new(name, index))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.name, self.0.index)
    }
}

/// Every step there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct All;

/// Which steps are meant: [`All`], or these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps(Selected);

impl From<All> for Steps {
    fn from(All: All) -> Self {
        Self(Selected::All)
    }
}

impl<S: Into<Step>, const N: usize> From<[S; N]> for Steps {
    fn from(steps: [S; N]) -> Self {
        Self(Selected::Steps(steps.into_iter().map(|step| step.into().0).collect()))
    }
}

impl<S: Into<Step>> From<Vec<S>> for Steps {
    fn from(steps: Vec<S>) -> Self {
        Self(Selected::Steps(steps.into_iter().map(|step| step.into().0).collect()))
    }
}

/// What a mocked attempt fails with. A text is an error called `Error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepError(ErrorInfo);

impl StepError {
    /// An error that is not tried again.
    #[must_use]
    pub fn non_retryable(message: &str) -> Self {
        Self(ErrorInfo::new("NonRetryableError", message))
    }
}

impl From<&str> for StepError {
    fn from(message: &str) -> Self {
        Self(ErrorInfo::new("Error", message))
    }
}

impl From<String> for StepError {
    fn from(message: String) -> Self {
        Self(ErrorInfo::new("Error", message))
    }
}

impl From<ErrorInfo> for StepError {
    fn from(error: ErrorInfo) -> Self {
        Self(error)
    }
}

/// Collects what is said about an instance. It goes for steps that begin afterwards, survives pauses and restarts, and is recorded as if it had
/// happened.
#[derive(Debug, Default)]
pub struct Modifier {
    said: Vec<Result<Direction, Error>>,
}

impl Modifier {
    /// Lets sleeps take no time.
    #[must_use]
    pub fn disable_sleeps(self, steps: impl Into<Steps>) -> Self {
        self.say(Direction::DisableSleeps(steps.into().0))
    }

    /// Lets the delays before further attempts take no time. What is recorded of them stays as it is configured.
    #[must_use]
    pub fn disable_retry_delays(self, steps: impl Into<Steps>) -> Self {
        self.say(Direction::DisableRetryDelays(steps.into().0))
    }

    /// Has a step return `value`, whatever it is, without running its body.
    #[must_use]
    pub fn mock_step_result(mut self, step: impl Into<Step>, value: impl Serialize) -> Self {
        let step = step.into().0;
        self.said.push(json(&value).map(|value| Direction::MockResult(step, Directed::Output(value))));
        self
    }

    /// Has a step whose output is a stream return these pieces, without running its body.
    #[must_use]
    pub fn mock_step_stream<P: Into<Vec<u8>>>(
        self,
        step: impl Into<Step>,
        pieces: impl IntoIterator<Item = P>,
    ) -> Self {
        let pieces = pieces.into_iter().map(|piece| Bytes::from(piece.into())).collect();
        self.say(Direction::MockResult(step.into().0, Directed::Stream(pieces)))
    }

    /// Has the next `times` attempts of a step fail, or with `None` all of them, without running its body. Several follow each other.
    ///
    /// The delay before the next attempt is the configured one; a delay that is a function is not asked, the default is taken.
    #[must_use]
    pub fn mock_step_error(
        self,
        step: impl Into<Step>,
        error: impl Into<StepError>,
        times: impl Into<Option<u32>>,
    ) -> Self {
        self.say(Direction::MockError(step.into().0, error.into().0, times.into()))
    }

    /// Has the next `times` attempts of a step time out, or with `None` all of them, without running its body.
    #[must_use]
    pub fn force_step_timeout(self, step: impl Into<Step>, times: impl Into<Option<u32>>) -> Self {
        self.say(Direction::ForceTimeout(step.into().0, times.into()))
    }

    /// Sends an event, also to an instance that does not exist yet; and again when it is restarted.
    #[must_use]
    pub fn mock_event(mut self, event_type: &str, payload: impl Serialize) -> Self {
        let event_type = Arc::from(event_type);
        self.said.push(json(&payload).map(|payload| Direction::MockEvent { event_type, payload }));
        self
    }

    /// Has a wait for an event time out as soon as it is asked for.
    #[must_use]
    pub fn force_event_timeout(self, step: impl Into<Step>) -> Self {
        self.say(Direction::ForceEventTimeout(step.into().0))
    }

    fn say(mut self, direction: Direction) -> Self {
        self.said.push(Ok(direction));
        self
    }

    pub(crate) fn said(self) -> Result<Vec<Direction>, Error> {
        self.said.into_iter().collect()
    }
}
