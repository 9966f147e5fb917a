//! Whether anything can still happen at the present moment: for whoever moves the clock.
//!
//! Promises: still means that every message is taken, everything is committed and said, and every guest waits for a moment to come, a
//! user event, or code that is not there. Never does: move the clock.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::core::{Core, WHOLE_INSTANCE};
use super::message::{InstanceKey, Message};
use crate::clock::Timestamp;
use crate::engine::{Instance, InstanceStatus, StepNo, StepState};
use crate::run::Run;
use crate::storage::{NewInstance, Storage};

/// What is to come when nothing can happen any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stillness {
    /// When something happens by itself.
    pub next: Option<Timestamp>,
    /// When the next sleep or delay before an attempt ends; only if it was asked for.
    pub next_wake: Option<Timestamp>,
}

/// What is done about it, at most once for each time that nothing can happen any more. True: the clock was moved.
pub(crate) type GoOn = Box<dyn FnMut(Stillness) -> bool + Send>;

/// Somebody who wants to know when nothing happens any more.
pub(super) struct StillAsked {
    pub(super) with_wake: bool,
    /// Asked before it is told, unless somebody holds the clock.
    pub(super) then: Option<GoOn>,
    pub(super) reply: oneshot::Sender<Stillness>,
}

/// What is known of instances that are not in memory: when their next sleep or delay ends.
pub(super) type Wakes = HashMap<InstanceKey, Option<Timestamp>>;

impl<S: Storage> Core<S> {
    /// Answers those who wait for it, if nothing can happen any more. Returns whether one of them has moved the clock, so that something can.
    pub(super) fn answer_still(&mut self, inbox: &UnboundedReceiver<Message>) -> bool {
        self.still_asked.retain(|asked| !asked.reply.is_closed());
        if self.still_asked.is_empty() {
            return false;
        }
        let held = self.clock.held_before();
        // In this order: a guest that is seen at rest has sent what it had to say, and so has whoever held the clock.
        if !self.is_still() || !inbox.is_empty() {
            return false;
        }
        // Nobody has worked meanwhile who could have given the instances something to do after they were looked at.
        let is_free = held.is_some() && self.clock.held_before() == held;
        let next = self.next_moment();
        let next_wake = self.still_asked.iter().any(|asked| asked.with_wake).then(|| self.next_wake()).flatten();
        let still = Stillness { next, next_wake };
        let (movers, others): (Vec<_>, Vec<_>) = self.still_asked.drain(..).partition(|asked| asked.then.is_some());
        for asked in others {
            // Whoever asked may have gone.
            let _ = asked.reply.send(still);
        }
        let mut moved = false;
        for mut asked in movers {
            let goes_on = !is_free || moved || asked.then.as_mut().is_some_and(|then| then(still));
            if goes_on {
                moved |= is_free;
                self.still_asked.push(asked);
            } else {
                let _ = asked.reply.send(still);
            }
        }
        moved
    }

    fn is_still(&self) -> bool {
        let now = self.clock.now();
        self.starts.is_empty()
            && !self.urgent
            && self.replies.is_empty()
            && self.next_moment().is_none_or(|at| at > now)
            && self.working().next().is_none()
            && !self.napping.iter().any(naps)
    }

    /// The run is over. If its guest is to be dropped while it waits on the clock, that wait looks until then as if somebody were to be woken.
    pub(super) fn is_over(&mut self, run: &Arc<Run>) {
        if run.naps_in_vain() {
            self.napping.retain(naps);
            self.napping.push(Arc::downgrade(run));
        }
    }

    /// Instances whose guests are not done with the present moment.
    fn working(&self) -> impl Iterator<Item = (&NewInstance, String)> {
        self.residents.values().filter_map(|resident| {
            let active = resident.active.as_ref()?;
            if active.run.is_at_rest(active.answers_sent) {
                return None;
            }
            let step = active.run.current_step().map_or_else(String::new, |(step, _)| format!(" in step {step}"));
            Some((&resident.fixed, step))
        })
    }

    /// As [`Self::working`], for people.
    pub(super) fn working_names(&self) -> Vec<String> {
        self.working().map(|(fixed, step)| format!("{}/{}{step}", fixed.workflow, fixed.id)).collect()
    }

    /// When the next sleep or delay before an attempt ends. Time-outs are none: they come when time passes them.
    fn next_wake(&mut self) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        let timers: Vec<_> = self.timers.iter().copied().collect();
        for (at, key, step) in timers {
            if next.is_some_and(|next| next <= at) {
                break;
            }
            let wake = if step == WHOLE_INSTANCE {
                self.wake_of(key)
            } else {
                self.residents.get(&key).and_then(|resident| wakes(&resident.instance, step).then_some(at))
            };
            next = [next, wake].into_iter().flatten().min();
        }
        next
    }

    fn wake_of(&mut self, key: InstanceKey) -> Option<Timestamp> {
        if let Some(known) = self.wakes.get(&key) {
            return *known;
        }
        // One that an earlier process left: what it waits for is only in its journal.
        let wake = self.read(key).ok().flatten().and_then(|resident| next_wake(&resident.instance));
        self.wakes.insert(key, wake);
        wake
    }

    /// Says what a timer that fires now stands for.
    pub(super) fn note_due(&self, key: InstanceKey, step: StepNo) {
        let Some(resident) = self.residents.get(&key) else { return };
        let Some((step, state)) = resident.instance.step(step).map(|step| (&step.key, &step.state)) else { return };
        let (workflow, id) = (&resident.fixed.workflow, &resident.fixed.id);
        match state {
            StepState::Sleeping { .. } => {
                self.clock.note_due(&format_args!("{workflow}/{id} sleep {step} is over"));
            }
            StepState::Retrying { next_attempt, .. } => {
                self.clock.note_due(&format_args!("{workflow}/{id} step {step} begins attempt {next_attempt}"));
            }
            StepState::Waiting { event_type, .. } => {
                self.clock
                    .note_due(&format_args!("{workflow}/{id} wait {step} for an event `{event_type}` has timed out"));
            }
            StepState::Executing { attempt, .. } => {
                self.clock.note_due(&format_args!("{workflow}/{id} step {step} attempt {attempt} has timed out"));
            }
            StepState::Abandoned { .. } | StepState::Done(_) => {}
        }
    }
}

/// When the next of its sleeps and delays before an attempt ends.
pub(super) fn next_wake(instance: &Instance) -> Option<Timestamp> {
    instance.deadlines().filter(|(step, _)| wakes(instance, *step)).map(|(_, at)| at).min()
}

fn naps(run: &Weak<Run>) -> bool {
    run.upgrade().is_some_and(|run| run.naps_in_vain())
}

fn wakes(instance: &Instance, step: StepNo) -> bool {
    match instance.step(step).map(|step| &step.state) {
        Some(StepState::Sleeping { .. }) => true,
        // While it waits for its turn no attempt begins when the delay is over.
        Some(StepState::Retrying { .. }) => instance.status() != InstanceStatus::Queued,
        _ => false,
    }
}
