//! Step options: defaults, validation, back-off arithmetic. Nothing else.

use serde::{Deserialize, Serialize};

use super::duration::DurationSpec;
use super::{ErrorInfo, limits, text};

/// How the delay grows from retry to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// Always the same.
    Constant,
    /// Times the number of the attempt that failed.
    Linear,
    /// Doubled each time.
    Exponential,
}

/// Options of a step as the guest gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepOptions {
    /// None: the defaults.
    pub retries: Option<RetryOptions>,
    /// For each attempt. None: 10 minutes.
    pub timeout: Option<DurationSpec>,
    /// Show the output as `[REDACTED]`.
    pub sensitive_output: bool,
    /// Present when the guest can compensate the step.
    pub rollback: Option<RollbackOptions>,
}

/// Options of a compensation as the guest gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackOptions {
    /// None: the defaults.
    pub retries: Option<RetryOptions>,
    /// For each attempt. None: 10 minutes.
    pub timeout: Option<DurationSpec>,
}

/// The delay before a retry as the guest gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryDelay {
    /// Always this, scaled by the back-off.
    Fixed(DurationSpec),
    /// Said anew after each failed attempt: [`Retry::After`].
    Dynamic,
}

/// Whether and when a failed attempt is followed by another, as far as the guest decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// As the options say.
    ByPolicy,
    /// As they say, with this delay, scaled by the back-off.
    After(DurationSpec),
    /// The guest's function for the delay failed with this text.
    DelayFailed(String),
    /// The guest's function for the delay took too long.
    DelayTimedOut,
    /// Not at all: a `NonRetryableError`.
    Never,
}

/// Retries as the guest gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOptions {
    /// Retries after the first attempt.
    pub limit: u32,
    /// Before the first retry.
    pub delay: RetryDelay,
    /// None: exponential.
    pub backoff: Option<Backoff>,
}

/// Options in force: persisted when the step is first asked for, and kept for all its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepConfig {
    /// Retries after the first attempt.
    pub retry_limit: u32,
    /// Milliseconds before the first retry. Of a dynamic delay: what counts when the guest did not live to say it.
    pub retry_delay_ms: u64,
    /// How the delay grows.
    pub backoff: Backoff,
    /// Milliseconds an attempt may take.
    pub timeout_ms: u64,
    /// Show the output as `[REDACTED]`.
    #[serde(default)]
    pub sensitive_output: bool,
    /// The guest says the delay after each failed attempt.
    #[serde(default)]
    pub dynamic_delay: bool,
}

impl Default for StepConfig {
    fn default() -> Self {
        Self {
            retry_limit: limits::RETRY_LIMIT_DEFAULT,
            retry_delay_ms: limits::RETRY_DELAY_MS_DEFAULT,
            backoff: Backoff::Exponential,
            timeout_ms: limits::STEP_TIMEOUT_MS_DEFAULT,
            sensitive_output: false,
            dynamic_delay: false,
        }
    }
}

impl StepConfig {
    /// Fills in the defaults.
    ///
    /// # Errors
    /// The documented text when a value is not allowed: an unparsable duration, a timeout of 0, more than 10,000 retries.
    pub fn resolve(step: &str, options: &StepOptions) -> Result<Self, ErrorInfo> {
        let config = Self::fill(options.retries.as_ref(), options.timeout.as_ref());
        let config = config.map_err(|Invalid| text::invalid_step_config(step))?;
        Ok(Self { sensitive_output: options.sensitive_output, ..config })
    }

