//! What earlier runs recorded, handed out again as it was seen then.
//!
//! A recorded outcome must reach the guest at the same point of its execution as in the run that recorded it; otherwise branches
//! that run side by side number their steps differently, or a race has another winner. In the recording run every outcome arrived
//! while the guest was waiting (a commit lies between), so:
//!
//! - When more than one call is open, outcomes are held and handed out one at a time, in recorded order, each time the guest can
//!   do nothing more by itself.
//! - Where the record shows that the code was sequential (this step and the next began with no other call open), nothing could
//!   have happened in between, and the outcome is handed out at once. This is what makes long replays fast.
//! - Calls that are not recorded wait until everything recorded was handed out or is not asked for any more. Then all that wait go on
//!   together, so that what begins now begins in the order of the code.
//!
//! Pure: knows no channel and no task. Tickets stand for the calls that wait.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::engine::{Instance, InstanceStatus, Outcome, StepKey, StepKind, StepState};

/// A call that was told to wait.
pub(super) type Ticket = u64;

/// What a call is told.
#[derive(Debug, PartialEq)]
pub(super) enum Ask {
    /// Recorded; go on at once.
    Now(Outcome),
    /// Recorded; wait until the ticket is released with the outcome.
    Held(Ticket),
    /// Not done yet according to the record. The flag: whether the record knows the step.
    Live {
        /// The step was begun by an earlier run.
        known: bool,
    },
    /// As `Live`, but wait until the ticket is released.
    HeldLive {
        /// See `Live`.
        known: bool,
        /// What to wait for.
        ticket: Ticket,
    },
    /// Not answered in this run, which is there for its handlers only.
    Never,
}

/// A call that may go on.
#[derive(Debug, PartialEq)]
pub(super) enum Release {
    /// With this outcome.
    Outcome(Ticket, Outcome),
    /// Live.
    Live(Ticket),
}

#[derive(Debug)]
struct Recorded {
    /// Taken when handed out. None for a step that was open.
    outcome: Option<Outcome>,
    done: bool,
    /// The code was sequential here.
    solo: bool,
    /// See [`crate::engine::Step::nested`].
    nested: Option<bool>,
    asked: bool,
    /// The call that waits for it.
    ticket: Option<Ticket>,
}

/// The record of an instance, as one run consumes it.
#[derive(Debug, Default)]
pub(super) struct Replay {
    steps: HashMap<StepKey, Recorded>,
    /// Done steps in recorded order.
    order: VecDeque<StepKey>,
    unasked: usize,
    /// Outcomes not handed out yet.
    left: usize,
    live_waiters: Vec<Ticket>,
    next_ticket: Ticket,
    /// The guest does not ask for the rest.
    given_up: bool,
    /// Of a run that is there for its handlers: steps with one that have not been asked for. Beyond the last of them the guest does
    /// not go, so that what ended `run` does not end the run that is to compensate it.
    handlers: Option<HashSet<StepKey>>,
}

impl Replay {
    /// Takes the recorded outcomes out of `instance`, which must be whole.
    pub(super) fn take(instance: &mut Instance) -> Self {
        let rolls_back = instance.status() == InstanceStatus::RollingBack;
        let handlers = rolls_back.then(|| instance.to_compensate().cloned().collect());
        // Compensations come after all steps, and nobody asks for them by name.
        let first = instance.steps().iter().position(|step| step.key.kind == StepKind::Rollback);
        let steps = &instance.steps()[..first.unwrap_or(instance.steps().len())];
        let order: VecDeque<_> = instance
            .done_order()
            .iter()
            .filter_map(|no| steps.get(*no as usize))
            .map(|step| step.key.clone())
            .collect();
        let mut replay = Self {
            left: order.len(),
            handlers,
            steps: HashMap::with_capacity(steps.len()),
            order,
            unasked: steps.len(),
            ..Self::default()
        };
        for (index, step) in steps.iter().enumerate() {
            let outcome = match &step.state {
                StepState::Done(outcome) => Some(outcome.clone()),
                _ => None,
            };
            let next_alone = steps.get(index + 1).is_some_and(|next| next.alone);
            let recorded = Recorded {
                done: outcome.is_some(),
                outcome,
                solo: step.alone && next_alone,
                nested: step.nested,
                asked: false,
                ticket: None,
            };
            replay.steps.insert(step.key.clone(), recorded);
        }
        if !rolls_back {
            for no in instance.done_order().to_vec() {
                instance.release(no);
            }
        }
        replay
    }

