//! [`Queue`]: a binding through which messages are sent.

use serde::Serialize;

use super::body::RawBody;
use super::send::{BatchSendMessage, SendMessage};
use crate::bindings::miniflow::worker::queue as wit;
use crate::{Date, Result, host};

/// A queue that the configuration binds; see [`Env::queue`](crate::Env::queue).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    binding: String,
}

/// What is in a queue: what waits, and what is being handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMetrics {
    /// How many messages.
    pub backlog_count: u64,
    /// The bytes of their bodies.
    pub backlog_bytes: u64,
    /// When the oldest of them was sent.
    pub oldest_message_timestamp: Option<Date>,
}

impl Queue {
    pub(crate) fn bound_as(binding: &str) -> Self {
        Self { binding: binding.to_owned() }
    }

    /// Sends a message: any value, as JSON, or what a [`MessageBuilder`](crate::MessageBuilder) made. When this returns the message
    /// survives a crash.
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn f(env: Env) -> Result<()> {
    /// let queue = env.queue("MAIL")?;
    /// queue.send("at once").await?;
    /// queue.send(MessageBuilder::message("in a minute").with_delay_seconds(60).build()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When it is over 128,000 bytes, is not of its content type, or is to wait for more than a day.
    pub async fn send<T: Serialize, U: Into<SendMessage<T>>>(&self, message: U) -> Result<()> {
        self.send_raw(message.into().into_raw_message()?).await
    }

    /// Sends a message whose body is written already, made with a [`RawMessageBuilder`](crate::RawMessageBuilder).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_raw<T: Into<SendMessage<RawBody>>>(&self, message: T) -> Result<()> {
        host::required("`Queue::send`");
        Ok(wit::send(self.binding.clone(), message.into().into_wit()).await?)
    }

    /// Sends messages, all or none: a list of values, or what a [`BatchMessageBuilder`](crate::BatchMessageBuilder) made.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and when they are over 100, or over 256,000 bytes together.
    pub async fn send_batch<T: Serialize, U: Into<BatchSendMessage<T>>>(&self, messages: U) -> Result<()> {
        self.send_raw_batch(messages.into().into_raw_batch()?).await
    }

    /// Sends messages whose bodies are written already, all or none.
    ///
    /// # Errors
    ///
    /// As [`send_batch`](Self::send_batch).
    pub async fn send_raw_batch<T: Into<BatchSendMessage<RawBody>>>(&self, messages: T) -> Result<()> {
        host::required("`Queue::send_batch`");
        let (messages, delay_seconds) = messages.into().into_wit();
        Ok(wit::send_batch(self.binding.clone(), messages, delay_seconds).await?)
    }

    /// Returns what is in the queue now.
    ///
    /// # Errors
    ///
    /// When the queue is not bound.
    pub async fn metrics(&self) -> Result<QueueMetrics> {
        host::required("`Queue::metrics`");
        let metrics = wit::metrics(self.binding.clone()).await?;
        Ok(QueueMetrics {
            backlog_count: metrics.backlog_count,
            backlog_bytes: metrics.backlog_bytes,
            oldest_message_timestamp: metrics.oldest_message.map(Date::from),
        })
    }
}
