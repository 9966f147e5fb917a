//! SQLite: one connection that writes, owned by the dispatcher's thread; readers have their own.

mod reader;
mod rows;
mod schema;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, named_params};

pub use reader::Reader;
pub use schema::SCHEMA_VERSION;

use super::{Durability, NewInstance, Storage, StorageError, Summary, Unfinished, Write};
use crate::dispatcher::message::InstanceKey;
use crate::engine::{InstanceStatus, Stamped};

/// Name of the database file in a state directory.
pub const DATABASE_FILE: &str = "miniflow.db";

/// The writing connection.
pub struct SqliteStorage {
    connection: Connection,
    path: Option<PathBuf>,
}

impl SqliteStorage {
    /// Opens or creates the database in `directory`, which must exist.
    ///
    /// # Errors
    /// When the database is of a newer version, damaged, or cannot be opened. It is not changed then.
    pub fn open(directory: &Path, durability: Durability) -> Result<Self, StorageError> {
        let path = directory.join(DATABASE_FILE);
        let connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        schema::prepare(&connection, &path, durability)?;
        Ok(Self { connection, path: Some(path) })
    }

    /// A database that lives as long as this value.
    ///
    /// # Errors
    /// When SQLite cannot allocate it.
    pub fn in_memory() -> Result<Self, StorageError> {
        let connection = Connection::open_in_memory()?;
        schema::prepare(&connection, Path::new(":memory:"), Durability::Normal)?;
        Ok(Self { connection, path: None })
    }

    /// A reader with a connection of its own; none for a database in memory.
    ///
    /// # Errors
    /// When the database cannot be opened a second time.
    pub fn reader(&self) -> Result<Option<Reader>, StorageError> {
        self.path.as_deref().map(Reader::open).transpose()
    }
}

impl SqliteStorage {
    /// What is read at the start is where damage beyond the first page shows.
    fn damage(&self, error: rusqlite::Error) -> StorageError {
        schema::named(error, self.path.as_deref().unwrap_or(Path::new(":memory:")))
    }
}

impl Storage for SqliteStorage {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StorageError> {
        // Dropped without commit, as on any error below, the transaction is rolled back.
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut append = transaction.prepare_cached(APPEND)?;
            let mut buffer = Vec::with_capacity(512);
            for write in writes {
                match write {
                    Write::Create(instance, summary) => rows::insert(&transaction, instance, summary)?,
                    Write::Append(key, entries) => {
                        buffer.clear();
                        rows::encode(&mut buffer, entries)?;
                        append.execute(named_params! { ":instance": key, ":entries": &buffer })?;
                    }
                    Write::Update(key, summary) => rows::update(&transaction, *key, summary)?,
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn find(&mut self, workflow: &str, id: &str) -> Result<Option<InstanceKey>, StorageError> {
        let mut statement = self.connection.prepare_cached(FIND)?;
        let key =
            statement.query_row(named_params! { ":workflow": workflow, ":id": id }, |row| row.get(0)).optional()?;
        Ok(key)
    }

    fn load(&mut self, key: InstanceKey) -> Result<Option<(NewInstance, Summary)>, StorageError> {
        rows::load(&self.connection, key)
    }

    fn journal(&mut self, key: InstanceKey, each: &mut dyn FnMut(Stamped)) -> Result<(), StorageError> {
        rows::journal(&self.connection, key, each)
    }

    fn unfinished(&mut self) -> Result<Vec<Unfinished>, StorageError> {
        let damage = |error| self.damage(error);
        let mut statement = self.connection.prepare_cached(UNFINISHED).map_err(damage)?;
        let rows = statement.query_map([], |row| {
            Ok(Unfinished {
                key: row.get("key")?,
                workflow: row.get("workflow")?,
                status: InstanceStatus::parse(row.get_ref("status")?.as_str()?),
                wake_at: row.get::<_, Option<rows::Ms>>("wake_at")?.map(|ms| ms.0),
            })
        });
        rows.and_then(Iterator::collect).map_err(damage)
    }

    fn last_key(&mut self) -> Result<InstanceKey, StorageError> {
        let last = self.connection.query_row("SELECT coalesce(max(key), 0) FROM instance", [], |row| row.get(0));
        last.map_err(|error| self.damage(error))
    }
}

const APPEND: &str = "INSERT INTO journal (instance, entries) VALUES (:instance, :entries)";
const FIND: &str = "SELECT key FROM instance WHERE workflow = :workflow AND id = :id";
const UNFINISHED: &str = "SELECT key, workflow, status, wake_at FROM instance
    WHERE status NOT IN ('complete', 'errored', 'terminated') ORDER BY key";
