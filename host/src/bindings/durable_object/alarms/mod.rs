//! Which object's alarm goes off next.
//!
//! The alarm itself is kept with the object, in one transaction with everything else it writes. What is kept here is derived of it, and told in
//! such an order that it is never later than the truth: an object that is woken too early looks, and says so.
//!
//! Promises: an alarm is not forgotten, whenever the process ends; one that goes off is not handed out again before [`Alarms::settle`] was told how
//! it went. Never does: call an object.

mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use miniflow_runtime::clock::Hold;
use miniflow_runtime::storage::Durability;
use miniflow_runtime::{Clock, Timestamp};

use self::store::AlarmStore;
use super::error::StorageError;
use super::id::{Namespace, ObjectId};
use crate::bindings::arrival::Arrival;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Where it lives.
    pub namespace: Arc<Namespace>,
    /// Its id.
    pub id: ObjectId,
}

impl ObjectKey {
    /// Which it is, for people.
    pub(crate) fn place(&self) -> String {
        format!("the object {}/{}", self.namespace.class, self.id)
    }
}

/// An alarm that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What it was set to.
    pub at: Timestamp,
    /// When its handler is called next: later than `at` after a failure.
    pub due: Timestamp,
    /// How often the handler has failed.
    pub retries: u32,
}

/// The alarms of a session. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Alarms(Arc<Shared>);

struct Shared {
    /// None: in memory.
    path: Option<PathBuf>,
    durability: Durability,
    /// Made with the first alarm. Locked while a commit takes its time; only from threads that may wait.
    store: Mutex<Option<AlarmStore>>,
    queue: Mutex<Queue>,
    arrival: Arrival,
    /// Of whoever waits for them.
    clock: Mutex<Option<Arc<dyn Clock>>>,
}

#[derive(Default)]
struct Queue {
    alarms: BTreeMap<ObjectKey, Entry>,
    /// Those that wait for their time.
    waiting: BTreeSet<(Timestamp, ObjectKey)>,
}

struct Entry {
    alarm: Alarm,
    /// It was handed out, and has not been settled.
    out: bool,
}

impl Queue {
    /// Exchanges the alarm of `object`. One that is out stays out.
    fn put(&mut self, object: &ObjectKey, alarm: Option<Alarm>, out: Option<bool>) {
        let before = self.alarms.remove(object);
        if let Some(before) = &before {
            self.waiting.remove(&(before.alarm.due, object.clone()));
        }
        let Some(alarm) = alarm else { return };
        let out = out.unwrap_or(before.is_some_and(|before| before.out));
        if !out {
            self.waiting.insert((alarm.due, object.clone()));
        }
        self.alarms.insert(object.clone(), Entry { alarm, out });
    }
}

