//! One simulated process of the crash matrix: it starts empty or recovers a record, then runs until the instance ends or the kill.
//!
//! **Guarantees.** Only committed records and the data of Durable Objects outlive a process. A killed process has no effects after the kill.
//! //! **Non-goals.** Waiting in real time, unless a step body does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::{self, Either};
use miniflow_runtime::clock::{MovableClock, TimeMode};
use miniflow_runtime::dispatcher::{CatchUp, CreateOptions, CronOptions};
use miniflow_runtime::engine::{Entry, Instance, StepState, limits};
use miniflow_runtime::mover::{MoveError, Mover};
use miniflow_runtime::storage::memory::{MemoryStorage, Watch};
use miniflow_runtime::storage::{Durability, Retention, Storage as _, Trigger, Write};
use miniflow_runtime::{
    Bytes, Clock as _, Dispatcher, Handle, Options, StepKey, StepKind, SystemClock, Timestamp, WorkflowDefinition,
};
use tokio::sync::SetOnce;

use super::judge::{Outcome, label};
use super::{Kill, MatrixError, Point};
use crate::bindings::Bound;
use crate::bindings::durable_object::{Alarms, Databases};
use crate::bindings::kv::Namespaces;
use crate::bindings::logging::{LogLine, LogSink};
use crate::bindings::queue::Queues;
use crate::session::Connected;
use crate::triggers::durable_object::Objects;
use crate::triggers::inward::Passing;
use crate::verify::scenario::Scenario;
use crate::verify::world::{Answers, Done, World};
use crate::wasm::determinism::Determinism;
use crate::wasm::{Runner, Services};

/// Id of the tested instance.
pub(super) const ID: &str = "matrix";

/// Longest real time without progress of the clock.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest real time for Durable Objects to stop after a kill.
const OBJECTS_MAX: Duration = Duration::from_millis(500);

/// Limit of clock moves, which bounds a workflow that never ends.
const MOVES_MAX: usize = 20_000;

/// Start time of every process: in the future of the machine's clock, so that all processes start at the same time.
const AHEAD: Duration = Duration::from_secs(3600);

/// Resources shared by all processes.
pub(super) struct Stage {
    connected: Arc<Connected>,
    workflow: String,
    definitions: Vec<WorkflowDefinition>,
    scenario: Arc<Scenario>,
    determinism: Arc<Determinism>,
    base: Timestamp,
    has_objects: bool,
    has_queues: bool,
    has_namespaces: bool,
}

/// State that outlives a process.
pub(super) struct Life {
    storage: MemoryStorage,
    databases: Databases,
    alarms: Alarms,
    /// Durable Objects and their storage, created by the first process that uses them.
    namespaces: OnceLock<Namespaces>,
    /// Clock reading, in Unix milliseconds.
    now: AtomicU64,
}

/// Commit of the first run.
pub(super) struct Commit {
    pub(super) writes: Vec<Write>,
    /// Number of effects before the commit.
    pub(super) effects_before: usize,
    /// Steps that end in the commit.
    pub(super) settled: Vec<String>,
    /// Steps that start in the commit.
    pub(super) started: Vec<String>,
}

/// Result of one process.
pub(super) struct Lived {
    /// Commits; only of the first run.
    pub(super) commits: Vec<Commit>,
    pub(super) done: Done,
    pub(super) answers: Answers,
    pub(super) outcome: Outcome,
    pub(super) in_vain: BTreeSet<String>,
    /// Whether Durable Objects or KV namespaces stored data.
    pub(super) has_beside: bool,
}

struct Silent;

impl LogSink for Silent {
    fn line(&self, _line: LogLine) {}
}

