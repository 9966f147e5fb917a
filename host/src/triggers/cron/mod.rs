//! Cron triggers that fire: calls the handlers of Workers, and keeps what came of that and of schedules.
//!
//! Promises: the clock is held until the handler, and all it lets run on, has ended; a handler that is still running when its next
//! moment comes runs beside it, as in production. Never does: decide when.

mod outcomes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use miniflow_runtime::clock::{Hold, Stopwatch};
use miniflow_runtime::dispatcher::{CronRunner, Firing, Made};
use miniflow_runtime::storage::CronTarget;
use miniflow_runtime::{Clock, Timestamp};
use tokio::runtime::Handle;

use self::outcomes::Outcomes;
pub use self::outcomes::{Came, KEPT_MAX, Outcome};
use crate::wasm::{ScheduledOutcome, Workers};

/// Calls handlers on `tokio`. Cheap to clone; all clones keep the same outcomes.
#[derive(Clone)]
pub struct Crons(Arc<Shared>);

struct Shared {
    workers: Workers,
    tokio: Handle,
    clock: Arc<dyn Clock>,
    outcomes: Mutex<Outcomes>,
}

impl Crons {
    /// For the handlers of `workers`.
    #[must_use]
    pub fn new(workers: Workers, clock: Arc<dyn Clock>, tokio: Handle) -> Self {
        Self(Arc::new(Shared { workers, tokio, clock, outcomes: Mutex::default() }))
    }

    /// Calls the handler of `worker` by hand. Returns when it has ended.
    pub async fn call(&self, worker: &str, cron: String, time: Timestamp) -> (ScheduledOutcome, Outcome) {
        let hold = self.0.clock.hold();
        self.handle(worker.to_owned(), cron, time, true, hold).await
    }

    /// Keeps that the schedule of `workflow` was fired by hand, which made the instance `id`.
    pub(crate) fn made_by_hand(&self, workflow: &str, cron: &str, time: Timestamp, id: String) -> Outcome {
        let target = CronTarget::Workflow(workflow.to_owned());
        self.keep(Outcome { target, cron: cron.to_owned(), time, by_hand: true, came: Came::Made { id } })
    }

    async fn handle(
        &self,
        worker: String,
        cron: String,
        time: Timestamp,
        by_hand: bool,
        hold: Hold,
    ) -> (ScheduledOutcome, Outcome) {
        let generation = self.0.workers.slot(&worker).wait_for(|_| true).await;
        let took = Stopwatch::start();
        let outcome = generation.fire(cron.clone(), time).await;
        let took = took.elapsed();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (kind, event, hand) = ("cron", outcome.as_str(), if by_hand { ", by hand" } else { "" });
        // Why it failed has been told where it happened.
        match outcome.error {
            None => {
                tracing::info!(kind, event, %worker, cron, duration_ms, by_hand, "cron `{cron}` of {worker}: {event} ({duration_ms} ms){hand}")
            }
            Some(_) => {
                tracing::warn!(kind, event, %worker, cron, duration_ms, by_hand, "cron `{cron}` of {worker}: {event} ({duration_ms} ms){hand}")
            }
        }
        let came = Came::Ended { error: outcome.error.clone(), took };
        let kept = self.keep(Outcome { target: CronTarget::Worker(worker), cron, time, by_hand, came });
        drop(hold);
        (outcome, kept)
    }

    fn keep(&self, outcome: Outcome) -> Outcome {
        self.outcomes().add(outcome.clone());
        outcome
    }

    fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.0.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last outcomes, newest first: [`KEPT_MAX`] of them.
    #[must_use]
    pub fn recent(&self) -> Vec<Outcome> {
        self.outcomes().recent()
    }

    /// The last outcome of an expression, however long ago.
    #[must_use]
    pub fn last(&self, target: &CronTarget, cron: &str) -> Option<Outcome> {
        self.outcomes().last(target, cron)
    }
}

impl CronRunner for Crons {
    fn fire(&self, firing: Firing) {
        let crons = self.clone();
        self.0.tokio.spawn(async move {
            let Firing { worker, cron, time, hold } = firing;
            crons.handle(worker, cron, time, false, hold).await;
        });
    }

    fn made(&self, made: Made) {
        let Made { workflow, cron, time, id, is_new } = made;
        let came = if is_new { Came::Made { id } } else { Came::Existed { id } };
        self.keep(Outcome { target: CronTarget::Workflow(workflow), cron, time, by_hand: false, came });
    }
}
