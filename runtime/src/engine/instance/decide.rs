//! Which entries a command leads to.

use std::sync::Arc;

use super::Instance;
use crate::clock::Timestamp;
use crate::engine::{
    Bytes, Command, Context, Entry, ErrorInfo, InstanceStatus, Refusal, Retry, Step, StepConfig, StepKey, StepNo,
    StepState, limits, text,
};

impl Instance {
    /// Returns the entries that follow from `command`; none when it changes nothing. Changes nothing itself.
    ///
    /// # Errors
    /// When the command is not allowed now.
    pub fn decide(&self, command: Command, context: Context) -> Result<Vec<Entry>, Refusal> {
        if self.status.is_final() {
            return match command {
                Command::SendEvent { .. } | Command::Terminate { .. } => Err(Refusal::Finished(self.status)),
                Command::Restart { from } => self.restart(from),
                // Late messages of a run that has ended are normal; pause and resume have no effect.
                _ => Ok(Vec::new()),
            };
        }
        if self.status == InstanceStatus::RollingBack && !self.applies_to_rollback(&command) {
            return Ok(Vec::new());
        }
        Ok(match command {
            Command::RunStarted => self.run_started(context),
            Command::BeginStep { key, config, rollback, nested, alone } => match self.find(&key) {
                None => vec![Entry::StepStarted { key, alone, config, rollback, nested }],
                Some(step) => self.begin_again(step, &key, context),
            },
            Command::Succeed { key, attempt, output } => self.succeed(&key, attempt, output, context),
            Command::Fail { key, attempt, error, retry } => match self.executing(&key, attempt) {
                Some((no, deadline, config)) if context.now >= deadline && !config.dynamic_delay => {
                    let error = text::timed_out(config.timeout_ms);
                    failure((no, &key), attempt, config, error, Retry::ByPolicy, context.now)
                }
                Some((no, _, config)) => failure((no, &key), attempt, config, error, retry, context.now),
                None => self.next_attempt(&key, context),
            },
            Command::Expire { key, attempt, retry } => match self.executing(&key, attempt) {
                Some((no, _, config)) => {
                    let error = text::timed_out(config.timeout_ms);
                    failure((no, &key), attempt, config, error, retry, context.now)
                }
                None => self.next_attempt(&key, context),
            },
            Command::Finish { key, attempt, stream } => match self.executing(&key, attempt) {
                Some((no, deadline, config)) if context.now >= deadline => {
                    let error = text::timed_out(config.timeout_ms);
                    failure((no, &key), attempt, config, error, Retry::ByPolicy, context.now)
                }
                Some((step, ..)) => vec![Entry::StepStreamed { step, stream }],
                None => self.next_attempt(&key, context),
            },
            Command::Abandon { key } => match self.find(&key) {
                Some(step) if self.open.contains(&step) => vec![Entry::StepAbandoned { step }],
                _ => Vec::new(),
            },
            Command::BeginSleep { key, wake_at, nested, alone } => match self.find(&key) {
                None => vec![Entry::SleepStarted { key, alone, wake_at, nested: Some(nested) }],
                Some(step) => self.reopen(step),
            },
            Command::BeginWait { key, event_type, timeout_ms, nested, alone } => {
                let started = Entry::WaitStarted {
                    key: key.clone(),
                    alone,
                    event_type: Arc::clone(&event_type),
                    deadline: context.now.plus_ms(timeout_ms),
                    timeout_ms,
                    nested: Some(nested),
                };
                self.begin_wait(&key, &event_type, started)
            }
            Command::Idle => match self.status {
                InstanceStatus::Running => vec![Entry::Waiting],
                _ => Vec::new(),
            },
            Command::Settle { outcome: Ok(output) } => vec![Entry::Completed { output }],
            Command::Settle { outcome: Err(error) } => vec![self.fail(error)],
            Command::Exceed => vec![self.fail(text::storage_limit())],
            Command::Trap { error, culprit, replaying } => self.trap(error, culprit.as_ref(), replaying, context),
            Command::Interrupt => {
                let cut = |(step, _, _, _)| Entry::AttemptInterrupted { step };
                self.all_executing().map(cut).collect()
            }
            Command::Due { step, attached } => self.due(step, attached, context),
            Command::SendEvent { event_type, payload } => self.send_event(event_type, payload, context),
            Command::Pause { busy } => self.pause(busy),
            Command::Held => self.held(),
            Command::Resume => self.resume(),
            Command::Terminate { rollback } => self.terminate(rollback),
            Command::Restart { from } => return self.restart(from),
            Command::NextRollback => self.next_rollback(context),
        })
    }

