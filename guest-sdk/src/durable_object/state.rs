//! [`State`]: what an object is told about itself when it is made.

use std::future::Future;

use super::{ObjectId, Storage};
use crate::host;

/// The id and the storage of an object.
#[derive(Debug)]
pub struct State {
    id: String,
    name: Option<String>,
}

impl State {
    pub(super) fn new(id: String, name: Option<String>) -> Self {
        Self { id, name }
    }

    /// Returns the object's own id.
    #[must_use]
    pub fn id(&self) -> ObjectId<'_> {
        ObjectId::own(&self.id, self.name.as_deref())
    }

    /// Returns the object's storage.
    #[must_use]
    pub fn storage(&self) -> Storage {
        Storage::new()
    }

    /// Lets `future` run on after the answer. The object stays alive for it, for at most 30 seconds after its last event.
    pub fn wait_until<F>(&self, future: F)
    where
        F: Future<Output = ()> + 'static,
    {
        host::required("`State::wait_until`");
        // The handle only serves to cancel or await the task.
        drop(crate::bindings::wit_bindgen::spawn_local(future));
    }
}
