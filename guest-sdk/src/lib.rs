//! Write Workers in Rust: HTTP handlers and durable Workflows in one WebAssembly component.
//!
//! The names and signatures are those of the `worker` crate, and of its pending Workflows API, so that code moves between
//! the two by changing the import.
//!
//! # The model
//!
//! A Worker is a crate of type `cdylib`. `#[event(fetch)]` marks the function that answers HTTP requests; `#[workflow]`
//! marks the struct of each workflow class. The component exports just what the crate defines, and sees of the world just
//! what the configuration binds, through [`Env`].
//!
//! ```
//! use miniflow_sdk::*;
//!
//! #[event(fetch)]
//! async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
//!     let orders = env.workflow("ORDERS")?;
//!     let order = orders.create(CreateOptions::new().with_params(req.path())).await?;
//!     Response::ok(format!("order {} is on its way", order.id()))
//! }
//!
//! #[workflow]
//! pub struct Order {}
//!
//! impl WorkflowEntrypoint for Order {
//!     type Input = String;
//!     type Output = u64;
//!
//!     fn new(_ctx: Context, _env: Env) -> Self {
//!         Self {}
//!     }
//!
//!     async fn run(&self, event: WorkflowEvent<String>, step: WorkflowStep) -> Result<u64> {
//!         let number = step.do_("number", |_| async { Ok(Date::now().as_millis()) }).await?;
//!         step.sleep("cool down", "1 hour").await?;
//!         step.do_("ship", |_| async {
//!             console_log!("{} leaves", event.payload);
//!             Ok(())
//!         })
//!         .await?;
//!         Ok(number)
//!     }
//! }
//! ```
//!
//! **A handler** runs once for each request. Statics and thread locals may live on to the next request, and may not.
//!
//! **A workflow** runs as often as it takes. What a step returned is recorded; after a wait, a crash or a restart `run`
//! starts again from the top, and recorded steps return at once. So everything with an effect, and everything that may
//! differ from one time to the next, belongs into a step: HTTP requests, the time, random numbers. The rest must go the
//! same way each time.
//!
//! **What is done can be undone.** [`WorkflowStep::do_with_rollback`] gives a step a handler that runs if the instance fails later
//! on, or is terminated with rollback.
//!
//! **Waiting** never blocks: use [`Delay`] inside a step or handler, [`WorkflowStep::sleep`] between steps. There is one
//! thread; parallel work is [`futures::join!`](futures::join).
//!
//! A Worker's crate also builds natively, so the logic in it can be unit-tested with `cargo test`. What needs the host
//! panics there and says so.

pub mod console;
mod context;
mod date;
mod delay;
mod durable_object;
mod env;
mod error;
mod host;
mod http_api;
pub mod kv;
pub mod prelude;
mod queue;
mod registry;
mod scheduled;
mod service;
mod start;
mod tasks;
mod workflow;

#[doc(hidden)]
pub use miniflow_sdk_bindings as bindings;

pub use context::Context;
pub use date::{Date, DateInit};
pub use delay::Delay;
pub use durable_object::{
    DurableObject, Entries, ListOptions, ObjectId, ObjectNamespace, ScheduledTime, SqlCursor, SqlCursorIterator,
    SqlCursorRawIterator, SqlStorage, SqlStorageValue, State, Storage, Stub, Transaction,
};
pub use env::{Env, Secret, Var};
pub use error::{Error, Result};
pub use http_api::{
    Body, ByteStream, Cors, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, ResponseBuilder,
    RouteContext, RouteParams, Router,
};
pub use kv::{KvError, KvStore};
pub use miniflow_sdk_macros::{durable_object, event, workflow};
pub use queue::{
    BatchMessageBuilder, BatchSendMessage, Message, MessageBatch, MessageBuilder, MessageExt, MessageIter, Queue,
    QueueContentType, QueueMetrics, QueueRetryOptions, QueueRetryOptionsBuilder, QueueSendBatchOptions,
    QueueSendOptions, RawBody, RawMessage, RawMessageBuilder, RawMessageIter, SendMessage,
};
pub use scheduled::{ScheduleContext, ScheduledEvent};
pub use service::Fetcher;
pub use workflow::{
    Backoff, BatchError, BatchOptions, BatchResult, CreateOptions, DelayContext, DelayFn, DeleteError, DeleteResult,
    InstanceError, InstanceStatus, InstanceStatusKind, NonRetryableError, ResolvedRetryConfig, ResolvedStepConfig,
    RestartFrom, RestartOptions, RetentionOptions, RetryConfig, RetryDelay, Rollback, RollbackConfig, RollbackOutcome,
    RollbackStatus, StepConfig, StepError, StepSensitivity, StepType, SubscribeOptions, TerminateOptions,
    WaitForEventOptions, Workflow, WorkflowCronSchedule, WorkflowDuration, WorkflowEntrypoint, WorkflowEvent,
    WorkflowInstance, WorkflowInstanceEvent, WorkflowInstanceEventKind, WorkflowInstanceSubscription,
    WorkflowRollbackContext, WorkflowSleepDuration, WorkflowStep, WorkflowStepContext, WorkflowStepEvent,
    WorkflowStepInfo,
};

pub use futures;
pub use http;
pub use serde;
pub use serde_json;
pub use url::{self, Url};

/// What the macros expand to. No part of it is stable.
#[doc(hidden)]
pub mod __private {
    pub use crate::__submit as submit;
    pub use crate::bindings::durable_objects_world::export_durable_objects;
    pub use crate::bindings::fetch_world::export_http;
    pub use crate::bindings::fetch_world::exports::wasi::http::handler::Guest as HttpGuest;
    pub use crate::bindings::miniflow::worker::queue::Batch as QueueBatch;
    pub use crate::bindings::miniflow::worker::types::Error as RecordedError;
    pub use crate::bindings::queue_world::export_queue;
    pub use crate::bindings::queue_world::exports::miniflow::worker::queue_consumer::{
        Guest as QueueGuest, ReceivedMessage,
    };
    pub use crate::bindings::scheduled_world::export_scheduled;
    pub use crate::bindings::scheduled_world::exports::miniflow::worker::scheduled::{
        Guest as ScheduledGuest, Outcome as ScheduledResult,
    };
    pub use crate::bindings::wasi::http::types::{ErrorCode, Request as HttpRequest, Response as HttpResponse};
    pub use crate::bindings::workflows_world::export_workflows;
    pub use crate::durable_object::{ObjectClass, ObjectsExport};
    pub use crate::http_api::serve;
    pub use crate::queue::run_queue;
    pub use crate::registry::{Registered, Registry};
    pub use crate::scheduled::run_scheduled;
    pub use crate::start::StartHook;
    pub use crate::workflow::{Class, WorkflowsExport};
}

/// The README's example, to be compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
