//! One suite for every storage, and what only files can do.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;

use miniflow_runtime::engine::{Entry, RollbackOutcome, Stamped};
use miniflow_runtime::storage::{
    Archive, AttemptKey, Boundary, CronTarget, Durability, Expired, NewInstance, Retention, SqliteStorage, Storage,
    StorageError, Summary, Trigger, Unfinished, Write,
};
use miniflow_runtime::testing::MemoryStorage;
use miniflow_runtime::{Bytes, ErrorInfo, InstanceStatus, Schedule, StepConfig, StepKey, StepKind, Timestamp};

pub(crate) fn instance(key: i64, id: &str) -> NewInstance {
    NewInstance {
        key,
        workflow: "w".into(),
        id: id.into(),
        created: Timestamp(7),
        trigger: Trigger::Cron,
        payload: Bytes::from_static(b"{\"a\":1}"),
        schedule: Some(Schedule { cron: "* * * * *".into(), scheduled_time: Timestamp(60_000) }),
        retention: Retention { success_ms: Some(5), error_ms: None },
    }
}

pub(crate) fn summary(status: InstanceStatus) -> Summary {
    Summary {
        status,
        wake_at: None,
        started: None,
        modified: Timestamp(8),
        ended: None,
        output: None,
        error: None,
        rollback: None,
        expires: None,
    }
}

pub(crate) fn every_entry() -> Vec<Stamped> {
    let key = |kind| StepKey::new(kind, "step", 1);
    let error = ErrorInfo::new("Error", "boom");
    let payload = Bytes::from_static(b"\0\xff binary");
    let go = || Arc::from("go");
    [
        Entry::Running,
        Entry::Waiting,
        Entry::Queued,
        Entry::StepStarted {
            key: key(StepKind::Do),
            alone: true,
            config: Arc::new(StepConfig::default()),
            rollback: None,
            nested: false,
        },
        Entry::AttemptFailed { step: 0, error: error.clone(), retry_at: Timestamp(9) },
        Entry::AttemptStarted { step: 0, attempt: 2 },
        Entry::AttemptInterrupted { step: 0 },
        Entry::StepAbandoned { step: 0 },
        Entry::StepReopened { step: 0 },
        Entry::StepSucceeded { step: 0, output: payload.clone() },
        Entry::StepFailed { step: 0, error: error.clone() },
        Entry::SleepStarted { key: key(StepKind::Sleep), alone: false, wake_at: Timestamp(u64::MAX), nested: None },
        Entry::SleepCompleted { step: 1 },
        Entry::WaitStarted {
            key: key(StepKind::Wait),
            alone: false,
            event_type: go(),
            deadline: Timestamp(9),
            timeout_ms: 1000,
            nested: None,
        },
        Entry::EventReceived { event_type: go(), payload: payload.clone() },
        Entry::WaitCompleted { step: 2, event: 0 },
        Entry::WaitTimedOut { step: 2 },
        Entry::Completed { output: payload },
        Entry::Errored { error },
    ]
    .into_iter()
    .enumerate()
    .map(|(at, entry)| Stamped { at: Timestamp(at as u64), entry })
    .collect()
}

pub(crate) fn journal(storage: &mut dyn Storage, key: i64) -> Vec<Stamped> {
    let mut entries = Vec::new();
    storage.journal(key, &mut |stamped| entries.push(stamped)).unwrap();
    entries
}

