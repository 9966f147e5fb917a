//! What holds for every sequence of operations: the storage is a sorted map, a list and an alarm, of which a crash leaves what was committed.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::super::range::Listing;
use super::*;

/// Keys around which ranges are likely to be wrong.
const KEYS: [&str; 9] = ["", "\0", "a", "a\0", "aa", "ab", "b", "\u{d7ff}", "\u{10ffff}"];

#[derive(Clone, Debug)]
enum Operation {
    Put(Vec<(&'static str, u8)>),
    Delete(Vec<&'static str>),
    DeleteAll,
    /// By SQL, into a table of the guest's.
    Insert,
    SetAlarm(Option<u8>),
    Begin,
    End,
    Rollback,
    /// `publish` may fail.
    Commit {
        fails: bool,
    },
    /// The process is killed.
    Crash,
    /// The guest dies.
    Discard,
    List {
        from: Option<(bool, &'static str)>,
        end: Option<&'static str>,
        prefix: Option<&'static str>,
        reverse: bool,
        limit: Option<u32>,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = || select(&KEYS[..]);
    let listing =
        (option::of((any::<bool>(), key())), option::of(key()), option::of(key()), any::<bool>(), option::of(1_u32..4));
    prop_oneof![
        6 => vec((key(), any::<u8>()), 1..4).prop_map(Operation::Put),
        3 => vec(key(), 1..4).prop_map(Operation::Delete),
        1 => Just(Operation::DeleteAll),
        2 => Just(Operation::Insert),
        3 => option::of(any::<u8>()).prop_map(Operation::SetAlarm),
        2 => Just(Operation::Begin),
        2 => Just(Operation::End),
        2 => Just(Operation::Rollback),
        4 => prop::bool::weighted(0.25).prop_map(|fails| Operation::Commit { fails }),
        2 => Just(Operation::Crash),
        1 => Just(Operation::Discard),
        6 => listing.prop_map(|(from, end, prefix, reverse, limit)| Operation::List { from, end, prefix, reverse, limit }),
    ]
}

/// What a storage has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contents {
    entries: BTreeMap<String, Vec<u8>>,
    /// Rows of the table; none: there is no table.
    rows: Option<u32>,
    alarm: Option<Timestamp>,
}

struct Model {
    now: Contents,
    committed: Contents,
    in_transaction: bool,
    /// What whoever rings the alarms was told.
    published: Option<Timestamp>,
}

impl Model {
    /// What is listed, looked for in the simplest way.
    fn list(&self, listing: &Listing) -> Vec<(String, Vec<u8>)> {
        let is_in = |key: &str| {
            listing.start.as_ref().is_none_or(|start| key >= start.as_str())
                && listing.start_after.as_ref().is_none_or(|start| key > start.as_str())
                && listing.end.as_ref().is_none_or(|end| key < end.as_str())
                && listing.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
        };
        let mut found: Vec<_> = self.now.entries.clone().into_iter().filter(|(key, _)| is_in(key)).collect();
        if listing.reverse {
            found.reverse();
        }
        found.truncate(listing.limit.map_or(usize::MAX, |limit| limit as usize));
        found
    }
}

fn contents(database: &mut Database) -> Contents {
    let rows = database.exec("SELECT count(*) FROM t", &[]).ok().map(|rows| match rows.rows[0][0] {
        Value::Integer(count) => u32::try_from(count).unwrap(),
        ref other => panic!("{other:?}"),
    });
    let entries = database.list(&Range::default()).unwrap().into_iter().collect();
    Contents { entries, rows, alarm: database.alarm().unwrap() }
}

fn apply(operation: &Operation, database: &mut Database, model: &mut Model) -> Result<(), TestCaseError> {
    match operation {
        Operation::Put(entries) => {
            let entries: Vec<_> = entries.iter().map(|(key, value)| ((*key).to_owned(), vec![*value])).collect();
            database.put(&entries).unwrap();
            model.now.entries.extend(entries);
        }
        Operation::Delete(keys) => {
            let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
            let removed = keys.iter().filter(|key| model.now.entries.remove(*key).is_some()).count();
            prop_assert_eq!(database.delete(&keys).unwrap(), removed);
        }
        Operation::DeleteAll => {
            database.delete_all().unwrap();
            model.now = Contents::default();
        }
        Operation::Insert => {
            database.exec("CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1)", &[]).unwrap();
            *model.now.rows.get_or_insert(0) += 1;
        }
        Operation::SetAlarm(at) => {
            model.now.alarm = at.map(|at| Timestamp(at.into()));
            database.set_alarm(model.now.alarm).unwrap();
        }
        Operation::Begin => {
            let begun = database.begin(|at| {
                model.published = at;
                Ok(())
            });
            prop_assert_eq!(begun.is_err(), model.in_transaction);
            if begun.is_ok() {
                model.committed = model.now.clone();
                model.in_transaction = true;
            }
        }
        Operation::End | Operation::Rollback => {
            let takes_back = matches!(operation, Operation::Rollback);
            let ended = if takes_back { database.rollback() } else { database.end() };
            prop_assert_eq!(ended.is_ok(), model.in_transaction);
            if takes_back && model.in_transaction {
                model.now = model.committed.clone();
            }
            model.in_transaction = false;
        }
        Operation::Commit { fails } => {
            let committed = database.commit(|at| {
                if *fails {
                    return Err(StorageError::Failed("full".to_owned()));
                }
                model.published = at;
                Ok(())
            });
            prop_assert!(committed.is_ok() || *fails);
            if !database.is_open() {
                model.committed = model.now.clone();
            }
        }
        Operation::Discard => {
            database.discard().unwrap();
            model.now = model.committed.clone();
            model.in_transaction = false;
        }
        Operation::Crash => {}
        Operation::List { from, end, prefix, reverse, limit } => {
            let own = |key: &&str| (*key).to_owned();
            let listing = Listing {
                start: from.as_ref().filter(|(after, _)| !after).map(|(_, key)| own(key)),
                start_after: from.as_ref().filter(|(after, _)| *after).map(|(_, key)| own(key)),
                end: end.as_ref().map(own),
                prefix: prefix.as_ref().map(own),
                reverse: *reverse,
                limit: *limit,
            };
            prop_assert_eq!(database.list(&listing.clone().range().unwrap()).unwrap(), model.list(&listing));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_storage_is_what_was_written_and_after_a_crash_what_was_committed(operations in vec(operation(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let mut database = Database::open(Some(&path), Durability::Normal).unwrap();
        let mut model = Model { now: Contents::default(), committed: Contents::default(), in_transaction: false, published: None };
        for operation in operations {
            if matches!(operation, Operation::Crash) {
                drop(database);
                database = Database::open(Some(&path), Durability::Normal).unwrap();
                model.now = model.committed.clone();
                model.in_transaction = false;
            }
            apply(&operation, &mut database, &mut model)?;
            prop_assert_eq!(contents(&mut database), model.now.clone(), "after {:?}", operation);
            // Whoever rings is never late.
            let (told, due) = (model.published.unwrap_or(Timestamp::MAX), model.committed.alarm.unwrap_or(Timestamp::MAX));
            prop_assert!(told <= due, "told of {:?}, due at {:?}, after {:?}", told, due, operation);
        }
    }
}
