//! Reading beside the writer, on a connection of its own: of a server, or of a state directory that nobody serves.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::super::{SqliteError, StorageError};
use super::{DATABASE_FILE, SCHEMA_VERSION, rows, schema};
use crate::dispatcher::message::InstanceKey;
use crate::engine::Stamped;

/// A connection that cannot write. Sees what is committed; see [`Archive`](super::super::Archive) for what it can be asked.
pub struct Reader {
    pub(super) connection: Connection,
}

impl Reader {
    /// Reads the state in `directory`; none when there is none. A server that has it may go on, and nothing is changed.
    ///
    /// # Errors
    /// When the database is of another version, damaged, or cannot be opened.
    pub fn of_directory(directory: &Path) -> Result<Option<Self>, StorageError> {
        let path = directory.join(DATABASE_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let reader = Self::open(&path).map_err(|error| match error {
            StorageError::Sqlite(SqliteError(source)) => schema::named(source, &path),
            error => error,
        })?;
        let found = schema::version(&reader.connection).map_err(|error| schema::named(error, &path))?;
        match found.cmp(&SCHEMA_VERSION) {
            std::cmp::Ordering::Equal => Ok(Some(reader)),
            std::cmp::Ordering::Less => Err(StorageError::Older { path, found, known: SCHEMA_VERSION }),
            std::cmp::Ordering::Greater => Err(StorageError::Newer { path, found, known: SCHEMA_VERSION }),
        }
    }

    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "busy_timeout", "5000").or_else(|error| match error {
            // The pragma answers with its value.
            rusqlite::Error::ExecuteReturnedResults => Ok(()),
            error => Err(error),
        })?;
        schema::keep_plans(&connection)?;
        Ok(Self { connection })
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
}
