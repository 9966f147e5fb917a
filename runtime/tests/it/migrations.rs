//! What an earlier version left is all there after a migration.

use std::collections::BTreeMap;
use std::path::Path;

use miniflow_runtime::engine::Stamped;
use miniflow_runtime::storage::{Durability, SqliteStorage, Storage, Summary, Write};
use miniflow_runtime::{ErrorInfo, InstanceStatus, Timestamp};

use crate::storage::{attempt, chunk, every_entry, instance, journal, present, rows, summary};

const INSTANCES_V1: &str = r#"INSERT INTO instance
    (key, workflow, id, status, created_at, wake_at, ended_at, trigger, payload, cron, scheduled_time,
     retain_success_ms, retain_error_ms, output, error_name, error_message) VALUES
    (1, 'w', 'one', 'waiting', 7, 99, NULL, 'cron', CAST('{"a":1}' AS BLOB), '* * * * *', 60000, 5, NULL, NULL, NULL, NULL),
    (2, 'w', 'kept-5', 'complete', 7, NULL, 100, 'api', x'31', NULL, NULL, 5, 6, x'32', NULL, NULL),
    (3, 'w', 'kept-6', 'errored', 7, NULL, 100, 'api', x'31', NULL, NULL, 5, 6, NULL, 'Error', 'boom'),
    (4, 'w', 'stopped', 'terminated', 7, NULL, 100, 'api', x'31', NULL, NULL, 8, 6, NULL, NULL, NULL),
    (5, 'w', 'week', 'complete', 7, NULL, 100, 'api', x'31', NULL, NULL, NULL, 6, x'32', NULL, NULL),
    (6, 'w', 'week-too', 'errored', 7, NULL, 100, 'api', x'31', NULL, NULL, 5, NULL, NULL, 'Error', 'boom'),
    (7, 'w', 'forever', 'complete', 7, NULL, 100, 'api', x'31', NULL, NULL, 9223372036854775807, 6, x'32', NULL, NULL),
    (8, 'w', 'running', 'running', 7, NULL, NULL, 'api', x'31', NULL, NULL, 5, 6, NULL, NULL, NULL)"#;

/// A database as the first version left it: its schema, its rows, its version.
fn first_version(directory: &Path) {
    let connection = rusqlite::Connection::open(directory.join("miniflow.db")).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    connection.execute_batch(include_str!("../../src/storage/sqlite/migrations/0001_journal.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.execute_batch(INSTANCES_V1).unwrap();
    let entries = include_bytes!("journal-v1.msgpack");
    connection.execute("INSERT INTO journal (instance, entries) VALUES (1, ?1), (2, ?1)", [entries]).unwrap();
}

#[test]
fn a_state_of_the_first_version_is_all_there_after_the_migration() {
    let directory = tempfile::tempdir().unwrap();
    first_version(directory.path());
    let mut storage = SqliteStorage::open(directory.path(), Durability::Normal).unwrap();
    let waiting = Summary {
        wake_at: Some(Timestamp(99)),
        started: Some(Timestamp(7)),
        modified: Timestamp(7),
        ..summary(InstanceStatus::Waiting)
    };
    assert_eq!(storage.load(1).unwrap(), Some((instance(1, "one"), waiting)));
    assert_eq!((journal(&mut storage, 1), journal(&mut storage, 2)), (every_entry(), every_entry()));
    assert_eq!(storage.find("w", "stopped").unwrap(), Some(4));
    assert_eq!(storage.unfinished().unwrap().iter().map(|row| row.key).collect::<Vec<_>>(), [1, 8]);
    let errored = Summary {
        started: Some(Timestamp(7)),
        modified: Timestamp(100),
        ended: Some(Timestamp(100)),
        error: Some(ErrorInfo::new("Error", "boom")),
        expires: Some(Timestamp(106)),
        ..summary(InstanceStatus::Errored)
    };
    assert_eq!(storage.load(3).unwrap().unwrap().1, errored);

    let mut expires = |key| storage.load(key).unwrap().unwrap().1.expires.map(|at| at.0);
    let week = Some(100 + 7 * 24 * 3600 * 1000);
    let forever = Some(i64::MAX.unsigned_abs());
    let found: Vec<_> = (1..=8).map(&mut expires).collect();
    assert_eq!(found, [None, Some(105), Some(106), Some(108), week, week, forever, None]);
    assert_eq!(storage.next_expiry().unwrap(), Some(Timestamp(105)));

    storage.commit(&[chunk(1, attempt(0, 1), 0), Write::Delete(2)]).unwrap();
    drop(storage);
    let mut again = SqliteStorage::open(directory.path(), Durability::Normal).unwrap();
    assert_eq!(present(&mut again, &[(1, attempt(0, 1), 0)]), [true], "the second start migrates nothing");
    assert_eq!(again.last_key().unwrap(), 8);
}

#[test]
fn the_copy_made_before_a_migration_is_the_state_of_before() {
    let directory = tempfile::tempdir().unwrap();
    first_version(directory.path());
    drop(SqliteStorage::open(directory.path(), Durability::Normal).unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = directory.path().join("miniflow.v1.backup");
    std::fs::copy(copy, elsewhere.path().join("miniflow.db")).unwrap();
    let expected = [("instance".to_owned(), 8), ("journal".to_owned(), 2)];
    assert_eq!(rows(elsewhere.path()), BTreeMap::from(expected));
    // Put in the place of the database it is migrated like the first.
    let mut storage = SqliteStorage::open(elsewhere.path(), Durability::Normal).unwrap();
    assert_eq!(journal(&mut storage, 1), every_entry());
    assert_eq!(storage.next_expiry().unwrap(), Some(Timestamp(105)));
}

#[test]
fn a_journal_written_by_the_first_version_can_be_read() {
    // The bytes of `every_entry` as version 1 stored them. If this fails, stored journals cannot be read any more: add a
    // variant or a defaulted field instead of changing one.
    let stored = include_bytes!("journal-v1.msgpack");
    let entries: Vec<Stamped> = rmp_serde::from_slice(stored).unwrap();
    assert_eq!(entries, every_entry());
}
