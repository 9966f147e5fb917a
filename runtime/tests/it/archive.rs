//! What people ask about what is kept: the same of every storage, and of a directory that nobody serves.

use miniflow_runtime::engine::{Entry, Stamped, StepState};
use miniflow_runtime::storage::{
    Archive, AttemptKey, Durability, Filter, NewInstance, Order, Place, Reader, Retention, SqliteStorage, Storage,
    StorageError, Summary, Trigger, Write,
};
use miniflow_runtime::testing::MemoryStorage;
use miniflow_runtime::{Bytes, CreateOptions, DurationSpec, InstanceStatus, StepKey, StepKind, Timestamp};

use crate::world::World;

fn create(key: i64, workflow: &str, created: u64, status: InstanceStatus) -> Write {
    let fixed = NewInstance {
        key,
        workflow: workflow.into(),
        id: format!("i{key}"),
        created: Timestamp(created),
        trigger: Trigger::Api,
        payload: Bytes::from_static(b"{}"),
        schedule: None,
        retention: Retention::default(),
    };
    let summary = Summary {
        status,
        wake_at: None,
        started: Some(Timestamp(created + 1)),
        modified: Timestamp(created + 2),
        ended: status.is_final().then(|| Timestamp(created + 2)),
        output: None,
        error: None,
        rollback: None,
        expires: None,
    };
    Write::Create(fixed, summary)
}

/// Instances 1 to 6 of `w`, two of them made in the same millisecond, and one of another workflow.
fn fill(storage: &mut dyn Storage) {
    use InstanceStatus::{Complete, Running, Waiting};
    let made = [
        (1, "w", 10, Complete),
        (2, "w", 20, Running),
        (3, "other", 20, Running),
        (4, "w", 20, Complete),
        (5, "w", 30, Waiting),
        (6, "w", 40, Complete),
    ];
    let group: Vec<_> = made.map(|(key, workflow, created, status)| create(key, workflow, created, status)).into();
    storage.commit(&group).unwrap();
}

fn every_storage(check: fn(&mut dyn Storage)) {
    check(&mut MemoryStorage::default());
    check(&mut SqliteStorage::in_memory().unwrap());
    let directory = tempfile::tempdir().unwrap();
    check(&mut SqliteStorage::open(directory.path(), Durability::Normal).unwrap());
}

fn of_w() -> Filter {
    Filter { workflow: "w".into(), ..Filter::default() }
}

#[test]
fn instances_are_listed_by_creation_in_both_directions() {
    every_storage(|storage| {
        fill(storage);
        let mut keys = |order, skip, limit| {
            let listed = storage.list(&of_w(), order, None, skip, limit).unwrap();
            listed.into_iter().map(|listed| listed.place.key).collect::<Vec<_>>()
        };
        assert_eq!(keys(Order::NewestFirst, 0, 9), [6, 5, 4, 2, 1]);
        assert_eq!(keys(Order::OldestFirst, 0, 9), [1, 2, 4, 5, 6]);
        assert_eq!(keys(Order::NewestFirst, 1, 2), [5, 4]);
        assert_eq!(keys(Order::NewestFirst, 9, 2), []);
        let first = storage.list(&of_w(), Order::OldestFirst, None, 0, 1).unwrap().remove(0);
        assert_eq!((first.id.as_str(), first.status, first.trigger), ("i1", InstanceStatus::Complete, Trigger::Api));
        assert_eq!(
            (first.started, first.modified, first.ended),
            (Some(Timestamp(11)), Timestamp(12), Some(Timestamp(12)))
        );
    });
}

