//! What becomes of instances in flight on new code, found out before the code is used.
//!
//! Promises: the dispatcher goes on meanwhile, and nothing is written. Never does: decide what follows.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use miniflow_runtime::engine::Entry;
use miniflow_runtime::storage::InFlight;
use miniflow_runtime::{Clock, Fit, Handle, InstanceStatus, Trial, WorkflowDefinition};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::wasm::Generation;

/// Instances read at once: the reader has other questions to answer too.
const BATCH: usize = 32;

/// An instance that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Name of its workflow.
    pub workflow: String,
    /// Its id.
    pub id: String,
    /// Its status then.
    pub status: InstanceStatus,
    /// What was found.
    pub finding: Finding,
}

/// What becomes of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The code was tried.
    Tried(Fit),
    /// It took too long.
    TooLong,
    /// The new code does not have this class.
    NoClass(String),
    /// The workflow is not there any more.
    Gone,
}

impl Finding {
    /// Whether the instance can go on as if nothing had happened. What cannot be tried to the end, because the code does something
    /// outside of steps, has done nothing wrong.
    #[must_use]
    pub fn fits(&self) -> bool {
        matches!(self, Self::Tried(Fit::Compatible { .. } | Fit::Blocked { .. }) | Self::NoClass(_) | Self::Gone)
    }
}

/// What there will be.
pub(super) struct Future {
    /// Workers that change.
    pub(super) generations: HashMap<String, Arc<Generation>>,
    /// Workflows of all Workers.
    pub(super) definitions: HashMap<String, Arc<WorkflowDefinition>>,
    /// Workflows whose instances are looked at.
    pub(super) concerned: BTreeSet<String>,
}

/// Looks at every instance in flight that is concerned, oldest first; none when they cannot be read, which was logged.
/// Counts in `done` how many it has looked at.
pub(super) async fn check(
    future: Future,
    runtime: &Handle,
    clock: &Arc<dyn Clock>,
    done: &Arc<AtomicUsize>,
) -> Option<Vec<Checked>> {
    let future = Arc::new(future);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let turns = Arc::new(Semaphore::new(cores));
    let mut tasks = JoinSet::new();
    let mut after = 0;
    for number in 0.. {
        let wanted = Arc::clone(&future);
        let batch = runtime
            .read(move |archive| archive.in_flight(&|name| wanted.concerned.contains(name), after, BATCH))
            .await
            .ok()?;
        let Some(last) = batch.last() else { break };
        after = last.fixed.key;
        // Nobody closes it.
        let turn = Arc::clone(&turns).acquire_owned().await.ok()?;
        let (future, runtime, clock) = (Arc::clone(&future), runtime.clone(), Arc::clone(clock));
        let done = Arc::clone(done);
        tasks.spawn(async move {
            let _turn = turn;
            let mut found = Vec::with_capacity(batch.len());
            for instance in batch {
                found.push(future.look_at(instance, &runtime, &clock).await);
                done.fetch_add(1, Ordering::Relaxed);
            }
            (number, found)
        });
    }
    let mut found = tasks.join_all().await;
    found.sort_unstable_by_key(|(number, _)| *number);
    Some(found.into_iter().flat_map(|(_, found)| found).collect())
}

impl Future {
    async fn look_at(&self, instance: InFlight, runtime: &Handle, clock: &Arc<dyn Clock>) -> Checked {
        let InFlight { fixed, status, journal } = instance;
        let finding = match self.definitions.get(&fixed.workflow) {
            None => Finding::Gone,
            Some(definition) => match self.generations.get(&definition.worker) {
                Some(generation) if !generation.has_class(&definition.class_name) => {
                    Finding::NoClass(definition.class_name.clone())
                }
                // It has nothing that code could disagree with.
                _ if !journal.iter().any(|stamped| asks(&stamped.entry)) => fits(),
                Some(generation) => {
                    let mut trial = Trial::new(Arc::clone(definition), &fixed, journal, Arc::clone(clock));
                    generation.try_out(runtime, &mut trial).await.map_or(Finding::TooLong, Finding::Tried)
                }
                None => fits(),
            },
        };
        Checked { workflow: fixed.workflow, id: fixed.id, status, finding }
    }
}

fn asks(entry: &Entry) -> bool {
    entry.starts_step()
}

fn fits() -> Finding {
    Finding::Tried(Fit::Compatible { unasked: Vec::new() })
}
