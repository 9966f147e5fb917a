//! What a handler says of its messages, as long as it runs: it may be gone when that counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is done.
    Ack,
    /// It is to be delivered again, after so many seconds if it says so.
    Retry(Option<u32>),
}

/// What was said so far.
#[derive(Debug)]
pub struct Marks(Mutex<Said>);

#[derive(Debug)]
struct Said {
    of_each: Vec<Option<Mark>>,
    of_all: Option<Mark>,
}

impl Marks {
    /// Of so many messages, of which nothing was said yet.
    #[must_use]
    pub fn new(messages: usize) -> Self {
        Self(Mutex::new(Said { of_each: vec![None; messages], of_all: None }))
    }

    /// Says something of one message. False when something was said of it already, which counts, or there is no such message.
    pub fn mark(&self, index: usize, mark: Mark) -> bool {
        let mut said = self.said();
        match said.of_each.get_mut(index) {
            Some(of_it @ None) => {
                *of_it = Some(mark);
                true
            }
            _ => false,
        }
    }

    /// Says something of all of which nothing else is said. What is said first counts.
    pub fn mark_all(&self, mark: Mark) {
        self.said().of_all.get_or_insert(mark);
    }

    /// What counts of each message in the end. A retry without a delay of its own has the one that was said of all.
    #[must_use]
    pub fn outcome(&self, failed: bool) -> Vec<Mark> {
        let said = self.said();
        let of_all = said.of_all.unwrap_or(if failed { Mark::Retry(None) } else { Mark::Ack });
        let delay_of_all = match said.of_all {
            Some(Mark::Retry(delay)) => delay,
            _ => None,
        };
        let outcome = |mark: &Option<Mark>| match mark.unwrap_or(of_all) {
            Mark::Retry(delay) => Mark::Retry(delay.or(delay_of_all)),
            Mark::Ack => Mark::Ack,
        };
        said.of_each.iter().map(outcome).collect()
    }

    /// What was said of each message, and what of all: as it was said, not what follows from it.
    #[must_use]
    pub fn so_far(&self) -> (Vec<Option<Mark>>, Option<Mark>) {
        let said = self.said();
        (said.of_each.clone(), said.of_all)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        // A panic while the lock was held left nothing half said.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    const AGAIN: Mark = Mark::Retry(None);

    fn outcome(failed: bool, say: impl FnOnce(&Marks)) -> Vec<Mark> {
        let marks = Marks::new(2);
        say(&marks);
        marks.outcome(failed)
    }

    #[test]
    fn the_end_of_the_handler_decides_where_nothing_was_said() {
        assert_eq!(outcome(false, |_| ()), [Mark::Ack, Mark::Ack]);
        assert_eq!(outcome(true, |_| ()), [AGAIN, AGAIN]);
    }

    #[test]
    fn what_is_acknowledged_is_done_even_if_the_handler_fails() {
        assert_eq!(outcome(true, |marks| assert!(marks.mark(0, Mark::Ack))), [Mark::Ack, AGAIN]);
        assert_eq!(outcome(true, |marks| marks.mark_all(Mark::Ack)), [Mark::Ack, Mark::Ack]);
    }

    #[test]
    fn what_is_said_first_counts() {
        let both = |first, second| {
            outcome(false, |marks| {
                assert!(marks.mark(0, first));
                assert!(!marks.mark(0, second));
            })
        };
        assert_eq!(both(Mark::Ack, AGAIN), [Mark::Ack, Mark::Ack]);
        assert_eq!(both(AGAIN, Mark::Ack), [AGAIN, Mark::Ack]);
        let all = outcome(false, |marks| {
            marks.mark_all(AGAIN);
            marks.mark_all(Mark::Ack);
        });
        assert_eq!(all, [AGAIN, AGAIN]);
    }

    #[test]
    fn what_is_said_of_one_counts_more_than_what_is_said_of_all() {
        let after = |say: fn(&Marks)| outcome(false, say);
        assert_eq!(
            after(|marks| {
                marks.mark_all(AGAIN);
                marks.mark(0, Mark::Ack);
            }),
            [Mark::Ack, AGAIN]
        );
        assert_eq!(
            after(|marks| {
                marks.mark_all(Mark::Ack);
                marks.mark(1, AGAIN);
            }),
            [Mark::Ack, AGAIN]
        );
    }

    #[test]
    fn the_delay_of_a_message_counts_more_than_that_of_all() {
        let delays = outcome(true, |marks| {
            marks.mark(0, Mark::Retry(Some(3)));
            marks.mark_all(Mark::Retry(Some(9)));
        });
        assert_eq!(delays, [Mark::Retry(Some(3)), Mark::Retry(Some(9))]);
        let without = outcome(false, |marks| {
            marks.mark(0, AGAIN);
            marks.mark_all(Mark::Retry(Some(9)));
        });
        assert_eq!(without[0], Mark::Retry(Some(9)));
    }

    #[test]
    fn a_message_that_is_not_there_is_ignored() {
        assert_eq!(outcome(false, |marks| assert!(!marks.mark(2, AGAIN))), [Mark::Ack, Mark::Ack]);
    }

    /// What a handler says: of one message or of all.
    type Call = (Option<usize>, Mark);

    /// The contract as it is written: the first call of a message counts, else the first of all, else the end of the handler; a delay is the
    /// message's own, else the one that was said of all.
    fn documented(calls: &[Call], messages: usize, failed: bool) -> Vec<Mark> {
        let first = |of: Option<usize>| calls.iter().find(|(index, _)| *index == of).map(|(_, mark)| *mark);
        let delay_of_all = match first(None) {
            Some(Mark::Retry(delay)) => delay,
            _ => None,
        };
        let otherwise = first(None).unwrap_or(if failed { AGAIN } else { Mark::Ack });
        let outcome = |index| match first(Some(index)).unwrap_or(otherwise) {
            Mark::Retry(delay) => Mark::Retry(delay.or(delay_of_all)),
            Mark::Ack => Mark::Ack,
        };
        (0..messages).map(outcome).collect()
    }

    fn call() -> impl Strategy<Value = Call> {
        let mark = prop_oneof![Just(Mark::Ack), option::of(0_u32..3).prop_map(Mark::Retry)];
        (option::of(0_usize..4), mark)
    }

    proptest! {
        #[test]
        fn whatever_is_said_in_whatever_order_means_what_is_documented(
            calls in vec(call(), 0..8), messages in 0_usize..4, failed: bool,
        ) {
            let marks = Marks::new(messages);
            for (of, mark) in &calls {
                match of {
                    Some(index) => { marks.mark(*index, *mark); }
                    None => marks.mark_all(*mark),
                }
            }
            prop_assert_eq!(marks.outcome(failed), documented(&calls, messages, failed));
        }
    }
}
