//! The state of one instance, what can be asked of it, and the two functions that move it: `decide` and `evolve`.

mod decide;
mod evolve;
mod operations;
mod rollback;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rollback::Rollback;

use super::{
    Answer, Bytes, ErrorInfo, InstanceStatus, Outcome, ReceivedEvent, RollbackOutcome, Stamped, Step, StepKey,
    StepKind, StepNo, StepState,
};
use crate::clock::Timestamp;

/// One durable execution. Its state is the fold of its journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    status: InstanceStatus,
    steps: Vec<Step>,
    by_key: HashMap<StepKey, StepNo>,
    /// Steps the run still awaits.
    open: BTreeSet<StepNo>,
    /// Steps that are done, in the order they became so.
    done: Vec<StepNo>,
    /// Events nobody has consumed, by number.
    events: BTreeMap<u32, ReceivedEvent>,
    next_event: u32,
    /// Something happened since the run began to wait.
    news: bool,
    /// Whether an outcome was dropped from memory.
    released: bool,
    output: Option<Bytes>,
    error: Option<ErrorInfo>,
    /// While it is paused: since when.
    paused_at: Option<Timestamp>,
    rollback: Option<Rollback>,
    /// When something was last done or learnt, not only scheduled.
    last_at: Timestamp,
    /// When its first run began.
    started: Option<Timestamp>,
    /// When the last of the entries was decided.
    changed: Timestamp,
    /// Entries taken in.
    entries: u64,
    /// Bytes taken in: see [`super::Entry::bytes`].
    bytes: u64,
}

impl Default for Instance {
    fn default() -> Self {
        Self::new()
    }
}

