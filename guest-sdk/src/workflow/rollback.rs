//! Rollback: what undoes the steps of an instance that fails or is terminated.
//!
//! A handler is code, so it cannot be recorded. It is kept in the run's registry from before its step is asked for, also when the
//! step turns out to be recorded. When everything is to be undone, the run has either ended just now, or the host has led a new
//! run through the record as far as it goes: in both cases the handlers are there. The host says which step is next, hands
//! out its recorded output, and times and retries the handler like a step's body. Nothing is made up: a handler whose
//! step did not finish sees no output.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::rc::Rc;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::attempt::{Lost, give_up, race};
use super::retry_delay::DelayFn;
use super::step::read_output;
use super::{RetryConfig, StepError, WorkflowSleepDuration, WorkflowStepContext};
use crate::bindings::miniflow::worker::steps::{self, Attempt, Retry, Verdict};
use crate::bindings::miniflow::worker::types;
use crate::{NonRetryableError, Result};

/// The handler that undoes a step, for [`WorkflowStep::do_with_rollback`](crate::WorkflowStep::do_with_rollback).
///
/// It is called when the instance fails for good, with an error nobody caught, or is terminated with rollback. The handlers of
/// all steps that began are called one after the other, in the reverse order of these beginnings, that of the step that
/// failed among them. The first that fails for good ends the rollback. A handler may be called more often than once, as the body
/// of a step; it cannot ask for steps itself.
///
/// It outlives the call of `run`, so it owns what it uses.
///
/// ```no_run
/// # use miniflow_sdk::*;
/// # async fn reserve() -> Result<String> { Ok("r-1".into()) }
/// # async fn release(_: &str) -> Result<()> { Ok(()) }
/// # async fn f(step: WorkflowStep) -> Result<()> {
/// let undo = Rollback::new(|undone: WorkflowRollbackContext<String>| async move {
///     match undone.output {
///         Some(reservation) => release(&reservation).await,
///         None => Ok(()),
///     }
/// });
/// let reservation = step.do_with_rollback("reserve", |_| reserve(), undo).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Rollback<RF> {
    handler: RF,
    config: RollbackConfig,
}

impl<RF> Rollback<RF> {
    /// Undoes a step with `handler`, tried as often as steps are by default.
    pub fn new<T, R>(handler: RF) -> Self
    where
        RF: Fn(WorkflowRollbackContext<T>) -> R,
        R: Future<Output = Result<()>>,
    {
        Self::with_config(handler, RollbackConfig::default())
    }

    /// Does what [`new`](Self::new) does, with other retries or another timeout.
    pub fn with_config<T, R>(handler: RF, config: RollbackConfig) -> Self
    where
        RF: Fn(WorkflowRollbackContext<T>) -> R,
        R: Future<Output = Result<()>>,
    {
        Self { handler, config }
    }

    /// Returns what the host is told, and what stays here.
    pub(super) fn split<T, R>(self) -> (steps::RollbackOptions, Handler)
    where
        T: DeserializeOwned,
        RF: Fn(WorkflowRollbackContext<T>) -> R + 'static,
        R: Future<Output = Result<()>> + 'static,
    {
        let Self { handler, config } = self;
        let (retries, delay) = config.retries.map(RetryConfig::split).unzip();
        let options = steps::RollbackOptions { retries, timeout: config.timeout.map(WorkflowSleepDuration::into_wit) };
        let undo = move |undo: Undo| match undo.read() {
            Ok(context) => handler(context).boxed_local(),
            Err(error) => std::future::ready(Err(error)).boxed_local(),
        };
        (options, Handler { undo: Box::new(undo), delay: delay.flatten() })
    }
}

impl<RF> fmt::Debug for Rollback<RF> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollback").field("config", &self.config).finish_non_exhaustive()
    }
}

/// How a handler is tried. The default is that of steps: 5 retries, 10 seconds apart at first and then twice as far each
/// time, with 10 minutes for each attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackConfig {
    /// When to try again after a failure.
    pub retries: Option<RetryConfig>,
    /// How long one attempt may take.
    pub timeout: Option<WorkflowSleepDuration>,
}

/// What a handler is told about the step it undoes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkflowRollbackContext<T> {
    /// The step, as its body last saw itself.
    pub ctx: WorkflowStepContext,
    /// Why everything is undone.
    pub error: StepError,
    /// What the step returned; none when it failed or was not finished.
    pub output: Option<T>,
}

/// A handler without its type.
pub(super) struct Handler {
    undo: Box<dyn Fn(Undo) -> LocalBoxFuture<'static, Result<()>>>,
    delay: Option<DelayFn>,
}

/// What a handler is told, with the output as it is recorded.
#[derive(Clone)]
struct Undo {
    ctx: WorkflowStepContext,
    error: StepError,
    output: Option<Vec<u8>>,
}

impl Undo {
    fn read<T: DeserializeOwned>(self) -> Result<WorkflowRollbackContext<T>> {
        let Self { ctx, error, output } = self;
        let output = output.map(|json| read_output(&ctx.step.name, &json)).transpose();
        // Trying again would not change the type.
        let output = output.map_err(|error| NonRetryableError::new(error.to_string()).with_name(error.name()))?;
        Ok(WorkflowRollbackContext { ctx, error, output })
    }
}