    /// Fills in the defaults of a compensation's options.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_rollback(step: &str, options: &RollbackOptions) -> Result<Self, ErrorInfo> {
        Self::fill(options.retries.as_ref(), options.timeout.as_ref())
            .map_err(|Invalid| text::invalid_rollback_config(step))
    }

    fn fill(retries: Option<&RetryOptions>, timeout: Option<&DurationSpec>) -> Result<Self, Invalid> {
        let mut config = Self::default();
        if let Some(retries) = retries {
            if retries.limit > limits::RETRIES_MAX {
                return Err(Invalid);
            }
            config.retry_limit = retries.limit;
            match &retries.delay {
                RetryDelay::Fixed(delay) => config.retry_delay_ms = delay.to_ms().map_err(|_| Invalid)?,
                RetryDelay::Dynamic => config.dynamic_delay = true,
            }
            config.backoff = retries.backoff.unwrap_or(Backoff::Exponential);
        }
        if let Some(timeout) = timeout {
            config.timeout_ms = timeout.to_ms().map_err(|_| Invalid)?;
            // `"0 seconds"` is accepted and times out at once; a bare zero is not.
            let bare_zero = match timeout {
                DurationSpec::Ms(ms) => *ms == 0,
                DurationSpec::Text(text) => !text.contains(' ') && config.timeout_ms == 0,
            };
            if bare_zero {
                return Err(Invalid);
            }
        }
        Ok(config)
    }

    /// Whether a failed attempt of this number is followed by another one.
    #[must_use]
    pub fn retries_after(&self, attempt: u32) -> bool {
        attempt <= self.retry_limit
    }

    /// Milliseconds between the failure of attempt `attempt` (from 1) and the next. No jitter, no cap.
    #[must_use]
    pub fn delay_ms_after(&self, attempt: u32) -> u64 {
        self.scaled(self.retry_delay_ms, attempt)
    }

    /// `delay_ms` as the back-off makes it after attempt `attempt`.
    #[must_use]
    pub fn scaled(&self, delay_ms: u64, attempt: u32) -> u64 {
        let factor = match self.backoff {
            Backoff::Constant => 1,
            Backoff::Linear => u64::from(attempt),
            Backoff::Exponential => 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX),
        };
        delay_ms.saturating_mul(factor)
    }
}

/// Options that are not allowed; the text names the step.
struct Invalid;

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(limit: u32, delay: &str) -> StepOptions {
        let retries = RetryOptions { limit, delay: RetryDelay::Fixed(DurationSpec::Text(delay.into())), backoff: None };
        StepOptions { retries: Some(retries), ..StepOptions::default() }
    }

    // rules: C2.5-22
    #[test]
    fn delays_grow_as_documented() {
        let config = |backoff| StepConfig { retry_delay_ms: 100, backoff, ..StepConfig::default() };
        let delays = |backoff| (1..=3).map(|n| config(backoff).delay_ms_after(n)).collect::<Vec<_>>();
        assert_eq!(delays(Backoff::Constant), [100, 100, 100]);
        assert_eq!(delays(Backoff::Linear), [100, 200, 300]);
        assert_eq!(delays(Backoff::Exponential), [100, 200, 400]);
        assert_eq!(config(Backoff::Exponential).delay_ms_after(10_000), u64::MAX);
    }

    // rules: C2.5-19
    #[test]
    fn defaults_are_the_documented_ones() {
        let config = StepConfig::resolve("s", &StepOptions::default()).unwrap();
        assert_eq!((config.retry_limit, config.retry_delay_ms, config.timeout_ms), (5, 10_000, 600_000));
        assert_eq!(config.backoff, Backoff::Exponential);
    }

    // rules: A38
    #[test]
    fn what_is_given_is_merged_with_the_defaults() {
        let config = StepConfig::resolve("s", &retries(3, "2 seconds")).unwrap();
        let expected = StepConfig { retry_limit: 3, retry_delay_ms: 2000, ..StepConfig::default() };
        assert_eq!((config.backoff, config), (Backoff::Exponential, expected));
        let timeout = StepOptions { timeout: Some(DurationSpec::Ms(7)), ..StepOptions::default() };
        let config = StepConfig::resolve("s", &timeout).unwrap();
        assert_eq!(config, StepConfig { timeout_ms: 7, ..StepConfig::default() });
    }

    // rules: C2.5-20, C2.5-24, C3-19, A111
    #[test]
    fn limits_on_both_sides() {
        assert!(StepConfig::resolve("s", &retries(10_000, "1 second")).is_ok());
        assert!(StepConfig::resolve("s", &retries(10_001, "1 second")).is_err());
        assert!(StepConfig::resolve("s", &retries(1, "10 foo")).is_err());
        assert!(StepConfig::resolve("s", &retries(0, "0")).is_ok());
        let timeout = |spec| StepOptions { timeout: Some(spec), ..StepOptions::default() };
        assert!(StepConfig::resolve("s", &timeout(DurationSpec::Ms(0))).is_err());
        assert!(StepConfig::resolve("s", &timeout(DurationSpec::Text("0".into()))).is_err());
        assert!(StepConfig::resolve("s", &timeout(DurationSpec::Text("0 seconds".into()))).is_ok());
        assert!(StepConfig::resolve("s", &timeout(DurationSpec::Ms(1))).is_ok());
    }
}
