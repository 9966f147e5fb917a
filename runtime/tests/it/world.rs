//! A dispatcher with everything around it, that can be killed and started again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use miniflow_runtime::dispatcher::Overview;
use miniflow_runtime::engine::{Entry, Retry, limits};
use miniflow_runtime::testing::{MemoryStorage, ScriptedRunner, SimClock};
use miniflow_runtime::{
    Begun, Bytes, Clock, CreateOptions, Dispatcher, ErrorInfo, Handle, InstanceStatus, Options, Run, StatusReport,
    StepOptions, Timestamp, Verdict, WorkflowDefinition,
};

/// What bodies get to finish when the process stops.
const GRACE: Duration = Duration::from_secs(2);

/// Where time begins in tests.
pub(crate) const START: Timestamp = Timestamp(1_000_000);

/// How often each step body ran, over all processes.
#[derive(Clone, Default)]
pub(crate) struct Effects(Arc<Mutex<BTreeMap<String, u32>>>);

impl Effects {
    pub(crate) fn add(&self, name: &str) -> u32 {
        let mut effects = self.0.lock().unwrap();
        let count = effects.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn of(&self, name: &str) -> u32 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    pub(crate) fn all(&self) -> BTreeMap<String, u32> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) struct World {
    pub(crate) storage: MemoryStorage,
    pub(crate) clock: SimClock,
    pub(crate) effects: Effects,
    runner: ScriptedRunner,
    workflows: Vec<WorkflowDefinition>,
    account: usize,
    dispatcher: Option<Dispatcher>,
}

impl World {
    /// A world whose only workflow is called `w`.
    pub(crate) fn new<F, R>(script: F) -> Self
    where
        F: Fn(Arc<Run>, Effects) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
    {
        let effects = Effects::default();
        let given = effects.clone();
        let runner = ScriptedRunner::new().class("W", move |run| script(run, given.clone()));
        let workflows = vec![WorkflowDefinition::new("w", "W", "worker")];
        let clock = SimClock::at(START);
        Self {
            storage: MemoryStorage::default(),
            clock,
            effects,
            runner,
            workflows,
            account: limits::CONCURRENCY_ACCOUNT_MAX,
            dispatcher: None,
        }
    }

    pub(crate) fn limit(mut self, concurrency: usize) -> Self {
        self.workflows[0].concurrency = Some(concurrency);
        self
    }

    pub(crate) fn step_limit(mut self, steps: u32) -> Self {
        self.workflows[0].step_limit = steps;
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
        })
        .unwrap();
        let handle = dispatcher.handle();
        self.dispatcher = Some(dispatcher);
        handle
    }

    pub(crate) fn recovered(&self) -> miniflow_runtime::dispatcher::Recovered {
        self.dispatcher.as_ref().unwrap().recovered()
    }

    /// Ends the process: nothing more is committed.
    pub(crate) async fn kill(&mut self) {
        self.storage.die_after(0);
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.shutdown(GRACE).await;
        }
        self.storage.revive();
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.shutdown(GRACE).await;
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
        panic!("never {wanted}: {:?}", handle.status("w", id).await);
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

/// `step.do` as an SDK does it, for closures.
pub(crate) async fn step<F, R>(run: &Arc<Run>, name: &str, body: F) -> Result<Bytes, ErrorInfo>
where
    F: Fn(u32) -> R,
    R: Future<Output = Result<Bytes, ErrorInfo>>,
{
    step_with(run, name, StepOptions::default(), body).await
}

pub(crate) async fn step_with<F, R>(
    run: &Arc<Run>,
    name: &str,
    options: StepOptions,
    body: F,
) -> Result<Bytes, ErrorInfo>
where
    F: Fn(u32) -> R,
    R: Future<Output = Result<Bytes, ErrorInfo>>,
{
    let mut attempt = match run.begin_step(name, options).await {
        Begun::Recorded(output) => return Ok(output),
        Begun::RecordedStream(_) => unreachable!("no step here writes a stream"),
        Begun::Failed(error) => return Err(error),
        Begun::Execute(attempt) => attempt,
    };
    loop {
        let result = {
            let deadline = attempt.deadline();
            tokio::select! { biased; result = body(attempt.number()) => Some(result), () = deadline => None }
        };
        let (verdict, output) = match result {
            Some(Ok(output)) => (attempt.succeed(output.clone()).await, Some(output)),
            Some(Err(error)) => {
                let retry = if error.name == "NonRetryableError" { Retry::Never } else { Retry::ByPolicy };
                (attempt.fail(error, retry).await, None)
            }
            None => (attempt.expire(Retry::ByPolicy).await, None),
        };
        match verdict {
            Verdict::Done => return Ok(output.unwrap()),
            Verdict::Streamed(_) => unreachable!("no step here writes a stream"),
            Verdict::Failed(error) => return Err(error),
            Verdict::Retry(next) => attempt = next,
        }
    }
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
