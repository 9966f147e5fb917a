//! A dispatcher with everything around it, that can be killed and started again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::select;
use miniflow_runtime::clock::Stopwatch;
use miniflow_runtime::dispatcher::{CronOptions, Overview, Recovered, Reloaded};
use miniflow_runtime::engine::{Entry, limits};
use miniflow_runtime::storage::Retention;
use miniflow_runtime::testing::{Handlers, MemoryStorage, ScriptedRunner, SimClock};
use miniflow_runtime::{
    Bytes, Clock, CreateOptions, Dispatcher, ErrorInfo, Fit, Handle, InstanceStatus, Options, Run, StatusReport,
    Timestamp, Trial, WorkflowDefinition,
};
use proptest::prelude::ProptestConfig;
use tokio::sync::watch;

/// What bodies get to finish when the process stops.
const GRACE: Duration = Duration::from_secs(2);

/// Where time begins in tests.
pub(crate) const START: Timestamp = Timestamp(1_000_000);

/// As many cases of a law as `PROPTEST_CASES` says, `usual` without it.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let all = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() { all } else { ProptestConfig { cases: usual, ..all } }
}

/// What step bodies left behind, over all processes.
#[derive(Clone, Default)]
pub(crate) struct Effects(Arc<Mutex<Left>>);

#[derive(Default)]
struct Left {
    counts: BTreeMap<String, u32>,
    order: Vec<String>,
}

