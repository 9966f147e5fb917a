//! Concurrency slots. Only an instance with an active run holds one; woken instances go before new ones, oldest first.
//!
//! A workflow without a limit is always admitted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::message::InstanceKey;

#[derive(Default)]
pub(super) struct Admission {
    workflows: HashMap<Arc<str>, Slots>,
}

#[derive(Default)]
struct Slots {
    limit: usize,
    used: usize,
    woken: VecDeque<InstanceKey>,
    fresh: VecDeque<InstanceKey>,
}

impl Admission {
    pub(super) fn limit(&mut self, workflow: &Arc<str>, limit: usize) {
        self.workflows.entry(Arc::clone(workflow)).or_default().limit = limit;
    }

    pub(super) fn is_limited(&self, workflow: &str) -> bool {
        self.workflows.contains_key(workflow)
    }

    /// Takes a slot, or a place in the queue. Not to be asked again for an instance that has either.
    pub(super) fn admit(&mut self, workflow: &str, key: InstanceKey, woken: bool) -> bool {
        let Some(slots) = self.workflows.get_mut(workflow) else { return true };
        if slots.used < slots.limit {
            slots.used += 1;
            return true;
        }
        let queue = if woken { &mut slots.woken } else { &mut slots.fresh };
        queue.push_back(key);
        false
    }

    /// Gives a slot back; whoever is next has it from now on.
    pub(super) fn release(&mut self, workflow: &str) -> Option<InstanceKey> {
        let slots = self.workflows.get_mut(workflow)?;
        let next = slots.woken.pop_front().or_else(|| slots.fresh.pop_front());
        if next.is_none() {
            slots.used = slots.used.saturating_sub(1);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn woken_instances_go_before_new_ones_and_the_oldest_first() {
        let mut admission = Admission::default();
        admission.limit(&Arc::from("w"), 1);
        assert!(admission.admit("w", 1, false));
        for (key, woken) in [(2, false), (3, false), (4, true), (5, true)] {
            assert!(!admission.admit("w", key, woken));
        }
        let order: Vec<_> = std::iter::from_fn(|| admission.release("w")).collect();
        assert_eq!(order, [4, 5, 2, 3]);
        assert!(admission.admit("w", 6, false), "the last release freed the slot");
    }

    #[test]
    fn without_a_limit_everybody_is_admitted() {
        let mut admission = Admission::default();
        assert!((0..10_000).all(|key| admission.admit("w", key, false)));
    }
}
