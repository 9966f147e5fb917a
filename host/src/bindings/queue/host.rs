//! `queue` of the WIT contract.

use std::sync::Arc;

use wasmtime::component::{Accessor, Resource};

use super::{BoundQueue, ContentType, DELAY_S_MAX, Mark, OpenBatch, Outgoing, Queues, SendError};
use crate::bindings::logging::Level;
use crate::bindings::{Bindings, Bound};
use crate::wasm::GuestState;
use crate::wasm::bindings::Guest;
use crate::wasm::bindings::miniflow::worker::queue::{
    ContentType as WitContentType, Host, HostBatch, HostWithStore, Message, QueueMetrics,
};
use crate::wasm::bindings::miniflow::worker::types::ApiError;
use crate::wasm::outside::Deed;

type Asked<T> = wasmtime::Result<Result<T, ApiError>>;

type Store = Accessor<GuestState, Guest>;

impl Host for GuestState {}

impl HostWithStore<GuestState> for Guest {
    async fn send(store: &Store, binding: String, message: Message) -> Asked<()> {
        let bodies = shown(store, || vec![message.body.clone().into()]);
        let send = async |queues: Queues, queue: BoundQueue| queues.send(&queue, message.into()).await;
        ask(store, &binding, bodies, send).await
    }

    async fn send_batch(store: &Store, binding: String, messages: Vec<Message>, delay_s: Option<u32>) -> Asked<()> {
        let bodies = shown(store, || messages.iter().map(|message| message.body.clone().into()).collect());
        let messages = messages.into_iter().map(Into::into).collect();
        let send = async |queues: Queues, queue: BoundQueue| queues.send_batch(&queue, messages, delay_s).await;
        ask(store, &binding, bodies, send).await
    }

    async fn metrics(store: &Store, binding: String) -> Asked<QueueMetrics> {
        let look = async |queues: Queues, queue: BoundQueue| {
            let metrics = queues.metrics(&queue.queue).await?;
            Ok(Ok(QueueMetrics {
                backlog_count: metrics.count,
                backlog_bytes: metrics.bytes,
                oldest_message: metrics.oldest.map(|oldest| oldest.as_millis()),
            }))
        };
        ask(store, &binding, Vec::new(), look).await
    }
}

impl HostBatch for GuestState {
    fn ack(&mut self, this: Resource<OpenBatch>, index: u32) -> wasmtime::Result<()> {
        self.table().get(&this)?.ack(place(index));
        Ok(())
    }

    fn retry(&mut self, this: Resource<OpenBatch>, index: u32, delay_s: Option<u32>) -> wasmtime::Result<()> {
        let mark = self.retry_mark(delay_s);
        self.table().get(&this)?.marks.mark(place(index), mark);
        Ok(())
    }

    fn ack_all(&mut self, this: Resource<OpenBatch>) -> wasmtime::Result<()> {
        self.table().get(&this)?.marks.mark_all(Mark::Ack);
        Ok(())
    }

    fn retry_all(&mut self, this: Resource<OpenBatch>, delay_s: Option<u32>) -> wasmtime::Result<()> {
        let mark = self.retry_mark(delay_s);
        self.table().get(&this)?.marks.mark_all(mark);
        Ok(())
    }

    fn drop(&mut self, this: Resource<OpenBatch>) -> wasmtime::Result<()> {
        self.table().delete(this)?;
        Ok(())
    }
}

impl GuestState {
    /// The call has no answer that could refuse a delay.
    fn retry_mark(&self, delay_s: Option<u32>) -> Mark {
        if let Some(asked) = delay_s.filter(|delay_s| *delay_s > DELAY_S_MAX) {
            let message = format!("a retry delay of {asked} seconds exceeds limit of {DELAY_S_MAX}: it is cut to that");
            self.console().tell(Level::Warn, message);
        }
        Mark::Retry(delay_s.map(|delay_s| delay_s.min(DELAY_S_MAX)))
    }
}

