//! Lists, counts and whole instances.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params};

use super::super::archive::{Archive, Count, Filter, InFlight, Listed, Order, Place, Record, STREAM_HEAD_BYTES};
use super::super::{AttemptKey, StorageError, Summary};
use super::rows::{self, Ms};
use super::{Reader, SqliteStorage, chunks};
use crate::clock::Timestamp;
use crate::dispatcher::message::InstanceKey;
use crate::engine::{Bytes, InstanceStatus};

/// Whoever has a connection to read from.
trait Connected {
    fn connection(&mut self) -> &mut Connection;
}

impl Connected for Reader {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Connected for SqliteStorage {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl<C: Connected> Archive for C {
    fn list(
        &mut self,
        filter: &Filter,
        order: Order,
        after: Option<Place>,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let mut statement = self.connection().prepare_cached(&list_sql(filter, order, after.is_some()))?;
        let status = filter.status.map(InstanceStatus::as_str);
        let (from, until) = (filter.from.map(Ms), filter.until.map(Ms));
        let (created, key) = after.map(|place| (Ms(place.created), place.key)).unzip();
        let (skip, limit) = (i64::try_from(skip).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        let mut parameters: Vec<(&str, &dyn ToSql)> =
            vec![(":workflow", &filter.workflow), (":skip", &skip), (":limit", &limit)];
        parameters.extend(given(&status, ":status"));
        parameters.extend(given(&from, ":from"));
        parameters.extend(given(&until, ":until"));
        parameters.extend(given(&created, ":created"));
        parameters.extend(given(&key, ":key"));
        let rows = statement.query_map(&parameters[..], listed)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn count(&mut self, filter: &Filter) -> Result<u64, StorageError> {
        let mut statement =
            self.connection().prepare_cached(&format!("SELECT count(*) FROM instance WHERE {}", conditions(filter)))?;
        let status = filter.status.map(InstanceStatus::as_str);
        let (from, until) = (filter.from.map(Ms), filter.until.map(Ms));
        let mut parameters: Vec<(&str, &dyn ToSql)> = vec![(":workflow", &filter.workflow)];
        parameters.extend(given(&status, ":status"));
        parameters.extend(given(&from, ":from"));
        parameters.extend(given(&until, ":until"));
        Ok(statement.query_row(&parameters[..], |row| row.get(0))?)
    }

    fn counts(&mut self, workflow: Option<&str>) -> Result<Vec<Count>, StorageError> {
        let connection = self.connection();
        let counts = match workflow {
            Some(workflow) => {
                let mut statement = connection.prepare_cached(COUNTS_OF_ONE)?;
                let rows = statement.query_map(named_params! { ":workflow": workflow }, count)?;
                rows.collect::<Result<_, _>>()?
            }
            None => {
                let mut statement = connection.prepare_cached(COUNTS)?;
                let rows = statement.query_map([], count)?;
                rows.collect::<Result<_, _>>()?
            }
        };
        Ok(counts)
    }

    fn summary(&mut self, workflow: &str, id: &str) -> Result<Option<Summary>, StorageError> {
        let mut statement = self.connection().prepare_cached(SUMMARY)?;
        Ok(statement.query_row(named_params! { ":workflow": workflow, ":id": id }, rows::summary).optional()?)
    }

    fn record(&mut self, workflow: &str, id: &str) -> Result<Option<Record>, StorageError> {
        // Row, journal and streams are of one moment.
        let moment = self.connection().transaction()?;
        let Some(key) = rows::find(&moment, workflow, id)? else { return Ok(None) };
        let Some((fixed, summary)) = rows::load(&moment, key)? else { return Ok(None) };
        let mut journal = Vec::new();
        rows::journal(&moment, key, &mut |stamped| journal.push(stamped))?;
        let streams = heads(&moment, key)?;
        Ok(Some(Record { fixed, summary, journal, streams }))
    }

    fn in_flight(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
        after: InstanceKey,
        limit: usize,
    ) -> Result<Vec<InFlight>, StorageError> {
        // Rows and journals are of one moment.
        let moment = self.connection().transaction()?;
        let keys: Vec<InstanceKey> = {
            let mut statement = moment.prepare_cached(UNFINISHED_AFTER)?;
            let mut rows = statement.query(named_params! { ":after": after })?;
            let mut keys = Vec::new();
            while keys.len() < limit
                && let Some(row) = rows.next()?
            {
                if wanted(row.get_ref("workflow")?.as_str().map_err(rusqlite::Error::from)?) {
                    keys.push(row.get("key")?);
                }
            }
            keys
        };
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let Some((fixed, summary)) = rows::load(&moment, key)? else { continue };
            let mut journal = Vec::new();
            rows::journal(&moment, key, &mut |stamped| journal.push(stamped))?;
            found.push(InFlight { fixed, status: summary.status, journal });
        }
        Ok(found)
    }

    fn piece(&mut self, key: InstanceKey, attempt: AttemptKey, index: u32) -> Result<Option<Bytes>, StorageError> {
        Ok(chunks::get(self.connection(), key, attempt, index)?)
    }
}

fn given<'a, T: ToSql>(value: &'a Option<T>, name: &'static str) -> Option<(&'static str, &'a dyn ToSql)> {
    value.as_ref().map(|value| (name, value as &dyn ToSql))
}

/// The statement that lists, with the conditions that are asked for only: each combination is served by an index.
pub(super) fn list_sql(filter: &Filter, order: Order, after: bool) -> String {
    let conditions = conditions(filter);
    let (beyond, direction) = match order {
        Order::NewestFirst => ("<", "DESC"),
        Order::OldestFirst => (">", "ASC"),
    };
    let after = if after { format!(" AND (created_at, key) {beyond} (:created, :key)") } else { String::new() };
    format!(
        "SELECT key, id, status, trigger, created_at, started_at, modified_at, ended_at FROM instance
         WHERE {conditions}{after} ORDER BY created_at {direction}, key {direction} LIMIT :limit OFFSET :skip"
    )
}

fn conditions(filter: &Filter) -> String {
    let mut conditions = "workflow = :workflow".to_owned();
    if filter.status.is_some() {
        conditions.push_str(" AND status = :status");
    }
    if filter.from.is_some() {
        conditions.push_str(" AND created_at >= :from");
    }
    if filter.until.is_some() {
        conditions.push_str(" AND created_at <= :until");
    }
    conditions
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let moment = |column| Ok::<_, rusqlite::Error>(rows::moment(row, column)?.unwrap_or_default());
    Ok(Listed {
        place: Place { created: moment("created_at")?, key: row.get("key")? },
        id: row.get("id")?,
        status: InstanceStatus::parse(row.get_ref("status")?.as_str()?),
        trigger: rows::trigger(row)?,
        started: rows::moment(row, "started_at")?,
        modified: moment("modified_at")?,
        ended: rows::moment(row, "ended_at")?,
    })
}

fn count(row: &Row<'_>) -> rusqlite::Result<Count> {
    let moment = |column| Ok::<_, rusqlite::Error>(rows::moment(row, column)?.unwrap_or(Timestamp(0)));
    Ok(Count {
        workflow: row.get("workflow")?,
        status: InstanceStatus::parse(row.get_ref("status")?.as_str()?),
        instances: row.get("instances")?,
        first_created: moment("first_created")?,
        last_created: moment("last_created")?,
    })
}

fn heads(connection: &Connection, key: InstanceKey) -> rusqlite::Result<Vec<(AttemptKey, Bytes)>> {
    let mut statement = connection.prepare_cached(HEADS)?;
    let bytes = i64::try_from(STREAM_HEAD_BYTES).unwrap_or(i64::MAX);
    let rows = statement.query_map(named_params! { ":instance": key, ":bytes": bytes }, |row| {
        let attempt = AttemptKey { step: row.get("step")?, attempt: row.get("attempt")? };
        Ok((attempt, Bytes::from(row.get::<_, Vec<u8>>("head")?)))
    })?;
    rows.collect()
}

// Both read nothing but `instance_by_status`.
pub(super) const COUNTS: &str = "SELECT workflow, status, count(*) AS instances, min(created_at) AS first_created,
    max(created_at) AS last_created FROM instance GROUP BY workflow, status";
pub(super) const COUNTS_OF_ONE: &str = "SELECT workflow, status, count(*) AS instances,
    min(created_at) AS first_created, max(created_at) AS last_created FROM instance
    WHERE workflow = :workflow GROUP BY workflow, status";
const SUMMARY: &str = "SELECT status, wake_at, started_at, modified_at, ended_at, output, error_name, error_message,
    error_backtrace, rollback, rollback_error_name, rollback_error_message, rollback_error_backtrace, expires_at
    FROM instance WHERE workflow = :workflow AND id = :id";
pub(super) const UNFINISHED_AFTER: &str = "SELECT key, workflow FROM instance
    WHERE status NOT IN ('complete', 'errored', 'terminated') AND key > :after ORDER BY key";
const HEADS: &str = "SELECT step, attempt, substr(bytes, 1, :bytes) AS head FROM chunk
    WHERE instance = :instance AND idx = 0";
