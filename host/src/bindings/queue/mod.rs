//! Queues: messages that a Worker sends, kept until a consumer is done with them.
//!
//! [`Queues`] is the one place of a session where they are, by the name of the queue: a producer in one Worker and a consumer in another
//! meet there. [`crate::triggers::queue`] delivers them.
//!
//! Promises: a message whose sending was answered survives the process; a guest sends to the queues that its configuration binds and to no
//! other. Never does: call a guest.

mod host;
mod marks;
mod message;
pub mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use miniflow_runtime::storage::{Durability, StorageError};
use miniflow_runtime::{Clock, Timestamp};
use tokio::sync::Notify;

use super::arrival::Arrival;
use super::writer::{LateWriter, Writer, WriterError};
use store::{BatchRule, Fate, Taken};

pub use super::writer::WriterError as QueueStorageError;
pub use marks::{Mark, Marks};
pub use message::{
    BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, ContentType, DELAY_S_MAX, Key, MESSAGE_BYTES_MAX, Metrics, NewMessage,
    Outgoing, Received, SendError,
};

/// What a name of a Worker stands for that is bound to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundQueue {
    /// Name of the queue.
    pub queue: String,
    /// Delay of messages that do not say their own.
    pub delay_s: u32,
}

/// The queues of a session. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Queues(Arc<Shared>);

struct Shared {
    writer: LateWriter,
    clock: Arc<dyn Clock>,
    arrivals: Mutex<BTreeMap<String, Arc<Arrival>>>,
    /// Something came that may be the first to be too old.
    changed: Notify,
}

