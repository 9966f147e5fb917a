//! `steps` of the WIT contract.

use std::sync::Arc;

use miniflow_runtime::engine::{self, RetryOptions};
use miniflow_runtime::{Begun, Bytes, ErrorInfo, Run, Timestamp, Verdict};
use wasmtime::component::{Accessor, Resource};

use super::OpenAttempt;
use crate::wasm::GuestState;
use crate::wasm::bindings::Guest;
use crate::wasm::bindings::miniflow::worker::steps::{
    AttemptInfo, Backoff, Begun as WitBegun, Host, HostAttempt, HostAttemptWithStore, HostWithStore,
    ReceivedEvent as WitEvent, StepConfig, StepOptions, Verdict as WitVerdict,
};
use crate::wasm::bindings::miniflow::worker::types::{Duration, Error};

type Store = Accessor<GuestState, Guest>;

/// Code of everything here outside of a run.
const OUTSIDE_RUN: &str = "steps.outside_run";

impl Host for GuestState {}

impl HostAttempt for GuestState {
    fn info(&mut self, this: Resource<OpenAttempt>) -> wasmtime::Result<AttemptInfo> {
        let OpenAttempt(attempt) = self.table().get(&this)?;
        let (key, config) = (attempt.key(), attempt.config());
        Ok(AttemptInfo {
            step_name: key.name.to_string(),
            step_count: key.count,
            attempt: attempt.number(),
            config: StepConfig {
                retry_limit: config.retry_limit,
                retry_delay_ms: config.retry_delay_ms,
                backoff: match config.backoff {
                    engine::Backoff::Constant => Backoff::Constant,
                    engine::Backoff::Linear => Backoff::Linear,
                    engine::Backoff::Exponential => Backoff::Exponential,
                },
                timeout_ms: config.timeout_ms,
                sensitive_output: config.sensitive_output,
            },
        })
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
        error: Error,
        retryable: bool,
    ) -> wasmtime::Result<WitVerdict> {
        let attempt = take(store, this)?;
        verdict(store, attempt.fail(error.into(), retryable).await)
    }

    async fn expire(store: &Store, this: Resource<OpenAttempt>) -> wasmtime::Result<WitVerdict> {
        let attempt = take(store, this)?;
        verdict(store, attempt.expire().await)
    }
}

impl HostWithStore<GuestState> for Guest {
    async fn begin(store: &Store, name: String, options: StepOptions) -> wasmtime::Result<WitBegun> {
        let Some(run) = run(store) else { return Ok(WitBegun::Failed(outside_run())) };
        Ok(match run.begin_step(&name, step_options(options)).await {
            Begun::Recorded(output) => WitBegun::Recorded(output.to_vec()),
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

    async fn settle(store: &Store, outcome: Result<Vec<u8>, Error>) -> wasmtime::Result<()> {
        // The contract has no error here: a guest that settles what is not a run is beyond telling.
        let Some(run) = run(store) else { return Err(wasmtime::format_err!("{}", outside_run().message)) };
        let outcome = outcome.map(Bytes::from).map_err(ErrorInfo::from);
        run.settle(outcome).await;
        Ok(())
    }
}

fn run(store: &Store) -> Option<Arc<Run>> {
    store.with(|mut access| access.get().run().cloned())
}

fn outside_run() -> Error {
    Error {
        name: OUTSIDE_RUN.to_owned(),
        message: "steps can be used only inside `run` of a workflow; here, start one through its binding".to_owned(),
    }
}

fn take(store: &Store, attempt: Resource<OpenAttempt>) -> wasmtime::Result<miniflow_runtime::Attempt> {
    let OpenAttempt(attempt) = store.with(|mut access| access.get().table().delete(attempt))?;
    Ok(attempt)
}

fn keep(store: &Store, attempt: miniflow_runtime::Attempt) -> wasmtime::Result<Resource<OpenAttempt>> {
    Ok(store.with(|mut access| access.get().table().push(OpenAttempt(attempt)))?)
}

fn verdict(store: &Store, verdict: Verdict) -> wasmtime::Result<WitVerdict> {
    Ok(match verdict {
        Verdict::Done => WitVerdict::Done,
        Verdict::Failed(error) => WitVerdict::Failed(error.into()),
        Verdict::Retry(attempt) => WitVerdict::Retry(keep(store, attempt)?),
    })
}

fn step_options(options: StepOptions) -> engine::StepOptions {
    engine::StepOptions {
        retries: options.retries.map(|retries| RetryOptions {
            limit: retries.limit,
            delay: retries.delay.into(),
            backoff: retries.backoff.map(|backoff| match backoff {
                Backoff::Constant => engine::Backoff::Constant,
                Backoff::Linear => engine::Backoff::Linear,
                Backoff::Exponential => engine::Backoff::Exponential,
            }),
        }),
        timeout: options.timeout.map(Into::into),
        sensitive_output: options.sensitive_output,
    }
}
