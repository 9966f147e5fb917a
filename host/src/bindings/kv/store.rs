//! Entries as rows.
//!
//! Each function is one piece of work of a `bindings::writer`; what it did is durable after that one's commit. What has expired at `now_s`
//! (seconds since 1970) is as if it were not there.

use std::path::Path;

use miniflow_runtime::storage::{Durability, StorageError, sqlite};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, named_params};

use super::entry::{self, BULK_BYTES_MAX, Entry, KvError, Listed, NewEntry, Page, Range};

/// Name of the database file in a state directory.
const DATABASE_FILE: &str = "kv.sqlite";

const MIGRATIONS: &[&str] = &[include_str!("0001_entries.sql")];

/// Seconds as SQLite keeps them; the end of time is the largest number it has.
struct Seconds(u64);

impl ToSql for Seconds {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(i64::try_from(self.0).unwrap_or(i64::MAX)))
    }
}

impl FromSql for Seconds {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let seconds = value.as_i64()?;
        u64::try_from(seconds).map(Self).map_err(|_| FromSqlError::OutOfRange(seconds))
    }
}

/// Opens the database in `directory`, or one in memory.
pub(super) fn open(directory: Option<&Path>, durability: Durability) -> Result<Connection, StorageError> {
    let path = directory.map(|directory| directory.join(DATABASE_FILE));
    sqlite::open(path.as_deref(), MIGRATIONS, durability)
}

/// Keeps an entry in the place of the one of its key. Whoever writes takes some of what has expired away, so that it does not pile up.
pub(super) fn put(connection: &Connection, namespace: &str, entry: &NewEntry, now_s: u64) -> rusqlite::Result<()> {
    connection.prepare_cached(EXPIRE)?.execute(named_params! { ":now": Seconds(now_s) })?;
    connection.prepare_cached(PUT)?.execute(named_params! {
        ":namespace": namespace,
        ":key": entry.key,
        ":expires_at": entry.expires_at.map(Seconds),
        ":metadata": entry.metadata,
        ":value": &entry.value[..],
    })?;
    Ok(())
}

pub(super) fn get(connection: &Connection, namespace: &str, key: &str, now_s: u64) -> rusqlite::Result<Option<Entry>> {
    let params = named_params! { ":namespace": namespace, ":key": key, ":now": Seconds(now_s) };
    let mut statement = connection.prepare_cached(GET)?;
    let found =
        statement.query_row(params, |row| Ok(Entry { metadata: row.get("metadata")?, value: row.get("value")? }));
    found.optional()
}

/// Entries in the order of `keys`. The inner error: they are too much together.
pub(super) fn get_many(
    connection: &Connection,
    namespace: &str,
    keys: &[String],
    now_s: u64,
) -> rusqlite::Result<Result<Vec<Option<Entry>>, KvError>> {
    let (mut entries, mut size) = (Vec::with_capacity(keys.len()), 0);
    for key in keys {
        let entry = get(connection, namespace, key, now_s)?;
        size += entry.as_ref().map_or(0, |entry| entry.value.len());
        if size > BULK_BYTES_MAX {
            return Ok(Err(KvError::BulkTooLarge));
        }
        entries.push(entry);
    }
    Ok(Ok(entries))
}

pub(super) fn delete(connection: &Connection, namespace: &str, key: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE)?.execute(named_params! { ":namespace": namespace, ":key": key })?;
    Ok(())
}

pub(super) fn list(connection: &Connection, namespace: &str, range: &Range, now_s: u64) -> rusqlite::Result<Page> {
    // The least text after another one is that with a zero behind it.
    let after = range.after.as_ref().map(|after| format!("{after}\0")).unwrap_or_default();
    let from = after.max(range.prefix.clone());
    let mut statement = connection.prepare_cached(LIST)?;
    let mut rows = statement.query(named_params! { ":namespace": namespace, ":from": from, ":now": Seconds(now_s) })?;
    let mut page = Page::default();
    while let Some(row) = rows.next()? {
        let key: String = row.get("key")?;
        if !key.starts_with(&range.prefix) {
            break;
        }
        if page.keys.len() == range.limit {
            page.cursor = page.keys.last().map(|last| entry::cursor(&last.key));
            break;
        }
        let expires_at = row.get::<_, Option<Seconds>>("expires_at")?.map(|seconds| seconds.0);
        page.keys.push(Listed { key, expires_at, metadata: row.get("metadata")? });
    }
    Ok(page)
}

/// Everything that is kept, as texts, by where it is.
pub(super) fn contents(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached(CONTENTS)?;
    let rows = statement.query_map([], |row| {
        let (namespace, key): (String, String) = (row.get("namespace")?, row.get("key")?);
        let value: Vec<u8> = row.get("value")?;
        Ok((super::place(&namespace, &key), String::from_utf8_lossy(&value).into_owned()))
    })?;
    rows.collect()
}

const CONTENTS: &str = "SELECT namespace, key, value FROM entry ORDER BY namespace, key";
const PUT: &str = "INSERT INTO entry (namespace, key, expires_at, metadata, value)
    VALUES (:namespace, :key, :expires_at, :metadata, :value)
    ON CONFLICT (namespace, key) DO UPDATE SET expires_at = :expires_at, metadata = :metadata, value = :value";
const GET: &str = "SELECT metadata, value FROM entry
    WHERE namespace = :namespace AND key = :key AND (expires_at IS NULL OR expires_at > :now)";
const DELETE: &str = "DELETE FROM entry WHERE namespace = :namespace AND key = :key";
const LIST: &str = "SELECT key, expires_at, metadata FROM entry
    WHERE namespace = :namespace AND key >= :from AND (expires_at IS NULL OR expires_at > :now) ORDER BY key";
/// Few enough to do it by the way.
const EXPIRE: &str = "DELETE FROM entry WHERE rowid IN
    (SELECT rowid FROM entry WHERE expires_at <= :now ORDER BY expires_at LIMIT 16)";

#[cfg(test)]
mod tests;
