//! Rows to values and back.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::super::{NewInstance, Retention, StorageError, Summary, Trigger};
use crate::clock::Timestamp;
use crate::dispatcher::message::InstanceKey;
use crate::engine::{Bytes, ErrorInfo, InstanceStatus, RollbackOutcome, Stamped};
use crate::run::Schedule;

/// A moment, or a time in milliseconds, as SQLite keeps it; the end of time is the largest number it has.
pub(super) struct Ms(pub(super) Timestamp);

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

pub(super) fn encode(buffer: &mut Vec<u8>, entries: &[Stamped]) -> Result<(), StorageError> {
    rmp_serde::encode::write(buffer, entries)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)).into())
}

pub(super) fn decode(key: InstanceKey, bytes: &[u8]) -> Result<Vec<Stamped>, StorageError> {
    rmp_serde::from_slice(bytes).map_err(|source| StorageError::Entry { key, source })
}

pub(super) fn insert(connection: &Connection, instance: &NewInstance, summary: &Summary) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(INSERT)?;
    statement.execute(named_params! {
        ":key": instance.key,
        ":workflow": instance.workflow,
        ":id": instance.id,
        ":status": summary.status.as_str(),
        ":created_at": Ms(instance.created),
        ":started_at": summary.started.map(Ms),
        ":modified_at": Ms(summary.modified),
        ":trigger": instance.trigger.as_str(),
        ":payload": &instance.payload[..],
        ":cron": instance.schedule.as_ref().map(|schedule| schedule.cron.as_str()),
        ":scheduled_time": instance.schedule.as_ref().map(|schedule| Ms(schedule.scheduled_time)),
        ":retain_success_ms": instance.retention.success_ms.map(|ms| Ms(Timestamp(ms))),
        ":retain_error_ms": instance.retention.error_ms.map(|ms| Ms(Timestamp(ms))),
    })?;
    // A new instance has nothing but a status and its times, nearly always.
    let bare = Summary {
        status: summary.status,
        wake_at: None,
        started: summary.started,
        modified: summary.modified,
        ended: None,
        output: None,
        error: None,
        rollback: None,
        expires: None,
    };
    if *summary == bare { Ok(()) } else { update(connection, instance.key, summary) }
}

pub(super) fn update(connection: &Connection, key: InstanceKey, summary: &Summary) -> rusqlite::Result<()> {
    let rollback_error = summary.rollback.as_ref().and_then(|rollback| rollback.error.as_ref());
    let mut statement = connection.prepare_cached(UPDATE)?;
    statement.execute(named_params! {
        ":key": key,
        ":status": summary.status.as_str(),
        ":wake_at": summary.wake_at.map(Ms),
        ":started_at": summary.started.map(Ms),
        ":modified_at": Ms(summary.modified),
        ":ended_at": summary.ended.map(Ms),
        ":output": summary.output.as_deref(),
        ":error_name": summary.error.as_ref().map(|error| error.name.as_str()),
        ":error_message": summary.error.as_ref().map(|error| error.message.as_str()),
        ":error_backtrace": summary.error.as_ref().and_then(|error| error.backtrace.as_deref()),
        ":rollback": summary.rollback.as_ref().map(|rollback| match rollback.error {
            None => COMPLETE,
            Some(_) => FAILED,
        }),
        ":rollback_error_name": rollback_error.map(|error| error.name.as_str()),
        ":rollback_error_message": rollback_error.map(|error| error.message.as_str()),
        ":rollback_error_backtrace": rollback_error.and_then(|error| error.backtrace.as_deref()),
        ":expires_at": summary.expires.map(Ms),
    })?;
    Ok(())
}

pub(super) fn load(connection: &Connection, key: InstanceKey) -> Result<Option<(NewInstance, Summary)>, StorageError> {
    let mut statement = connection.prepare_cached(LOAD)?;
    let found = statement.query_row(named_params! { ":key": key }, |row| {
        let instance = NewInstance {
            key,
            workflow: row.get("workflow")?,
            id: row.get("id")?,
            created: moment(row, "created_at")?.unwrap_or_default(),
            trigger: trigger(row)?,
            payload: Bytes::from(row.get::<_, Vec<u8>>("payload")?),
            schedule: schedule(row)?,
            retention: Retention { success_ms: row.get("retain_success_ms")?, error_ms: row.get("retain_error_ms")? },
        };
        Ok((instance, summary(row)?))
    });
    Ok(found.optional()?)
}

