//! `steps` of the WIT contract.

use std::sync::Arc;

use miniflow_runtime::engine::{self, RetryOptions};
use miniflow_runtime::run::{Compensating, StreamReader};
use miniflow_runtime::{Begun, Bytes, ErrorInfo, Run, Timestamp, Verdict};
use tokio::sync::Mutex;
use wasmtime::WasmBacktrace;
use wasmtime::component::{Accessor, Resource};

use super::{OpenAttempt, OpenStream};
use crate::wasm::GuestState;
use crate::wasm::bindings::Guest;
use crate::wasm::bindings::miniflow::worker::steps::{
    AttemptInfo, Backoff, Begun as WitBegun, Host, HostAttempt, HostAttemptWithStore, HostStoredStream,
    HostStoredStreamWithStore, HostWithStore, ReceivedEvent as WitEvent, Retry, RetryDelay, RetryOptions as WitRetries,
    Rollback, StepConfig, StepOptions, Verdict as WitVerdict,
};
use crate::wasm::bindings::miniflow::worker::types::{Duration, Error};
use crate::wasm::{symbols, trap};

type Store = Accessor<GuestState, Guest>;

/// Code of everything here outside of a run.
const OUTSIDE_RUN: &str = "steps.outside_run";

impl Host for GuestState {}

impl HostAttempt for GuestState {
    fn info(&mut self, this: Resource<OpenAttempt>) -> wasmtime::Result<AttemptInfo> {
        let OpenAttempt(attempt) = self.table().get(&this)?;
        Ok(info(attempt.key(), attempt.number(), attempt.config()))
    }

    fn enter(&mut self, this: Resource<OpenAttempt>) -> wasmtime::Result<()> {
        self.table().get(&this)?.0.enter();
        Ok(())
    }

    fn leave(&mut self, this: Resource<OpenAttempt>) -> wasmtime::Result<()> {
        self.table().get(&this)?.0.leave();
        Ok(())
    }

    fn drop(&mut self, this: Resource<OpenAttempt>) -> wasmtime::Result<()> {
        self.table().delete(this)?;
        Ok(())
    }
}

// Each of these may be dropped at any await: what was said to the run stands, the rest is the run's to notice.
impl HostAttemptWithStore<GuestState> for Guest {
    async fn deadline(store: &Store, this: Resource<OpenAttempt>) -> wasmtime::Result<()> {
        let deadline = store.with(|mut access| access.get().table().get(&this).map(|attempt| attempt.0.deadline()))?;
        deadline.await;
        Ok(())
    }

    async fn succeed(store: &Store, this: Resource<OpenAttempt>, output: Vec<u8>) -> wasmtime::Result<WitVerdict> {
        let attempt = take(store, this)?;
        verdict(store, attempt.succeed(Bytes::from(output)).await)
    }

    async fn fail(
        store: &Store,
        this: Resource<OpenAttempt>,
        mut error: Error,
        decided: Retry,
    ) -> wasmtime::Result<WitVerdict> {
        if error.backtrace.is_none() {
            let (symbols, run, frames) = store.with(|mut access| {
                let frames = symbols::frames(&WasmBacktrace::force_capture(&access));
                (Arc::clone(access.get().symbols()), access.get().run().cloned(), frames)
            });
            // The failure is not recorded yet: the clock must not move meanwhile, though another branch may wait for it.
            let _busy = run.as_ref().map(Run::busy);
            error.backtrace = trap::lines(&symbols, frames).await;
        }
        let attempt = take(store, this)?;
        verdict(store, attempt.fail(error.into(), retry(decided)).await)
    }

    async fn expire(store: &Store, this: Resource<OpenAttempt>, decided: Retry) -> wasmtime::Result<WitVerdict> {
        let attempt = take(store, this)?;
        verdict(store, attempt.expire(retry(decided)).await)
    }

