//! [`Date`]: an instant in milliseconds, as Workers see time.
//!
//! The clock is the dev server's, which can be moved. Inside a workflow read it in a step: a replay would see another time.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

const MS_PER_DAY: u64 = 86_400_000;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
///
/// It prints and serialises as JavaScript's `Date` does, `2026-06-15T12:30:00.000Z`, and also reads a plain number of
/// milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    ms: u64,
}

/// What a [`Date`] is made from.
#[derive(Clone, Debug)]
pub enum DateInit {
    /// Milliseconds since the epoch.
    Millis(u64),
    /// `2026-06-15`, or `2026-06-15T12:30:00.000+02:00` with or without fraction.
    String(String),
}

impl Date {
    /// Makes a date. A text that is no date gives the epoch, as it gives an invalid `Date` in JavaScript; use
    /// [`str::parse`] to learn of it.
    #[must_use]
    pub fn new(init: DateInit) -> Self {
        match init {
            DateInit::Millis(ms) => Self { ms },
            DateInit::String(text) => text.parse().unwrap_or(Self { ms: 0 }),
        }
    }

    /// Returns the current time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "in a Worker this is the host's clock")]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Returns the milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(&self) -> u64 {
        self.ms
    }
}

impl From<DateInit> for Date {
    fn from(init: DateInit) -> Self {
        Self::new(init)
    }
}

impl From<u64> for Date {
    fn from(ms: u64) -> Self {
        Self { ms }
    }
}

impl From<SystemTime> for Date {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }
}

impl From<Date> for SystemTime {
    fn from(date: Date) -> Self {
        UNIX_EPOCH + Duration::from_millis(date.ms)
    }
}

impl std::ops::Add<Duration> for Date {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self { ms: self.ms.saturating_add(u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX)) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.ms / MS_PER_DAY);
        let (s, ms) = (self.ms % MS_PER_DAY / 1000, self.ms % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z", s / 3600, s / 60 % 60, s % 60)
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map(|ms| Self { ms }).ok_or_else(|| format!("`{text}` is not a date").into())
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = Date;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date, or milliseconds since the epoch")
            }

            fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Date, E> {
                Ok(Date { ms })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

/// Reads a date, or a date and time with a zone; a time without zone is UTC. None for anything else and for years before 1970.
fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut fields = date.splitn(3, '-');
    let year = number(fields.next()?, 4)?;
    let month = number(fields.next()?, 2).filter(|month| (1..=12).contains(month))?;
    let day = number(fields.next()?, 2).filter(|day| (1..=31).contains(day))?;
    let midnight = days_from_civil(year, month, day)?.checked_mul(MS_PER_DAY)?;
    let Some(time) = time else { return Some(midnight) };

    let zone_at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut fields = clock.splitn(3, ':');
    let hour = number(fields.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = number(fields.next()?, 2).filter(|minute| *minute < 60)?;
    let second = fields.next().map_or(Some(0), |second| number(second, 2)).filter(|second| *second < 60)?;
    if fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let ms: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let local = midnight + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    match zone.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => Some(local),
        Some((sign, offset)) => {
            let (hours, minutes) = offset.split_once(':').unwrap_or((offset.get(..2)?, offset.get(2..)?));
            let offset = (number(hours, 2)? * 60 + number(minutes, 2)?) * 60_000;
            if sign == "+" { local.checked_sub(offset) } else { local.checked_add(offset) }
        }
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in March so that the leap day is
/// the last one.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    (365 * year + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(719_468)
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_prints_as_in_javascript() {
        assert_eq!(Date::from(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Date::from(1_781_526_600_007).to_string(), "2026-06-15T12:30:00.007Z");
        assert_eq!(Date::from(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn a_date_reads_what_it_prints() {
        for ms in [0, 1, 951_782_399_999, 951_868_800_000, 1_781_526_600_007, 4_102_444_800_000, 253_402_300_799_999] {
            assert_eq!(Date::from(ms).to_string().parse::<Date>().unwrap().as_millis(), ms);
        }
    }

    #[test]
    fn a_date_reads_zones_and_short_forms() {
        for (text, ms) in [
            ("2026-06-15", 1_781_481_600_000),
            ("2026-06-15T12:30Z", 1_781_526_600_000),
            ("2026-06-15T14:30:00+02:00", 1_781_526_600_000),
            ("2026-06-15T08:30:00.5-0400", 1_781_526_600_500),
        ] {
            assert_eq!(text.parse::<Date>().unwrap().as_millis(), ms, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "soon", "2026-13-01", "2026-06-15T25:00Z", "2026-06-15T12:30:00.Z", "2026-06-15T12:30X"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        assert_eq!(Date::new(DateInit::String("soon".into())).as_millis(), 0);
    }

    #[test]
    fn json_is_a_text_and_reads_numbers_too() {
        let date = Date::from(1_781_526_600_007);
        assert_eq!(serde_json::to_string(&date).unwrap(), "\"2026-06-15T12:30:00.007Z\"");
        assert_eq!(serde_json::from_str::<Date>("1781526600007").unwrap(), date);
        assert_eq!(serde_json::from_str::<Date>("\"2026-06-15T12:30:00.007Z\"").unwrap(), date);
    }
}
