//! The storage of one object that is alive: what its guest asks, and when what it wrote becomes durable.
//!
//! SQLite works on threads that may block; the guest stands still meanwhile, so no other event comes in between. What it wrote since its last wait is
//! one transaction, which is committed when the guest waits ([`ObjectStorage::settle`]), and at the latest before anything leaves the
//! object ([`ObjectStorage::flush`]).
//!
//! Promises: work of one object is done one after the other, also when nobody waits for it any more. Never does: know the guest.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use miniflow_runtime::Timestamp;
use rusqlite::types::Value;
use tokio::sync::{Notify, oneshot, watch};

use super::alarms::{Alarm, Alarms, ObjectKey};
use super::databases::{Databases, Slot};
use super::error::StorageError;
use super::store::{Database, Range, Rows};

/// Bytes of a key (documented: 2 KB).
const KEY_MAX_BYTES: usize = 2048;

/// Bytes of a key and its value together (documented: 2 MB).
const ENTRY_MAX_BYTES: usize = 2 << 20;

/// Keys of one call (documented: 128).
const KEYS_MAX: usize = 128;

/// Bytes of SQL in one call (documented: 100 KB).
const QUERY_MAX_BYTES: usize = 100_000;

/// Times a failed alarm is tried again (documented: 6).
const RETRIES_MAX: u32 = 6;

/// Before the first of them; each is twice as long as the one before (documented: 2 s).
const RETRY_DELAY_MS: u64 = 2_000;

/// The storage of an object.
pub struct ObjectStorage {
    object: ObjectKey,
    slot: Arc<Slot>,
    databases: Databases,
    alarms: Alarms,
    /// Something was written that may not be committed.
    dirty: Arc<AtomicBool>,
    written: Arc<Notify>,
    /// Writes that were done.
    writes: Arc<AtomicU64>,
    /// How many they were when the guest last waited: what it has handed out since then came after them.
    waited: AtomicU64,
    /// What has become of them.
    kept: Arc<watch::Sender<Kept>>,
    /// A transaction of the guest's own is open.
    transaction: watch::Sender<bool>,
    /// While the alarm's handler runs: whether it has set or removed the alarm.
    handler: Mutex<Option<bool>>,
}

/// Up to which write all are durable, and up to which those that are not were taken back.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    durable: u64,
    lost: u64,
}

/// What came of an alarm that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmEnd {
    /// The handler returned.
    Done,
    /// It failed, and is called again then.
    Retry(Timestamp),
    /// It failed for the last time.
    GivenUp,
    /// It failed, and had set another one before.
    Replaced,
}

type Answer<T> = Result<T, StorageError>;

impl ObjectStorage {
    /// The storage of `object`.
    #[must_use]
    pub fn new(object: ObjectKey, databases: Databases, alarms: Alarms) -> Self {
        let slot = databases.slot(&object);
        Self {
            object,
            slot,
            databases,
            alarms,
            dirty: Arc::default(),
            written: Arc::default(),
            writes: Arc::default(),
            waited: AtomicU64::new(0),
            kept: Arc::default(),
            transaction: watch::Sender::new(false),
            handler: Mutex::default(),
        }
    }

    /// Whether a transaction of the guest's is open: no event is delivered then.
    #[must_use]
    pub fn in_transaction(&self) -> watch::Receiver<bool> {
        self.transaction.subscribe()
    }

    /// The entries of `keys`.
    pub(super) async fn get(&self, keys: Vec<String>) -> Answer<Vec<(String, Vec<u8>)>> {
        check_keys(&keys)?;
        Ok(self.read(move |database| database.get(&keys)).await?.unwrap_or_default())
    }

    /// Writes entries.
    pub(super) async fn put(&self, entries: Vec<(String, Vec<u8>)>) -> Answer<()> {
        check_count(entries.len())?;
        for (key, value) in &entries {
            check_key(key)?;
            let size = key.len() + value.len();
            if size > ENTRY_MAX_BYTES {
                return Err(StorageError::Limit(format!(
                    "Keys and values cannot be larger than {ENTRY_MAX_BYTES} bytes together. `{key}` and its value are {size} bytes."
                )));
            }
        }
        self.write(move |database| database.put(&entries)).await
    }

