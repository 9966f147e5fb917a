//! [`Transaction`]: several writes as one, also over waits.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Entries, ListOptions, Storage};
use crate::bindings::miniflow::worker::object_storage as wit;
use crate::{Error, Result};

/// What the closure of [`Storage::transaction`] reads and writes with.
#[derive(Clone, Debug)]
pub struct Transaction {
    storage: Storage,
    rolled_back: Rc<Cell<bool>>,
}

impl Transaction {
    pub(super) fn begin() -> Result<Open> {
        wit::begin()?;
        let transaction = Self { storage: Storage::new(), rolled_back: Rc::default() };
        Ok(Open { transaction, over: false })
    }

    /// As [`Storage::get`].
    ///
    /// # Errors
    ///
    /// As [`Storage::get`].
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.open()?.get(key).await
    }

    /// As [`Storage::get_multiple`].
    ///
    /// # Errors
    ///
    /// As [`Storage::get_multiple`].
    pub async fn get_multiple(&self, keys: Vec<impl Deref<Target = str>>) -> Result<Entries> {
        self.open()?.get_multiple(keys).await
    }

    /// As [`Storage::put`].
    ///
    /// # Errors
    ///
    /// As [`Storage::put`].
    pub async fn put<T: Serialize>(&self, key: &str, value: T) -> Result<()> {
        self.open()?.put(key, value).await
    }

    /// As [`Storage::put_multiple`].
    ///
    /// # Errors
    ///
    /// As [`Storage::put_multiple`].
    pub async fn put_multiple<T: Serialize>(&self, values: T) -> Result<()> {
        self.open()?.put_multiple(values).await
    }

    /// As [`Storage::delete`].
    ///
    /// # Errors
    ///
    /// As [`Storage::delete`].
    pub async fn delete(&self, key: &str) -> Result<bool> {
        self.open()?.delete(key).await
    }

    /// As [`Storage::delete_multiple`].
    ///
    /// # Errors
    ///
    /// As [`Storage::delete_multiple`].
    pub async fn delete_multiple(&self, keys: Vec<impl Deref<Target = str>>) -> Result<usize> {
        self.open()?.delete_multiple(keys).await
    }

    /// As [`Storage::delete_all`].
    ///
    /// # Errors
    ///
    /// As [`Storage::delete_all`].
    pub async fn delete_all(&self) -> Result<()> {
        self.open()?.delete_all().await
    }

    /// As [`Storage::list`].
    ///
    /// # Errors
    ///
    /// As [`Storage::list`].
    pub async fn list(&self) -> Result<Entries> {
        self.open()?.list().await
    }

    /// As [`Storage::list_with_options`].
    ///
    /// # Errors
    ///
    /// As [`Storage::list_with_options`].
    pub async fn list_with_options(&self, options: ListOptions<'_>) -> Result<Entries> {
        self.open()?.list_with_options(options).await
    }

    /// Takes back everything that was written in the transaction. It is over then, although the closure may go on.
    ///
    /// # Errors
    ///
    /// When it was called before.
    pub fn rollback(&self) -> Result<()> {
        self.open()?;
        wit::rollback()?;
        self.rolled_back.set(true);
        Ok(())
    }

    fn open(&self) -> Result<&Storage> {
        if self.rolled_back.get() {
            return Err(Error::from("Cannot perform operation on a rolled back transaction."));
        }
        Ok(&self.storage)
    }
}

/// The transaction itself. One that is dropped half-way, with the future that ran it, is taken back.
#[derive(Debug)]
pub(super) struct Open {
    transaction: Transaction,
    over: bool,
}

impl Open {
    pub(super) fn handle(&self) -> Transaction {
        self.transaction.clone()
    }

    /// Ends it as `done` says.
    pub(super) fn end(mut self, done: Result<()>) -> Result<()> {
        self.over = true;
        if self.transaction.rolled_back.replace(true) {
            return done;
        }
        match done {
            Ok(()) => Ok(wit::commit()?),
            Err(error) => {
                wit::rollback()?;
                Err(error)
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.over && !self.transaction.rolled_back.replace(true) {
            // The storage is gone when it cannot: then so is the transaction.
            let _ = wit::rollback();
        }
    }
}
