//! Moments as ISO 8601 texts in UTC, and back.

use miniflow_runtime::Timestamp;
use miniflow_runtime::cron::Utc;

const DAY_MS: u64 = 86_400_000;

/// `2026-11-25T04:45:01.123Z`. A moment beyond the year 9999 is the end of that year, as JavaScript's dates have no name for it.
#[must_use]
pub(crate) fn format(at: Timestamp) -> String {
    let at = at.min(Timestamp(253_402_300_799_999));
    let (Utc { year, month, day, hour, minute, second }, milli) = (Utc::of(at), at.as_millis() % 1000);
    // Not by `format!`: a long list of steps has tens of thousands of these.
    let mut text = "0000-00-00T00:00:00.000Z".to_owned().into_bytes();
    let fields = [
        (0..4, year),
        (5..7, month.into()),
        (8..10, day.into()),
        (11..13, hour),
        (14..16, minute),
        (17..19, second),
        (20..23, milli),
    ];
    for (place, mut value) in fields {
        for digit in text[place].iter_mut().rev() {
            *digit += u8::try_from(value % 10).unwrap_or_default();
            value /= 10;
        }
    }
    String::from_utf8(text).unwrap_or_default()
}

/// The moment of a text: a day (its beginning), or a day and a time, with seconds and a part of them if wanted, in UTC unless an offset
/// is given. None for anything else, and for what is before 1970.
#[must_use]
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut fields = date.split('-');
    let (year, month, day) = (number(fields.next()?, 4)?, number(fields.next()?, 2)?, number(fields.next()?, 2)?);
    if fields.next().is_some() {
        return None;
    }
    let midnight = i64::try_from(days(year, month, day)? * DAY_MS).ok()?;
    let (ms, offset_ms) = time.map_or(Some((0, 0)), of_day)?;
    u64::try_from(midnight + ms - offset_ms).ok().map(Timestamp)
}

/// Milliseconds since midnight, and of the offset.
fn of_day(time: &str) -> Option<(i64, i64)> {
    let (time, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], offset(&time[at..])?),
        None => (time, 0),
    };
    let (whole, part) = match time.split_once('.') {
        Some((whole, part)) => (whole, milliseconds(part)?),
        None => (time, 0),
    };
    let mut fields = whole.split(':');
    let (hour, minute) = (number(fields.next()?, 2)?, number(fields.next()?, 2)?);
    let second = match fields.next() {
        Some(second) => number(second, 2)?,
        None if part == 0 => 0,
        None => return None,
    };
    if fields.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ms = i64::try_from((hour * 3600 + minute * 60 + second) * 1000).ok()?;
    Some((ms + part, offset))
}

fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = if let Some(rest) = text.strip_prefix('+') { (1, rest) } else { (-1, text.strip_prefix('-')?) };
    let (hour, minute) = rest.split_once(':')?;
    let (hour, minute) = (number(hour, 2)?, number(minute, 2)?);
    (hour <= 23 && minute <= 59).then_some(sign * i64::try_from((hour * 60 + minute) * 60_000).ok()?)
}

fn milliseconds(part: &str) -> Option<i64> {
    if part.is_empty() || part.len() > 9 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{part:0<3}")[..3].parse().ok()
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days from 1970-01-01 to a day of the calendar.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March here, so that the day that comes and goes is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days - 719_468;
    // The 31st of a month that has none, and the 29th of a February.
    (u64::from(Utc::of(Timestamp(days * DAY_MS)).day) == day).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Option<u64> {
        parse(text).map(Timestamp::as_millis)
    }

    #[test]
    fn moments_are_written_and_read() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_786_599_900_001, "2026-08-13T05:45:00.001Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(format(Timestamp(at)), text);
            assert_eq!(ms(text), Some(at), "{text}");
        }
        assert_eq!(format(Timestamp::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_day_is_its_beginning_and_an_offset_counts() {
        assert_eq!(ms("2000-02-29"), Some(951_782_400_000));
        assert_eq!(ms("2000-02-29T01:00+01:00"), Some(951_782_400_000));
        assert_eq!(ms("2000-02-28 19:00:00-05:00"), Some(951_782_400_000));
        assert_eq!(ms("2000-02-29T00:00:00.5"), Some(951_782_400_500));
        assert_eq!(ms("2000-02-29T00:00:00.123456789Z"), Some(951_782_400_123));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "2026",
            "2026-02-30",
            "2025-02-29",
            "2026-13-01",
            "2026-00-01",
            "26-01-01",
            "2026-01-01T",
            "2026-01-01T24:00Z",
            "2026-01-01T00:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00.5Z",
            "1969-12-31",
            "2026-01-01T00:00+1",
            "now",
            "2026-01-01-01",
            "2026-01-01T00:00:00:00Z",
            "+026-01-01",
            "2026-01-01T00:00:00Zx",
            "1970-01-01T00:00+01:00",
        ] {
            assert_eq!(ms(text), None, "{text}");
        }
    }
}