impl Stage {
    pub(super) fn new(
        connected: &Arc<Connected>,
        workflow: &str,
        scenario: &Arc<Scenario>,
        determinism: &Arc<Determinism>,
    ) -> Result<Self, MatrixError> {
        if !connected.definitions.iter().any(|definition| definition.name == workflow) {
            let names: Vec<_> = connected.definitions.iter().map(|known| format!("`{}`", known.name)).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(MatrixError(format!("there is no workflow `{workflow}` (there are: {names})")));
        }
        let bare = |definition: &WorkflowDefinition| WorkflowDefinition {
            schedules: Vec::new(),
            retention: Retention::default(),
            ..definition.clone()
        };
        let bound = |is: fn(&Bound) -> bool| {
            connected.members().any(|(_, bindings)| bindings.iter().any(|(_, bound)| is(bound)))
        };
        Ok(Self {
            connected: Arc::clone(connected),
            workflow: workflow.to_owned(),
            definitions: connected.definitions.iter().map(bare).collect(),
            scenario: Arc::clone(scenario),
            determinism: Arc::clone(determinism),
            base: SystemClock::new().now().plus_ms(AHEAD.as_millis().try_into().unwrap_or(0)),
            has_objects: bound(|bound| matches!(bound, Bound::DurableObject(_))),
            has_queues: bound(|bound| matches!(bound, Bound::Queue(_))),
            has_namespaces: bound(|bound| matches!(bound, Bound::Kv(_))),
        })
    }

    /// Runs the workflow without a kill.
    pub(super) async fn first(&self) -> Result<Lived, MatrixError> {
        let life = self.life()?;
        self.run(&life, None, &Arc::default(), true).await
    }

    /// Returns an empty state.
    pub(super) fn life(&self) -> Result<Life, MatrixError> {
        let alarms = Alarms::open(None, Durability::Normal).map_err(|error| MatrixError(error.to_string()))?;
        Ok(Life {
            storage: MemoryStorage::default(),
            databases: Databases::new(None, Durability::Normal),
            alarms,
            namespaces: OnceLock::new(),
            now: AtomicU64::new(self.base.as_millis()),
        })
    }

    /// Returns the state after the first commits of `first`.
    pub(super) fn copy(&self, first: &Lived, commits: usize) -> Result<Life, MatrixError> {
        let life = self.life()?;
        let mut storage = life.storage.clone();
        let mut now = self.base;
        for commit in first.commits.iter().take(commits) {
            storage.commit(&commit.writes).map_err(|error| MatrixError(error.to_string()))?;
            let moments = commit.writes.iter().filter_map(|write| match write {
                Write::Append(_, entries) => entries.last().map(|last| last.at),
                _ => None,
            });
            now = moments.fold(now, Timestamp::max);
        }
        life.now.store(now.as_millis(), Ordering::Relaxed);
        Ok(life)
    }

    /// Continues from `life` until `kill`, or to the end.
    pub(super) async fn live(
        &self,
        life: &Life,
        kill: Option<Point>,
        answers: &Arc<Answers>,
    ) -> Result<Lived, MatrixError> {
        self.run(life, kill, answers, false).await
    }

