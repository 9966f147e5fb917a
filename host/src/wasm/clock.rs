//! The guests' own clocks, WASI 0.2 and 0.3, on the one [`Clock`].
//!
//! wasmtime's own can be given a source for *reading* the time, but wait on the machine's. Here a guest that waits follows
//! a clock that is moved, and a run that waits by itself is not taken for one that nothing can happen in any more.
//!
//! Promises: wall clock and monotonic clock agree. Never does: read the machine's time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use miniflow_runtime::{Clock, Run};
use wasmtime::component::{Accessor, HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock as p2;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock as p3, types::Duration as Nanoseconds};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, ResourceTable, WasiCtxBuilder, async_trait};

use super::state::GuestState;

/// What the clocks claim to be good for.
const RESOLUTION: Duration = Duration::from_nanos(1);

/// The clock of one store.
#[derive(Clone)]
pub(super) struct GuestClock {
    clock: Arc<dyn Clock>,
    run: Option<Arc<Run>>,
}

impl GuestClock {
    pub(super) fn new(clock: Arc<dyn Clock>, run: Option<Arc<Run>>) -> Self {
        Self { clock, run }
    }

    /// Makes the guest read the time from here.
    pub(super) fn install(&self, wasi: &mut WasiCtxBuilder) {
        wasi.wall_clock(self.clone()).monotonic_clock(self.clone());
    }

    fn wait_until(&self, when_ns: u64) -> BoxFuture<'static, ()> {
        if when_ns <= self.clock.now_ns() {
            // Guests poll with a time-out of zero in a loop: others must get their turn.
            return Box::pin(tokio::task::yield_now());
        }
        if let Some(run) = self.run.clone().filter(|run| run.is_trial()) {
            return Box::pin(async move { run.blocks("waits outside of a step").await });
        }
        let busy = self.run.as_ref().map(Run::napping);
        let sleep = self.clock.nap_until_ns(when_ns);
        Box::pin(async move {
            sleep.await;
            drop(busy);
        })
    }

    fn after(&self, duration_ns: u64) -> u64 {
        self.clock.now_ns().saturating_add(duration_ns)
    }
}

impl HostWallClock for GuestClock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.now_ns())
    }
}

impl HostMonotonicClock for GuestClock {
    fn resolution(&self) -> u64 {
        RESOLUTION.subsec_nanos().into()
    }

    fn now(&self) -> u64 {
        self.clock.now_ns()
    }
}

/// Puts waiting on the clock over what wasmtime offers. The linker must allow shadowing.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    fn view(state: &mut GuestState) -> ClockView<'_> {
        let (clock, table) = state.clock_and_table();
        ClockView { clock, table }
    }
    p2::add_to_linker::<_, Waiting>(linker, view)?;
    p3::add_to_linker::<_, Waiting>(linker, view)
}

struct Waiting;

struct ClockView<'a> {
    clock: &'a GuestClock,
    table: &'a mut ResourceTable,
}

impl HasData for Waiting {
    type Data<'a> = ClockView<'a>;
}

impl ClockView<'_> {
    fn subscribe(&mut self, when_ns: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let deadline = self.table.push(Deadline::new(self.clock.clone(), when_ns))?;
        subscribe(self.table, deadline)
    }
}

impl p2::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.clock.now_ns())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(HostMonotonicClock::resolution(self.clock))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe(when)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe(self.clock.after(duration))
    }
}

impl p3::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<p3::Mark> {
        Ok(self.clock.clock.now_ns())
    }

    fn get_resolution(&mut self) -> wasmtime::Result<Nanoseconds> {
        Ok(HostMonotonicClock::resolution(self.clock))
    }
}

// The waits hold nothing but their own timer: they may be dropped at any await.
impl<T: 'static> p3::HostWithStore<T> for Waiting {
    async fn wait_until(store: &Accessor<T, Self>, when: p3::Mark) -> wasmtime::Result<()> {
        let wait = store.with(|mut access| access.get().clock.wait_until(when));
        wait.await;
        Ok(())
    }

    async fn wait_for(store: &Accessor<T, Self>, duration: Nanoseconds) -> wasmtime::Result<()> {
        let wait = store.with(|mut access| {
            let clock = access.get().clock.clone();
            clock.wait_until(clock.after(duration))
        });
        wait.await;
        Ok(())
    }
}

/// A moment that a guest of WASI 0.2 has subscribed to.
struct Deadline {
    clock: GuestClock,
    when_ns: u64,
    /// Others have still to get a turn: the guest asked for a moment that had come already.
    yields: bool,
}

impl Deadline {
    fn new(clock: GuestClock, when_ns: u64) -> Self {
        let yields = when_ns <= clock.clock.now_ns();
        Self { clock, when_ns, yields }
    }
}

#[async_trait]
impl Pollable for Deadline {
    async fn ready(&mut self) {
        // Asked for and dropped many times over: what is to be done once is marked before the await.
        if std::mem::take(&mut self.yields) || self.when_ns > self.clock.clock.now_ns() {
            self.clock.wait_until(self.when_ns).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::sync::watch;

    use super::*;

    /// A clock that is moved by hand.
    struct Hand(watch::Sender<u64>);

    impl Clock for Hand {
        fn now_ns(&self) -> u64 {
            *self.0.borrow()
        }

        fn sleep_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()> {
            let mut moves = self.0.subscribe();
            Box::pin(async move {
                // Fails when the clock is gone, and the test with it.
                let _ = moves.wait_for(|now| *now >= when_ns).await;
            })
        }
    }

    fn clock() -> (Arc<Hand>, GuestClock) {
        let hand = Arc::new(Hand(watch::Sender::new(1_000)));
        (Arc::clone(&hand), GuestClock::new(hand, None))
    }

    #[tokio::test]
    async fn a_guest_that_waits_follows_the_clock() {
        let (hand, clock) = clock();
        let mut wait = clock.wait_until(clock.after(500));
        hand.0.send_replace(1_499);
        assert!(wait.as_mut().now_or_never().is_none());
        hand.0.send_replace(1_500);
        wait.await;
    }

    #[tokio::test]
    async fn what_is_due_lets_others_run_once() {
        let (_hand, clock) = clock();
        assert!(clock.wait_until(1_000).now_or_never().is_none());
        clock.wait_until(1_000).await;
    }

    #[tokio::test]
    async fn a_moment_that_has_come_is_seen_by_a_glance() {
        let (hand, clock) = clock();
        let mut deadline = Deadline::new(clock, 2_000);
        assert!(deadline.ready().now_or_never().is_none());
        hand.0.send_replace(2_000);
        assert!(deadline.ready().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_moment_of_the_past_is_seen_by_the_second_glance() {
        let (_hand, clock) = clock();
        let mut deadline = Deadline::new(clock, 0);
        assert!(deadline.ready().now_or_never().is_none());
        assert!(deadline.ready().now_or_never().is_some());
    }

    #[test]
    fn both_clocks_tell_the_same_time() {
        let (_hand, clock) = clock();
        assert_eq!(HostWallClock::now(&clock), Duration::from_nanos(1_000));
        assert_eq!(HostMonotonicClock::now(&clock), 1_000);
    }
}
