//! Doubles for tests: a clock moved by hand, and a runner whose workflows are Rust closures.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::dispatcher::GuestRunner;
use crate::engine::{Bytes, ErrorInfo};
use crate::run::{Driven, Run, RunEnd, drive};

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

type Script = Arc<dyn Fn(Arc<Run>) -> BoxFuture<'static, Result<Bytes, ErrorInfo>> + Send + Sync>;

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
        F: Fn(Arc<Run>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
    {
        self.scripts.insert(name.to_owned(), Arc::new(move |run| script(run).boxed()));
        self
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
            let guest = {
                let run = Arc::clone(&run);
                async move {
                    let outcome = script(Arc::clone(&run)).await;
                    run.settle(outcome).await;
                }
            };
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
