//! Asking the dispatcher.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::Run;
use super::call::{Kind, Pending};
use crate::dispatcher::message::{Message, RunMessage};
use crate::engine::{Answer, Command};
use crate::spin;

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
        let mut found = match self.at_once(pending.kind, &mut answer) {
            Err(TryRecvError::Empty) => None,
            // A receiver that has said that it is closed must not be awaited any more.
            found => Some(found.map_err(drop)),
        };
        // A replay hands this out when the guest has done all that it can do without it. Where the guest does more than one thing at a
        // time, an answer that is there at once has to let it do so now as well: else its branches would ask in another order. What is
        // answered by a timer or an event may be the first that is asked for by branches that begin together.
        let mut waits = matches!(pending.kind, Kind::Parked) || self.lock().open > 1;
        let found = poll_fn(|context| {
            let answered = match found.take() {
                Some(found) => Poll::Ready(found),
                None => Pin::new(&mut answer).poll(context).map_err(drop),
            };
            match answered {
                Poll::Ready(early) if waits => {
                    found = Some(early);
                    context.waker().wake_by_ref();
                    waits = false;
                    Poll::Pending
                }
                answered => {
                    waits = false;
                    answered
                }
            }
        });
        match found.await {
            Ok(answer) => {
                self.lock().came_until = None;
                answer
            }
            Err(()) => std::future::pending().await,
        }
    }

    /// The answer of a commit that nobody shares is looked for instead of slept for: putting this thread to sleep and waking
    /// it takes longer than the commit. When others wait as well the thread has better things to do.
    fn at_once(&self, kind: Kind, answer: &mut oneshot::Receiver<Answer>) -> Result<Answer, TryRecvError> {
        if !matches!(kind, Kind::Commit) {
            return Err(TryRecvError::Empty);
        }
        let found = spin::look(SPIN, || {
            let is_shared = self.committing.load(Ordering::Relaxed) != 1;
            let found = answer.try_recv();
            (is_shared || !matches!(found, Err(TryRecvError::Empty))).then_some(found)
        });
        found.unwrap_or(Err(TryRecvError::Empty))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::FutureExt;
    use tokio::sync::mpsc;

    use super::*;
    use crate::clock::{SystemClock, Timestamp};
    use crate::dispatcher::WorkflowDefinition;
    use crate::engine::{Bytes, Instance, Outcome};
    use crate::run::RunEvent;

    /// A run, and what it tells the dispatcher.
    pub(in crate::run) fn run() -> (Arc<Run>, mpsc::UnboundedReceiver<Message>) {
        let event = RunEvent { payload: Bytes::from(b"{}".to_vec()), timestamp: Timestamp(0), schedule: None };
        let (sender, inbox) = mpsc::unbounded_channel();
        let definition = Arc::new(WorkflowDefinition::new("w", "W", "worker"));
        let shared = (SystemClock::shared(), sender, Arc::new(AtomicUsize::new(0)));
        (Run::new((1, 1), definition, Arc::from("a"), event, &mut Instance::new(), shared), inbox)
    }

    #[test]
    fn a_question_that_nobody_will_answer_stays_open() {
        let (run, _inbox) = run();
        let asked = run.send(Command::Idle, Kind::Commit);
        let (reply, answer) = oneshot::channel();
        drop(reply);
        let asked = Asked { answer, ..asked };
        assert!(run.answer(asked).now_or_never().is_none(), "the guest is dropped while it waits");
    }

    #[test]
    fn what_waits_lets_its_neighbours_begin_however_soon_it_is_over() {
        let (run, _inbox) = run();
        let asked = run.send(Command::Idle, Kind::Parked);
        let (reply, answer) = oneshot::channel();
        reply.send(Answer::Settled(Outcome::Elapsed)).unwrap();
        let mut answered = Box::pin(run.answer(Asked { answer, ..asked }));
        assert_eq!(answered.as_mut().now_or_never(), None);
        assert_eq!(answered.now_or_never(), Some(Answer::Settled(Outcome::Elapsed)));
    }
}
