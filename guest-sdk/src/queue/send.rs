//! What is sent: messages and their options.

use serde::Serialize;

use super::body::{QueueContentType, RawBody, encode};
use crate::Result;
use crate::bindings::miniflow::worker::queue as wit;

/// How a message is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSendOptions {
    content_type: Option<QueueContentType>,
    delay_seconds: Option<u32>,
}

/// A message with its options. Made of any value that can be serialised, or with a [`MessageBuilder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendMessage<T> {
    message: T,
    options: Option<QueueSendOptions>,
}

impl<T: Serialize> SendMessage<T> {
    /// Returns the message with its body written out.
    ///
    /// # Errors
    ///
    /// When the body is not of its content type.
    pub fn into_raw_message(self) -> Result<SendMessage<RawBody>> {
        let content_type = self.options.as_ref().and_then(|options| options.content_type).unwrap_or_default();
        Ok(SendMessage { message: encode(&self.message, content_type)?, options: self.options })
    }
}

impl SendMessage<RawBody> {
    pub(super) fn into_wit(self) -> wit::Message {
        let QueueSendOptions { content_type, delay_seconds } = self.options.unwrap_or_default();
        wit::Message {
            body: self.message.into_bytes(),
            content_type: content_type.unwrap_or_default().into(),
            delay_seconds,
        }
    }
}

impl<T: Serialize> From<T> for SendMessage<T> {
    fn from(message: T) -> Self {
        Self { message, options: None }
    }
}

/// Makes a message with options.
///
/// ```
/// # use miniflow_sdk::{MessageBuilder, QueueContentType};
/// let message = MessageBuilder::message("good morning")
///     .with_content_type(QueueContentType::Text)
///     .with_delay_seconds(3600)
///     .build();
/// ```
#[derive(Clone, Debug)]
pub struct MessageBuilder<T> {
    message: T,
    delay_seconds: Option<u32>,
    content_type: QueueContentType,
}

impl<T: Serialize> MessageBuilder<T> {
    /// Begins with the body.
    pub fn message(message: T) -> Self {
        Self { message, delay_seconds: None, content_type: QueueContentType::Json }
    }

    /// Sets after how many seconds it can be delivered: at most 86,400.
    #[must_use]
    pub fn with_delay_seconds(mut self, delay_seconds: u32) -> Self {
        self.delay_seconds = Some(delay_seconds);
        self
    }

    /// Sets how the body is to be read: as JSON unless told.
    #[must_use]
    pub fn with_content_type(mut self, content_type: QueueContentType) -> Self {
        self.content_type = content_type;
        self
    }

    /// Returns the message.
    #[must_use]
    pub fn build(self) -> SendMessage<T> {
        let options = QueueSendOptions { content_type: Some(self.content_type), delay_seconds: self.delay_seconds };
        SendMessage { message: self.message, options: Some(options) }
    }
}

/// Makes a message of bytes that are written already.
#[derive(Clone, Debug)]
pub struct RawMessageBuilder {
    message: RawBody,
    delay_seconds: Option<u32>,
}

impl RawMessageBuilder {
    /// Begins with the body.
    pub fn message(message: impl Into<RawBody>) -> Self {
        Self { message: message.into(), delay_seconds: None }
    }

    /// Sets after how many seconds it can be delivered: at most 86,400.
    #[must_use]
    pub fn with_delay_seconds(mut self, delay_seconds: u32) -> Self {
        self.delay_seconds = Some(delay_seconds);
        self
    }

    /// Returns the message, whose body is to be read so. It is refused when it is sent if it is not that.
    #[must_use]
    pub fn build_with_content_type(self, content_type: QueueContentType) -> SendMessage<RawBody> {
        let options = QueueSendOptions { content_type: Some(content_type), delay_seconds: self.delay_seconds };
        SendMessage { message: self.message, options: Some(options) }
    }
}

/// How several messages are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSendBatchOptions {
    delay_seconds: Option<u32>,
}

/// Messages that are sent together. Made of anything that gives messages, or with a [`BatchMessageBuilder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSendMessage<T> {
    body: Vec<SendMessage<T>>,
    options: Option<QueueSendBatchOptions>,
}

