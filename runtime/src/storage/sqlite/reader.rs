//! Reading beside the writer, on a connection and a thread of its own.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, named_params};

use super::super::{AttemptKey, StorageError, Summary};
use super::{chunks, rows};
use crate::dispatcher::message::InstanceKey;
use crate::engine::{Bytes, Stamped};

/// A connection that cannot write. Sees what is committed.
pub struct Reader {
    connection: Connection,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "busy_timeout", "5000").or_else(|error| match error {
            // The pragma answers with its value.
            rusqlite::Error::ExecuteReturnedResults => Ok(()),
            error => Err(error),
        })?;
        Ok(Self { connection })
    }

    /// The summary of an instance, if there is one of this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn summary(&mut self, workflow: &str, id: &str) -> Result<Option<Summary>, StorageError> {
        let mut statement = self.connection.prepare_cached(SUMMARY)?;
        let found =
            statement.query_row(named_params! { ":workflow": workflow, ":id": id }, rows::summary).optional()?;
        Ok(found)
    }

    /// The key of an instance, if there is one of this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn key(&mut self, workflow: &str, id: &str) -> Result<Option<InstanceKey>, StorageError> {
        Ok(rows::find(&self.connection, workflow, id)?)
    }

    /// The entries of an instance, in order, as they were when the first of them was read; none when there is no such instance.
    ///
    /// # Errors
    /// When the database cannot be read, or an entry is of a kind this version does not know.
    pub fn journal(&mut self, key: InstanceKey, each: &mut dyn FnMut(Stamped)) -> Result<(), StorageError> {
        rows::journal(&self.connection, key, each)
    }

    /// A piece of a step's output that is a stream.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn chunk(&mut self, key: InstanceKey, attempt: AttemptKey, index: u32) -> Result<Option<Bytes>, StorageError> {
        Ok(chunks::get(&self.connection, key, attempt, index)?)
    }
}

const SUMMARY: &str = "SELECT status, wake_at, ended_at, output, error_name, error_message, error_backtrace,
    rollback, rollback_error_name, rollback_error_message, rollback_error_backtrace, expires_at FROM instance
    WHERE workflow = :workflow AND id = :id";
