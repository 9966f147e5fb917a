//! Looking for what is about to come, instead of going to sleep: waking a thread takes longer than a commit.
//!
//! Promises: looks for no longer than it is told; where there is one processor, whoever is to bring it needs that, and it looks once.
//! Never does: wait for anything that takes long.

use std::sync::LazyLock;
use std::time::Duration;

use crate::clock::Stopwatch;

static IS_ONE_PROCESSOR: LazyLock<bool> =
    LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1));

/// Looks until it is `found` or `within` of real time is over.
pub(crate) fn look<T>(within: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let since = Stopwatch::start();
    loop {
        let it = found();
        if it.is_some() || *IS_ONE_PROCESSOR || since.elapsed() >= within {
            return it;
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_once_at_least_and_as_long_as_it_is_told_at_most() {
        let mut looks = 0;
        let never = look(Duration::ZERO, || {
            looks += 1;
            None::<()>
        });
        assert_eq!((never, looks), (None, 1));
        if !*IS_ONE_PROCESSOR {
            let mut left = 3;
            let third = look(Duration::from_secs(60), || {
                left -= 1;
                (left == 0).then_some("it")
            });
            assert_eq!(third, Some("it"));
        }
    }
}