impl<T: Serialize> BatchSendMessage<T> {
    /// Returns the batch with its bodies written out.
    ///
    /// # Errors
    ///
    /// When a body is not of its content type.
    pub fn into_raw_batch(self) -> Result<BatchSendMessage<RawBody>> {
        let body = self.body.into_iter().map(SendMessage::into_raw_message).collect::<Result<_>>()?;
        Ok(BatchSendMessage { body, options: self.options })
    }
}

impl BatchSendMessage<RawBody> {
    pub(super) fn into_wit(self) -> (Vec<wit::Message>, Option<u32>) {
        let delay_seconds = self.options.and_then(|options| options.delay_seconds);
        (self.body.into_iter().map(SendMessage::into_wit).collect(), delay_seconds)
    }
}

impl<T, U, V> From<U> for BatchSendMessage<T>
where
    U: IntoIterator<Item = V>,
    V: Into<SendMessage<T>>,
{
    fn from(messages: U) -> Self {
        Self { body: messages.into_iter().map(Into::into).collect(), options: None }
    }
}

/// Makes a batch with options.
#[derive(Clone, Debug)]
pub struct BatchMessageBuilder<T> {
    messages: Vec<SendMessage<T>>,
    delay_seconds: Option<u32>,
}

impl<T> BatchMessageBuilder<T> {
    /// Begins with one message.
    pub fn message<U: Into<SendMessage<T>>>(message: U) -> Self {
        Self { messages: vec![message.into()], delay_seconds: None }
    }

    /// Begins with several messages.
    pub fn messages<U, V>(messages: U) -> Self
    where
        U: IntoIterator<Item = V>,
        V: Into<SendMessage<T>>,
    {
        Self { messages: messages.into_iter().map(Into::into).collect(), delay_seconds: None }
    }

    /// Adds a message.
    #[must_use]
    pub fn with_message<U: Into<SendMessage<T>>>(mut self, message: U) -> Self {
        self.messages.push(message.into());
        self
    }

    /// Adds messages.
    #[must_use]
    pub fn with_messages<U, V>(mut self, messages: U) -> Self
    where
        U: IntoIterator<Item = V>,
        V: Into<SendMessage<T>>,
    {
        self.messages.extend(messages.into_iter().map(Into::into));
        self
    }

    /// Sets after how many seconds those can be delivered that do not say it themselves: at most 86,400.
    #[must_use]
    pub fn with_delay_seconds(mut self, delay_seconds: u32) -> Self {
        self.delay_seconds = Some(delay_seconds);
        self
    }

    /// Returns the batch.
    #[must_use]
    pub fn build(self) -> BatchSendMessage<T> {
        let options = self.delay_seconds.map(|seconds| QueueSendBatchOptions { delay_seconds: Some(seconds) });
        BatchSendMessage { body: self.messages, options }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wit<T: Serialize>(message: impl Into<SendMessage<T>>) -> (Vec<u8>, wit::ContentType, Option<u32>) {
        let message = message.into().into_raw_message().unwrap().into_wit();
        (message.body, message.content_type, message.delay_seconds)
    }

    #[test]
    fn a_value_is_json_and_a_builder_says_more() {
        assert_eq!(wit(7), (b"7".to_vec(), wit::ContentType::Json, None));
        let message =
            MessageBuilder::message("a").with_content_type(QueueContentType::Text).with_delay_seconds(5).build();
        assert_eq!(wit(message), (b"a".to_vec(), wit::ContentType::Text, Some(5)));
        let raw = RawMessageBuilder::message(vec![1, 2]).build_with_content_type(QueueContentType::Bytes).into_wit();
        assert_eq!((raw.body, raw.content_type), (vec![1, 2], wit::ContentType::Bytes));
    }

    #[test]
    fn a_batch_is_made_of_values_and_of_messages() {
        let plain: BatchSendMessage<u32> = vec![1, 2].into();
        assert_eq!(plain.into_raw_batch().unwrap().into_wit().0.len(), 2);
        let batch = BatchMessageBuilder::message(1)
            .with_messages([2, 3])
            .with_message(MessageBuilder::message(4).with_delay_seconds(0).build())
            .with_delay_seconds(9)
            .build();
        let (messages, delay) = batch.into_raw_batch().unwrap().into_wit();
        let delays: Vec<_> = messages.iter().map(|message| message.delay_seconds).collect();
        assert_eq!((delays, delay), (vec![None, None, None, Some(0)], Some(9)));
    }
}