impl Instance {
    /// An instance nothing has happened to: `queued`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            status: InstanceStatus::Queued,
            steps: Vec::new(),
            by_key: HashMap::new(),
            open: BTreeSet::new(),
            done: Vec::new(),
            events: BTreeMap::new(),
            next_event: 0,
            news: false,
            released: false,
            output: None,
            error: None,
            paused_at: None,
            rollback: None,
            last_at: Timestamp(0),
            started: None,
            changed: Timestamp(0),
            entries: 0,
            bytes: 0,
        }
    }

    /// The state that these entries lead to.
    pub fn replay(entries: impl IntoIterator<Item = Stamped>) -> Self {
        let mut instance = Self::new();
        for stamped in entries {
            instance.evolve(stamped);
        }
        instance
    }

    // ---- questions about the state --------------------------------------------------------------------------------

    /// Present status.
    #[must_use]
    pub fn status(&self) -> InstanceStatus {
        self.status
    }

    /// What `run` returned.
    #[must_use]
    pub fn output(&self) -> Option<&Bytes> {
        self.output.as_ref()
    }

    /// Why it failed.
    #[must_use]
    pub fn error(&self) -> Option<&ErrorInfo> {
        self.error.as_ref()
    }

    /// How its compensations went, once they have.
    #[must_use]
    pub fn rollback(&self) -> Option<&RollbackOutcome> {
        self.rollback.as_ref()?.outcome.as_ref()
    }

    /// Entries it was made of, also those that were wiped by a restart.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// How far its code is known to have come before a run that begins now.
    #[must_use]
    pub fn came_until(&self) -> Timestamp {
        self.last_at
    }

    /// When its first run began.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        self.started
    }

    /// When the last of its entries was decided; the beginning of time when there is none.
    #[must_use]
    pub fn changed(&self) -> Timestamp {
        self.changed
    }

    /// Bytes it has kept since it began: see [`super::Entry::bytes`].
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its steps, in the order they were first asked for.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Steps that are done, in the order they became so.
    #[must_use]
    pub fn done_order(&self) -> &[StepNo] {
        &self.done
    }

    /// Events that nobody has consumed yet, oldest first.
    pub fn buffered_events(&self) -> impl Iterator<Item = &ReceivedEvent> {
        self.events.values()
    }

    /// The number of the step with this key.
    #[must_use]
    pub fn find(&self, key: &StepKey) -> Option<StepNo> {
        self.by_key.get(key).copied()
    }

    /// The step of this number.
    #[must_use]
    pub fn step(&self, no: StepNo) -> Option<&Step> {
        self.steps.get(no as usize)
    }

    /// What a guest that asks for this step is told; nothing while it has to wait.
    #[must_use]
    pub fn answer(&self, no: StepNo) -> Option<Answer> {
        let step = self.step(no)?;
        match &step.state {
            StepState::Executing { attempt, config, .. } if step.key.kind == StepKind::Rollback => {
                self.compensation(&step.key, *attempt, config).map(|call| Answer::Compensate(Box::new(call)))
            }
            StepState::Executing { attempt, config, .. } => {
                Some(Answer::Execute { attempt: *attempt, config: std::sync::Arc::clone(config) })
            }
            StepState::Done(outcome) => Some(Answer::Settled(outcome.clone())),
            StepState::Retrying { .. }
            | StepState::Abandoned { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. } => None,
        }
    }

    /// When this step changes by itself.
    #[must_use]
    pub fn deadline(&self, no: StepNo) -> Option<Timestamp> {
        let stands_still = self.status.is_final() || self.status == InstanceStatus::Paused || !self.open.contains(&no);
        if stands_still { None } else { self.step(no)?.state.deadline() }
    }

    /// Steps with a deadline, and it.
    pub fn deadlines(&self) -> impl Iterator<Item = (StepNo, Timestamp)> {
        self.open.iter().filter_map(|no| self.deadline(*no).map(|at| (*no, at)))
    }

    /// When something happens to the instance by itself, soonest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines().map(|(_, at)| at).min()
    }

    /// Whether step bodies are running.
    #[must_use]
    pub fn is_executing(&self) -> bool {
        self.open.iter().any(|no| matches!(self.steps[*no as usize].state, StepState::Executing { .. }))
    }

    /// Whether a run has something to do, if none is active.
    #[must_use]
    pub fn wants_run(&self) -> bool {
        match self.status {
            InstanceStatus::Queued | InstanceStatus::Running => true,
            InstanceStatus::Waiting => self.news,
            InstanceStatus::RollingBack => !self.only_retries(),
            _ => false,
        }
    }

    /// When it wakes by itself, if no run is active and there is nothing to do before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let sleeps = match self.status {
            // With news it goes on at once, also in a process that only reads this.
            InstanceStatus::Waiting => !self.news,
            InstanceStatus::RollingBack => self.only_retries(),
            _ => false,
        };
        if sleeps { self.next_deadline() } else { None }
    }

    /// When there is something to be recorded of it though no run is active: also of one that waits for its turn.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.status != InstanceStatus::Queued {
            return self.wake_at();
        }
        let ends = |no: &StepNo| {
            matches!(self.steps[*no as usize].state, StepState::Sleeping { .. } | StepState::Waiting { .. })
        };
        self.deadlines().filter(|(no, _)| ends(no)).map(|(_, at)| at).min()
    }

    /// Whether all it waits for is the delay before another attempt.
    fn only_retries(&self) -> bool {
        let retries = |no: &StepNo| matches!(self.steps[*no as usize].state, StepState::Retrying { .. });
        !self.open.is_empty() && self.open.iter().all(retries)
    }

    /// Whether the whole journal is in memory, so that a replay can begin from this value.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.released
    }

    /// Drops the outcome of a step from memory: the active run has it, and a later run reads the journal.
    pub fn release(&mut self, no: StepNo) {
        if let Some(Step { key, state: StepState::Done(outcome), .. }) = self.steps.get_mut(no as usize)
            && key.kind != StepKind::Rollback
        {
            *outcome = Outcome::Stored;
            self.released = true;
        }
    }

    /// The number the next new step gets.
    #[must_use]
    pub fn next_step(&self) -> StepNo {
        StepNo::try_from(self.steps.len()).unwrap_or(StepNo::MAX)
    }

    fn state(&self, no: StepNo) -> Option<&StepState> {
        self.step(no).map(|step| &step.state)
    }
}
