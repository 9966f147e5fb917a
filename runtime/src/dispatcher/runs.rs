//! Runs: starting them, listening to them, letting them go.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::core::{After, Core, Start};
use super::message::{InstanceKey, RunId, RunMessage};
use super::resident::Active;
use crate::clock::Timestamp;
use crate::engine::{
    Answer, Command, Entry, ErrorInfo, Instance, InstanceStatus, Outcome, StepKey, StepKind, StepState, limits,
};
use crate::run::{Run, RunEvent};
use crate::storage::{NewInstance, Storage, Trigger};

/// A run that is to be woken within this time stays in memory, milliseconds on the clock.
const NEAR_MS: u64 = 2000;

/// Runs that stay in memory though they wait, at most: a real guest takes about 100 KiB.
const PARKED_MAX: usize = 1024;

impl<S: Storage> Core<S> {
    /// Asks for a run of the instance if one is wanted. `due`: a timer of it fired.
    pub(super) fn wake(&mut self, key: InstanceKey, due: bool) {
        let now = self.clock.now();
        let Some(resident) = self.residents.get_mut(&key) else { return };
        let instance = &resident.instance;
        let wanted = instance.wants_run() || (due && retry_is_due(instance, now) && !instance.status().is_final());
        if !wanted || resident.active.is_some() || resident.definition.is_none() || self.wanted.contains_key(&key) {
            return;
        }
        let workflow = resident.fixed.workflow.clone();
        let shows = !matches!(instance.status(), InstanceStatus::Queued | InstanceStatus::RollingBack);
        if !self.want(key, workflow, true) && shows {
            self.take_entry(key, Entry::Queued, now);
        }
    }

    /// Has the instance started as soon as there is a slot. Returns whether there is one now.
    pub(super) fn want(&mut self, key: InstanceKey, workflow: String, woken: bool) -> bool {
        let slot = !self.is_exempt(key);
        let admitted = !slot || self.admission.admit(&workflow, key, woken);
        self.wanted.insert(key, admitted);
        if admitted {
            self.starts.push_back(Start { key, workflow, slot });
        }
        admitted
    }

    /// Whether it needs no slot: what a schedule made runs without one for an hour (documented).
    fn is_exempt(&mut self, key: InstanceKey) -> bool {
        let free = |fixed: &NewInstance, now: Timestamp| {
            fixed.trigger == Trigger::Cron && now < fixed.created.plus_ms(limits::CRON_FREE_MS)
        };
        let now = self.clock.now();
        match self.residents.get(&key) {
            Some(resident) => free(&resident.fixed, now),
            None => matches!(self.storage.load(key), Ok(Some((fixed, _))) if free(&fixed, now)),
        }
    }

    /// Takes back what `want` did.
    pub(super) fn unwant(&mut self, key: InstanceKey) {
        match self.wanted.remove(&key) {
            Some(true) => {
                if let Some(index) = self.starts.iter().position(|start| start.key == key)
                    && let Some(start) = self.starts.remove(index)
                {
                    self.give_back(&start);
                }
            }
            Some(false) => {
                if let Some(resident) = self.residents.get(&key) {
                    self.admission.cancel(&resident.fixed.workflow, key);
                } else if let Ok(Some((fixed, _))) = self.storage.load(key) {
                    self.admission.cancel(&fixed.workflow, key);
                }
            }
            None => {}
        }
    }

    /// A slot is free: the next has it.
    fn give_back(&mut self, start: &Start) {
        if !start.slot {
            return;
        }
        if let Some((next, workflow)) = self.admission.release(&start.workflow) {
            self.wanted.insert(next, true);
            self.starts.push_back(Start { key: next, workflow: workflow.to_string(), slot: true });
        }
    }

