//! [`WorkflowStep`]: the durable part of a run.
//!
//! The host decides, the guest runs: `begin` says whether a step is recorded or is to be run, the body runs here, and its
//! result is handed in. A step that the host has no result for may be started, cut off by a restart and started again; its
//! body must bear that. Any await on a step may never return, when the host puts a waiting instance away: then the whole
//! run is dropped and started again later.

use std::future::Future;
use std::future::poll_fn;
use std::pin::pin;

use futures::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StepConfig, WaitForEventOptions, WorkflowSleepDuration, WorkflowStepContext, WorkflowStepEvent};
use crate::bindings::miniflow::worker::steps::{self, Attempt, Begun, Verdict};
use crate::bindings::miniflow::worker::types;
use crate::{Date, Error, Result, host};

/// The steps of a run. Clones are the same run, so parallel branches can each have one.
///
/// A step is found again by its name and by how often that name was asked for before in the run, so names must not
/// depend on chance or time. Steps run in parallel under [`futures::join!`](futures::join), and a step is only asked for
/// when its future is polled. Dropping that future gives the step up: its attempt counts as abandoned, and a later run that
/// asks for it runs it again.
#[derive(Clone, Debug)]
pub struct WorkflowStep {
    // The handlers that `do_with_rollback` will register belong to the run, in an `Rc` here.
    _run: (),
}

impl WorkflowStep {
    pub(super) fn new() -> Self {
        Self { _run: () }
    }

    /// Runs `body` once and records its result; in later runs returns what is recorded.
    ///
    /// An error of the body is tried again as [`StepConfig`] says by default. What the step returns is always what JSON
    /// makes of the output: also the first time, so that a type that does not survive the way through JSON shows then, and
    /// not only after a restart.
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn f(step: WorkflowStep) -> Result<()> {
    /// let total = step.do_("add up", |_| async { Ok(1 + 2) }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The last attempt's error, by its name and text; `WorkflowTimeoutError` when that took too long; a refusal of the
    /// name, of the configuration, or of one more step.
    pub async fn do_<T, F, R>(&self, name: impl Into<String>, body: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(WorkflowStepContext) -> R,
        R: Future<Output = Result<T>>,
    {
        self.do_with_config(name, StepConfig::default(), body).await
    }

    /// Does what [`do_`](Self::do_) does, with other retries or another timeout.
    ///
    /// # Errors
    ///
    /// As [`do_`](Self::do_).
    pub async fn do_with_config<T, F, R>(&self, name: impl Into<String>, config: StepConfig, body: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(WorkflowStepContext) -> R,
        R: Future<Output = Result<T>>,
    {
        host::required("`WorkflowStep::do_`");
        let name = name.into();
        let mut attempt = match steps::begin(name.clone(), config.into()).await {
            Begun::Recorded(json) => return read_output(&name, &json),
            Begun::Failed(error) => return Err(error.into()),
            Begun::Execute(attempt) => attempt,
        };
        loop {
            let verdict = match try_once(&attempt, &body).await {
                Tried::Output(json) => {
                    // Not the body's own value: see above. It is read before the bytes are given away.
                    let output = read_output(&name, &json);
                    match Attempt::succeed(attempt, json).await {
                        Verdict::Done => return output,
                        other => other,
                    }
                }
                Tried::Failed { error, retryable } => Attempt::fail(attempt, error, retryable).await,
                Tried::TooLate => Attempt::expire(attempt).await,
            };
            attempt = match verdict {
                Verdict::Retry(next) => next,
                Verdict::Failed(error) => return Err(error.into()),
                // Only a success is ever answered so.
                Verdict::Done => return Err(format!("step `{name}` failed, but is recorded as done").into()),
            };
        }
    }

    /// Sleeps. The instance is put away meanwhile and costs nothing.
    ///
    /// # Errors
    ///
    /// When the name or the duration is refused: at most 365 days.
    pub async fn sleep(&self, name: impl Into<String>, duration: impl Into<WorkflowSleepDuration>) -> Result<()> {
        host::required("`WorkflowStep::sleep`");
        Ok(steps::sleep(name.into(), duration.into().into_wit()).await?)
    }

    /// Sleeps until `when`.
    ///
    /// # Errors
    ///
    /// When the name is refused, or `when` is past or more than 365 days away.
    pub async fn sleep_until(&self, name: impl Into<String>, when: impl Into<Date>) -> Result<()> {
        host::required("`WorkflowStep::sleep_until`");
        Ok(steps::sleep_until(name.into(), when.into().as_millis()).await?)
    }

    /// Waits for an event that [`WorkflowInstance::send_event`](crate::WorkflowInstance::send_event) sends. One that was
    /// sent before is taken at once.
    ///
    /// # Errors
    ///
    /// `WorkflowTimeoutError` when none arrives in time; a refusal of the name or the options; a payload that is no `T`.
    pub async fn wait_for_event<T: DeserializeOwned>(
        &self,
        name: impl Into<String>,
        options: WaitForEventOptions,
    ) -> Result<WorkflowStepEvent<T>> {
        host::required("`WorkflowStep::wait_for_event`");
        let name = name.into();
        let timeout = options.timeout.map(WorkflowSleepDuration::into_wit);
        let event = steps::wait_for_event(name.clone(), options.type_, timeout).await?;
        WorkflowStepEvent::decode(&name, event)
    }
}

/// How an attempt ended.
enum Tried {
    Output(Vec<u8>),
    Failed { error: types::Error, retryable: bool },
    TooLate,
}

/// Runs the body against the attempt's deadline. A body that is ready at once never asks for the deadline.
async fn try_once<T, F, R>(attempt: &Attempt, body: &F) -> Tried
where
    T: Serialize,
    F: Fn(WorkflowStepContext) -> R,
    R: Future<Output = Result<T>>,
{
    // The host is told when the body is entered and left, so that what it prints or dies of is put down to this step.
    attempt.enter();
    let mut running = pin!(body(attempt.info().into()));
    attempt.leave();
    let running = poll_fn(|context| {
        attempt.enter();
        let polled = running.as_mut().poll(context);
        attempt.leave();
        polled
    });
    let deadline = pin!(attempt.deadline());
    match select(running, deadline).await {
        Either::Left((Ok(output), _)) => match serde_json::to_vec(&output) {
            Ok(json) => Tried::Output(json),
            // Running the body again would not change its type.
            Err(error) => Tried::Failed {
                error: Error::from(format!("the step's output cannot be written as JSON: {error}")).to_recorded(),
                retryable: false,
            },
        },
        Either::Left((Err(error), _)) => Tried::Failed { error: error.to_recorded(), retryable: error.is_retryable() },
        Either::Right(_) => Tried::TooLate,
    }
}

fn read_output<T: DeserializeOwned>(name: &str, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        let type_name = std::any::type_name::<T>();
        format!("the recorded output of step `{name}` cannot be read as `{type_name}`: {error}").into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_of_another_type_is_an_error_that_names_the_step() {
        assert_eq!(read_output::<u32>("count", b"3").unwrap(), 3);
        let error = read_output::<u32>("count", b"\"three\"").unwrap_err().to_string();
        assert!(error.starts_with("the recorded output of step `count` cannot be read as `u32`:"), "{error}");
    }
}