pub(super) fn trigger(row: &Row<'_>) -> rusqlite::Result<Trigger> {
    Ok(match row.get_ref("trigger")?.as_str()? {
        "cron" => Trigger::Cron,
        "api" => Trigger::Api,
        _ => Trigger::Binding,
    })
}

fn schedule(row: &Row<'_>) -> rusqlite::Result<Option<Schedule>> {
    let cron: Option<String> = row.get("cron")?;
    let scheduled_time = moment(row, "scheduled_time")?;
    Ok(cron.zip(scheduled_time).map(|(cron, scheduled_time)| Schedule { cron, scheduled_time }))
}

pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        status: InstanceStatus::parse(row.get_ref("status")?.as_str()?),
        wake_at: moment(row, "wake_at")?,
        started: moment(row, "started_at")?,
        modified: moment(row, "modified_at")?.unwrap_or_default(),
        ended: moment(row, "ended_at")?,
        output: row.get::<_, Option<Vec<u8>>>("output")?.map(Bytes::from),
        error: error(row, ["error_name", "error_message", "error_backtrace"])?,
        rollback: rollback(row)?,
        expires: moment(row, "expires_at")?,
    })
}

fn error(row: &Row<'_>, [name, message, backtrace]: [&str; 3]) -> rusqlite::Result<Option<ErrorInfo>> {
    let named: Option<String> = row.get(name)?;
    let message: Option<String> = row.get(message)?;
    let backtrace = row.get(backtrace)?;
    Ok(named.zip(message).map(|(name, message)| ErrorInfo { name, message, backtrace }))
}

fn rollback(row: &Row<'_>) -> rusqlite::Result<Option<RollbackOutcome>> {
    let Some(word) = row.get::<_, Option<String>>("rollback")? else { return Ok(None) };
    let error = error(row, ["rollback_error_name", "rollback_error_message", "rollback_error_backtrace"])?;
    // What did not complete has failed, whether or not it says why.
    let failed = || error.unwrap_or_else(|| ErrorInfo::new("Error", ""));
    Ok(Some(RollbackOutcome { error: (word != COMPLETE).then(failed) }))
}

pub(super) fn find(connection: &Connection, workflow: &str, id: &str) -> rusqlite::Result<Option<InstanceKey>> {
    let mut statement = connection.prepare_cached(FIND)?;
    statement.query_row(named_params! { ":workflow": workflow, ":id": id }, |row| row.get(0)).optional()
}

pub(super) fn journal(
    connection: &Connection,
    key: InstanceKey,
    each: &mut dyn FnMut(Stamped),
) -> Result<(), StorageError> {
    let mut statement = connection.prepare_cached(JOURNAL)?;
    let mut rows = statement.query(named_params! { ":instance": key })?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        decode(key, bytes)?.into_iter().for_each(&mut *each);
    }
    Ok(())
}

pub(super) fn moment(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<Ms>>(column)?.map(|ms| ms.0))
}

/// Words of the column `rollback`.
const COMPLETE: &str = "complete";
const FAILED: &str = "failed";

const INSERT: &str = "INSERT INTO instance
    (key, workflow, id, status, created_at, started_at, modified_at, trigger, payload, cron, scheduled_time,
     retain_success_ms, retain_error_ms)
    VALUES (:key, :workflow, :id, :status, :created_at, :started_at, :modified_at, :trigger, :payload, :cron,
            :scheduled_time, :retain_success_ms, :retain_error_ms)";
const UPDATE: &str = "UPDATE instance SET status = :status, wake_at = :wake_at, started_at = :started_at,
    modified_at = :modified_at, ended_at = :ended_at, output = :output, error_name = :error_name, error_message = :error_message, error_backtrace = :error_backtrace,
    rollback = :rollback, rollback_error_name = :rollback_error_name, rollback_error_message = :rollback_error_message,
    rollback_error_backtrace = :rollback_error_backtrace, expires_at = :expires_at WHERE key = :key";
const FIND: &str = "SELECT key FROM instance WHERE workflow = :workflow AND id = :id";
const LOAD: &str = "SELECT * FROM instance WHERE key = :key";
pub(super) const JOURNAL: &str = "SELECT entries FROM journal WHERE instance = :instance ORDER BY seq";
