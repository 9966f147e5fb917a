//! Capacity of the engine's instance pool, divided among the kinds of guests.
//!
//! wasmtime's pooling allocator has a fixed number of slots. A guest that does not get one of its resources in the middle of its code
//! traps, and what it did so far would be done again. So every guest takes a [`GuestPermit`] before its store is made, and the pool is
//! sized from the permits: [`SLOTS`] and [`STACKS`] are the only numbers that the allocator's configuration uses.
//!
//! **Guarantees.** The permits of all kinds together never exceed the pool. A guest without a permit waits; it never fails. One console
//! line a kind says that its limit was reached. **Non-goals.** Choosing which guest ends for another; limits of one Worker.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{self, Either};
use miniflow_runtime::clock::real;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Runs of workflow instances that have a guest at a time: up to 1,024 parked, 64 starting, the rest with bodies that wait.
pub const RUNS_MAX: usize = 1700;

/// Instances that serve requests, idle ones included. At most 256 requests are in flight at a time.
pub const REQUESTS_MAX: usize = 512;

/// Durable Objects that live at a time.
pub const OBJECTS_MAX: usize = 256;

/// Queue batches and cron events that are handled at a time.
pub const EVENTS_MAX: usize = 128;

/// Replay checks and class listings at a time.
pub const CHECKS_MAX: usize = 64;

/// Stores whose guest has ended and whose slot is being cleared.
const SPARE: usize = 64;

/// Stores that the pool has room for.
pub const SLOTS: u32 = (RUNS_MAX + REQUESTS_MAX + OBJECTS_MAX + EVENTS_MAX + CHECKS_MAX + SPARE) as u32;

/// Fiber stacks of one store: one for the guest's code, and one for the host to lower a result while the guest waits in a call
/// that blocks, such as the cancellation of a subtask. Measured: 2 for guests of the SDK.
const STACKS_A_STORE: u32 = 2;

/// Fiber stacks of the pool.
pub const STACKS: u32 = SLOTS * STACKS_A_STORE;

/// Core instances of one store. A component of the SDK has three: its module, a shim and a fix-up. Composed components have more.
const CORE_INSTANCES_A_STORE: u32 = 16;

/// Core instances of the pool.
pub const CORE_INSTANCES: u32 = SLOTS * CORE_INSTANCES_A_STORE;

/// Tables of one store. A component of the SDK has two.
const TABLES_A_STORE: u32 = 4;

/// Tables of the pool.
pub const TABLES: u32 = SLOTS * TABLES_A_STORE;

/// Time without a released permit, while guests wait for one, after which the console names a possible deadlock.
const STALL: Duration = Duration::from_secs(5);

/// What a guest is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestKind {
    /// A run of a workflow instance.
    Run,
    /// HTTP requests, one after the other.
    Request,
    /// A Durable Object.
    Object,
    /// A queue batch or a cron event.
    Event,
    /// A replay check or a class listing.
    Check,
}

/// Permits for the slots of one engine's pool. Cheap to clone; all clones share the permits.
#[derive(Clone)]
pub struct GuestPool(Arc<[Share; 5]>);

/// The permits of one kind.
struct Share {
    permits: Arc<Semaphore>,
    max: usize,
    waiting: AtomicUsize,
    /// Permits that were released so far.
    released: AtomicU64,
    /// Whether the console has named the limit.
    limit_told: AtomicBool,
    /// Whether the console has named the stall.
    stall_told: AtomicBool,
    /// Changes whenever a guest begins to wait.
    demand: watch::Sender<()>,
}

/// The right to one slot of the pool. The store of the guest holds it, so it is released with the store.
pub struct GuestPermit {
    pool: GuestPool,
    kind: GuestKind,
    _permit: Option<OwnedSemaphorePermit>,
}

impl fmt::Debug for GuestPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuestPermit").field(&self.kind).finish()
    }
}

impl Drop for GuestPermit {
    fn drop(&mut self) {
        self.pool.share(self.kind).released.fetch_add(1, Ordering::Relaxed);
    }
}

impl GuestPool {
    /// Returns the permits of a pool with `runs` live runs, at most [`RUNS_MAX`], and the usual numbers of the other kinds.
    #[must_use]
    pub fn new(runs: usize) -> Self {
        let shares = [runs.clamp(1, RUNS_MAX), REQUESTS_MAX, OBJECTS_MAX, EVENTS_MAX, CHECKS_MAX];
        Self(Arc::new(shares.map(Share::new)))
    }

    /// Takes a permit, if there is one.
    #[must_use]
    pub fn try_reserve(&self, kind: GuestKind) -> Option<GuestPermit> {
        let permit = Arc::clone(&self.share(kind).permits).try_acquire_owned().ok();
        permit.map(|permit| GuestPermit { pool: self.clone(), kind, _permit: Some(permit) })
    }

