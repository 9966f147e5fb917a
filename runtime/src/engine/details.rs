//! A journal as what happened to each step: when, how often, with what result. What people look at.
//!
//! Promises: says nothing that is not in the journal; a restart leaves what it left in the journal. Never does: read a clock, so what is
//! going on has no end, whatever the time is.

use std::sync::Arc;

use super::{
    Bytes, Entry, ErrorInfo, Instance, InstanceStatus, Outcome, ReceivedEvent, RollbackOutcome, Stamped, StepConfig,
    StepKey, StepKind, StepNo, StepState, text,
};
use crate::clock::Timestamp;

/// What became of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    /// Its status.
    pub status: InstanceStatus,
    /// When it was created, or restarted from its beginning.
    pub queued: Timestamp,
    /// When its first run began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When something happens by itself, if it waits.
    pub wake_at: Option<Timestamp>,
    /// JSON; what `run` returned.
    pub output: Option<Bytes>,
    /// Why it failed.
    pub error: Option<ErrorInfo>,
    /// How its compensations went, once they have.
    pub rollback: Option<RollbackOutcome>,
    /// Its steps in the order they were first asked for; compensations are steps of their own, of the kind `Rollback`.
    pub steps: Vec<StepDetails>,
    /// Events that nobody has waited for yet, oldest first.
    pub pending_events: Vec<ReceivedEvent>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDetails {
    /// Its place in [`Details::steps`], by which streams are found.
    pub no: StepNo,
    /// Its identity.
    pub key: StepKey,
    /// It was asked for by the body of another step.
    pub nested: bool,
    /// It has a compensation.
    pub has_rollback: bool,
    /// When it was first asked for.
    pub started: Timestamp,
    /// When it was over: done, dropped by the guest, or cut off by the end of the instance.
    pub ended: Option<Timestamp>,
    /// Where it stands. What it returned is here.
    pub state: StepState,
    /// Options in force, of a `do` or a compensation.
    pub config: Option<Arc<StepConfig>>,
    /// What it waits for, of a wait.
    pub event_type: Option<Arc<str>>,
    /// Its attempts, of a `do` or a compensation.
    pub attempts: Vec<AttemptDetails>,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptDetails {
    /// Its number, from 1. One that was interrupted is made again under the same number.
    pub attempt: u32,
    /// When it began.
    pub started: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// How: none while it runs, and when it was cut off.
    pub result: Option<Result<(), ErrorInfo>>,
    /// When another may begin, if one was to.
    pub retry_at: Option<Timestamp>,
}

impl Details {
    /// The step that Cloudflare's logs call `name` (`<name>-<count>`), if it is of this kind.
    #[must_use]
    pub fn step(&self, kind: StepKind, name: &str) -> Option<&StepDetails> {
        self.steps.iter().find(|step| step.key.kind == kind && step.key.to_string() == name)
    }
}

impl StepDetails {
    /// Whether it did what it was to do; none while that is open, and for ever when it was dropped or cut off.
    #[must_use]
    pub fn success(&self) -> Option<bool> {
        match &self.state {
            StepState::Done(Outcome::Failed(_)) => Some(false),
            StepState::Done(_) => Some(true),
            _ => None,
        }
    }

    /// Why it failed for good.
    #[must_use]
    pub fn error(&self) -> Option<&ErrorInfo> {
        match &self.state {
            StepState::Done(Outcome::Failed(error)) => Some(error),
            _ => None,
        }
    }

    /// When it changes by itself, as far as it stands: whoever asks knows whether the instance is paused or over.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if self.ended.is_some() { None } else { self.state.deadline() }
    }

    fn open_attempt(&mut self) -> Option<&mut AttemptDetails> {
        self.attempts.last_mut().filter(|attempt| attempt.ended.is_none())
    }
}

/// The details that `entries` lead to, of an instance that was created at `created`.
pub fn of(created: Timestamp, entries: impl IntoIterator<Item = Stamped>) -> Details {
    let mut fold = Fold { instance: Instance::new(), queued: created, ended: None, steps: Vec::new() };
    for stamped in entries {
        fold.take(stamped);
    }
    fold.finish()
}

/// The state, and beside it the times that it does not have.
struct Fold {
    instance: Instance,
    queued: Timestamp,
    ended: Option<Timestamp>,
    steps: Vec<StepDetails>,
}