    /// Starts an admitted instance. Everything of it is committed.
    pub(super) fn start_run(&mut self, start: &Start) {
        let key = start.key;
        let Some(resident) = self.load(key) else {
            // Unreadable: kept as it is.
            self.give_back(start);
            return self.retry_later(key);
        };
        let status = resident.instance.status();
        let stands = status.is_final() || status == InstanceStatus::Paused;
        if resident.active.is_some() || resident.definition.is_none() || stands {
            return self.give_back(start);
        }
        if !resident.instance.is_whole() {
            // The state is read again, so that every outcome is there for the replay.
            self.forget(key);
            if self.load(key).is_none() {
                self.give_back(start);
                return self.retry_later(key);
            }
        }
        let _ = self.apply(key, Command::RunStarted);
        let id = self.next_run;
        self.next_run += 1;
        let shared = (Arc::clone(&self.clock), self.sender.clone(), Arc::clone(&self.committing));
        let Some(resident) = self.residents.get_mut(&key) else { return };
        let Some(definition) = resident.definition.clone() else { return };
        let event = RunEvent {
            payload: resident.fixed.payload.clone(),
            timestamp: resident.fixed.created,
            schedule: resident.fixed.schedule.clone(),
        };
        let instance_id = Arc::from(resident.fixed.id.as_str());
        let run = Run::new((id, key), definition, instance_id, event, &mut resident.instance, shared);
        resident.active = Some(Active::new(Arc::clone(&run), start.slot));
        if let Some(script) = self.script(key) {
            run.follow_script(script);
        }
        self.busy += 1;
        self.runner.start(run);
    }

    pub(super) fn run_message(&mut self, message: RunMessage) {
        let RunMessage { run, key, told, ask } = message;
        if !self.is_active(key, run) {
            return;
        }
        for command in told {
            if let Command::Abandon { key: step } = &command {
                self.unpark(key, step);
            }
            let _ = self.apply(key, command);
        }
        let Some((command, reply)) = ask else { return };
        if let Command::Settle { .. } = command {
            let _ = self.apply(key, command);
            self.urgent = true;
            let Some(resident) = self.residents.get_mut(&key) else { return };
            if let Some(active) = &mut resident.active {
                active.answers_sent += 1;
            }
            let rolls_back = resident.instance.status() == InstanceStatus::RollingBack;
            let answer = if rolls_back { Answer::RollBack } else { Answer::Settled(Outcome::Stored) };
            self.replies.push(After::Answer(reply, answer));
            if !rolls_back {
                self.end_run(key, false);
            }
            return;
        }
        if let Command::NextRollback = command {
            return self.next_rollback(key, reply);
        }
        let step = step_of(&command).cloned();
        let is_success = matches!(command, Command::Succeed { .. } | Command::Finish { .. });
        self.apply_scripted(key, command);
        let Some(resident) = self.residents.get_mut(&key) else { return };
        let step = step.and_then(|step| resident.instance.find(&step));
        if let (Some(step), Some(active)) = (step, &mut resident.active) {
            if is_success && resident.instance.answer(step).is_none() {
                // Too late or too large. The guest took the answer to be a commit away, and is told that it is not.
                active.answers_sent += 1;
                self.replies.push(After::Answer(reply, Answer::Later));
                return;
            }
            active.parked.insert(step, reply);
            self.skip_delay(key, step);
            self.answer(key, step);
        }
    }

    /// The guest is ready for the next compensation.
    fn next_rollback(&mut self, key: InstanceKey, reply: oneshot::Sender<Answer>) {
        if self.residents.get(&key).is_some_and(|resident| !resident.instance.is_whole()) {
            // Handlers are told what their steps returned, which is only in the journal by now.
            self.commit();
            match self.read(key) {
                Ok(Some(read)) => {
                    if let Some(resident) = self.residents.get_mut(&key) {
                        resident.instance = read.instance;
                    }
                }
                _ => {
                    self.drop_run(key);
                    return self.retry_later(key);
                }
            }
        }
        let _ = self.apply(key, Command::NextRollback);
        let Some(resident) = self.residents.get_mut(&key) else { return };
        if resident.instance.status().is_final() {
            self.replies.push(After::Answer(reply, Answer::Settled(Outcome::Stored)));
            self.urgent = true;
            self.end_run(key, false);
        } else if let (Some(step), Some(active)) = (resident.instance.current_compensation(), &mut resident.active) {
            active.parked.insert(step, reply);
            self.skip_delay(key, step);
            self.answer(key, step);
        }
    }

