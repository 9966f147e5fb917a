//! What a guest passes before it asks for something outside of its store.

use std::sync::Arc;

use miniflow_runtime::Run;
use miniflow_runtime::run::Busy;

use super::state::GuestState;
use crate::bindings::durable_object::ObjectStorage;

/// The way of one guest to the outside.
pub struct Gate {
    run: Option<Arc<Run>>,
    object: Option<Arc<ObjectStorage>>,
}

impl GuestState {
    /// The guest's way to the outside.
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate { run: self.run().cloned(), object: self.object().cloned() }
    }
}

impl Gate {
    /// Returns when the guest may go on. `does` says what it is about to do, such as "uses a queue outside of a step".
    ///
    /// A trial of new code does not go on outside of steps. What an object wrote is durable before anything comes of it elsewhere. A run that
    /// sleeps in another branch, or waits for nothing else, is not put away as long as the answer is held.
    ///
    /// # Errors
    ///
    /// When what an object wrote cannot be kept.
    pub async fn pass(self, does: &'static str) -> wasmtime::Result<Option<Busy>> {
        if let Some(run) = &self.run {
            run.blocks(does).await;
        }
        let busy = self.run.as_ref().map(|run| run.busy());
        if let Some(object) = &self.object {
            object.flush().await?;
        }
        Ok(busy)
    }
}