impl Effects {
    pub(crate) fn add(&self, name: &str) -> u32 {
        let mut left = self.0.lock().unwrap();
        left.order.push(name.to_owned());
        let count = left.counts.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn of(&self, name: &str) -> u32 {
        self.0.lock().unwrap().counts.get(name).copied().unwrap_or(0)
    }

    /// All of them, in their order.
    pub(crate) fn order(&self) -> String {
        self.0.lock().unwrap().order.join(", ")
    }

    /// Returns when `name` was added `count` times.
    pub(crate) async fn until(&self, name: &str, count: u32) {
        for _ in 0..1_000_000 {
            if self.of(name) >= count {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never {count} times {name}: {:?}", self.all());
    }

    pub(crate) fn all(&self) -> BTreeMap<String, u32> {
        self.0.lock().unwrap().counts.clone()
    }
}

/// What bodies wait at until the test opens it.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn pass(&self) {
        self.0.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

pub(crate) struct World {
    pub(crate) storage: MemoryStorage,
    pub(crate) clock: SimClock,
    pub(crate) effects: Effects,
    runner: ScriptedRunner,
    workflows: Vec<WorkflowDefinition>,
    account: usize,
    pub(crate) crons: CronOptions,
    dispatcher: Option<Dispatcher>,
}

impl World {
    /// A world whose only workflow is called `w`.
    pub(crate) fn new<F, R>(script: F) -> Self
    where
        F: Fn(Arc<Run>, Effects) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
    {
        Self::saga(move |run, effects, _| script(run, effects))
    }

    /// As [`Self::new`], of a script that registers compensations.
    pub(crate) fn saga<F, R>(script: F) -> Self
    where
        F: Fn(Arc<Run>, Effects, Handlers) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
    {
        let effects = Effects::default();
        let given = effects.clone();
        let runner = ScriptedRunner::new().class("W", move |run, handlers| script(run, given.clone(), handlers));
        Self {
            storage: MemoryStorage::default(),
            clock: SimClock::at(START),
            effects,
            runner,
            workflows: vec![WorkflowDefinition::new("w", "W", "worker")],
            account: limits::CONCURRENCY_ACCOUNT_MAX,
            crons: CronOptions::default(),
            dispatcher: None,
        }
    }

    /// With one more workflow of the same class.
    pub(crate) fn also(mut self, name: &str) -> Self {
        self.workflows.push(WorkflowDefinition::new(name, "W", "worker"));
        self
    }

    /// Slots of all workflows together.
    pub(crate) fn account(mut self, concurrency: usize) -> Self {
        self.account = concurrency;
        self
    }

    /// How long finished instances are kept where their creation does not say it.
    pub(crate) fn retention(mut self, retention: Retention) -> Self {
        self.workflows[0].retention = retention;
        self
    }

    /// When instances are made by themselves.
    pub(crate) fn schedules(mut self, schedules: &[&str]) -> Self {
        self.set_schedules(schedules);
        self
    }

    /// The same, for the next process.
    pub(crate) fn set_schedules(&mut self, schedules: &[&str]) {
        self.workflows[0].schedules = schedules.iter().map(|text| text.parse().unwrap()).collect();
    }

    pub(crate) fn limit(mut self, concurrency: usize) -> Self {
        self.workflows[0].concurrency = Some(concurrency);
        self
    }

    pub(crate) fn step_limit(mut self, steps: u32) -> Self {
        self.workflows[0].step_limit = steps;
        self
    }

    /// Bytes that may be kept of an instance.
    pub(crate) fn room(mut self, bytes: u64) -> Self {
        self.workflows[0].bytes_max = bytes;
        self
    }

    pub(crate) fn start(&mut self) -> Handle {
        let dispatcher = Dispatcher::start(Options {
            storage: self.storage.clone(),
            reader: None,
            clock: Arc::new(self.clock.clone()),
            runner: Arc::new(self.runner.clone()),
            workflows: self.workflows.clone(),
            account_concurrency: self.account,
            crons: self.crons.clone(),
        })
        .unwrap();
        let handle = dispatcher.handle();
        self.dispatcher = Some(dispatcher);
        handle
    }

    /// New code is there: whatever the script does from now on.
    pub(crate) async fn reload(&self, handle: &Handle) -> Reloaded {
        handle.reload(&["worker".to_owned()], self.workflows.clone()).await.unwrap()
    }

    /// Tries `script` on every instance that is in flight, oldest first.
    pub(crate) async fn try_out<F, R>(&self, handle: &Handle, script: F) -> Vec<Fit>
    where
        F: Fn(Arc<Run>, Effects, Handlers) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
    {
        let effects = Effects::default();
        let given = effects.clone();
        let runner = ScriptedRunner::new().class("W", move |run, handlers| script(run, given.clone(), handlers));
        let in_flight = handle.read(|archive| archive.in_flight(&|_| true, 0, 1000)).await.unwrap();
        let mut fits = Vec::new();
        for instance in in_flight {
            let definition = Arc::new(self.workflows[0].clone());
            let trial = Trial::new(definition, &instance.fixed, instance.journal, Arc::new(self.clock.clone()));
            fits.push(runner.try_out(handle, trial).await);
        }
        assert!(effects.all().is_empty(), "a trial ran a body: {:?}", effects.all());
        fits
    }

    pub(crate) fn recovered(&self) -> Recovered {
        self.dispatcher.as_ref().unwrap().recovered().clone()
    }

    /// Ends the process: nothing more is committed.
    pub(crate) async fn kill(&mut self) {
        self.storage.die_after(0);
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.shutdown(Duration::ZERO).await;
        }
        self.storage.revive();
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.shutdown(GRACE).await;
        }
    }

    /// Ends the process without letting bodies finish, and commits that they were cut.
    pub(crate) async fn stop_at_once(&mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.shutdown(Duration::ZERO).await;
        }
    }

    /// Moves time from timer to timer until `done`, or until nothing can happen any more.
    pub(crate) async fn drive(&self, handle: &Handle, mut done: impl FnMut(&Overview) -> bool) {
        for _ in 0..200_000 {
            let Some(overview) = handle.overview().await else { return };
            if done(&overview) || self.storage.is_dead() {
                return;
            }
            if overview.runs == overview.parked
                && overview.starting == 0
                && let Some(next) = overview.next_timer
            {
                self.clock.advance_to(next);
            }
            tokio::task::yield_now().await;
        }
        panic!("no end in sight: {:?}", handle.overview().await);
    }

