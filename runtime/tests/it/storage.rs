//! One suite for every storage, and what only files can do.

use std::sync::Arc;

use miniflow_runtime::engine::{Entry, Stamped};
use miniflow_runtime::storage::{
    Durability, NewInstance, Retention, SqliteStorage, Storage, StorageError, Summary, Trigger, Unfinished, Write,
};
use miniflow_runtime::testing::MemoryStorage;
use miniflow_runtime::{Bytes, ErrorInfo, InstanceStatus, Schedule, StepConfig, StepKey, StepKind, Timestamp};

fn instance(key: i64, id: &str) -> NewInstance {
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

fn summary(status: InstanceStatus) -> Summary {
    Summary { status, wake_at: None, ended: None, output: None, error: None }
}

fn every_entry() -> Vec<Stamped> {
    let key = |kind| StepKey::new(kind, "step", 1);
    let error = ErrorInfo::new("Error", "boom");
    let payload = Bytes::from_static(b"\0\xff binary");
    let go = || Arc::from("go");
    [
        Entry::Running,
        Entry::Waiting,
        Entry::Queued,
        Entry::StepStarted { key: key(StepKind::Do), alone: true, config: Arc::new(StepConfig::default()) },
        Entry::AttemptFailed { step: 0, error: error.clone(), retry_at: Timestamp(9) },
        Entry::AttemptStarted { step: 0, attempt: 2 },
        Entry::AttemptInterrupted { step: 0 },
        Entry::StepAbandoned { step: 0 },
        Entry::StepReopened { step: 0 },
        Entry::StepSucceeded { step: 0, output: payload.clone() },
        Entry::StepFailed { step: 0, error: error.clone() },
        Entry::SleepStarted { key: key(StepKind::Sleep), alone: false, wake_at: Timestamp(u64::MAX) },
        Entry::SleepCompleted { step: 1 },
        Entry::WaitStarted {
            key: key(StepKind::Wait),
            alone: false,
            event_type: go(),
            deadline: Timestamp(9),
            timeout_ms: 1000,
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

fn journal(storage: &mut dyn Storage, key: i64) -> Vec<Stamped> {
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
    storage.commit(&[Write::Update(1, waiting), Write::Update(2, errored.clone())]).unwrap();
    let row =
        Unfinished { key: 1, workflow: "w".into(), status: InstanceStatus::Waiting, wake_at: Some(Timestamp(99)) };
    assert_eq!(storage.unfinished().unwrap(), [row]);
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

#[test]
fn a_group_is_kept_whole_or_not_at_all() {
    let mut storage = SqliteStorage::in_memory().unwrap();
    let twice = [
        Write::Create(instance(1, "one"), summary(InstanceStatus::Running)),
        Write::Create(instance(2, "one"), summary(InstanceStatus::Running)),
    ];
    assert!(storage.commit(&twice).is_err());
    assert_eq!(storage.last_key().unwrap(), 0);
}

#[test]
fn a_journal_written_by_the_first_version_can_be_read() {
    // The bytes of `every_entry` as version 1 stored them. If this fails, stored journals cannot be read any more: add a
    // variant or a defaulted field instead of changing one.
    let stored = include_bytes!("journal-v1.msgpack");
    let entries: Vec<Stamped> = rmp_serde::from_slice(stored).unwrap();
    assert_eq!(entries, every_entry());
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
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}
