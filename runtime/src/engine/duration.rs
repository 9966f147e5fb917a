//! `"5 minutes"`: the duration grammar of Workflows.
//!
//! Accepted: `<number> <unit>` with unit second, minute, hour, day, week, month (30 days), year (365.25 days), plural allowed, and a
//! number alone, in milliseconds. Everything else is an error; the official emulator takes an unknown unit for milliseconds.

/// A length of time as a guest or a configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationSpec {
    /// Milliseconds.
    Ms(u64),
    /// To be parsed.
    Text(String),
}

impl DurationSpec {
    /// Returns the length in milliseconds.
    ///
    /// # Errors
    /// When the text is not of the grammar.
    pub fn to_ms(&self) -> Result<u64, InvalidDuration> {
        match self {
            Self::Ms(ms) => Ok(*ms),
            Self::Text(text) => parse(text),
        }
    }
}

/// A text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: expected `<number> <unit>` with unit second, minute, hour, day, week, month or year")]
pub struct InvalidDuration(pub String);

/// Parses a duration into milliseconds.
///
/// # Errors
/// When the text is not of the grammar, negative, or out of range.
pub fn parse(text: &str) -> Result<u64, InvalidDuration> {
    let invalid = || InvalidDuration(super::text::shown(text).into_owned());
    let (number, unit) = match text.split_once(' ') {
        None => (text, ""),
        Some((number, rest)) => (number, rest.trim_start_matches(' ')),
    };
    let plain = !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && number.bytes().filter(|b| *b == b'.').count() <= 1
        && number.bytes().any(|b| b.is_ascii_digit());
    if !plain || (unit.is_empty() && text.len() != number.len()) {
        return Err(invalid());
    }
    let unit_ms: f64 = match unit.strip_suffix('s').unwrap_or(unit) {
        "" if unit.is_empty() => 1.0,
        "second" => 1e3,
        "minute" => 60e3,
        "hour" => 3600e3,
        "day" => 86_400e3,
        "week" => 604_800e3,
        "month" => 30.0 * 86_400e3,
        "year" => 365.25 * 86_400e3,
        _ => return Err(invalid()),
    };
    let ms = number.parse::<f64>().map_err(|_| invalid())? * unit_ms;
    // 2^53: beyond it milliseconds are not exact any more.
    if !(0.0..9_007_199_254_740_992.0).contains(&ms) {
        return Err(invalid());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against the range above")]
    Ok(ms.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::parse;

    // rules: C2.5-16, C2.5-17
    #[test]
    fn every_unit_in_both_numbers() {
        for (text, ms) in [
            ("1 second", 1000),
            ("5 seconds", 5000),
            ("5 second", 5000),
            ("1 minute", 60_000),
            ("2 hours", 7_200_000),
            ("3 days", 259_200_000),
            ("1 week", 604_800_000),
            ("1 month", 2_592_000_000),
            ("1 year", 31_557_600_000),
            ("1.5 hours", 5_400_000),
            ("0 seconds", 0),
            ("250", 250),
            ("2  days", 172_800_000),
        ] {
            assert_eq!(parse(text), Ok(ms), "{text}");
        }
    }

    // rules: C2.5-18
    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            " ",
            "5m",
            "10 foo",
            "5 Minutes",
            "1 s",
            "-5 seconds",
            " 5 minutes",
            "5 minutes ",
            "5 minutes 3 seconds",
            "1_000",
            "1,5 days",
            "0x10",
            "1e3",
            "NaN",
            "inf",
            ".",
            "5 ",
            "1.2.3 days",
            "999999999999 years",
        ] {
            assert!(parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
