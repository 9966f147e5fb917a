//! Taking entries into the state.

use std::sync::Arc;

use super::Instance;
use super::rollback::Rollback;
use crate::clock::Timestamp;
use crate::engine::{
    Entry, InstanceStatus, Outcome, ReceivedEvent, RollbackOutcome, Stamped, Step, StepConfig, StepNo, StepState, Undo,
    text,
};

impl Instance {
    /// Takes a fact into the state. Total: a stored entry can always be applied; one about a step that does not exist is
    /// passed over.
    pub fn evolve(&mut self, stamped: Stamped) {
        let Stamped { at, entry } = stamped;
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(entry.bytes());
        self.changed = at;
        if !matches!(entry, Entry::Running | Entry::Waiting | Entry::Queued | Entry::Resumed) {
            self.last_at = at;
        }
        match entry {
            Entry::Running => {
                self.status = InstanceStatus::Running;
                if self.started.is_none() {
                    (self.started, self.last_at) = (Some(at), at);
                }
                self.news = false;
            }
            Entry::Waiting => {
                self.status = InstanceStatus::Waiting;
                self.news = false;
            }
            Entry::Queued => self.status = InstanceStatus::Queued,
            Entry::StepStarted { key, alone, config, rollback, nested } => {
                let undo = rollback
                    .map(|rollback| Box::new(Undo { config: rollback, step_config: Arc::clone(&config), attempt: 1 }));
                let deadline = at.plus_ms(config.timeout_ms);
                let state = StepState::Executing { attempt: 1, deadline, config };
                self.add_step(Step { key, alone, nested: Some(nested), undo, state });
            }
            Entry::SleepStarted { key, alone, wake_at, nested } => {
                self.add_step(Step { key, alone, nested, undo: None, state: StepState::Sleeping { wake_at } });
            }
            Entry::WaitStarted { key, alone, event_type, deadline, timeout_ms, nested } => {
                let state = StepState::Waiting { event_type, deadline, timeout_ms };
                self.add_step(Step { key, alone, nested, undo: None, state });
            }
            Entry::AttemptStarted { step, attempt } => {
                let Some(config) = self.config(step) else { return };
                if let Some(undo) = self.steps.get_mut(step as usize).and_then(|step| step.undo.as_mut()) {
                    undo.attempt = attempt;
                }
                self.set(step, StepState::Executing { attempt, deadline: at.plus_ms(config.timeout_ms), config });
                self.open.insert(step);
            }
            Entry::AttemptFailed { step, retry_at, .. } => self.retry(step, retry_at, 1),
            Entry::AttemptInterrupted { step } => self.retry(step, at, 0),
            Entry::StepAbandoned { step } => {
                if self.open.remove(&step)
                    && let Some(was) = self.state(step).cloned().map(Box::new)
                {
                    self.set(step, StepState::Abandoned { was });
                }
            }
            Entry::StepReopened { step } => {
                if let Some(StepState::Abandoned { was }) = self.state(step) {
                    let was = (**was).clone();
                    self.set(step, was);
                    self.open.insert(step);
                }
            }
            Entry::StepSucceeded { step, output } => self.finish(step, Outcome::Output(output)),
            Entry::StepStreamed { step, stream } => self.finish(step, Outcome::Stream(step, stream)),
            Entry::StepFailed { step, error } => self.finish(step, Outcome::Failed(error)),
            Entry::SleepCompleted { step } => self.finish(step, Outcome::Elapsed),
            Entry::WaitTimedOut { step } => {
                if let Some(StepState::Waiting { timeout_ms, .. }) = self.state(step) {
                    let error = text::timed_out(*timeout_ms);
                    self.finish(step, Outcome::Failed(error));
                }
            }
            Entry::EventReceived { event_type, payload } => {
                self.events.insert(self.next_event, ReceivedEvent { event_type, payload, timestamp: at });
                self.next_event += 1;
            }
            Entry::WaitCompleted { step, event } => {
                if let Some(event) = self.events.remove(&event) {
                    self.finish(step, Outcome::Event(event));
                }
            }
            Entry::Completed { output } => {
                self.status = InstanceStatus::Complete;
                self.output = Some(output);
            }
            Entry::Errored { error } => {
                self.status = InstanceStatus::Errored;
                self.error = Some(error);
            }
            Entry::PauseRequested => self.status = InstanceStatus::WaitingForPause,
            Entry::PauseCancelled => self.status = InstanceStatus::Running,
            Entry::Paused => {
                self.status = InstanceStatus::Paused;
                self.paused_at = Some(at);
            }
            Entry::Resumed => {
                self.status = InstanceStatus::Queued;
                if let Some(paused_at) = self.paused_at.take() {
                    self.shift(at.0.saturating_sub(paused_at.0));
                }
            }
            Entry::Terminated => self.status = InstanceStatus::Terminated,
            Entry::Restarted { from, entries } => self.start_again(from, entries, at),
            Entry::RollbackStarted { cause, terminate } => {
                self.status = InstanceStatus::RollingBack;
                // What is not over will never be: only compensations are open from now on.
                self.open.clear();
                self.paused_at = None;
                self.rollback = Some(Rollback::new(cause, terminate, self.next_step()));
            }
            Entry::RollbackFinished { error } => {
                if let Some(rollback) = &mut self.rollback {
                    rollback.outcome = Some(RollbackOutcome { error });
                }
            }
        }
    }

