//! Dates in UTC, by the Gregorian calendar. There are no time zones and no leap seconds in a [`Timestamp`].

use std::fmt;

use super::{DAY_MS, MINUTE_MS};
use crate::clock::Timestamp;

/// A moment as people write it: `2026-11-25 04:30:00 UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    pub year: u64,
    /// From 1.
    pub month: u32,
    /// From 1.
    pub day: u32,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
}

impl Utc {
    /// The second that `at` is in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        // Years that begin in March, so that the day that comes and goes is the last of one; of a cycle of 400.
        let days = at.0 / DAY_MS + DAYS_TO_1970;
        let (cycle, day) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let months = (5 * day + 2) / 153;
        let month = if months < 10 { months + 3 } else { months - 9 };
        let second = at.0 % DAY_MS / 1000;
        Self {
            year: cycle * 400 + year + u64::from(month <= 2),
            month: small(month),
            day: small(day - (153 * months + 2) / 5 + 1),
            hour: second / 3600,
            minute: at.0 % DAY_MS / MINUTE_MS % 60,
            second: second % 60,
        }
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// A month of a year.
#[derive(Clone, Copy, Debug)]
pub(super) struct Month {
    /// Its first day, in days since 1970-01-01.
    pub(super) first: u64,
    pub(super) length: u32,
}

impl Month {
    /// Weekday of a day of it; Sunday is 1.
    pub(super) fn weekday(self, day: u32) -> u32 {
        // 1970-01-01 was a Thursday.
        small((self.first + u64::from(day) + 3) % 7) + 1
    }
}

/// The month `month` (from 1) of `year`, which is 1970 or later.
pub(super) fn month(year: u64, month: u32) -> Month {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    // As in `Utc::of`, the other way round.
    let (year, months) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_cycle = year % 400;
    let day = 365 * of_cycle + of_cycle / 4 - of_cycle / 100 + u64::from((153 * months + 2) / 5);
    Month { first: year / 400 * CYCLE_DAYS + day - DAYS_TO_1970, length }
}

const CYCLE_DAYS: u64 = 146_097;

/// Days from the 1st of March of the year 0 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