#[test]
fn a_list_goes_on_after_a_place_also_between_two_of_one_millisecond() {
    every_storage(|storage| {
        fill(storage);
        for (order, expected) in [(Order::NewestFirst, [6, 5, 4, 2, 1]), (Order::OldestFirst, [1, 2, 4, 5, 6])] {
            let (mut after, mut seen) = (None, Vec::new());
            while let [listed, ..] = &storage.list(&of_w(), order, after, 0, 1).unwrap()[..] {
                seen.push(listed.place.key);
                after = Some(listed.place);
            }
            assert_eq!(seen, expected);
        }
        let gone = Some(Place { created: Timestamp(20), key: 3 });
        let after = storage.list(&of_w(), Order::NewestFirst, gone, 0, 9).unwrap();
        assert_eq!(after.iter().map(|listed| listed.place.key).collect::<Vec<_>>(), [2, 1]);
    });
}

#[test]
fn lists_and_counts_are_narrowed_by_status_and_dates() {
    every_storage(|storage| {
        fill(storage);
        let complete = Filter { status: Some(InstanceStatus::Complete), ..of_w() };
        let dated = |from, until| Filter { from: Some(Timestamp(from)), until: Some(Timestamp(until)), ..of_w() };
        let mut both = |filter: &Filter| {
            let listed = storage.list(filter, Order::NewestFirst, None, 0, 9).unwrap();
            let keys: Vec<_> = listed.into_iter().map(|listed| listed.place.key).collect();
            assert_eq!(storage.count(filter).unwrap(), keys.len() as u64);
            keys
        };
        assert_eq!(both(&complete), [6, 4, 1]);
        assert_eq!(both(&dated(20, 30)), [5, 4, 2], "both ends are in it");
        assert_eq!(both(&dated(11, 19)), []);
        assert_eq!(both(&Filter { status: Some(InstanceStatus::Running), ..dated(0, 99) }), [2]);
        assert_eq!(both(&Filter { workflow: "nobody".into(), ..Filter::default() }), []);
    });
}

#[test]
fn instances_are_counted_by_workflow_and_status() {
    every_storage(|storage| {
        fill(storage);
        let row = |workflow| {
            move |storage: &mut dyn Storage| {
                let mut counts: Vec<_> = storage
                    .counts(workflow)
                    .unwrap()
                    .into_iter()
                    .map(|c| (c.workflow, c.status.as_str(), c.instances, c.first_created.0, c.last_created.0))
                    .collect();
                counts.sort();
                counts
            }
        };
        let of_w = [("w", "complete", 3, 10, 40), ("w", "running", 1, 20, 20), ("w", "waiting", 1, 30, 30)];
        let all: Vec<_> = [("other", "running", 1, 20, 20)].into_iter().chain(of_w).collect();
        let named = |rows: &[(&str, &'static str, u64, u64, u64)]| {
            rows.iter().map(|(w, s, n, f, l)| ((*w).to_owned(), *s, *n, *f, *l)).collect::<Vec<_>>()
        };
        assert_eq!(row(Some("w"))(storage), named(&of_w));
        assert_eq!(row(None)(storage), named(&all));
        assert_eq!(row(Some("nobody"))(storage), []);
    });
}

#[test]
fn a_record_has_the_row_the_journal_and_the_beginning_of_streams() {
    every_storage(|storage| {
        fill(storage);
        let journal = vec![Stamped { at: Timestamp(11), entry: Entry::Running }];
        let attempt = AttemptKey { step: 3, attempt: 2 };
        let chunk = |index, bytes| Write::Chunk { key: 1, attempt, index, bytes };
        let long = Bytes::from(vec![7; 10_000]);
        let group = [Write::Append(1, journal.clone()), chunk(0, long.clone()), chunk(1, Bytes::from_static(b"more"))];
        storage.commit(&group).unwrap();
        let record = storage.record("w", "i1").unwrap().unwrap();
        assert_eq!((record.fixed.key, record.summary.status), (1, InstanceStatus::Complete));
        assert_eq!(record.journal, journal);
        assert_eq!(record.stream_head(attempt), Some(&long.slice(..4096)));
        assert_eq!(record.stream_head(AttemptKey { step: 3, attempt: 1 }), None);
        assert_eq!(storage.record("other", "i1").unwrap(), None);
    });
}

#[test]
fn instances_in_flight_are_read_with_their_journals() {
    every_storage(|storage| {
        fill(storage);
        let mut keys = |workflow: &'static str, after, limit| {
            let found = storage.in_flight(&move |name| name == workflow, after, limit).unwrap();
            found.iter().map(|found| found.fixed.key).collect::<Vec<_>>()
        };
        let all = keys("w", 0, 100);
        assert_eq!(keys("w", 0, 1), all[..1]);
        assert_eq!(keys("w", all[0], 100), all[1..]);
        assert_eq!(keys("nothing", 0, 100), []);
        let first = storage.in_flight(&|name| name == "w", 0, 1).unwrap().remove(0);
        assert!(!first.status.is_final());
        let record = storage.record("w", &first.fixed.id).unwrap().unwrap();
        assert_eq!((record.fixed, record.journal), (first.fixed, first.journal));
        let finished = storage.list(&of_w(), Order::OldestFirst, None, 0, 100).unwrap();
        let unfinished: Vec<_> =
            finished.iter().filter(|listed| !listed.status.is_final()).map(|listed| listed.place.key).collect();
        let mut all = all;
        all.sort_unstable();
        let mut unfinished = unfinished;
        unfinished.sort_unstable();
        assert_eq!(all, unfinished);
    });
}

