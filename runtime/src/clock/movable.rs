//! A clock that can be moved.
//!
//! It goes on from where it is told to begin: as fast as the machine's, faster, or not at all ([`TimeMode`]), and can be moved forward at any
//! time. It knows who sleeps on it and until when, and who is at work on the present moment ([`Clock::hold`]), so that whoever moves it
//! can go from moment to moment and leave none before everything that belongs to it has happened: see [`crate::mover`].
//!
//! Promises: never goes backwards; wakes everybody whose moment has come, however it came. Never does: move by itself other than
//! its mode says.
#![expect(clippy::disallowed_methods, reason = "the real time is read here and in the module above only")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::{self, BoxFuture};
use tokio::sync::{Notify, watch};

use super::{Clock, Hold, LATE_MS, LONGEST_WAIT, TimeMode, Timestamp};

/// A clock that can be moved. Cheap to clone; all clones are the same clock.
#[derive(Clone)]
pub struct MovableClock(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    mode: watch::Sender<TimeMode>,
    /// Says that somebody is done who was at work on the present moment.
    let_go: Notify,
}

struct State {
    anchor: Instant,
    /// What it said at `anchor`.
    anchor_ns: u64,
    /// What the machine's wall clock would have said at `anchor`, had it never been corrected.
    anchor_wall_ns: u64,
    mode: TimeMode,
    /// See [`Clock::passed_over`]: what was known at `anchor`.
    passed_over_ns: u64,
    /// Each is told when it has to look at the clock again.
    sleepers: BTreeMap<Key, Arc<Notify>>,
    /// Those of `sleepers` whose sleep is what a guest waits for.
    naps: BTreeSet<Key>,
    next_sleeper: u64,
    holds: usize,
    /// How often it was held.
    held: u64,
    /// What came due, when somebody wants to know.
    record: Option<Vec<Due>>,
}

/// When, and a number.
type Key = (u64, u64);

/// Something that came due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// What, for people.
    pub what: String,
}

/// What came due and is not told, beyond this many.
const RECORD_MAX: usize = 10_000;

impl State {
    fn now_ns(&self) -> u64 {
        let elapsed = u64::try_from(self.anchor.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.anchor_ns.saturating_add(elapsed.saturating_mul(self.mode.rate()))
    }

    fn wall_ns(&self) -> u64 {
        let elapsed = u64::try_from(self.anchor.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.anchor_wall_ns.saturating_add(elapsed)
    }

    /// What it said [`LATE_MS`] of the machine's time ago: a faster clock is late by more in no more time. A jump of whoever moves it
    /// passes nothing over.
    fn passed_over_ns(&self) -> u64 {
        let late = Duration::from_millis(LATE_MS);
        let since = self.anchor.elapsed().checked_sub(late).map_or(0, |elapsed| {
            let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
            self.anchor_ns.saturating_add(elapsed.saturating_mul(self.mode.rate()))
        });
        // One that stands still is at the present moment for as long as it takes.
        if self.mode.rate() == 0 { self.passed_over_ns } else { since.max(self.passed_over_ns) }
    }

    /// Whether somebody who sleeps is to be woken.
    fn is_due(&self) -> bool {
        self.sleepers.first_key_value().is_some_and(|((when, _), _)| *when <= self.now_ns())
    }

    /// Has those who sleep look at the clock again: it was moved, or `all` when it goes at another speed as well.
    fn wake(&self, all: bool) {
        // The timers of those who are not due are right as long as the clock stands still between two moves.
        let until = if all || self.mode.rate() > 0 { u64::MAX } else { self.now_ns() };
        self.sleepers.range(..=(until, u64::MAX)).for_each(|(_, sleeper)| sleeper.notify_one());
    }

    /// Begins anew at the present moment.
    fn settle(&mut self, now_ns: u64) {
        self.passed_over_ns = self.passed_over_ns();
        self.anchor_wall_ns = self.wall_ns();
        self.anchor = Instant::now();
        self.anchor_ns = now_ns;
    }

    /// The machine's time until the clock says `when_ns`; none when it never will by itself.
    fn left(&self, when_ns: u64) -> Option<Duration> {
        let left = when_ns.saturating_sub(self.now_ns());
        match (left, self.mode.rate()) {
            (0, _) => Some(Duration::ZERO),
            (_, 0) => None,
            // Rounded up: when it is over, the moment has come.
            (left, rate) => Some(Duration::from_nanos(left.div_ceil(rate))),
        }
    }

    fn leap(&mut self, by: Duration) {
        let now_ns = self.now_ns().saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX));
        self.settle(now_ns);
        // What is hardly late at its end is not, as it would be without a leap.
        self.passed_over_ns = self.passed_over_ns.max(now_ns.saturating_sub(LATE_MS * 1_000_000));
    }
}

