//! Reading beside the writer, on a connection and a thread of its own.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, named_params};

use super::super::{StorageError, Summary};
use super::rows;

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
}

const SUMMARY: &str = "SELECT status, wake_at, ended_at, output, error_name, error_message FROM instance
    WHERE workflow = :workflow AND id = :id";
