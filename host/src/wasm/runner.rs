//! Runs instances of workflows: a store for each run, gone with it.
//!
//! A run waits for three things before its guest exists: a generation that has its class, a place among the live runs, and
//! its turn among those being started. Then the runtime drives the guest ([`drive`]) and says when it must go.
//!
//! Promises: at most [`STARTS_MAX`] runs compute their way to where they were at a time, however many wake at once; every
//! guest that is not stopped ends with exactly one [`Run::ended`], before its store is dropped. Never does: decide what a
//! failure means for the instance.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{self, Either};
use miniflow_runtime::clock::real;
use miniflow_runtime::run::{Driven, RunEnd, drive};
use miniflow_runtime::{ErrorInfo, GuestRunner, Run};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{PoolConcurrencyLimitError, Store};

use super::bindings::exports::miniflow::worker::workflows::{CronSchedule, WorkflowEvent};
use super::generation::Generation;
use super::limits::CpuBudget;
use super::state::GuestState;
use super::trap;
use super::workers::Workers;

/// Runs that are being started or replayed at a time: enough to keep the machine busy, few enough to keep memory small.
const STARTS_MAX: usize = 64;

/// Runs that have a guest at a time; the rest of [`super::engine::SLOTS`] is for requests. A run beyond them waits.
const LIVE_RUNS_MAX: usize = 1700;

/// A start that takes longer, because the code waits for something of its own before its first step, lets others start.
const START_MAX: Duration = Duration::from_secs(1);

/// Before another try when the pool is full all the same: stores of ended guests are being cleared.
const POOL_FULL_DELAY: Duration = Duration::from_millis(20);

/// The runner of a session. Cheap to clone; all clones are the same runner.
#[derive(Clone)]
pub struct Runner(Arc<Shared>);

struct Shared {
    workers: Workers,
    tokio: Handle,
    starts: Arc<Semaphore>,
    live: Arc<Semaphore>,
}

impl Runner {
    /// Returns a runner of `workers`, whose guests live on `tokio`. Runs of a Worker that is not there wait for it.
    #[must_use]
    pub fn new(workers: Workers, tokio: Handle) -> Self {
        Self(Arc::new(Shared {
            workers,
            tokio,
            starts: Arc::new(Semaphore::new(STARTS_MAX)),
            live: Arc::new(Semaphore::new(LIVE_RUNS_MAX)),
        }))
    }
}

impl GuestRunner for Runner {
    fn start(&self, run: Arc<Run>) {
        let shared = Arc::clone(&self.0);
        self.0.tokio.spawn(async move { shared.run(run).await });
    }
}

impl Shared {
    async fn run(self: Arc<Self>, run: Arc<Run>) {
        let prepared = {
            let ready = pin!(self.prepare(&run));
            match future::select(pin!(run.stopped()), ready).await {
                Either::Left(((), _)) => return,
                Either::Right((prepared, _)) => prepared,
            }
        };
        let (generation, _live, start) = prepared;
        let mut start = Some(start);
        loop {
            // Nothing of the guest may outlive this: hibernation, a trap and an ordinary end all drop the store.
            let mut store = generation.store(Some(Arc::clone(&run)));
            let cpu = store.data().cpu().clone();
            let guest = paced(call_run(&generation, &mut store, &run), &cpu, &run, &mut start);
            let error = match drive(&run, guest).await {
                Driven::Stopped => return,
                Driven::Finished(Ok(())) => return run.ended(RunEnd::Returned),
                Driven::Finished(Err(error)) => error,
            };
            if !error.is::<PoolConcurrencyLimitError>() {
                return died(&run, &store, &error);
            }
            drop(store);
            real::sleep(POOL_FULL_DELAY).await;
        }
    }

    /// Waits for all that a run needs. A class that is gone from the code may come back with the next build; its
    /// instances are kept until then.
    async fn prepare(&self, run: &Run) -> (Arc<Generation>, OwnedSemaphorePermit, OwnedSemaphorePermit) {
        let slot = self.workers.slot(run.worker());
        let generation = match slot.get().filter(|generation| generation.has_class(run.class_name())) {
            Some(generation) => generation,
            None => {
                run.lacks_code(true);
                let generation = slot.wait_for(|generation| generation.has_class(run.class_name())).await;
                run.lacks_code(false);
                generation
            }
        };
        let live = permit(&self.live).await;
        let start = permit(&self.starts).await;
        (generation, live, start)
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        // Nobody closes them.
        Err(_) => future::pending().await,
    }
}

/// Polls the guest as it is, and looks at what each poll says: its processor time is counted from its last wait, and the
/// permit to start goes back when it waits for something that no run before it has had, or has taken [`START_MAX`].
async fn paced<F: Future>(guest: F, cpu: &CpuBudget, run: &Run, start: &mut Option<OwnedSemaphorePermit>) -> F::Output {
    let mut guest = pin!(guest);
    let mut start_over = pin!(real::sleep(START_MAX));
    future::poll_fn(|context| {
        let polled = guest.as_mut().poll(context);
        if polled.is_pending() {
            let waits = cpu.after_pending();
            let new = waits && !run.replaying();
            if start.is_some() && (new || start_over.as_mut().poll(context).is_ready()) {
                *start = None;
            }
        }
        polled
    })
    .await
}

/// Calls the guest's `run`.
pub(super) async fn call_run(
    generation: &Generation,
    store: &mut Store<GuestState>,
    run: &Run,
) -> wasmtime::Result<()> {
    let Some(indices) = &generation.code.workflows else {
        // Cannot be: `prepare` waits for a generation that has the class.
        wasmtime::bail!("the Worker has no workflow classes");
    };
    let instance = generation.instantiate(store).await?;
    let guest = indices.load(&mut *store, &instance)?;
    let (class, event) = (run.class_name().to_owned(), event(run));
    store.run_concurrent(async move |accessor| guest.call_run(accessor, class, event).await).await?
}

fn event(run: &Run) -> WorkflowEvent {
    let event = run.event();
    WorkflowEvent {
        payload: event.payload.to_vec(),
        timestamp: event.timestamp.as_millis(),
        instance_id: run.instance_id().to_owned(),
        workflow_name: run.workflow_name().to_owned(),
        schedule: event.schedule.as_ref().map(|schedule| CronSchedule {
            cron: schedule.cron.clone(),
            scheduled_time: schedule.scheduled_time.as_millis(),
        }),
    }
}

fn died(run: &Run, store: &Store<GuestState>, error: &wasmtime::Error) {
    let death = trap::explain(store, error);
    // What becomes of it is logged with what it does to the instance.
    let error = ErrorInfo { backtrace: death.backtrace, ..ErrorInfo::new("Error", death.message) };
    run.ended(RunEnd::Trapped { error });
}