fn conformance(storage: &mut dyn Storage) {
    assert_eq!(storage.last_key().unwrap(), 0);
    let entries = every_entry();
    let first = Write::Create(instance(1, "one"), summary(InstanceStatus::Running));
    let second = Write::Create(instance(2, "two"), summary(InstanceStatus::Queued));
    storage.commit(&[first, Write::Append(1, entries[..5].to_vec()), second]).unwrap();
    storage.commit(&[Write::Append(2, entries[..1].to_vec())]).unwrap();
    storage.commit(&[Write::Append(1, entries[5..].to_vec())]).unwrap();
    assert_eq!(journal(storage, 1), entries, "the entries of an instance, in order, and nobody else's");
    assert_eq!(storage.find("w", "two").unwrap(), Some(2));
    assert_eq!(storage.find("other", "two").unwrap(), None);
    assert_eq!(storage.last_key().unwrap(), 2);
    assert_eq!(storage.load(1).unwrap(), Some((instance(1, "one"), summary(InstanceStatus::Running))));
    assert_eq!(storage.load(9).unwrap(), None);

    let waiting = Summary { wake_at: Some(Timestamp(99)), ..summary(InstanceStatus::Waiting) };
    let errored = Summary {
        ended: Some(Timestamp(100)),
        error: Some(ErrorInfo::new("Error", "boom")),
        ..summary(InstanceStatus::Errored)
    };
    storage.commit(&[Write::Update(1, waiting.clone()), Write::Update(2, errored.clone())]).unwrap();
    let row = Unfinished {
        key: 1,
        workflow: "w".into(),
        status: InstanceStatus::Waiting,
        wake_at: Some(Timestamp(99)),
        begun: false,
    };
    assert_eq!(storage.unfinished().unwrap(), std::slice::from_ref(&row));
    let begun = Summary { started: Some(Timestamp(7)), ..waiting.clone() };
    storage.commit(&[Write::Update(1, begun)]).unwrap();
    assert_eq!(storage.unfinished().unwrap(), [Unfinished { begun: true, ..row }]);
    assert_eq!(storage.load(2).unwrap().unwrap().1, errored);
}

#[test]
fn memory_keeps_what_is_committed() {
    conformance(&mut MemoryStorage::default());
}

#[test]
fn sqlite_keeps_what_is_committed() {
    conformance(&mut SqliteStorage::in_memory().unwrap());
    let directory = tempfile::tempdir().unwrap();
    conformance(&mut SqliteStorage::open(directory.path(), Durability::Full).unwrap());
    let mut again = SqliteStorage::open(directory.path(), Durability::Normal).unwrap();
    assert_eq!(journal(&mut again, 1), every_entry());
    let mut reader = again.reader().unwrap().unwrap();
    assert_eq!(reader.summary("w", "one").unwrap().unwrap().status, InstanceStatus::Waiting);
    assert_eq!(reader.summary("w", "nobody").unwrap(), None);
}

/// Holds `check` against each storage; which one it was is in the output of a test that fails.
#[expect(clippy::print_stdout, reason = "the harness shows it with the panic")]
fn every_storage(check: fn(&mut dyn Storage)) {
    println!("in memory");
    check(&mut MemoryStorage::default());
    println!("SQLite");
    check(&mut SqliteStorage::in_memory().unwrap());
}

fn create(key: i64, id: &str) -> Write {
    Write::Create(instance(key, id), summary(InstanceStatus::Running))
}

pub(crate) fn attempt(step: u32, attempt: u32) -> AttemptKey {
    AttemptKey { step, attempt }
}

pub(crate) fn chunk(key: i64, attempt: AttemptKey, index: u32) -> Write {
    Write::Chunk { key, attempt, index, bytes: piece(key, attempt, index) }
}

/// Bytes that are of no other chunk.
fn piece(key: i64, attempt: AttemptKey, index: u32) -> Bytes {
    Bytes::from(format!("\0{key} {} {} {index}", attempt.step, attempt.attempt))
}

/// Which of these chunks are there, with the bytes they were written with.
#[track_caller]
pub(crate) fn present(storage: &mut dyn Storage, places: &[(i64, AttemptKey, u32)]) -> Vec<bool> {
    let mut is_there = |(key, attempt, index): (i64, AttemptKey, u32)| {
        let found = storage.chunk(key, attempt, index).unwrap();
        assert!(found.as_ref().is_none_or(|bytes| *bytes == piece(key, attempt, index)), "{found:?} is another's");
        found.is_some()
    };
    places.iter().map(|place| is_there(*place)).collect()
}