    /// Whether every step whose handler is wanted has been asked for.
    pub(super) fn is_collected(&self) -> bool {
        self.handlers.as_ref().is_some_and(HashSet::is_empty)
    }

    /// Whether the step `key` is not the one that is asked for: `nested`, by the body of a step. Bodies that do not run again do not ask
    /// for theirs, which must not be taken for a step of the same name outside.
    pub(super) fn is_of_others(&self, key: &StepKey, nested: bool) -> bool {
        self.steps.get(key).and_then(|recorded| recorded.nested).is_some_and(|was| was != nested)
    }

    /// The guest asks for the step `key`.
    pub(super) fn ask(&mut self, key: &StepKey) -> Ask {
        if let Some(handlers) = &mut self.handlers {
            handlers.remove(key);
            if handlers.is_empty() || self.steps.get(key).is_none_or(|recorded| !recorded.done || recorded.asked) {
                return Ask::Never;
            }
        }
        let mut known = false;
        if let Some(recorded) = self.steps.get_mut(key)
            && !recorded.asked
        {
            known = true;
            recorded.asked = true;
            self.unasked -= 1;
            if recorded.done {
                if recorded.solo || self.given_up {
                    self.left -= 1;
                    return Ask::Now(recorded.outcome.take().unwrap_or(Outcome::Stored));
                }
                self.next_ticket += 1;
                recorded.ticket = Some(self.next_ticket);
                return Ask::Held(self.next_ticket);
            }
        }
        // One after the other in the order of the code, not of what they were waiting for.
        if self.is_live() && self.live_waiters.is_empty() {
            // Beyond the record: what of it has not been asked for by now is not missed.
            self.given_up |= !known;
            return Ask::Live { known };
        }
        self.next_ticket += 1;
        self.live_waiters.push(self.next_ticket);
        Ask::HeldLive { known, ticket: self.next_ticket }
    }

    /// The guest can do nothing more by itself: who may go on? `outside`: it waits for something of the outside world,
    /// so it may still ask for more of the record.
    pub(super) fn quiescent(&mut self, outside: bool) -> Vec<Release> {
        if self.is_collected() {
            return Vec::new();
        }
        // Handed out, or dropped by the guest: not waited for any more.
        while let Some(key) = self.order.front()
            && self.steps.get(key).is_none_or(|recorded| recorded.outcome.is_none())
        {
            self.order.pop_front();
        }
        let steps = &self.steps;
        let held = self.order.iter().position(|key| steps.get(key).is_some_and(|recorded| recorded.ticket.is_some()));
        if let Some(index) = held
            && let Some(recorded) = self.order.remove(index).and_then(|key| self.steps.get_mut(&key))
            && let (Some(ticket), Some(outcome)) = (recorded.ticket.take(), recorded.outcome.take())
        {
            self.left -= 1;
            return vec![Release::Outcome(ticket, outcome)];
        }
        // Only for the sake of a call that waits: a guest that has not come to its first step yet has not given up anything.
        // What the guest waits for outside matters no more when everything recorded was handed out.
        if self.live_waiters.is_empty() || (outside && self.left > 0) {
            return Vec::new();
        }
        self.given_up |= !outside;
        self.live_waiters.drain(..).map(Release::Live).collect()
    }

    /// The guest dropped a call that was told to wait.
    pub(super) fn cancel(&mut self, key: &StepKey, ticket: Ticket) {
        self.live_waiters.retain(|waiting| *waiting != ticket);
        if let Some(recorded) = self.steps.get_mut(key)
            && recorded.ticket == Some(ticket)
        {
            recorded.ticket = None;
            recorded.outcome = None;
            self.left -= 1;
        }
    }

    /// Whether what is not recorded may be done.
    pub(super) fn is_live(&self) -> bool {
        self.left == 0 || self.given_up
    }

    /// Whether the guest is still where an earlier run has been.
    pub(super) fn is_replaying(&self) -> bool {
        !self.given_up && (self.left > 0 || self.unasked > 0)
    }

