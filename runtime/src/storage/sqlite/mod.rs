//! SQLite: one connection that writes, owned by the dispatcher's thread; readers have their own.

mod archive;
mod chunks;
mod copy;
mod crons;
mod reader;
mod rows;
mod schema;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, named_params};

pub use copy::copy;
pub use reader::Reader;
pub use schema::SCHEMA_VERSION;

use super::{
    AttemptKey, Boundary, Durability, Expired, NewInstance, Storage, StorageError, Summary, Unfinished, Write,
};
use crate::clock::Timestamp;
use crate::dispatcher::message::InstanceKey;
use crate::engine::{Bytes, InstanceStatus, Stamped};

/// Name of the database file in a state directory.
pub const DATABASE_FILE: &str = "miniflow.db";

/// Opens or creates a database of one of the host's own, with the settings, the care for versions and the errors of the journal's. It has
/// the tables that `migrations` make, in their order; one that has landed is never edited. `path` none: it lives as long as the connection.
///
/// # Errors
/// When the database is of a newer version, damaged, or cannot be opened. It is not changed then.
pub fn open(path: Option<&Path>, migrations: &[&str], durability: Durability) -> Result<Connection, StorageError> {
    let connection = match path {
        Some(path) => Connection::open_with_flags(path, FLAGS)?,
        None => Connection::open_in_memory()?,
    };
    schema::bring_up(&connection, path.unwrap_or(Path::new(":memory:")), durability, migrations)?;
    Ok(connection)
}

const FLAGS: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_CREATE).union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

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
        let connection = Connection::open_with_flags(&path, FLAGS)?;
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
    /// The last moment that something was recorded at, the beginning of time when nothing is: what a clock must not go behind.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_moment(&self) -> Result<Timestamp, StorageError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get("instance")?, row.get("entries")?));
        let last: Option<(InstanceKey, Vec<u8>)> =
            self.connection.query_row(LAST, [], read).optional().map_err(|error| self.damage(error))?;
        let Some((key, bytes)) = last else { return Ok(Timestamp::default()) };
        Ok(rows::decode(key, &bytes)?.last().map_or_else(Timestamp::default, |stamped| stamped.at))
    }

    /// What is read at the start is where damage beyond the first page shows.
    fn damage(&self, error: rusqlite::Error) -> StorageError {
        schema::named(error, self.path.as_deref().unwrap_or(Path::new(":memory:")))
    }
}

impl Storage for SqliteStorage {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StorageError> {
        // Dropped without commit, as on any error below, the transaction is rolled back.
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        apply(&transaction, writes)?;
        transaction.commit()?;
        Ok(())
    }

    fn find(&mut self, workflow: &str, id: &str) -> Result<Option<InstanceKey>, StorageError> {
        Ok(rows::find(&self.connection, workflow, id)?)
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
                begun: row.get("begun")?,
            })
        });
        rows.and_then(Iterator::collect).map_err(damage)
    }

    fn last_key(&mut self) -> Result<InstanceKey, StorageError> {
        let last = self.connection.query_row("SELECT coalesce(max(key), 0) FROM instance", [], |row| row.get(0));
        last.map_err(|error| self.damage(error))
    }

    fn chunk(&mut self, key: InstanceKey, attempt: AttemptKey, index: u32) -> Result<Option<Bytes>, StorageError> {
        Ok(chunks::get(&self.connection, key, attempt, index)?)
    }

    fn expired(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Expired>, StorageError> {
        let mut statement = self.connection.prepare_cached(EXPIRED)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(named_params! { ":now": rows::Ms(now), ":limit": limit }, |row| {
            Ok(Expired { key: row.get("key")?, workflow: row.get("workflow")?, id: row.get("id")? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn next_expiry(&mut self) -> Result<Option<Timestamp>, StorageError> {
        let mut statement = self.connection.prepare_cached(NEXT_EXPIRY)?;
        let next: Option<rows::Ms> = statement.query_row([], |row| row.get(0))?;
        Ok(next.map(|ms| ms.0))
    }

    fn boundaries(&mut self) -> Result<Vec<Boundary>, StorageError> {
        crons::all(&self.connection).map_err(|error| self.damage(error))
    }
}

fn apply(connection: &Connection, writes: &[Write]) -> Result<(), StorageError> {
    let mut append = connection.prepare_cached(APPEND)?;
    let mut buffer = Vec::with_capacity(512);
    for write in writes {
        match write {
            Write::Create(instance, summary) => rows::insert(connection, instance, summary)?,
            Write::Append(key, entries) => {
                buffer.clear();
                rows::encode(&mut buffer, entries)?;
                append.execute(named_params! { ":instance": key, ":entries": &buffer })?;
            }
            Write::Update(key, summary) => rows::update(connection, *key, summary)?,
            Write::Wipe(key) => wipe(connection, *key)?,
            Write::Delete(key) => {
                wipe(connection, *key)?;
                connection.prepare_cached(DELETE)?.execute(named_params! { ":key": key })?;
            }
            Write::Chunk { key, attempt, index, bytes } => chunks::put(connection, *key, *attempt, *index, bytes)?,
            Write::DropChunks(key, attempt) => chunks::drop_attempt(connection, *key, *attempt)?,
            Write::DropChunksFrom(key, step) => chunks::drop_from(connection, *key, *step)?,
            Write::Boundary(boundary) => crons::put(connection, boundary)?,
        }
    }
    Ok(())
}

fn wipe(connection: &Connection, key: InstanceKey) -> rusqlite::Result<()> {
    connection.prepare_cached(WIPE)?.execute(named_params! { ":instance": key })?;
    chunks::drop_from(connection, key, 0)
}

const LAST: &str = "SELECT instance, entries FROM journal ORDER BY seq DESC LIMIT 1";
const APPEND: &str = "INSERT INTO journal (instance, entries) VALUES (:instance, :entries)";
const WIPE: &str = "DELETE FROM journal WHERE instance = :instance";
const DELETE: &str = "DELETE FROM instance WHERE key = :key";
const UNFINISHED: &str = "SELECT key, workflow, status, wake_at, started_at IS NOT NULL AS begun FROM instance
    WHERE status NOT IN ('complete', 'errored', 'terminated') ORDER BY key";
const EXPIRED: &str = "SELECT key, workflow, id FROM instance WHERE expires_at <= :now
    ORDER BY expires_at, key LIMIT :limit";
const NEXT_EXPIRY: &str = "SELECT min(expires_at) FROM instance WHERE expires_at IS NOT NULL";
