//! Opening a database: settings, version, migrations.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::super::{Durability, StorageError};

/// The migrations, in order. A file that has landed is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_journal.sql"),
    include_str!("migrations/0002_expiry_and_chunks.sql"),
    include_str!("migrations/0003_lists.sql"),
    include_str!("migrations/0004_crons.sql"),
];

/// The schema this version writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of files")]
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// `miniflow` in the header of the file, so that tools can tell it (PRAGMA `application_id`).
const APPLICATION_ID: i64 = 0x6d66_6c77;

/// Settings of every writing connection.
const SETTINGS: &[(&str, &str)] = &[
    // Readers never wait for the writer.
    ("journal_mode", "WAL"),
    // The default of 1,000 pages makes a commit in fifty take 10-20 ms (measured).
    ("wal_autocheckpoint", "20000"),
    // A reader that copies the file, or another tool, may hold a lock for a moment.
    ("busy_timeout", "5000"),
    ("temp_store", "MEMORY"),
    // 8 MiB of pages (in KiB, negative): the working set of a journal that is appended to.
    ("cache_size", "-8192"),
];

pub(super) fn prepare(connection: &Connection, path: &Path, durability: Durability) -> Result<(), StorageError> {
    bring_up(connection, path, durability, MIGRATIONS)
}

/// Configures `connection`, and brings the database to the last of `migrations`.
pub(super) fn bring_up(
    connection: &Connection,
    path: &Path,
    durability: Durability,
    migrations: &[&str],
) -> Result<(), StorageError> {
    let found = version(connection).map_err(|error| named(error, path))?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StorageError::Newer { path: path.to_owned(), found, known });
    }
    configure(connection, durability).map_err(|error| named(error, path))?;
    migrate(connection, path, migrations, found)
}

