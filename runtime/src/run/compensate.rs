//! Compensations as the guest runs them.

use std::sync::Arc;

use futures::future::{Either, select};

use super::{Attempt, Kind, Run};
use crate::engine::{Answer, Bytes, Command, Compensation, ErrorInfo, StepConfig, StepKey};

/// How long code outside of steps may wait for something of its own while the handlers are collected, milliseconds on the clock.
const COLLECT_MS_MAX: u64 = 30_000;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// To go on with the instance.
    Running,
    /// To come by the handlers: what is recorded is handed out, nothing else.
    Collecting,
    /// `run` is over; compensations run.
    Compensating,
}

/// A compensation to be run.
pub struct Compensating {
    /// Settle it like any attempt; the output does not matter.
    pub attempt: Attempt,
    /// The step to be undone.
    pub step: StepKey,
    /// Its last attempt.
    pub step_attempt: u32,
    /// Its options.
    pub step_config: Arc<StepConfig>,
    /// Why everything is undone.
    pub cause: ErrorInfo,
    /// What the step returned.
    pub output: Option<Bytes>,
}

impl Run {
    /// Returns when `run` is to be given up and the compensations are to be run. Never, in a run that goes on with its instance.
    pub async fn rollback_requested(self: &Arc<Self>) {
        if self.lock().phase != Phase::Collecting {
            std::future::pending::<()>().await;
        }
        let late = self.clock.sleep_until(self.clock.now().plus_ms(COLLECT_MS_MAX));
        if let Either::Right(_) = select(Box::pin(self.rollback_ready.notified()), late).await {
            tracing::warn!(
                workflow = self.workflow_name(),
                instance = self.instance_id(),
                "the code waits for something else than steps: rolling back with the handlers that it has by now"
            );
        }
        self.goes_live().await;
        self.lock().phase = Phase::Compensating;
        // What the guest drops now it does not drop by its decision.
        self.closed.store(true, std::sync::atomic::Ordering::Release);
    }

    /// The next compensation, when it may begin. None: it was the last, or one has failed; the instance has ended.
    pub async fn next_rollback(self: &Arc<Self>) -> Option<Compensating> {
        self.pass().await;
        match self.ask(Command::NextRollback, Kind::Parked).await {
            Answer::Compensate(call) => {
                let Compensation { step, step_attempt, step_config, output, cause, attempt, config } = *call;
                let attempt = Attempt::of_compensation(self, &step, attempt, config);
                Some(Compensating { attempt, step, step_attempt, step_config, cause, output })
            }
            _ => {
                self.lock().over = true;
                None
            }
        }
    }
}
