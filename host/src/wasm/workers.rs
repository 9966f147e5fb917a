//! Where the Workers of a session are found.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::generation::Slot;

/// The places of Workers, by name. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Workers(Arc<RwLock<BTreeMap<String, Slot>>>);

impl Workers {
    /// The place of `worker`; an empty one when there was none yet.
    #[must_use]
    pub fn slot(&self, worker: &str) -> Slot {
        if let Some(slot) = self.get(worker) {
            return slot;
        }
        let mut workers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        workers.entry(worker.to_owned()).or_default().clone()
    }

    /// The place of `worker`, if it has one.
    #[must_use]
    pub fn get(&self, worker: &str) -> Option<Slot> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(worker).cloned()
    }
}
