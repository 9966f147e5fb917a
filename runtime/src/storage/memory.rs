//! Storage for tests, and for checks that begin anew again and again: maps, and a commit that can be made to fail.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::archive::STREAM_HEAD_BYTES;
use super::{
    Archive, AttemptKey, Boundary, Count, CronTarget, Expired, Filter, InFlight, Listed, NewInstance, Order, Place,
    Record, Storage, StorageError, Summary, Unfinished, Write,
};
use crate::clock::Timestamp;
use crate::dispatcher::message::InstanceKey;
use crate::engine::{Bytes, Stamped};

/// What is kept. Shared, so that it outlives a dispatcher that a test kills.
#[derive(Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    instances: BTreeMap<InstanceKey, (NewInstance, Summary)>,
    /// By workflow and id.
    keys: HashMap<(String, String), InstanceKey>,
    journals: HashMap<InstanceKey, Vec<Stamped>>,
    chunks: BTreeMap<(InstanceKey, AttemptKey, u32), Bytes>,
    boundaries: BTreeMap<(CronTarget, String), Timestamp>,
    commits: u64,
    dead_after: Option<u64>,
    refused: u64,
    watch: Option<Box<dyn Watch>>,
}

/// Whoever looks at commits and says whether the process goes on. It must not ask the storage.
pub trait Watch: Send {
    /// Called before `writes` are kept. False: the process has died before.
    fn before(&mut self, writes: &[Write]) -> bool;

    /// Called when they are kept. False: the process has died after, and nobody was told of it.
    fn after(&mut self) -> bool;
}

/// See [`MemoryStorage::freeze`].
pub struct Frozen<'a> {
    _kept: MutexGuard<'a, Kept>,
}

impl MemoryStorage {
    /// Every commit after `commits` more of them fails: the process has died there.
    pub fn die_after(&self, commits: u64) {
        self.with(|kept| kept.dead_after = Some(kept.commits + commits));
    }

    /// Lets commits succeed again.
    pub fn revive(&self) {
        self.with(|kept| {
            kept.dead_after = None;
            kept.refused = 0;
        });
    }

    /// Has `watch` look at every commit from now on.
    pub fn watch(&self, watch: impl Watch + 'static) {
        self.with(|kept| kept.watch = Some(Box::new(watch)));
    }

