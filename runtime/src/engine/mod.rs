//! The engine: what may happen to an instance, as a value.
//!
//! [`Instance::decide`] says which [`Entry`]s a [`Command`] leads to; [`Instance::evolve`] takes an entry into the state. The state
//! is nothing but its journal, so recovery is a fold over stored entries. What the outside must do (answer a call, arm a
//! timer, start a run) is not listed by `decide`: it follows from the state after the commit ([`Instance::answer`],
//! [`Instance::deadline`], [`Instance::wants_run`]). A crash can therefore lose no effect: the same questions are asked again.
//!
//! Never here: a clock, async, I/O, randomness, logging.

mod command;
pub mod details;
pub mod duration;
mod entry;
pub mod events;
mod instance;
pub mod limits;
mod retry;
mod status;
mod step;
#[cfg(test)]
mod tests;
pub mod text;
pub mod validate;

pub use bytes::Bytes;
pub use command::{Command, Context, Refusal};
pub use entry::{Entry, Stamped};
pub use instance::Instance;
pub use retry::{Backoff, Retry, RetryDelay, RetryOptions, RollbackOptions, StepConfig, StepOptions};
pub use status::InstanceStatus;
pub use step::{
    Answer, Compensation, Outcome, ReceivedEvent, Step, StepKey, StepKind, StepNo, StepState, StoredStream, Undo,
};

use serde::{Deserialize, Serialize};

/// How the compensations of an instance went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackOutcome {
    /// Why they did not come to their end. None: all of them succeeded.
    pub error: Option<ErrorInfo>,
}

/// An error as instances and steps record it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{name}: {message}")]
pub struct ErrorInfo {
    /// Such as `Error`, `NonRetryableError`, `WorkflowTimeoutError`.
    pub name: String,
    /// What went wrong, in the words of whoever raised it.
    pub message: String,
    /// Where, readable by people, one frame a line.
    #[serde(default)]
    pub backtrace: Option<String>,
}

impl ErrorInfo {
    /// Returns an error of this name and message.
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), message: message.into(), backtrace: None }
    }
}