#[test]
fn every_field_of_a_summary_comes_back() {
    every_storage(|storage| {
        let error = ErrorInfo { backtrace: Some("at a\nat b".into()), ..ErrorInfo::new("Error", "boom") };
        let undo = ErrorInfo { backtrace: Some("at c".into()), ..ErrorInfo::new("TypeError", "undo") };
        let failed = Summary {
            status: InstanceStatus::Errored,
            wake_at: Some(Timestamp(1)),
            started: Some(Timestamp(4)),
            modified: Timestamp(5),
            ended: Some(Timestamp(2)),
            output: Some(Bytes::from_static(b"{}")),
            error: Some(error),
            rollback: Some(RollbackOutcome { error: Some(undo) }),
            expires: Some(Timestamp(3)),
        };
        let undone = Summary { rollback: Some(RollbackOutcome { error: None }), ..summary(InstanceStatus::Errored) };
        storage.commit(&[create(1, "updated"), Write::Update(1, failed.clone())]).unwrap();
        storage.commit(&[Write::Create(instance(2, "created"), failed.clone())]).unwrap();
        storage.commit(&[create(3, "undone"), Write::Update(3, undone.clone())]).unwrap();
        assert_eq!(storage.load(1).unwrap().unwrap().1, failed);
        assert_eq!(storage.load(2).unwrap().unwrap().1, failed);
        assert_eq!(storage.load(3).unwrap().unwrap().1, undone);
        storage.commit(&[Write::Update(1, summary(InstanceStatus::Running))]).unwrap();
        assert_eq!(storage.load(1).unwrap().unwrap().1, summary(InstanceStatus::Running), "nothing of before is left");
        let plain = Some(ErrorInfo::new("Error", "of no known place"));
        let rollback = Some(RollbackOutcome { error: plain.clone() });
        let plain = Summary { error: plain, rollback, ..summary(InstanceStatus::Errored) };
        storage.commit(&[Write::Update(2, plain.clone())]).unwrap();
        assert_eq!(storage.load(2).unwrap().unwrap().1, plain, "nor of the backtraces");
    });
}

#[test]
fn no_time_is_too_long_to_be_stored() {
    every_storage(|storage| {
        let retention = Retention { success_ms: Some(u64::MAX), error_ms: Some(u64::MAX) };
        let ended = Summary { expires: Some(Timestamp::MAX), ..summary(InstanceStatus::Complete) };
        storage.commit(&[Write::Create(NewInstance { retention, ..instance(1, "one") }, ended)]).unwrap();
        let (kept, ended) = storage.load(1).unwrap().unwrap();
        let long = i64::MAX.unsigned_abs();
        assert!(kept.retention.success_ms >= Some(long) && kept.retention.error_ms >= Some(long));
        assert!(ended.expires >= Some(Timestamp(long)));
        assert_eq!(storage.expired(Timestamp(long - 1), 1).unwrap(), []);
    });
}

#[test]
fn the_writes_of_a_group_are_applied_in_their_order() {
    every_storage(|storage| {
        let entries = every_entry();
        let group = [
            create(1, "one"),
            Write::Append(1, entries[..3].to_vec()),
            chunk(1, attempt(0, 1), 0),
            Write::Wipe(1),
            Write::Append(1, entries[3..4].to_vec()),
            chunk(1, attempt(0, 1), 1),
            Write::Delete(1),
            create(2, "one"),
            Write::Append(2, entries[4..6].to_vec()),
            Write::Append(2, entries[6..8].to_vec()),
            chunk(2, attempt(0, 1), 0),
        ];
        storage.commit(&group).unwrap();
        assert_eq!(storage.load(1).unwrap(), None);
        assert_eq!(storage.load(2).unwrap(), Some((instance(2, "one"), summary(InstanceStatus::Running))));
        assert_eq!(storage.find("w", "one").unwrap(), Some(2));
        assert_eq!(journal(storage, 1), []);
        assert_eq!(journal(storage, 2), entries[4..8]);
        let places = [(1, attempt(0, 1), 0), (1, attempt(0, 1), 1), (2, attempt(0, 1), 0)];
        assert_eq!(present(storage, &places), [false, false, true]);
        storage.commit(&[Write::Delete(2)]).unwrap();
        assert_eq!((storage.find("w", "one").unwrap(), storage.last_key().unwrap()), (None, 0));
        assert_eq!(storage.unfinished().unwrap(), []);
    });
}

#[test]
fn a_wiped_instance_stays_and_its_journal_begins_again() {
    every_storage(|storage| {
        let entries = every_entry();
        let both = [create(1, "one"), Write::Append(1, entries.clone()), create(2, "two")];
        storage.commit(&both).unwrap();
        let others = [Write::Append(2, entries.clone()), chunk(1, attempt(0, 1), 0), chunk(2, attempt(0, 1), 0)];
        storage.commit(&others).unwrap();
        storage.commit(&[Write::Wipe(1), Write::Append(1, entries[7..9].to_vec())]).unwrap();
        assert_eq!(storage.load(1).unwrap(), Some((instance(1, "one"), summary(InstanceStatus::Running))));
        assert_eq!(journal(storage, 1), entries[7..9]);
        assert_eq!(journal(storage, 2), entries, "another's is as it was");
        assert_eq!(present(storage, &[(1, attempt(0, 1), 0), (2, attempt(0, 1), 0)]), [false, true]);
    });
}

