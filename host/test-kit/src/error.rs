//! What can go wrong in a test, in words for whoever reads its output.

use std::fmt;
use std::time::Duration;

use miniflow::config::Problems;
use miniflow_runtime::mover::MoveError;
use miniflow_runtime::{ApiError, ErrorInfo, InstanceStatus};

/// Why something could not be done. `unwrap` in a test shows its text, not its parts.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine gives no threads, or cannot run WebAssembly.
    #[error("Workers cannot be run here: {0}")]
    Machine(String),
    /// The Worker cannot be built.
    #[error("the Worker cannot be built: {0}")]
    Build(String),
    /// The Worker, or its configuration, cannot be served.
    #[error("the Worker cannot be started:\n{0}")]
    Start(Problems),
    /// The configuration binds nothing of this name.
    #[error("No {kind} binding named \"{binding}\" found in \"{worker}\" worker. It has: {has}")]
    NoBinding {
        /// Such as `Workflow`.
        kind: &'static str,
        /// The name that was asked for.
        binding: String,
        /// The Worker.
        worker: String,
        /// The names there are.
        has: String,
    },
    /// The Worker has no such handler, or no such Worker is there.
    #[error("{0}")]
    NoHandler(String),
    /// What a binding answers in production as well.
    #[error("{}", .0.message)]
    Api(ApiError),
    /// The same of a KV namespace or a queue.
    #[error("{message}")]
    Binding {
        /// The stable part, such as `kv.invalid_key`.
        code: &'static str,
        /// In words.
        message: String,
    },
    /// Something is not what it was taken for, such as a body that is not JSON.
    #[error("{0}")]
    Data(String),
    /// Misuse of introspection, in the words of the official one.
    #[error("{0}")]
    Introspection(String),
    /// The instance can never come to the status that is waited for.
    #[error(
        "[WorkflowIntrospector] The Workflow instance {id} has reached status '{reached}'. This is a finite status that prevents it from ever reaching the expected status of '{expected}'. {doing}"
    )]
    Unreachable {
        /// The instance.
        id: String,
        /// Its status.
        reached: InstanceStatus,
        /// What was waited for.
        expected: InstanceStatus,
        /// What became of it.
        doing: String,
    },
    /// The step that is waited for has failed.
    #[error("step `{step}` of the instance {id} has failed: {error}")]
    StepFailed {
        /// The instance.
        id: String,
        /// The step, as `<name>-<count>`.
        step: String,
        /// Why.
        error: ErrorInfo,
    },
    /// The instance has come to its end, and the step that is waited for to none.
    #[error("the instance {id} has ended, and step `{step}` has no result: {doing}")]
    StepMissing {
        /// The instance.
        id: String,
        /// The step, as `<name>-<count>`.
        step: String,
        /// What became of the instance.
        doing: String,
    },
    /// What is waited for has not come.
    #[error("gave up after {patience:?} waiting for {what} of the instance {id}: {doing}")]
    GaveUp {
        /// The instance.
        id: String,
        /// For what.
        what: String,
        /// How long it was waited, real time.
        patience: Duration,
        /// What the instance is doing instead.
        doing: String,
    },
    /// The clock was not moved, or not to the end.
    #[error("{0}")]
    Time(MoveError),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<MoveError> for Error {
    fn from(error: MoveError) -> Self {
        Self::Time(error)
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::Start(problems)
    }
}