    fn run_started(&self, context: Context) -> Vec<Entry> {
        let mut entries = Vec::new();
        if !matches!(self.status, InstanceStatus::Running | InstanceStatus::RollingBack) {
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

    fn begin_again(&self, step: StepNo, key: &StepKey, context: Context) -> Vec<Entry> {
        match self.state(step) {
            Some(StepState::Retrying { .. }) => self.next_attempt(key, context),
            Some(StepState::Abandoned { was }) => match &**was {
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
        let failed = |error| failure((step, key), attempt, config, error, Retry::ByPolicy, context.now);
        if context.now >= deadline {
            return failed(text::timed_out(config.timeout_ms));
        }
        if output.len() > limits::PAYLOAD_BYTES_MAX {
            return failed(text::output_too_large(&key.to_string(), output.len()));
        }
        vec![Entry::StepSucceeded { step, output }]
    }

    fn begin_wait(&self, key: &StepKey, event_type: &Arc<str>, started: Entry) -> Vec<Entry> {
        let buffered = self.events.iter().find(|(_, event)| event.event_type == *event_type).map(|(no, _)| *no);
        let (step, mut entries) = match self.find(key) {
            None => (self.next_step(), vec![started]),
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
        // One whose time is over takes none, though nobody has been told yet.
        let waits = |no: StepNo| self.deadline(no).is_none_or(|at| at > context.now);
        let waiter = self.open.iter().copied().find(|no| match &self.steps[*no as usize].state {
            StepState::Waiting { event_type: wanted, .. } => *wanted == event_type && waits(*no),
            _ => false,
        });
        let mut entries = vec![Entry::EventReceived { event_type, payload }];
        if let Some(step) = waiter {
            entries.push(Entry::WaitCompleted { step, event: self.next_event });
            self.go_on(&mut entries, context);
        }
        entries
    }

    fn due(&self, no: StepNo, attached: bool, context: Context) -> Vec<Entry> {
        let Some(asked @ Step { key, state, .. }) = self.step(no) else { return Vec::new() };
        let step = no;
        if self.deadline(no).is_none_or(|at| at > context.now) {
            return Vec::new();
        }
        // While a pause is to come no attempt begins, but of a step whose asker could not come to its end without it.
        let attached = attached && (asked.is_nested() || self.status != InstanceStatus::WaitingForPause);
        let mut entries = match state {
            // It has ended with its run, which the next one says.
            StepState::Executing { .. } if !context.active => return Vec::new(),
            StepState::Executing { attempt, config, .. } => {
                let error = text::timed_out(config.timeout_ms);
                return failure((step, key), *attempt, config, error, Retry::ByPolicy, context.now);
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
            return match self.status {
                InstanceStatus::RollingBack => self.finish_rollback(Some(error)),
                _ => vec![self.fail(error)],
            };
        }
        let culprit = culprit.and_then(|(key, attempt)| self.executing(key, *attempt)).map(|(no, ..)| no);
        let mut entries = Vec::new();
        for (step, attempt, _, config) in executing {
            // Without a known culprit every body is held to account, so that a trap can never repeat for ever.
            if culprit.is_none_or(|no| no == step) {
                let key = &self.steps[step as usize].key;
                entries.extend(failure((step, key), attempt, config, error.clone(), Retry::ByPolicy, context.now));
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
}

/// What follows from the failure of attempt `attempt` of the step `step`.
fn failure(
    (step, key): (StepNo, &StepKey),
    attempt: u32,
    config: &StepConfig,
    error: ErrorInfo,
    retry: Retry,
    now: Timestamp,
) -> Vec<Entry> {
    let failed = |error| vec![Entry::StepFailed { step, error }];
    if !config.retries_after(attempt) {
        return failed(error);
    }
    let delay_ms = match retry {
        Retry::Never => return failed(error),
        Retry::ByPolicy => config.delay_ms_after(attempt),
        Retry::After(delay) => match delay.to_ms() {
            Ok(ms) => config.scaled(ms, attempt),
            Err(_) => return failed(text::delay_error(&key.to_string(), text::DELAY_INVALID)),
        },
        Retry::DelayFailed(why) => {
            return failed(text::delay_error(&key.to_string(), &format!("threw an error: {why}")));
        }
        Retry::DelayTimedOut => return failed(text::delay_error(&key.to_string(), text::DELAY_TIMED_OUT)),
    };
    vec![Entry::AttemptFailed { step, error, retry_at: now.plus_ms(delay_ms) }]
}
