//! Opening a database: settings, version, migrations.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::super::{Durability, StorageError};

/// The migrations, in order. A file that has landed is never edited.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_journal.sql")];

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
    let found = version(connection).map_err(|error| named(error, path))?;
    if found > SCHEMA_VERSION {
        return Err(StorageError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    configure(connection, durability).map_err(|error| named(error, path))?;
    migrate(connection, path, MIGRATIONS, found).map_err(|error| named(error, path))
}

/// Reads the version without writing a byte: a file that is not ours is found out here.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    // Reading the schema makes SQLite look beyond the first page.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
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

fn ignore_no_rows(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}

fn migrate(connection: &Connection, path: &Path, migrations: &[&str], found: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(found).unwrap_or(0);
    if done >= migrations.len() {
        return Ok(());
    }
    if done > 0 && path.exists() {
        // What a migration does to somebody's state can be taken back.
        let copy = path.with_extension(format!("v{found}.backup"));
        connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let run = || {
        for sql in &migrations[done..] {
            connection.execute_batch(sql)?;
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", i64::try_from(migrations.len()).unwrap_or(i64::MAX))?;
        connection.execute_batch("COMMIT")
    };
    run().inspect_err(|_| {
        // The error that matters is the first.
        let _ = connection.execute_batch("ROLLBACK");
    })
}

pub(super) fn named(source: rusqlite::Error, path: &Path) -> StorageError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StorageError::Corrupt { path: path.to_owned(), source }
        }
        _ => StorageError::Sqlite(source),
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
    fn a_migration_that_fails_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("miniflow.db");
        let connection = Connection::open(&path).unwrap();
        assert!(migrate(&connection, &path, &["CREATE TABLE a (x); CREATE TABLE a (x)"], 0).is_err());
        assert_eq!(version(&connection).unwrap(), 0);
        assert_eq!(connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0)).unwrap(), 0);
    }
}
