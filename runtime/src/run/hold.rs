//! A pause that is to come, or a move to other code: nothing new begins, what runs is finished.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::{Inner, Run};
use crate::dispatcher::message::{Message, RunAt};

/// Whether the guest may begin anything.
#[derive(Default)]
pub(super) struct Hold {
    held: bool,
    /// The dispatcher knows that nothing ran any more when so many answers had been seen.
    told: Option<u64>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Inner {
    /// Whether a body runs, or a result of one is not known to be durable.
    fn is_busy(&self) -> bool {
        !self.bodies.is_empty() || self.committing > 0
    }

    pub(super) fn is_held(&self) -> bool {
        self.hold.held
    }

    /// A body begins after all: when it is over that is told again.
    pub(super) fn body_begins(&mut self) {
        self.hold.told = None;
    }
}

impl Run {
    /// Lets nothing new begin. [`Message::Held`] says when everything that runs is finished: at once if nothing does, but behind
    /// whatever the guest has said before. Returns whether something is to be finished.
    pub(crate) fn hold(&self) -> bool {
        let mut inner = self.lock();
        inner.hold.held = true;
        self.tell_held(&mut inner);
        inner.is_busy()
    }

    /// Lets the guest go on.
    pub(crate) fn release(&self) {
        let mut inner = self.lock();
        inner.hold.held = false;
        inner.hold.told = None;
        // That it is idle may have been said, and not heard because of the pause: it is to be looked at again.
        inner.idle_sent = None;
        let driver = inner.driver.take();
        for waiting in inner.hold.waiting.drain(..) {
            // A call that was dropped meanwhile needs no place.
            let _ = waiting.send(());
        }
        drop(inner);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Returns when something new may begin: at once, but while the run is held.
    pub(super) async fn pass(&self) {
        loop {
            let released = {
                let mut inner = self.lock();
                if !inner.hold.held {
                    return;
                }
                let (sender, released) = oneshot::channel();
                inner.hold.waiting.push(sender);
                released
            };
            if released.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn tell_held(&self, inner: &mut Inner) {
        // Also when it was told before: what the guest has dropped since may be what the dispatcher waits for, and what was answered since may
        // have been on its way when it was told.
        let seen = Some(inner.answers_seen);
        let news = inner.hold.told != seen || !inner.told.is_empty();
        if inner.hold.held && news && !inner.is_busy() && !self.stopping.load(Ordering::Acquire) {
            inner.hold.told = seen;
            self.flush(inner);
            let run = RunAt { run: self.id, answers_seen: inner.answers_seen };
            let _ = self.engine.send(Message::Held { run, key: self.key });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::task::{Wake, Waker};

    use super::*;
    use crate::engine::Command;
    use crate::run::Kind;
    use crate::run::ask::tests::run;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn that_it_is_idle_is_said_again_when_a_pause_that_kept_it_from_being_heard_is_taken_back() {
        let (run, mut inbox) = run();
        let woken = Arc::new(Woken::default());
        run.driven_by(&Waker::from(Arc::clone(&woken)));
        let _asked = run.send(Command::Idle, Kind::Parked);
        let mut says_idle = || {
            run.after_poll(false);
            std::iter::from_fn(|| inbox.try_recv().ok()).any(|message| matches!(message, Message::Idle { .. }))
        };
        assert_eq!([says_idle(), says_idle()], [true, false]);
        run.hold();
        run.release();
        assert!(woken.0.load(Ordering::SeqCst), "it is to be looked at");
        assert_eq!([says_idle(), says_idle()], [true, false]);
    }
}
