//! A new build, or a new configuration, of a Worker that is being served.
//!
//! In this order: it is loaded and connected, which may fail and changes nothing; instances in flight are checked against it; those
//! that do not fit are paused, unless something else was asked for; it is put in place; runs go on with it. Requests are answered by the
//! one before until then, and those in flight to their end.
//!
//! Promises: one reload at a time; nothing is lost by one that fails, and nothing by one that succeeds. Never does: build, watch, print.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use futures::future::{self, Either};
use miniflow_runtime::clock::{Stopwatch, real};
use miniflow_runtime::dispatcher::Reloaded;
use miniflow_runtime::{Clock, Handle, InstanceStatus};
use tokio::sync::Mutex;

use super::check::{Checked, Finding, Future, check};
use super::{Connected, Session};
use crate::config::{Problem, Problems, Project};
use crate::wasm::Generation;

/// A check that takes longer says that it goes on.
const LONG: Duration = Duration::from_secs(1);

/// And says it again, each time after this.
const AGAIN: Duration = Duration::from_secs(5);

/// What becomes of instances that do not fit new code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDivergence {
    /// They are paused, and go on with the next code that fits them, or when they are resumed.
    #[default]
    Pause,
    /// They begin again.
    Restart,
    /// They go on all the same.
    Continue,
}

/// What came of a reload.
#[derive(Debug)]
pub enum Reloading {
    /// Nothing is different: nothing was done.
    Same,
    /// It is in place.
    Done(Box<Reload>),
}

/// A reload that was done.
#[derive(Debug)]
pub struct Reload {
    /// Name of the Worker.
    pub worker: String,
    /// The instances in flight that were checked, oldest first.
    pub checked: Vec<Checked>,
    /// What was done with those that do not fit.
    pub on_divergence: OnDivergence,
    /// Instances that were paused by an earlier reload, and go on.
    pub resumed: usize,
    /// What the runtime says.
    pub runs: Reloaded,
    /// How long the check took.
    pub check_took: Duration,
    /// How long all of it took.
    pub took: Duration,
    /// What to point out although it is served; nothing that was pointed out before.
    pub warnings: Problems,
}

/// Reloads the Workers of a session. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Reloader(Arc<Shared>);

struct Shared {
    session: Session,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    turn: Mutex<()>,
    /// Called when Workers were put in place.
    put: Box<dyn Fn() + Send + Sync>,
    /// Instances that a reload has paused, by workflow and id.
    paused: SyncMutex<HashSet<(String, String)>>,
}

impl Reloader {
    /// Returns what reloads the Workers of `session`, whose instances are in `runtime`. `put` is called each time that they are others.
    #[must_use]
    pub fn new(
        session: Session,
        runtime: Handle,
        clock: Arc<dyn Clock>,
        put: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (turn, paused) = (Mutex::default(), SyncMutex::default());
        Self(Arc::new(Shared { session, runtime, clock, turn, put: Box::new(put), paused }))
    }

