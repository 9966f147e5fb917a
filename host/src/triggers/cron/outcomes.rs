//! What came of the last expressions that fired. In memory: a session begins with none.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use miniflow_runtime::Timestamp;
use miniflow_runtime::storage::CronTarget;

/// Outcomes that are kept (as many past events as production shows).
pub const KEPT_MAX: usize = 100;

/// Expressions whose last outcome is kept: more than a session can have; by hand any text can be fired.
const EXPRESSIONS_MAX: usize = 1000;

/// An expression that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whose it is.
    pub target: CronTarget,
    /// As it is written.
    pub cron: String,
    /// The moment it fired for.
    pub time: Timestamp,
    /// It did not fire by itself.
    pub by_hand: bool,
    /// What came of it.
    pub came: Came,
}

/// What came of an expression that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// An instance was made.
    Made {
        /// Its id.
        id: String,
    },
    /// The instance of that moment was there already.
    Existed {
        /// Its id.
        id: String,
    },
    /// The handler has ended.
    Ended {
        /// Why it failed, if it did.
        error: Option<String>,
        /// Real time that it took, with all it let run on.
        took: Duration,
    },
}

#[derive(Default)]
pub(super) struct Outcomes {
    /// Oldest first.
    recent: VecDeque<Outcome>,
    last: BTreeMap<(CronTarget, String), Outcome>,
}

impl Outcomes {
    pub(super) fn add(&mut self, outcome: Outcome) {
        let key = (outcome.target.clone(), outcome.cron.clone());
        if self.last.len() < EXPRESSIONS_MAX || self.last.contains_key(&key) {
            self.last.insert(key, outcome.clone());
        }
        if self.recent.len() == KEPT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(outcome);
    }

    /// Newest first.
    pub(super) fn recent(&self) -> Vec<Outcome> {
        self.recent.iter().rev().cloned().collect()
    }

    pub(super) fn last(&self, target: &CronTarget, cron: &str) -> Option<Outcome> {
        self.last.get(&(target.clone(), cron.to_owned())).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(cron: &str, at: u64) -> Outcome {
        let target = CronTarget::Workflow("w".to_owned());
        let came = Came::Made { id: format!("{cron}-{at}") };
        Outcome { target, cron: cron.to_owned(), time: Timestamp(at), by_hand: false, came }
    }

    #[test]
    fn the_last_hundred_are_kept_and_the_last_of_each_expression() {
        let mut outcomes = Outcomes::default();
        outcomes.add(made("seldom", 0));
        for at in 1..=250 {
            outcomes.add(made("often", at));
        }
        let recent: Vec<_> = outcomes.recent().iter().map(|outcome| outcome.time.as_millis()).collect();
        assert!(recent.iter().copied().eq((151..=250).rev()), "{recent:?}");
        let target = CronTarget::Workflow("w".to_owned());
        assert_eq!(outcomes.last(&target, "seldom"), Some(made("seldom", 0)));
        assert_eq!(outcomes.last(&target, "often"), Some(made("often", 250)));
        assert_eq!(outcomes.last(&CronTarget::Worker("w".to_owned()), "often"), None);
    }

    #[test]
    fn any_number_of_texts_can_be_fired() {
        let mut outcomes = Outcomes::default();
        for at in 0..2 * EXPRESSIONS_MAX as u64 {
            outcomes.add(made(&at.to_string(), at));
        }
        assert_eq!(outcomes.last.len(), EXPRESSIONS_MAX);
    }
}