    /// The guest dropped a call: nobody waits for its answer.
    fn unpark(&mut self, key: InstanceKey, step: &StepKey) {
        let Some(resident) = self.residents.get_mut(&key) else { return };
        if let (Some(step), Some(active)) = (resident.instance.find(step), &mut resident.active)
            && active.parked.remove(&step).is_some()
        {
            active.answers_sent += 1;
        }
    }

    pub(super) fn yielded(&mut self, key: InstanceKey, run: RunId) {
        if let Some(resident) = self.residents.get_mut(&key)
            && let Some(active) = &mut resident.active
            && active.run.id == run
            && !std::mem::replace(&mut active.yielded, true)
        {
            self.busy -= 1;
        }
    }

    /// Nothing can happen in the run before a timer or an event: it is kept if that is soon, or hibernates.
    pub(super) fn idle(&mut self, key: InstanceKey, run: RunId, answers_seen: u64) {
        self.yielded(key, run);
        if !self.is_active(key, run) {
            return;
        }
        let now = self.clock.now();
        let parked = self.parked;
        let Some(resident) = self.residents.get_mut(&key) else { return };
        let Some(active) = &mut resident.active else { return };
        if active.answers_sent != answers_seen || active.idle {
            // An answer is on its way: it is not idle any more.
            return;
        }
        if resident.instance.status() == InstanceStatus::WaitingForPause {
            return;
        }
        let near = resident.instance.next_deadline().is_some_and(|at| at <= now.plus_ms(NEAR_MS));
        let stays = near && parked < PARKED_MAX && !self.admission.is_tight(&resident.fixed.workflow);
        active.idle = stays;
        self.parked += usize::from(stays);
        let _ = self.apply(key, Command::Idle);
        if !stays {
            self.drop_run(key);
            self.leaving.push(key);
        }
    }

    pub(super) fn trapped(&mut self, key: InstanceKey, run: RunId, command: Command) {
        if !self.is_active(key, run) {
            return;
        }
        // The run is gone before the engine decides: what it decides waits for the next one.
        self.end_run(key, false);
        let _ = self.apply(key, command);
        self.wake(key, false);
    }

    /// Ends a run that the host could not go on with. Its open attempts do not count; a new run starts from the journal.
    pub(super) fn interrupted(&mut self, key: InstanceKey, run: RunId, reason: &str) {
        if !self.is_active(key, run) {
            return;
        }
        if let Some(resident) = self.residents.get(&key) {
            let (workflow, id) = (&resident.fixed.workflow, &resident.fixed.id);
            tracing::warn!(%workflow, instance = id, event = "interrupted", "interrupted and run again: {reason}");
        }
        self.end_run(key, false);
        let _ = self.apply(key, Command::Interrupt);
        self.wake(key, false);
    }

    /// Drops a run.
    pub(super) fn drop_run(&mut self, key: InstanceKey) {
        self.end_run(key, false);
    }

    /// The run is over, and its guest goes if it is still there. Its slot is for the next, unless it is kept: then it is returned.
    pub(super) fn end_run(&mut self, key: InstanceKey, keep_slot: bool) -> Option<Start> {
        let resident = self.residents.get_mut(&key)?;
        let active = resident.active.take()?;
        let settled =
            resident.instance.status().is_final() && !matches!(resident.instance.status(), InstanceStatus::Terminated);
        if !settled {
            active.run.stop();
        }
        if !active.yielded {
            self.busy -= 1;
        }
        if active.idle {
            self.parked -= 1;
        }
        let start = Start { key, workflow: resident.fixed.workflow.clone(), slot: active.slot };
        self.leaving.push(key);
        self.is_over(&active.run);
        if keep_slot {
            return Some(start);
        }
        self.give_back(&start);
        None
    }

    pub(super) fn is_active(&self, key: InstanceKey, run: RunId) -> bool {
        self.residents
            .get(&key)
            .and_then(|resident| resident.active.as_ref())
            .is_some_and(|active| active.run.id == run)
    }
}

fn step_of(command: &Command) -> Option<&StepKey> {
    match command {
        Command::BeginStep { key, .. }
        | Command::Succeed { key, .. }
        | Command::Finish { key, .. }
        | Command::Fail { key, .. }
        | Command::Expire { key, .. }
        | Command::BeginSleep { key, .. }
        | Command::BeginWait { key, .. } => Some(key),
        _ => None,
    }
}