#[test]
fn a_directory_that_nobody_serves_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Reader::of_directory(directory.path()).unwrap().is_none());
    let mut storage = SqliteStorage::open(directory.path(), Durability::Normal).unwrap();
    fill(&mut storage);
    let count = |reader: Option<Reader>| reader.unwrap().count(&of_w()).unwrap();
    assert_eq!(count(Reader::of_directory(directory.path()).unwrap()), 5, "beside a server");
    drop(storage);
    assert_eq!(count(Reader::of_directory(directory.path()).unwrap()), 5, "after it");
}

#[test]
fn a_directory_of_another_version_is_not_read() {
    for (version, is_named) in [
        (1, (|error| matches!(error, StorageError::Older { found: 1, .. })) as fn(&StorageError) -> bool),
        (999, |error| matches!(error, StorageError::Newer { found: 999, .. })),
    ] {
        let directory = tempfile::tempdir().unwrap();
        drop(SqliteStorage::open(directory.path(), Durability::Normal).unwrap());
        let connection = rusqlite::Connection::open(directory.path().join("miniflow.db")).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        let error = Reader::of_directory(directory.path()).err().unwrap();
        assert!(is_named(&error), "{error:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("miniflow.db"),
        "this is no database, but it is long enough to have one's header, of one hundred bytes",
    )
    .unwrap();
    let error = Reader::of_directory(directory.path()).err().unwrap();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_question_sees_what_was_answered_before() {
    let mut world = World::new(|run, _| async move {
        run.sleep("nap", DurationSpec::Text("1 day".into())).await?;
        Ok(Bytes::from_static(b"1"))
    });
    let handle = world.start();
    let id = handle.create("w", CreateOptions::default()).await.unwrap();
    let asked = id.clone();
    let record = handle.read(move |archive| archive.record("w", &asked)).await.unwrap().unwrap();
    assert_eq!(record.fixed.id, id);
    world.drive_to(&handle, &id, InstanceStatus::Waiting).await;
    let record = handle.read(move |archive| archive.record("w", &id)).await.unwrap().unwrap();
    let details = record.details();
    assert_eq!(details.status, InstanceStatus::Waiting);
    assert_eq!(details.steps[0].key, StepKey::new(StepKind::Sleep, "nap", 1));
    let StepState::Sleeping { wake_at } = details.steps[0].state else { panic!("{:?}", details.steps) };
    assert_eq!(record.summary.wake_at, Some(wake_at));
}
