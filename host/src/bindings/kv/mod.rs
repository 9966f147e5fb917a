//! KV: values by their key, for every Worker that binds the namespace.
//!
//! [`Namespaces`] is the one place of a session where they are, by the namespace's id: Workers that bind the same id share what is in it.
//!
//! Promises: what was written and answered survives the process, and whoever reads after that finds it; an entry expires by the clock, at its
//! second; a guest reaches the namespaces that its configuration binds and no other. Never does: cache, so that nothing is read that is not
//! so any more.

mod entry;
mod host;
mod store;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use miniflow_runtime::Clock;
use miniflow_runtime::storage::{Durability, StorageError};

use super::writer::{LateWriter, Writer, WriterError};

pub use super::writer::WriterError as KvStorageError;
pub use entry::{
    BULK_BYTES_MAX, BULK_KEYS_MAX, CACHE_TTL_S_MIN, EXPIRATION_S_MIN, Entry, KEY_BYTES_MAX, KvError, LIST_KEYS_MAX,
    ListOptions, Listed, METADATA_BYTES_MAX, Operation, Page, PutOptions, VALUE_BYTES_MAX,
};

/// The KV namespaces of a session. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Namespaces(Arc<Shared>);

struct Shared {
    writer: LateWriter,
    clock: Arc<dyn Clock>,
}

impl Namespaces {
    /// Returns the namespaces that are kept in `directory`, or in memory. Nothing can be asked of them before they are open.
    #[must_use]
    pub fn new(directory: Option<&Path>, durability: Durability, clock: Arc<dyn Clock>) -> Self {
        let writer = LateWriter::new("miniflow-kv", directory, durability, store::open);
        Self(Arc::new(Shared { writer, clock }))
    }

    /// Opens them, unless they are.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub fn open(&self) -> Result<(), StorageError> {
        self.0.writer.open()
    }

    fn writer(&self) -> Result<&Writer, WriterError> {
        self.0.writer.get()
    }

    fn now_s(&self) -> u64 {
        self.0.clock.now().as_millis() / 1000
    }

    /// What is kept under `key`.
    ///
    /// # Errors
    ///
    /// When storage fails. The inner one is the guest's.
    pub async fn get(
        &self,
        namespace: &str,
        key: String,
        cache_ttl: Option<u64>,
    ) -> Result<Result<Option<Entry>, KvError>, WriterError> {
        if let Err(error) = entry::key(Operation::Get, &key).and_then(|()| entry::cache_ttl(cache_ttl, false)) {
            return Ok(Err(error));
        }
        let (namespace, now_s) = (namespace.to_owned(), self.now_s());
        self.writer()?.ask(move |connection| store::get(connection, &namespace, &key, now_s)).await.map(Ok)
    }

    /// What is kept under `keys`, in their order.
    ///
    /// # Errors
    ///
    /// When storage fails. The inner one is the guest's.
    pub async fn get_many(
        &self,
        namespace: &str,
        keys: Vec<String>,
        cache_ttl: Option<u64>,
    ) -> Result<Result<Vec<Option<Entry>>, KvError>, WriterError> {
        if let Err(error) = entry::keys(&keys).and_then(|()| entry::cache_ttl(cache_ttl, true)) {
            return Ok(Err(error));
        }
        let (namespace, now_s) = (namespace.to_owned(), self.now_s());
        self.writer()?.ask(move |connection| store::get_many(connection, &namespace, &keys, now_s)).await
    }

    /// Keeps `value` under `key`, in the place of what is there. Dropped, it may be done all the same.
    ///
    /// # Errors
    ///
    /// When storage fails. The inner one is the guest's.
    pub async fn put(
        &self,
        namespace: &str,
        key: String,
        value: Bytes,
        options: PutOptions,
    ) -> Result<Result<(), KvError>, WriterError> {
        let now_s = self.now_s();
        let entry = match entry::new(key, value, options, now_s) {
            Ok(entry) => entry,
            Err(error) => return Ok(Err(error)),
        };
        let namespace = namespace.to_owned();
        self.writer()?.ask(move |connection| store::put(connection, &namespace, &entry, now_s)).await.map(Ok)
    }

    /// Removes what is kept under `key`, if there is something. Dropped, it may be done all the same.
    ///
    /// # Errors
    ///
    /// When storage fails. The inner one is the guest's.
    pub async fn delete(&self, namespace: &str, key: String) -> Result<Result<(), KvError>, WriterError> {
        if let Err(error) = entry::key(Operation::Delete, &key) {
            return Ok(Err(error));
        }
        let namespace = namespace.to_owned();
        self.writer()?.ask(move |connection| store::delete(connection, &namespace, &key)).await.map(Ok)
    }

    /// Everything that is kept, as texts, by where it is: for whoever compares two states.
    ///
    /// # Errors
    ///
    /// When storage fails.
    pub(crate) async fn contents(&self) -> Result<Vec<(String, String)>, WriterError> {
        self.writer()?.ask(store::contents).await
    }

    /// Some of the keys.
    ///
    /// # Errors
    ///
    /// When storage fails. The inner one is the guest's.
    pub async fn list(&self, namespace: &str, options: ListOptions) -> Result<Result<Page, KvError>, WriterError> {
        let range = match entry::range(options) {
            Ok(range) => range,
            Err(error) => return Ok(Err(error)),
        };
        let (namespace, now_s) = (namespace.to_owned(), self.now_s());
        self.writer()?.ask(move |connection| store::list(connection, &namespace, &range, now_s)).await.map(Ok)
    }
}

/// Where the value of `key` is, for people.
fn place(namespace: &str, key: &str) -> String {
    format!("the value of `{key}` in the KV namespace `{namespace}`")
}

#[cfg(test)]
mod tests;