    /// Puts `component` under the configuration of `project` in the place of the Worker of its name. A check that takes long says now and then
    /// how many instances it has looked at: `checking`.
    ///
    /// # Errors
    ///
    /// When it cannot be served, as at the start. Then everything is as it was.
    pub async fn reload(
        &self,
        project: &Project,
        component: &Path,
        on_divergence: OnDivergence,
        checking: &(dyn Fn(usize) + Sync),
    ) -> Result<Reloading, Problems> {
        let shared = &self.0;
        let _turn = shared.turn.lock().await;
        let since = Stopwatch::start();
        let worker = project.name.as_str();
        let Some(before) = shared.session.members().into_iter().find(|member| member.name() == worker) else {
            let problem = format!("no Worker of this session was called `{worker}` when it began");
            return Err(Problem::error(problem)
                .with_hint("start miniflow again to serve it under its new name")
                .into());
        };
        let member = shared.session.load(project.clone(), component).await?;
        if before.project == member.project && before.generation.digest() == member.generation.digest() {
            return Ok(Reloading::Same);
        }
        let mut warnings: Vec<_> = member.warnings.iter().cloned().collect();
        let connected = shared.session.connect_with(member)?;
        warnings.extend(connected.warnings.iter().cloned());
        let known: Vec<_> = shared.session.present().warnings.iter().cloned().collect();
        warnings.retain(|warning| !known.contains(warning));
        let changes = shared.session.changes(&connected);

        let check_began = Stopwatch::start();
        let checked = shared.check(shared.future(&connected, &changes), checking).await;
        let check_took = check_began.elapsed();
        let checked = checked.ok_or_else(|| Problem::error("the instances in flight could not be read"))?;

        let unfit = || checked.iter().filter(|checked| !checked.finding.fits());
        if on_divergence == OnDivergence::Pause {
            shared.pause(unfit()).await;
        }
        let workers: Vec<_> = changes.iter().map(|generation| generation.worker().to_owned()).collect();
        shared.session.put_changed(&connected, changes);
        (shared.put)();
        if on_divergence == OnDivergence::Restart {
            for Checked { workflow, id, .. } in unfit() {
                shared.try_to(shared.runtime.restart(workflow, id, None).await);
            }
        }
        let runs = shared.runtime.reload(&workers, connected.definitions.clone()).await.unwrap_or_default();
        shared.runtime.set_triggers(connected.triggers.clone());
        let resumed = shared.resume(&checked).await;
        Ok(Reloading::Done(Box::new(Reload {
            worker: worker.to_owned(),
            checked,
            on_divergence,
            resumed,
            runs,
            check_took,
            took: since.elapsed(),
            warnings: warnings.into_iter().collect(),
        })))
    }
}

impl Shared {
    /// Looks at the instances in flight, and says how far it is while that takes long.
    async fn check(&self, future: Future, checking: &(dyn Fn(usize) + Sync)) -> Option<Vec<Checked>> {
        let done = Arc::new(AtomicUsize::new(0));
        let mut found = pin!(check(future, &self.runtime, &self.clock, &done));
        let mut wait = LONG;
        loop {
            match future::select(found, pin!(real::sleep(wait))).await {
                Either::Left((found, _)) => return found,
                Either::Right(((), unfinished)) => found = unfinished,
            }
            checking(done.load(Ordering::Relaxed));
            wait = AGAIN;
        }
    }

    fn future(&self, connected: &Connected, changes: &[Arc<Generation>]) -> Future {
        let changing = |worker: &str| changes.iter().any(|generation| generation.worker() == worker);
        let after: BTreeMap<_, _> =
            connected.definitions.iter().map(|workflow| (workflow.name.clone(), workflow)).collect();
        let before = self.session.present().definitions.clone();
        let concerned = connected
            .definitions
            .iter()
            .chain(&before)
            .filter(|workflow| changing(&workflow.worker) || !after.contains_key(&workflow.name))
            .map(|workflow| workflow.name.clone())
            .collect();
        Future {
            generations: changes.iter().map(|now| (now.worker().to_owned(), Arc::clone(now))).collect(),
            definitions: after.into_iter().map(|(name, workflow)| (name, Arc::new(workflow.clone()))).collect(),
            concerned,
        }
    }

    /// Pauses what does not fit. A body that runs is finished first.
    async fn pause<'a>(&self, unfit: impl Iterator<Item = &'a Checked>) {
        for Checked { workflow, id, status, .. } in unfit {
            if matches!(status, InstanceStatus::Paused | InstanceStatus::WaitingForPause) {
                continue;
            }
            self.try_to(self.runtime.pause(workflow, id).await);
            self.paused().insert((workflow.clone(), id.clone()));
        }
    }

    /// Lets what an earlier reload has paused go on if it fits now. Returns how many do.
    async fn resume(&self, checked: &[Checked]) -> usize {
        let mut resumed = 0;
        for Checked { workflow, id, finding, .. } in checked {
            if matches!(finding, Finding::Tried(_))
                && finding.fits()
                && self.paused().remove(&(workflow.clone(), id.clone()))
            {
                self.try_to(self.runtime.resume(workflow, id).await);
                resumed += 1;
                tracing::debug!(%workflow, instance = %id, "fits again: {finding:?}");
            }
        }
        resumed
    }

    /// An instance may end, or be deleted, before it can be paused.
    fn try_to(&self, done: Result<(), miniflow_runtime::ApiError>) {
        if let Err(error) = done {
            tracing::debug!("an instance that did not fit is gone: {error}");
        }
    }

    fn paused(&self) -> std::sync::MutexGuard<'_, HashSet<(String, String)>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
