//! Tests of Workers compiled to WebAssembly: the real component, in the process of the test, in milliseconds.
//!
//! ```no_run
//! use miniflow_test::Worker;
//! use serde_json::json;
//!
//! #[tokio::test]
//! async fn an_order_is_accepted() -> Result<(), miniflow_test::Error> {
//!     let worker = Worker::here().start().await?;
//!     let answer = worker.post_json("/orders", &json!({ "id": "order-1" })).await?.expect(201)?;
//!     assert_eq!(answer.text(), "order-1");
//!     Ok(())
//! }
//! ```
//!
//! [`Worker`] says what is tested; started, it is a [`TestWorker`]: with a state in memory and a clock of its own, without a port. As many as
//! wanted run side by side, and none sees another. A test never sleeps: see [`Clock`].
//!
//! Promises: a Worker under test is the one that is served, run by the same code; nothing of it is made up but what the test says. Any executor
//! will do, and none: [`block_on`].

mod bindings;
mod body;
mod clock;
mod console;
mod content;
mod dispatch;
mod error;
mod fixtures;

mod introspect;
mod matrix;
mod modifier;
mod objects;
mod outbound;
mod process;
mod running;
mod secrets;
mod worker;
mod workflow;

pub use ::http;
pub use bindings::{Kv, Message, QueueProducer};
pub use body::{Body, Response};
pub use clock::{Clock, Length};
pub use dispatch::{QueueMessage, QueueResult, RetryBatch, RetryMessage, ScheduledResult};
pub use error::Error;
pub use introspect::{InstanceIntrospector, WorkflowIntrospector};
pub use matrix::{CrashReport, Scenario, crash_matrix};
pub use miniflow::bindings::kv::{Entry, ListOptions, Listed, Page, PutOptions};
pub use miniflow::bindings::logging::{Level, LogLine};
pub use miniflow::bindings::queue::Metrics;
pub use miniflow::introspect::IntrospectError;
pub use miniflow::verify::matrix::{Finding, Harm};
pub use miniflow::verify::scenario::Stub;
pub use miniflow_runtime::clock::TimeMode;
pub use miniflow_runtime::dispatcher::RestartFrom;
pub use miniflow_runtime::mover::Moved;
pub use miniflow_runtime::{CreateOptions, ErrorInfo, InstanceStatus, StepKind, Timestamp};
pub use modifier::{All, Modifier, Step, StepError, Steps};
pub use objects::{DurableObject, DurableObjects};
pub use running::TestWorker;
pub use worker::Worker;
pub use workflow::{Instance, Status, Workflow};

/// The examples of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/testing.md")]
mod guide {}

/// Runs a test that is written without an executor.
///
/// # Panics
///
/// When Workers cannot be run on this machine, or when it is called from within an executor.
pub fn block_on<F: Future>(test: F) -> F::Output {
    match process::process() {
        Ok(process) => process.block_on(test),
        Err(error) => panic!("{error}"),
    }
}
