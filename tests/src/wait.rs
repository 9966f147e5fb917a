//! Waiting for what can be seen.

use std::time::Duration;

use miniflow_runtime::clock::Stopwatch;

/// How long something may take that takes milliseconds: a machine that is busy with other tests is slow, a hang is for ever.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// A deadline, begun now.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    since: Stopwatch,
    limit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self::of(PATIENCE)
    }
}

impl Patience {
    /// Returns a deadline in `limit`.
    #[must_use]
    pub fn of(limit: Duration) -> Self {
        Self { since: Stopwatch::start(), limit }
    }

    /// Lets a moment pass before the next look. False when there is no time left for one.
    #[must_use]
    pub fn wait(&self) -> bool {
        std::thread::sleep(PAUSE);
        !self.left().is_zero()
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.since.elapsed())
    }
}

/// Looks until `look` finds something, and returns it.
///
/// # Panics
///
/// When it finds nothing for [`PATIENCE`]; `what` names it.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let patience = Patience::default();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(patience.wait(), "{what}: not within {PATIENCE:?}");
    }
}
