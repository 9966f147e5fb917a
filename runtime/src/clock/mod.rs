//! Time, as everything here sees it: one [`Clock`], injected.
//!
//! Promises: nothing else in this crate or in the host reads the time or sleeps, so a clock that is moved moves everything. Never does:
//! decide anything.
#![expect(clippy::disallowed_methods, reason = "this is the one place that reads the real time")]

mod mode;
mod movable;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use mode::{NoTimeMode, TimeMode};
pub use movable::{Due, MovableClock};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The end of time: what never comes due.
    pub const MAX: Self = Self(u64::MAX);

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns this moment plus `ms` milliseconds; the end of time when that is out of range.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns the time from `earlier` to this, zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

/// The source of time for the engine, its timers and the guests' own clocks.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since the epoch. Never goes backwards.
    fn now_ns(&self) -> u64;

    /// Returns when `now() >= when`. Cancel-safe.
    fn sleep_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()>;

    /// The present moment, in milliseconds.
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ns() / 1_000_000)
    }

    /// Returns when `now() >= when`. Cancel-safe.
    fn sleep_until(&self, when: Timestamp) -> BoxFuture<'static, ()> {
        self.sleep_until_ns(when.0.saturating_mul(1_000_000))
    }

    /// As [`Self::sleep_until_ns`], for a guest that waits by itself: a clock that skips idle time may jump there.
    fn nap_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()> {
        self.sleep_until_ns(when_ns)
    }

    /// Says what comes due just now, for whoever moves this clock and wants to know.
    fn note_due(&self, what: &dyn fmt::Display) {
        let _ = what;
    }

    /// Says that something works which belongs to the present moment: whoever moves this clock waits until the guard is dropped.
    fn hold(&self) -> Hold {
        Hold::default()
    }

    /// How often it was held up to now; none while somebody holds it, or is to be woken because its moment has come.
    fn held_before(&self) -> Option<u64> {
        Some(0)
    }

    /// The moment up to which nobody could be in time: what was due by then, and is seen only now, was passed over by a leap of time.
    fn passed_over(&self) -> Timestamp {
        Timestamp(self.now().0.saturating_sub(LATE_MS + 1))
    }

    /// Returns when `now() >= when`, and holds the clock from that very moment: for work that is started by the time, such as an
    /// alarm or the delivery of a batch. Keep the guard until the work is done. Cancel-safe.
    fn due(&self, when: Timestamp) -> BoxFuture<'static, Hold> {
        let sleep = self.sleep_until(when);
        Box::pin(async move {
            sleep.await;
            Hold::default()
        })
    }
}

/// How late a busy machine may be, milliseconds: what is later was not there.
const LATE_MS: u64 = 60_000;

/// A moment that is not over: see [`Clock::hold`].
#[derive(Default)]
#[must_use = "the clock is held as long as this lives"]
pub struct Hold(Option<Box<dyn Any + Send + Sync>>);

impl Hold {
    /// Holds a clock until `guard` is dropped.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(&self.0.is_some()).finish()
    }
}

/// The machine's time: wall clock at start, monotonic from then on, so a corrected system clock moves no timer.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
    started_ns: u64,
}

impl SystemClock {
    /// Returns a clock that begins at the machine's present time.
    #[must_use]
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_ns: u64::try_from(wall.as_nanos()).unwrap_or(0) }
    }

    /// As an injectable clock.
    #[must_use]
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

/// Longest single real wait; a later deadline is waited for in parts. A month.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

impl Clock for SystemClock {
    fn now_ns(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.started_ns.saturating_add(elapsed)
    }

    fn sleep_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()> {
        let clock = *self;
        Box::pin(async move {
            loop {
                let left = when_ns.saturating_sub(clock.now_ns());
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_nanos(left).min(LONGEST_WAIT)).await;
            }
        })
    }
}

/// Real time that passed, for logs and benchmarks; never for decisions.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Real time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Real waiting, for what happens outside of any instance: grace periods of a shutdown, polling a child process.
pub mod real {
    use std::time::Duration;

    /// Sleeps for `duration` of real time. Cancel-safe.
    pub async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Awaits `future` for at most `duration` of real time; none when it took longer. The future is dropped then.
    pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(duration, future).await.ok()
    }
}
