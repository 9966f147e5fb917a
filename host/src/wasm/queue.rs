//! Calls the handler for messages of queues: a store for each batch, gone with it.

use std::future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::clock::real;
use wasmtime::PoolConcurrencyLimitError;

use super::bindings::exports::miniflow::worker::queue_consumer::{Guest as Consumer, ReceivedMessage};
use super::bindings::miniflow::worker::queue::ContentType as WitContentType;
use super::bindings::miniflow::worker::types::Error;
use super::generation::Generation;
use super::pool::{GuestKind, PoolBackoff};
use super::state::GuestState;
use super::trap;
use crate::bindings::logging::Level;
use crate::bindings::queue::{ContentType, Marks, Queues, Received};

/// Real time a handler has, with all it lets run on (documented: 15 minutes).
const HANDLER_MAX: Duration = Duration::from_secs(15 * 60);

/// How a handler ended.
pub struct Consumed {
    /// What it said of its messages.
    pub marks: Arc<Marks>,
    /// It failed. Told on the console already.
    pub failed: bool,
}

impl Generation {
    /// Hands `messages` to the Worker. Returns when its handler has, and all it lets run on. A trap is a failure like any other: what
    /// was said of messages before it counts.
    pub async fn consume(self: &Arc<Self>, queues: &Queues, queue: &str, messages: Vec<Received>) -> Consumed {
        let mut backoff = PoolBackoff::default();
        loop {
            let mut store = self.store(GuestKind::Event).await;
            let (open, marks) = queues.open_batch(&messages);
            let failure = match self.instantiate_consumer(&mut store).await {
                Ok(guest) => {
                    let handed = messages.iter().map(received).collect();
                    let batch = store.data_mut().table().push(open);
                    match batch {
                        Ok(batch) => call(&guest, &mut store, queue, handed, batch).await,
                        Err(error) => Some(error.to_string()),
                    }
                }
                // No guest has seen the messages.
                Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                    drop(store);
                    backoff.wait().await;
                    continue;
                }
                Err(error) => Some(trap::explain(&store, &error).await.report()),
            };
            let failed = failure.is_some();
            if let Some(failure) = failure {
                store.data().console().tell(Level::Error, format!("queue {queue}: {failure}"));
            }
            return Consumed { marks, failed };
        }
    }

    async fn instantiate_consumer(&self, store: &mut wasmtime::Store<GuestState>) -> wasmtime::Result<Consumer> {
        let Some(indices) = &self.code.queue else {
            wasmtime::bail!(
                "the Worker `{}` has no handler for messages of queues: add one with `#[event(queue)]`",
                self.worker()
            );
        };
        let instance = self.instantiate(store).await?;
        indices.load(store, &instance)
    }
}

/// Calls the handler. Returns why it failed, if it did.
async fn call(
    guest: &Consumer,
    store: &mut wasmtime::Store<GuestState>,
    queue: &str,
    messages: Vec<ReceivedMessage>,
    batch: wasmtime::component::Resource<crate::bindings::queue::OpenBatch>,
) -> Option<String> {
    let cpu = store.data().cpu().clone();
    let called = {
        let queue = queue.to_owned();
        let handle = async move |accessor: &_| guest.call_handle(accessor, queue, messages, batch).await;
        let mut called = pin!(store.run_concurrent(handle));
        // Its processor time is counted from its last wait.
        let paced = future::poll_fn(|context| {
            let polled = called.as_mut().poll(context);
            if polled.is_pending() {
                cpu.after_pending();
            }
            polled
        });
        real::timeout(HANDLER_MAX, paced).await
    };
    match called {
        Some(Ok(Ok(None))) => None,
        Some(Ok(Ok(Some(Error { name, message, .. })))) => Some(format!("{name}: {message}")),
        Some(Ok(Err(error)) | Err(error)) => Some(trap::explain(store, &error).await.report()),
        None => Some(format!("the handler took over {} minutes", HANDLER_MAX.as_secs() / 60)),
    }
}

fn received(message: &Received) -> ReceivedMessage {
    ReceivedMessage {
        id: message.id.clone(),
        timestamp: message.sent_at.as_millis(),
        attempts: message.attempts,
        content_type: match message.content_type {
            ContentType::Json => WitContentType::Json,
            ContentType::Text => WitContentType::Text,
            ContentType::Bytes => WitContentType::Bytes,
            ContentType::V8 => WitContentType::V8,
        },
        body: message.body.clone(),
    }
}