    /// Takes a permit, as soon as there is one. Cancel-safe.
    pub async fn reserve(&self, kind: GuestKind) -> GuestPermit {
        match self.try_reserve(kind) {
            Some(permit) => permit,
            None => GuestPermit { pool: self.clone(), kind, _permit: self.share(kind).wait(kind).await },
        }
    }

    /// Returns once a guest of this kind waits for a permit, for guests that are idle and can end. Cancel-safe.
    pub async fn wanted(&self, kind: GuestKind) {
        let share = self.share(kind);
        let mut demand = share.demand.subscribe();
        while share.waiting.load(Ordering::SeqCst) == 0 {
            if demand.changed().await.is_err() {
                // The sender lives as long as `self`.
                future::pending::<()>().await;
            }
        }
    }

    fn share(&self, kind: GuestKind) -> &Share {
        &self.0[kind as usize]
    }
}

impl Share {
    fn new(max: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max)),
            max,
            waiting: AtomicUsize::new(0),
            released: AtomicU64::new(0),
            limit_told: AtomicBool::new(false),
            stall_told: AtomicBool::new(false),
            demand: watch::Sender::new(()),
        }
    }

    async fn wait(&self, kind: GuestKind) -> Option<OwnedSemaphorePermit> {
        let _waiting = Waiting::new(&self.waiting);
        self.demand.send_replace(());
        if !self.limit_told.swap(true, Ordering::Relaxed) {
            tracing::info!("{} {} are live, which is the limit; further ones wait", self.max, kind.plural());
        }
        let mut permit = std::pin::pin!(Arc::clone(&self.permits).acquire_owned());
        loop {
            let released = self.released.load(Ordering::Relaxed);
            match future::select(permit.as_mut(), Box::pin(real::sleep(STALL))).await {
                // The semaphore is never closed.
                Either::Left((permit, _)) => return permit.ok(),
                Either::Right(_) => self.tell_stall(kind, released),
            }
        }
    }

    /// Names a possible deadlock if no permit was released since `released` was read.
    fn tell_stall(&self, kind: GuestKind, released: u64) {
        if self.released.load(Ordering::Relaxed) == released && !self.stall_told.swap(true, Ordering::Relaxed) {
            let (max, waiting) = (self.max, self.waiting.load(Ordering::Relaxed));
            let hint = match kind {
                GuestKind::Run => {
                    "; if their step bodies wait for other instances, they wait for ever: \
                     create those in a step and wait for them with `waitForEvent`"
                }
                _ => "",
            };
            tracing::warn!(
                "none of the {max} live {} ended for {} s, and {waiting} wait{hint}",
                kind.plural(),
                STALL.as_secs()
            );
        }
    }
}

/// Counts a guest that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl GuestKind {
    fn plural(self) -> &'static str {
        match self {
            Self::Run => "runs of workflow instances",
            Self::Request => "instances for requests",
            Self::Object => "Durable Objects",
            Self::Event => "queue batches and cron events",
            Self::Check => "replay checks",
        }
    }
}

/// Waiting time before another try to instantiate a guest when the pool is full although the guest has a permit: slots of ended
/// guests are being cleared. Doubles with each try.
pub(crate) struct PoolBackoff(Duration);

impl Default for PoolBackoff {
    fn default() -> Self {
        Self(Duration::from_millis(5))
    }
}

impl PoolBackoff {
    const MAX: Duration = Duration::from_millis(500);

    /// Waits, real time.
    pub(crate) async fn wait(&mut self) {
        real::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::MAX);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn permits_fit_into_the_pool() {
        let permits = RUNS_MAX + REQUESTS_MAX + OBJECTS_MAX + EVENTS_MAX + CHECKS_MAX;
        let slots = usize::try_from(SLOTS).unwrap();
        assert_eq!(slots, permits + SPARE);
        let taken: usize = GuestPool::new(RUNS_MAX).0.iter().map(|share| share.permits.available_permits()).sum();
        assert_eq!(taken, permits);
    }

    #[tokio::test]
    async fn guest_without_permit_waits_for_a_release() {
        let pool = GuestPool::new(1);
        let first = pool.reserve(GuestKind::Run).await;
        let mut second = Box::pin(pool.reserve(GuestKind::Run));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(pool.reserve(GuestKind::Request).now_or_never().is_some(), "other kinds have their own permits");
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn idle_guests_learn_that_a_permit_is_wanted() {
        let pool = GuestPool::new(1);
        let _held = pool.reserve(GuestKind::Run).await;
        let mut wanted = Box::pin(pool.wanted(GuestKind::Run));
        assert!(wanted.as_mut().now_or_never().is_none());
        let mut waiting = Box::pin(pool.reserve(GuestKind::Run));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(wanted.now_or_never().is_some());
        drop(waiting);
        assert!(pool.wanted(GuestKind::Run).now_or_never().is_none());
    }
}
