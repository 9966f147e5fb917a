//! What can be said about an instance, and what follows for a step. Names and texts are those of the official introspection.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::{Bytes, ErrorInfo, StepKey, text};

/// A step by its name, and how many-th of that name and kind it is, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StepRef {
    /// Its name.
    pub name: Arc<str>,
    /// From 1.
    pub index: u32,
}

impl StepRef {
    /// The `index`-th step of this name.
    pub fn new(name: impl Into<Arc<str>>, index: u32) -> Self {
        Self { name: name.into(), index }
    }

    fn of(key: &StepKey) -> Self {
        Self { name: Arc::clone(&key.name), index: key.count }
    }
}

/// Which steps are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// Every one.
    All,
    /// These.
    Steps(Vec<StepRef>),
}

/// What a mocked step returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directed {
    /// JSON.
    Output(Bytes),
    /// A stream, in pieces.
    Stream(Vec<Bytes>),
}

/// Something that is said about an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Sleeps take no time.
    DisableSleeps(Selected),
    /// Delays before attempts take no time.
    DisableRetryDelays(Selected),
    /// The step returns this, and its body is not run.
    MockResult(StepRef, Directed),
    /// Attempts fail with this: so many of them, or all.
    MockError(StepRef, ErrorInfo, Option<u32>),
    /// Attempts time out: so many of them, or all.
    ForceTimeout(StepRef, Option<u32>),
    /// The event has been sent.
    MockEvent {
        /// Its type.
        event_type: Arc<str>,
        /// JSON.
        payload: Bytes,
    },
    /// The wait times out at once.
    ForceEventTimeout(StepRef),
}

/// A direction that contradicts another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It has a result already.
    #[error("[WorkflowIntrospector] Trying to mock step '{0}' multiple times!")]
    MockedTwice(Arc<str>),
    /// It has a result, so it cannot fail afterwards.
    #[error("[WorkflowIntrospector] Trying to mock error on step '{0}' after mocking its result!")]
    ErrorAfterResult(Arc<str>),
    /// It has a result, so it cannot time out afterwards.
    #[error("[WorkflowIntrospector] Trying to force timeout on step '{0}' after mocking its result!")]
    TimeoutAfterResult(Arc<str>),
}

/// What an attempt comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It returns this.
    Returns(Directed),
    /// It fails with this.
    Fails(ErrorInfo),
}

/// What is said about one instance.
#[derive(Debug, Default)]
pub struct Script(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    sleeps: Set,
    retry_delays: Set,
    steps: HashMap<StepRef, Part>,
    waits: HashSet<StepRef>,
    events: Vec<(Arc<str>, Bytes)>,
}

#[derive(Debug, Default)]
struct Set {
    all: bool,
    steps: HashSet<StepRef>,
}

impl Set {
    fn add(&mut self, selected: Selected) {
        match selected {
            Selected::All => self.all = true,
            Selected::Steps(steps) => self.steps.extend(steps),
        }
    }

    fn has(&self, key: &StepKey) -> bool {
        self.all || self.steps.contains(&StepRef::of(key))
    }
}

/// What is said about a `do`.
#[derive(Debug, Default)]
struct Part {
    /// Attempts that fail, and with what; in order, each begins where the one before ends.
    failures: Vec<(Range<u32>, ErrorInfo)>,
    /// Every attempt fails with this.
    error: Option<ErrorInfo>,
    /// Every attempt times out.
    times_out: bool,
    result: Option<Directed>,
}

impl Part {
    /// Has the next `times` attempts fail with `error`.
    fn fail(&mut self, error: ErrorInfo, times: u32) {
        let from = self.failures.last().map_or(1, |(range, _)| range.end);
        self.failures.push((from..from.saturating_add(times), error));
    }

    fn taken(&self, attempt: u32) -> Option<Taken> {
        let failure = self.failures.iter().find(|(range, _)| range.contains(&attempt)).map(|(_, error)| error);
        let timeout = || self.times_out.then(|| text::timed_out(0));
        match self.error.as_ref().or(failure).cloned().or_else(timeout) {
            Some(error) => Some(Taken::Fails(error)),
            None => self.result.clone().map(Taken::Returns),
        }
    }
}

