//! [`WorkflowStep`]: the durable part of a run.
//!
//! The host decides, the guest runs: `begin` says whether a step is recorded or is to be run, the body runs here, and its
//! result is handed in. A step that the host has no result for may be started, cut off by a restart and started again; its
//! body must bear that. Any await on a step may never return, when the host puts a waiting instance away: then the whole
//! run is dropped and started again later.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures::stream::try_unfold;
use futures::{TryStream, TryStreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attempt::{Lost, give_up, race};
use super::retry_delay::DelayFn;
use super::rollback::{Asked, Handler};
use super::{
    Rollback, StepConfig, WaitForEventOptions, WorkflowRollbackContext, WorkflowSleepDuration, WorkflowStepContext,
    WorkflowStepEvent,
};
use crate::bindings::miniflow::worker::steps::{self, Attempt, Begun, StoredStream, Verdict};
use crate::{Body, ByteStream, Date, Error, Result, host};

/// The steps of a run. Clones are the same run, so parallel branches can each have one.
///
/// A step is found again by its name and by how often that name was asked for before in the run, so names must not
/// depend on chance or time. Steps run in parallel under [`futures::join!`](futures::join), and a step is only asked for
/// when its future is polled. Dropping that future gives the step up: its attempt counts as abandoned, and a later run that
/// asks for it runs it again.
#[derive(Clone, Debug)]
pub struct WorkflowStep {
    /// Outlives the run itself, which is over when its steps are undone.
    asked: Rc<Asked>,
}

impl WorkflowStep {
    pub(super) fn new(asked: Rc<Asked>) -> Self {
        Self { asked }
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
        self.json(name.into(), config, None, body).await
    }

    /// Does what [`do_`](Self::do_) does, and keeps a handler that undoes the step if the instance fails or is terminated
    /// with rollback; see [`Rollback`].
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn charge(_order: &str) -> Result<String> { Ok("receipt".into()) }
    /// # async fn refund(_order: &str, _receipt: Option<String>) -> Result<()> { Ok(()) }
    /// # async fn f(order: String, step: WorkflowStep) -> Result<()> {
    /// let undo = {
    ///     let order = order.clone();
    ///     Rollback::new(move |undone: WorkflowRollbackContext<String>| {
    ///         let order = order.clone();
    ///         async move { refund(&order, undone.output).await }
    ///     })
    /// };
    /// let receipt = step.do_with_rollback("charge", |_| charge(&order), undo).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`do_`](Self::do_).
    pub async fn do_with_rollback<T, F, R, RF, RR>(
        &self,
        name: impl Into<String>,
        body: F,
        rollback: Rollback<RF>,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(WorkflowStepContext) -> R,
        R: Future<Output = Result<T>>,
        RF: Fn(WorkflowRollbackContext<T>) -> RR + 'static,
        RR: Future<Output = Result<()>> + 'static,
    {
        self.do_with_config_and_rollback(name, StepConfig::default(), body, rollback).await
    }

    /// Does what [`do_with_rollback`](Self::do_with_rollback) does, with other retries or another timeout of the step.
    ///
    /// # Errors
    ///
    /// As [`do_`](Self::do_).
    pub async fn do_with_config_and_rollback<T, F, R, RF, RR>(
        &self,
        name: impl Into<String>,
        config: StepConfig,
        body: F,
        rollback: Rollback<RF>,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(WorkflowStepContext) -> R,
        R: Future<Output = Result<T>>,
        RF: Fn(WorkflowRollbackContext<T>) -> RR + 'static,
        RR: Future<Output = Result<()>> + 'static,
    {
        self.json(name.into(), config, Some(rollback.split()), body).await
    }

    /// Runs `body` once and records the bytes of the stream it returns; in later runs returns what is recorded. For outputs
    /// beyond the 1 MiB that a value may have.
    ///
    /// A stream that fails is an attempt that fails: nothing of it is kept, and the next begins from the start. The timeout
    /// of an attempt counts until the stream ends.
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn f(step: WorkflowStep) -> Result<()> {
    /// let report = |_| async { Fetch::Url("https://example.com/report".parse()?).send().await?.stream() };
    /// let bytes = step.do_stream("fetch the report", report).await?.bytes().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`do_`](Self::do_); `OversizedStreamChunkError` when a chunk is beyond 16 MiB.
    pub async fn do_stream<S, F, R>(&self, name: impl Into<String>, body: F) -> Result<ByteStream>
    where
        S: TryStream,
        S::Ok: Into<Vec<u8>>,
        S::Error: Into<Error>,
        F: Fn(WorkflowStepContext) -> R,
        R: Future<Output = Result<S>>,
    {
        self.do_stream_with_config(name, StepConfig::default(), body).await
    }

    /// Does what [`do_stream`](Self::do_stream) does, with other retries or another timeout.
    ///
    /// # Errors
    ///
    /// As [`do_stream`](Self::do_stream).
    pub async fn do_stream_with_config<S, F, R>(
        &self,
        name: impl Into<String>,
        config: StepConfig,
        body: F,
    ) -> Result<ByteStream>
    where
        S: TryStream,
        S::Ok: Into<Vec<u8>>,
        S::Error: Into<Error>,
        F: Fn(WorkflowStepContext) -> R,
        R: Future<Output = Result<S>>,
    {
        host::required("`WorkflowStep::do_stream`");
        let name = name.into();
        let (begun, delay) = self.begin(&name, config, None).await;
        let mut attempt = match begun {
            Begun::RecordedStream(stored) => return Ok(read_stream(stored)),
            Begun::Recorded(_) => return Err(format!("the recorded output of step `{name}` is not a stream").into()),
            Begun::Failed(error) => return Err(error.into()),
            Begun::Execute(attempt) => attempt,
        };
        loop {
            let written = race(&attempt, |context| async { write_stream(&attempt, body(context).await?).await }).await;
            let verdict = match written.unwrap_or(Err(Lost::TooLate)) {
                Ok(()) => match Attempt::finish(attempt).await {
                    Verdict::Streamed(stored) => return Ok(read_stream(stored)),
                    other => other,
                },
                Err(lost) => give_up(attempt, lost, delay.as_ref()).await,
            };
            attempt = next_attempt(&name, verdict)?;
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

impl WorkflowStep {
    /// Runs a step whose output is a JSON value.
    async fn json<T, F, R>(
        &self,
        name: String,
        config: StepConfig,
        rollback: Option<(steps::RollbackOptions, Handler)>,
        body: F,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(WorkflowStepContext) -> R,
        R: Future<Output = Result<T>>,
    {
        host::required("`WorkflowStep::do_`");
        let (begun, delay) = self.begin(&name, config, rollback).await;
        let mut attempt = match begun {
            Begun::Recorded(json) => return read_output(&name, &json),
            Begun::RecordedStream(_) => return Err(format!("the recorded output of step `{name}` is a stream").into()),
            Begun::Failed(error) => return Err(error.into()),
            Begun::Execute(attempt) => attempt,
        };
        loop {
            let written = match race(&attempt, &body).await {
                Some(output) => output.map_err(Lost::from).and_then(|output| write_output(&output)),
                None => Err(Lost::TooLate),
            };
            let verdict = match written {
                Ok(json) => {
                    // Not the body's own value: see `do_`. It is read before the bytes are given away.
                    let output = read_output(&name, &json);
                    match Attempt::succeed(attempt, json).await {
                        Verdict::Done => return output,
                        other => other,
                    }
                }
                Err(lost) => give_up(attempt, lost, delay.as_ref()).await,
            };
            attempt = next_attempt(&name, verdict)?;
        }
    }

    /// Asks for a step, and notes that at the same moment, so that steps are counted here as the host counts them.
    async fn begin(
        &self,
        name: &str,
        config: StepConfig,
        rollback: Option<(steps::RollbackOptions, Handler)>,
    ) -> (Begun, Option<DelayFn>) {
        let (mut options, delay) = config.split();
        let (rollback, handler) = rollback.unzip();
        options.rollback = rollback;
        self.asked.note(name, handler);
        (steps::begin(name.to_owned(), options).await, delay)
    }
}

/// Returns the attempt that follows one that was lost.
fn next_attempt(name: &str, verdict: Verdict) -> Result<Attempt> {
    match verdict {
        Verdict::Retry(next) => Ok(next),
        Verdict::Failed(error) => Err(error.into()),
        // Only a success of that kind is ever answered so.
        Verdict::Done | Verdict::Streamed(_) => Err(format!("step `{name}` is recorded as done in another way").into()),
    }
}

fn write_output<T: Serialize>(output: &T) -> Result<Vec<u8>, Lost> {
    serde_json::to_vec(output).map_err(|error| {
        // Running the body again would not change its type.
        Lost::finally(Error::from(format!("the step's output cannot be written as JSON: {error}")).to_recorded())
    })
}

/// Writes all of `stream`. The next chunk is asked for when the host has taken the one before.
async fn write_stream<S>(attempt: &Attempt, stream: S) -> Result<(), Lost>
where
    S: TryStream,
    S::Ok: Into<Vec<u8>>,
    S::Error: Into<Error>,
{
    let mut chunks = pin!(stream.map_ok(Into::<Vec<u8>>::into).map_err(Into::<Error>::into));
    while let Some(chunk) = chunks.try_next().await? {
        if !chunk.is_empty() {
            // What the host refuses here it would refuse again.
            attempt.write(chunk).await.map_err(Lost::finally)?;
        }
    }
    Ok(())
}

fn read_stream(stored: StoredStream) -> ByteStream {
    let chunks = try_unfold(stored, |stored| async move {
        let chunk = stored.read().await.map_err(Error::from)?;
        Ok::<_, Error>(chunk.map(|chunk| (chunk, stored)))
    });
    Body::from_stream(chunks).into_stream()
}

pub(super) fn read_output<T: DeserializeOwned>(name: &str, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        let type_name = std::any::type_name::<T>();
        format!("the recorded output of step `{name}` cannot be read as `{type_name}`: {error}").into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // rules: C2.10-7
    #[test]
    fn an_output_of_another_type_is_an_error_that_names_the_step() {
        assert_eq!(read_output::<u32>("count", b"3").unwrap(), 3);
        let error = read_output::<u32>("count", b"\"three\"").unwrap_err().to_string();
        assert!(error.starts_with("the recorded output of step `count` cannot be read as `u32`:"), "{error}");
    }
}