/// Where a clock begins that goes like that. One that stands still does so at a whole millisecond, to which it is moved: else a guest that waits
/// for as long as the clock is moved would wait for the rest of one.
fn stand(mode: TimeMode, now_ns: u64) -> u64 {
    if mode.rate() == 0 { now_ns.div_ceil(1_000_000).saturating_mul(1_000_000) } else { now_ns }
}

fn wall_ns() -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(wall.as_nanos()).unwrap_or(0)
}

impl MovableClock {
    /// Returns a clock that says now `offset` more than the machine's, but at least `from`.
    #[must_use]
    pub fn new(mode: TimeMode, offset: Duration, from: Timestamp) -> Self {
        let wall_ns = wall_ns();
        let offset_ns = u64::try_from(offset.as_nanos()).unwrap_or(u64::MAX);
        let anchor_ns = stand(mode, wall_ns.saturating_add(offset_ns).max(from.0.saturating_mul(1_000_000)));
        let state = State {
            anchor: Instant::now(),
            anchor_ns,
            anchor_wall_ns: wall_ns,
            mode,
            passed_over_ns: 0,
            sleepers: BTreeMap::new(),
            naps: BTreeSet::new(),
            next_sleeper: 0,
            holds: 0,
            held: 0,
            record: None,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), mode: watch::Sender::new(mode), let_go: Notify::new() }))
    }

    /// How it goes.
    #[must_use]
    pub fn mode(&self) -> TimeMode {
        self.lock().mode
    }

    /// Lets it go another way from now on.
    pub fn set_mode(&self, mode: TimeMode) {
        let mut state = self.lock();
        let now_ns = stand(mode, state.now_ns());
        state.settle(now_ns);
        state.mode = mode;
        state.wake(true);
        drop(state);
        self.0.mode.send_replace(mode);
    }

    /// Moves it to `when`, unless it is there or later already. Whoever sleeps until then wakes.
    pub fn jump_to(&self, when: Timestamp) {
        let mut state = self.lock();
        let now_ns = state.now_ns();
        let when_ns = when.0.saturating_mul(1_000_000);
        if when_ns <= now_ns {
            return;
        }
        state.settle(when_ns);
        state.wake(false);
    }

    /// Sets it to the machine's time, also backwards. Only for a clock that nothing was recorded by.
    pub fn reset(&self) {
        let mut state = self.lock();
        *state = State {
            anchor: Instant::now(),
            anchor_ns: wall_ns(),
            anchor_wall_ns: wall_ns(),
            mode: TimeMode::Real,
            passed_over_ns: 0,
            sleepers: std::mem::take(&mut state.sleepers),
            naps: std::mem::take(&mut state.naps),
            next_sleeper: state.next_sleeper,
            holds: state.holds,
            held: state.held,
            record: None,
        };
        state.wake(true);
        drop(state);
        self.0.mode.send_replace(TimeMode::Real);
    }

    /// How much later than the machine's it is.
    #[must_use]
    pub fn offset(&self) -> Duration {
        let state = self.lock();
        Duration::from_nanos(state.now_ns().saturating_sub(state.wall_ns()))
    }

    /// Makes up for time that the machine slept, which its monotonic clock does not count. Returns how much, if it is more than `least`.
    pub fn make_up(&self, least: Duration) -> Option<Duration> {
        let mut state = self.lock();
        let missed = Duration::from_nanos(wall_ns().saturating_sub(state.wall_ns()));
        if missed < least || state.mode == TimeMode::Manual {
            return None;
        }
        state.leap(missed);
        state.anchor_wall_ns = wall_ns();
        state.wake(false);
        Some(missed)
    }

    /// Goes on `by` later, as after a sleep of the machine: what was due in between has been passed over.
    pub fn leap(&self, by: Duration) {
        let mut state = self.lock();
        state.leap(by);
        state.wake(false);
    }

    /// Returns when it goes that way. Cancel-safe.
    pub async fn until_mode(&self, mode: TimeMode) {
        let mut modes = self.0.mode.subscribe();
        // The sender is `self`.
        let _ = modes.wait_for(|now| *now == mode).await;
    }

    /// Returns when somebody who was at work on the present moment is done, from the call on. Cancel-safe.
    pub fn let_go(&self) -> impl Future<Output = ()> + Send {
        self.0.let_go.notified()
    }

    /// When the first of those who sleep on it wakes.
    #[must_use]
    pub fn next_sleeper(&self) -> Option<Timestamp> {
        self.lock().sleepers.first_key_value().map(|((when, _), _)| moment(*when))
    }

    /// When the first guest that waits by itself wakes.
    #[must_use]
    pub fn next_nap(&self) -> Option<Timestamp> {
        self.lock().naps.first().map(|(when, _)| moment(*when))
    }

    /// Whether somebody is at work on the present moment, or is about to be woken.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held_before().is_none()
    }

    /// Begins to note what comes due.
    pub fn record(&self) {
        self.lock().record = Some(Vec::new());
    }

    /// What came due since [`Self::record`], which ends.
    #[must_use]
    pub fn recorded(&self) -> Vec<Due> {
        self.lock().record.take().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until `when_ns`. Whoever gets the sleeper is counted as asleep as long as it is kept.
    async fn sleep(self, when_ns: u64, nap: bool) -> Sleeper {
        let sleeper = Sleeper::register(self, when_ns, nap);
        loop {
            let left = sleeper.clock.lock().left(when_ns);
            match left {
                Some(Duration::ZERO) => return sleeper,
                Some(left) => {
                    let slept = std::pin::pin!(tokio::time::sleep(left.min(LONGEST_WAIT)));
                    future::select(slept, std::pin::pin!(sleeper.look.notified())).await;
                }
                None => sleeper.look.notified().await,
            }
        }
    }
}