#[test]
fn memory_shows_the_entries_since_an_instance_was_wiped() {
    let mut storage = MemoryStorage::default();
    let entries = every_entry();
    storage.commit(&[create(1, "one"), Write::Append(1, entries.clone())]).unwrap();
    storage.commit(&[Write::Wipe(1), Write::Append(1, entries[2..4].to_vec())]).unwrap();
    assert_eq!(storage.entries("one"), entries[2..4]);
    storage.commit(&[Write::Delete(1), create(2, "one")]).unwrap();
    assert_eq!(storage.entries("one"), []);
}

#[test]
fn a_chunk_is_found_by_its_place_and_written_again_replaced() {
    every_storage(|storage| {
        let large = Bytes::from(vec![0xff; 256 * 1024]);
        let places = [(1, attempt(0, 1), 0), (1, attempt(0, 1), 1), (1, attempt(0, 2), 0), (1, attempt(1, 1), 0)];
        let mut group = vec![create(1, "one"), create(2, "two"), chunk(2, attempt(0, 1), 0)];
        group.extend(places.map(|(key, attempt, index)| chunk(key, attempt, index)));
        storage.commit(&group).unwrap();
        assert_eq!(present(storage, &places), [true; 4]);
        storage.commit(&[chunk(1, attempt(0, 1), 5)]).unwrap();
        let absent = [(1, attempt(0, 1), 2), (1, attempt(0, 3), 0), (1, attempt(2, 1), 0), (3, attempt(0, 1), 0)];
        assert_eq!(present(storage, &absent), [false; 4]);
        let again = Write::Chunk { key: 1, attempt: attempt(0, 1), index: 1, bytes: large.clone() };
        storage.commit(&[again]).unwrap();
        assert_eq!(storage.chunk(1, attempt(0, 1), 1).unwrap(), Some(large));
        let empty = Write::Chunk { key: 1, attempt: attempt(u32::MAX, u32::MAX), index: u32::MAX, bytes: Bytes::new() };
        storage.commit(&[empty]).unwrap();
        assert_eq!(storage.chunk(1, attempt(u32::MAX, u32::MAX), u32::MAX).unwrap(), Some(Bytes::new()));
    });
}

#[test]
fn the_chunks_of_one_attempt_are_dropped_and_no_others() {
    every_storage(|storage| {
        let places = [
            (1, attempt(4, 1), 0),
            (1, attempt(4, 2), 0),
            (1, attempt(4, 2), 1),
            (1, attempt(4, 3), 0),
            (1, attempt(5, 2), 0),
            (2, attempt(4, 2), 0),
        ];
        let mut group = vec![create(1, "one"), create(2, "two")];
        group.extend(places.map(|(key, attempt, index)| chunk(key, attempt, index)));
        group.push(Write::DropChunks(1, attempt(4, 2)));
        storage.commit(&group).unwrap();
        assert_eq!(present(storage, &places), [true, false, false, true, true, true]);
    });
}

#[test]
fn the_chunks_from_a_step_on_are_dropped_and_no_others() {
    every_storage(|storage| {
        let places = [
            (1, attempt(0, 9), 0),
            (1, attempt(3, 1), 0),
            (1, attempt(4, 1), 0),
            (1, attempt(4, 2), 1),
            (1, attempt(5, 1), 0),
            (2, attempt(4, 1), 0),
        ];
        let mut group = vec![create(1, "one"), create(2, "two")];
        group.extend(places.map(|(key, attempt, index)| chunk(key, attempt, index)));
        group.push(Write::DropChunksFrom(1, 4));
        storage.commit(&group).unwrap();
        assert_eq!(present(storage, &places), [true, true, false, false, false, true]);
    });
}

