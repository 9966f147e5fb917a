//! Moving the clock: from moment to moment, each time until everything that belongs to it has happened.
//!
//! Promises: no moment that somebody sleeps until is passed over, and none is left while an instance, a handler or a delivery is at
//! work on it: what happens is what would have happened had one waited. One move at a time. Never does: move back.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::{Clock, Due, MovableClock, Stopwatch, TimeMode, Timestamp, real};
use crate::dispatcher::{GoOn, Handle, Stillness};

/// How long a move waits for what is at work on a moment, real time.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Before it is looked again whether everything has happened: guests that come to rest do not always tell.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The same while something else is waited for, at most.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(16);

/// How often to look whether there is something to skip to while nothing is.
const IDLE: Duration = Duration::from_millis(2);

/// The farthest that the clock goes: the year 2500. Nanoseconds in 64 bits end in 2554, and time still has to go on from there.
pub const LATEST: Timestamp = Timestamp(16_725_225_600_000);

/// What moves the clock of a session. Cheap to clone.
#[derive(Clone)]
pub struct Mover(Arc<Shared>);

struct Shared {
    clock: MovableClock,
    handle: Handle,
    /// Where the clock's reading is kept; none: nowhere.
    file: Option<PathBuf>,
    patience: Duration,
    turn: Mutex<()>,
}

/// What idle time is skipped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The ends of instances' sleeps and of their delays before attempts, and of guests' own waits.
    All,
    /// The ends of guests' own waits.
    Naps,
}

/// A move that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Where it began.
    pub from: Timestamp,
    /// Where the clock is now.
    pub to: Timestamp,
    /// What came due on the way, in order.
    pub due: Vec<Due>,
}

/// A move that was not made, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The moment has passed.
    #[error("that moment has passed, and time does not go backwards")]
    Past {
        /// What the clock says.
        now: Timestamp,
    },
    /// Beyond [`LATEST`].
    #[error("that is beyond the year 2499")]
    TooFar,
    /// Nothing is to come.
    #[error("nothing is to come: no instance sleeps or waits, and no schedule is set")]
    NothingToCome,
    /// Something is at work for longer than [`PATIENCE`].
    #[error("stopped on the way, because this is still at work: {}", names.join(", "))]
    AtWork {
        /// What, for people.
        names: Vec<String>,
        /// How far it came.
        moved: Moved,
    },
    /// What is recorded would lie in the future.
    #[error("time cannot go back while instances are kept: {count} are")]
    InstancesKept {
        /// How many.
        count: u64,
    },
    /// The session is ending.
    #[error("the session has ended")]
    Ended,
}

/// What is kept of a clock between two processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    /// How much later than the machine's it is, milliseconds.
    offset_ms: u64,
    mode: TimeMode,
}

impl Reading {
    /// Reads `OFFSET MODE`.
    fn parse(text: &str) -> Option<Self> {
        let (offset, mode) = text.trim_end().split_once(' ')?;
        Some(Self { offset_ms: offset.parse().ok()?, mode: mode.parse().ok()? })
    }
}

/// The name of the file in a state directory.
const FILE: &str = "clock";

/// Returns the clock of a state directory: where the last process left it, but at least at `recorded`, the last moment in the journals. A
/// `mode` goes before the one that is stored. What cannot be read counts as nothing: the journals have the last word.
#[must_use]
pub fn restore(directory: Option<&Path>, mode: Option<TimeMode>, recorded: Timestamp) -> MovableClock {
    let stored = directory.and_then(|directory| std::fs::read_to_string(directory.join(FILE)).ok());
    let reading = stored.and_then(|text| Reading::parse(&text)).unwrap_or_default();
    MovableClock::new(mode.unwrap_or(reading.mode), Duration::from_millis(reading.offset_ms), recorded.min(LATEST))
}

impl Mover {
    /// What moves `clock`, for the instances of `handle`. Keeps its reading in `directory`.
    #[must_use]
    pub fn new(clock: MovableClock, handle: Handle, directory: Option<&Path>) -> Self {
        Self::with_patience(clock, handle, directory, PATIENCE)
    }

