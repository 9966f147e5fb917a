//! What a Worker's configuration binds, for the test itself: what it puts there the Worker finds, and what the Worker leaves it reads.

use bytes::Bytes;
use miniflow::bindings::kv::{Entry, KvError, ListOptions, Page, PutOptions};
use miniflow::bindings::queue::{BoundQueue, ContentType, Metrics, Outgoing, SendError};
use miniflow::bindings::{Bindings, Bound};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::error::Error;
use crate::running::{Running, TestWorker};
use crate::workflow::{json, parse};

/// A KV namespace, as the binding has it. Cheap to clone.
#[derive(Clone)]
pub struct Kv {
    worker: TestWorker,
    id: String,
}

/// What is sent to a queue: a body, and a delay if it has one of its own.
#[derive(Clone, Debug)]
pub struct Message(Result<Outgoing, String>);

/// A queue, as its producers have it. Cheap to clone.
#[derive(Clone)]
pub struct QueueProducer {
    worker: TestWorker,
    bound: BoundQueue,
}

impl TestWorker {
    /// The KV namespace that its configuration binds to this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn kv(&self, binding: &str) -> Result<Kv, Error> {
        let id = self.0.bound("KV namespace", binding, |bound| match bound {
            Bound::Kv(id) => Some(id.clone()),
            _ => None,
        })?;
        Ok(Kv { worker: self.clone(), id })
    }

    /// The queue that its configuration lets it send to by this name. Whoever consumes it in the session gets what the test sends, when the
    /// clock comes to it; [`Self::queue`] calls the handler without a queue.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn queue_producer(&self, binding: &str) -> Result<QueueProducer, Error> {
        let bound = self.0.bound("queue", binding, |bound| match bound {
            Bound::Queue(bound) => Some(bound.clone()),
            _ => None,
        })?;
        Ok(QueueProducer { worker: self.clone(), bound })
    }
}

impl Running {
    /// What the Worker that takes the requests has under a name.
    pub(crate) fn bound<T>(
        &self,
        kind: &'static str,
        binding: &str,
        is_it: impl Fn(&Bound) -> Option<T>,
    ) -> Result<T, Error> {
        let generation = self.generation()?;
        let bindings: &Bindings = generation.bindings();
        bindings.get(binding).and_then(&is_it).ok_or_else(|| {
            let has: Vec<_> =
                bindings.iter().filter(|(_, bound)| is_it(bound).is_some()).map(|(name, _)| name).collect();
            self.no_binding(kind, binding, &has)
        })
    }
}

impl Kv {
    /// The value under `key`; none when there is none.
    ///
    /// # Errors
    ///
    /// As the binding's `get`.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.entry(key).await?.map(|entry| entry.value.into()))
    }

    /// The value under `key` as text.
    ///
    /// # Errors
    ///
    /// As the binding's `get`; when it is no UTF-8.
    pub async fn text(&self, key: &str) -> Result<Option<String>, Error> {
        let Some(entry) = self.entry(key).await? else { return Ok(None) };
        let text = String::from_utf8(entry.value);
        text.map(Some).map_err(|_| Error::Data(format!("the value of `{key}` is no text")))
    }

    /// The value under `key`, read as JSON.
    ///
    /// # Errors
    ///
    /// As the binding's `get`; when it is not JSON, or is something else.
    pub async fn json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.entry(key).await?.map(|entry| parse(&entry.value)).transpose()
    }

    /// The value under `key` with its metadata.
    ///
    /// # Errors
    ///
    /// As the binding's `get`.
    pub async fn entry(&self, key: &str) -> Result<Option<Entry>, Error> {
        said(self.worker.0.namespaces.get(&self.id, key.to_owned(), None).await)
    }

    /// Puts `value` under `key`.
    ///
    /// # Errors
    ///
    /// As the binding's `put`.
    pub async fn put(&self, key: &str, value: impl Into<Body>) -> Result<(), Error> {
        self.put_with(key, value, PutOptions::default()).await
    }

    /// Puts `value` under `key`, with metadata or until it expires.
    ///
    /// # Errors
    ///
    /// As the binding's `put`.
    pub async fn put_with(&self, key: &str, value: impl Into<Body>, options: PutOptions) -> Result<(), Error> {
        said(self.worker.0.namespaces.put(&self.id, key.to_owned(), value.into().0, options).await)
    }

    /// Removes what is under `key`, if there is something.
    ///
    /// # Errors
    ///
    /// As the binding's `delete`.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        said(self.worker.0.namespaces.delete(&self.id, key.to_owned()).await)
    }

    /// A page of the keys.
    ///
    /// # Errors
    ///
    /// As the binding's `list`.
    pub async fn list(&self, options: ListOptions) -> Result<Page, Error> {
        said(self.worker.0.namespaces.list(&self.id, options).await)
    }

    /// All keys that begin with `prefix`, in order.
    ///
    /// # Errors
    ///
    /// When the Worker has stopped.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.list(ListOptions { prefix: Some(prefix.to_owned()), limit: None, cursor }).await?;
            keys.extend(page.keys.into_iter().map(|listed| listed.key));
            if page.cursor.is_none() {
                return Ok(keys);
            }
            cursor = page.cursor;
        }
    }
}

