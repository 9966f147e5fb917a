//! The state of one instance, and the two functions that move it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{
    Answer, Bytes, Command, Context, Entry, ErrorInfo, InstanceStatus, Outcome, ReceivedEvent, Refusal, Stamped, Step,
    StepConfig, StepKey, StepNo, StepState, limits, text,
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
        self.step(no)?.state.answer()
    }

    /// When this step changes by itself.
    #[must_use]
    pub fn deadline(&self, no: StepNo) -> Option<Timestamp> {
        if self.status.is_final() { None } else { self.step(no)?.state.deadline() }
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
            _ => false,
        }
    }

    /// Whether the whole journal is in memory, so that a replay can begin from this value.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.released
    }

    /// Drops the outcome of a step from memory: the active run has it, and a later run reads the journal.
    pub fn release(&mut self, no: StepNo) {
        if let Some(Step { state: StepState::Done(outcome), .. }) = self.steps.get_mut(no as usize) {
            *outcome = Outcome::Stored;
            self.released = true;
        }
    }

    // ---- decide ---------------------------------------------------------------------------------------------------

    /// Returns the entries that follow from `command`; none when it changes nothing. Changes nothing itself.
    ///
    /// # Errors
    /// When the command is not allowed now.
    pub fn decide(&self, command: Command, context: Context) -> Result<Vec<Entry>, Refusal> {
        if self.status.is_final() {
            return match command {
                Command::SendEvent { .. } => Err(Refusal::Finished(self.status)),
                // Late messages of a run that has ended are normal.
                _ => Ok(Vec::new()),
            };
        }
        Ok(match command {
            Command::RunStarted => self.run_started(context),
            Command::BeginStep { key, config, alone } => self.begin_step(key, config, alone, context),
            Command::Succeed { key, attempt, output } => self.succeed(&key, attempt, output, context),
            Command::Fail { key, attempt, error, retryable } => match self.executing(&key, attempt) {
                Some((no, deadline, config)) if context.now >= deadline => {
                    failure(no, attempt, config, text::timed_out(config.timeout_ms), true, context.now)
                }
                Some((no, _, config)) => failure(no, attempt, config, error, retryable, context.now),
                None => self.next_attempt(&key, context),
            },
            Command::Expire { key, attempt } => match self.executing(&key, attempt) {
                Some((no, _, config)) => {
                    failure(no, attempt, config, text::timed_out(config.timeout_ms), true, context.now)
                }
                None => self.next_attempt(&key, context),
            },
            Command::Abandon { key } => match self.find(&key) {
                Some(step) if self.open.contains(&step) => vec![Entry::StepAbandoned { step }],
                _ => Vec::new(),
            },
            Command::BeginSleep { key, wake_at, alone } => match self.find(&key) {
                None => vec![Entry::SleepStarted { key, alone, wake_at }],
                Some(step) => self.reopen(step),
            },
            Command::BeginWait { key, event_type, timeout_ms, alone } => {
                self.begin_wait(key, event_type, timeout_ms, alone, context)
            }
            Command::Idle => match self.status {
                InstanceStatus::Running => vec![Entry::Waiting],
                _ => Vec::new(),
            },
            Command::Settle { outcome: Ok(output) } => vec![Entry::Completed { output }],
            Command::Settle { outcome: Err(error) } => vec![Entry::Errored { error }],
            Command::Trap { error, culprit, replaying } => self.trap(error, culprit.as_ref(), replaying, context),
            Command::Interrupt => {
                let cut = |(step, _, _, _)| Entry::AttemptInterrupted { step };
                self.all_executing().map(cut).collect()
            }
            Command::Due { step, attached } => self.due(step, attached, context),
            Command::SendEvent { event_type, payload } => self.send_event(event_type, payload, context),
        })
    }

    fn run_started(&self, context: Context) -> Vec<Entry> {
        let mut entries = Vec::new();
        if self.status != InstanceStatus::Running {
            entries.push(Entry::Running);
        }
        for (step, attempt, _, config) in self.all_executing() {
            // Not the body's own failure, so there is nothing to wait for before the next attempt.
            entries.push(if config.retries_after(attempt) {
                Entry::AttemptFailed { step, error: text::attempt_lost(), retry_at: context.now }
            } else {
                Entry::StepFailed { step, error: text::attempt_lost() }
            });
        }
        entries
    }

    fn begin_step(&self, key: StepKey, config: Arc<StepConfig>, alone: bool, context: Context) -> Vec<Entry> {
        let Some(step) = self.find(&key) else {
            return vec![Entry::StepStarted { key, alone, config }];
        };
        match &self.steps[step as usize].state {
            StepState::Retrying { .. } => self.next_attempt(&key, context),
            StepState::Abandoned { was } => match &**was {
                StepState::Executing { attempt, .. } => vec![Entry::AttemptStarted { step, attempt: attempt + 1 }],
                _ => vec![Entry::StepReopened { step }],
            },
            _ => Vec::new(),
        }
    }

    /// The guest asks about a step whose delay may be over already: its timer may have fired when nobody was there to go on.
    fn next_attempt(&self, key: &StepKey, context: Context) -> Vec<Entry> {
        match self.find(key).and_then(|step| Some((step, self.state(step)?))) {
            Some((step, StepState::Retrying { next_attempt, at, .. })) if context.now >= *at => {
                vec![Entry::AttemptStarted { step, attempt: *next_attempt }]
            }
            _ => Vec::new(),
        }
    }

    /// A dropped sleep or wait that is asked for again goes on as it was.
    fn reopen(&self, step: StepNo) -> Vec<Entry> {
        match self.state(step) {
            Some(StepState::Abandoned { .. }) => vec![Entry::StepReopened { step }],
            _ => Vec::new(),
        }
    }

    fn succeed(&self, key: &StepKey, attempt: u32, output: Bytes, context: Context) -> Vec<Entry> {
        let Some((step, deadline, config)) = self.executing(key, attempt) else {
            return self.next_attempt(key, context);
        };
        if context.now >= deadline {
            return failure(step, attempt, config, text::timed_out(config.timeout_ms), true, context.now);
        }
        if output.len() > limits::PAYLOAD_BYTES_MAX {
            let error = text::output_too_large(&key.to_string(), output.len());
            return failure(step, attempt, config, error, true, context.now);
        }
        vec![Entry::StepSucceeded { step, output }]
    }

    fn begin_wait(
        &self,
        key: StepKey,
        event_type: Arc<str>,
        timeout_ms: u64,
        alone: bool,
        context: Context,
    ) -> Vec<Entry> {
        let buffered = self.events.iter().find(|(_, event)| event.event_type == event_type).map(|(no, _)| *no);
        let (step, mut entries) = match self.find(&key) {
            None => {
                let deadline = context.now.plus_ms(timeout_ms);
                (self.next_step(), vec![Entry::WaitStarted { key, alone, event_type, deadline, timeout_ms }])
            }
            Some(step) => (step, self.reopen(step)),
        };
        if let Some(event) = buffered
            && !entries.is_empty()
        {
            entries.push(Entry::WaitCompleted { step, event });
        }
        entries
    }

    fn send_event(&self, event_type: Arc<str>, payload: Bytes, context: Context) -> Vec<Entry> {
        let waiter = self.open.iter().copied().find(|no| match &self.steps[*no as usize].state {
            StepState::Waiting { event_type: wanted, .. } => *wanted == event_type,
            _ => false,
        });
        let mut entries = vec![Entry::EventReceived { event_type, payload }];
        if let Some(step) = waiter {
            entries.push(Entry::WaitCompleted { step, event: self.next_event });
            self.go_on(&mut entries, context);
        }
        entries
    }

    fn due(&self, step: StepNo, attached: bool, context: Context) -> Vec<Entry> {
        let Some(Step { state, .. }) = self.step(step) else { return Vec::new() };
        if state.deadline().is_none_or(|at| at > context.now) {
            return Vec::new();
        }
        let mut entries = match state {
            StepState::Executing { attempt, config, .. } => {
                return failure(step, *attempt, config, text::timed_out(config.timeout_ms), true, context.now);
            }
            StepState::Retrying { next_attempt, .. } if attached => {
                vec![Entry::AttemptStarted { step, attempt: *next_attempt }]
            }
            StepState::Sleeping { .. } => vec![Entry::SleepCompleted { step }],
            StepState::Waiting { .. } => vec![Entry::WaitTimedOut { step }],
            StepState::Retrying { .. } | StepState::Abandoned { .. } | StepState::Done(_) => return Vec::new(),
        };
        self.go_on(&mut entries, context);
        entries
    }

    fn trap(
        &self,
        error: ErrorInfo,
        culprit: Option<&(StepKey, u32)>,
        replaying: bool,
        context: Context,
    ) -> Vec<Entry> {
        let mut executing = self.all_executing().peekable();
        if replaying || executing.peek().is_none() {
            return vec![Entry::Errored { error }];
        }
        let culprit = culprit.and_then(|(key, attempt)| self.executing(key, *attempt)).map(|(no, ..)| no);
        let mut entries = Vec::new();
        for (step, attempt, _, config) in executing {
            // Without a known culprit every body is held to account, so that a trap can never repeat for ever.
            if culprit.is_none_or(|no| no == step) {
                entries.extend(failure(step, attempt, config, error.clone(), true, context.now));
            } else {
                entries.push(Entry::AttemptInterrupted { step });
            }
        }
        entries
    }

    /// An active run that was waiting runs again.
    fn go_on(&self, entries: &mut Vec<Entry>, context: Context) {
        if context.active && self.status == InstanceStatus::Waiting {
            entries.push(Entry::Running);
        }
    }

    fn executing(&self, key: &StepKey, wanted: u32) -> Option<(StepNo, Timestamp, &Arc<StepConfig>)> {
        let no = self.find(key)?;
        match &self.steps[no as usize].state {
            StepState::Executing { attempt, deadline, config } if *attempt == wanted => Some((no, *deadline, config)),
            _ => None,
        }
    }

    fn all_executing(&self) -> impl Iterator<Item = (StepNo, u32, Timestamp, &Arc<StepConfig>)> {
        self.open.iter().filter_map(|no| match &self.steps[*no as usize].state {
            StepState::Executing { attempt, deadline, config } => Some((*no, *attempt, *deadline, config)),
            _ => None,
        })
    }

    /// The number the next new step gets.
    #[must_use]
    pub fn next_step(&self) -> StepNo {
        StepNo::try_from(self.steps.len()).unwrap_or(StepNo::MAX)
    }

    // ---- evolve ---------------------------------------------------------------------------------------------------

    /// Takes a fact into the state. Total: a stored entry can always be applied; one about a step that does not exist is
    /// passed over.
    pub fn evolve(&mut self, stamped: Stamped) {
        let Stamped { at, entry } = stamped;
        match entry {
            Entry::Running => {
                self.status = InstanceStatus::Running;
                self.news = false;
            }
            Entry::Waiting => {
                self.status = InstanceStatus::Waiting;
                self.news = false;
            }
            Entry::Queued => self.status = InstanceStatus::Queued,
            Entry::StepStarted { key, alone, config } => {
                let deadline = at.plus_ms(config.timeout_ms);
                self.add_step(key, alone, StepState::Executing { attempt: 1, deadline, config });
            }
            Entry::SleepStarted { key, alone, wake_at } => self.add_step(key, alone, StepState::Sleeping { wake_at }),
            Entry::WaitStarted { key, alone, event_type, deadline, timeout_ms } => {
                self.add_step(key, alone, StepState::Waiting { event_type, deadline, timeout_ms });
            }
            Entry::AttemptStarted { step, attempt } => {
                let Some(config) = self.config(step) else { return };
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
        }
    }

    fn add_step(&mut self, key: StepKey, alone: bool, state: StepState) {
        let no = self.next_step();
        self.by_key.insert(key.clone(), no);
        self.steps.push(Step { key, alone, state });
        self.open.insert(no);
    }

    fn state(&self, no: StepNo) -> Option<&StepState> {
        self.step(no).map(|step| &step.state)
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
        }
    }
}

/// What follows from the failure of attempt `attempt`.
fn failure(
    step: StepNo,
    attempt: u32,
    config: &StepConfig,
    error: ErrorInfo,
    retryable: bool,
    now: Timestamp,
) -> Vec<Entry> {
    if retryable && config.retries_after(attempt) {
        let retry_at = now.plus_ms(config.delay_ms_after(attempt));
        vec![Entry::AttemptFailed { step, error, retry_at }]
    } else {
        vec![Entry::StepFailed { step, error }]
    }
}