    /// Removes keys; returns how many were there.
    pub(super) async fn delete(&self, keys: Vec<String>) -> Answer<usize> {
        check_keys(&keys)?;
        self.write(move |database| database.delete(&keys)).await
    }

    /// Removes everything.
    pub(super) async fn delete_all(&self) -> Answer<()> {
        self.touch_alarm();
        self.write(Database::delete_all).await
    }

    /// The entries of a range.
    pub(super) async fn list(&self, range: Range) -> Answer<Vec<(String, Vec<u8>)>> {
        Ok(self.read(move |database| database.list(&range)).await?.unwrap_or_default())
    }

    /// Runs SQL.
    pub(super) async fn exec(&self, query: String, bindings: Vec<Value>) -> Answer<Rows> {
        if query.len() > QUERY_MAX_BYTES {
            return Err(StorageError::Limit(format!(
                "A query cannot be larger than {QUERY_MAX_BYTES} bytes. A query of size {} was provided.",
                query.len()
            )));
        }
        self.write(move |database| database.exec(&query, &bindings)).await
    }

    /// Bytes of the database.
    pub(super) async fn size_bytes(&self) -> Answer<u64> {
        Ok(self.read(|database| database.size_bytes()).await?.unwrap_or_default())
    }

    /// Begins a transaction of the guest's.
    pub(super) async fn begin(&self) -> Answer<()> {
        let publish = self.publish();
        self.write(move |database| database.begin(publish)).await?;
        self.transaction.send_replace(true);
        Ok(())
    }

    /// Ends it.
    pub(super) async fn end(&self) -> Answer<()> {
        let ended = self.write(Database::end).await;
        self.transaction.send_replace(false);
        ended
    }

    /// Takes it back.
    pub(super) async fn rollback(&self) -> Answer<()> {
        let ended = self.write(Database::rollback).await;
        self.transaction.send_replace(false);
        ended
    }

    /// When the alarm goes off, as the guest is told.
    pub(super) async fn alarm(&self) -> Answer<Option<Timestamp>> {
        if *self.handler() == Some(false) {
            return Ok(None);
        }
        Ok(self.read(|database| database.alarm()).await?.flatten())
    }

    /// Sets the alarm, or removes it.
    pub(super) async fn set_alarm(&self, at: Option<Timestamp>) -> Answer<()> {
        self.touch_alarm();
        self.write(move |database| database.set_alarm(at)).await
    }

    /// Makes durable what was written, unless it belongs to a transaction of the guest's. To be called before anything leaves the object, and
    /// only where the guest waits: in the middle of an event it would commit a part of it. Others wait for it ([`Self::kept`]).
    ///
    /// # Errors
    ///
    /// When the disk does not take it.
    pub async fn flush(&self) -> Answer<()> {
        if !self.dirty.load(SeqCst) && self.slot.rests() {
            return Ok(());
        }
        let (publish, dirty) = (self.publish(), Arc::clone(&self.dirty));
        let (writes, kept) = (Arc::clone(&self.writes), Arc::clone(&self.kept));
        // A commit that is under way is waited for: what was written before it is not durable yet.
        let commit = move |databases: &Databases, slot: &Slot| {
            if !dirty.swap(false, SeqCst) {
                return Ok(());
            }
            let committed = databases.with(slot, |database| database.commit(publish));
            match committed {
                Ok(()) => kept.send_modify(|kept| kept.durable = writes.load(SeqCst)),
                Err(_) => dirty.store(true, SeqCst),
            }
            committed
        };
        self.blocking(commit).await
    }

    /// To be called whenever the guest waits, before anything that it has made leaves its store.
    pub fn guest_waits(&self) {
        self.waited.store(self.writes.load(SeqCst), SeqCst);
    }