    async fn write(store: &Store, this: Resource<OpenAttempt>, chunk: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let writer = store.with(|mut access| access.get().table().get(&this).map(|attempt| attempt.0.writer()))?;
        Ok(writer.write(&chunk).await.map_err(Error::from))
    }

    async fn finish(store: &Store, this: Resource<OpenAttempt>) -> wasmtime::Result<WitVerdict> {
        let attempt = take(store, this)?;
        verdict(store, attempt.finish().await)
    }
}

impl HostStoredStream for GuestState {
    fn drop(&mut self, this: Resource<OpenStream>) -> wasmtime::Result<()> {
        self.table().delete(this)?;
        Ok(())
    }
}

impl HostStoredStreamWithStore<GuestState> for Guest {
    async fn read(store: &Store, this: Resource<OpenStream>) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let reader = store.with(|mut access| access.get().table().get(&this).map(|stream| Arc::clone(&stream.0)))?;
        let read = reader.lock().await.read().await;
        Ok(read.map(|bytes| bytes.map(|bytes| bytes.to_vec())).map_err(Error::from))
    }
}

impl HostWithStore<GuestState> for Guest {
    async fn begin(store: &Store, name: String, options: StepOptions) -> wasmtime::Result<WitBegun> {
        let Some(run) = run(store) else { return Ok(WitBegun::Failed(outside_run())) };
        Ok(match run.begin_step(&name, step_options(options)).await {
            Begun::Recorded(output) => WitBegun::Recorded(output.to_vec()),
            Begun::RecordedStream(stream) => WitBegun::RecordedStream(keep_stream(store, stream)?),
            Begun::Failed(error) => WitBegun::Failed(error.into()),
            Begun::Execute(attempt) => WitBegun::Execute(keep(store, attempt)?),
        })
    }

    async fn sleep(store: &Store, name: String, length: Duration) -> wasmtime::Result<Result<(), Error>> {
        let Some(run) = run(store) else { return Ok(Err(outside_run())) };
        Ok(run.sleep(&name, length.into()).await.map_err(Error::from))
    }

    async fn sleep_until(store: &Store, name: String, when: u64) -> wasmtime::Result<Result<(), Error>> {
        let Some(run) = run(store) else { return Ok(Err(outside_run())) };
        Ok(run.sleep_until(&name, Timestamp(when)).await.map_err(Error::from))
    }

    async fn wait_for_event(
        store: &Store,
        name: String,
        event_type: String,
        timeout: Option<Duration>,
    ) -> wasmtime::Result<Result<WitEvent, Error>> {
        let Some(run) = run(store) else { return Ok(Err(outside_run())) };
        let received = run.wait_for_event(&name, &event_type, timeout.map(Into::into)).await;
        Ok(received.map_err(Error::from).map(|event| WitEvent {
            event_type: event.event_type.to_string(),
            payload: event.payload.to_vec(),
            timestamp: event.timestamp.as_millis(),
        }))
    }

    async fn settle(store: &Store, outcome: Result<Vec<u8>, Error>) -> wasmtime::Result<bool> {
        let outcome = outcome.map(Bytes::from).map_err(ErrorInfo::from);
        Ok(must_run(store)?.settle(outcome).await)
    }

    async fn rollback_requested(store: &Store) -> wasmtime::Result<()> {
        must_run(store)?.rollback_requested().await;
        Ok(())
    }

    async fn next_rollback(store: &Store) -> wasmtime::Result<Option<Rollback>> {
        let Some(call) = must_run(store)?.next_rollback().await else { return Ok(None) };
        let Compensating { attempt, step, step_attempt, step_config, cause, output } = call;
        Ok(Some(Rollback {
            attempt: keep(store, attempt)?,
            context: info(&step, step_attempt, &step_config),
            cause: cause.into(),
            output: output.map(|output| output.to_vec()),
        }))
    }
}

