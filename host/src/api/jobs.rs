//! What goes on after its answer: terminating all instances of a workflow.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use miniflow_runtime::Handle;
use miniflow_runtime::storage::{Filter, Order};
use tokio::task::JoinSet;

use super::failure::Failure;

/// Instances that are looked at together.
const PORTION: usize = 100;

/// The jobs of an API. They end with it.
#[derive(Default)]
pub(super) struct Jobs {
    tasks: Mutex<JoinSet<()>>,
    /// Workflows whose instances are being terminated.
    running: Arc<Mutex<HashSet<String>>>,
}

impl Jobs {
    /// Begins to terminate the instances that `filter` lets through; false when that workflow's are being terminated already.
    pub(super) fn terminate_all(&self, handle: &Handle, filter: Filter) -> bool {
        let workflow = filter.workflow.clone();
        let lock = |running: &Mutex<HashSet<String>>, change: &dyn Fn(&mut HashSet<String>) -> bool| {
            change(&mut running.lock().unwrap_or_else(PoisonError::into_inner))
        };
        if !lock(&self.running, &|running| running.insert(workflow.clone())) {
            return false;
        }
        let (handle, running) = (handle.clone(), Arc::clone(&self.running));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            if let Err(failure) = terminate(&handle, filter).await {
                tracing::error!(workflow, "terminating all instances broke off: {failure:?}");
            }
            lock(&running, &|running| running.remove(&workflow));
        });
        true
    }
}

/// Oldest first, and not those that are created meanwhile.
async fn terminate(handle: &Handle, filter: Filter) -> Result<(), Failure> {
    let workflow = filter.workflow.clone();
    let newest = Filter { workflow: workflow.clone(), ..Filter::default() };
    let read = handle.read(move |archive| archive.list(&newest, Order::NewestFirst, None, 0, 1)).await;
    let last = read.map_err(|_| Failure::Internal)?.first().map(|listed| listed.place);
    let mut after = None;
    loop {
        let asked = filter.clone();
        let read = handle.read(move |archive| archive.list(&asked, Order::OldestFirst, after, 0, PORTION)).await;
        let portion = read.map_err(|_| Failure::Internal)?;
        let Some(end) = portion.last().map(|listed| listed.place) else { return Ok(()) };
        after = Some(end);
        let wanted = portion.iter().filter(|listed| Some(listed.place) <= last && !listed.status.is_final());
        // One that has ended in the meantime needs no terminating.
        futures::future::join_all(wanted.map(|listed| handle.terminate(&workflow, &listed.id, false))).await;
        if Some(end) >= last {
            return Ok(());
        }
    }
}