    async fn run(
        &self,
        life: &Life,
        kill: Option<Point>,
        answers: &Arc<Answers>,
        keep: bool,
    ) -> Result<Lived, MatrixError> {
        let failed = |error: &dyn std::error::Error| MatrixError(error.to_string());
        let world = World::new(Arc::clone(&self.scenario), Arc::clone(answers));
        let (died, commits) = (Arc::new(SetOnce::new()), Arc::new(Mutex::new(Kept::new())));
        life.storage.watch(Watcher {
            commits: keep.then(|| Arc::clone(&commits)),
            count: 0,
            kill,
            world: world.clone(),
            died: Arc::clone(&died),
        });
        let from = Timestamp(life.now.load(Ordering::Relaxed));
        let clock = MovableClock::new(TimeMode::Manual, Duration::ZERO, from);
        let process = Process::start(self, life, &world, &clock).map_err(|error| failed(&error))?;
        let ended = {
            let to_the_end = std::pin::pin!(self.to_the_end(&process, life));
            match future::select(std::pin::pin!(died.wait()), to_the_end).await {
                Either::Left(_) => Ok(()),
                Either::Right((ended, _)) => ended,
            }
        };
        process.stop().await;
        life.now.store(clock.now().as_millis(), Ordering::Relaxed);
        // // A request that was open at the kill was answered with this.
        if !died.initialized() {
            ended?;
        }
        let records = life.storage.records();
        let mut kept = life.databases.contents().map_err(|error| failed(&error))?;
        if let Some(namespaces) = life.namespaces.get() {
            kept.extend(namespaces.contents().await.map_err(|error| failed(&error))?);
        }
        let in_vain = records.iter().flat_map(|(_, _, journal)| in_vain(journal)).collect();
        let done = world.done();
        let outcome = Outcome::new(&self.workflow, &records, kept, done.clone());
        let commits = std::mem::take(&mut *commits.lock().unwrap_or_else(PoisonError::into_inner));
        let (commits, has_beside) = (self.told(commits), !done.touches.is_empty() || !life.databases.is_empty());
        Ok(Lived { commits, done, answers: world.answers(), outcome, in_vain, has_beside })
    }

    /// Adds the steps to each commit.
    fn told(&self, commits: Kept) -> Vec<Commit> {
        let mut names: BTreeMap<i64, String> = BTreeMap::new();
        let mut steps: BTreeMap<i64, Vec<StepKey>> = BTreeMap::new();
        let mut told = Vec::with_capacity(commits.len());
        for (writes, effects_before) in commits {
            let (mut settled, mut started) = (Vec::new(), Vec::new());
            for write in &writes {
                match write {
                    Write::Create(fixed, _) => drop(names.insert(fixed.key, fixed.workflow.clone())),
                    Write::Append(key, entries) => {
                        let workflow = names.get(key).map_or("", String::as_str);
                        let known = steps.entry(*key).or_default();
                        let name = |step: &StepKey| label(&self.workflow, workflow, step);
                        for stamped in entries {
                            match &stamped.entry {
                                Entry::StepStarted { key, .. }
                                | Entry::SleepStarted { key, .. }
                                | Entry::WaitStarted { key, .. } => {
                                    known.push(key.clone());
                                    started.push(name(key));
                                }
                                entry if settles(entry) => {
                                    let step = entry.step().and_then(|step| known.get(usize::try_from(step).ok()?));
                                    settled.extend(step.map(name));
                                }
                                _ => {}
                            }
                        }
                    }
                    _ => {}
                }
            }
            told.push(Commit { writes, effects_before, settled, started });
        }
        told
    }

    async fn to_the_end(&self, process: &Process, life: &Life) -> Result<(), MatrixError> {
        let handle = process.dispatcher.handle();
        let refused = |error: miniflow_runtime::ApiError| MatrixError(format!("`{}`: {error}", self.workflow));
        if handle.get(&self.workflow, ID).await.is_err() {
            let params = self.scenario.params.as_ref().map(|params| Bytes::from(params.to_string()));
            let options =
                CreateOptions { id: Some(ID.to_owned()), params, trigger: Trigger::Api, ..CreateOptions::default() };
            handle.create(&self.workflow, options).await.map_err(refused)?;
        }
        for _ in 0..MOVES_MAX {
            process.mover.still().await.map_err(|error| self.stuck(&error))?;
            let status = handle.status(&self.workflow, ID).await.map_err(refused)?.status;
            let unfinished = life.storage.clone().unfinished().map_err(|error| MatrixError(error.to_string()))?;
            if status.is_final() && unfinished.is_empty() {
                return Ok(());
            }
            if self.send_events(&handle, life).await? {
                continue;
            }
            match process.mover.next().await {
                Ok(_) => {}
                // // Other instances may wait for events that never come; they are not part of the check.
                Err(MoveError::NothingToCome) if status.is_final() => return Ok(()),
                Err(error) => return Err(self.stuck(&error)),
            }
        }
        Err(MatrixError(format!("`{}` has not come to its end after {MOVES_MAX} moments of time", self.workflow)))
    }