fn place(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl From<Message> for Outgoing {
    fn from(message: Message) -> Self {
        let Message { body, content_type, delay_seconds } = message;
        let content_type = match content_type {
            WitContentType::Json => ContentType::Json,
            WitContentType::Text => ContentType::Text,
            WitContentType::Bytes => ContentType::Bytes,
            WitContentType::V8 => ContentType::V8,
        };
        Self { body: body.into(), content_type, delay_s: delay_seconds }
    }
}

/// What is sent, if somebody wants to see it.
fn shown(store: &Store, sent: impl FnOnce() -> Vec<bytes::Bytes>) -> Vec<bytes::Bytes> {
    let wanted = store.with(|mut access| access.get().services().outside().is_some());
    if wanted { sent() } else { Vec::new() }
}

/// Asks for something of the queue that `binding` stands for. `sent`: what it sends there.
async fn ask<T>(
    store: &Store,
    binding: &str,
    sent: Vec<bytes::Bytes>,
    question: impl AsyncFnOnce(Queues, BoundQueue) -> Result<Result<T, SendError>, super::WriterError>,
) -> Asked<T> {
    let (gate, queues, bound) = store.with(|mut access| {
        let state = access.get();
        (state.gate(), state.services().queues(), bound(state.bound(), binding))
    });
    let busy = gate.pass("uses a queue outside of a step").await?;
    let bound = match bound {
        Ok(bound) => bound,
        Err(error) => return Ok(Err(error)),
    };
    let Some(queues) = queues else { wasmtime::bail!("the session has no queues") };
    if !sent.is_empty() {
        let (services, run) = store.with(|mut access| {
            let state = access.get();
            (Arc::clone(state.services()), state.run().cloned())
        });
        services.show(run.as_ref(), || Deed::Send { queue: bound.queue.clone(), messages: sent }).await;
    }
    let answer = question(queues, bound).await;
    drop(busy);
    Ok(answer?.map_err(|error| ApiError { code: error.code().to_owned(), message: error.to_string() }))
}

/// The queue that `binding` stands for.
fn bound(bindings: &Bindings, binding: &str) -> Result<BoundQueue, ApiError> {
    let problem = match bindings.get(binding) {
        Some(Bound::Queue(queue)) => return Ok(queue.clone()),
        Some(other) => format!("binding `{binding}` is a {}, not a queue", other.kind()),
        None => format!("there is no binding `{binding}`"),
    };
    let bound = match bindings.list("queue") {
        Some(names) => format!("bound queues: {names}"),
        None => "no queue is bound; add it to `queues.producers` in the configuration".to_owned(),
    };
    Err(ApiError { code: "binding.not_found".to_owned(), message: format!("{problem} ({bound})") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_reaches_the_queues_that_are_bound_by_the_names_they_have_here() {
        let queue = BoundQueue { queue: "orders".to_owned(), delay_s: 0 };
        let bindings: Bindings =
            [("ORDERS".to_owned(), Bound::Queue(queue.clone())), ("GREETING".to_owned(), Bound::Text("hi".to_owned()))]
                .into_iter()
                .collect();
        assert_eq!(bound(&bindings, "ORDERS").ok(), Some(queue));
        // The name of a queue, its own or another Worker's, is not the name of a binding.
        let error = bound(&bindings, "orders").unwrap_err();
        assert_eq!(error.code, "binding.not_found");
        assert_eq!(error.message, "there is no binding `orders` (bound queues: `ORDERS`)");
        let error = bound(&bindings, "GREETING").unwrap_err();
        assert_eq!(error.message, "binding `GREETING` is a variable, not a queue (bound queues: `ORDERS`)");
        let error = bound(&Bindings::default(), "ORDERS").unwrap_err();
        assert!(error.message.ends_with("(no queue is bound; add it to `queues.producers` in the configuration)"));
    }
}
