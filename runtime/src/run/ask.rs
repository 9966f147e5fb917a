//! Asking the dispatcher.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Run;
use super::call::{Kind, Pending};
use crate::clock::Stopwatch;
use crate::dispatcher::message::{Message, RunMessage};
use crate::engine::{Answer, Command};

/// How long to look for the answer of a commit, real time: twice what one takes when it is not synced.
const SPIN: Duration = Duration::from_micros(80);

/// A question that is on its way.
pub(super) struct Asked {
    pending: Pending,
    answer: oneshot::Receiver<Answer>,
}

impl Run {
    /// Sends a command and awaits its answer. Never returns when the run is over: the guest is dropped then.
    pub(super) async fn ask(self: &Arc<Self>, command: Command, kind: Kind) -> Answer {
        let asked = self.send(command, kind);
        self.answer(asked).await
    }

    /// Sends a command that is answered.
    pub(super) fn send(self: &Arc<Self>, command: Command, kind: Kind) -> Asked {
        let (reply, answer) = oneshot::channel();
        let mut inner = self.lock();
        let told = std::mem::take(&mut inner.told);
        let message = RunMessage { run: self.id, key: self.key, told, ask: Some((command, reply)) };
        let _ = self.engine.send(Message::Run(message));
        match kind {
            Kind::Commit => {
                inner.committing += 1;
                self.committing.fetch_add(1, Ordering::Relaxed);
            }
            Kind::Parked => inner.parked += 1,
        }
        drop(inner);
        Asked { pending: Pending { run: Arc::clone(self), kind }, answer }
    }

    pub(super) async fn answer(&self, asked: Asked) -> Answer {
        let Asked { pending, mut answer } = asked;
        if let Some(answer) = self.at_once(pending.kind, &mut answer) {
            return answer;
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }

    /// The answer of a commit that nobody shares is looked for instead of slept for: putting this thread to sleep and waking
    /// it takes longer than the commit. When others wait as well the thread has better things to do.
    fn at_once(&self, kind: Kind, answer: &mut oneshot::Receiver<Answer>) -> Option<Answer> {
        if !matches!(kind, Kind::Commit) {
            return None;
        }
        let since = Stopwatch::start();
        while self.committing.load(Ordering::Relaxed) == 1 && since.elapsed() < SPIN {
            match answer.try_recv() {
                Ok(answer) => return Some(answer),
                Err(oneshot::error::TryRecvError::Empty) => std::hint::spin_loop(),
                Err(oneshot::error::TryRecvError::Closed) => return None,
            }
        }
        None
    }
}
