//! [`RetryDelay`]: how long to wait before an attempt, told beforehand or worked out after each failure.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use serde::{Deserialize, Serialize};

use super::{WorkflowSleepDuration, WorkflowStepContext};
use crate::bindings::miniflow::worker::{steps, types};
use crate::{Error, Result};

/// How long the function of a dynamic delay may take.
pub(super) const FUNCTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two attempts, before the back-off.
///
/// A text, a [`std::time::Duration`] and a [`WorkflowSleepDuration`] are the same delay each time:
///
/// ```
/// # use miniflow_sdk::{RetryConfig, RetryDelay};
/// let patient = RetryConfig { limit: 5, delay: "1 minute".into(), backoff: None };
/// let polite = RetryConfig {
///     limit: 5,
///     delay: RetryDelay::sync(|failed| {
///         let throttled = failed.error.message.contains("429");
///         Ok(if throttled { "1 minute".into() } else { "1 second".into() })
///     }),
///     backoff: None,
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryDelay {
    /// The same each time.
    Fixed(WorkflowSleepDuration),
    /// Worked out after each failed attempt that is followed by another.
    Dynamic(DelayFn),
}

impl RetryDelay {
    /// Makes a delay that `delay` works out. It is called once after each attempt that is followed by another, and may take 5
    /// seconds. When it fails, takes longer, or gives no length of time, the step fails without another attempt.
    ///
    /// ```
    /// # use miniflow_sdk::{Delay, RetryDelay};
    /// let growing = RetryDelay::dynamic(|failed| async move {
    ///     let seconds = u64::from(failed.ctx.attempt) * 3;
    ///     Ok(std::time::Duration::from_secs(seconds).into())
    /// });
    /// ```
    pub fn dynamic<F, R>(delay: F) -> Self
    where
        F: Fn(DelayContext) -> R + 'static,
        R: Future<Output = Result<WorkflowSleepDuration>> + 'static,
    {
        Self::Dynamic(DelayFn(Rc::new(move |context| delay(context).boxed_local())))
    }

    /// Does what [`dynamic`](Self::dynamic) does, with a function that waits for nothing.
    pub fn sync<F>(delay: F) -> Self
    where
        F: Fn(DelayContext) -> Result<WorkflowSleepDuration> + 'static,
    {
        Self::dynamic(move |context| std::future::ready(delay(context)))
    }

    /// Returns what the host is told beforehand, and what it asks for later.
    pub(super) fn split(self) -> (steps::RetryDelay, Option<DelayFn>) {
        match self {
            Self::Fixed(delay) => (steps::RetryDelay::Fixed(delay.into_wit()), None),
            Self::Dynamic(delay) => (steps::RetryDelay::Dynamic, Some(delay)),
        }
    }
}

impl<T: Into<WorkflowSleepDuration>> From<T> for RetryDelay {
    fn from(delay: T) -> Self {
        Self::Fixed(delay.into())
    }
}

/// The function of a [`RetryDelay`]. Two are equal when they are the same one.
#[derive(Clone)]
pub struct DelayFn(Rc<dyn Fn(DelayContext) -> LocalBoxFuture<'static, Result<WorkflowSleepDuration>>>);

/// What the function of a [`RetryDelay`] is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelayContext {
    /// The attempt that failed.
    pub ctx: WorkflowStepContext,
    /// Why it failed.
    pub error: StepError,
}

impl DelayFn {
    /// Asks the function, for as long as `timeout` lasts.
    pub(super) async fn ask(&self, context: DelayContext, timeout: impl Future<Output = ()>) -> steps::Retry {
        match select((self.0)(context), pin!(timeout)).await {
            Either::Left((Ok(delay), _)) => steps::Retry::After(delay.into_wit()),
            Either::Left((Err(error), _)) => steps::Retry::DelayFailed(error.to_string()),
            Either::Right(_) => steps::Retry::DelayTimedOut,
        }
    }
}

impl PartialEq for DelayFn {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for DelayFn {}

impl fmt::Debug for DelayFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[dynamic]")
    }
}

/// Why an attempt, a step or an instance failed, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepError {
    /// Such as `Error`, `WorkflowTimeoutError`, or the error's own.
    pub name: String,
    /// The text.
    pub message: String,
    /// Where in the code, one function a line, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for StepError {}

impl From<types::Error> for StepError {
    fn from(error: types::Error) -> Self {
        Self { name: error.name, message: error.message, stack: error.backtrace }
    }
}

impl From<StepError> for Error {
    fn from(error: StepError) -> Self {
        Self::Named { name: error.name, message: error.message }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::workflow::retry::tests::context;

    fn ask(delay: RetryDelay, timeout: impl Future<Output = ()>) -> steps::Retry {
        let (steps::RetryDelay::Dynamic, Some(delay)) = delay.split() else { panic!("the delay is fixed") };
        let error = StepError { name: "Error".into(), message: "429".into(), stack: None };
        let asked = delay.ask(DelayContext { ctx: context(2), error }, timeout);
        asked.now_or_never().expect("one of them is ready")
    }

    #[test]
    fn a_function_sees_the_attempt_and_its_error() {
        let delay = RetryDelay::sync(|failed| Ok(format!("{} {}", failed.ctx.attempt, failed.error).into()));
        let steps::Retry::After(types::Duration::Text(text)) = ask(delay, pending()) else { panic!("no delay") };
        assert_eq!(text, "2 Error: 429");
    }

    #[test]
    fn a_function_that_fails_gives_its_text() {
        let steps::Retry::DelayFailed(text) = ask(RetryDelay::sync(|_| Err("no idea".into())), pending()) else {
            panic!("it has not failed")
        };
        assert_eq!(text, "no idea");
    }

    #[test]
    fn a_function_that_takes_too_long_is_given_up_unless_it_is_ready() {
        let never = RetryDelay::dynamic(|_| pending());
        assert!(matches!(ask(never, ready(())), steps::Retry::DelayTimedOut));
        let quick = RetryDelay::sync(|_| Ok("1 second".into()));
        assert!(matches!(ask(quick, ready(())), steps::Retry::After(_)));
    }

    #[test]
    fn what_is_a_length_of_time_is_a_delay() {
        assert_eq!(RetryDelay::from("1 second"), RetryDelay::Fixed("1 second".into()));
        assert_eq!(RetryDelay::from(Duration::from_millis(5)), RetryDelay::Fixed(Duration::from_millis(5).into()));
    }

    #[test]
    fn a_function_equals_itself_only() {
        let delay = RetryDelay::sync(|_| Ok("1 second".into()));
        assert_eq!(delay, delay.clone());
        assert_ne!(delay, RetryDelay::sync(|_| Ok("1 second".into())));
        assert_eq!(format!("{delay:?}"), "Dynamic([dynamic])");
    }
}
