//! The pieces of outputs that are streams.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::super::AttemptKey;
use crate::dispatcher::message::InstanceKey;
use crate::engine::{Bytes, StepNo};

pub(super) fn put(
    connection: &Connection,
    key: InstanceKey,
    attempt: AttemptKey,
    index: u32,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    connection.prepare_cached(PUT)?.execute(named_params! {
        ":instance": key,
        ":step": attempt.step,
        ":attempt": attempt.attempt,
        ":idx": index,
        ":bytes": bytes,
    })?;
    Ok(())
}

pub(super) fn get(
    connection: &Connection,
    key: InstanceKey,
    attempt: AttemptKey,
    index: u32,
) -> rusqlite::Result<Option<Bytes>> {
    let place = named_params! { ":instance": key, ":step": attempt.step, ":attempt": attempt.attempt, ":idx": index };
    let mut statement = connection.prepare_cached(GET)?;
    statement.query_row(place, |row| row.get::<_, Vec<u8>>(0).map(Bytes::from)).optional()
}

pub(super) fn drop_attempt(connection: &Connection, key: InstanceKey, attempt: AttemptKey) -> rusqlite::Result<()> {
    let which = named_params! { ":instance": key, ":step": attempt.step, ":attempt": attempt.attempt };
    connection.prepare_cached(DROP_ATTEMPT)?.execute(which)?;
    Ok(())
}

/// Drops what `step` and all after it have; from step 0 on, what the instance has.
pub(super) fn drop_from(connection: &Connection, key: InstanceKey, step: StepNo) -> rusqlite::Result<()> {
    connection.prepare_cached(DROP_FROM)?.execute(named_params! { ":instance": key, ":step": step })?;
    Ok(())
}

// A piece that is written again is no error: that would fail the commit of everybody in the group.
const PUT: &str = "INSERT INTO chunk (instance, step, attempt, idx, bytes)
    VALUES (:instance, :step, :attempt, :idx, :bytes)
    ON CONFLICT (instance, step, attempt, idx) DO UPDATE SET bytes = excluded.bytes";
const GET: &str = "SELECT bytes FROM chunk
    WHERE instance = :instance AND step = :step AND attempt = :attempt AND idx = :idx";
const DROP_ATTEMPT: &str = "DELETE FROM chunk WHERE instance = :instance AND step = :step AND attempt = :attempt";
const DROP_FROM: &str = "DELETE FROM chunk WHERE instance = :instance AND step >= :step";