    /// Waits, without moving time, until `done`.
    pub(crate) async fn watch(&self, handle: &Handle, done: impl Fn(&Overview) -> bool) -> Overview {
        for _ in 0..1_000_000 {
            let overview = handle.overview().await.unwrap();
            if done(&overview) {
                return overview;
            }
            tokio::task::yield_now().await;
        }
        panic!("never: {:?}", handle.overview().await);
    }

    /// Waits, without moving time, until nothing happens any more: everything finished, waits, or is held by the test.
    pub(crate) async fn settle(&self, handle: &Handle) {
        // What the test holds is never still: then a tenth of a second in which nothing changes has to do.
        let unchanged = async {
            let (mut quiet, mut since) = (0, Stopwatch::start());
            let mut before = Overview::default();
            while quiet < 200 || since.elapsed() < Duration::from_millis(100) {
                let overview = handle.overview().await.unwrap();
                if overview == before && overview.starting == 0 {
                    quiet += 1;
                } else {
                    (quiet, since) = (0, Stopwatch::start());
                }
                before = overview;
                tokio::task::yield_now().await;
            }
        };
        select(std::pin::pin!(handle.still(false)), std::pin::pin!(unchanged)).await;
    }

    /// Drives until the instance has this status, and returns what it says then.
    pub(crate) async fn drive_to(&self, handle: &Handle, id: &str, wanted: InstanceStatus) -> StatusReport {
        for _ in 0..200_000 {
            let report = handle.status("w", id).await.unwrap();
            if report.status == wanted {
                return report;
            }
            assert!(!report.status.is_final(), "{report:?} instead of {wanted}");
            let overview = handle.overview().await.unwrap();
            if overview.runs == overview.parked
                && overview.starting == 0
                && report.status != InstanceStatus::Running
                && let Some(next) = overview.next_timer
            {
                self.clock.advance_to(next);
            }
            tokio::task::yield_now().await;
        }
        panic!("never {wanted}: {:?}, {:?}", handle.status("w", id).await, handle.overview().await);
    }

    /// Waits, without moving time, until the instance has this status.
    pub(crate) async fn reach(&self, handle: &Handle, id: &str, wanted: InstanceStatus) -> StatusReport {
        for _ in 0..200_000 {
            let report = handle.status("w", id).await.unwrap();
            if report.status == wanted {
                return report;
            }
            tokio::task::yield_now().await;
        }
        let overview = handle.overview().await;
        panic!("never {wanted}: {:?}, {overview:?}, {:#?}", handle.status("w", id).await, self.storage.entries(id));
    }

    /// Waits, without moving time, until the instance has come to its end, whichever it is.
    pub(crate) async fn watch_end(&self, handle: &Handle, id: &str) -> StatusReport {
        for _ in 0..2_000_000 {
            let report = handle.status("w", id).await.unwrap();
            if report.status.is_final() {
                return report;
            }
            tokio::task::yield_now().await;
        }
        panic!("it does not end: {:?}, {:?}", handle.status("w", id).await, handle.overview().await);
    }

    /// Names of the steps whose output is in the journal of `id`.
    pub(crate) fn recorded(&self, id: &str) -> Vec<String> {
        let mut started = Vec::new();
        let mut recorded = Vec::new();
        for stamped in self.storage.entries(id) {
            match stamped.entry {
                Entry::StepStarted { key, .. } | Entry::SleepStarted { key, .. } | Entry::WaitStarted { key, .. } => {
                    started.push(key.name.to_string());
                }
                Entry::StepSucceeded { step, .. } | Entry::StepFailed { step, .. } => {
                    recorded.push(started[step as usize].clone());
                }
                _ => {}
            }
        }
        recorded
    }
}

pub(crate) fn with_id(id: &str) -> CreateOptions {
    CreateOptions { id: Some(id.to_owned()), ..CreateOptions::default() }
}

pub(crate) fn bytes(text: impl Into<String>) -> Bytes {
    Bytes::from(text.into())
}

pub(crate) fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn boom() -> ErrorInfo {
    ErrorInfo::new("Error", "boom")
}

#[test]
fn a_simulated_clock_stands_still() {
    let clock = SimClock::at(START);
    assert_eq!((clock.now(), clock.now()), (START, START));
}
