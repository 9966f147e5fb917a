//! Cron triggers that fire: calls the handlers of Workers.
//!
//! Promises: the clock is held until the handler, and all it lets run on, has ended; a handler that is still running when its next
//! moment comes runs beside it, as in production. Never does: decide when.

use miniflow_runtime::clock::Stopwatch;
use miniflow_runtime::dispatcher::{CronRunner, Firing};
use tokio::runtime::Handle;

use crate::wasm::Workers;

/// Calls handlers on `tokio`.
pub struct Crons {
    workers: Workers,
    tokio: Handle,
}

impl Crons {
    /// For the handlers of `workers`.
    #[must_use]
    pub fn new(workers: Workers, tokio: Handle) -> Self {
        Self { workers, tokio }
    }
}

impl CronRunner for Crons {
    fn fire(&self, firing: Firing) {
        let slot = self.workers.slot(&firing.worker);
        self.tokio.spawn(async move {
            let Firing { worker, cron, time, hold } = firing;
            let generation = slot.wait_for(|_| true).await;
            let took = Stopwatch::start();
            let outcome = generation.fire(cron.clone(), time).await;
            let duration_ms = u64::try_from(took.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (kind, event) = ("cron", outcome.as_str());
            // Why it failed has been told where it happened.
            match outcome.error {
                None => tracing::info!(kind, event, %worker, cron, duration_ms, "cron `{cron}` of {worker}: {event} ({duration_ms} ms)"),
                Some(_) => tracing::warn!(kind, event, %worker, cron, duration_ms, "cron `{cron}` of {worker}: {event} ({duration_ms} ms)"),
            }
            drop(hold);
        });
    }
}
