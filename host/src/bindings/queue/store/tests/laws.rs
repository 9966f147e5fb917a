//! What holds for every life of a queue: no message is lost or handed out twice at a time, none early, none late, and batches are what the rule says.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What becomes of a message that was handed out.
#[derive(Clone, Copy, Debug)]
enum End {
    Done,
    Dropped,
    /// After so many seconds.
    Again(u64),
    Moved,
    Returned,
}

#[derive(Clone, Debug)]
enum Operation {
    /// Messages with these delays in seconds, together.
    Send(Vec<u32>),
    /// Milliseconds pass.
    Advance(u64),
    Take,
    /// What becomes of the batch that was handed out first: of its messages in turn, the first again after the last.
    Settle(Vec<End>),
    /// The process is killed, and there again.
    Kill,
    /// Days pass, and what is too old goes.
    Expire(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let end = prop_oneof![
        4 => Just(End::Done),
        1 => Just(End::Dropped),
        3 => (0_u64..9).prop_map(End::Again),
        1 => Just(End::Moved),
        1 => Just(End::Returned),
    ];
    prop_oneof![
        6 => vec(prop_oneof![2 => Just(0), 1 => 0_u32..12], 1..5).prop_map(Operation::Send),
        4 => (0_u64..7000).prop_map(Operation::Advance),
        8 => Just(Operation::Take),
        4 => vec(end, 1..4).prop_map(Operation::Settle),
        1 => Just(Operation::Kill),
        1 => (0_u64..5).prop_map(Operation::Expire),
    ]
}

/// A message that is there.
#[derive(Clone, Debug)]
struct Kept {
    id: String,
    queue: &'static str,
    sent_at: u64,
    expires_at: u64,
    /// None: it is handed out.
    visible_at: Option<u64>,
    attempts: u32,
}

struct World {
    folder: tempfile::TempDir,
    store: Connection,
    now: u64,
    sent: u32,
    /// In the order of sending.
    kept: Vec<Kept>,
    handed: Vec<Vec<Received>>,
}

impl World {
    fn open(folder: &tempfile::TempDir) -> Connection {
        open(Some(folder.path()), Durability::Normal).unwrap()
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Self::open(&folder);
        Self { folder, store, now: 1000, sent: 0, kept: Vec::new(), handed: Vec::new() }
    }

    fn message(&mut self, id: &str) -> &mut Kept {
        self.kept.iter_mut().find(|kept| kept.id == id).expect("it is there")
    }

    /// The moments from which on the messages that wait in `q` can be delivered, the first first.
    fn waiting(&self) -> Vec<u64> {
        let mut waiting: Vec<_> =
            self.kept.iter().filter(|kept| kept.queue == "q").filter_map(|kept| kept.visible_at).collect();
        waiting.sort_unstable();
        waiting
    }

