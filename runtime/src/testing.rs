//! Doubles for tests: a clock moved by hand, and a runner whose workflows are Rust closures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::dispatcher::GuestRunner;
use crate::engine::{Bytes, ErrorInfo, Retry, StepConfig, StepKey};
use crate::run::{Compensating, Driven, Fit, Run, RunEnd, Trial, Verdict, drive};

pub use crate::storage::memory::MemoryStorage;

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct SimClock(Arc<watch::Sender<u64>>);

impl SimClock {
    /// A clock at this moment.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(now.0 * 1_000_000)))
    }

    /// Moves it forward by milliseconds; whoever sleeps until then is woken.
    pub fn advance_ms(&self, ms: u64) {
        self.0.send_modify(|now| *now += ms * 1_000_000);
    }

    /// Moves it to `when`, unless it is there or later already.
    pub fn advance_to(&self, when: Timestamp) {
        self.0.send_modify(|now| *now = (*now).max(when.0.saturating_mul(1_000_000)));
    }
}

impl Clock for SimClock {
    fn now_ns(&self) -> u64 {
        *self.0.borrow()
    }

    fn sleep_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()> {
        let mut moved = self.0.subscribe();
        async move {
            // An error means that the clock is gone: then no time passes any more.
            if moved.wait_for(|now| *now >= when_ns).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

type Script = Arc<dyn Fn(Arc<Run>, Handlers) -> BoxFuture<'static, Result<Bytes, ErrorInfo>> + Send + Sync>;

/// Undoes a step.
pub type Handler = Arc<dyn Fn(Undoing) -> BoxFuture<'static, Result<(), ErrorInfo>> + Send + Sync>;

/// What a handler is told.
pub struct Undoing {
    /// The run it is part of.
    pub run: Arc<Run>,
    /// The step to be undone.
    pub step: StepKey,
    /// Its last attempt.
    pub step_attempt: u32,
    /// Its options.
    pub step_config: Arc<StepConfig>,
    /// What it returned.
    pub output: Option<Bytes>,
    /// Why everything is undone.
    pub cause: ErrorInfo,
    /// Number of the attempt of the compensation.
    pub attempt: u32,
    /// Options of the compensation.
    pub config: StepConfig,
}

/// The handlers that the code of one run has come by. As an SDK does, it counts the steps of a name by itself.
#[derive(Clone, Default)]
pub struct Handlers(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    counts: HashMap<String, u32>,
    handlers: HashMap<(String, u32), Handler>,
}

impl Handlers {
    /// To be called before each `do`, with its handler if it has one.
    pub fn add(&self, name: &str, handler: Option<Handler>) {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = registry.counts.entry(name.to_owned()).or_default();
        *count += 1;
        let count = *count;
        if let Some(handler) = handler {
            registry.handlers.insert((name.to_owned(), count), handler);
        }
    }

    fn of(&self, step: &StepKey) -> Option<Handler> {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.handlers.get(&(step.name.to_string(), step.count)).cloned()
    }
}

/// Runs closures in the place of guests, each as a task of the tokio runtime it was made in.
#[derive(Clone)]
pub struct ScriptedRunner {
    scripts: HashMap<String, Script>,
    runtime: tokio::runtime::Handle,
}

impl ScriptedRunner {
    /// No classes yet. To be called in a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self { scripts: HashMap::new(), runtime: tokio::runtime::Handle::current() }
    }

    /// Adds a class whose `run` is `script`. A panic in it is a trap.
    #[must_use]
    pub fn class<F, R>(mut self, name: &str, script: F) -> Self
    where
        F: Fn(Arc<Run>, Handlers) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
    {
        self.scripts.insert(name.to_owned(), Arc::new(move |run, handlers| script(run, handlers).boxed()));
        self
    }
}

impl ScriptedRunner {
    /// Tries the code on what is recorded of an instance.
    pub async fn try_out(&self, handle: &crate::Handle, mut trial: Trial) -> Fit {
        let run = Arc::clone(trial.run());
        let Some(script) = self.scripts.get(run.class_name()).cloned() else {
            return Fit::Fails { message: format!("there is no class `{}`", run.class_name()) };
        };
        let guest = std::panic::AssertUnwindSafe(execute(run, script)).catch_unwind();
        match trial.look(handle, guest).await {
            Some(Err(panic)) => {
                let message = panic.downcast_ref::<&str>().map_or("panic", |text| *text);
                Fit::Fails { message: message.to_owned() }
            }
            _ => trial.fit(),
        }
    }
}

impl Default for ScriptedRunner {
    fn default() -> Self {
        Self::new()
    }
}

impl GuestRunner for ScriptedRunner {
    fn start(&self, run: Arc<Run>) {
        let script = self.scripts.get(run.class_name()).cloned();
        self.runtime.spawn(async move {
            let Some(script) = script else {
                let error = ErrorInfo::new("Error", format!("there is no class `{}`", run.class_name()));
                return run.ended(RunEnd::Trapped { error });
            };
            let guest = execute(Arc::clone(&run), script);
            let mut guest = Box::pin(std::panic::AssertUnwindSafe(guest).catch_unwind());
            match drive(&run, guest.as_mut()).await {
                Driven::Finished(Ok(())) => run.ended(RunEnd::Returned),
                Driven::Finished(Err(panic)) => {
                    let message = panic.downcast_ref::<&str>().map_or("panic", |text| *text);
                    run.ended(RunEnd::Trapped { error: ErrorInfo::new("Error", message) });
                }
                Driven::Stopped => {}
            }
        });
    }
}

/// One run, as an SDK does it.
async fn execute(run: Arc<Run>, script: Script) {
    let handlers = Handlers::default();
    let outcome = tokio::select! {
        biased;
        outcome = script(Arc::clone(&run), handlers.clone()) => Some(outcome),
        () = run.rollback_requested() => None,
    };
    let rolls_back = match outcome {
        Some(outcome) => run.settle(outcome).await,
        None => true,
    };
    if rolls_back {
        while let Some(call) = run.next_rollback().await {
            compensate(&run, &handlers, call).await;
        }
    }
}

async fn compensate(run: &Arc<Run>, handlers: &Handlers, call: Compensating) {
    let Compensating { mut attempt, step, step_attempt, step_config, cause, output } = call;
    loop {
        let undoing = Undoing {
            run: Arc::clone(run),
            step: step.clone(),
            step_attempt,
            step_config: Arc::clone(&step_config),
            output: output.clone(),
            cause: cause.clone(),
            attempt: attempt.number(),
            config: attempt.config().clone(),
        };
        let verdict = match handlers.of(&step) {
            None => {
                let error = ErrorInfo::new("RollbackMissing", "Rollback function not available in registry");
                attempt.fail(error, Retry::Never).await
            }
            Some(handler) => {
                let deadline = attempt.deadline();
                let result =
                    tokio::select! { biased; result = handler(undoing) => Some(result), () = deadline => None };
                match result {
                    Some(Ok(())) => attempt.succeed(Bytes::from_static(b"null")).await,
                    Some(Err(error)) => {
                        let retry = if error.name == "NonRetryableError" { Retry::Never } else { Retry::ByPolicy };
                        attempt.fail(error, retry).await
                    }
                    None => attempt.expire(Retry::ByPolicy).await,
                }
            }
        };
        let Verdict::Retry(next) = verdict else { return };
        attempt = next;
    }
}
