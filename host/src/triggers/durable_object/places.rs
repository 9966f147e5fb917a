//! How many objects live at a time, and which of them goes for another.
//!
//! Promises: at most [`LIVING_MAX`]; the one that was idle for longest goes first; one that is doing something never goes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::wasm::pool::OBJECTS_MAX;
use miniflow_runtime::clock::real;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Objects alive at a time: about 100 KiB each.
pub(super) const LIVING_MAX: usize = OBJECTS_MAX;

/// How long an object waits for a place when every other one is doing something.
const PLACE_MAX: Duration = Duration::from_secs(30);

/// The places of a session.
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// By how long they have been idle, the longest first.
    idle: Mutex<BTreeMap<u64, Arc<Notify>>>,
    last: AtomicU64,
    /// Objects that wait for a place.
    waiting: AtomicUsize,
}

/// An object that has nothing to do.
pub(super) struct Idle<'a> {
    places: &'a Places,
    number: u64,
    asked: Arc<Notify>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(LIVING_MAX)),
            idle: Mutex::default(),
            last: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Places {
    /// A place to live; none when there was none for long.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(place);
        }
        let _waiting = Waiting::new(&self.waiting);
        if let Some((_, longest)) = self.idle().pop_first() {
            longest.notify_one();
        }
        real::timeout(PLACE_MAX, Arc::clone(&self.free).acquire_owned()).await?.ok()
    }

    /// Notes that an object has nothing to do, until the value is dropped.
    pub(super) fn idle_now(&self) -> Idle<'_> {
        let (number, asked) = (self.last.fetch_add(1, SeqCst), Arc::new(Notify::new()));
        self.idle().insert(number, Arc::clone(&asked));
        if self.waiting.load(SeqCst) > 0 {
            asked.notify_one();
        }
        Idle { places: self, number, asked }
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle<'_> {
    /// Returns when another needs the place. Cancel-safe.
    pub(super) async fn asked_to_go(&self) {
        self.asked.notified().await;
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.places.idle().remove(&self.number);
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_one_that_was_idle_for_longest_goes_for_another() {
        let places = Places::default();
        let mut taken = Vec::new();
        for _ in 0..LIVING_MAX {
            taken.push(places.take().await.unwrap());
        }
        let (first, second) = (places.idle_now(), places.idle_now());
        let mut more = Box::pin(places.take());
        assert!(more.as_mut().now_or_never().is_none());
        assert!(first.asked_to_go().now_or_never().is_some());
        assert!(second.asked_to_go().now_or_never().is_none());
        taken.pop();
        assert!(more.await.is_some());
    }

    #[tokio::test]
    async fn one_that_becomes_idle_while_another_waits_goes_at_once() {
        let places = Places::default();
        let _taken: Vec<_> = (0..LIVING_MAX).map(|_| places.take().now_or_never().flatten().unwrap()).collect();
        let mut more = Box::pin(places.take());
        assert!(more.as_mut().now_or_never().is_none());
        assert!(places.idle_now().asked_to_go().now_or_never().is_some());
        drop(more);
        assert!(places.idle_now().asked_to_go().now_or_never().is_none());
    }
}
