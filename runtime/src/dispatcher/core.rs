//! The state and the loop.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{mpsc, oneshot};

use super::admission::Admission;
use super::crons::Timetable;
use super::message::{InstanceKey, Message, Reply, RunId};
use super::resident::Resident;
use super::still::{StillAsked, Wakes};
use super::streams::Piece;
use super::subscription::{Feed, Follower};
use super::{
    BatchResult, CronRunner, CronTrigger, DeleteResult, Firing, GuestRunner, Made, Overview, StatusReport,
    WorkflowDefinition,
};
use crate::clock::{Clock, Stopwatch, Timestamp, real};
use crate::engine::{Answer, Command, Context, Entry, Refusal, Stamped, StepNo};
use crate::run::Run;
use crate::script::Scripts;
use crate::spin;
use crate::storage::{Storage, Write};

/// Messages of one group at most: bounds how long the first of them waits for its commit.
pub(super) const GROUP_MAX: usize = 512;

/// How long facts whose loss only repeats work may wait for a commit to ride with, real time.
const DEFER_MAX: Duration = Duration::from_millis(1);

/// How long to look for the next message before going to sleep, real time. A guest that goes on from step to step asks again at once, and
/// waking a thread that went to sleep in between takes longer than all the rest.
const SPIN: Duration = Duration::from_micros(25);

/// The same while a single run is at work, which takes that long to begin: nobody else has use for the processor then, as far as is known.
const SPIN_FOR_ONE: Duration = Duration::from_micros(200);

/// Runs that work without waiting for anything but commits, at most. Thousands side by side would only fill memory and
/// caches, and keep requests waiting: the machine has a few cores. A group commit is well filled with so many. A run that waits for
/// anything else lets others start. (Measured on two cores: 64 halves the creates that come in meanwhile, and speeds nothing up.)
const BUSY_MAX: usize = 32;

/// The timer of an instance that is not in memory stands for its next deadline, whichever step's it is.
pub(super) const WHOLE_INSTANCE: StepNo = StepNo::MAX;

pub(super) struct Core<S> {
    pub(super) storage: S,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runner: Arc<dyn GuestRunner>,
    pub(super) definitions: HashMap<Arc<str>, Arc<WorkflowDefinition>>,
    pub(super) sender: mpsc::UnboundedSender<Message>,
    /// Calls of all runs whose answer is a commit away.
    pub(super) committing: Arc<AtomicUsize>,
    /// Statuses of instances that are not in memory are read elsewhere.
    pub(super) has_reader: bool,
    pub(super) residents: HashMap<InstanceKey, Resident>,
    /// Keys of residents, by workflow and id.
    pub(super) ids: HashMap<(String, String), InstanceKey>,
    pub(super) timers: BTreeSet<(Timestamp, InstanceKey, StepNo)>,
    pub(super) admission: Admission,
    /// Residents with something to commit.
    pub(super) dirty: Vec<InstanceKey>,
    /// Something of it must not be lost, or somebody waits for it.
    pub(super) urgent: bool,
    /// What is said after the commit.
    pub(super) replies: Vec<After>,
    /// Admitted, to be started.
    pub(super) starts: VecDeque<Start>,
    /// Those in `starts` (true) and those that wait for a slot (false).
    pub(super) wanted: HashMap<InstanceKey, bool>,
    /// To be removed with the next commit.
    pub(super) deletes: BTreeSet<InstanceKey>,
    /// Pieces of streams to be written with the next commit, and those to be dropped.
    pub(super) chunks: Vec<Write>,
    /// Who follows which instance.
    pub(super) subscribers: HashMap<InstanceKey, Vec<Follower>>,
    /// When the retention of an instance ends.
    pub(super) next_expiry: Option<Timestamp>,
    /// The storage knows better.
    pub(super) expiry_changed: bool,
    /// Who wants to know when nothing happens any more.
    pub(super) still_asked: Vec<StillAsked>,
    pub(super) wakes: Wakes,
    /// Guests that were to be dropped while they waited on the clock.
    pub(super) napping: Vec<Weak<Run>>,
    /// To be looked at after the commit: may they leave memory?
    pub(super) leaving: Vec<InstanceKey>,
    /// What fires when.
    pub(super) crons: Timetable,
    /// Triggers of Workers, which are in `crons` as well.
    pub(super) triggers: Vec<CronTrigger>,
    /// The handlers of Workers.
    pub(super) cron_runner: Option<Arc<dyn CronRunner>>,
    pub(super) busy: usize,
    pub(super) parked: usize,
    pub(super) next_key: InstanceKey,
    pub(super) next_run: RunId,
    /// Set while stopping: nothing is answered or started any more.
    pub(super) stopping: Option<Stopping>,
    /// What tests say about instances.
    pub(super) scripts: Option<Arc<Scripts>>,
    /// Instances were made, which whoever waits for them is told after the commit.
    pub(super) tell_made: bool,
}

