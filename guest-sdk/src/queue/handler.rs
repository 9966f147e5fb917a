//! `#[event(queue)]`: what a Worker does with messages.

use std::future::Future;

use super::MessageBatch;
use crate::bindings::miniflow::worker::queue::Batch;
use crate::bindings::miniflow::worker::types;
use crate::bindings::queue_world::exports::miniflow::worker::queue_consumer::ReceivedMessage;
use crate::{Context, Env, Result, start};

/// Calls a handler. It is what the macro expands to, and not for direct use.
#[doc(hidden)]
pub async fn run_queue<T, H, R>(
    queue: String,
    messages: Vec<ReceivedMessage>,
    batch: Batch,
    handler: H,
) -> Option<types::Error>
where
    H: FnOnce(MessageBatch<T>, Env, Context) -> R,
    R: Future<Output = Result<()>>,
{
    start::run_once();
    let context = Context::collecting();
    let result = handler(MessageBatch::new(queue, messages, batch), Env::new(), context.clone()).await;
    context.finish().await;
    result.err().map(|error| error.to_recorded())
}
