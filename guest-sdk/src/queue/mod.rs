//! Queues: sending messages ([`Queue`]) and handling them (`#[event(queue)]`, [`MessageBatch`]).
//!
//! ```
//! use miniflow_sdk::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order {
//!     id: String,
//! }
//!
//! #[event(fetch)]
//! async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
//!     env.queue("ORDERS")?.send(Order { id: req.path() }).await?;
//!     Response::ok("it will be seen to")
//! }
//!
//! #[event(queue)]
//! async fn queue(batch: MessageBatch<Order>, _env: Env, _ctx: Context) -> Result<()> {
//!     for message in batch.messages()? {
//!         console_log!("order {}, attempt {}", message.body().id, message.attempts());
//!         message.ack();
//!     }
//!     Ok(())
//! }
//! ```

mod batch;
mod binding;
mod body;
mod handler;
mod send;

pub use batch::{Message, MessageBatch, MessageExt, MessageIter, QueueRetryOptions, QueueRetryOptionsBuilder};
pub use batch::{RawMessage, RawMessageIter};
pub use binding::{Queue, QueueMetrics};
pub use body::{QueueContentType, RawBody};
pub use handler::run_queue;
pub use send::{
    BatchMessageBuilder, BatchSendMessage, MessageBuilder, QueueSendBatchOptions, QueueSendOptions, RawMessageBuilder,
    SendMessage,
};