impl Queues {
    /// Returns the queues that are kept in `directory`, or in memory. Nothing can be asked of them before they are open.
    #[must_use]
    pub fn new(directory: Option<&Path>, durability: Durability, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            writer: LateWriter::new("miniflow-queues", directory, durability, store::open),
            clock,
            arrivals: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Opens them, unless they are. What an earlier process was handling when it was killed waits to be delivered again.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub fn open(&self) -> Result<(), StorageError> {
        self.0.writer.open()
    }

    fn writer(&self) -> Result<&Writer, WriterError> {
        self.0.writer.get()
    }

    /// The clock that messages are delivered by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Sends a message. Dropped, it may be sent all the same.
    ///
    /// # Errors
    ///
    /// When storage fails. The inner one is the producer's.
    pub async fn send(&self, to: &BoundQueue, message: Outgoing) -> Result<Result<(), SendError>, WriterError> {
        match message::one(message, to.delay_s) {
            Ok(message) => self.store(&to.queue, vec![message]).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Sends messages, all or none. `delay_s`: of those that do not say their own.
    ///
    /// # Errors
    ///
    /// When storage fails. The inner one is the producer's.
    pub async fn send_batch(
        &self,
        to: &BoundQueue,
        messages: Vec<Outgoing>,
        delay_s: Option<u32>,
    ) -> Result<Result<(), SendError>, WriterError> {
        match message::batch(messages, delay_s.unwrap_or(to.delay_s)) {
            Ok(messages) => self.store(&to.queue, messages).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn store(&self, queue: &str, messages: Vec<NewMessage>) -> Result<(), WriterError> {
        let (name, now) = (queue.to_owned(), self.0.clock.now());
        // Whoever asked may be gone by then, and the messages are there all the same.
        let (shared, arrival) = (Arc::clone(&self.0), self.arrival(queue));
        let then = move |&(): &()| {
            arrival.tell(&*shared.clock);
            shared.changed.notify_one();
        };
        self.writer()?.ask_then(move |connection| store::send(connection, &name, &messages, now), then).await
    }

    /// What is in `queue`.
    ///
    /// # Errors
    ///
    /// When storage fails.
    pub async fn metrics(&self, queue: &str) -> Result<Metrics, WriterError> {
        let queue = queue.to_owned();
        self.writer()?.ask(move |connection| store::metrics(connection, &queue)).await
    }

    /// How many messages each queue has that has any.
    ///
    /// # Errors
    ///
    /// When storage fails.
    pub async fn backlogs(&self) -> Result<BTreeMap<String, u64>, WriterError> {
        self.writer()?.ask(store::backlogs).await
    }

    /// How a consumer of `queue` learns of messages. A queue has one consumer.
    #[must_use]
    pub fn arrival(&self, queue: &str) -> Arc<Arrival> {
        let mut arrivals = self.0.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(arrivals.entry(queue.to_owned()).or_default())
    }

    /// Takes the next batch out of `queue`, if there is one. Not cancel-safe: what was taken is to be settled.
    ///
    /// # Errors
    ///
    /// When storage fails.
    pub async fn take(&self, queue: &str, rule: BatchRule) -> Result<Taken, WriterError> {
        let (queue, now) = (queue.to_owned(), self.0.clock.now());
        self.writer()?.ask(move |connection| store::take(connection, &queue, rule, now)).await
    }

    /// Settles what becomes of messages that were taken: all of it is durable, or nothing.
    ///
    /// # Errors
    ///
    /// When storage fails.
    pub async fn settle(&self, queue: &str, fates: Vec<(Key, Fate)>) -> Result<(), WriterError> {
        let now = self.0.clock.now();
        let mut told = vec![self.arrival(queue)];
        for (_, fate) in &fates {
            if let Fate::Moved(to) = fate {
                told.push(self.arrival(to));
            }
        }
        let shared = Arc::clone(&self.0);
        let then = move |&(): &()| told.iter().for_each(|arrival| arrival.tell(&*shared.clock));
        self.writer()?.ask_then(move |connection| store::settle(connection, &fates, now), then).await
    }

    /// Takes a message away that is done although its batch is not. Without waiting for it: should it be lost, the message is delivered
    /// again, and that only if the process is killed before its batch is settled.
    fn done(&self, key: Key) {
        let now = self.0.clock.now();
        let settle = move |connection: &_| store::settle(connection, &[(key, Fate::Done)], now);
        if !self.writer().is_ok_and(|writer| writer.tell(settle)) {
            tracing::debug!("an acknowledgement waits for the end of its batch");
        }
    }

    /// Drops messages when they have waited for too long. Runs until it is dropped.
    pub async fn expire(&self) {
        let clock = &self.0.clock;
        loop {
            let (now, changed) = (clock.now(), self.0.changed.notified());
            let look = move |connection: &_| Ok((store::expire(connection, now)?, store::next_expiry(connection)?));
            let Ok(writer) = self.writer() else { return };
            let Ok((dropped, next)) = writer.ask(look).await else { return };
            for (queue, count) in dropped {
                tracing::warn!("dropped {count} messages of queue \"{queue}\": they have waited for 4 days");
            }
            // Messages are kept for one length of time, so that one that comes later is not due before.
            match next {
                Some(next) => drop(clock.due(next).await),
                None => changed.await,
            }
        }
    }
}

/// The batch that a guest's handler was given.
pub struct OpenBatch {
    pub(crate) queues: Queues,
    pub(crate) keys: Arc<[Key]>,
    pub(crate) marks: Arc<Marks>,
}

impl OpenBatch {
    fn ack(&self, index: usize) {
        if self.marks.mark(index, Mark::Ack)
            && let Some(key) = self.keys.get(index)
        {
            self.queues.done(*key);
        }
    }
}

impl Queues {
    /// What a handler says of `messages`, and how.
    #[must_use]
    pub(crate) fn open_batch(&self, messages: &[Received]) -> (OpenBatch, Arc<Marks>) {
        let marks = Arc::new(Marks::new(messages.len()));
        let keys = messages.iter().map(|message| message.key).collect();
        (OpenBatch { queues: self.clone(), keys, marks: Arc::clone(&marks) }, marks)
    }
}

/// When a message that is retried can be delivered again.
#[must_use]
pub fn retry_at(now: Timestamp, delay_s: u32) -> Timestamp {
    now.plus_ms(u64::from(delay_s) * 1000)
}