    fn add_step(&mut self, step: Step) {
        let no = self.next_step();
        self.by_key.insert(step.key.clone(), no);
        self.steps.push(step);
        self.open.insert(no);
    }

    /// Moves what is waited for by the length of a pause.
    fn shift(&mut self, ms: u64) {
        for step in &mut self.steps {
            let state = match &mut step.state {
                StepState::Abandoned { was } => &mut **was,
                state => state,
            };
            match state {
                StepState::Sleeping { wake_at: at }
                | StepState::Waiting { deadline: at, .. }
                | StepState::Retrying { at, .. } => *at = at.plus_ms(ms),
                StepState::Executing { .. } | StepState::Abandoned { .. } | StepState::Done(_) => {}
            }
        }
    }

    /// Forgets the steps from `from` on, and everything else but what came before it.
    fn start_again(&mut self, from: Option<StepNo>, entries: u64, at: Timestamp) {
        if let Some(paused_at) = self.paused_at.take() {
            self.shift(at.0.saturating_sub(paused_at.0));
        }
        let keep = from.unwrap_or(0).min(self.next_step());
        let mut steps = std::mem::take(&mut self.steps);
        steps.truncate(keep as usize);
        let mut done = std::mem::take(&mut self.done);
        done.retain(|no| *no < keep);
        let (released, bytes, started) = (self.released, self.bytes, self.started);
        let entries = entries + 1;
        *self = Self { steps, done, entries, released, bytes, started, last_at: at, changed: at, ..Self::new() };
        if from.is_none() {
            (self.released, self.bytes, self.started) = (false, 0, None);
        }
        for (no, step) in (0..).zip(&mut self.steps) {
            self.by_key.insert(step.key.clone(), no);
            // A body that was running is cut. It did not fail.
            if let StepState::Executing { attempt, config, .. } = &step.state {
                step.state = StepState::Retrying { next_attempt: *attempt, at, config: Arc::clone(config) };
            }
            if step.state.is_open() {
                self.open.insert(no);
            }
        }
    }

    fn config(&self, no: StepNo) -> Option<Arc<StepConfig>> {
        let state = match self.state(no)? {
            StepState::Abandoned { was } => was,
            state => state,
        };
        match state {
            StepState::Executing { config, .. } | StepState::Retrying { config, .. } => Some(Arc::clone(config)),
            _ => None,
        }
    }

    fn set(&mut self, no: StepNo, state: StepState) {
        if let Some(step) = self.steps.get_mut(no as usize) {
            step.state = state;
        }
    }

    fn retry(&mut self, no: StepNo, at: Timestamp, counted: u32) {
        if let Some(StepState::Executing { attempt, config, .. }) = self.state(no) {
            let (next_attempt, config) = (attempt + counted, Arc::clone(config));
            self.set(no, StepState::Retrying { next_attempt, at, config });
        }
    }

    fn finish(&mut self, no: StepNo, outcome: Outcome) {
        if no < self.next_step() {
            self.set(no, StepState::Done(outcome));
            self.open.remove(&no);
            self.done.push(no);
            self.news = true;
            self.compensated(no);
        }
    }
}