/// Reads the version without writing a byte: a file that is not ours is found out here.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    // Reading the schema makes SQLite look beyond the first page.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    keep_plans(connection)?;
    for (name, value) in SETTINGS {
        // Some of these answer with a row, some do not.
        connection.pragma_update_and_check(None, name, value, |_| Ok(())).or_else(ignore_no_rows)?;
    }
    let synchronous = match durability {
        Durability::Normal => "NORMAL",
        Durability::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

/// Has no plan depend on what is bound. Otherwise a statement that is kept, whose values are taken from it then, is planned anew each time
/// that it is used.
pub(super) fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn ignore_no_rows(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}

fn migrate(connection: &Connection, path: &Path, migrations: &[&str], found: i64) -> Result<(), StorageError> {
    let done = usize::try_from(found).unwrap_or(0);
    if done >= migrations.len() {
        return Ok(());
    }
    if done > 0 && path.exists() {
        back_up(connection, path, found)?;
    }
    run(connection, &migrations[done..], migrations.len()).map_err(|error| {
        // The error that matters is the first.
        let _ = connection.execute_batch("ROLLBACK");
        named(error, path)
    })
}

/// Keeps a copy of the database, so that what a migration does to somebody's state can be taken back.
///
/// SQLite does not copy over a file that is there. One is, when a copy or the migration after it was cut off, or when somebody took a
/// migration back: the copy that counts is of what is migrated now.
fn back_up(connection: &Connection, path: &Path, found: i64) -> Result<(), StorageError> {
    let copy = path.with_extension(format!("v{found}.backup"));
    let part = path.with_extension(format!("v{found}.backup.part"));
    let unusable = |source| StorageError::Unusable { path: path.parent().unwrap_or(path).to_owned(), source };
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    connection.execute("VACUUM INTO ?1", [part.to_string_lossy()]).map_err(|error| named(error, path))?;
    std::fs::rename(&part, &copy).map_err(unusable)
}

fn run(connection: &Connection, migrations: &[&str], version: usize) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for sql in migrations {
        connection.execute_batch(sql)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", i64::try_from(version).unwrap_or(i64::MAX))?;
    connection.execute_batch("COMMIT")
}

pub(super) fn named(source: rusqlite::Error, path: &Path) -> StorageError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StorageError::Corrupt { path: path.to_owned(), source: source.into() }
        }
        _ => source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_keeps_a_copy_of_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("miniflow.db");
        let connection = Connection::open(&path).unwrap();
        let first = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (7)";
        migrate(&connection, &path, &[first], 0).unwrap();
        migrate(&connection, &path, &[first, "DROP TABLE a"], 1).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
        let copy = Connection::open(directory.path().join("miniflow.v1.backup")).unwrap();
        assert_eq!(copy.query_row("SELECT x FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
        assert_eq!(version(&copy).unwrap(), 1);
    }

    #[test]
    fn a_migration_that_was_cut_off_after_its_copy_is_done_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("miniflow.db");
        let connection = Connection::open(&path).unwrap();
        let first = "CREATE TABLE a (x INTEGER)";
        migrate(&connection, &path, &[first], 0).unwrap();
        assert!(migrate(&connection, &path, &[first, "no SQL"], 1).is_err());
        assert_eq!(version(&connection).unwrap(), 1);
        std::fs::write(directory.path().join("miniflow.v1.backup.part"), "half a copy").unwrap();
        connection.execute_batch("INSERT INTO a VALUES (8)").unwrap();
        migrate(&connection, &path, &[first, "DROP TABLE a"], 1).unwrap();
        let copy = Connection::open(directory.path().join("miniflow.v1.backup")).unwrap();
        assert_eq!(copy.query_row("SELECT x FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 8);
        assert!(!directory.path().join("miniflow.v1.backup.part").exists());
    }

    /// What SQLite says of a query, so that an index that serves it is used.
    fn plan(connection: &Connection, query: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let parameters = vec![7; statement.parameter_count()];
        let rows =
            statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>("detail")).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn removal_looks_at_nothing_that_is_not_due() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, Path::new(":memory:"), MIGRATIONS, 0).unwrap();
        let expired = plan(&connection, super::super::EXPIRED);
        assert_eq!(expired, "SEARCH instance USING INDEX instance_by_expiry (expires_at<?)");
        let next = plan(&connection, super::super::NEXT_EXPIRY);
        assert_eq!(next, "SEARCH instance USING COVERING INDEX instance_by_expiry (expires_at>?)");
    }

    #[test]
    fn lists_and_counts_look_at_no_more_than_they_show() {
        use super::super::super::{Filter, Order};
        use super::super::archive::{COUNTS, COUNTS_OF_ONE, UNFINISHED_AFTER, list_sql};
        use crate::clock::Timestamp;
        use crate::engine::InstanceStatus;
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, Path::new(":memory:"), MIGRATIONS, 0).unwrap();
        let counts = plan(&connection, COUNTS);
        assert_eq!(counts, "SCAN instance USING COVERING INDEX instance_by_status");
        let counts = plan(&connection, COUNTS_OF_ONE);
        assert_eq!(counts, "SEARCH instance USING COVERING INDEX instance_by_status (workflow=?)");
        let unfinished = plan(&connection, UNFINISHED_AFTER);
        assert_eq!(unfinished, "SEARCH instance USING INDEX instance_unfinished (key>?)");
        let all = Filter::default();
        let status = Filter { status: Some(InstanceStatus::Complete), ..all.clone() };
        let dates = Filter { from: Some(Timestamp(1)), until: Some(Timestamp(2)), ..all.clone() };
        for (filter, after, used) in [
            (&all, false, "instance_by_creation (workflow=?)"),
            (&all, true, "instance_by_creation (workflow=? AND created_at<?)"),
            (&status, false, "instance_by_status (workflow=? AND status=?)"),
            (&status, true, "instance_by_status (workflow=? AND status=? AND created_at<?)"),
            (&dates, false, "instance_by_creation (workflow=? AND created_at>? AND created_at<?)"),
        ] {
            // Without a step that sorts.
            let plan = plan(&connection, &list_sql(filter, Order::NewestFirst, after));
            assert_eq!(plan, format!("SEARCH instance USING INDEX {used}"));
        }
    }

    #[test]
    fn a_statement_that_is_kept_is_planned_once() {
        use rusqlite::{StatementStatus, named_params};

        use super::super::{Reader, rows::JOURNAL};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("miniflow.db");
        let planned_again = |connection: &Connection| {
            for key in 0..3 {
                let mut statement = connection.prepare_cached(JOURNAL).unwrap();
                statement.query(named_params! { ":instance": key }).unwrap().next().unwrap();
            }
            connection.prepare_cached(JOURNAL).unwrap().get_status(StatementStatus::RePrepare)
        };
        let connection = Connection::open(&path).unwrap();
        prepare(&connection, &path, Durability::Normal).unwrap();
        assert_eq!(planned_again(&connection), 0);
        assert_eq!(planned_again(&Reader::open(&path).unwrap().connection), 0);
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("miniflow.db");
        let connection = Connection::open(&path).unwrap();
        assert!(migrate(&connection, &path, &["CREATE TABLE a (x); CREATE TABLE a (x)"], 0).is_err());
        assert_eq!(version(&connection).unwrap(), 0);
        assert_eq!(connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0)).unwrap(), 0);
    }
}
