//! How somebody learns that something has come which may be due: messages of a queue, alarms of objects.
//!
//! Promises: while somebody waits, the clock is held from the moment something came until they have looked, so that it is not moved past
//! what they have not seen. Never does: know what came.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use miniflow_runtime::Clock;
use miniflow_runtime::clock::Hold;
use tokio::sync::Notify;

/// See the module.
#[derive(Default)]
pub struct Arrival {
    notify: Notify,
    /// Who waits. For what nobody waits for the clock is not held.
    awaited: AtomicUsize,
    /// The clock, from when something came until somebody has looked.
    hold: Mutex<Option<Hold>>,
}

impl Arrival {
    /// Says that something came.
    pub(crate) fn tell(&self, clock: &dyn Clock) {
        if self.awaited.load(Ordering::Acquire) > 0 {
            *self.hold() = Some(clock.hold());
        }
        self.notify.notify_one();
    }

    /// Says that somebody waits, and is yet to look at what is there.
    pub fn begin(&self, clock: &dyn Clock) {
        self.awaited.fetch_add(1, Ordering::AcqRel);
        self.tell(clock);
    }

    /// Says that whoever said so does not wait any more.
    pub fn end(&self) {
        if self.awaited.fetch_sub(1, Ordering::AcqRel) == 1 {
            drop(self.take_hold());
        }
    }

    /// Returns when something has come since the last time. Cancel-safe.
    pub async fn wait(&self) {
        self.notify.notified().await;
    }

    /// The clock, if it is held for what nobody has looked at.
    pub fn take_hold(&self) -> Option<Hold> {
        self.hold().take()
    }

    fn hold(&self) -> MutexGuard<'_, Option<Hold>> {
        // There is nothing to be half done.
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
