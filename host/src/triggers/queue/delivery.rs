//! One batch: handed to a handler, and what becomes of its messages.

use std::sync::Arc;

use miniflow_runtime::Timestamp;
use miniflow_runtime::clock::Stopwatch;
use tokio::sync::watch;

use super::consumer::Consumer;
use super::{ConsumerOptions, Phase};
use crate::bindings::queue::store::Fate;
use crate::bindings::queue::{Key, Mark, Received, retry_at};
use crate::wasm::Consumed;

/// What is remembered of a message while a handler has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) key: Key,
    pub(super) id: String,
    pub(super) attempts: u32,
}

impl From<&Received> for Handed {
    fn from(message: &Received) -> Self {
        Self { key: message.key, id: message.id.clone(), attempts: message.attempts }
    }
}

impl Consumer {
    pub(super) async fn deliver(self: Arc<Self>, messages: Vec<Received>, mut phase: watch::Receiver<Phase>) {
        let (queue, took) = (&self.options.queue, Stopwatch::start());
        let handed: Vec<Handed> = messages.iter().map(Handed::from).collect();
        let consumed = tokio::select! {
            biased;
            consumed = self.handler.handle(&self.queues, queue, messages) => Some(consumed),
            _ = phase.wait_for(|phase| *phase == Phase::Stop) => None,
        };
        let fates = match &consumed {
            Some(consumed) => self.options.fates(&handed, consumed, self.queues.clock().now()),
            None => handed.iter().map(|_| Fate::Returned).collect(),
        };
        let settled = handed.iter().map(|message| message.key).zip(fates.iter().cloned()).collect();
        if let Err(error) = self.queues.settle(queue, settled).await {
            tracing::error!("what became of messages of queue {queue} could not be kept: {error}");
            return;
        }
        if consumed.is_some() {
            let done = fates.iter().filter(|fate| **fate == Fate::Done).count();
            self.report(&handed, &fates);
            let duration_ms = u64::try_from(took.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (kind, messages) = ("queue", handed.len());
            tracing::info!(kind, event = "batch", %queue, messages, done, duration_ms, "queue {queue} {done}/{messages} ({duration_ms} ms)");
        }
    }

    fn report(&self, handed: &[Handed], fates: &[Fate]) {
        let (queue, kind) = (&self.options.queue, "queue");
        for (Handed { id, attempts, .. }, fate) in handed.iter().zip(fates) {
            match fate {
                Fate::Again(_) => {
                    tracing::debug!(kind, event = "retry", %queue, id, "retrying message \"{id}\" on queue \"{queue}\"")
                }
                Fate::Moved(to) => tracing::warn!(
                    kind, event = "dead_lettered", %queue, id, %to, attempts,
                    "moving message \"{id}\" of queue \"{queue}\" to dead letter queue \"{to}\" after {attempts} failed attempts"
                ),
                Fate::Dropped => {
                    tracing::warn!(kind, event = "dropped", %queue, id, attempts, "dropped message \"{id}\" of queue \"{queue}\" after {attempts} failed attempts");
                }
                Fate::Done | Fate::Returned => {}
            }
        }
    }
}

impl ConsumerOptions {
    /// What becomes of each message.
    fn fates(&self, handed: &[Handed], consumed: &Consumed, now: Timestamp) -> Vec<Fate> {
        let marks = consumed.marks.outcome(consumed.failed);
        handed.iter().zip(marks).map(|(message, mark)| self.fate(message, mark, now)).collect()
    }

    fn fate(&self, message: &Handed, mark: Mark, now: Timestamp) -> Fate {
        let Mark::Retry(delay_s) = mark else { return Fate::Done };
        if message.attempts <= self.retries_max {
            return Fate::Again(retry_at(now, delay_s.unwrap_or(self.retry_delay_s)));
        }
        match &self.dead_letter_queue {
            Some(queue) => Fate::Moved(queue.clone()),
            None => Fate::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::queue::store::BatchRule;

    fn fate(attempts: u32, mark: Mark, dead_letter_queue: Option<&str>) -> Fate {
        let options = ConsumerOptions {
            queue: "q".to_owned(),
            batch: BatchRule { size_max: 10, timeout_ms: 5000 },
            retries_max: 3,
            retry_delay_s: 7,
            dead_letter_queue: dead_letter_queue.map(ToOwned::to_owned),
            concurrency_max: None,
        };
        options.fate(&Handed { key: 1, id: "a".to_owned(), attempts }, mark, Timestamp(1000))
    }

    #[test]
    fn a_message_is_retried_as_often_as_configured() {
        assert_eq!(fate(3, Mark::Retry(None), None), Fate::Again(Timestamp(8000)));
        assert_eq!(fate(3, Mark::Retry(Some(0)), None), Fate::Again(Timestamp(1000)));
        assert_eq!(fate(4, Mark::Retry(Some(0)), None), Fate::Dropped);
        assert_eq!(fate(4, Mark::Retry(None), Some("dead")), Fate::Moved("dead".to_owned()));
        assert_eq!(fate(4, Mark::Ack, Some("dead")), Fate::Done);
    }

    #[test]
    fn a_message_whose_handler_was_killed_at_its_last_attempt_is_not_retried_after_that() {
        assert_eq!(fate(9, Mark::Retry(None), None), Fate::Dropped);
    }
}