#[test]
fn how_far_a_cron_expression_has_come_is_kept_until_it_is_gone() {
    fn check(storage: &mut dyn Storage) {
        let boundary = |target: CronTarget, cron: &str, at: Option<u64>| Boundary {
            target,
            cron: cron.to_owned(),
            at: at.map(Timestamp),
        };
        let (workflow, worker) = (CronTarget::Workflow("w".to_owned()), CronTarget::Worker("w".to_owned()));
        let keep = |writes: &[Boundary]| writes.iter().cloned().map(Write::Boundary).collect::<Vec<_>>();
        assert_eq!(storage.boundaries().unwrap(), []);
        let first = [
            boundary(workflow.clone(), "* * * * *", Some(1)),
            boundary(worker.clone(), "* * * * *", Some(2)),
            boundary(workflow.clone(), "0 * * * *", Some(3)),
        ];
        storage.commit(&keep(&first)).unwrap();
        let then = [
            boundary(workflow.clone(), "* * * * *", Some(4)),
            boundary(workflow.clone(), "0 * * * *", None),
            boundary(workflow.clone(), "never there", None),
        ];
        storage.commit(&keep(&then)).unwrap();
        let mut kept = storage.boundaries().unwrap();
        kept.sort_by_key(|boundary| boundary.at);
        assert_eq!(kept, [first[1].clone(), then[0].clone()]);
    }
    every_storage(check);
}

#[test]
fn what_is_due_longest_expires_first() {
    every_storage(|storage| {
        let ends = [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20)), (5, Some(10)), (6, Some(31))];
        for (key, expires) in ends {
            let ended = Summary { expires: expires.map(Timestamp), ..summary(InstanceStatus::Complete) };
            storage.commit(&[create(key, &format!("i{key}")), Write::Update(key, ended)]).unwrap();
        }
        let keys = |storage: &mut dyn Storage, now, limit| {
            let expired = storage.expired(Timestamp(now), limit).unwrap();
            expired.into_iter().map(|expired| expired.key).collect::<Vec<_>>()
        };
        assert_eq!(keys(storage, 9, 10), []);
        assert_eq!(keys(storage, 30, 10), [2, 5, 4, 1]);
        assert_eq!(keys(storage, 30, 3), [2, 5, 4]);
        assert_eq!(keys(storage, 30, 0), []);
        assert_eq!(keys(storage, u64::MAX, usize::MAX), [2, 5, 4, 1, 6]);
        let first = Expired { key: 2, workflow: "w".into(), id: "i2".into() };
        assert_eq!(storage.expired(Timestamp(10), 1).unwrap(), [first]);
        assert_eq!(storage.next_expiry().unwrap(), Some(Timestamp(10)));
        let restarted = Write::Update(5, summary(InstanceStatus::Running));
        storage.commit(&[Write::Delete(2), restarted]).unwrap();
        assert_eq!(storage.next_expiry().unwrap(), Some(Timestamp(20)));
        storage.commit(&[Write::Delete(1), Write::Delete(4), Write::Delete(6)]).unwrap();
        assert_eq!(storage.next_expiry().unwrap(), None);
    });
}

#[test]
fn a_group_that_fails_in_the_middle_changes_nothing() {
    every_storage(|storage| {
        let entries = every_entry();
        let ended = Summary { expires: Some(Timestamp(9)), ..summary(InstanceStatus::Complete) };
        let before =
            [create(1, "one"), Write::Append(1, entries.clone()), chunk(1, attempt(0, 1), 0), create(2, "two")];
        storage.commit(&before).unwrap();
        for refused in [create(2, "other"), create(9, "two")] {
            let group = [
                create(3, "three"),
                Write::Append(3, entries.clone()),
                chunk(3, attempt(0, 1), 0),
                Write::Update(1, ended.clone()),
                Write::DropChunks(1, attempt(0, 1)),
                Write::Wipe(1),
                Write::Delete(1),
                refused,
                Write::Append(2, entries.clone()),
            ];
            storage.commit(&group).unwrap_err();
            assert_eq!(storage.load(1).unwrap(), Some((instance(1, "one"), summary(InstanceStatus::Running))));
            assert_eq!(journal(storage, 1), entries);
            assert_eq!(journal(storage, 2), []);
            assert_eq!((storage.load(3).unwrap(), storage.load(9).unwrap()), (None, None));
            assert_eq!((journal(storage, 3), storage.find("w", "three").unwrap()), (vec![], None));
            assert_eq!(present(storage, &[(1, attempt(0, 1), 0), (3, attempt(0, 1), 0)]), [true, false]);
            assert_eq!((storage.last_key().unwrap(), storage.next_expiry().unwrap()), (2, None));
        }
        storage.commit(&[create(3, "three"), create(4, "three")]).unwrap_err();
        assert_eq!(storage.last_key().unwrap(), 2);
        storage.commit(&[create(3, "three")]).unwrap();
    });
}

