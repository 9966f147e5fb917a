//! Concurrency slots, of each workflow and of the account. Only an instance with an active run holds one; woken instances go before
//! new ones, oldest first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::message::InstanceKey;

pub(super) struct Admission {
    workflows: HashMap<Arc<str>, Slots>,
    limit: usize,
    used: usize,
    queued: usize,
    /// Numbers the places in the queues, over all workflows.
    next_place: u64,
}

#[derive(Default)]
struct Slots {
    limit: Option<usize>,
    used: usize,
    woken: VecDeque<(u64, InstanceKey)>,
    fresh: VecDeque<(u64, InstanceKey)>,
}

impl Slots {
    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.used >= limit)
    }
}

/// Slots of the account that should be left before instances that wait keep theirs for the moment.
const SPARE: usize = 2048;

impl Admission {
    /// Slots for an account with `limit` of them.
    pub(super) fn new(limit: usize) -> Self {
        Self { workflows: HashMap::new(), limit, used: 0, queued: 0, next_place: 0 }
    }

    pub(super) fn add(&mut self, workflow: &Arc<str>, limit: Option<usize>) {
        self.workflows.entry(Arc::clone(workflow)).or_default().limit = limit;
    }

    /// Whether a slot that is held without need would be missed.
    pub(super) fn is_tight(&self, workflow: &str) -> bool {
        self.workflows.get(workflow).is_some_and(|slots| slots.limit.is_some()) || self.used + SPARE > self.limit
    }

    /// Takes a slot, or a place in the queue. Not to be asked again for an instance that has either.
    pub(super) fn admit(&mut self, workflow: &str, key: InstanceKey, woken: bool) -> bool {
        let free = self.used < self.limit;
        let Some(slots) = self.workflows.get_mut(workflow) else { return true };
        if free && !slots.is_full() {
            slots.used += 1;
            self.used += 1;
            return true;
        }
        let queue = if woken { &mut slots.woken } else { &mut slots.fresh };
        queue.push_back((self.next_place, key));
        self.next_place += 1;
        self.queued += 1;
        false
    }

    /// Gives a slot back; whoever is next has it from now on.
    pub(super) fn release(&mut self, workflow: &str) -> Option<(InstanceKey, Arc<str>)> {
        let slots = self.workflows.get_mut(workflow)?;
        slots.used = slots.used.saturating_sub(1);
        self.used = self.used.saturating_sub(1);
        self.admit_next()
    }

    /// Whoever is next has a slot from now on, if there is one.
    pub(super) fn admit_next(&mut self) -> Option<(InstanceKey, Arc<str>)> {
        if self.queued == 0 || self.used >= self.limit {
            return None;
        }
        self.next(|slots| &mut slots.woken).or_else(|| self.next(|slots| &mut slots.fresh))
    }

    fn next(
        &mut self,
        queue: impl Fn(&mut Slots) -> &mut VecDeque<(u64, InstanceKey)>,
    ) -> Option<(InstanceKey, Arc<str>)> {
        let open = self.workflows.iter_mut().filter(|(_, slots)| !slots.is_full());
        let (_, name) = open.filter_map(|(name, slots)| Some((queue(slots).front()?.0, Arc::clone(name)))).min()?;
        let slots = self.workflows.get_mut(&name)?;
        let (_, key) = queue(slots).pop_front()?;
        slots.used += 1;
        self.used += 1;
        self.queued -= 1;
        Some((key, name))
    }

    /// Gives up a place in the queue.
    pub(super) fn cancel(&mut self, workflow: &str, key: InstanceKey) {
        if let Some(slots) = self.workflows.get_mut(workflow) {
            for queue in [&mut slots.woken, &mut slots.fresh] {
                let before = queue.len();
                queue.retain(|(_, queued)| *queued != key);
                self.queued -= before - queue.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(account: usize, limits: &[(&str, Option<usize>)]) -> Admission {
        let mut admission = Admission::new(account);
        for (name, limit) in limits {
            admission.add(&Arc::from(*name), *limit);
        }
        admission
    }

    // rules: C3-28, C4.4-3
    #[test]
    fn woken_instances_go_before_new_ones_and_the_oldest_first() {
        let mut admission = admission(100, &[("w", Some(1))]);
        assert!(admission.admit("w", 1, false));
        for (key, woken) in [(2, false), (3, false), (4, true), (5, true)] {
            assert!(!admission.admit("w", key, woken));
        }
        let order: Vec<_> = std::iter::from_fn(|| admission.release("w").map(|(key, _)| key)).collect();
        assert_eq!(order, [4, 5, 2, 3]);
        assert!(admission.admit("w", 6, false), "the last release freed the slot");
    }

    #[test]
    fn without_a_limit_everybody_is_admitted() {
        let mut admission = admission(50_000, &[("w", None)]);
        assert!((0..10_000).all(|key| admission.admit("w", key, false)));
    }

    #[test]
    fn an_account_has_fifty_thousand_slots() {
        let mut admission = admission(crate::engine::limits::CONCURRENCY_ACCOUNT_MAX, &[("w", None)]);
        assert!((0..50_000).all(|key| admission.admit("w", key, false)));
        assert!(!admission.admit("w", 50_000, false));
    }

    #[test]
    fn the_account_is_shared_by_all_workflows() {
        let mut admission = admission(2, &[("a", None), ("b", None), ("c", Some(1))]);
        assert!(admission.admit("a", 1, false) && admission.admit("b", 2, false));
        assert!(!admission.admit("b", 3, false) && !admission.admit("a", 4, false) && !admission.admit("c", 5, true));
        assert_eq!(admission.release("a").map(|(key, _)| key), Some(5), "the woken one, of whichever workflow");
        assert_eq!(admission.release("b").map(|(key, _)| key), Some(3), "then the oldest");
        assert_eq!(admission.release("b").map(|(key, _)| key), Some(4));
        assert_eq!(admission.release("a"), None);
    }

    #[test]
    fn a_full_workflow_does_not_hold_up_the_others() {
        let mut admission = admission(2, &[("a", Some(1)), ("b", None)]);
        assert!(admission.admit("a", 1, false) && admission.admit("b", 2, false));
        assert!(!admission.admit("a", 3, true) && !admission.admit("b", 4, false));
        assert_eq!(admission.release("b").map(|(key, _)| key), Some(4));
    }

    #[test]
    fn who_gave_up_its_place_is_passed_over() {
        let mut admission = admission(9, &[("w", Some(1))]);
        assert!(admission.admit("w", 1, false));
        assert!(!admission.admit("w", 2, false) && !admission.admit("w", 3, false));
        admission.cancel("w", 2);
        assert_eq!(admission.release("w").map(|(key, _)| key), Some(3));
        assert_eq!(admission.release("w"), None);
    }
}
