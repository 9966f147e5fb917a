//! `step.do` as an SDK does it, for closures.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use futures::FutureExt;
use miniflow_runtime::engine::{Retry, RetryDelay, RollbackOptions};
use miniflow_runtime::run::StreamReader;
use miniflow_runtime::testing::{Handler, Handlers, Undoing};
use miniflow_runtime::{
    Attempt, Backoff, Begun, Bytes, DurationSpec, ErrorInfo, RetryOptions, Run, StepOptions, Verdict,
};

use crate::world::{Effects, bytes};

/// A step with the default options.
pub(crate) async fn step<F, R>(run: &Arc<Run>, name: &str, body: F) -> Result<Bytes, ErrorInfo>
where
    F: Fn(u32) -> R,
    R: Future<Output = Result<Bytes, ErrorInfo>>,
{
    step_with(run, name, StepOptions::default(), body).await
}

/// A step that leaves its name among the effects and returns it.
pub(crate) async fn note(run: &Arc<Run>, effects: &Effects, name: &str) -> Result<Bytes, ErrorInfo> {
    step(run, name, |_| {
        effects.add(name);
        async { Ok(bytes(name)) }
    })
    .await
}

pub(crate) async fn step_with<F, R>(
    run: &Arc<Run>,
    name: &str,
    options: StepOptions,
    body: F,
) -> Result<Bytes, ErrorInfo>
where
    F: Fn(u32) -> R,
    R: Future<Output = Result<Bytes, ErrorInfo>>,
{
    step_that_decides(run, name, options, body, |_, error| match error.name.as_str() {
        "NonRetryableError" => Retry::Never,
        _ => Retry::ByPolicy,
    })
    .await
}

/// A step whose `retry` says what follows from the failure of an attempt.
pub(crate) async fn step_that_decides<F, R>(
    run: &Arc<Run>,
    name: &str,
    options: StepOptions,
    body: F,
    retry: impl Fn(u32, &ErrorInfo) -> Retry,
) -> Result<Bytes, ErrorInfo>
where
    F: Fn(u32) -> R,
    R: Future<Output = Result<Bytes, ErrorInfo>>,
{
    let mut attempt = match run.begin_step(name, options).await {
        Begun::Recorded(output) => return Ok(output),
        Begun::RecordedStream(_) => unreachable!("this step writes no stream"),
        Begun::Failed(error) => return Err(error),
        Begun::Execute(attempt) => attempt,
    };
    loop {
        let result = inside(&attempt, body(attempt.number())).await;
        let (verdict, output) = match result {
            Some(Ok(output)) => (attempt.succeed(output.clone()).await, Some(output)),
            Some(Err(error)) => {
                let retry = retry(attempt.number(), &error);
                (attempt.fail(error, retry).await, None)
            }
            None => (attempt.expire(Retry::ByPolicy).await, None),
        };
        match verdict {
            Verdict::Done => return Ok(output.unwrap()),
            Verdict::Streamed(_) => unreachable!("this step writes no stream"),
            Verdict::Failed(error) => return Err(error),
            Verdict::Retry(next) => attempt = next,
        }
    }
}

/// A step whose output is a stream of pieces of these sizes. Returns how many bytes can be read of it afterwards.
pub(crate) async fn stream<F, R>(run: &Arc<Run>, name: &str, pieces: F) -> Result<usize, ErrorInfo>
where
    F: Fn() -> R,
    R: Future<Output = Vec<usize>>,
{
    let mut attempt = match run.begin_step(name, StepOptions::default()).await {
        Begun::Recorded(_) => unreachable!("this step writes a stream"),
        Begun::RecordedStream(reader) => return read(reader).await,
        Begun::Failed(error) => return Err(error),
        Begun::Execute(attempt) => attempt,
    };
    loop {
        let body = async {
            for size in pieces().await {
                attempt.writer().write(&vec![7; size]).await?;
            }
            Ok::<_, ErrorInfo>(())
        };
        let verdict = match inside(&attempt, body).await {
            Some(Ok(())) => attempt.finish().await,
            Some(Err(error)) => attempt.fail(error, Retry::ByPolicy).await,
            None => attempt.expire(Retry::ByPolicy).await,
        };
        match verdict {
            Verdict::Done => unreachable!("this step writes a stream"),
            Verdict::Streamed(reader) => return read(reader).await,
            Verdict::Failed(error) => return Err(error),
            Verdict::Retry(next) => attempt = next,
        }
    }
}

