//! One try of a step's body.

use std::sync::Arc;

use super::stream::StreamWriter;
use super::{Inner, Kind, Open, Run, StreamReader};
use crate::clock::Timestamp;
use crate::engine::{Answer, Bytes, Command, ErrorInfo, Outcome, Retry, StepConfig, StepKey, StepKind};

/// What a guest does about a step it asked for.
pub enum Begun {
    /// An earlier run recorded this output: do not run the body.
    Recorded(Bytes),
    /// An earlier run recorded this stream: do not run the body.
    RecordedStream(StreamReader),
    /// An earlier run recorded this failure; or the step is refused.
    Failed(ErrorInfo),
    /// Run the body.
    Execute(Attempt),
}

/// What follows from settling an attempt.
pub enum Verdict {
    /// The output is durable.
    Done,
    /// The stream is durable, and can be read from its start.
    Streamed(StreamReader),
    /// The step failed for good.
    Failed(ErrorInfo),
    /// Run the body again.
    Retry(Attempt),
}

/// One try of a step's body. Dropped unsettled: the step is recorded as abandoned.
pub struct Attempt {
    // Dropped first: the body is over before the step is.
    body: Body,
    /// The step it is of; none of a compensation, which nobody can give up.
    open: Option<Open>,
    writer: StreamWriter,
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

impl Body {
    /// Marks the body of `key`, while `inner` is held.
    fn begin(run: Arc<Run>, inner: &mut Inner, key: StepKey, number: u32) -> Self {
        inner.bodies.push((key.clone(), number));
        inner.body_begins();
        Self { run, key, number }
    }
}

impl Attempt {
    /// The first attempt of a step that is new: begun without asking anybody.
    pub(super) async fn begin(open: Open, config: Arc<StepConfig>, command: Command) -> Self {
        let run = Arc::clone(&open.run);
        let body = loop {
            if !open.nested {
                run.pass().await;
            }
            // The pause that may have come meanwhile sees either that nothing has begun, or that a body runs.
            let mut inner = run.lock();
            if open.nested || !inner.is_held() {
                inner.told.push(command);
                break Body::begin(Arc::clone(&run), &mut inner, open.key.clone(), 1);
            }
        };
        Self::new(body, Some(open), config)
    }

    pub(super) fn of_step(open: Open, number: u32, config: Arc<StepConfig>) -> Self {
        let run = Arc::clone(&open.run);
        let body = Body::begin(Arc::clone(&run), &mut run.lock(), open.key.clone(), number);
        Self::new(body, Some(open), config)
    }

    pub(super) fn of_compensation(run: &Arc<Run>, step: &StepKey, number: u32, config: Arc<StepConfig>) -> Self {
        let key = StepKey { kind: StepKind::Rollback, ..step.clone() };
        let body = Body::begin(Arc::clone(run), &mut run.lock(), key, number);
        Self::new(body, None, config)
    }

    fn new(body: Body, open: Option<Open>, config: Arc<StepConfig>) -> Self {
        let deadline = body.run.clock.now().plus_ms(config.timeout_ms);
        Self { body, open, writer: StreamWriter::default(), config, deadline }
    }

    /// The step's identity.
    #[must_use]
    pub fn key(&self) -> &StepKey {
        &self.body.key
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
        let mut inner = self.body.run.lock();
        inner.tells = true;
        inner.entered.push((self.body.key.clone(), self.body.number));
    }

    /// The guest comes out of the body.
    pub fn leave(&self) {
        self.body.run.lock().entered.pop();
    }

    /// Returns when the attempt has taken longer than its timeout. The dispatcher decides by its own timer: this only wakes the guest.
    pub fn deadline(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.body.run.clock.sleep_until(self.deadline)
    }

    /// Records the output. `Done` only after it is durable.
    pub async fn succeed(self, output: Bytes) -> Verdict {
        let command = Command::Succeed { key: self.body.key.clone(), attempt: self.body.number, output };
        self.settle(command, Kind::Commit).await
    }

    /// Records the failure; returns with the next attempt when the delay is over.
    pub async fn fail(self, error: ErrorInfo, retry: Retry) -> Verdict {
        let command = Command::Fail { key: self.body.key.clone(), attempt: self.body.number, error, retry };
        self.settle(command, Kind::Parked).await
    }

    /// The body was given up because of its timeout; returns as `fail` does.
    pub async fn expire(self, retry: Retry) -> Verdict {
        let command = Command::Expire { key: self.body.key.clone(), attempt: self.body.number, retry };
        self.settle(command, Kind::Parked).await
    }

    /// A writer for an output that is a stream. What it writes counts once [`Self::finish`] says so.
    #[must_use]
    pub fn writer(&self) -> StreamWriter {
        self.writer.of(&self.body.run, &self.body.key, self.body.number)
    }

    /// Records that what was written is the output.
    pub async fn finish(self) -> Verdict {
        let stream = self.writer().finish().await;
        let command = Command::Finish { key: self.body.key.clone(), attempt: self.body.number, stream };
        self.settle(command, Kind::Commit).await
    }

    async fn settle(self, command: Command, kind: Kind) -> Verdict {
        let Self { body, open, config, .. } = self;
        let (run, key) = (Arc::clone(&body.run), body.key.clone());
        // From here on the result is on its way: a pause waits for it as it would for the body.
        let asked = run.send(command, kind);
        drop(body);
        let mut answer = run.answer(asked).await;
        if answer == Answer::Later {
            let (alone, nested) = open.as_ref().map_or((true, false), |open| (open.alone, open.nested));
            let command = Command::BeginStep { key: key.clone(), config, rollback: None, nested, alone };
            answer = run.ask(command, Kind::Parked).await;
        }
        match (answer, open) {
            (Answer::Execute { attempt, config }, Some(open)) => Verdict::Retry(Self::of_step(open, attempt, config)),
            (Answer::Compensate(call), None) => {
                Verdict::Retry(Self::of_compensation(&run, &call.step, call.attempt, call.config))
            }
            (Answer::Settled(outcome), open) => {
                if let Some(mut open) = open {
                    open.over = true;
                }
                match outcome {
                    Outcome::Failed(error) => Verdict::Failed(error),
                    Outcome::Stream(step, stream) => Verdict::Streamed(StreamReader::new(&run, &key, step, stream)),
                    _ => Verdict::Done,
                }
            }
            _ => std::future::pending().await,
        }
    }
}
