//! What a guest has asked for and what becomes of it when the guest drops it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::Run;
use super::replay::{Ask, Ticket};
use crate::engine::{Command, Outcome, StepKey};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Answered by the next commit.
    Commit,
    /// May take until a timer or an event.
    Parked,
}

/// A call in flight.
pub(super) struct Pending {
    pub(super) run: Arc<Run>,
    pub(super) kind: Kind,
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut inner = self.run.lock();
        // Also when the guest drops the call: the answer, if there is one, has nobody to go to.
        inner.answers_seen += 1;
        match self.kind {
            Kind::Commit => {
                inner.committing -= 1;
                self.run.committing.fetch_sub(1, Ordering::Relaxed);
            }
            Kind::Parked => inner.parked -= 1,
        }
    }
}

/// A step the guest has asked for and that is not over.
pub(super) struct Open {
    pub(super) run: Arc<Run>,
    pub(super) key: StepKey,
    pub(super) alone: bool,
    /// The body of another step asked for it.
    pub(super) nested: bool,
    pub(super) ask: Option<Ask>,
    pub(super) receiver: Option<(Ticket, oneshot::Receiver<Option<Outcome>>)>,
    /// The dispatcher knows of it, by an earlier run or by this one, and has not seen its end.
    pub(super) begun: bool,
    /// Nothing has to be recorded when it is dropped.
    pub(super) over: bool,
}

impl Open {
    /// What is recorded of it, once it may be handed out; otherwise whether the record knows the step at all.
    pub(super) async fn recorded(&mut self) -> (Option<Outcome>, bool) {
        if !self.nested {
            let run = Arc::clone(&self.run);
            run.pass().await;
        }
        let found = match self.ask.take() {
            Some(Ask::Never) => std::future::pending().await,
            Some(Ask::Now(outcome)) => (Some(outcome), true),
            Some(Ask::Live { known }) => (None, known),
            Some(Ask::Held(_)) => (self.released().await, true),
            Some(Ask::HeldLive { known, .. }) => {
                self.released().await;
                (None, known)
            }
            None => (None, true),
        };
        if found.0.is_none() {
            self.run.goes_live().await;
        }
        // What is recorded needs no giving up.
        self.begun = found.0.is_none();
        found
    }

    async fn released(&mut self) -> Option<Outcome> {
        let outcome = match &mut self.receiver {
            Some((_, receiver)) => receiver.await.unwrap_or(None),
            None => None,
        };
        self.receiver = None;
        outcome
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut inner = self.run.lock();
        inner.open -= 1;
        if let Some((ticket, _)) = &self.receiver {
            inner.waiting.remove(ticket);
            inner.replay.cancel(&self.key, *ticket);
        }
        // What a panic drops was not given up by the guest.
        if self.begun && !self.over && !self.run.is_closed() && !std::thread::panicking() {
            inner.told.push(Command::Abandon { key: self.key.clone() });
        }
    }
}

/// The guest waits for something of the outside world.
pub struct Busy {
    pub(super) run: Arc<Run>,
    /// It waits on the clock.
    pub(super) naps: bool,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut inner = self.run.lock();
        inner.outside -= 1;
        inner.napping -= usize::from(self.naps);
        // It may be dropped by a task beside the guest, after the guest's last poll: whether there is anything left to wait for is
        // looked at after a poll, so there has to be one.
        let driver = if inner.outside == 0 { inner.driver.take() } else { None };
        drop(inner);
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}
