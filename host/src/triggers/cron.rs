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
            let ms = took.elapsed().as_millis();
            // Why it failed has been told where it happened.
            match outcome.error {
                None => tracing::info!("cron `{cron}` of {worker}: ok ({ms} ms)"),
                Some(_) => tracing::warn!("cron `{cron}` of {worker}: {} ({ms} ms)", outcome.as_str()),
            }
            drop(hold);
        });
    }
}
