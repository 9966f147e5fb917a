//! Cron expressions: Cloudflare's syntax, and when one matches.
//!
//! Five fields in UTC: minute, hour, day of the month, month, weekday (1 is Sunday). `docs/cron.md` has the whole syntax. Promises: what
//! production accepts is accepted and means the same, but for a wrapped range (`22-2`, `FRI-SUN`), which is read as it is documented, and
//! a `*` inside a list (`5,*`), which is refused since it is not every value there. Never does: read the clock, know a time zone.

mod calendar;
mod parse;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use calendar::Utc;
pub use parse::CronError;

use crate::clock::Timestamp;

/// An expression that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// As it was written.
    text: Arc<str>,
    /// A bit for each value, from the value 0 on.
    minutes: u64,
    hours: u64,
    months: u64,
    days: Days,
    weekdays: Weekdays,
}

/// Days of the month, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Days {
    /// `*`
    Any,
    /// A bit for each.
    Of(u64),
    /// `L`, `L-n`: so many days before the last.
    Last(u32),
    /// `nW`: the weekday nearest to it, in the same month.
    Near(u32),
    /// `LW`, `L-nW`
    NearLast(u32),
}

/// Weekdays, Sunday is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weekdays {
    /// `*`
    Any,
    /// A bit for each.
    Of(u64),
    /// `dL`: the last one of the month.
    Last(u32),
    /// `d#n`: the nth one of the month.
    Nth(u32, u32),
}

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// After so many months dates and weekdays repeat (400 years have a whole number of weeks): what has not matched by then never does.
const MONTHS_MAX: u64 = 400 * 12;

impl Cron {
    /// The expression as it was written, character for character.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches the minute that `at` is in.
    #[must_use]
    pub fn matches(&self, at: Timestamp) -> bool {
        let (date, minute) = (Utc::of(at), at.0 / MINUTE_MS % (24 * 60));
        has(self.hours, minute / 60)
            && has(self.minutes, minute % 60)
            && has(self.months, date.month.into())
            && self.matches_day(date.day, calendar::month(date.year, date.month))
    }

    /// The first moment after `after` that it matches: the beginning of a minute. None when it never does any more.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let from = (after.0 / MINUTE_MS + 1).checked_mul(MINUTE_MS)?;
        let Utc { mut year, mut month, day, .. } = Utc::of(Timestamp(from));
        let mut first = day;
        for _ in 0..=MONTHS_MAX {
            if has(self.months, month.into()) {
                let of_month = calendar::month(year, month);
                for day in (first..=of_month.length).filter(|day| self.matches_day(*day, of_month)) {
                    let midnight = (of_month.first + u64::from(day) - 1).checked_mul(DAY_MS)?;
                    if let Some(minute) = self.minute_from(from.saturating_sub(midnight) / MINUTE_MS) {
                        return Some(Timestamp(midnight.checked_add(minute * MINUTE_MS)?));
                    }
                }
            }
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            first = 1;
        }
        None
    }

    /// The first minute of a day that it matches, `least` or later.
    fn minute_from(&self, least: u64) -> Option<u64> {
        let hours = (least / 60..24).filter(|hour| has(self.hours, *hour));
        hours.flat_map(|hour| (hour * 60).max(least)..(hour + 1) * 60).find(|minute| has(self.minutes, minute % 60))
    }

    /// Whether it matches the day of a month. Where both fields are restricted, one that matches is enough.
    fn matches_day(&self, day: u32, month: calendar::Month) -> bool {
        match (self.days, self.weekdays) {
            (Days::Any, Weekdays::Any) => true,
            (days, Weekdays::Any) => days.has(day, month),
            (Days::Any, weekdays) => weekdays.has(day, month),
            (days, weekdays) => days.has(day, month) || weekdays.has(day, month),
        }
    }
}

impl Days {
    fn has(self, day: u32, month: calendar::Month) -> bool {
        match self {
            Self::Any => true,
            Self::Of(days) => has(days, day.into()),
            Self::Last(before) => day + before == month.length,
            Self::Near(target) => nearest_weekday(target, month) == Some(day),
            Self::NearLast(before) => {
                month.length.checked_sub(before).and_then(|day| nearest_weekday(day, month)) == Some(day)
            }
        }
    }
}

impl Weekdays {
    fn has(self, day: u32, month: calendar::Month) -> bool {
        let weekday = month.weekday(day);
        match self {
            Self::Any => true,
            Self::Of(days) => has(days, weekday.into()),
            Self::Last(last) => weekday == last && day + 7 > month.length,
            Self::Nth(wanted, nth) => weekday == wanted && day.div_ceil(7) == nth,
        }
    }
}

/// The day from Monday to Friday that is nearest to `day`, without leaving the month. None when the month has no such day.
fn nearest_weekday(day: u32, month: calendar::Month) -> Option<u32> {
    const SUNDAY: u32 = 1;
    const SATURDAY: u32 = 7;
    if !(1..=month.length).contains(&day) {
        return None;
    }
    Some(match month.weekday(day) {
        SATURDAY if day == 1 => 3,
        SATURDAY => day - 1,
        SUNDAY if day == month.length => day - 2,
        SUNDAY => day + 1,
        _ => day,
    })
}

fn has(set: u64, value: u64) -> bool {
    set >> value & 1 == 1
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        parse::cron(text)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
