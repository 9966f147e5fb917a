//! Trying new code on what is recorded: a run that looks where the code goes, and leaves nothing behind.
//!
//! The guest is driven as in any run: what is recorded is handed out in the recorded order. What is not recorded is noted and never
//! answered, and neither is anything that would leave a trace ([`Run::blocks`]). When the guest can do nothing more by itself, what it has asked
//! for is compared with the record.
//!
//! Promises: nothing reaches a dispatcher; no body begins. Never does: bound how long a guest computes, that is for its runner.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

use super::drive::{Polled, poll_once};
use super::{Run, RunEvent};
use crate::clock::Clock;
use crate::dispatcher::message::Message;
use crate::dispatcher::{Handle, WorkflowDefinition};
use crate::engine::{ErrorInfo, Instance, Stamped, StepKey, StepKind, StepState};
use crate::storage::NewInstance;

/// How new code gets on with what is recorded of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Only new work follows what is recorded. It may be that the code has not asked for some of it: then it waits for something that is
    /// recorded, or all that is not asked for was given up before.
    Compatible {
        /// Recorded steps that the code has not asked for so far.
        unasked: Vec<StepKey>,
    },
    /// Before it comes to what is recorded next, the code asks for more occurrences of steps that are finished: these would run, though
    /// the work may have been done.
    Again {
        /// What it asks for, in order.
        steps: Vec<StepKey>,
    },
    /// Instead of a recorded step the code asks for something else, or ends.
    Diverges {
        /// The place of the step in the record, from 1.
        at: usize,
        /// The step.
        recorded: StepKey,
        /// What the code asks for; none: it ends.
        asked: Option<StepKey>,
    },
    /// The code ends in an error before it comes to anything new.
    Fails {
        /// Which.
        message: String,
    },
    /// The code does something outside of steps that a trial must not do, and may come to the rest of the record after it.
    Blocked {
        /// What, such as `sends a request outside of a step`.
        by: &'static str,
    },
}

/// What a trial has seen of the guest.
#[derive(Debug, Default)]
pub(super) struct Seen {
    asked: Vec<StepKey>,
    ended: Option<Option<ErrorInfo>>,
    blocked: Option<&'static str>,
}

/// A step of the record, as far as it matters here.
struct Recorded {
    key: StepKey,
    finished: bool,
    /// The code has to ask for it.
    wanted: bool,
    /// See [`crate::engine::Step::alone`].
    alone: bool,
}

/// A trial of new code on one instance.
pub struct Trial {
    run: Arc<Run>,
    record: Vec<Recorded>,
    inbox: mpsc::UnboundedReceiver<Message>,
}

impl Trial {
    /// A trial on the instance that is `fixed` and what these entries lead to, under `definition`.
    #[must_use]
    pub fn new(
        definition: Arc<WorkflowDefinition>,
        fixed: &NewInstance,
        journal: Vec<Stamped>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut instance = Instance::replay(journal);
        let record = record(&instance);
        let (sender, inbox) = mpsc::unbounded_channel();
        let event =
            RunEvent { payload: fixed.payload.clone(), timestamp: fixed.created, schedule: fixed.schedule.clone() };
        let shared = (clock, sender, Arc::new(AtomicUsize::new(0)));
        let run = Run::new((0, fixed.key), definition, Arc::from(fixed.id.as_str()), event, &mut instance, shared);
        // Nobody has it yet.
        let _ = run.seen.set(Mutex::default());
        Self { run, record, inbox }
    }

