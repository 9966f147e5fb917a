//! What introspection cannot do, in the words of the official one where it has some.

use std::time::Duration;

use miniflow_runtime::{ApiError, ErrorInfo, InstanceStatus};

/// Why introspection has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectError {
    /// Misuse, in the words of the official one.
    #[error("{0}")]
    Misuse(String),
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
    /// What a binding answers in production as well.
    #[error("{}", .0.message)]
    Api(ApiError),
}

impl IntrospectError {
    /// The stable part, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Misuse(_) => "introspection.misuse",
            Self::Unreachable { .. } => "introspection.unreachable",
            Self::StepFailed { .. } => "introspection.step_failed",
            Self::StepMissing { .. } => "introspection.step_missing",
            Self::GaveUp { .. } => "introspection.gave_up",
            Self::Api(error) => error.code,
        }
    }
}

impl From<ApiError> for IntrospectError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}