    /// Whether everything is durable that was written before what has left the guest's store by now.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.kept.borrow().durable >= self.waited.load(SeqCst)
    }

    /// Waits until it is. It is whoever lets the guest run that makes it so: the guest may be in the middle of another event.
    ///
    /// # Errors
    ///
    /// When it was taken back.
    pub async fn kept(&self) -> Answer<()> {
        let written = self.waited.load(SeqCst);
        let mut kept = self.kept.subscribe();
        let end = kept.wait_for(|kept| kept.durable >= written || kept.lost >= written).await.map(|kept| *kept);
        match end {
            Ok(kept) if kept.durable >= written => Ok(()),
            _ => Err(StorageError::Failed("the object died before what it wrote was kept".to_owned())),
        }
    }

    /// Waits until something was written. To be polled where the guest waits, and followed by [`Self::flush`]. Cancel-safe.
    pub async fn settle(&self) {
        while !self.dirty.load(SeqCst) {
            self.written.notified().await;
        }
    }

    /// Takes back what is not durable: the guest died.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn discard(&self) -> Answer<()> {
        *self.handler() = None;
        self.transaction.send_replace(false);
        let (dirty, writes, kept) = (Arc::clone(&self.dirty), Arc::clone(&self.writes), Arc::clone(&self.kept));
        let discard = move |databases: &Databases, slot: &Slot| {
            dirty.store(false, SeqCst);
            kept.send_modify(|kept| kept.lost = writes.load(SeqCst));
            databases.with_existing(slot, Database::discard)
        };
        self.blocking(discard).await.map(drop)
    }

    /// Closes the database.
    pub async fn release(&self) {
        let object = self.object.clone();
        let release = move |databases: &Databases, _: &Slot| {
            databases.release(&object);
            Ok(())
        };
        if let Err(error) = self.blocking(release).await {
            tracing::debug!("the storage of an object could not be closed: {error}");
        }
    }

    /// The alarm goes off: its handler is about to be called. False when there is none that is due; it is settled then.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn alarm_begins(&self, now: Timestamp) -> Answer<bool> {
        self.flush().await?;
        let set = self.read(|database| database.alarm()).await?.flatten();
        if set.is_some_and(|at| at <= now) {
            *self.handler() = Some(false);
            return Ok(true);
        }
        self.settle_alarm(set.map(|at| Alarm { at, due: at, retries: 0 })).await?;
        Ok(false)
    }

    /// The handler of the alarm has come to its end, `failed` or not. What it wrote is durable when this returns.
    ///
    /// # Errors
    ///
    /// When the database fails; the alarm goes off again.
    pub async fn alarm_ends(&self, alarm: Alarm, failed: bool, now: Timestamp) -> Answer<AlarmEnd> {
        let touched = self.handler().take().unwrap_or_default();
        let end = match (failed, touched) {
            (false, _) => AlarmEnd::Done,
            (true, true) => AlarmEnd::Replaced,
            (true, false) if alarm.retries < RETRIES_MAX => {
                AlarmEnd::Retry(now.plus_ms(RETRY_DELAY_MS << alarm.retries.min(RETRIES_MAX)))
            }
            (true, false) => AlarmEnd::GivenUp,
        };
        if let AlarmEnd::Retry(due) = end {
            self.flush().await?;
            let again = Alarm { due, retries: alarm.retries + 1, ..alarm };
            self.settle_alarm(Some(again)).await?;
            return Ok(end);
        }
        if !touched {
            // Together with what the handler wrote last.
            self.write(|database| database.set_alarm(None)).await?;
        }
        self.flush().await?;
        let set = self.read(|database| database.alarm()).await?.flatten();
        self.settle_alarm(set.map(|at| Alarm { at, due: at, retries: 0 })).await?;
        Ok(end)
    }

    /// The alarm could not be delivered: it goes off again then, and that does not count.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn postpone_alarm(&self, alarm: Alarm, due: Timestamp) -> Answer<()> {
        self.settle_alarm(Some(Alarm { due, ..alarm })).await
    }

    async fn settle_alarm(&self, alarm: Option<Alarm>) -> Answer<()> {
        let (alarms, object) = (self.alarms.clone(), self.object.clone());
        self.blocking(move |_, _| alarms.settle(&object, alarm)).await
    }

    fn touch_alarm(&self) {
        if let Some(touched) = self.handler().as_mut() {
            *touched = true;
        }
    }

    fn handler(&self) -> std::sync::MutexGuard<'_, Option<bool>> {
        self.handler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self) -> impl FnMut(Option<Timestamp>) -> Answer<()> + Send + 'static {
        let (alarms, object) = (self.alarms.clone(), self.object.clone());
        move |at| alarms.set(&object, at)
    }

    /// Asks a database that may not exist.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> Answer<T> + Send + 'static,
    ) -> Answer<Option<T>> {
        self.blocking(move |databases, slot| databases.with_existing(slot, work)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (dirty, written, writes) = (Arc::clone(&self.dirty), Arc::clone(&self.written), Arc::clone(&self.writes));
        let work = move |databases: &Databases, slot: &Slot| {
            let done = databases.with(slot, work);
            // Also after an error: some of several statements may have been done.
            writes.fetch_add(1, SeqCst);
            dirty.store(true, SeqCst);
            written.notify_one();
            done
        };
        self.blocking(work).await
    }

    /// Does work on a thread that may block, after what was asked for before. Dropped, it is done all the same.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Databases, &Slot) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (databases, slot) = (self.databases.clone(), Arc::clone(&self.slot));
        let (reply, answer) = oneshot::channel();
        self.slot.submit(move || {
            // Whoever asked may have gone.
            let _ = reply.send(work(&databases, &slot));
        });
        answer.await.unwrap_or_else(|_| Err(StorageError::Failed("the thread panicked".to_owned())))
    }
}

