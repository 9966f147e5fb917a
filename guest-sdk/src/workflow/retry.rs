//! How a step is tried: its configuration, what its body is told about it, and the error that ends the trying.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::retry_delay::DelayFn;
use super::{RetryDelay, WorkflowSleepDuration};
use crate::Error;
use crate::bindings::miniflow::worker::steps;

/// How a step is run. The default is 5 retries, 10 seconds apart at first and then twice as far each time, with 10 minutes
/// for each attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepConfig {
    /// When to try again after a failure.
    pub retries: Option<RetryConfig>,
    /// How long one attempt may take.
    pub timeout: Option<WorkflowSleepDuration>,
    /// What must not be shown.
    pub sensitive: Option<StepSensitivity>,
}

/// When a failed step is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Retries after the first attempt, so `limit + 1` attempts in all; at most 10,000.
    pub limit: u32,
    /// The time before the first retry, or a function that gives it.
    pub delay: RetryDelay,
    /// How the delay grows; exponentially unless told otherwise.
    pub backoff: Option<Backoff>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { limit: 5, delay: Duration::from_secs(10).into(), backoff: None }
    }
}

impl StepConfig {
    /// Makes a configuration that leaves everything at its default.
    ///
    /// ```
    /// # use miniflow_sdk::{Backoff, RetryConfig, StepConfig};
    /// let retries = RetryConfig::new(3, "10 seconds").backoff(Backoff::Constant);
    /// let config = StepConfig::new().retries(retries).timeout("5 minutes").sensitive_output();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets when to try again.
    #[must_use]
    pub fn retries(mut self, retries: RetryConfig) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Sets how long one attempt may take.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<WorkflowSleepDuration>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// Hides the output wherever people look at it.
    #[must_use]
    pub fn sensitive_output(mut self) -> Self {
        self.sensitive = Some(StepSensitivity::Output);
        self
    }

    /// Returns what the host is told, and what stays here.
    pub(super) fn split(self) -> (steps::StepOptions, Option<DelayFn>) {
        let (retries, delay) = self.retries.map(RetryConfig::split).unzip();
        let options = steps::StepOptions {
            retries,
            timeout: self.timeout.map(WorkflowSleepDuration::into_wit),
            sensitive_output: self.sensitive == Some(StepSensitivity::Output),
            rollback: None,
        };
        (options, delay.flatten())
    }
}

impl RetryConfig {
    /// Tries again `limit` times, `delay` apart at first.
    pub fn new(limit: u32, delay: impl Into<RetryDelay>) -> Self {
        Self { limit, delay: delay.into(), backoff: None }
    }

    /// Sets how the delay grows.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Returns what the host is told, and what stays here.
    pub(super) fn split(self) -> (steps::RetryOptions, Option<DelayFn>) {
        let (delay, function) = self.delay.split();
        let backoff = self.backoff.map(|backoff| match backoff {
            Backoff::Constant => steps::Backoff::Constant,
            Backoff::Linear => steps::Backoff::Linear,
            Backoff::Exponential => steps::Backoff::Exponential,
        });
        (steps::RetryOptions { limit: self.limit, delay, backoff }, function)
    }
}

/// How the delay between attempts grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// Always the same.
    Constant,
    /// `delay × attempt`.
    Linear,
    /// `delay × 2^(attempt − 1)`.
    Exponential,
}

/// What of a step must not be shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepSensitivity {
    /// The output: recorded for the run, shown as `[REDACTED]`.
    Output,
}

/// What the body of a step is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkflowStepContext {
    /// Which step it is.
    pub step: WorkflowStepInfo,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The configuration in force.
    pub config: ResolvedStepConfig,
}

/// Which step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkflowStepInfo {
    /// The name it was given.
    pub name: String,
    /// How many-th step of that name, from 1.
    pub count: u32,
}

/// A [`StepConfig`] with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedStepConfig {
    /// For each attempt.
    pub timeout: Duration,
    /// When it is tried again.
    pub retries: ResolvedRetryConfig,
    /// What must not be shown.
    pub sensitive: Option<StepSensitivity>,
}

/// A [`RetryConfig`] with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedRetryConfig {
    /// Retries after the first attempt.
    pub limit: u32,
    /// The time before the first retry; none when a function gives it.
    pub delay: Option<Duration>,
    /// How the delay grows.
    pub backoff: Backoff,
}

/// An error that trying again does not help. Returned by a step's body, it fails the step at once.
///
/// ```
/// # use miniflow_sdk::{NonRetryableError, Result};
/// fn check(amount: i64) -> Result<()> {
///     if amount <= 0 {
///         return Err(NonRetryableError::new("the amount must be positive").into());
///     }
///     Ok(())
/// }
/// # assert_eq!(check(0).unwrap_err().name(), "NonRetryableError");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonRetryableError {
    name: String,
    message: String,
}

impl NonRetryableError {
    /// Makes the error.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { name: "NonRetryableError".to_owned(), message: message.into() }
    }

    /// Gives it another name, which the status of the instance shows.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl std::fmt::Display for NonRetryableError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NonRetryableError {}

impl From<NonRetryableError> for Error {
    fn from(error: NonRetryableError) -> Self {
        Self::NonRetryable { name: error.name, message: error.message }
    }
}

impl From<steps::AttemptInfo> for WorkflowStepContext {
    fn from(info: steps::AttemptInfo) -> Self {
        let config = info.config;
        Self {
            step: WorkflowStepInfo { name: info.step_name, count: info.step_count },
            attempt: info.attempt,
            config: ResolvedStepConfig {
                timeout: Duration::from_millis(config.timeout_ms),
                retries: ResolvedRetryConfig {
                    limit: config.retry_limit,
                    delay: config.retry_delay_ms.map(Duration::from_millis),
                    backoff: match config.backoff {
                        steps::Backoff::Constant => Backoff::Constant,
                        steps::Backoff::Linear => Backoff::Linear,
                        steps::Backoff::Exponential => Backoff::Exponential,
                    },
                },
                sensitive: config.sensitive_output.then_some(StepSensitivity::Output),
            },
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A step `charge` with two retries, as its body sees it.
    pub(in crate::workflow) fn context(attempt: u32) -> WorkflowStepContext {
        let config = steps::StepConfig {
            retry_limit: 2,
            retry_delay_ms: None,
            backoff: steps::Backoff::Constant,
            timeout_ms: 600_000,
            sensitive_output: false,
        };
        steps::AttemptInfo { step_name: "charge".into(), step_count: 1, attempt, config }.into()
    }

    // rules: C2.5-35
    #[test]
    fn a_non_retryable_error_keeps_its_name_and_text() {
        let error: Error = NonRetryableError::new("no such card").with_name("CardError").into();
        assert!(!error.is_retryable());
        assert_eq!((error.name(), error.to_string().as_str()), ("CardError", "no such card"));
    }

    #[test]
    fn an_empty_config_leaves_everything_to_the_host() {
        let (options, delay) = StepConfig::default().split();
        assert!(options.retries.is_none() && options.timeout.is_none() && !options.sensitive_output);
        assert!(options.rollback.is_none() && delay.is_none());
    }

    #[test]
    fn a_dynamic_delay_has_no_length_beforehand() {
        let delay = RetryDelay::sync(|_| Ok("1 second".into()));
        let (options, delay) = StepConfig::new().retries(RetryConfig::new(2, delay)).split();
        assert!(matches!(options.retries, Some(retries) if matches!(retries.delay, steps::RetryDelay::Dynamic)));
        assert!(delay.is_some());
        assert_eq!(context(1).config.retries.delay, None);
    }
}