    /// Everything that is kept of every instance, oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<(NewInstance, Summary, Vec<Stamped>)> {
        self.with(|kept| {
            let journal = |key| kept.journals.get(key).cloned().unwrap_or_default();
            kept.instances
                .iter()
                .map(|(key, (fixed, summary))| (fixed.clone(), summary.clone(), journal(key)))
                .collect()
        })
    }

    /// Whether a commit has been refused.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.refusals() > 0
    }

    /// Commits that have been refused.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.with(|kept| kept.refused)
    }

    /// Groups committed so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.with(|kept| kept.commits)
    }

    /// Pieces of streams that are kept.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.with(|kept| kept.chunks.len())
    }

    /// Whoever asks the storage waits until this is dropped.
    #[must_use]
    pub fn freeze(&self) -> Frozen<'_> {
        Frozen { _kept: self.0.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Instances that have a journal.
    #[must_use]
    pub fn journals(&self) -> usize {
        self.with(|kept| kept.journals.len())
    }

    /// Whether nothing is kept of any instance.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.with(|kept| kept.instances.is_empty() && kept.journals.is_empty() && kept.chunks.is_empty())
    }

    /// The entries of the instance with this id, since it was wiped last.
    #[must_use]
    pub fn entries(&self, id: &str) -> Vec<Stamped> {
        self.with(|kept| {
            let key = kept.instances.iter().find(|(_, (instance, _))| instance.id == id).map(|(key, _)| key);
            key.and_then(|key| kept.journals.get(key).cloned()).unwrap_or_default()
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    /// Whether every new instance finds its key and its id free, as the indexes of SQLite ask. Asked before anything is changed.
    fn accepts(&self, writes: &[Write]) -> bool {
        let mut deleted = HashSet::new();
        let mut created: HashMap<InstanceKey, &NewInstance> = HashMap::new();
        writes.iter().all(|write| match write {
            Write::Create(new, _) => {
                let stands = |key: &InstanceKey| self.instances.contains_key(key) && !deleted.contains(key);
                let taken = stands(&new.key) || self.keys.get(&name(new)).is_some_and(stands);
                let same = |other: &NewInstance| (&other.workflow, &other.id) == (&new.workflow, &new.id);
                let twice = created.values().any(|other| other.key == new.key || same(other));
                created.insert(new.key, new);
                !taken && !twice
            }
            Write::Delete(key) => {
                deleted.insert(*key);
                created.remove(key);
                true
            }
            _ => true,
        })
    }

    fn matching(&self, filter: &Filter) -> impl Iterator<Item = &(NewInstance, Summary)> {
        self.instances.values().filter(|(fixed, summary)| {
            fixed.workflow == filter.workflow
                && filter.status.is_none_or(|status| status == summary.status)
                && filter.from.is_none_or(|from| fixed.created >= from)
                && filter.until.is_none_or(|until| fixed.created <= until)
        })
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Create(instance, summary) => {
                self.keys.insert(name(instance), instance.key);
                self.instances.insert(instance.key, (instance.clone(), summary.clone()));
            }
            Write::Append(key, entries) => self.journals.entry(*key).or_default().extend(entries.iter().cloned()),
            Write::Update(key, summary) => {
                if let Some((_, kept)) = self.instances.get_mut(key) {
                    *kept = summary.clone();
                }
            }
            Write::Wipe(key) => self.wipe(*key),
            Write::Delete(key) => {
                self.wipe(*key);
                if let Some((instance, _)) = self.instances.remove(key) {
                    self.keys.remove(&name(&instance));
                }
            }
            Write::Chunk { key, attempt, index, bytes } => {
                self.chunks.insert((*key, *attempt, *index), bytes.clone());
            }
            Write::DropChunks(key, attempt) => self.chunks.retain(|(k, a, _), _| (k, a) != (key, attempt)),
            Write::DropChunksFrom(key, step) => self.chunks.retain(|(k, a, _), _| k != key || a.step < *step),
            Write::Boundary(Boundary { target, cron, at }) => {
                let expression = (target.clone(), cron.clone());
                match at {
                    Some(at) => drop(self.boundaries.insert(expression, *at)),
                    None => drop(self.boundaries.remove(&expression)),
                }
            }
        }
    }

    fn wipe(&mut self, key: InstanceKey) {
        self.journals.remove(&key);
        self.chunks.retain(|(k, ..), _| *k != key);
    }
}

fn name(instance: &NewInstance) -> (String, String) {
    (instance.workflow.clone(), instance.id.clone())
}

impl Archive for MemoryStorage {
    fn list(
        &mut self,
        filter: &Filter,
        order: Order,
        after: Option<Place>,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let row = |(fixed, summary): &(NewInstance, Summary)| Listed {
            place: Place { created: fixed.created, key: fixed.key },
            id: fixed.id.clone(),
            status: summary.status,
            trigger: fixed.trigger,
            started: summary.started,
            modified: summary.modified,
            ended: summary.ended,
        };
        let mut all: Vec<_> = self.with(|kept| kept.matching(filter).map(row).collect());
        all.sort_by_key(|listed| listed.place);
        if order == Order::NewestFirst {
            all.reverse();
        }
        let beyond = |place: Place| match (after, order) {
            (None, _) => true,
            (Some(after), Order::NewestFirst) => place < after,
            (Some(after), Order::OldestFirst) => place > after,
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(all.into_iter().filter(|listed| beyond(listed.place)).skip(skip).take(limit).collect())
    }

    fn count(&mut self, filter: &Filter) -> Result<u64, StorageError> {
        Ok(self.with(|kept| kept.matching(filter).count() as u64))
    }

    fn counts(&mut self, workflow: Option<&str>) -> Result<Vec<Count>, StorageError> {
        let mut counts: BTreeMap<(String, &'static str), Count> = BTreeMap::new();
        self.with(|kept| {
            for (fixed, summary) in kept.instances.values() {
                if workflow.is_none_or(|workflow| workflow == fixed.workflow) {
                    let count = counts.entry((fixed.workflow.clone(), summary.status.as_str())).or_insert(Count {
                        workflow: fixed.workflow.clone(),
                        status: summary.status,
                        instances: 0,
                        first_created: fixed.created,
                        last_created: fixed.created,
                    });
                    count.instances += 1;
                    count.first_created = count.first_created.min(fixed.created);
                    count.last_created = count.last_created.max(fixed.created);
                }
            }
        });
        Ok(counts.into_values().collect())
    }

    fn summary(&mut self, workflow: &str, id: &str) -> Result<Option<Summary>, StorageError> {
        Ok(self.record(workflow, id)?.map(|record| record.summary))
    }

    fn record(&mut self, workflow: &str, id: &str) -> Result<Option<Record>, StorageError> {
        Ok(self.with(|kept| {
            let key = *kept.keys.get(&(workflow.to_owned(), id.to_owned()))?;
            let (fixed, summary) = kept.instances.get(&key)?.clone();
            let journal = kept.journals.get(&key).cloned().unwrap_or_default();
            let first = kept.chunks.iter().filter(|((k, _, index), _)| (*k, *index) == (key, 0));
            let head = |bytes: &Bytes| bytes.slice(..bytes.len().min(STREAM_HEAD_BYTES));
            let streams = first.map(|((_, attempt, _), bytes)| (*attempt, head(bytes))).collect();
            Some(Record { fixed, summary, journal, streams })
        }))
    }

    fn in_flight(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
        after: InstanceKey,
        limit: usize,
    ) -> Result<Vec<InFlight>, StorageError> {
        Ok(self.with(|kept| {
            let mut found: Vec<_> = kept
                .instances
                .values()
                .filter(|(fixed, summary)| !summary.status.is_final() && fixed.key > after && wanted(&fixed.workflow))
                .map(|(fixed, summary)| InFlight {
                    fixed: fixed.clone(),
                    status: summary.status,
                    journal: kept.journals.get(&fixed.key).cloned().unwrap_or_default(),
                })
                .collect();
            found.sort_by_key(|found| found.fixed.key);
            found.truncate(limit);
            found
        }))
    }

    fn piece(&mut self, key: InstanceKey, attempt: AttemptKey, index: u32) -> Result<Option<Bytes>, StorageError> {
        self.chunk(key, attempt, index)
    }
}

impl Storage for MemoryStorage {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StorageError> {
        self.with(|kept| {
            if kept.dead_after.is_some_and(|after| kept.commits >= after) {
                kept.refused += 1;
                return Err(StorageError::Injected("the test ended the process here"));
            }
            if !kept.accepts(writes) {
                return Err(StorageError::Injected("a new instance has the key or the id of another"));
            }
            let mut watch = kept.watch.take();
            let goes = watch.as_mut().is_none_or(|watch| watch.before(writes));
            let told = goes && {
                kept.commits += 1;
                writes.iter().for_each(|write| kept.apply(write));
                watch.as_mut().is_none_or(|watch| watch.after())
            };
            kept.watch = watch;
            if told { Ok(()) } else { Err(StorageError::Injected("the process was ended here")) }
        })
    }

    fn find(&mut self, workflow: &str, id: &str) -> Result<Option<InstanceKey>, StorageError> {
        Ok(self.with(|kept| kept.keys.get(&(workflow.to_owned(), id.to_owned())).copied()))
    }

    fn load(&mut self, key: InstanceKey) -> Result<Option<(NewInstance, Summary)>, StorageError> {
        Ok(self.with(|kept| kept.instances.get(&key).cloned()))
    }

    fn journal(&mut self, key: InstanceKey, each: &mut dyn FnMut(Stamped)) -> Result<(), StorageError> {
        let entries = self.with(|kept| kept.journals.get(&key).cloned().unwrap_or_default());
        entries.into_iter().for_each(each);
        Ok(())
    }

    fn unfinished(&mut self) -> Result<Vec<Unfinished>, StorageError> {
        Ok(self.with(|kept| {
            let unfinished = kept.instances.values().filter(|(_, summary)| !summary.status.is_final());
            let row = |(instance, summary): &(NewInstance, Summary)| Unfinished {
                key: instance.key,
                workflow: instance.workflow.clone(),
                status: summary.status,
                wake_at: summary.wake_at,
                begun: summary.started.is_some(),
            };
            unfinished.map(row).collect()
        }))
    }

    fn last_key(&mut self) -> Result<InstanceKey, StorageError> {
        Ok(self.with(|kept| kept.instances.last_key_value().map_or(0, |(key, _)| *key)))
    }

    fn chunk(&mut self, key: InstanceKey, attempt: AttemptKey, index: u32) -> Result<Option<Bytes>, StorageError> {
        Ok(self.with(|kept| kept.chunks.get(&(key, attempt, index)).cloned()))
    }

    fn expired(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Expired>, StorageError> {
        Ok(self.with(|kept| {
            let at = |summary: &Summary| summary.expires.filter(|at| *at <= now);
            let mut due: Vec<_> = kept.instances.values().filter_map(|(i, s)| Some((at(s)?, i))).collect();
            due.sort_by_key(|(at, instance)| (*at, instance.key));
            let row = |i: &NewInstance| Expired { key: i.key, workflow: i.workflow.clone(), id: i.id.clone() };
            due.into_iter().take(limit).map(|(_, instance)| row(instance)).collect()
        }))
    }

    fn next_expiry(&mut self) -> Result<Option<Timestamp>, StorageError> {
        Ok(self.with(|kept| kept.instances.values().filter_map(|(_, summary)| summary.expires).min()))
    }

    fn boundaries(&mut self) -> Result<Vec<Boundary>, StorageError> {
        let boundary = |((target, cron), at): (&(CronTarget, String), &Timestamp)| Boundary {
            target: target.clone(),
            cron: cron.clone(),
            at: Some(*at),
        };
        Ok(self.with(|kept| kept.boundaries.iter().map(boundary).collect()))
    }
}