impl Handler {
    /// Undoes one step, however many attempts that takes. How it ends is the host's to judge.
    async fn undo(&self, mut attempt: Attempt, undo: Undo) {
        loop {
            let verdict = match race(&attempt, |_| (self.undo)(undo.clone())).await {
                Some(Ok(())) => Attempt::succeed(attempt, b"null".to_vec()).await,
                Some(Err(error)) => give_up(attempt, error.into(), self.delay.as_ref()).await,
                None => give_up(attempt, Lost::TooLate, self.delay.as_ref()).await,
            };
            let Verdict::Retry(next) = verdict else { return };
            attempt = next;
        }
    }
}

/// The `do` steps that a run has asked for, as far as that takes part in undoing them.
#[derive(Default)]
pub(super) struct Asked {
    counts: RefCell<HashMap<String, u32>>,
    /// By name and count, which is how the host names a step.
    handlers: RefCell<HashMap<(String, u32), Rc<Handler>>>,
}

impl Asked {
    /// Notes that a step is asked for, as the host does at the same moment: every `do` counts, with or without handler.
    pub(super) fn note(&self, name: &str, handler: Option<Handler>) {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(name.to_owned()).or_default();
        *count = count.saturating_add(1);
        if let Some(handler) = handler {
            self.handlers.borrow_mut().insert((name.to_owned(), *count), Rc::new(handler));
        }
    }

    /// Undoes every step that the host asks to undo.
    pub(super) async fn undo_all(&self) {
        while let Some(next) = steps::next_rollback().await {
            let steps::Rollback { attempt, context, cause, output } = next;
            match self.handler(&context.step_name, context.step_count) {
                Some(handler) => {
                    handler.undo(attempt, Undo { ctx: context.into(), error: cause.into(), output }).await;
                }
                // The code has changed, or goes another way each time.
                None => drop(Attempt::fail(attempt, missing(), Retry::Never).await),
            }
        }
    }

    fn handler(&self, name: &str, count: u32) -> Option<Rc<Handler>> {
        self.handlers.borrow().get(&(name.to_owned(), count)).cloned()
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

fn missing() -> types::Error {
    types::Error {
        name: "RollbackMissing".to_owned(),
        message: "Rollback function not available in registry".to_owned(),
        backtrace: None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::RetryDelay;
    use crate::workflow::retry::tests::context;

    /// A handler that puts down what it sees, and what it is called with.
    fn noting(seen: &Rc<Cell<Option<u32>>>) -> Handler {
        let seen = Rc::clone(seen);
        let rollback = Rollback::new(move |undone: WorkflowRollbackContext<u32>| {
            seen.set(undone.output);
            std::future::ready(Ok(()))
        });
        rollback.split().1
    }

    fn undo(handler: &Handler, output: Option<&str>) -> Result<()> {
        let error = StepError { name: "Error".into(), message: "no".into(), stack: None };
        let undo = Undo { ctx: context(1), error, output: output.map(Into::into) };
        (handler.undo)(undo).now_or_never().expect("waits for nothing")
    }

    #[test]
    fn a_step_is_found_by_how_many_th_of_its_name_it_is() {
        let (asked, seen) = (Asked::default(), Rc::default());
        asked.note("charge", None);
        asked.note("ship", Some(noting(&seen)));
        asked.note("charge", Some(noting(&seen)));
        assert!(asked.handler("charge", 1).is_none());
        assert!(asked.handler("charge", 2).is_some());
        assert!(asked.handler("ship", 1).is_some());
        assert!(asked.handler("ship", 2).is_none());
        assert!(asked.handler("pack", 1).is_none());
    }

    #[test]
    fn a_handler_gets_what_is_recorded_or_nothing() {
        let seen = Rc::default();
        let handler = noting(&seen);
        undo(&handler, Some("7")).unwrap();
        assert_eq!(seen.take(), Some(7));
        undo(&handler, None).unwrap();
        assert_eq!(seen.take(), None);
    }

    #[test]
    fn an_output_of_another_type_fails_the_handler_without_another_try() {
        let error = undo(&noting(&Rc::default()), Some("\"seven\"")).unwrap_err();
        assert!(!error.is_retryable());
        assert_eq!(error.name(), "Error");
        assert!(error.to_string().starts_with("the recorded output of step `charge` cannot be read"), "{error}");
    }

    #[test]
    fn the_host_is_told_how_a_handler_is_tried() {
        let (options, handler) = Rollback::new(|_: WorkflowRollbackContext<()>| async { Ok(()) }).split();
        assert!(options.retries.is_none() && options.timeout.is_none() && handler.delay.is_none());
        let delay = RetryDelay::sync(|_| Ok("1 second".into()));
        let retries = Some(RetryConfig { limit: 1, delay, backoff: None });
        let config = RollbackConfig { retries, timeout: Some("1 minute".into()) };
        let rollback = Rollback::with_config(|_: WorkflowRollbackContext<()>| async { Ok(()) }, config);
        let (options, handler) = rollback.split();
        assert!(matches!(options.retries, Some(retries) if matches!(retries.delay, steps::RetryDelay::Dynamic)));
        assert!(options.timeout.is_some() && handler.delay.is_some());
    }
}
