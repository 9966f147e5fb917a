//! How far cron expressions have come.

use rusqlite::{Connection, named_params};

use super::super::{Boundary, CronTarget};
use super::rows::Ms;

pub(super) fn put(connection: &Connection, boundary: &Boundary) -> rusqlite::Result<()> {
    let (kind, owner) = match &boundary.target {
        CronTarget::Workflow(name) => (WORKFLOW, name),
        CronTarget::Worker(name) => (WORKER, name),
    };
    match boundary.at {
        Some(at) => connection.prepare_cached(PUT)?.execute(
            named_params! { ":kind": kind, ":owner": owner, ":expression": boundary.cron, ":boundary": Ms(at) },
        )?,
        None => connection
            .prepare_cached(DROP)?
            .execute(named_params! { ":kind": kind, ":owner": owner, ":expression": boundary.cron })?,
    };
    Ok(())
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Boundary>> {
    let mut statement = connection.prepare_cached(ALL)?;
    let rows = statement.query_map([], |row| {
        let owner = row.get("owner")?;
        let target = match row.get_ref("kind")?.as_str()? {
            WORKER => CronTarget::Worker(owner),
            _ => CronTarget::Workflow(owner),
        };
        Ok(Boundary { target, cron: row.get("expression")?, at: Some(row.get::<_, Ms>("boundary")?.0) })
    })?;
    rows.collect()
}

/// Words of the column `kind`.
const WORKFLOW: &str = "workflow";
const WORKER: &str = "worker";

const PUT: &str = "INSERT INTO cron (kind, owner, expression, boundary)
    VALUES (:kind, :owner, :expression, :boundary)
    ON CONFLICT (kind, owner, expression) DO UPDATE SET boundary = excluded.boundary";
const DROP: &str = "DELETE FROM cron WHERE kind = :kind AND owner = :owner AND expression = :expression";
const ALL: &str = "SELECT kind, owner, expression, boundary FROM cron";
