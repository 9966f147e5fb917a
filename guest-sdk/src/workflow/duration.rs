//! Lengths of time as Workflows accept them.
//!
//! A text such as `"5 seconds"` is checked by the host, not here, so that every language reads the same grammar and gets
//! the same error.

use std::fmt;
use std::time::Duration;

use crate::bindings::miniflow::worker::types;

/// How long to sleep, to wait, or between two attempts: made from a text like `"10 minutes"`, from a
/// [`std::time::Duration`], or from an amount and a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowSleepDuration(Length);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Length {
    Ms(u64),
    Text(String),
}

/// A unit of time. A month has 30 days and a year 365.25.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowDuration {
    /// 1000 ms.
    Seconds,
    /// 60 seconds.
    Minutes,
    /// 60 minutes.
    Hours,
    /// 24 hours.
    Days,
    /// 7 days.
    Weeks,
    /// 30 days.
    Months,
    /// 365.25 days.
    Years,
}

impl WorkflowSleepDuration {
    /// Makes a length of `amount` units.
    ///
    /// ```
    /// # use miniflow_sdk::{WorkflowDuration, WorkflowSleepDuration};
    /// let five = WorkflowSleepDuration::new(5, WorkflowDuration::Minutes);
    /// assert_eq!(five, "5 minutes".into());
    /// ```
    #[must_use]
    pub fn new(amount: u32, unit: WorkflowDuration) -> Self {
        let unit = match unit {
            WorkflowDuration::Seconds => "seconds",
            WorkflowDuration::Minutes => "minutes",
            WorkflowDuration::Hours => "hours",
            WorkflowDuration::Days => "days",
            WorkflowDuration::Weeks => "weeks",
            WorkflowDuration::Months => "months",
            WorkflowDuration::Years => "years",
        };
        Self(Length::Text(format!("{amount} {unit}")))
    }

    pub(super) fn into_wit(self) -> types::Duration {
        match self.0 {
            Length::Ms(ms) => types::Duration::Ms(ms),
            Length::Text(text) => types::Duration::Text(text),
        }
    }
}

impl From<&str> for WorkflowSleepDuration {
    fn from(text: &str) -> Self {
        Self(Length::Text(text.to_owned()))
    }
}

impl From<String> for WorkflowSleepDuration {
    fn from(text: String) -> Self {
        Self(Length::Text(text))
    }
}

/// Counts whole milliseconds; a part of one counts as one, so that what is not zero stays so.
impl From<Duration> for WorkflowSleepDuration {
    fn from(duration: Duration) -> Self {
        let ms = duration.as_nanos().div_ceil(1_000_000);
        Self(Length::Ms(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for WorkflowSleepDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Length::Ms(ms) => write!(f, "{ms} ms"),
            Length::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rules: C2.5-15, C2.10-6
    #[test]
    fn a_length_is_a_text_or_milliseconds() {
        for (length, shown) in [
            (WorkflowSleepDuration::from("2 weeks"), "2 weeks"),
            (WorkflowSleepDuration::from(String::from("1 second")), "1 second"),
            (WorkflowSleepDuration::new(3, WorkflowDuration::Months), "3 months"),
            (Duration::from_millis(1500).into(), "1500 ms"),
            (Duration::from_nanos(1).into(), "1 ms"),
            (Duration::ZERO.into(), "0 ms"),
        ] {
            assert_eq!(length.to_string(), shown);
        }
    }

    #[test]
    fn a_length_beyond_what_fits_is_the_longest() {
        assert_eq!(WorkflowSleepDuration::from(Duration::MAX).0, Length::Ms(u64::MAX));
    }
}