    fn stuck(&self, error: &MoveError) -> MatrixError {
        let workflow = &self.workflow;
        MatrixError(match error {
            MoveError::NothingToCome => {
                format!("`{workflow}` does not come to its end: it waits for something that never comes")
            }
            MoveError::AtWork { names, .. } => {
                let seconds = PATIENCE.as_secs();
                format!(
                    "`{workflow}` does not come to its end: at work for over {seconds} seconds is {}",
                    names.join(", ")
                )
            }
            error => format!("`{workflow}`: {error}"),
        })
    }

    /// Sends the events that instances wait for, while the scenario has any.
    async fn send_events(&self, handle: &Handle, life: &Life) -> Result<bool, MatrixError> {
        if self.scenario.events.is_empty() {
            return Ok(false);
        }
        let records = life.storage.records();
        let received = |wanted: &str| {
            let entries = records.iter().flat_map(|(_, _, journal)| journal);
            let is_wanted =
                |entry: &Entry| matches!(entry, Entry::EventReceived { event_type, .. } if **event_type == *wanted);
            entries.filter(|stamped| is_wanted(&stamped.entry)).count()
        };
        for (fixed, summary, journal) in &records {
            if summary.status.is_final() {
                continue;
            }
            let instance = Instance::replay(journal.iter().cloned());
            let waited = instance.steps().iter().find_map(|step| match &step.state {
                StepState::Waiting { event_type, .. } => {
                    let payload = self.scenario.events.get(&**event_type)?.get(received(event_type))?;
                    Some((event_type, payload))
                }
                _ => None,
            });
            if let Some((event_type, payload)) = waited {
                let sent = handle.send_event(&fixed.workflow, &fixed.id, event_type, payload.to_string().into()).await;
                sent.map_err(|error| MatrixError(format!("the event `{event_type}` cannot be sent: {error}")))?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Lived {
    /// Returns the steps that a kill may have interrupted: those that end in the lost commit or start there.
    pub(super) fn suspects(&self, kill: Kill) -> &[String] {
        match self.commits.get(kill.commit().wrapping_sub(1)) {
            Some(commit) if !commit.settled.is_empty() => &commit.settled,
            Some(commit) => &commit.started,
            None => &[],
        }
    }

    /// Returns the steps that ended last before a kill.
    pub(super) fn last_settled(&self, kill: Kill) -> &[String] {
        let before = self.commits.iter().take(kill.commit().saturating_sub(1));
        before.rev().map(|commit| &commit.settled).find(|settled| !settled.is_empty()).map_or(&[], Vec::as_slice)
    }
}

fn settles(entry: &Entry) -> bool {
    matches!(
        entry,
        Entry::StepSucceeded { .. }
            | Entry::StepStreamed { .. }
            | Entry::StepFailed { .. }
            | Entry::AttemptFailed { .. }
            | Entry::SleepCompleted { .. }
            | Entry::WaitCompleted { .. }
            | Entry::WaitTimedOut { .. }
    )
}

/// Returns the event types of waits that timed out.
fn in_vain(journal: &[miniflow_runtime::engine::Stamped]) -> Vec<String> {
    let mut steps: Vec<Option<String>> = Vec::new();
    let mut found = Vec::new();
    for stamped in journal {
        match &stamped.entry {
            Entry::WaitStarted { event_type, .. } => steps.push(Some(event_type.to_string())),
            entry if entry.starts_step() => steps.push(None),
            Entry::WaitTimedOut { step } => {
                let waited = usize::try_from(*step).ok().and_then(|step| steps.get(step).cloned().flatten());
                found.extend(waited);
            }
            _ => {}
        }
    }
    found
}

/// A running process.
struct Process {
    dispatcher: Dispatcher,
    mover: Mover,
    services: Arc<Services>,
    objects: Objects,
    has_objects: bool,
    workers: Vec<String>,
    world: World,
}

impl Process {
    fn start(
        stage: &Stage,
        life: &Life,
        world: &World,
        clock: &MovableClock,
    ) -> Result<Self, miniflow_runtime::storage::StorageError> {
        let tokio = tokio::runtime::Handle::current();
        let services = Arc::new(Services::new(Arc::new(clock.clone()), Arc::new(Silent)));
        services.set_outside(Arc::new(world.clone()));
        services.set_determinism(Arc::clone(&stage.determinism));
        let mut workers = Vec::new();
        for (member, bindings) in stage.connected.members() {
            let generation = member.generation().among(&services, bindings.clone(), member.cpu_max());
            services.workers.slot(member.name()).set(Arc::new(generation));
            workers.push(member.name().to_owned());
        }
        let objects = Objects::of(life.databases.clone(), life.alarms.clone(), &services);
        services.set_inward(Arc::new(Passing::new(services.workers.clone(), objects.clone())));
        if stage.has_queues {
            let queues = Queues::new(None, Durability::Normal, Arc::clone(&services.clock));
            queues.open()?;
            services.set_queues(queues);
        }
        if stage.has_namespaces {
            // // The clock of KV stands still during a process; entries expire between processes.
            let new = || Namespaces::new(None, Durability::Normal, Arc::clone(&services.clock));
            let namespaces = life.namespaces.get_or_init(new).clone();
            namespaces.open()?;
            services.set_namespaces(namespaces);
        }
        let dispatcher = Dispatcher::start(Options {
            storage: life.storage.clone(),
            reader: None,
            clock: Arc::new(clock.clone()),
            runner: Arc::new(Runner::new(services.workers.clone(), tokio)),
            workflows: stage.definitions.clone(),
            account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
            crons: CronOptions { triggers: Vec::new(), runner: None, catch_up: CatchUp::None, fires: false },
        })?;
        services.set_runtime(dispatcher.handle());
        if stage.has_objects {
            objects.ring();
        }
        let mover = Mover::with_patience(clock.clone(), dispatcher.handle(), None, PATIENCE);
        let (has_objects, world) = (stage.has_objects, world.clone());
        Ok(Self { dispatcher, mover, services, objects, has_objects, workers, world })
    }

    async fn stop(self) {
        self.world.end();
        for worker in &self.workers {
            self.services.workers.slot(worker).clear();
        }
        self.dispatcher.shutdown(Duration::ZERO).await;
        if self.has_objects {
            self.objects.stop(OBJECTS_MAX).await;
        }
    }
}

/// Commits, with the number of effects before each.
type Kept = Vec<(Vec<Write>, usize)>;

/// Storage wrapper that records commits and performs the kill.
struct Watcher {
    /// Commit log. `None` disables recording.
    commits: Option<Arc<Mutex<Kept>>>,
    count: usize,
    kill: Option<Point>,
    world: World,
    died: Arc<SetOnce<()>>,
}

impl Watcher {
    fn die(&self) {
        // // The sandbox is closed before anyone can observe the kill.
        self.world.end();
        // // One report is enough.
        let _ = self.died.set(());
    }
}

impl Watch for Watcher {
    fn before(&mut self, writes: &[Write]) -> bool {
        if self.died.initialized() {
            return false;
        }
        self.count += 1;
        if self.kill == Some(Point::Before(self.count)) {
            self.die();
            return false;
        }
        if let Some(commits) = &self.commits {
            let commit = (writes.to_vec(), self.world.count());
            commits.lock().unwrap_or_else(PoisonError::into_inner).push(commit);
        }
        true
    }

    fn after(&mut self) -> bool {
        let dies = self.kill == Some(Point::After(self.count));
        if dies {
            self.die();
        }
        !dies
    }
}

/// Whether the step is asked for by `run` itself, not by the body of another step.
pub(super) fn is_own(step: &StepKey) -> bool {
    step.kind != StepKind::Rollback
}
