//! What a handler is given: messages, and the means to say what becomes of each.

use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ops::Range;
use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::body::{QueueContentType, decode};
use crate::bindings::miniflow::worker::queue::Batch;
use crate::bindings::queue_world::exports::miniflow::worker::queue_consumer::ReceivedMessage;
use crate::{Date, Error, Result};

/// Messages that are delivered together.
///
/// When the handler returns, those of which nothing was said are done; when it fails they are delivered again. What is said of a message
/// first counts, and counts more than what is said of all.
#[derive(Clone, Debug)]
pub struct MessageBatch<T> {
    inner: Rc<Inner>,
    phantom: PhantomData<T>,
}

#[derive(Debug)]
struct Inner {
    queue: String,
    messages: Vec<ReceivedMessage>,
    batch: Batch,
}

impl<T> MessageBatch<T> {
    pub(super) fn new(queue: String, messages: Vec<ReceivedMessage>, batch: Batch) -> Self {
        Self { inner: Rc::new(Inner { queue, messages, batch }), phantom: PhantomData }
    }

    /// Returns the name of the queue.
    #[must_use]
    pub fn queue(&self) -> String {
        self.inner.queue.clone()
    }

    /// Has the messages delivered again of which nothing else is said.
    pub fn retry_all(&self) {
        self.inner.batch.retry_all(None);
    }

    /// As [`retry_all`](Self::retry_all), with options.
    pub fn retry_all_with_options(&self, options: &QueueRetryOptions) {
        self.inner.batch.retry_all(options.delay_seconds);
    }

    /// Says that the messages are done of which nothing else is said, even if the handler fails.
    pub fn ack_all(&self) {
        self.inner.batch.ack_all();
    }

    /// Returns the messages as they are, without reading their bodies.
    #[must_use]
    pub fn raw_iter(&self) -> RawMessageIter {
        RawMessageIter { range: 0..self.inner.messages.len(), inner: Rc::clone(&self.inner) }
    }
}

impl<T: DeserializeOwned> MessageBatch<T> {
    /// Returns the messages.
    ///
    /// # Errors
    ///
    /// When the body of one of them is not a `T`; [`iter`](Self::iter) gives the others.
    pub fn messages(&self) -> Result<Vec<Message<T>>> {
        self.iter().collect()
    }

    /// Returns the messages one by one; an error for one whose body is not a `T`.
    #[must_use]
    pub fn iter(&self) -> MessageIter<T> {
        MessageIter { raw: self.raw_iter(), phantom: PhantomData }
    }
}

/// A message whose body was read. [`MessageExt`] has the rest.
#[derive(Clone, Debug)]
pub struct Message<T> {
    raw: RawMessage,
    body: T,
}

impl<T> Message<T> {
    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &T {
        &self.body
    }

    /// Returns the body.
    #[must_use]
    pub fn into_body(self) -> T {
        self.body
    }
}

impl<T: DeserializeOwned> TryFrom<RawMessage> for Message<T> {
    type Error = Error;

    fn try_from(raw: RawMessage) -> Result<Self> {
        Ok(Self { body: raw.body()?, raw })
    }
}

/// A message as it is. [`MessageExt`] has the rest.
#[derive(Clone, Debug)]
pub struct RawMessage {
    inner: Rc<Inner>,
    index: usize,
}

impl RawMessage {
    /// Returns the body, read as a `T`.
    ///
    /// # Errors
    ///
    /// When it is not one.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T> {
        let message = self.received();
        decode(&message.body, message.content_type.into())
    }

    fn received(&self) -> &ReceivedMessage {
        &self.inner.messages[self.index]
    }

    fn wit_index(&self) -> u32 {
        u32::try_from(self.index).unwrap_or(u32::MAX)
    }
}

mod sealed {
    /// What is a message here.
    pub trait Received {
        /// Returns it as it is.
        fn raw(&self) -> &super::RawMessage;
    }
}

use sealed::Received;