fn check_keys(keys: &[String]) -> Answer<()> {
    check_count(keys.len())?;
    keys.iter().try_for_each(|key| check_key(key))
}

fn check_count(count: usize) -> Answer<()> {
    if count > KEYS_MAX {
        return Err(StorageError::Limit(format!("Maximum number of keys is {KEYS_MAX}. {count} were provided.")));
    }
    Ok(())
}

fn check_key(key: &str) -> Answer<()> {
    if key.len() > KEY_MAX_BYTES {
        let size = key.len();
        return Err(StorageError::Limit(format!(
            "Keys cannot be larger than {KEY_MAX_BYTES} bytes. A key of size {size} was provided."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use miniflow_runtime::storage::Durability;

    use super::super::id::Namespace;
    use super::*;

    fn storage() -> ObjectStorage {
        let namespace = Namespace { worker: "w".to_owned(), class: "C".to_owned() };
        let object = ObjectKey { id: namespace.id_from_name("a"), namespace: namespace.into() };
        let alarms = Alarms::open(None, Durability::Normal).unwrap();
        ObjectStorage::new(object, Databases::new(None, Durability::Normal), alarms)
    }

    async fn put(storage: &ObjectStorage, value: u8) {
        storage.put(vec![("n".to_owned(), vec![value])]).await.unwrap();
    }

    async fn value(storage: &ObjectStorage) -> Vec<u8> {
        storage.get(vec!["n".to_owned()]).await.unwrap()[0].1.clone()
    }

    #[tokio::test]
    async fn who_waits_for_what_is_written_commits_nothing() {
        let storage = storage();
        assert!(storage.is_kept());
        storage.kept().await.unwrap();
        put(&storage, 1).await;
        assert!(storage.is_kept(), "the guest is in the middle of an event: nothing of it has left");
        storage.guest_waits();
        assert!(!storage.is_kept());
        assert!(storage.kept().now_or_never().is_none());
        storage.flush().await.unwrap();
        assert!(storage.is_kept());
        storage.kept().await.unwrap();
        put(&storage, 2).await;
        storage.guest_waits();
        let mut kept = Box::pin(storage.kept());
        assert!((&mut kept).now_or_never().is_none());
        storage.discard().await.unwrap();
        assert!(kept.await.is_err());
        assert_eq!(value(&storage).await, [1]);
    }
}
