//! The syntax, row by row (`docs/cron.md`); the laws are in [`laws`].

mod laws;
mod slow;

use super::{Cron, Utc};
use crate::clock::Timestamp;

/// Milliseconds of `2026-11-25 04:30` in UTC.
fn at(text: &str) -> Timestamp {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().unwrap();
    let month = super::calendar::month(number(0..4), number(5..7).try_into().unwrap());
    let minutes = (month.first + number(8..10) - 1) * 24 * 60 + number(11..13) * 60 + number(14..16);
    Timestamp(minutes * 60_000)
}

fn cron(text: &str) -> Cron {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The next `count` moments after `from`, without their year and seconds.
fn next(text: &str, from: &str, count: usize) -> String {
    let cron = cron(text);
    let moments = std::iter::successors(cron.next_after(at(from)), |last| cron.next_after(*last));
    let shown = moments.take(count).map(|moment| {
        assert!(cron.matches(moment) && cron.matches(Timestamp(moment.0 + 59_999)), "{text} at {moment:?}");
        Utc::of(moment).to_string()[5..16].to_owned()
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_row_of_the_syntax_means_what_it_says() {
    // 2026-11-25 is a Wednesday; 2026-11-01 is a Sunday.
    const NOW: &str = "2026-11-25 04:30";
    for (text, expected) in [
        ("* * * * *", "11-25 04:31, 11-25 04:32, 11-25 04:33"),
        ("*\t*  * \t* *", "11-25 04:31, 11-25 04:32, 11-25 04:33"),
        ("*/30 * * * *", "11-25 05:00, 11-25 05:30, 11-25 06:00"),
        ("45 * * * *", "11-25 04:45, 11-25 05:45, 11-25 06:45"),
        ("007 * * * *", "11-25 05:07, 11-25 06:07, 11-25 07:07"),
        ("5,10,59 * * * *", "11-25 04:59, 11-25 05:05, 11-25 05:10"),
        ("57-1 * * * *", "11-25 04:57, 11-25 04:58, 11-25 04:59"),
        ("58-3/2 5 * * *", "11-25 05:00, 11-25 05:02, 11-25 05:58"),
        ("20/15 * * * *", "11-25 04:35, 11-25 04:50, 11-25 05:20"),
        ("10-30/10 * * * *", "11-25 05:10, 11-25 05:20, 11-25 05:30"),
        ("*/30,31 * * * *", "11-25 04:31, 11-25 05:00, 11-25 05:30"),
        ("31,*/30 * * * *", "11-25 04:31, 11-25 05:00, 11-25 05:30"),
        ("0/59 * * * *", "11-25 04:59, 11-25 05:00, 11-25 05:59"),
        ("7-7 * * * *", "11-25 05:07, 11-25 06:07, 11-25 07:07"),
        // Wrapped ranges begin where they say, with and without a step.
        ("0 22-2 * * *", "11-25 22:00, 11-25 23:00, 11-26 00:00"),
        ("0 20-4/2 * * *", "11-25 20:00, 11-25 22:00, 11-26 00:00"),
        ("0 21-4/2 * * *", "11-25 21:00, 11-25 23:00, 11-26 01:00"),
        ("0 0 * * FRI-SUN", "11-27 00:00, 11-28 00:00, 11-29 00:00"),
        ("0 0 * * 6-1", "11-27 00:00, 11-28 00:00, 11-29 00:00"),
        ("0 0 * * FRI-MON/2", "11-27 00:00, 11-29 00:00, 12-04 00:00"),
        ("0 0 1 NOV-FEB *", "12-01 00:00, 01-01 00:00, 02-01 00:00"),
        ("0 0 30-1 * *", "11-30 00:00, 12-01 00:00, 12-30 00:00"),
        // Days of the month.
        ("0 15 1 * *", "12-01 15:00, 01-01 15:00, 02-01 15:00"),
        ("0 0 31 * *", "12-31 00:00, 01-31 00:00, 03-31 00:00"),
        ("0 0 */10 * *", "12-01 00:00, 12-11 00:00, 12-21 00:00"),
        ("0 0 L * *", "11-30 00:00, 12-31 00:00, 01-31 00:00"),
        ("0 0 L-2 * *", "11-28 00:00, 12-29 00:00, 01-29 00:00"),
        ("0 0 L-30 * *", "12-01 00:00, 01-01 00:00, 03-01 00:00"),
        ("59 23 LW * *", "11-30 23:59, 12-31 23:59, 01-29 23:59"),
        ("0 0 L-1W * *", "11-30 00:00, 12-30 00:00, 01-29 00:00"),
        ("0 0 L-2W * *", "11-27 00:00, 12-29 00:00, 01-29 00:00"),
        ("0 0 28W * *", "11-27 00:00, 12-28 00:00, 01-28 00:00"),
        ("0 0 29W * *", "11-30 00:00, 12-29 00:00, 01-29 00:00"),
        ("0 0 1W * *", "12-01 00:00, 01-01 00:00, 02-01 00:00"),
        ("0 0 31W * *", "12-31 00:00, 01-29 00:00, 03-31 00:00"),
        // Months.
        ("0 0 1 jan,Mar,12 *", "12-01 00:00, 01-01 00:00, 03-01 00:00"),
        ("0 0 1 */6 *", "01-01 00:00, 07-01 00:00, 01-01 00:00"),
        ("0 0 29 2 *", "02-29 00:00, 02-29 00:00, 02-29 00:00"),
        // Weekdays: Sunday is 1.
        ("0 17 * * sun", "11-29 17:00, 12-06 17:00, 12-13 17:00"),
        ("0 17 * * 1", "11-29 17:00, 12-06 17:00, 12-13 17:00"),
        ("10 7 * * mon-fri", "11-25 07:10, 11-26 07:10, 11-27 07:10"),
        ("10 7 * * 2-6", "11-25 07:10, 11-26 07:10, 11-27 07:10"),
        ("0 0 * * 7", "11-28 00:00, 12-05 00:00, 12-12 00:00"),
        ("0 0 * * L", "11-28 00:00, 12-05 00:00, 12-12 00:00"),
        ("0 18 * * 6L", "11-27 18:00, 12-25 18:00, 01-29 18:00"),
        ("0 18 * * friL", "11-27 18:00, 12-25 18:00, 01-29 18:00"),
        ("0 0 * * MON#2", "12-14 00:00, 01-11 00:00, 02-08 00:00"),
        ("0 0 * * 1#5", "11-29 00:00, 01-31 00:00, 05-30 00:00"),
        ("0 0 * * */3", "11-25 00:00, 11-28 00:00, 11-29 00:00"),
        // Both restricted: either is enough, also where a step restricts nothing.
        ("0 0 28 * MON", "11-28 00:00, 11-30 00:00, 12-07 00:00"),
        ("0 0 L * 3#1", "11-30 00:00, 12-01 00:00, 12-31 00:00"),
        ("0 0 */1 * SUN", "11-26 00:00, 11-27 00:00, 11-28 00:00"),
    ] {
        let from = if text.ends_with("*/3") { "2026-11-24 04:30" } else { NOW };
        assert_eq!(next(text, from, 3), expected, "{text}");
        assert_eq!(cron(text).as_str(), text);
    }
}

#[test]
fn the_nearest_weekday_stays_in_its_month() {
    // 2026-08-01 is a Saturday, 2026-05-31 and 2027-01-31 are Sundays.
    assert_eq!(next("0 0 1W 8 *", "2026-01-01 00:00", 1), "08-03 00:00");
    assert_eq!(next("0 0 31W 5 *", "2026-01-01 00:00", 1), "05-29 00:00");
    assert_eq!(next("0 0 LW 5 *", "2026-01-01 00:00", 1), "05-29 00:00");
    assert_eq!(next("0 0 L-30W 8 *", "2026-01-01 00:00", 1), "08-03 00:00");
}

#[test]
fn a_moment_is_the_beginning_of_a_minute_and_later_than_what_was_asked_for() {
    let every = cron("* * * * *");
    for (after, expected) in [(0, 60_000), (59_999, 60_000), (60_000, 120_000), (60_001, 120_000)] {
        assert_eq!(every.next_after(Timestamp(after)), Some(Timestamp(expected)));
    }
    assert!(every.matches(Timestamp(59_999)));
}

#[test]
fn what_can_never_match_says_so_quickly() {
    for text in ["0 0 31 11 *", "0 0 30 2 *", "* * 31 2,4,6,9,11 *", "0 0 L-30 2 *", "0 0 31W 4 *", "0 0 29-30 2 *"] {
        let never = cron(text);
        let since = crate::clock::Stopwatch::start();
        let next = never.next_after(at("2026-11-25 04:30"));
        assert_eq!(next.is_none(), text != "0 0 29-30 2 *", "{text}");
        assert!(since.elapsed() < std::time::Duration::from_millis(500), "{text}: {:?}", since.elapsed());
    }
    // The fifth Monday of a February, and the end of time.
    assert_eq!(
        Utc::of(cron("0 0 * 2 MON#5").next_after(at("2026-01-01 00:00")).unwrap()).to_string(),
        "2044-02-29 00:00:00 UTC"
    );
    assert_eq!(cron("* * * * *").next_after(Timestamp::MAX), None);
    assert_eq!(cron("0 0 1 1 *").next_after(Timestamp(u64::MAX - 60_000)), None);
}

#[test]
fn dates_are_those_of_the_calendar() {
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for days in 0..400 * 366 {
        let date = Utc::of(Timestamp(days * 86_400_000 + 3_723_999));
        assert_eq!((date.year, date.month, date.day), (year, month, day));
        assert_eq!((date.hour, date.minute, date.second), (1, 2, 3));
        let of_month = super::calendar::month(year, month);
        assert_eq!((of_month.first + u64::from(day) - 1, u64::from(of_month.weekday(day))), (days, (days + 4) % 7 + 1));
        (year, month, day) = slow::tomorrow(year, month, day);
    }
    assert_eq!(Utc::of(Timestamp(1_786_599_900_000)).to_string(), "2026-08-13 05:45:00 UTC");
}

// rules: C3-23
#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_write() {
    let long = format!("{} * * * *", ["1"; 130].join(","));
    let cases: [(&str, usize, &str, &str); 58] = [
        ("", 0, "the minute is missing", "five fields are needed"),
        ("* * * *", 7, "the weekday is missing", "five fields are needed"),
        ("*****", 5, "the hour is missing", "five fields are needed"),
        ("0 * * * * *", 10, "there are 6 fields", "no seconds and no years"),
        ("0 0 12 1 1 ? 2026", 11, "there are 7 fields", "no seconds and no years"),
        (" * * * * *", 0, "there is a blank before the minute", "remove it"),
        ("* * * * *\t ", 9, "there is a blank after the last field", "remove it"),
        ("@daily", 0, "`@daily` is not supported", "five fields are needed"),
        (&long, 256, "the expression has 267 characters", "at most 256"),
        ("60 * * * *", 0, "60 is not a minute", "a minute is from 0 to 59"),
        ("0 24 * * *", 2, "24 is not an hour", "from 0 to 23"),
        ("0 0 0 * *", 4, "0 is not a day of the month", "from 1 to 31"),
        ("0 0 32 * *", 4, "32 is not a day of the month", "from 1 to 31"),
        ("0 0 1 0 *", 6, "0 is not a month", "from 1 to 12, or JAN to DEC"),
        ("0 0 1 13 *", 6, "13 is not a month", "from 1 to 12, or JAN to DEC"),
        ("0 0 * * 0", 8, "0 is not a weekday", "from 1 (Sunday) to 7 (Saturday), or SUN to SAT"),
        ("0 0 * * 1-8", 10, "8 is not a weekday", "from 1 (Sunday) to 7 (Saturday)"),
        ("99999999999 * * * *", 0, "99999999999 is not a minute", "from 0 to 59"),
        ("*/0 * * * *", 2, "0 is not a step", "from 1 to 59"),
        ("*/60 * * * *", 2, "60 is not a step", "from 1 to 59"),
        ("0 */24 * * *", 4, "24 is not a step", "from 1 to 23"),
        ("0 0 */31 * *", 6, "31 is not a step", "from 1 to 30"),
        ("0 0 1 */12 *", 8, "12 is not a step", "from 1 to 11"),
        ("0 0 * * */7", 10, "7 is not a step", "from 1 to 6"),
        ("*/ * * * *", 2, "a step is missing", "such as `*/5`"),
        ("*/x * * * *", 2, "a step is missing", "such as `*/5`"),
        ("/5 * * * *", 0, "`/` makes no sense in the minute", "from 0 to 59"),
        ("1- * * * *", 2, "a minute is missing", "from 0 to 59"),
        ("1, * * * *", 2, "a minute is missing", "from 0 to 59"),
        ("1,,2 * * * *", 2, "a minute is missing", "from 0 to 59"),
        (",1 * * * *", 0, "a minute is missing", "from 0 to 59"),
        ("1-2-3 * * * *", 3, "`-` makes no sense in the minute", "from 0 to 59"),
        ("1/2/3 * * * *", 3, "`/` makes no sense in the minute", "from 0 to 59"),
        ("-1 * * * *", 0, "`-` makes no sense in the minute", "from 0 to 59"),
        ("1.5 * * * *", 1, "`.` makes no sense in the minute", "from 0 to 59"),
        ("*,5 * * * *", 0, "`*` cannot be part of a list or a range", "write `*` alone"),
        ("5,* * * * *", 2, "`*` cannot be part of a list or a range", "or the values that are meant"),
        ("*-5 * * * *", 0, "`*` cannot be part of a list or a range", "write `*` alone"),
        ("** * * * *", 0, "`*` cannot be part of a list or a range", "write `*` alone"),
        ("0 0 ? * *", 4, "`?` is not supported", "write `*`"),
        ("0 0 * * MONDAY", 11, "`D` makes no sense in the weekday", "SUN to SAT"),
        ("0 0 1 JUNE *", 9, "`E` makes no sense in the month", "JAN to DEC"),
        ("JAN * * * *", 0, "`J` makes no sense in the minute", "from 0 to 59"),
        ("0 0 MON * *", 4, "`M` makes no sense in the day of the month", "from 1 to 31"),
        ("0 0 l * *", 4, "`l` is not supported", "write `L`"),
        ("0 0 1w * *", 5, "`w` is not supported", "write `W`"),
        ("0 0 L-0 * *", 6, "0 is not a number of days", "from 1 to 30"),
        ("0 0 L-31 * *", 6, "31 is not a number of days", "from 1 to 30"),
        ("0 0 L- * *", 6, "a number of days is missing", "such as `L-3`"),
        ("0 0 L,15 * *", 5, "`L` cannot be part of a list, a range or a step", "several expressions"),
        ("0 0 15,L * *", 7, "`L` cannot be part of a list, a range or a step", "several expressions"),
        ("0 0 1W,15 * *", 6, "`W` cannot be part of a list, a range or a step", "several expressions"),
        ("0 0 WL * *", 4, "`W` cannot be part of a list, a range or a step", "several expressions"),
        ("0 0 * * 2#6", 10, "6 is not a number from 1 to 5", "`#5` the fifth"),
        ("0 0 * * 2#", 10, "a number from 1 to 5 is missing", "`#5` the fifth"),
        ("0 0 * * 2#1,3#1", 11, "`#` cannot be part of a list, a range or a step", "several expressions"),
        ("0 0 * * 2-3L", 11, "`L` cannot be part of a list, a range or a step", "several expressions"),
        ("0 0\u{a0}* * * *", 3, "`\\u{a0}` makes no sense in the hour", "from 0 to 23"),
    ];
    for (text, place, what, hint) in cases {
        let error = text.parse::<Cron>().expect_err(text);
        assert_eq!((error.at, error.what.as_str()), (place, what), "{text}");
        assert!(error.hint.contains(hint), "{text}: {}", error.hint);
        assert_eq!(error.expression, text);
    }
    let shown = "0 0 * * 0".parse::<Cron>().expect_err("there is no such weekday").to_string();
    assert_eq!(shown, "0 is not a weekday (character 9 of `0 0 * * 0`)");
}