impl Alarms {
    /// Opens what is kept in `folder`, if anything is; none: in memory.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(folder: Option<&Path>, durability: Durability) -> Result<Self, StorageError> {
        let path = folder.map(|folder| folder.join("alarms.sqlite"));
        let exists = path.as_ref().is_some_and(|path| path.exists());
        let store = exists.then(|| AlarmStore::open(path.as_deref(), durability)).transpose()?;
        let mut queue = Queue::default();
        if let Some(store) = &store {
            for (object, alarm) in store.all()? {
                queue.put(&object, Some(alarm), None);
            }
        }
        let (store, queue) = (Mutex::new(store), Mutex::new(queue));
        let (arrival, clock) = (Arrival::default(), Mutex::default());
        Ok(Self(Arc::new(Shared { path, durability, store, queue, arrival, clock })))
    }

    /// Notes when the alarm of `object` goes off now. Blocks until it is durable.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn set(&self, object: &ObjectKey, at: Option<Timestamp>) -> Result<(), StorageError> {
        self.write(object, at.map(|at| Alarm { at, due: at, retries: 0 }), None)
    }

    /// Says how an alarm that was handed out went: with what is set now, which may be another try. Blocks until it is durable.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the alarm waits all the same.
    pub fn settle(&self, object: &ObjectKey, alarm: Option<Alarm>) -> Result<(), StorageError> {
        self.write(object, alarm, Some(false))
    }

    fn write(&self, object: &ObjectKey, alarm: Option<Alarm>, out: Option<bool>) -> Result<(), StorageError> {
        let written = self.write_store(object, alarm.as_ref());
        self.queue().put(object, alarm, out);
        if let Some(clock) = &*self.clock() {
            self.0.arrival.tell(&**clock);
        }
        written
    }

    fn write_store(&self, object: &ObjectKey, alarm: Option<&Alarm>) -> Result<(), StorageError> {
        let mut store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match &mut *store {
            Some(store) => store,
            None if alarm.is_none() => return Ok(()),
            none => {
                if let Some(folder) = self.0.path.as_deref().and_then(Path::parent) {
                    std::fs::create_dir_all(folder).map_err(|error| StorageError::Failed(error.to_string()))?;
                }
                none.insert(AlarmStore::open(self.0.path.as_deref(), self.0.durability)?)
            }
        };
        store.set(object, alarm)
    }

    /// Returns when the next one goes off; the end of time when there is none.
    #[must_use]
    pub fn next(&self) -> Timestamp {
        self.queue().waiting.first().map_or(Timestamp::MAX, |(due, _)| *due)
    }

    /// Hands out what is due.
    #[must_use]
    pub fn take_due(&self, now: Timestamp) -> Vec<(ObjectKey, Alarm)> {
        let mut queue = self.queue();
        let mut due = Vec::new();
        while let Some((at, _)) = queue.waiting.first()
            && *at <= now
        {
            let Some((_, object)) = queue.waiting.pop_first() else { break };
            if let Some(entry) = queue.alarms.get_mut(&object) {
                entry.out = true;
                due.push((object, entry.alarm));
            }
        }
        due
    }

    /// Says who waits for them: `clock` is held whenever [`Self::next`] may be another, until they have looked. One at a time.
    pub fn begin(&self, clock: &Arc<dyn Clock>) {
        if self.clock().replace(Arc::clone(clock)).is_some() {
            self.0.arrival.end();
        }
        self.0.arrival.begin(&**clock);
    }

    /// Returns when [`Self::next`] may be another. Cancel-safe.
    pub async fn changed(&self) {
        self.0.arrival.wait().await;
    }

    /// The clock, if it is held for a change that nobody has looked at.
    #[must_use]
    pub fn take_hold(&self) -> Option<Hold> {
        self.0.arrival.take_hold()
    }

    fn clock(&self) -> MutexGuard<'_, Option<Arc<dyn Clock>>> {
        self.0.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> ObjectKey {
        let namespace = Namespace { worker: "w".to_owned(), class: "C".to_owned() };
        let id = namespace.id_from_name(name);
        ObjectKey { namespace: namespace.into(), id }
    }

    fn open(folder: Option<&Path>) -> Alarms {
        Alarms::open(folder, Durability::Normal).unwrap()
    }

    fn due(alarms: &Alarms, now: u64) -> Vec<ObjectKey> {
        alarms.take_due(Timestamp(now)).into_iter().map(|(object, _)| object).collect()
    }

    #[test]
    fn alarms_are_handed_out_when_due_and_in_order() {
        let alarms = open(None);
        assert_eq!(alarms.next(), Timestamp::MAX);
        alarms.set(&object("b"), Some(Timestamp(20))).unwrap();
        alarms.set(&object("a"), Some(Timestamp(10))).unwrap();
        alarms.set(&object("c"), Some(Timestamp(30))).unwrap();
        alarms.set(&object("c"), None).unwrap();
        assert_eq!(alarms.next(), Timestamp(10));
        assert_eq!(due(&alarms, 9), []);
        assert_eq!(due(&alarms, 99), [object("a"), object("b")]);
        assert_eq!(alarms.next(), Timestamp::MAX);
    }

    #[test]
    fn one_that_is_out_is_not_handed_out_again_before_it_is_settled() {
        let alarms = open(None);
        alarms.set(&object("a"), Some(Timestamp(10))).unwrap();
        assert_eq!(due(&alarms, 10).len(), 1);
        // Its handler sets it again.
        alarms.set(&object("a"), Some(Timestamp(10))).unwrap();
        assert_eq!(due(&alarms, 10), []);
        alarms.settle(&object("a"), Some(Alarm { at: Timestamp(10), due: Timestamp(15), retries: 1 })).unwrap();
        assert_eq!(alarms.next(), Timestamp(15));
        assert_eq!(due(&alarms, 15).len(), 1);
        alarms.settle(&object("a"), None).unwrap();
        assert_eq!(due(&alarms, 99), []);
    }

    #[test]
    fn alarms_and_their_retries_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let retried = Alarm { at: Timestamp(10), due: Timestamp(14), retries: 2 };
        {
            let alarms = open(Some(folder.path()));
            alarms.set(&object("a"), Some(Timestamp(10))).unwrap();
            assert_eq!(due(&alarms, 10).len(), 1);
            alarms.settle(&object("a"), Some(retried)).unwrap();
            alarms.set(&object("out"), Some(Timestamp(5))).unwrap();
            // Handed out when the process ends: its handler may not have come to its end.
            assert_eq!(due(&alarms, 5).len(), 1);
        }
        let mut due = open(Some(folder.path())).take_due(Timestamp(99));
        due.sort_by_key(|(_, alarm)| alarm.at);
        assert_eq!(due[0].0, object("out"));
        assert_eq!(due[1], (object("a"), retried));
    }
}