pub(super) fn retry_is_due(instance: &Instance, now: Timestamp) -> bool {
    let due = |(step, at)| {
        at <= now && matches!(instance.step(step).map(|step| &step.state), Some(StepState::Retrying { .. }))
    };
    instance.deadlines().any(due)
}

/// One line per transition: what a developer follows at the terminal. `event` is for programs that read the log, and never changes.
pub(super) fn log(fixed: &NewInstance, instance: &Instance, entry: &Entry) {
    if tracing::level_filters::LevelFilter::current() < tracing::Level::WARN {
        return;
    }
    let NewInstance { workflow, id, .. } = fixed;
    let step = entry.step().and_then(|no| instance.step(no));
    let name = Shown(step.map(|step| &step.key));
    let attempt = step.and_then(|step| match &step.state {
        StepState::Executing { attempt, .. } => Some(*attempt),
        _ => None,
    });
    match entry {
        Entry::Running if instance.steps().is_empty() => {
            tracing::info!(%workflow, instance = id, event = "started", "started");
        }
        Entry::Completed { .. } => tracing::info!(%workflow, instance = id, event = "complete", "complete"),
        Entry::Terminated => tracing::info!(%workflow, instance = id, event = "terminated", "terminated"),
        Entry::Paused => tracing::info!(%workflow, instance = id, event = "paused", "paused"),
        Entry::Resumed => tracing::info!(%workflow, instance = id, event = "resumed", "resumed"),
        Entry::Restarted { .. } => tracing::info!(%workflow, instance = id, event = "restarted", "restarted"),
        Entry::RollbackStarted { cause, .. } => {
            tracing::warn!(%workflow, instance = id, event = "rollback_started", error = %Whole(cause), "rolling back");
        }
        Entry::RollbackFinished { error: None } => {
            tracing::info!(%workflow, instance = id, event = "rolled_back", "rolled back");
        }
        Entry::RollbackFinished { error: Some(error) } => {
            tracing::error!(%workflow, instance = id, event = "rollback_failed", error = %Whole(error), "rollback failed");
        }
        Entry::Errored { error } => {
            tracing::error!(%workflow, instance = id, event = "errored", error = %Whole(error), "errored");
        }
        Entry::StepStarted { key, .. } => {
            let what = if key.kind == StepKind::Rollback { "rollback of the step begins" } else { "step begins" };
            tracing::debug!(%workflow, instance = id, step = %key, attempt = 1, event = "attempt_started", "{what}");
        }
        Entry::AttemptStarted { attempt, .. } => {
            tracing::debug!(%workflow, instance = id, step = %name, attempt, event = "attempt_started", "step begins again");
        }
        Entry::StepSucceeded { .. } => {
            tracing::debug!(%workflow, instance = id, step = %name, attempt, event = "succeeded", "step done");
        }
        Entry::AttemptFailed { error, .. } => {
            let (what, error) = ("attempt failed, retrying", Whole(error));
            tracing::warn!(%workflow, instance = id, step = %name, attempt, event = "attempt_failed", %error, "{what}");
        }
        Entry::StepFailed { error, .. } => {
            let error = Whole(error);
            tracing::warn!(%workflow, instance = id, step = %name, attempt, event = "failed", %error, "step failed");
        }
        Entry::SleepStarted { key, .. } => {
            tracing::debug!(%workflow, instance = id, step = %key, event = "sleeps", "sleeps");
        }
        Entry::WaitStarted { key, event_type, .. } => {
            tracing::debug!(%workflow, instance = id, step = %key, event = "waits", "waits for event `{event_type}`");
        }
        _ => {}
    }
}

/// An error with where it came from, if that is known.
struct Whole<'a>(&'a ErrorInfo);

impl std::fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)?;
        self.0.backtrace.as_ref().map_or(Ok(()), |backtrace| write!(f, "\n{backtrace}"))
    }
}

struct Shown<'a>(Option<&'a StepKey>);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |key| key.fmt(f))
    }
}
