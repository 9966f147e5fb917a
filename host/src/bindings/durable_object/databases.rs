//! The databases of all objects: a file each, of which few are open at a time.
//!
//! Promises: a database is open once; one with something uncommitted in it is never closed here. Never does: read or write one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use miniflow_runtime::storage::Durability;

use super::alarms::ObjectKey;
use super::error::StorageError;
use super::id::file_name;
use super::store::Database;

/// Open files, two for each: systems give a process about a thousand unless told. One that is closed is opened again in a fraction of a
/// millisecond.
const OPEN_MAX: usize = 128;

/// The databases of a session. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Databases(Arc<Shared>);

struct Shared {
    /// None: in memory.
    folder: Option<PathBuf>,
    durability: Durability,
    slots: Mutex<HashMap<ObjectKey, Arc<Slot>>>,
    uses: AtomicU64,
}

/// The place of one database.
pub(super) struct Slot {
    jobs: Mutex<Jobs>,
    path: Option<PathBuf>,
    database: Mutex<Option<Database>>,
    used: AtomicU64,
}

/// Work with one database, in the order it was asked for. It goes on whoever waits for it: a guest that stands still for one job must not
/// wait for a job that stands still with the guest.
#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    /// A thread works.
    at_work: bool,
}

impl Databases {
    /// Keeps them below `folder`; none: in memory.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, durability: Durability) -> Self {
        Self(Arc::new(Shared { folder, durability, slots: Mutex::default(), uses: AtomicU64::new(0) }))
    }

    /// The place of an object's database.
    pub(super) fn slot(&self, object: &ObjectKey) -> Arc<Slot> {
        let path = self.0.folder.as_ref().map(|folder| {
            let namespace = &object.namespace;
            folder
                .join(file_name(&namespace.worker))
                .join(file_name(&namespace.class))
                .join(format!("{}.sqlite", object.id))
        });
        let slot =
            || Arc::new(Slot { jobs: Mutex::default(), path, database: Mutex::default(), used: AtomicU64::new(0) });
        Arc::clone(self.slots().entry(object.clone()).or_insert_with(slot))
    }

    /// Works with a database, which is made when it is not there. Blocks.
    pub(super) fn with<R>(
        &self,
        slot: &Slot,
        work: impl FnOnce(&mut Database) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let mut database = slot.database();
        slot.used.store(self.0.uses.fetch_add(1, Relaxed), Relaxed);
        let database = match &mut *database {
            Some(database) => database,
            closed => {
                self.make_room();
                if let Some(folder) = slot.path.as_deref().and_then(std::path::Path::parent) {
                    std::fs::create_dir_all(folder).map_err(|error| StorageError::Failed(error.to_string()))?;
                }
                closed.insert(Database::open(slot.path.as_deref(), self.0.durability)?)
            }
        };
        work(database)
    }

    /// Works with a database if there is one. Blocks.
    pub(super) fn with_existing<R>(
        &self,
        slot: &Slot,
        work: impl FnOnce(&mut Database) -> Result<R, StorageError>,
    ) -> Result<Option<R>, StorageError> {
        let exists = slot.database().is_some() || slot.path.as_deref().is_some_and(std::path::Path::exists);
        exists.then(|| self.with(slot, work)).transpose()
    }

    /// Whether nobody has used one.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots().is_empty()
    }

    /// Everything that the databases in memory keep, as texts, by where it is. Blocks.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read.
    pub(crate) fn contents(&self) -> Result<BTreeMap<String, String>, StorageError> {
        let slots: Vec<_> = self.slots().iter().map(|(object, slot)| (object.clone(), Arc::clone(slot))).collect();
        let mut contents = BTreeMap::new();
        for (object, slot) in slots {
            let found = self.with_existing(&slot, |database| database.contents())?;
            for (place, value) in found.unwrap_or_default() {
                contents.insert(format!("{place} of {}", object.place()), value);
            }
        }
        Ok(contents)
    }

    /// Closes the database of an object that is not alive any more. One in memory stays. Blocks.
    pub(super) fn release(&self, object: &ObjectKey) {
        if self.0.folder.is_none() {
            return;
        }
        let slot = self.slots().remove(object);
        if let Some(slot) = slot {
            slot.database().take();
        }
    }

    /// Closes those that were not used for longest.
    fn make_room(&self) {
        let mut slots: Vec<_> = self.slots().values().filter(|slot| slot.path.is_some()).cloned().collect();
        if slots.len() <= OPEN_MAX {
            return;
        }
        // The keys change meanwhile: each is read once.
        slots.sort_by_cached_key(|slot| slot.used.load(Relaxed));
        let mut open = slots.len();
        for slot in slots {
            // One that is being used is not waited for.
            let Ok(mut database) = slot.database.try_lock() else { continue };
            if open <= OPEN_MAX {
                return;
            }
            if !database.as_ref().is_some_and(Database::is_open) {
                *database = None;
                open -= 1;
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<ObjectKey, Arc<Slot>>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Has `job` done, after those that came before, on a thread that may block.
    pub(super) fn submit(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut jobs = self.jobs();
        jobs.waiting.push_back(Box::new(job));
        if !std::mem::replace(&mut jobs.at_work, true) {
            let slot = Arc::clone(self);
            tokio::task::spawn_blocking(move || slot.work());
        }
    }

    /// Whether nothing is being done.
    pub(super) fn rests(&self) -> bool {
        !self.jobs().at_work
    }

    fn work(&self) {
        loop {
            let job = {
                let mut jobs = self.jobs();
                let Some(job) = jobs.waiting.pop_front() else {
                    jobs.at_work = false;
                    return;
                };
                job
            };
            // Whoever waits for it learns that it is gone.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("the storage of an object panicked");
            }
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> MutexGuard<'_, Option<Database>> {
        // What a panic left half done is not committed.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