/// The end of the millisecond: a clock that is moved there says at least `when_ns`.
fn moment(when_ns: u64) -> Timestamp {
    Timestamp(when_ns.div_ceil(1_000_000))
}

impl Clock for MovableClock {
    fn now_ns(&self) -> u64 {
        self.lock().now_ns()
    }

    fn sleep_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()> {
        let sleep = self.clone().sleep(when_ns, false);
        Box::pin(async move { drop(sleep.await) })
    }

    fn nap_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()> {
        let sleep = self.clone().sleep(when_ns, true);
        Box::pin(async move { drop(sleep.await) })
    }

    fn hold(&self) -> Hold {
        let mut state = self.lock();
        state.holds += 1;
        state.held += 1;
        drop(state);
        Hold::new(Held(self.clone()))
    }

    fn due(&self, when: Timestamp) -> BoxFuture<'static, Hold> {
        let sleep = self.clone().sleep(when.0.saturating_mul(1_000_000), false);
        Box::pin(async move {
            let sleeper = sleep.await;
            // Before it counts as awake.
            sleeper.clock.hold()
        })
    }

    fn held_before(&self) -> Option<u64> {
        let state = self.lock();
        (state.holds == 0 && !state.is_due()).then_some(state.held)
    }

    fn passed_over(&self) -> Timestamp {
        Timestamp(self.lock().passed_over_ns().saturating_sub(1) / 1_000_000)
    }

    fn note_due(&self, what: &dyn fmt::Display) {
        let mut state = self.lock();
        let at = Timestamp(state.now_ns() / 1_000_000);
        if let Some(record) = &mut state.record
            && record.len() < RECORD_MAX
        {
            record.push(Due { at, what: what.to_string() });
        }
    }
}

struct Sleeper {
    clock: MovableClock,
    key: Key,
    nap: bool,
    look: Arc<Notify>,
}

impl Sleeper {
    fn register(clock: MovableClock, when_ns: u64, nap: bool) -> Self {
        let look = Arc::new(Notify::new());
        let mut state = clock.lock();
        state.next_sleeper += 1;
        let key = (when_ns, state.next_sleeper);
        state.sleepers.insert(key, Arc::clone(&look));
        if nap {
            state.naps.insert(key);
        }
        drop(state);
        Self { clock, key, nap, look }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let mut state = self.clock.lock();
        state.sleepers.remove(&self.key);
        if self.nap {
            state.naps.remove(&self.key);
        }
        let was_due = self.key.0 <= state.now_ns();
        drop(state);
        if was_due {
            self.clock.0.let_go.notify_waiters();
        }
    }
}

