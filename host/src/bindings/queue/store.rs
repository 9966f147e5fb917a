//! Messages as rows.
//!
//! Each function is one piece of work of a `bindings::writer`; what it did is durable after that one's commit.

use std::collections::BTreeMap;
use std::path::Path;

use miniflow_runtime::Timestamp;
use miniflow_runtime::storage::{Durability, StorageError, sqlite};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::message::{ContentType, Key, Metrics, NewMessage, Received};

/// Name of the database file in a state directory.
pub const DATABASE_FILE: &str = "queues.sqlite";

const MIGRATIONS: &[&str] = &[include_str!("0001_messages.sql")];

/// How long a message waits before it is dropped: 4 days (documented).
pub const RETENTION_MS: u64 = 4 * 24 * 3600 * 1000;

/// When messages make a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRule {
    /// So many at most; as many at once.
    pub size_max: u32,
    /// Fewer when the first has waited so long.
    pub timeout_ms: u64,
}

/// What there is to deliver.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// These, now. They are out of the queue until their fate is settled.
    Batch(Vec<Received>),
    /// Nothing before this moment, unless more messages come; none: there are none.
    Nothing(Option<Timestamp>),
}

/// What becomes of a message that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A handler is done with it: it is gone.
    Done,
    /// It has failed too often: it is gone.
    Dropped,
    /// It can be delivered again from then on.
    Again(Timestamp),
    /// It goes to another queue, as new there but for its id and the time it was sent.
    Moved(String),
    /// It comes back as if it had not been delivered.
    Returned,
}

/// A moment as SQLite keeps it; the end of time is the largest number it has.
struct Ms(Timestamp);

impl ToSql for Ms {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(i64::try_from(self.0.0).unwrap_or(i64::MAX)))
    }
}

impl FromSql for Ms {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let ms = value.as_i64()?;
        u64::try_from(ms).map(|ms| Self(Timestamp(ms))).map_err(|_| FromSqlError::OutOfRange(ms))
    }
}

/// Opens the database in `directory`, or one in memory. What an earlier process was handling when it was killed can be delivered again.
pub(super) fn open(directory: Option<&Path>, durability: Durability) -> Result<Connection, StorageError> {
    let path = directory.map(|directory| directory.join(DATABASE_FILE));
    let connection = sqlite::open(path.as_deref(), MIGRATIONS, durability)?;
    connection.execute(RECOVER, [])?;
    Ok(connection)
}

pub(super) fn send(
    connection: &Connection,
    queue: &str,
    messages: &[NewMessage],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(INSERT)?;
    for message in messages {
        insert.execute(named_params! {
            ":queue": queue,
            ":id": message.id,
            ":sent_at": Ms(now),
            ":expires_at": Ms(now.plus_ms(RETENTION_MS)),
            ":visible_at": Ms(now.plus_ms(u64::from(message.delay_s) * 1000)),
            ":content_type": message.content_type.as_str(),
            ":body": &message.body[..],
        })?;
    }
    Ok(())
}