impl Fold {
    fn take(&mut self, stamped: Stamped) {
        let at = stamped.at;
        match &stamped.entry {
            Entry::StepStarted { key, config, rollback, .. } => {
                let step = self.add(key, at);
                step.has_rollback = rollback.is_some();
                step.config = Some(Arc::clone(config));
                step.attempts.push(begun(1, at));
            }
            Entry::SleepStarted { key, .. } => {
                self.add(key, at);
            }
            Entry::WaitStarted { key, event_type, .. } => {
                self.add(key, at).event_type = Some(Arc::clone(event_type));
            }
            Entry::Completed { .. } | Entry::Errored { .. } | Entry::Terminated => {
                self.cut(at);
                self.ended = Some(at);
            }
            // From here on compensations are steps of their own.
            Entry::RollbackStarted { .. } => self.cut(at),
            Entry::Restarted { from, .. } => self.start_again(*from, at),
            entry => {
                if let Some(step) = entry.step().and_then(|no| self.steps.get_mut(no as usize)) {
                    step.take(entry, at);
                }
            }
        }
        self.instance.evolve(stamped);
    }

    fn add(&mut self, key: &StepKey, at: Timestamp) -> &mut StepDetails {
        let no = self.instance.next_step();
        self.steps.push(StepDetails {
            no,
            key: key.clone(),
            nested: false,
            has_rollback: false,
            started: at,
            ended: None,
            // Taken from the instance in the end, as `nested` is.
            state: StepState::Done(Outcome::Stored),
            config: None,
            event_type: None,
            attempts: Vec::new(),
        });
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    /// Nothing that is open will be done any more.
    fn cut(&mut self, at: Timestamp) {
        for step in self.steps.iter_mut().filter(|step| step.ended.is_none()) {
            step.ended = Some(at);
            if let Some(attempt) = step.open_attempt() {
                attempt.ended = Some(at);
            }
        }
    }

    fn start_again(&mut self, from: Option<StepNo>, at: Timestamp) {
        self.ended = None;
        self.steps.truncate(from.unwrap_or(0) as usize);
        if from.is_none() {
            self.queued = at;
        }
        for step in &mut self.steps {
            if let Some(attempt) = step.open_attempt() {
                attempt.ended = Some(at);
            }
        }
        // What the end had cut off is open again.
        for (step, state) in self.steps.iter_mut().zip(self.instance.steps()) {
            if state.state.is_open() {
                step.ended = None;
            }
        }
    }

    fn finish(self) -> Details {
        let Self { instance, queued, ended, mut steps } = self;
        for (step, state) in steps.iter_mut().zip(instance.steps()) {
            (step.state, step.nested) = (state.state.clone(), state.is_nested());
            // A pause has moved it since.
            if let (StepState::Retrying { at, .. }, Some(attempt)) = (&step.state, step.attempts.last_mut())
                && attempt.retry_at.is_some()
            {
                attempt.retry_at = Some(*at);
            }
        }
        Details {
            status: instance.status(),
            queued,
            started: instance.started(),
            ended,
            wake_at: instance.wake_at(),
            output: instance.output().cloned(),
            error: instance.error().cloned(),
            rollback: instance.rollback().cloned(),
            steps,
            pending_events: instance.buffered_events().cloned().collect(),
        }
    }
}

impl StepDetails {
    /// Takes in an entry about this step.
    fn take(&mut self, entry: &Entry, at: Timestamp) {
        match entry {
            Entry::AttemptStarted { attempt, .. } => {
                self.ended = None;
                self.attempts.push(begun(*attempt, at));
            }
            Entry::StepSucceeded { .. } | Entry::StepStreamed { .. } => {
                self.close(at, Some(Ok(())), None);
                self.ended = Some(at);
            }
            Entry::StepFailed { error, .. } => {
                self.close(at, Some(Err(error.clone())), None);
                self.ended = Some(at);
            }
            Entry::AttemptFailed { error, retry_at, .. } => {
                self.close(at, Some(Err(error.clone())), Some(*retry_at));
            }
            Entry::AttemptInterrupted { .. } => self.close(at, Some(Err(text::attempt_lost())), Some(at)),
            Entry::StepAbandoned { .. } => {
                self.close(at, None, None);
                self.ended = Some(at);
            }
            Entry::StepReopened { .. } => self.ended = None,
            Entry::SleepCompleted { .. } | Entry::WaitCompleted { .. } | Entry::WaitTimedOut { .. } => {
                self.ended = Some(at);
            }
            _ => {}
        }
    }

    fn close(&mut self, at: Timestamp, result: Option<Result<(), ErrorInfo>>, retry_at: Option<Timestamp>) {
        if let Some(attempt) = self.open_attempt() {
            attempt.ended = Some(at);
            attempt.result = result;
            attempt.retry_at = retry_at;
        }
    }
}

fn begun(attempt: u32, at: Timestamp) -> AttemptDetails {
    AttemptDetails { attempt, started: at, ended: None, result: None, retry_at: None }
}

#[cfg(test)]
mod tests;