/// What a namespace answers, or why it does not.
fn said<T>(answer: Result<Result<T, KvError>, impl std::fmt::Display>) -> Result<T, Error> {
    let answer = answer.map_err(|error| Error::Data(error.to_string()))?;
    answer.map_err(|error| Error::Binding { code: error.code(), message: error.to_string() })
}

impl Message {
    /// A message whose body is `body` as JSON.
    #[must_use]
    pub fn json(body: &impl Serialize) -> Self {
        Self(json(body).map(|body| outgoing(body, ContentType::Json)).map_err(|error| error.to_string()))
    }

    /// A message whose body is text.
    #[must_use]
    pub fn text(body: &str) -> Self {
        Self(Ok(outgoing(Bytes::copy_from_slice(body.as_bytes()), ContentType::Text)))
    }

    /// A message whose body is bytes.
    #[must_use]
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self(Ok(outgoing(body.into(), ContentType::Bytes)))
    }

    /// Says after how many seconds it is delivered, at the earliest.
    #[must_use]
    pub fn delay_seconds(self, delay_s: u32) -> Self {
        Self(self.0.map(|message| Outgoing { delay_s: Some(delay_s), ..message }))
    }
}

fn outgoing(body: Bytes, content_type: ContentType) -> Outgoing {
    Outgoing { body, content_type, delay_s: None }
}

impl QueueProducer {
    /// Sends a message whose body is `body` as JSON.
    ///
    /// # Errors
    ///
    /// As the binding's `send`; when `body` is not JSON.
    pub async fn send(&self, body: &impl Serialize) -> Result<(), Error> {
        self.send_message(Message::json(body)).await
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// As the binding's `send`.
    pub async fn send_message(&self, message: Message) -> Result<(), Error> {
        let message = message.0.map_err(Error::Data)?;
        sent(self.worker.0.queues.send(&self.bound, message).await)
    }

    /// Sends messages, all or none.
    ///
    /// # Errors
    ///
    /// As the binding's `send_batch`.
    pub async fn send_batch(&self, messages: impl IntoIterator<Item = Message>) -> Result<(), Error> {
        let messages: Result<_, _> = messages.into_iter().map(|message| message.0).collect();
        sent(self.worker.0.queues.send_batch(&self.bound, messages.map_err(Error::Data)?, None).await)
    }

    /// What is in the queue, and has not been handled.
    ///
    /// # Errors
    ///
    /// When the Worker has stopped.
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        self.worker.0.queues.metrics(&self.bound.queue).await.map_err(|error| Error::Data(error.to_string()))
    }
}

fn sent(answer: Result<Result<(), SendError>, impl std::fmt::Display>) -> Result<(), Error> {
    let answer = answer.map_err(|error| Error::Data(error.to_string()))?;
    answer.map_err(|error| Error::Binding { code: error.code(), message: error.to_string() })
}