/// The contract has no error here: a guest that settles what is not a run is beyond telling.
fn must_run(store: &Store) -> wasmtime::Result<Arc<Run>> {
    run(store).ok_or_else(|| wasmtime::format_err!("{}", outside_run().message))
}

fn run(store: &Store) -> Option<Arc<Run>> {
    store.with(|mut access| access.get().run().cloned())
}

fn outside_run() -> Error {
    Error {
        name: OUTSIDE_RUN.to_owned(),
        message: "steps can be used only inside `run` of a workflow; here, start one through its binding".to_owned(),
        backtrace: None,
    }
}

fn take(store: &Store, attempt: Resource<OpenAttempt>) -> wasmtime::Result<miniflow_runtime::Attempt> {
    let OpenAttempt(attempt) = store.with(|mut access| access.get().table().delete(attempt))?;
    Ok(attempt)
}

fn keep(store: &Store, attempt: miniflow_runtime::Attempt) -> wasmtime::Result<Resource<OpenAttempt>> {
    Ok(store.with(|mut access| access.get().table().push(OpenAttempt(attempt)))?)
}

fn keep_stream(store: &Store, stream: StreamReader) -> wasmtime::Result<Resource<OpenStream>> {
    let stream = OpenStream(Arc::new(Mutex::new(stream)));
    Ok(store.with(|mut access| access.get().table().push(stream))?)
}

fn verdict(store: &Store, verdict: Verdict) -> wasmtime::Result<WitVerdict> {
    Ok(match verdict {
        Verdict::Done => WitVerdict::Done,
        Verdict::Streamed(stream) => WitVerdict::Streamed(keep_stream(store, stream)?),
        Verdict::Failed(error) => WitVerdict::Failed(error.into()),
        Verdict::Retry(attempt) => WitVerdict::Retry(keep(store, attempt)?),
    })
}

fn info(key: &engine::StepKey, attempt: u32, config: &engine::StepConfig) -> AttemptInfo {
    AttemptInfo {
        step_name: key.name.to_string(),
        step_count: key.count,
        attempt,
        config: StepConfig {
            retry_limit: config.retry_limit,
            retry_delay_ms: (!config.dynamic_delay).then_some(config.retry_delay_ms),
            backoff: match config.backoff {
                engine::Backoff::Constant => Backoff::Constant,
                engine::Backoff::Linear => Backoff::Linear,
                engine::Backoff::Exponential => Backoff::Exponential,
            },
            timeout_ms: config.timeout_ms,
            sensitive_output: config.sensitive_output,
        },
    }
}

fn retry(decided: Retry) -> engine::Retry {
    match decided {
        Retry::ByPolicy => engine::Retry::ByPolicy,
        Retry::After(delay) => engine::Retry::After(delay.into()),
        Retry::DelayFailed(why) => engine::Retry::DelayFailed(why),
        Retry::DelayTimedOut => engine::Retry::DelayTimedOut,
        Retry::Never => engine::Retry::Never,
    }
}

fn step_options(options: StepOptions) -> engine::StepOptions {
    engine::StepOptions {
        retries: options.retries.map(retries),
        timeout: options.timeout.map(Into::into),
        sensitive_output: options.sensitive_output,
        rollback: options.rollback.map(|rollback| engine::RollbackOptions {
            retries: rollback.retries.map(retries),
            timeout: rollback.timeout.map(Into::into),
        }),
    }
}

fn retries(retries: WitRetries) -> RetryOptions {
    RetryOptions {
        limit: retries.limit,
        delay: match retries.delay {
            RetryDelay::Fixed(delay) => engine::RetryDelay::Fixed(delay.into()),
            RetryDelay::Dynamic => engine::RetryDelay::Dynamic,
        },
        backoff: retries.backoff.map(|backoff| match backoff {
            Backoff::Constant => engine::Backoff::Constant,
            Backoff::Linear => engine::Backoff::Linear,
            Backoff::Exponential => engine::Backoff::Exponential,
        }),
    }
}