/// An instance that is to be started.
pub(super) struct Start {
    pub(super) key: InstanceKey,
    pub(super) workflow: String,
    /// It holds a slot.
    pub(super) slot: bool,
}

/// A stop that was asked for.
pub(super) struct Stopping {
    since: Stopwatch,
    /// How long bodies may go on.
    grace: Duration,
    reply: oneshot::Sender<()>,
}

/// What is said after a commit.
pub(super) enum After {
    Answer(oneshot::Sender<Answer>, Answer),
    Unit(Reply<()>),
    Id(Reply<String>, String),
    Batch(Reply<BatchResult>, BatchResult),
    Deleted(Reply<DeleteResult>, DeleteResult),
    Status(Reply<Option<StatusReport>>, StatusReport),
    Follow(Reply<Feed>, InstanceKey),
    Fire(Firing),
    Made(Made),
    Stored(oneshot::Sender<()>),
}

impl<S: Storage> Core<S> {
    pub(super) async fn run(&mut self, mut inbox: UnboundedReceiver<Message>) {
        let mut deferred: Option<Stopwatch> = None;
        let mut early = 0;
        loop {
            let mut taken = std::mem::take(&mut early);
            while taken < GROUP_MAX
                && let Ok(message) = inbox.try_recv()
            {
                self.take_message(message);
                taken += 1;
            }
            self.fire_timers();
            self.fire_crons();
            self.expire();
            self.settle_group(&mut deferred);
            if self.stopped() {
                return;
            }
            if taken == GROUP_MAX || self.has_starts() || self.urgent {
                continue;
            }
            if self.answer_still(&inbox) {
                continue;
            }
            let spin = match self.busy {
                1 => SPIN_FOR_ONE,
                _ if taken > 0 => SPIN,
                _ => Duration::ZERO,
            };
            if !spin.is_zero()
                && let Some(message) = spin::look(spin, || inbox.try_recv().ok())
            {
                self.take_message(message);
                early = 1;
                continue;
            }
            // Every branch is cancel-safe: a message is taken or left, a timer is looked at again.
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => {
                        self.take_message(message);
                        early = 1;
                    }
                    // Every handle is gone and no run is active: nothing can ever come again.
                    None => return,
                },
                () = until(&*self.clock, self.next_moment()) => {}
                () = left(deferred, DEFER_MAX) => {}
                () = grace(self.stopping.as_ref()) => {}
            }
        }
    }

    /// Commits when it must or has waited long enough, says what is to be said, starts what is to be started.
    fn settle_group(&mut self, deferred: &mut Option<Stopwatch>) {
        let must = self.urgent
            || self.stopping.is_some()
            || self.has_starts()
            || !self.leaving.is_empty()
            || deferred.is_some_and(|since| since.elapsed() >= DEFER_MAX);
        if must || !self.has_writes() {
            if self.has_writes() {
                self.commit();
            }
            *deferred = None;
            self.urgent = false;
            self.look_for_expiry();
            self.say();
            self.start_runs();
            self.let_leave();
        } else {
            // Answers that wait for no commit, such as the start of a further attempt.
            self.say();
        }
        if self.has_writes() {
            deferred.get_or_insert_with(Stopwatch::start);
        }
    }

    pub(super) fn has_writes(&self) -> bool {
        !self.dirty.is_empty()
            || !self.deletes.is_empty()
            || !self.chunks.is_empty()
            || !self.crons.unwritten().is_empty()
    }

    /// When something is to be done by itself.
    pub(super) fn next_moment(&self) -> Option<Timestamp> {
        let timer = self.timers.first().map(|(at, ..)| *at);
        [timer, self.next_expiry, self.crons.next_moment()].into_iter().flatten().min()
    }

    fn look_for_expiry(&mut self) {
        if std::mem::take(&mut self.expiry_changed) {
            match self.storage.next_expiry() {
                Ok(next) => self.next_expiry = next,
                Err(error) => tracing::error!(error = %chain(&error), "cannot look for instances to remove"),
            }
        }
    }

    fn has_starts(&self) -> bool {
        !self.starts.is_empty() && self.busy < BUSY_MAX && self.stopping.is_none()
    }

    fn start_runs(&mut self) {
        while self.has_starts()
            && let Some(start) = self.starts.pop_front()
        {
            self.wanted.remove(&start.key);
            self.start_run(&start);
        }
    }

    fn say(&mut self) {
        let stopping = self.stopping.is_some();
        let mut follows = Vec::new();
        for after in self.replies.drain(..) {
            // A receiver that is gone does not want its answer any more.
            match after {
                // A guest that is to be stopped must not go on; it is dropped while it waits.
                After::Answer(..) if stopping => {}
                After::Answer(reply, answer) => drop(reply.send(answer)),
                After::Unit(reply) => drop(reply.send(Ok(()))),
                After::Id(reply, id) => drop(reply.send(Ok(id))),
                After::Batch(reply, result) => drop(reply.send(Ok(result))),
                After::Deleted(reply, result) => drop(reply.send(Ok(result))),
                After::Status(reply, status) => drop(reply.send(Ok(Some(status)))),
                After::Follow(reply, key) => follows.push((key, reply)),
                After::Fire(firing) => {
                    if let Some(runner) = &self.cron_runner {
                        runner.fire(firing);
                    }
                }
                After::Made(made) => {
                    if let Some(runner) = &self.cron_runner {
                        runner.made(made);
                    }
                }
                After::Stored(reply) => drop(reply.send(())),
            }
        }
        if let Some(scripts) = self.scripts.as_ref().filter(|_| std::mem::take(&mut self.tell_made)) {
            scripts.tell();
        }
        for (key, reply) in follows {
            self.follow(key, reply);
        }
    }

    /// Whether everything has been done for a stop that was asked for.
    fn stopped(&mut self) -> bool {
        let Some(Stopping { since, grace, .. }) = &self.stopping else { return false };
        let executing =
            self.residents.values().any(|resident| resident.active.is_some() && resident.instance.is_executing());
        if executing && since.elapsed() < *grace {
            return false;
        }
        let keys: Vec<_> = self.residents.keys().copied().collect();
        for key in keys {
            // Not the bodies' fault: these attempts do not count.
            let _ = self.apply(key, Command::Interrupt);
            if let Some(active) = self.residents.get_mut(&key).and_then(|resident| resident.active.take()) {
                active.run.stop();
            }
        }
        if self.has_writes() {
            self.commit();
        }
        if let Some(Stopping { reply, .. }) = self.stopping.take() {
            let _ = reply.send(());
        }
        true
    }

    fn take_message(&mut self, message: Message) {
        match message {
            Message::Run(message) => self.run_message(message),
            Message::Yielded { run, key } => self.yielded(key, run),
            Message::Idle { run, key, answers_seen } => self.idle(key, run, answers_seen),
            Message::Trapped { run, key, error, culprit, replaying } => {
                self.trapped(key, run, Command::Trap { error, culprit, replaying });
            }
            Message::Interrupted { run, key, reason } => self.interrupted(key, run, &reason),
            Message::Create { workflow, options, reply } => self.create(&workflow, options, reply),
            Message::CreateScheduled { workflow, schedule, reply } => {
                self.create_scheduled(&workflow, &schedule, reply);
            }
            Message::SetTriggers { triggers } => {
                self.triggers = triggers;
                // Nothing of it is missed: what is new is counted from now on.
                let _ = self.set_timetable(&[]);
            }
            Message::Crons { reply } => drop(reply.send(self.crons.states())),
            Message::CreateBatch { workflow, options, reply } => self.create_batch(&workflow, options, reply),
            Message::Get { workflow, id, reply } => self.get(&workflow, &id, reply),
            Message::Status { workflow, id, reply } => self.status(&workflow, &id, reply),
            Message::Operate { workflow, id, operation, reply } => self.operate(&workflow, &id, operation, reply),
            Message::DeleteBatch { workflow, ids, reply } => self.delete_batch(&workflow, ids, reply),
            Message::Subscribe { workflow, id, reply } => match self.find(&workflow, &id) {
                Ok(Some(key)) => {
                    self.urgent = true;
                    self.replies.push(After::Follow(reply, key));
                }
                Ok(None) => super::requests::refuse(reply, super::ApiError::not_found()),
                Err(error) => super::requests::refuse(reply, error),
            },
            Message::MockEvent { workflow, id, event, reply } => self.mock_event(&workflow, &id, event, reply),
            Message::Held { run, key } => self.held(key, run),
            Message::Chunk { run, key, step, attempt, index, bytes, reply } => {
                self.chunk(key, run, Piece { step, attempt, index, bytes, reply });
            }
            Message::ReadChunk { key, attempt, index, reply } => self.read_chunk(key, attempt, index, reply),
            Message::Read(job) => job(&mut self.storage),
            Message::Reload { workers, workflows, reply } => {
                // The asker may have gone.
                let _ = reply.send(self.reload(&workers, workflows));
            }
            Message::Overview { reply } => {
                let overview = Overview {
                    runs: self.residents.values().filter(|resident| resident.active.is_some()).count(),
                    parked: self.parked,
                    starting: self.starts.len() + self.busy,
                    resident: self.residents.len(),
                    timers: self.timers.len(),
                    next_timer: self.timers.first().map(|(at, ..)| *at),
                    next_cron: self.crons.next_moment(),
                };
                let _ = reply.send(overview);
            }
            Message::Still { with_wake, then, reply } => {
                self.still_asked.push(StillAsked { with_wake, then, reply });
            }
            Message::Look => {}
            Message::Working { reply } => drop(reply.send(self.working_names())),
            Message::Shutdown { grace, reply } => {
                self.stopping = Some(Stopping { since: Stopwatch::start(), grace, reply });
            }
        }
    }

    fn fire_timers(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let now = self.clock.now();
        let mut fired = 0;
        while let Some((at, key, step)) = self.timers.first().copied()
            && at <= now
            && fired < GROUP_MAX
        {
            fired += 1;
            self.timers.pop_first();
            if step == WHOLE_INSTANCE {
                // Its steps' own timers are armed now; those that are due fire in this very loop.
                self.load(key);
                self.wake(key, true);
                self.leaving.push(key);
                continue;
            }
            self.note_due(key, step);
            let Some(resident) = self.residents.get(&key) else { continue };
            let attached = resident.is_attached(step);
            let _ = self.apply(key, Command::Due { step, attached });
            self.wake(key, true);
        }
    }

    /// Lets the engine decide, and takes what it decides into the state.
    pub(super) fn apply(&mut self, key: InstanceKey, command: Command) -> Result<(), Refusal> {
        let now = self.clock.now();
        let Some(resident) = self.residents.get_mut(&key) else { return Ok(()) };
        let context = Context { now, active: resident.active.is_some() };
        // What ended with its process, or ends with it, is recorded in any case.
        let limited = !matches!(command, Command::RunStarted | Command::Interrupt);
        let entries = resident.instance.decide(command, context)?;
        // The pieces of a stream were counted when they came.
        let counts = |entry: &&Entry| !matches!(entry, Entry::StepStreamed { .. });
        if limited && !resident.has_room(entries.iter().filter(counts).map(Entry::bytes).sum()) {
            self.exceeds(key);
            return Ok(());
        }
        for entry in entries {
            self.take_entry(key, entry, now);
        }
        Ok(())
    }

    /// More was to be recorded of the instance than may be kept: that ends it.
    pub(super) fn exceeds(&mut self, key: InstanceKey) {
        // One that has failed is taken to have come to its end by itself.
        if let Some(active) = self.residents.get(&key).and_then(|resident| resident.active.as_ref()) {
            active.run.stop();
        }
        let _ = self.apply(key, Command::Exceed);
        self.stop(key);
        self.wake(key, false);
    }

    pub(super) fn take_entry(&mut self, key: InstanceKey, entry: Entry, now: Timestamp) {
        self.drop_stream(key, &entry);
        let Some(resident) = self.residents.get_mut(&key) else { return };
        let instance = &mut resident.instance;
        let step = if entry.starts_step() { Some(instance.next_step()) } else { entry.step() };
        let before = step.and_then(|step| instance.deadline(step));
        let moves_all = entry.moves_all_timers();
        if moves_all {
            for (step, at) in instance.deadlines() {
                self.timers.remove(&(at, key, step));
            }
        }
        self.urgent |= is_urgent(&entry);
        super::runs::log(&resident.fixed, instance, &entry);
        if let Entry::Restarted { from: None, .. } = entry {
            // What came before is not history any more.
            resident.pending.clear();
            resident.wipe = true;
        }
        let stamped = Stamped { at: now, entry };
        resident.pending.push(stamped.clone());
        instance.evolve(stamped);
        if !resident.dirty {
            resident.dirty = true;
            self.dirty.push(key);
        }
        resident.ended = instance.status().is_final().then_some(now);
        if moves_all {
            for (step, at) in instance.deadlines() {
                self.timers.insert((at, key, step));
            }
            return;
        }
        let Some(step) = step else { return };
        let after = instance.deadline(step);
        if before != after {
            if let Some(at) = before {
                self.timers.remove(&(at, key, step));
            }
            if let Some(at) = after {
                self.timers.insert((at, key, step));
            }
        }
        self.answer(key, step);
    }

    /// Answers the call that waits for this step, if there is one and it can be answered.
    pub(super) fn answer(&mut self, key: InstanceKey, step: StepNo) {
        let Some(resident) = self.residents.get_mut(&key) else { return };
        let Some(active) = &mut resident.active else { return };
        if !active.parked.contains_key(&step) {
            return;
        }
        let Some(answer) = resident.instance.answer(step) else { return };
        if let Some(reply) = active.parked.remove(&step) {
            active.answers_sent += 1;
            if std::mem::take(&mut active.idle) {
                self.parked -= 1;
            }
            // The guest has it from now on; a later run reads the journal.
            resident.instance.release(step);
            self.replies.push(After::Answer(reply, answer));
        }
    }
}