impl Received for RawMessage {
    fn raw(&self) -> &Self {
        self
    }
}

impl<T> Received for Message<T> {
    fn raw(&self) -> &RawMessage {
        &self.raw
    }
}

/// What every message has.
pub trait MessageExt: Received {
    /// Returns the bytes of the body.
    fn raw_body(&self) -> &[u8] {
        &self.raw().received().body
    }

    /// Returns how the body is to be read.
    fn content_type(&self) -> QueueContentType {
        self.raw().received().content_type.into()
    }

    /// Returns the id, which no other message has.
    fn id(&self) -> String {
        self.raw().received().id.clone()
    }

    /// Returns when it was sent.
    fn timestamp(&self) -> Date {
        self.raw().received().timestamp.into()
    }

    /// Returns which delivery this is, from 1.
    fn attempts(&self) -> u32 {
        self.raw().received().attempts
    }

    /// Has it delivered again, after the delay that is said for all or configured.
    fn retry(&self) {
        self.raw().inner.batch.retry(self.raw().wit_index(), None);
    }

    /// As [`retry`](Self::retry), with options.
    fn retry_with_options(&self, options: &QueueRetryOptions) {
        self.raw().inner.batch.retry(self.raw().wit_index(), options.delay_seconds);
    }

    /// Says that it is done, even if the handler fails.
    fn ack(&self) {
        self.raw().inner.batch.ack(self.raw().wit_index());
    }
}

impl<M: Received> MessageExt for M {}

/// How messages are delivered again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueRetryOptions {
    delay_seconds: Option<u32>,
}

/// Makes [`QueueRetryOptions`].
///
/// ```
/// # use miniflow_sdk::QueueRetryOptionsBuilder;
/// let in_a_minute = QueueRetryOptionsBuilder::new().with_delay_seconds(60).build();
/// ```
#[derive(Clone, Debug, Default)]
pub struct QueueRetryOptionsBuilder {
    delay_seconds: Option<u32>,
}

impl QueueRetryOptionsBuilder {
    /// Leaves everything open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets after how many seconds: at most 86,400.
    #[must_use]
    pub fn with_delay_seconds(mut self, delay_seconds: u32) -> Self {
        self.delay_seconds = Some(delay_seconds);
        self
    }

    /// Returns the options.
    #[must_use]
    pub fn build(self) -> QueueRetryOptions {
        QueueRetryOptions { delay_seconds: self.delay_seconds }
    }
}

/// See [`MessageBatch::iter`].
#[derive(Clone, Debug)]
pub struct MessageIter<T> {
    raw: RawMessageIter,
    phantom: PhantomData<T>,
}

impl<T: DeserializeOwned> Iterator for MessageIter<T> {
    type Item = Result<Message<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.raw.next().map(TryInto::try_into)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.raw.size_hint()
    }
}

impl<T: DeserializeOwned> DoubleEndedIterator for MessageIter<T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.raw.next_back().map(TryInto::try_into)
    }
}

impl<T: DeserializeOwned> FusedIterator for MessageIter<T> {}

impl<T: DeserializeOwned> ExactSizeIterator for MessageIter<T> {}

/// See [`MessageBatch::raw_iter`].
#[derive(Clone, Debug)]
pub struct RawMessageIter {
    range: Range<usize>,
    inner: Rc<Inner>,
}

impl RawMessageIter {
    fn message(&self, index: usize) -> RawMessage {
        RawMessage { inner: Rc::clone(&self.inner), index }
    }
}

impl Iterator for RawMessageIter {
    type Item = RawMessage;

    fn next(&mut self) -> Option<RawMessage> {
        self.range.next().map(|index| self.message(index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for RawMessageIter {
    fn next_back(&mut self) -> Option<RawMessage> {
        self.range.next_back().map(|index| self.message(index))
    }
}

impl FusedIterator for RawMessageIter {}

impl ExactSizeIterator for RawMessageIter {}