    /// Recorded steps that the guest has not asked for.
    pub(super) fn unasked(&self) -> impl Iterator<Item = &StepKey> {
        self.steps.iter().filter(|(_, recorded)| !recorded.asked).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::engine::{Bytes, Entry, Stamped, StepConfig, StepKind};

    fn key(name: &str) -> StepKey {
        StepKey::new(StepKind::Do, name, 1)
    }

    fn start(name: &str, alone: bool) -> Entry {
        Entry::StepStarted {
            key: key(name),
            alone,
            config: Arc::new(StepConfig::default()),
            rollback: None,
            nested: false,
        }
    }

    fn done(step: u32) -> Entry {
        Entry::StepSucceeded { step, output: Bytes::from(vec![u8::try_from(step).unwrap()]) }
    }

    fn output(step: u8) -> Outcome {
        Outcome::Output(Bytes::from(vec![step]))
    }

    fn replay(entries: Vec<Entry>) -> Replay {
        let entries = entries.into_iter().map(|entry| Stamped { at: Timestamp(0), entry });
        Replay::take(&mut Instance::replay(entries))
    }

    #[test]
    fn sequential_steps_are_answered_at_once() {
        let mut replay = replay(vec![start("a", true), done(0), start("b", true), done(1), start("c", true)]);
        assert_eq!(replay.ask(&key("a")), Ask::Now(output(0)));
        assert_eq!(replay.ask(&key("b")), Ask::Now(output(1)));
        assert!(replay.is_replaying());
        assert_eq!(replay.ask(&key("c")), Ask::Live { known: true });
        assert!(!replay.is_replaying());
        assert_eq!(replay.ask(&key("d")), Ask::Live { known: false });
    }

    #[test]
    fn a_race_is_handed_out_in_the_recorded_order() {
        let mut replay = replay(vec![start("a", true), start("b", false), done(1), done(0)]);
        assert_eq!(replay.ask(&key("a")), Ask::Held(1));
        assert_eq!(replay.ask(&key("b")), Ask::Held(2));
        assert_eq!(replay.quiescent(false), [Release::Outcome(2, output(1))]);
        assert_eq!(replay.ask(&key("c")), Ask::HeldLive { known: false, ticket: 3 });
        assert_eq!(replay.quiescent(false), [Release::Outcome(1, output(0))]);
        assert_eq!(replay.quiescent(false), [Release::Live(3)]);
    }

    #[test]
    fn the_loser_that_the_guest_drops_is_not_waited_for() {
        let mut replay = replay(vec![start("a", true), start("b", false), done(1), done(0)]);
        assert_eq!(replay.ask(&key("a")), Ask::Held(1));
        assert_eq!(replay.ask(&key("b")), Ask::Held(2));
        assert_eq!(replay.quiescent(false), [Release::Outcome(2, output(1))]);
        replay.cancel(&key("a"), 1);
        assert_eq!(replay.ask(&key("c")), Ask::Live { known: false });
    }

    #[test]
    fn a_guest_that_waits_before_its_first_step_is_still_replayed() {
        let mut replay = replay(vec![start("a", true), done(0), start("b", true), done(1)]);
        assert_eq!(replay.quiescent(false), []);
        assert_eq!(replay.quiescent(false), []);
        assert!(replay.is_replaying());
        assert_eq!(replay.ask(&key("a")), Ask::Now(output(0)));
    }

    #[test]
    fn a_sleep_of_a_record_that_does_not_tell_whose_it_is_may_be_anybodys() {
        let key = StepKey::new(StepKind::Sleep, "x", 1);
        for (nested, of_others) in [(Some(true), [true, false]), (Some(false), [false, true]), (None, [false, false])] {
            let sleep = Entry::SleepStarted { key: key.clone(), alone: true, wake_at: Timestamp(9), nested };
            let replay = replay(vec![sleep, Entry::SleepCompleted { step: 0 }]);
            assert_eq!([false, true].map(|nested| replay.is_of_others(&key, nested)), of_others, "{nested:?}");
        }
    }

    #[test]
    fn a_record_the_code_does_not_ask_for_does_not_block() {
        let mut replay = replay(vec![start("gone", true), done(0), start("b", true), done(1)]);
        assert_eq!(replay.ask(&key("new")), Ask::HeldLive { known: false, ticket: 1 });
        assert_eq!(replay.quiescent(false), [Release::Live(1)]);
        assert_eq!(replay.ask(&key("b")), Ask::Now(output(1)));
        assert_eq!(replay.unasked().count(), 1);
    }
}
