//! Runs instances of workflows: a store for each run, gone with it.
//!
//! A run waits for three things before its guest exists: a generation that has its class, a permit for a slot of the pool, and
//! its turn among those being started. Then the runtime drives the guest ([`drive`]) and says when it must go.
//!
//! Promises: at most [`STARTS_MAX`] runs compute their way to where they were at a time, however many wake at once; every
//! guest that is not stopped ends with exactly one [`Run::ended`], before its store is dropped. Never does: decide what a
//! failure means for the instance.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use super::pool::{GuestKind, GuestPermit, PoolBackoff};
use super::state::GuestState;
use super::trap::Trapped;
use super::workers::Workers;

/// Runs that are being started or replayed at a time: enough to keep the machine busy, few enough to keep memory small.
const STARTS_MAX: usize = 64;

/// A start that takes longer, because the code waits for something of its own before its first step, lets others start.
const START_MAX: Duration = Duration::from_secs(1);

/// The runner of a session. Cheap to clone; all clones are the same runner.
#[derive(Clone)]
pub struct Runner(Arc<Shared>);

struct Shared {
    workers: Workers,
    tokio: Handle,
    starts: Arc<Semaphore>,
}

impl Runner {
    /// Returns a runner of `workers`, whose guests live on `tokio`. Runs of a Worker that is not there wait for it.
    #[must_use]
    pub fn new(workers: Workers, tokio: Handle) -> Self {
        Self(Arc::new(Shared { workers, tokio, starts: Arc::new(Semaphore::new(STARTS_MAX)) }))
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
        let mut backoff = PoolBackoff::default();
        loop {
            let prepared = {
                let ready = pin!(self.prepare(&run));
                match future::select(pin!(run.stopped()), ready).await {
                    Either::Left(((), _)) => return,
                    Either::Right((prepared, _)) => prepared,
                }
            };
            let (generation, permit, start) = prepared;
            let mut start = Some(start);
            // Nothing of the guest may outlive this: hibernation, a trap and an ordinary end all drop the store.
            let mut store = generation.run_store(permit, Arc::clone(&run));
            let cpu = store.data().cpu().clone();
            let has_begun = AtomicBool::new(false);
            let guest = paced(call_run(&generation, &mut store, &run, &has_begun), &cpu, &run, &mut start);
            let error = match drive(&run, guest).await {
                Driven::Stopped => return,
                Driven::Finished(Ok(())) => return run.ended(RunEnd::Returned),
                Driven::Finished(Err(error)) => error,
            };
            if !error.is::<PoolConcurrencyLimitError>() {
                let trapped = Trapped::of(&store, &error);
                return died(&run, trapped).await;
            }
            if has_begun.into_inner() {
                // `run` has counted steps and opened attempts for this guest: only a new run starts from the journal.
                return run.ended(RunEnd::Interrupted { reason: format!("{error:#}") });
            }
            drop((store, start));
            let stopped = pin!(run.stopped());
            if let Either::Left(_) = future::select(stopped, pin!(backoff.wait())).await {
                return;
            }
        }
    }

    /// Waits for all that a run needs. A class that is gone from the code may come back with the next build; its
    /// instances are kept until then.
    async fn prepare(&self, run: &Run) -> (Arc<Generation>, GuestPermit, OwnedSemaphorePermit) {
        let slot = self.workers.slot(run.worker());
        let generation = match slot.get().filter(|generation| generation.has_class(run.class_name())) {
            Some(generation) => generation,
            None => {
                run.waits_to_start(true);
                let generation = slot.wait_for(|generation| generation.has_class(run.class_name())).await;
                run.waits_to_start(false);
                generation
            }
        };
        let permit = match generation.pool().try_reserve(GuestKind::Run) {
            Some(permit) => permit,
            None => {
                // The clock may move meanwhile: the runs that hold the permits may all wait for it.
                run.waits_to_start(true);
                let permit = generation.pool().reserve(GuestKind::Run).await;
                run.waits_to_start(false);
                permit
            }
        };
        let start = acquire(&self.starts).await;
        (generation, permit, start)
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
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

/// Calls the guest's `run`. Sets `has_begun` before the first instruction of the guest's code.
pub(super) async fn call_run(
    generation: &Generation,
    store: &mut Store<GuestState>,
    run: &Run,
    has_begun: &AtomicBool,
) -> wasmtime::Result<()> {
    let Some(indices) = &generation.code.workflows else {
        // Cannot be: `prepare` waits for a generation that has the class.
        wasmtime::bail!("the Worker has no workflow classes");
    };
    let instance = generation.instantiate(store).await?;
    let guest = indices.load(&mut *store, &instance)?;
    let (class, event) = (run.class_name().to_owned(), event(run));
    has_begun.store(true, Ordering::Relaxed);
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

async fn died(run: &Run, trapped: Trapped) {
    let death = trapped.report().await;
    // What becomes of it is logged with what it does to the instance.
    let error = ErrorInfo { backtrace: death.backtrace, ..ErrorInfo::new("Error", death.message) };
    run.ended(RunEnd::Trapped { error });
}
