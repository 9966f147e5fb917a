//! Driving a guest: polls it, notices when it can do nothing more by itself, and drops it when it must go.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::Run;

/// How driving ended.
#[derive(Debug)]
pub enum Driven<T> {
    /// The guest came to an end.
    Finished(T),
    /// The guest must be dropped: [`Run::stopped`].
    Stopped,
}

/// Polls `guest` to its end, or until the run is stopped.
///
/// A guest that returns pending without having been woken during the poll waits for something from outside. A pending with
/// a wake is not that: a guest that yields in the middle of a computation is polled again and must not be taken for idle.
pub async fn drive<G: Future>(run: &Arc<Run>, guest: G) -> Driven<G::Output> {
    let mut guest = pin!(guest);
    let mut stopped = pin!(run.stopped());
    poll_fn(|context| {
        if stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(Driven::Stopped);
        }
        run.driven_by(context.waker());
        match poll_once(guest.as_mut(), context) {
            Polled::Finished(output) => Poll::Ready(Driven::Finished(output)),
            Polled::Pending { woken } => {
                run.after_poll(woken);
                Poll::Pending
            }
        }
    })
    .await
}

/// What one poll of a guest came to.
pub(super) enum Polled<T> {
    Finished(T),
    Pending {
        /// Its waker was called meanwhile: it goes on by itself.
        woken: bool,
    },
}

pub(super) fn poll_once<G: Future>(guest: Pin<&mut G>, context: &Context<'_>) -> Polled<G::Output> {
    let woken = Arc::new(Woken { waker: context.waker().clone(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&woken));
    match guest.poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => Polled::Finished(output),
        Poll::Pending => Polled::Pending { woken: woken.woken.load(Ordering::SeqCst) },
    }
}

struct Woken {
    waker: Waker,
    woken: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.waker.wake_by_ref();
    }
}