struct Held(MovableClock);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().holds -= 1;
        self.0.0.let_go.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn still() -> MovableClock {
        MovableClock::new(TimeMode::Manual, Duration::ZERO, Timestamp(0))
    }

    #[test]
    fn it_begins_at_the_later_of_the_two() {
        let (plain, ahead) = (still(), MovableClock::new(TimeMode::Manual, Duration::from_secs(3600), Timestamp(0)));
        assert!(ahead.now() >= plain.now().plus_ms(3_600_000), "{:?} after {:?}", ahead.now(), plain.now());
        let far = Timestamp(u64::MAX / 2_000_000);
        assert_eq!(MovableClock::new(TimeMode::Manual, Duration::ZERO, far).now(), far);
    }

    #[tokio::test]
    async fn who_sleeps_wakes_when_it_is_moved_there() {
        let clock = still();
        let start = clock.now();
        let mut sleep = clock.sleep_until(start.plus_ms(1000));
        assert!((&mut sleep).now_or_never().is_none());
        assert_eq!(clock.next_sleeper(), Some(start.plus_ms(1000)));
        assert!(!clock.is_held());
        clock.jump_to(start.plus_ms(999));
        assert!((&mut sleep).now_or_never().is_none());
        clock.jump_to(start.plus_ms(1000));
        assert!(clock.is_held(), "one that is due has not been woken yet");
        sleep.await;
        assert_eq!((clock.next_sleeper(), clock.is_held()), (None, false));
    }

    #[tokio::test]
    async fn a_guest_that_waits_as_long_as_it_is_moved_wakes() {
        let stopped = MovableClock::new(TimeMode::Real, Duration::ZERO, Timestamp(0));
        stopped.set_mode(TimeMode::Manual);
        for clock in [still(), stopped] {
            let nap = clock.nap_until_ns(clock.now_ns() + 5_000_000_000);
            clock.jump_to(clock.now().plus_ms(5000));
            assert_eq!(nap.now_or_never(), Some(()));
        }
    }

    #[tokio::test]
    async fn what_is_due_holds_the_clock_without_a_gap() {
        let clock = still();
        let mut due = clock.due(clock.now().plus_ms(5));
        assert!((&mut due).now_or_never().is_none());
        clock.jump_to(clock.now().plus_ms(5));
        assert!(clock.is_held());
        let hold = due.await;
        assert!(clock.is_held());
        drop(hold);
        assert!(!clock.is_held());
    }

    #[tokio::test]
    async fn it_never_goes_back_and_forgets_who_gave_up() {
        let clock = still();
        let start = clock.now();
        drop(clock.sleep_until(start.plus_ms(7)));
        let mut nap = clock.nap_until_ns((start.0 + 9) * 1_000_000);
        assert!((&mut nap).now_or_never().is_none());
        assert_eq!(clock.next_nap(), Some(start.plus_ms(9)));
        drop(nap);
        assert_eq!((clock.next_sleeper(), clock.next_nap()), (None, None));
        clock.jump_to(start.plus_ms(100));
        clock.jump_to(start);
        assert_eq!(clock.now(), start.plus_ms(100));
    }

    #[tokio::test]
    async fn a_faster_clock_wakes_sooner() {
        let clock = still();
        let hour = clock.now().plus_ms(3_600_000);
        let mut sleep = clock.sleep_until(hour);
        assert!((&mut sleep).now_or_never().is_none());
        clock.set_mode("x1000000".parse().unwrap());
        sleep.await;
        assert!(clock.now() >= hour);
    }

    #[test]
    fn a_leap_passes_over_what_it_leaps_over_and_a_move_does_not() {
        let clock = still();
        let start = clock.now();
        clock.jump_to(start.plus_ms(3_600_000));
        assert_eq!(clock.passed_over(), Timestamp(0), "whoever moves it stops where something is due");
        clock.leap(Duration::from_secs(3600));
        let passed = start.plus_ms(2 * 3_600_000 - LATE_MS - 1);
        assert_eq!(clock.passed_over(), passed);
        clock.jump_to(start.plus_ms(3 * 3_600_000));
        clock.set_mode("x86400".parse().unwrap());
        assert_eq!(clock.passed_over(), passed, "what is due after the leap is not passed over");
    }

    #[test]
    fn a_faster_clock_passes_nothing_over_by_going() {
        let clock = still();
        let start = clock.now();
        clock.set_mode("x1000000".parse().unwrap());
        while clock.now() < start.plus_ms(24 * 3_600_000) {}
        assert_eq!(clock.passed_over(), Timestamp(0));
        // Not when it is slow again either.
        clock.set_mode(TimeMode::Real);
        assert_eq!(clock.passed_over(), Timestamp(0));
        // Longer ago than a busy machine takes.
        clock.set_mode("x60".parse().unwrap());
        let now = clock.now();
        clock.lock().anchor -= Duration::from_secs(90);
        let passed = clock.passed_over();
        assert!(passed >= Timestamp(now.0 + 30 * 60_000 - 1) && passed < Timestamp(now.0 + 31 * 60_000), "{passed:?}");
    }

    #[test]
    fn what_comes_due_is_noted_when_somebody_wants_to_know() {
        let clock = still();
        clock.note_due(&"nobody asked");
        clock.record();
        clock.note_due(&"a sleep");
        assert_eq!(clock.recorded(), [Due { at: clock.now(), what: "a sleep".to_owned() }]);
        assert_eq!(clock.recorded(), []);
    }
}