pub(super) fn take(connection: &Connection, queue: &str, rule: BatchRule, now: Timestamp) -> rusqlite::Result<Taken> {
    let mut next = connection.prepare_cached(NEXT)?;
    let rows = next.query_map(named_params! { ":queue": queue, ":limit": rule.size_max }, |row| {
        Ok((row.get::<_, Key>("key")?, row.get::<_, Ms>("visible_at")?.0))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let (Some((_, first)), Some((_, last))) = (rows.first(), rows.last()) else { return Ok(Taken::Nothing(None)) };
    let timeout = first.plus_ms(rule.timeout_ms);
    let is_full = rows.len() >= rule.size_max as usize;
    let due = if is_full { timeout.min(*last) } else { timeout };
    if due > now {
        return Ok(Taken::Nothing(Some(due)));
    }
    let mut lease = connection.prepare_cached(LEASE)?;
    let visible = rows.iter().filter(|(_, visible_at)| *visible_at <= now);
    let batch = visible.map(|(key, _)| lease.query_row(named_params! { ":key": key }, received));
    batch.collect::<rusqlite::Result<_>>().map(Taken::Batch)
}

fn received(row: &Row<'_>) -> rusqlite::Result<Received> {
    Ok(Received {
        key: row.get("key")?,
        id: row.get("id")?,
        sent_at: row.get::<_, Ms>("sent_at")?.0,
        attempts: row.get("attempts")?,
        content_type: ContentType::parse(row.get_ref("content_type")?.as_str()?),
        body: row.get("body")?,
    })
}

pub(super) fn settle(connection: &Connection, fates: &[(Key, Fate)], now: Timestamp) -> rusqlite::Result<()> {
    for (key, fate) in fates {
        match fate {
            Fate::Done | Fate::Dropped => connection.prepare_cached(DELETE)?.execute(named_params! { ":key": key })?,
            Fate::Again(when) => {
                let params = named_params! { ":key": key, ":visible_at": Ms(*when) };
                connection.prepare_cached(AGAIN)?.execute(params)?
            }
            Fate::Moved(queue) => connection.prepare_cached(MOVE)?.execute(named_params! {
                ":key": key,
                ":queue": queue,
                ":visible_at": Ms(now),
                ":expires_at": Ms(now.plus_ms(RETENTION_MS)),
            })?,
            Fate::Returned => connection.prepare_cached(RETURN)?.execute(named_params! { ":key": key })?,
        };
    }
    Ok(())
}

/// Drops what has waited for too long. Returns how many of each queue.
pub(super) fn expire(connection: &Connection, now: Timestamp) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement = connection.prepare_cached(EXPIRE)?;
    let queues = statement.query_map(named_params! { ":now": Ms(now) }, |row| row.get::<_, String>(0))?;
    let mut dropped = BTreeMap::new();
    for queue in queues {
        *dropped.entry(queue?).or_default() += 1;
    }
    Ok(dropped)
}

pub(super) fn next_expiry(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let next = connection.prepare_cached(NEXT_EXPIRY)?.query_row([], |row| row.get::<_, Ms>(0)).optional()?;
    Ok(next.map(|ms| ms.0))
}

pub(super) fn metrics(connection: &Connection, queue: &str) -> rusqlite::Result<Metrics> {
    connection.prepare_cached(METRICS)?.query_row(named_params! { ":queue": queue }, |row| {
        Ok(Metrics {
            count: row.get("count")?,
            bytes: row.get("bytes")?,
            oldest: row.get::<_, Option<Ms>>("oldest")?.map(|ms| ms.0),
        })
    })
}

/// How many messages each queue has.
pub(super) fn backlogs(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement = connection.prepare(BACKLOGS)?;
    let rows = statement.query_map([], |row| Ok((row.get("queue")?, row.get("count")?)))?;
    rows.collect()
}

/// They have waited since they were sent, so they are not made to wait for others.
const RECOVER: &str = "UPDATE message SET visible_at = sent_at WHERE visible_at IS NULL";
const INSERT: &str = "INSERT INTO message (queue, id, sent_at, expires_at, visible_at, attempts, content_type, body)
    VALUES (:queue, :id, :sent_at, :expires_at, :visible_at, 0, :content_type, :body)";
const NEXT: &str = "SELECT key, visible_at FROM message WHERE queue = :queue AND visible_at IS NOT NULL
    ORDER BY visible_at, key LIMIT :limit";
const LEASE: &str = "UPDATE message SET visible_at = NULL, attempts = attempts + 1 WHERE key = :key
    RETURNING key, id, sent_at, attempts, content_type, body";
const DELETE: &str = "DELETE FROM message WHERE key = :key";
const AGAIN: &str = "UPDATE message SET visible_at = :visible_at WHERE key = :key";
const MOVE: &str = "UPDATE message SET queue = :queue, visible_at = :visible_at, expires_at = :expires_at, attempts = 0
    WHERE key = :key";
const RETURN: &str = "UPDATE message SET visible_at = sent_at, attempts = attempts - 1 WHERE key = :key";
const EXPIRE: &str = "DELETE FROM message WHERE expires_at <= :now AND visible_at IS NOT NULL RETURNING queue";
const NEXT_EXPIRY: &str = "SELECT expires_at FROM message WHERE visible_at IS NOT NULL ORDER BY expires_at LIMIT 1";
const METRICS: &str = "SELECT count(*) AS count, coalesce(sum(length(body)), 0) AS bytes, min(sent_at) AS oldest
    FROM message WHERE queue = :queue";
const BACKLOGS: &str = "SELECT queue, count(*) AS count FROM message GROUP BY queue";

#[cfg(test)]
mod tests;