impl Script {
    /// Says something more.
    ///
    /// # Errors
    /// When it contradicts what was said; nothing is changed then.
    pub fn direct(&self, direction: Direction) -> Result<(), ScriptError> {
        let mut said = self.said();
        match direction {
            Direction::DisableSleeps(selected) => said.sleeps.add(selected),
            Direction::DisableRetryDelays(selected) => said.retry_delays.add(selected),
            Direction::MockResult(step, result) => {
                let name = Arc::clone(&step.name);
                match &mut said.steps.entry(step).or_default().result {
                    Some(_) => return Err(ScriptError::MockedTwice(name)),
                    empty => *empty = Some(result),
                }
            }
            Direction::MockError(step, error, times) => {
                let name = Arc::clone(&step.name);
                let part = said.steps.entry(step).or_default();
                match times {
                    _ if part.result.is_some() => return Err(ScriptError::ErrorAfterResult(name)),
                    Some(times) => part.fail(error, times),
                    None => part.error = Some(error),
                }
            }
            Direction::ForceTimeout(step, times) => {
                let name = Arc::clone(&step.name);
                let part = said.steps.entry(step).or_default();
                match times {
                    _ if part.result.is_some() => return Err(ScriptError::TimeoutAfterResult(name)),
                    Some(times) => part.fail(text::timed_out(0), times),
                    None => part.times_out = true,
                }
            }
            Direction::MockEvent { event_type, payload } => said.events.push((event_type, payload)),
            Direction::ForceEventTimeout(step) => {
                said.waits.insert(step);
            }
        }
        Ok(())
    }

    /// What this attempt comes to; none when its body is to be run.
    pub(crate) fn taken(&self, step: &StepKey, attempt: u32) -> Option<Taken> {
        self.said().steps.get(&StepRef::of(step))?.taken(attempt)
    }

    pub(crate) fn skips_sleep(&self, step: &StepKey) -> bool {
        self.said().sleeps.has(step)
    }

    pub(crate) fn skips_retry_delay(&self, step: &StepKey) -> bool {
        self.said().retry_delays.has(step)
    }

    pub(crate) fn times_out(&self, wait: &StepKey) -> bool {
        self.said().waits.contains(&StepRef::of(wait))
    }

    /// Events that have been sent, in order.
    pub(crate) fn events(&self) -> Vec<(Arc<str>, Bytes)> {
        self.said().events.clone()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        // Each direction is taken as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StepKind;

    fn step() -> StepRef {
        StepRef::new("charge", 1)
    }

    fn error(message: &str) -> ErrorInfo {
        ErrorInfo::new("Error", message)
    }

    fn nothing() -> Directed {
        Directed::Output(Bytes::from_static(b"null"))
    }

    /// What the first four attempts come to.
    fn attempts(script: &Script) -> Vec<String> {
        let key = StepKey::new(StepKind::Do, "charge", 1);
        let word = |attempt| match script.taken(&key, attempt) {
            None => "body".to_owned(),
            Some(Taken::Returns(_)) => "result".to_owned(),
            Some(Taken::Fails(error)) => error.message,
        };
        (1..5).map(word).collect()
    }

    fn script(directions: impl IntoIterator<Item = Direction>) -> Script {
        let script = Script::default();
        directions.into_iter().for_each(|direction| script.direct(direction).unwrap());
        script
    }

    #[test]
    fn failures_follow_each_other_and_then_comes_the_result() {
        let said = script([
            Direction::MockError(step(), error("a"), Some(2)),
            Direction::ForceTimeout(step(), Some(1)),
            Direction::MockResult(step(), nothing()),
        ]);
        assert_eq!(attempts(&said), ["a", "a", "Execution timed out after 0ms", "result"]);
        assert_eq!(
            attempts(&script([Direction::MockError(step(), error("a"), Some(1))])),
            ["a", "body", "body", "body"]
        );
    }

    #[test]
    fn an_error_without_end_goes_before_everything() {
        let always = Direction::MockError(step(), error("always"), None);
        let said = script([Direction::ForceTimeout(step(), None), always]);
        assert_eq!(attempts(&said), ["always"; 4]);
        let timeouts = script([Direction::ForceTimeout(step(), None)]);
        assert_eq!(attempts(&timeouts), ["Execution timed out after 0ms"; 4]);
    }

    // rules: B12
    #[test]
    fn a_result_that_is_null_is_one_and_cannot_be_given_twice() {
        let said = script([Direction::MockResult(step(), nothing())]);
        let refused = [
            Direction::MockResult(step(), nothing()),
            Direction::MockError(step(), error("a"), None),
            Direction::ForceTimeout(step(), Some(1)),
        ];
        let refused = refused.map(|direction| said.direct(direction).unwrap_err().to_string());
        assert_eq!(
            refused,
            [
                "[WorkflowIntrospector] Trying to mock step 'charge' multiple times!",
                "[WorkflowIntrospector] Trying to mock error on step 'charge' after mocking its result!",
                "[WorkflowIntrospector] Trying to force timeout on step 'charge' after mocking its result!",
            ]
        );
        assert_eq!(attempts(&said), ["result"; 4]);
    }

    #[test]
    fn what_is_selected_is_one_step_of_its_name() {
        let said = script([Direction::DisableSleeps(Selected::Steps(vec![StepRef::new("nap", 2)]))]);
        let skips = |count| said.skips_sleep(&StepKey::new(StepKind::Sleep, "nap", count));
        assert_eq!([skips(1), skips(2), skips(3)], [false, true, false]);
        said.direct(Direction::DisableSleeps(Selected::All)).unwrap();
        assert!(skips(1));
    }
}