    /// The run, for the guest.
    #[must_use]
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Polls `guest` until it can do nothing more by itself; returns its output if it comes to an end before. Streams that are recorded
    /// are read from `runtime`.
    pub async fn look<G: Future>(&mut self, runtime: &Handle, guest: G) -> Option<G::Output> {
        /// Rounds without letting others have the thread.
        const ROUNDS_MAX: u32 = 64;
        let mut guest = pin!(guest);
        let mut reading: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        poll_fn(|context| {
            self.run.driven_by(context.waker());
            for _ in 0..ROUNDS_MAX {
                let woken = match poll_once(guest.as_mut(), context) {
                    Polled::Finished(output) => return Poll::Ready(Some(output)),
                    Polled::Pending { woken } => woken,
                };
                while let Poll::Ready(Some(message)) = self.inbox.poll_recv(context) {
                    if let Some(read) = answered(runtime, message) {
                        reading.push(read);
                    }
                }
                while let Poll::Ready(Some(())) = reading.poll_next_unpin(context) {}
                if woken {
                    return Poll::Pending;
                }
                match self.run.look() {
                    Looked::Released => {}
                    Looked::Outside => return Poll::Pending,
                    Looked::Quiet => return Poll::Ready(None),
                }
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// The steps of the record that the code has to ask for, in the order they were first asked for; and whether nothing else was open
    /// then, so that there is no other order.
    pub fn recorded(&self) -> impl Iterator<Item = (&StepKey, bool)> {
        self.record.iter().filter(|step| step.wanted).map(|step| (&step.key, step.alone))
    }

    /// What the code has asked for until now, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<StepKey> {
        self.run.seen().map(|seen| seen.asked.clone()).unwrap_or_default()
    }

    /// How `run` has ended, if it has: none is without an error.
    #[must_use]
    pub fn ended(&self) -> Option<Option<ErrorInfo>> {
        self.run.seen()?.ended.clone()
    }

    /// How the code gets on, by what it has asked for until now.
    #[must_use]
    pub fn fit(&self) -> Fit {
        let Some(seen) = self.run.seen() else { return Fit::Compatible { unasked: Vec::new() } };
        if let Some(Some(error)) = &seen.ended {
            return Fit::Fails { message: error.to_string() };
        }
        let known: HashSet<_> = self.record.iter().map(|step| &step.key).collect();
        let asked: HashSet<_> = seen.asked.iter().collect();
        let new: Vec<_> = seen.asked.iter().filter(|key| !known.contains(key)).collect();
        let is_unasked = |step: &&Recorded| step.wanted && !asked.contains(&step.key);
        let unasked: Vec<_> = self.record.iter().filter(is_unasked).map(|step| step.key.clone()).collect();
        let Some(recorded) = unasked.first().cloned() else { return Fit::Compatible { unasked } };
        let at = self.record.iter().position(|step| step.key == recorded).unwrap_or(0) + 1;
        if seen.ended.is_some() {
            return Fit::Diverges { at, recorded, asked: None };
        }
        if let Some(first) = new.first() {
            let is_done = |key: &StepKey| {
                let same = |step: &&Recorded| step.finished && step.key.kind == key.kind && step.key.name == key.name;
                key.kind == StepKind::Do && self.record.iter().any(|step| same(&step))
            };
            return if new.iter().all(|key| is_done(key)) {
                Fit::Again { steps: new.into_iter().cloned().collect() }
            } else {
                Fit::Diverges { at, recorded, asked: Some((*first).clone()) }
            };
        }
        if let Some(by) = seen.blocked {
            return Fit::Blocked { by };
        }
        let waits = self.record.iter().any(|step| !step.finished && asked.contains(&step.key));
        if waits { Fit::Compatible { unasked } } else { Fit::Blocked { by: "waits for something else than steps" } }
    }
}

/// What the code has to ask for: steps that were given up are not missed, nor those that only the body of another step asks for.
/// Of an instance that is rolling back it is the steps whose handlers are wanted.
fn record(instance: &Instance) -> Vec<Recorded> {
    let rolls_back = instance.status() == crate::engine::InstanceStatus::RollingBack;
    let handlers: HashSet<_> = instance.to_compensate().collect();
    let steps = instance.steps().iter().filter(|step| step.key.kind != StepKind::Rollback);
    let recorded = steps.map(|step| Recorded {
        key: step.key.clone(),
        finished: matches!(step.state, StepState::Done(_)),
        alone: step.alone,
        wanted: if rolls_back {
            handlers.contains(&step.key)
        } else {
            !step.is_nested() && !matches!(step.state, StepState::Abandoned { .. })
        },
    });
    recorded.collect()
}

/// A question of the guest that only reads.
fn answered(runtime: &Handle, message: Message) -> Option<BoxFuture<'static, ()>> {
    let Message::ReadChunk { key, attempt, index, reply } = message else { return None };
    let runtime = runtime.clone();
    Some(Box::pin(async move {
        let piece = runtime.read(move |archive| archive.piece(key, attempt, index)).await;
        // A guest that is gone does not want it any more.
        let _ = reply.send(piece.unwrap_or(None));
    }))
}

/// What there is to do after a poll.
enum Looked {
    /// The guest goes on.
    Released,
    /// It waits for something that comes by itself.
    Outside,
    /// It can do nothing more.
    Quiet,
}

impl Run {
    /// Whether this run only tries the code: nothing that it asks for may have an effect.
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.seen.get().is_some()
    }

    /// Never returns in a trial, which has noted that the guest does this: what it is about to do would leave a trace, or takes its time.
    /// In any other run it returns at once.
    pub async fn blocks(&self, does: &'static str) {
        self.note(|seen| seen.blocked = seen.blocked.or(Some(does)));
        self.goes_live().await;
    }

    pub(super) fn note_asked(&self, key: &StepKey) {
        self.note(|seen| seen.asked.push(key.clone()));
    }

    /// Never returns in a trial.
    pub(super) async fn ends(&self, error: Option<&ErrorInfo>) {
        self.note(|seen| seen.ended = seen.ended.take().or_else(|| Some(error.cloned())));
        self.goes_live().await;
    }

    /// Never returns in a trial.
    pub(super) async fn goes_live(&self) {
        if self.is_trial() {
            std::future::pending::<()>().await;
        }
    }

    fn note(&self, what: impl FnOnce(&mut Seen)) {
        if let Some(mut seen) = self.seen() {
            what(&mut seen);
        }
    }

    fn seen(&self) -> Option<MutexGuard<'_, Seen>> {
        Some(self.seen.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self) -> Looked {
        let mut inner = self.lock();
        let outside = inner.outside > 0;
        let releases = inner.replay.quiescent(outside);
        if releases.is_empty() {
            return if outside { Looked::Outside } else { Looked::Quiet };
        }
        inner.hand_out(releases);
        Looked::Released
    }
}
