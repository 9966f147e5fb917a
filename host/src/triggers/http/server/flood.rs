//! Warnings about what may happen very often.
//!
//! **Guarantees.** The first event is reported at once. Later ones are counted and reported together, at most once each [`WINDOW`]; none is lost.
//!
//! **Non-goals.** Telling the events of a window apart.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use miniflow_runtime::clock::real;

/// Time in which events are counted instead of being reported one by one.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Counts events of one kind. Cheap to clone; all clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct Flood {
    /// Events that are not reported yet; `None` when no window is open.
    held: Arc<Mutex<Option<u64>>>,
}

impl Flood {
    /// Notes an event. `report` is called with 1 now, or with the count when the window ends.
    pub(super) fn note(&self, report: impl Fn(u64) + Send + 'static) {
        {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = &mut *held {
                *count += 1;
                return;
            }
            *held = Some(0);
        }
        report(1);
        let held = Arc::clone(&self.held);
        tokio::spawn(async move {
            loop {
                real::sleep(WINDOW).await;
                let count = {
                    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                    let count = held.unwrap_or_default();
                    *held = (count > 0).then_some(0);
                    count
                };
                if count == 0 {
                    return;
                }
                report(count);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;

    #[tokio::test]
    async fn events_after_the_first_are_counted() {
        let (flood, calls) = (Flood::default(), Arc::new(AtomicU64::new(0)));
        for _ in 0..1_000 {
            let calls = Arc::clone(&calls);
            flood.note(move |count| {
                calls.fetch_add(count, SeqCst);
            });
        }
        assert_eq!(calls.load(SeqCst), 1, "one report");
        assert_eq!(*flood.held.lock().unwrap(), Some(999));
    }
}