    fn apply(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        match operation {
            Operation::Send(delays) => {
                let messages: Vec<_> = delays
                    .iter()
                    .map(|delay_s| {
                        self.sent += 1;
                        message(&self.sent.to_string(), *delay_s)
                    })
                    .collect();
                send(&self.store, "q", &messages, Timestamp(self.now)).unwrap();
                for message in messages {
                    let (sent_at, expires_at) = (self.now, self.now + RETENTION_MS);
                    let visible_at = Some(self.now + u64::from(message.delay_s) * 1000);
                    self.kept.push(Kept { id: message.id, queue: "q", sent_at, expires_at, visible_at, attempts: 0 });
                }
            }
            Operation::Advance(ms) => self.now += ms,
            Operation::Take => self.take()?,
            Operation::Settle(ends) => self.settle(ends),
            Operation::Kill => {
                self.store = open(None, Durability::Normal).unwrap();
                self.store = Self::open(&self.folder);
                self.handed.clear();
                for kept in self.kept.iter_mut().filter(|kept| kept.visible_at.is_none()) {
                    kept.visible_at = Some(kept.sent_at);
                }
            }
            Operation::Expire(days) => {
                self.now += days * 24 * 3_600_000;
                let dropped: u64 = expire(&self.store, Timestamp(self.now)).unwrap().values().sum();
                let (now, before) = (self.now, self.kept.len());
                self.kept.retain(|kept| kept.visible_at.is_none() || kept.expires_at > now);
                prop_assert_eq!(dropped, (before - self.kept.len()) as u64);
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(), TestCaseError> {
        let (waiting, now) = (self.waiting(), self.now);
        let could = waiting.iter().filter(|visible_at| **visible_at <= now).count();
        let (size_max, timeout_ms) = (RULE.size_max as usize, RULE.timeout_ms);
        match take(&self.store, "q", RULE, Timestamp(now)).unwrap() {
            Taken::Nothing(None) => prop_assert!(waiting.is_empty()),
            Taken::Nothing(Some(next)) => {
                prop_assert!(could < size_max, "a full batch does not wait");
                prop_assert!(waiting[0] + timeout_ms > now, "the first has waited for long enough");
                prop_assert!(next.0 > now, "the moment to look again is to come");
                // It is the right one: then there is a batch, and a moment before there is none.
                let full_at = waiting.get(size_max - 1).copied().unwrap_or(u64::MAX);
                prop_assert_eq!(next.0, full_at.min(waiting[0] + timeout_ms));
            }
            Taken::Batch(batch) => {
                prop_assert!(could >= size_max || waiting[0] + timeout_ms <= now, "neither full nor has it waited");
                prop_assert_eq!(batch.len(), could.min(size_max), "as many as there are, and no more than allowed");
                let mut order = Vec::new();
                for received in &batch {
                    let kept = self.message(&received.id);
                    prop_assert_eq!((kept.queue, received.sent_at), ("q", Timestamp(kept.sent_at)));
                    let visible_at = kept.visible_at.take();
                    prop_assert!(
                        visible_at.is_some_and(|visible_at| visible_at <= now),
                        "early, or handed out already"
                    );
                    order.extend(visible_at);
                    kept.attempts += 1;
                    prop_assert_eq!(received.attempts, kept.attempts);
                }
                prop_assert_eq!(&order[..], &waiting[..batch.len()], "those that wait for longest, in that order");
                self.handed.push(batch);
            }
        }
        Ok(())
    }

    fn settle(&mut self, ends: &[End]) {
        if self.handed.is_empty() {
            return;
        }
        let (batch, now) = (self.handed.remove(0), self.now);
        let mut fates = Vec::new();
        for (received, end) in batch.iter().zip(ends.iter().cycle()) {
            let kept = self.message(&received.id);
            fates.push((
                received.key,
                match end {
                    End::Done => Fate::Done,
                    End::Dropped => Fate::Dropped,
                    End::Again(seconds) => {
                        kept.visible_at = Some(now + seconds * 1000);
                        Fate::Again(Timestamp(now + seconds * 1000))
                    }
                    End::Moved => {
                        kept.queue = "dead";
                        kept.visible_at = Some(now);
                        kept.expires_at = now + RETENTION_MS;
                        kept.attempts = 0;
                        Fate::Moved("dead".to_owned())
                    }
                    End::Returned => {
                        kept.visible_at = Some(kept.sent_at);
                        kept.attempts -= 1;
                        Fate::Returned
                    }
                },
            ));
            if matches!(end, End::Done | End::Dropped) {
                self.kept.retain(|kept| kept.id != received.id);
            }
        }
        settle(&self.store, &fates, Timestamp(now)).unwrap();
    }

    /// Nothing is lost, and nothing there that should not be.
    fn check(&self) -> Result<(), TestCaseError> {
        for queue in ["q", "dead"] {
            let of_queue = self.kept.iter().filter(|kept| kept.queue == queue);
            let found = metrics(&self.store, queue).unwrap();
            prop_assert_eq!(found.count, of_queue.clone().count() as u64, "{}", queue);
            prop_assert_eq!(found.oldest.map(|oldest| oldest.0), of_queue.map(|kept| kept.sent_at).min());
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn messages_are_kept_and_delivered_by_the_rule_whatever_happens(operations in vec(operation(), 1..60)) {
        let mut world = World::new();
        for operation in operations {
            world.apply(&operation)?;
            world.check()?;
        }
    }
}
