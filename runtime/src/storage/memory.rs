//! Storage for tests: vectors, and a commit that can be made to fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{NewInstance, Storage, StorageError, Summary, Unfinished, Write};
use crate::dispatcher::message::InstanceKey;
use crate::engine::Stamped;

/// What is kept. Shared, so that it outlives a dispatcher that a test kills.
#[derive(Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    instances: Vec<(NewInstance, Summary)>,
    journals: HashMap<InstanceKey, Vec<Stamped>>,
    commits: u64,
    dead_after: Option<u64>,
    refused: bool,
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
            kept.refused = false;
        });
    }

    /// Whether a commit has been refused.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.with(|kept| kept.refused)
    }

    /// Groups committed so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.with(|kept| kept.commits)
    }

    /// The entries of the instance with this id.
    #[must_use]
    pub fn entries(&self, id: &str) -> Vec<Stamped> {
        self.with(|kept| {
            let key = kept.instances.iter().find(|(instance, _)| instance.id == id).map(|(instance, _)| instance.key);
            key.and_then(|key| kept.journals.get(&key).cloned()).unwrap_or_default()
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Storage for MemoryStorage {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StorageError> {
        self.with(|kept| {
            if kept.dead_after.is_some_and(|after| kept.commits >= after) {
                kept.refused = true;
                return Err(StorageError::Injected("the test ended the process here"));
            }
            kept.commits += 1;
            for write in writes {
                match write {
                    Write::Create(instance, summary) => kept.instances.push((instance.clone(), summary.clone())),
                    Write::Append(key, entries) => kept.journals.entry(*key).or_default().extend(entries.clone()),
                    Write::Update(key, summary) => {
                        for (instance, kept) in &mut kept.instances {
                            if instance.key == *key {
                                *kept = summary.clone();
                            }
                        }
                    }
                }
            }
            Ok(())
        })
    }

    fn find(&mut self, workflow: &str, id: &str) -> Result<Option<InstanceKey>, StorageError> {
        let is_it = |instance: &NewInstance| instance.workflow == workflow && instance.id == id;
        Ok(self.with(|kept| kept.instances.iter().find(|(instance, _)| is_it(instance)).map(|(i, _)| i.key)))
    }

    fn load(&mut self, key: InstanceKey) -> Result<Option<(NewInstance, Summary)>, StorageError> {
        Ok(self.with(|kept| kept.instances.iter().find(|(instance, _)| instance.key == key).cloned()))
    }

    fn journal(&mut self, key: InstanceKey, each: &mut dyn FnMut(Stamped)) -> Result<(), StorageError> {
        let entries = self.with(|kept| kept.journals.get(&key).cloned().unwrap_or_default());
        entries.into_iter().for_each(each);
        Ok(())
    }

    fn unfinished(&mut self) -> Result<Vec<Unfinished>, StorageError> {
        Ok(self.with(|kept| {
            let unfinished = kept.instances.iter().filter(|(_, summary)| !summary.status.is_final());
            let row = |(instance, summary): &(NewInstance, Summary)| Unfinished {
                key: instance.key,
                workflow: instance.workflow.clone(),
                status: summary.status,
                wake_at: summary.wake_at,
            };
            unfinished.map(row).collect()
        }))
    }

    fn last_key(&mut self) -> Result<InstanceKey, StorageError> {
        Ok(self.with(|kept| kept.instances.iter().map(|(instance, _)| instance.key).max().unwrap_or(0)))
    }
}
