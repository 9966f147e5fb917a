//! Copies of databases, also of ones that somebody writes to.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::super::StorageError;
use super::schema;

/// Copies the database `from`, as it is at one moment, to the file `to`, which must not be there. Whoever uses it may go on.
///
/// # Errors
/// When it is damaged or cannot be read, or the copy cannot be written.
pub fn copy(from: &Path, to: &Path) -> Result<(), StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copied = Connection::open_with_flags(from, flags).and_then(|connection| {
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        // Makes SQLite look at the file before there is another one.
        schema::version(&connection)?;
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])
    });
    copied.map(drop).map_err(|error| schema::named(error, from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_what_was_committed_and_the_version_of_its_database() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from.sqlite"), folder.path().join("to.sqlite"));
        let writer = Connection::open(&from).unwrap();
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA user_version = 7; CREATE TABLE t (n); INSERT INTO t VALUES (1);
                 BEGIN IMMEDIATE; INSERT INTO t VALUES (2);",
            )
            .unwrap();
        copy(&from, &to).unwrap();
        let copied = Connection::open(&to).unwrap();
        let one = |sql: &str| copied.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((one("SELECT count(*) FROM t"), one("PRAGMA user_version")), (1, 7));
        // There is one already.
        copy(&from, &to).unwrap_err();
    }

    #[test]
    fn what_is_no_database_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from.sqlite"), folder.path().join("to.sqlite"));
        std::fs::write(&from, "this is no database, and long enough to be looked at").unwrap();
        assert!(matches!(copy(&from, &to), Err(StorageError::Corrupt { .. })));
        assert!(!to.exists());
    }
}