async fn read(mut reader: StreamReader) -> Result<usize, ErrorInfo> {
    let mut bytes = 0;
    while let Some(piece) = reader.read().await? {
        assert!(piece.iter().all(|byte| *byte == 7));
        bytes += piece.len();
    }
    Ok(bytes)
}

/// Runs a body, so that the run knows whose it is. None: it took too long.
pub(crate) async fn inside<B: Future>(attempt: &Attempt, body: B) -> Option<B::Output> {
    let deadline = attempt.deadline();
    let mut body = pin!(body);
    let body = poll_fn(|context| {
        attempt.enter();
        let polled = body.as_mut().poll(context);
        attempt.leave();
        polled
    });
    tokio::select! { biased; result = body => Some(result), () = deadline => None }
}

/// What the steps of a saga share.
#[derive(Clone)]
pub(crate) struct Saga {
    pub(crate) run: Arc<Run>,
    pub(crate) effects: Effects,
    pub(crate) handlers: Handlers,
}

impl Saga {
    /// A step that leaves its name among the effects, and whose compensation leaves `undo <name>`.
    pub(crate) async fn step(&self, name: &str) -> Result<Bytes, ErrorInfo> {
        let effects = self.effects.clone();
        let undo = move |undoing: Undoing| {
            effects.add(&format!("undo {}", undoing.step.name));
            async { Ok(()) }
        };
        self.step_undone_by(name, RollbackOptions::default(), undo).await
    }

    /// A step that leaves its name among the effects, with this compensation.
    pub(crate) async fn step_undone_by<F, R>(
        &self,
        name: &str,
        rollback: RollbackOptions,
        undo: F,
    ) -> Result<Bytes, ErrorInfo>
    where
        F: Fn(Undoing) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), ErrorInfo>> + Send + 'static,
    {
        let body = |_| {
            self.effects.add(name);
            async { Ok(bytes(name)) }
        };
        let options = StepOptions { rollback: Some(rollback), ..StepOptions::default() };
        self.perform(name, options, body, undo).await
    }

    /// A step that fails for good, and whose compensation leaves `undo <name>`.
    pub(crate) async fn fail(&self, name: &str) -> Result<Bytes, ErrorInfo> {
        let body = |_| {
            self.effects.add(name);
            async { Err(ErrorInfo::new("NonRetryableError", "no")) }
        };
        let effects = self.effects.clone();
        let undo = move |undoing: Undoing| {
            effects.add(&format!("undo {}", undoing.step.name));
            async { Ok(()) }
        };
        let options = StepOptions { rollback: Some(RollbackOptions::default()), ..StepOptions::default() };
        self.perform(name, options, body, undo).await
    }

    pub(crate) async fn perform<B, R, F, U>(
        &self,
        name: &str,
        options: StepOptions,
        body: B,
        undo: F,
    ) -> Result<Bytes, ErrorInfo>
    where
        B: Fn(u32) -> R,
        R: Future<Output = Result<Bytes, ErrorInfo>>,
        F: Fn(Undoing) -> U + Send + Sync + 'static,
        U: Future<Output = Result<(), ErrorInfo>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |undoing| undo(undoing).boxed());
        self.handlers.add(name, Some(handler));
        step_with(&self.run, name, options, body).await
    }

    /// A step without a compensation.
    pub(crate) async fn plain(&self, name: &str) -> Result<Bytes, ErrorInfo> {
        self.handlers.add(name, None);
        note(&self.run, &self.effects, name).await
    }
}

/// This many retries, always after `delay_ms`.
pub(crate) fn retries(limit: u32, delay_ms: u64) -> RetryOptions {
    let delay = RetryDelay::Fixed(DurationSpec::Ms(delay_ms));
    RetryOptions { limit, delay, backoff: Some(Backoff::Constant) }
}

/// Options with these retries.
pub(crate) fn retrying(limit: u32, delay_ms: u64) -> StepOptions {
    StepOptions { retries: Some(retries(limit, delay_ms)), ..StepOptions::default() }
}
