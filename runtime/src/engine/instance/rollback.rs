//! Compensations: which, in which order, and how they end.
//!
//! A compensation is a step of kind `Rollback` with the name and count of the step it undoes, so attempts, delays, time-outs and lost
//! processes are those of any step.

use std::sync::Arc;

use super::Instance;
use crate::engine::{
    Command, Compensation, Context, Entry, ErrorInfo, Outcome, RollbackOutcome, StepConfig, StepKey, StepKind, StepNo,
    StepState,
};

/// The compensations of an instance, from the moment they began.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rollback {
    cause: ErrorInfo,
    /// The instance is being terminated; otherwise it has failed.
    terminate: bool,
    /// Steps from this one on are compensated, or have nothing to compensate.
    left: StepNo,
    pub(super) outcome: Option<RollbackOutcome>,
}

impl Rollback {
    pub(super) fn new(cause: ErrorInfo, terminate: bool, left: StepNo) -> Self {
        Self { cause, terminate, left, outcome: None }
    }
}

/// What is to be done next.
enum Next {
    /// The compensation of this step begins.
    Begin(StepNo),
    /// This compensation is not over.
    GoOn(StepNo),
    /// One has failed for good.
    Halted(ErrorInfo),
    /// None is left.
    Finished,
}

impl Instance {
    /// What becomes of an instance whose `run` failed.
    pub(super) fn fail(&self, error: ErrorInfo) -> Entry {
        if self.can_roll_back() {
            Entry::RollbackStarted { cause: error, terminate: false }
        } else {
            Entry::Errored { error }
        }
    }

    /// Whether any step has a compensation: started is enough.
    pub(super) fn can_roll_back(&self) -> bool {
        self.steps.iter().any(|step| step.undo.is_some())
    }

    /// Keys of the steps that have a compensation that is not done.
    pub fn to_compensate(&self) -> impl Iterator<Item = &StepKey> {
        let left = self.rollback.as_ref().map_or(0, |rollback| rollback.left);
        self.steps.iter().take(left as usize).filter(|step| step.undo.is_some()).map(|step| &step.key)
    }

    /// While compensations run nothing else is done.
    pub(super) fn applies_to_rollback(&self, command: &Command) -> bool {
        let compensation = |key: &StepKey| key.kind == StepKind::Rollback;
        match command {
            Command::BeginStep { key, .. }
            | Command::Succeed { key, .. }
            | Command::Fail { key, .. }
            | Command::Expire { key, .. } => compensation(key),
            Command::RunStarted
            | Command::Trap { .. }
            | Command::Interrupt
            | Command::Due { .. }
            | Command::SendEvent { .. }
            | Command::Terminate { .. }
            | Command::Restart { .. }
            | Command::NextRollback => true,
            Command::Finish { .. }
            | Command::Abandon { .. }
            | Command::BeginSleep { .. }
            | Command::BeginWait { .. }
            | Command::Idle
            | Command::Settle { .. }
            | Command::Pause { .. }
            | Command::Held
            | Command::Exceed
            | Command::Resume => false,
        }
    }

    pub(super) fn next_rollback(&self, context: Context) -> Vec<Entry> {
        match self.next() {
            Some(Next::Begin(no)) => {
                let step = &self.steps[no as usize];
                let Some(undo) = &step.undo else { return Vec::new() };
                let key = StepKey { kind: StepKind::Rollback, ..step.key.clone() };
                let config = Arc::clone(&undo.config);
                vec![Entry::StepStarted { key, alone: true, config, rollback: None, nested: false }]
            }
            Some(Next::GoOn(no)) => match self.state(no) {
                Some(StepState::Retrying { next_attempt, at, .. }) if context.now >= *at => {
                    vec![Entry::AttemptStarted { step: no, attempt: *next_attempt }]
                }
                _ => Vec::new(),
            },
            Some(Next::Halted(error)) => self.finish_rollback(Some(error)),
            Some(Next::Finished) => self.finish_rollback(None),
            None => Vec::new(),
        }
    }

    /// The compensation that is being run.
    #[must_use]
    pub fn current_compensation(&self) -> Option<StepNo> {
        match self.next() {
            Some(Next::GoOn(no)) => Some(no),
            _ => None,
        }
    }

    fn next(&self) -> Option<Next> {
        let rollback = self.rollback.as_ref().filter(|rollback| rollback.outcome.is_none())?;
        let step = (0..rollback.left).rev().find(|no| self.steps[*no as usize].undo.is_some());
        Some(match step {
            None => Next::Finished,
            Some(no) => {
                let key = StepKey { kind: StepKind::Rollback, ..self.steps[no as usize].key.clone() };
                match self.find(&key).map(|no| (no, self.state(no))) {
                    None => Next::Begin(no),
                    Some((_, Some(StepState::Done(Outcome::Failed(error))))) => Next::Halted(error.clone()),
                    Some((no, _)) => Next::GoOn(no),
                }
            }
        })
    }

    /// The end of an instance whose compensations are over.
    pub(super) fn finish_rollback(&self, error: Option<ErrorInfo>) -> Vec<Entry> {
        let Some(Rollback { cause, terminate, .. }) = &self.rollback else { return Vec::new() };
        let end = if *terminate { Entry::Terminated } else { Entry::Errored { error: cause.clone() } };
        vec![Entry::RollbackFinished { error }, end]
    }

    /// A step is done: if it is a compensation that succeeded, the next is that of a step before.
    pub(super) fn compensated(&mut self, no: StepNo) {
        let step = &self.steps[no as usize];
        if step.key.kind != StepKind::Rollback || matches!(step.state, StepState::Done(Outcome::Failed(_))) {
            return;
        }
        let undone = self.find(&StepKey { kind: StepKind::Do, ..step.key.clone() });
        if let (Some(rollback), Some(undone)) = (&mut self.rollback, undone) {
            rollback.left = undone;
        }
    }

    /// What the handler of the compensation `key` is told.
    pub(super) fn compensation(&self, key: &StepKey, attempt: u32, config: &Arc<StepConfig>) -> Option<Compensation> {
        let step = StepKey { kind: StepKind::Do, ..key.clone() };
        let undone = self.step(self.find(&step)?)?;
        let undo = undone.undo.as_ref()?;
        let output = match &undone.state {
            StepState::Done(Outcome::Output(output)) => Some(output.clone()),
            _ => None,
        };
        Some(Compensation {
            step,
            step_attempt: undo.attempt,
            step_config: Arc::clone(&undo.step_config),
            output,
            cause: self.rollback.as_ref()?.cause.clone(),
            attempt,
            config: Arc::clone(config),
        })
    }
}