/// Facts that somebody will have seen, so that a crash must not take them back. The rest only repeats work when lost.
fn is_urgent(entry: &Entry) -> bool {
    match entry {
        Entry::StepSucceeded { .. }
        | Entry::StepStreamed { .. }
        | Entry::StepFailed { .. }
        | Entry::SleepCompleted { .. }
        | Entry::WaitCompleted { .. }
        | Entry::WaitTimedOut { .. }
        | Entry::EventReceived { .. }
        | Entry::Completed { .. }
        | Entry::Errored { .. }
        | Entry::PauseRequested
        | Entry::PauseCancelled
        | Entry::Paused
        | Entry::Resumed
        | Entry::Terminated
        | Entry::Restarted { .. }
        | Entry::RollbackStarted { .. }
        | Entry::RollbackFinished { .. } => true,
        Entry::Running
        | Entry::Waiting
        | Entry::Queued
        | Entry::StepStarted { .. }
        | Entry::AttemptStarted { .. }
        | Entry::AttemptFailed { .. }
        | Entry::AttemptInterrupted { .. }
        | Entry::StepAbandoned { .. }
        | Entry::StepReopened { .. }
        | Entry::SleepStarted { .. }
        | Entry::WaitStarted { .. } => false,
    }
}

async fn until(clock: &dyn Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn grace(stopping: Option<&Stopping>) {
    left(stopping.map(|stopping| stopping.since), stopping.map_or(Duration::ZERO, |stopping| stopping.grace)).await;
}

async fn left(since: Option<Stopwatch>, limit: Duration) {
    match since {
        Some(since) => real::sleep(limit.saturating_sub(since.elapsed())).await,
        None => std::future::pending().await,
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