    /// As [`Self::new`], waiting another real time for what is at work on a moment.
    #[must_use]
    pub fn with_patience(clock: MovableClock, handle: Handle, directory: Option<&Path>, patience: Duration) -> Self {
        let file = directory.map(|directory| directory.join(FILE));
        Self(Arc::new(Shared { clock, handle, file, patience, turn: Mutex::default() }))
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &MovableClock {
        &self.0.clock
    }

    /// Waits until nothing can happen at the present moment any more.
    ///
    /// # Errors
    /// When something is at work for too long, or the session has ended: [`MoveError`].
    pub async fn still(&self) -> Result<Stillness, MoveError> {
        let _turn = self.0.turn.lock().await;
        self.settle(false).await?.map_err(|names| {
            let now = self.0.clock.now();
            MoveError::AtWork { names, moved: Moved { from: now, to: now, due: Vec::new() } }
        })
    }

    /// Moves the clock by `duration`.
    ///
    /// # Errors
    /// When it does not get there: [`MoveError`].
    pub async fn advance(&self, duration: Duration) -> Result<Moved, MoveError> {
        let _turn = self.0.turn.lock().await;
        let from = self.0.clock.now();
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.run_to(from.plus_ms(ms), None).await
    }

    /// Moves the clock to `when`.
    ///
    /// # Errors
    /// When it does not get there: [`MoveError`].
    pub async fn set(&self, when: Timestamp) -> Result<Moved, MoveError> {
        let _turn = self.0.turn.lock().await;
        let now = self.0.clock.now();
        if when < now { Err(MoveError::Past { now }) } else { self.run_to(when, None).await }
    }

    /// Moves the clock to the next moment at which something happens, and lets it happen.
    ///
    /// # Errors
    /// When nothing is to come, or it does not get there: [`MoveError`].
    pub async fn next(&self) -> Result<Moved, MoveError> {
        let _turn = self.0.turn.lock().await;
        let from = self.0.clock.now();
        match self.settle(false).await? {
            Err(names) => {
                Err(MoveError::AtWork { names, moved: Moved { from, to: self.0.clock.now(), due: Vec::new() } })
            }
            Ok(still) => match self.next_moment(still) {
                Some(at) if at <= LATEST => self.run_to(at, None).await,
                _ => Err(MoveError::NothingToCome),
            },
        }
    }

    /// When something is to come, as far as is known just now.
    pub async fn peek(&self) -> Option<Timestamp> {
        let overview = self.0.handle.overview().await;
        let of_instances =
            overview.and_then(|overview| overview.next_timer.into_iter().chain(overview.next_cron).min());
        [of_instances, self.0.clock.next_sleeper()].into_iter().flatten().min()
    }

    /// Lets the clock go another way from now on.
    pub fn set_mode(&self, mode: TimeMode) {
        self.0.clock.set_mode(mode);
        self.keep(self.0.clock.offset());
    }

    /// Sets the clock to the machine's time.
    ///
    /// # Errors
    /// When instances are kept: what is recorded of them would lie in the future.
    pub async fn reset(&self) -> Result<(), MoveError> {
        let _turn = self.0.turn.lock().await;
        let counts = self.0.handle.read(|archive| archive.counts(None)).await.map_err(|_| MoveError::Ended)?;
        let count = counts.iter().map(|count| count.instances).sum();
        if count > 0 {
            return Err(MoveError::InstancesKept { count });
        }
        self.0.clock.reset();
        self.keep(Duration::ZERO);
        Ok(())
    }

    /// Keeps what the clock says, for the next process.
    pub fn save(&self) {
        self.keep(self.0.clock.offset());
    }

    /// Skips idle time whenever the clock is in that mode, as long as this is polled. Calls `skipped` for each jump.
    pub async fn skip(&self, skipped: impl Fn(&Moved)) -> Infallible {
        loop {
            self.0.clock.until_mode(TimeMode::Skip).await;
            match self.skip_once(Skip::All).await {
                Some(moved) => skipped(&moved),
                None => real::sleep(IDLE).await,
            }
        }
    }

    /// Skips idle time once, if the clock is in that mode and nothing is at work; none when there was nothing to skip to. Dropped, it may have
    /// moved a part of the way.
    pub async fn skip_once(&self, what: Skip) -> Option<Moved> {
        if self.0.clock.mode() != TimeMode::Skip {
            return None;
        }
        let _turn = self.0.turn.lock().await;
        let still = self.settle(what == Skip::All).await.ok()?.ok()?;
        let wake = self.wake(still).filter(|wake| *wake > self.0.clock.now())?;
        let moved = self.run_to(wake, Some(what)).await.ok()?;
        // Whoever was to be woken may have gone before the first jump.
        (moved.to >= wake || !moved.due.is_empty()).then_some(moved)
    }

    /// Awaits `work`, and skips idle time meanwhile if the clock is in that mode. Cancel-safe.
    pub async fn skipping<F: Future>(&self, what: Skip, work: F) -> F::Output {
        let skipping = async {
            let (least, most) = (LOOK_AGAIN, LOOK_AGAIN_MAX);
            let mut pause = least;
            loop {
                if self.skip_once(what).await.is_some() {
                    pause = least;
                } else {
                    real::sleep(pause).await;
                    pause = (pause * 2).min(most);
                }
            }
        };
        tokio::select! {
            biased;
            done = work => done,
            () = skipping => unreachable!("it goes on until it is dropped"),
        }
    }

    /// When the first of those wakes for whom idle time is skipped; none as well when the clock goes another way.
    fn wake(&self, still: Stillness) -> Option<Timestamp> {
        let wake = [still.next_wake, self.0.clock.next_nap()].into_iter().flatten().min()?;
        (wake <= LATEST && self.0.clock.mode() == TimeMode::Skip).then_some(wake)
    }

    /// Goes to `target` from moment to moment; one that is gone to for the sake of a `skip` only as long as there is somebody to be woken by
    /// then, for what happens on the way may end the wait.
    async fn run_to(&self, target: Timestamp, skip: Option<Skip>) -> Result<Moved, MoveError> {
        if target > LATEST {
            return Err(MoveError::TooFar);
        }
        let clock = &self.0.clock;
        let from = clock.now();
        // Before anything is recorded there: a process that dies on the way goes on from the end, never from before.
        self.keep(clock.offset().saturating_add(target.since(from)));
        clock.record();
        let mover = self.clone();
        let arrived = self.walk(skip == Some(Skip::All), move |still| mover.step(still, target, skip)).await?;
        let moved = Moved { from, to: clock.now(), due: clock.recorded() };
        if moved.to < target {
            self.keep(clock.offset());
        }
        match arrived {
            Ok(_) => Ok(moved),
            Err(names) => Err(MoveError::AtWork { names, moved }),
        }
    }

    /// Waits until everything of the present moment has happened; or says what is at work for longer than its patience.
    async fn settle(&self, with_wake: bool) -> Result<Result<Stillness, Vec<String>>, MoveError> {
        self.walk(with_wake, |_| false).await
    }

    /// Takes `step` each time that nothing can happen any more, until it says that this was it; or says what is at work for longer than
    /// its patience.
    async fn walk(
        &self,
        with_wake: bool,
        step: impl FnMut(Stillness) -> bool + Send + 'static,
    ) -> Result<Result<Stillness, Vec<String>>, MoveError> {
        let way = Way::new();
        let mut arrived = self.0.handle.still_and_then(with_wake, way.then(step)).ok_or(MoveError::Ended)?;
        loop {
            tokio::select! {
                biased;
                still = &mut arrived => return still.map(Ok).map_err(|_| MoveError::Ended),
                names = self.stuck(&way) => return Ok(Err(names)),
                () = self.look(&way) => self.0.handle.look(),
            }
        }
    }

    /// Moves on, now that nothing can happen any more; false: that was it.
    fn step(&self, still: Stillness, target: Timestamp, skip: Option<Skip>) -> bool {
        let clock = &self.0.clock;
        if skip.is_some() && self.wake(still).is_none_or(|wake| wake > target) {
            return false;
        }
        match self.next_moment(still) {
            Some(at) if at <= target => clock.jump_to(at),
            _ if clock.now() < target => clock.jump_to(target),
            _ => return false,
        }
        true
    }

    /// Returns when somebody may have come to rest who does not say so.
    async fn look(&self, way: &Way) {
        let mut moves = way.moves();
        loop {
            tokio::select! {
                () = self.0.clock.let_go() => return,
                () = real::sleep(LOOK_AGAIN) => {}
            }
            if moves == std::mem::replace(&mut moves, way.moves()) {
                return;
            }
        }
    }

    /// Returns when nothing has moved for longer than its patience, with what is at work.
    async fn stuck(&self, way: &Way) -> Vec<String> {
        loop {
            let left = self.0.patience.saturating_sub(way.since_last());
            if left.is_zero() {
                return self.working().await;
            }
            real::sleep(left).await;
        }
    }

    async fn working(&self) -> Vec<String> {
        let mut names = self.0.handle.working().await;
        if names.is_empty() {
            names.push("a handler that the time has called".to_owned());
        }
        names
    }

    fn next_moment(&self, still: Stillness) -> Option<Timestamp> {
        [still.next, self.0.clock.next_sleeper()].into_iter().flatten().min()
    }

    fn keep(&self, offset: Duration) {
        let Some(file) = &self.0.file else { return };
        let offset_ms = u64::try_from(offset.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let text = format!("{offset_ms} {}\n", self.0.clock.mode());
        let new = file.with_extension("new");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, file));
        if let Err(error) = written {
            tracing::warn!(%error, "what the clock says cannot be kept in {}", file.display());
        }
    }
}

/// A move that is being made. It ends when this is dropped, and nothing moves after that.
struct Way(Arc<std::sync::Mutex<Going>>);

struct Going {
    over: bool,
    moves: u64,
    last: Stopwatch,
}

impl Way {
    fn new() -> Self {
        Self(Arc::new(std::sync::Mutex::new(Going { over: false, moves: 0, last: Stopwatch::start() })))
    }

    /// Has the dispatcher take `step` after step, as long as the move goes on.
    fn then(&self, mut step: impl FnMut(Stillness) -> bool + Send + 'static) -> GoOn {
        let way = Self(Arc::clone(&self.0));
        Box::new(move |still| {
            let mut going = way.lock();
            let moves = !going.over && step(still);
            if moves {
                going.moves += 1;
                going.last = Stopwatch::start();
            }
            moves
        })
    }

    fn moves(&self) -> u64 {
        self.lock().moves
    }

    fn since_last(&self) -> Duration {
        self.lock().last.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Going> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.lock().over = true;
    }
}
