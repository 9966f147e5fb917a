//! One try of a step's body.

use std::sync::Arc;

use super::{Kind, Open, Run};
use crate::clock::Timestamp;
use crate::engine::{Answer, Bytes, Command, ErrorInfo, Outcome, StepConfig, StepKey};

/// What a guest does about a step it asked for.
pub enum Begun {
    /// An earlier run recorded this output: do not run the body.
    Recorded(Bytes),
    /// An earlier run recorded this failure; or the step is refused.
    Failed(ErrorInfo),
    /// Run the body.
    Execute(Attempt),
}

/// What follows from settling an attempt.
pub enum Verdict {
    /// The output is durable.
    Done,
    /// The step failed for good.
    Failed(ErrorInfo),
    /// Run the body again.
    Retry(Attempt),
}

/// One try of a step's body. Dropped unsettled: the step is recorded as abandoned.
pub struct Attempt {
    // Dropped first: the body is over before the step is.
    body: Body,
    open: Open,
    config: Arc<StepConfig>,
    deadline: Timestamp,
}

/// Marks that the guest runs a body.
struct Body {
    run: Arc<Run>,
    key: StepKey,
    number: u32,
}

impl Drop for Body {
    fn drop(&mut self) {
        // It stays known as the body that was running.
        if std::thread::panicking() {
            return;
        }
        let mut inner = self.run.lock();
        if let Some(index) = inner.bodies.iter().position(|(key, number)| *number == self.number && *key == self.key) {
            inner.bodies.swap_remove(index);
        }
    }
}

impl Attempt {
    pub(super) fn new(open: Open, number: u32, config: Arc<StepConfig>) -> Self {
        let run = Arc::clone(&open.run);
        let deadline = run.clock.now().plus_ms(config.timeout_ms);
        run.lock().bodies.push((open.key.clone(), number));
        let body = Body { run, key: open.key.clone(), number };
        Self { body, open, config, deadline }
    }

    /// The step's identity.
    #[must_use]
    pub fn key(&self) -> &StepKey {
        &self.open.key
    }

    /// From 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.body.number
    }

    /// Options in force.
    #[must_use]
    pub fn config(&self) -> &StepConfig {
        &self.config
    }

    /// The guest goes into the body: until [`Self::leave`], what happens in the run is this step's.
    pub fn enter(&self) {
        self.body.run.lock().entered.push((self.body.key.clone(), self.body.number));
    }

    /// The guest comes out of the body.
    pub fn leave(&self) {
        self.body.run.lock().entered.pop();
    }

    /// Returns when the attempt has taken longer than its timeout. The dispatcher decides by its own timer: this only wakes the guest.
    pub fn deadline(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.open.run.clock.sleep_until(self.deadline)
    }

    /// Records the output. `Done` only after it is durable.
    pub async fn succeed(self, output: Bytes) -> Verdict {
        let command = Command::Succeed { key: self.open.key.clone(), attempt: self.body.number, output };
        self.settle(command, Kind::Commit).await
    }

    /// Records the failure; returns with the next attempt when the delay is over.
    pub async fn fail(self, error: ErrorInfo, retryable: bool) -> Verdict {
        let command = Command::Fail { key: self.open.key.clone(), attempt: self.body.number, error, retryable };
        self.settle(command, Kind::Parked).await
    }

    /// The body was given up because of its timeout; returns as `fail` does.
    pub async fn expire(self) -> Verdict {
        let command = Command::Expire { key: self.open.key.clone(), attempt: self.body.number };
        self.settle(command, Kind::Parked).await
    }

    async fn settle(self, command: Command, kind: Kind) -> Verdict {
        let Self { body, mut open, config, .. } = self;
        drop(body);
        let run = Arc::clone(&open.run);
        let mut answer = run.ask(command, kind).await;
        if answer == Answer::Later {
            let command = Command::BeginStep { key: open.key.clone(), config, alone: open.alone };
            answer = run.ask(command, Kind::Parked).await;
        }
        match answer {
            Answer::Later => std::future::pending().await,
            Answer::Execute { attempt, config } => Verdict::Retry(Self::new(open, attempt, config)),
            Answer::Settled(outcome) => {
                open.over = true;
                match outcome {
                    Outcome::Failed(error) => Verdict::Failed(error),
                    _ => Verdict::Done,
                }
            }
        }
    }
}
