//! What can go wrong in a test, in words for whoever reads its output.

use std::fmt;

use miniflow::config::Problems;
use miniflow::introspect::IntrospectError;
use miniflow_runtime::ApiError;
use miniflow_runtime::mover::MoveError;

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
    /// What introspection cannot do, or has waited for in vain.
    #[error("{0}")]
    Introspection(IntrospectError),
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

impl From<IntrospectError> for Error {
    fn from(error: IntrospectError) -> Self {
        match error {
            IntrospectError::Api(error) => Self::Api(error),
            error => Self::Introspection(error),
        }
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
