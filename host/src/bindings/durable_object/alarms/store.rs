//! The alarms of all objects, so that the due ones are found without opening every object's database.
//!
//! Promises: what [`AlarmStore::set`] was told is durable when it returns.

use std::path::Path;

use miniflow_runtime::Timestamp;
use miniflow_runtime::storage::Durability;
use rusqlite::{Connection, OpenFlags, Row, named_params};

use super::super::error::StorageError;
use super::super::id::{Namespace, ObjectId};
use super::{Alarm, ObjectKey};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS alarm (
        worker TEXT NOT NULL, class TEXT NOT NULL, object TEXT NOT NULL,
        at INTEGER NOT NULL, due INTEGER NOT NULL, retries INTEGER NOT NULL,
        PRIMARY KEY (worker, class, object)
    ) WITHOUT ROWID, STRICT";

/// The file, or its like in memory.
pub(super) struct AlarmStore(Connection);

impl AlarmStore {
    pub(super) fn open(path: Option<&Path>, durability: Durability) -> Result<Self, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match path {
            Some(path) => Connection::open_with_flags(path, flags)?,
            None => Connection::open_in_memory()?,
        };
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = match durability {
            Durability::Normal => "NORMAL",
            Durability::Full => "FULL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.execute_batch(TABLE)?;
        Ok(Self(connection))
    }

    /// Writes the alarm of an object, or that it has none.
    pub(super) fn set(&self, object: &ObjectKey, alarm: Option<&Alarm>) -> Result<(), StorageError> {
        let (worker, class, id) = (&object.namespace.worker, &object.namespace.class, object.id.to_string());
        match alarm {
            Some(alarm) => self.0.prepare_cached(SET)?.execute(named_params! {
                ":worker": worker, ":class": class, ":object": id,
                ":at": ms(alarm.at), ":due": ms(alarm.due), ":retries": alarm.retries,
            })?,
            None => {
                let parameters = named_params! { ":worker": worker, ":class": class, ":object": id };
                self.0.prepare_cached(DELETE)?.execute(parameters)?
            }
        };
        Ok(())
    }

    /// All of them.
    pub(super) fn all(&self) -> Result<Vec<(ObjectKey, Alarm)>, StorageError> {
        let mut statement = self.0.prepare(ALL)?;
        let rows = statement.query_map([], |row| Ok((key(row)?, alarm(row)?)))?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        // An id that is none cannot have been written by us.
        Ok(rows.into_iter().filter_map(|(key, alarm)| Some((key?, alarm))).collect())
    }
}

fn key(row: &Row<'_>) -> rusqlite::Result<Option<ObjectKey>> {
    let namespace = Namespace { worker: row.get("worker")?, class: row.get("class")? };
    let id = ObjectId::parse(row.get_ref("object")?.as_str()?);
    Ok(id.map(|id| ObjectKey { namespace: namespace.into(), id }))
}

fn alarm(row: &Row<'_>) -> rusqlite::Result<Alarm> {
    let time = |name: &str| Ok::<_, rusqlite::Error>(Timestamp(u64::try_from(row.get::<_, i64>(name)?).unwrap_or(0)));
    Ok(Alarm { at: time("at")?, due: time("due")?, retries: row.get("retries")? })
}

fn ms(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

const SET: &str = "INSERT INTO alarm (worker, class, object, at, due, retries)
    VALUES (:worker, :class, :object, :at, :due, :retries)
    ON CONFLICT DO UPDATE SET at = excluded.at, due = excluded.due, retries = excluded.retries";
const DELETE: &str = "DELETE FROM alarm WHERE worker = :worker AND class = :class AND object = :object";
const ALL: &str = "SELECT worker, class, object, at, due, retries FROM alarm";