/// How many rows each table of the file has, by the table's name.
pub(crate) fn rows(directory: &Path) -> BTreeMap<String, i64> {
    let connection = rusqlite::Connection::open(directory.join("miniflow.db")).unwrap();
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count =
        |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    tables.into_iter().map(|table| (table.clone(), count(&table))).collect()
}

#[test]
fn a_deleted_instance_leaves_no_row_in_any_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut storage = SqliteStorage::open(directory.path(), Durability::Normal).unwrap();
    let fill = |storage: &mut SqliteStorage, key: i64| {
        let group = [create(key, &format!("i{key}")), Write::Append(key, every_entry()), chunk(key, attempt(7, 2), 0)];
        storage.commit(&group).unwrap();
    };
    fill(&mut storage, 1);
    let rows = |directory: &Path| {
        let mut rows = rows(directory);
        // The only one that is not about instances.
        assert_eq!(rows.remove("cron"), Some(0));
        rows
    };
    let one = rows(directory.path());
    assert!(one.values().all(|count| *count == 1), "every table has a part in this: {one:?}");
    fill(&mut storage, 2);
    storage.commit(&[Write::Append(2, every_entry()), chunk(2, attempt(0, 1), 5), Write::Delete(2)]).unwrap();
    assert_eq!(rows(directory.path()), one);
    storage.commit(&[Write::Delete(1)]).unwrap();
    assert!(rows(directory.path()).values().all(|count| *count == 0), "{:?}", rows(directory.path()));
}

#[test]
fn a_reader_sees_what_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let mut storage = SqliteStorage::open(directory.path(), Durability::Normal).unwrap();
    let mut reader = storage.reader().unwrap().unwrap();
    let undone = RollbackOutcome { error: Some(ErrorInfo::new("Error", "undo")) };
    let ended = Summary {
        error: Some(ErrorInfo { backtrace: Some("at a".into()), ..ErrorInfo::new("Error", "boom") }),
        rollback: Some(undone),
        expires: Some(Timestamp(9)),
        ..summary(InstanceStatus::Errored)
    };
    let group = [create(1, "one"), create(2, "two"), Write::Append(2, every_entry()), chunk(2, attempt(3, 1), 4)];
    storage.commit(&group).unwrap();
    storage.commit(&[Write::Update(2, ended.clone())]).unwrap();
    assert_eq!(reader.key("w", "two").unwrap(), Some(2));
    assert_eq!(reader.key("other", "two").unwrap(), None);
    assert_eq!(reader.summary("w", "two").unwrap(), Some(ended));
    assert_eq!(reader.piece(2, attempt(3, 1), 4).unwrap(), Some(piece(2, attempt(3, 1), 4)));
    assert_eq!(reader.piece(1, attempt(3, 1), 4).unwrap(), None);
    let mut read = |key| {
        let mut entries = Vec::new();
        reader.journal(key, &mut |stamped| entries.push(stamped)).unwrap();
        entries
    };
    assert_eq!((read(1), read(2)), (vec![], every_entry()));
    storage.commit(&[Write::Delete(2)]).unwrap();
    assert_eq!(reader.key("w", "two").unwrap(), None);
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStorage::open(directory.path(), Durability::Normal).unwrap());
    let path = directory.path().join("miniflow.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStorage::open(directory.path(), Durability::Normal).err().unwrap();
    assert!(matches!(error, StorageError::Newer { found: 999, .. }));
    assert!(error.to_string().contains("newer version of miniflow"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_database_is_reported_and_left_alone() {
    for content in [&b"this is no database, but it is long enough to have a header of one hundred bytes, which is what SQLite reads"[..], b"SQLite format 3\0 and then rubbish"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("miniflow.db");
        std::fs::write(&path, content).unwrap();
        let error = SqliteStorage::open(directory.path(), Durability::Normal).err().unwrap();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
        assert_eq!(causes(&error), ["file is not a database"]);
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

/// What is shown below an error.
fn causes(error: &StorageError) -> Vec<String> {
    let (mut causes, mut cause) = (Vec::new(), error.source());
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes
}

#[test]
fn what_sqlite_says_is_said_once() {
    for (text, said) in [(None, "Error code 13: database or disk is full"), (Some("full"), "full")] {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), text.map(ToOwned::to_owned));
        let error = StorageError::from(error);
        assert_eq!((error.to_string().as_str(), causes(&error)), ("storage failed", vec![said.to_owned()]));
    }
}
