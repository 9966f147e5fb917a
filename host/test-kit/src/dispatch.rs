//! Events of other kinds than requests, handed to a Worker by the test.

use std::sync::Arc;

use bytes::Bytes;
use miniflow::bindings::queue::{ContentType, Mark, Received};
use miniflow_runtime::Timestamp;
use miniflow_runtime::mover::Skip;
use serde::Serialize;

use crate::error::Error;
use crate::running::TestWorker;
use crate::workflow::json;

/// How a handler for cron triggers ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledResult {
    /// `ok` or `exception`.
    pub outcome: &'static str,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// It asked for no other try.
    pub no_retry: bool,
}

/// A message for a handler of a queue.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    id: String,
    body: Result<Bytes, String>,
    content_type: ContentType,
    sent_at: Option<Timestamp>,
    attempts: u32,
}

impl QueueMessage {
    /// A message of this id, whose body is `body` as JSON. It is delivered for the first time.
    #[must_use]
    pub fn json(id: &str, body: &impl Serialize) -> Self {
        let body = json(body).map_err(|error| error.to_string());
        Self { id: id.to_owned(), body, content_type: ContentType::Json, sent_at: None, attempts: 1 }
    }

    /// A message of this id whose body is text.
    #[must_use]
    pub fn text(id: &str, body: &str) -> Self {
        let body = Ok(Bytes::copy_from_slice(body.as_bytes()));
        Self { id: id.to_owned(), body, content_type: ContentType::Text, sent_at: None, attempts: 1 }
    }

    /// A message of this id whose body is bytes.
    #[must_use]
    pub fn bytes(id: &str, body: impl Into<Bytes>) -> Self {
        let body = Ok(body.into());
        Self { id: id.to_owned(), body, content_type: ContentType::Bytes, sent_at: None, attempts: 1 }
    }

    /// Says how many-th delivery it is.
    #[must_use]
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// Says when it was sent; otherwise now.
    #[must_use]
    pub fn sent_at(self, when: Timestamp) -> Self {
        Self { sent_at: Some(when), ..self }
    }
}

/// What a handler of a queue said of its messages. Names are those of Cloudflare's tests of Workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueResult {
    /// `ok` or `exception`.
    pub outcome: &'static str,
    /// It acknowledged all.
    pub ack_all: bool,
    /// It wants all again: present when it said so.
    pub retry_batch: Option<RetryBatch>,
    /// Ids of messages that it acknowledged one by one.
    pub explicit_acks: Vec<String>,
    /// Messages that it wants again, one by one.
    pub retry_messages: Vec<RetryMessage>,
}

/// All messages are wanted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryBatch {
    /// Seconds until then, if it said so.
    pub delay_seconds: Option<u32>,
}

/// A message is wanted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryMessage {
    /// Its id.
    pub id: String,
    /// Seconds until then, if it said so.
    pub delay_seconds: Option<u32>,
}

impl TestWorker {
    /// Tells the Worker that the cron trigger `cron` fired for `time`, or for now; and returns when its handler has ended, and all it lets run on.
    ///
    /// # Errors
    ///
    /// When the Worker has no such handler.
    pub async fn scheduled(&self, cron: &str, time: impl Into<Option<Timestamp>>) -> Result<ScheduledResult, Error> {
        let generation = self.0.generation()?;
        if !generation.has_scheduled() {
            return Err(self.0.no_handler("#[event(scheduled)]"));
        }
        let time = time.into().unwrap_or_else(|| self.clock().now());
        let (running, cron) = (Arc::clone(&self.0), cron.to_owned());
        let fired = async move { running.skipping(Skip::Naps, generation.fire(cron, time)).await };
        let outcome = self.0.process.run(fired).await;
        Ok(ScheduledResult { outcome: outcome.as_str(), error: outcome.error, no_retry: outcome.no_retry })
    }

    /// Hands `messages` of the queue `name` to the Worker, whether or not it is configured to consume it; and returns what its handler said of them.
    ///
    /// # Errors
    ///
    /// When the Worker has no such handler, or a body is not JSON.
    pub async fn queue(&self, name: &str, messages: Vec<QueueMessage>) -> Result<QueueResult, Error> {
        let generation = self.0.generation()?;
        if !generation.has_queue() {
            return Err(self.0.no_handler("#[event(queue)]"));
        }
        let now = self.clock().now();
        let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
        let received = (1..).zip(messages).map(|(key, message)| {
            let QueueMessage { id, body, content_type, sent_at, attempts } = message;
            // Keys of no row: what is acknowledged is in no storage.
            Ok(Received {
                key: -key,
                id,
                sent_at: sent_at.unwrap_or(now),
                attempts,
                content_type,
                body: body?.to_vec(),
            })
        });
        let received: Result<Vec<_>, String> = received.collect();
        let received = received.map_err(Error::Data)?;
        let (running, name) = (Arc::clone(&self.0), name.to_owned());
        let queues = running.queues.clone();
        let consumed = async move {
            let consume = generation.consume(&queues, &name, received);
            running.skipping(Skip::Naps, consume).await
        };
        let consumed = self.0.process.run(consumed).await;
        let (of_each, of_all) = consumed.marks.so_far();
        let mut result = QueueResult {
            outcome: if consumed.failed { "exception" } else { "ok" },
            ack_all: of_all == Some(Mark::Ack),
            retry_batch: match of_all {
                Some(Mark::Retry(delay_seconds)) => Some(RetryBatch { delay_seconds }),
                _ => None,
            },
            ..QueueResult::default()
        };
        for (id, mark) in ids.into_iter().zip(of_each) {
            match mark {
                Some(Mark::Ack) => result.explicit_acks.push(id),
                Some(Mark::Retry(delay_seconds)) => result.retry_messages.push(RetryMessage { id, delay_seconds }),
                None => {}
            }
        }
        Ok(result)
    }
}
