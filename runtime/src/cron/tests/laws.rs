//! What holds for every expression.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::sample::select;

use super::super::Cron;
use super::slow::{Minute, Slow};
use crate::clock::Timestamp;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What a generated field may have beyond values, ranges that go forward, steps of `*` and of ranges.
#[derive(Clone, Copy)]
struct Dialect {
    names: bool,
    wraps: bool,
    open_steps: bool,
    specials: bool,
}

const CLOUDFLARE: Dialect = Dialect { names: true, wraps: true, open_steps: true, specials: true };

fn value(min: u32, max: u32, names: &'static [&'static str]) -> BoxedStrategy<(u32, String)> {
    (min..=max, any::<bool>())
        .prop_map(move |(value, by_name)| match names.get((value - min) as usize) {
            Some(name) if by_name => (value, (*name).to_owned()),
            _ => (value, value.to_string()),
        })
        .boxed()
}

fn item(min: u32, max: u32, names: &'static [&'static str], dialect: Dialect) -> BoxedStrategy<String> {
    let names = if dialect.names { names } else { &[] };
    let (one, range) = (value(min, max, names), (value(min, max, names), value(min, max, names)));
    let step = 1..=max - min;
    let range = range.prop_map(move |(first, last)| {
        let backwards = first.0 > last.0 && !dialect.wraps;
        let (first, last) = if backwards { (last, first) } else { (first, last) };
        format!("{}-{}", first.1, last.1)
    });
    let open = (one.clone(), step.clone()).prop_map(move |((value, text), step)| match dialect.open_steps {
        true => format!("{text}/{step}"),
        false => value.to_string(),
    });
    prop_oneof![
        4 => one.prop_map(|(_, text)| text),
        2 => range.clone(),
        2 => (range, step.clone()).prop_map(|(range, step)| format!("{range}/{step}")),
        2 => step.prop_map(|step| format!("*/{step}")),
        1 => open,
    ]
    .boxed()
}

fn list(min: u32, max: u32, names: &'static [&'static str], dialect: Dialect) -> BoxedStrategy<String> {
    let items = prop::collection::vec(item(min, max, names, dialect), 1..4).prop_map(|items| items.join(","));
    prop_oneof![1 => Just("*".to_owned()), 3 => items].boxed()
}

fn days(dialect: Dialect) -> BoxedStrategy<String> {
    let list = list(1, 31, &[], dialect);
    if !dialect.specials {
        return list;
    }
    let special = prop_oneof![
        Just("L".to_owned()),
        Just("LW".to_owned()),
        (1..=30).prop_map(|n| format!("L-{n}")),
        (1..=30).prop_map(|n| format!("L-{n}W")),
        (1..=31).prop_map(|n| format!("{n}W")),
    ];
    prop_oneof![2 => list, 1 => special].boxed()
}

fn weekdays(dialect: Dialect) -> BoxedStrategy<String> {
    let list = list(1, 7, &DAYS, dialect);
    if !dialect.specials {
        return list;
    }
    let day = value(1, 7, &DAYS).prop_map(|(_, text)| text);
    let special = prop_oneof![
        Just("L".to_owned()),
        day.clone().prop_map(|day| format!("{day}L")),
        (day, 1..=5).prop_map(|(day, n)| format!("{day}#{n}")),
    ];
    prop_oneof![2 => list, 1 => special].boxed()
}

fn expression(dialect: Dialect) -> BoxedStrategy<String> {
    let fields = (
        list(0, 59, &[], dialect),
        list(0, 23, &[], dialect),
        days(dialect),
        list(1, 12, &MONTHS, dialect),
        weekdays(dialect),
    );
    fields.prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}")).boxed()
}

fn cron(text: &str) -> Cron {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A day of about 150 years, in days since 1970, and the first minute of it as the slow matcher counts.
fn day() -> impl Strategy<Value = (u64, Minute)> {
    (0..150 * 365u64).prop_map(|day| (day, (0..day).fold(Minute::FIRST, |minute, _| minute.next_day())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn minute_by_minute_it_is_what_the_obvious_matcher_says(text in expression(CLOUDFLARE), (day, mut now) in day()) {
        let (cron, slow) = (cron(&text), Slow::new(&text));
        let start = day * 1440;
        // Moments that are expected, from the minute after the first on.
        let mut next = cron.next_after(Timestamp(start * 60_000));
        for minute in start + 1..start + 8 * 1440 {
            now = now.next();
            let at = Timestamp(minute * 60_000);
            let expected = slow.matches(now);
            prop_assert_eq!(cron.matches(at), expected, "{:?}", now);
            prop_assert_eq!(next == Some(at), expected, "{:?}: {:?}", now, next);
            if expected {
                next = cron.next_after(at);
            }
        }
    }

    #[test]
    fn day_by_day_it_is_what_the_obvious_matcher_says(
        day_of_month in days(CLOUDFLARE),
        month in list(1, 12, &MONTHS, CLOUDFLARE),
        weekday in weekdays(CLOUDFLARE),
        (day, mut now) in day(),
    ) {
        let text = format!("0 0 {day_of_month} {month} {weekday}");
        let (cron, slow) = (cron(&text), Slow::new(&text));
        let mut next = cron.next_after(Timestamp(day * 1440 * 60_000));
        for day in day + 1..day + 9 * 366 {
            now = now.next_day();
            let at = Timestamp(day * 1440 * 60_000);
            prop_assert_eq!(next == Some(at), slow.matches(now), "{:?}: {:?}", now, next);
            if next == Some(at) {
                next = cron.next_after(at);
            }
        }
    }

    /// `cron` has no `L`, `W`, `#`, no wrapped ranges and no `JAN-3`, and wants day and weekday to match both.
    #[test]
    fn the_crate_cron_agrees_where_it_can(
        text in expression(Dialect { names: false, wraps: false, open_steps: true, specials: false }),
        at in 0..4_000_000_000u64,
    ) {
        let fields: Vec<_> = text.split(' ').collect();
        prop_assume!(fields[2] == "*" || fields[4] == "*");
        let theirs: cron::Schedule = format!("0 {text}").parse().unwrap();
        let from = DateTime::<Utc>::from_timestamp(at.try_into().unwrap(), 0).unwrap();
        let mut theirs = theirs.after(&from);
        let mut ours = Timestamp(at * 1000);
        for _ in 0..20 {
            // It gives up in the year 2100.
            let Some(expected) = theirs.next() else { break };
            ours = cron(&text).next_after(ours).unwrap();
            prop_assert_eq!(i64::try_from(ours.0).unwrap(), expected.timestamp_millis(), "{}", expected);
        }
    }

    /// `croner` has no wrapped ranges, and no `L-n`.
    #[test]
    fn the_crate_croner_agrees_where_it_can(
        text in expression(Dialect { names: true, wraps: false, open_steps: true, specials: true }),
        at in 0..4_000_000_000u64,
    ) {
        prop_assume!(!text.contains("L-") && !text.ends_with(" L"));
        let parser = croner::parser::CronParser::builder().alternative_weekdays(true).sloppy_ranges(true).build();
        let theirs = parser.parse(&text).unwrap();
        let mut from = DateTime::<Utc>::from_timestamp(at.try_into().unwrap(), 0).unwrap();
        let mut ours = Timestamp(at * 1000);
        for _ in 0..10 {
            let Ok(expected) = theirs.find_next_occurrence(&from, false) else { break };
            ours = cron(&text).next_after(ours).unwrap();
            prop_assert_eq!(i64::try_from(ours.0).unwrap(), expected.timestamp_millis(), "{}", expected);
            from = expected;
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}") {
        if let Err(error) = text.parse::<Cron>() {
            prop_assert!(error.at <= text.chars().count());
        }
    }

    /// One character of a good expression is changed: it is good all the same, or the error is about that field or what became of it.
    #[test]
    fn a_slip_of_the_pen_is_found(
        text in expression(CLOUDFLARE),
        place in any::<prop::sample::Index>(),
        slip in select(vec!['x', '?', '*', '/', '-', ',', '#', 'L', 'W', '0', '9', ' ', 'é']),
    ) {
        let place = place.index(text.len());
        let mut characters: Vec<char> = text.chars().collect();
        characters[place] = slip;
        let slipped: String = characters.into_iter().collect();
        match slipped.parse::<Cron>() {
            Ok(cron) => prop_assert_eq!(cron.as_str(), &slipped),
            Err(error) => {
                prop_assert!(error.at <= slipped.chars().count() && !error.what.is_empty() && !error.hint.is_empty());
                // A comma that becomes a hyphen makes a range of it and the name after it.
                prop_assert!(error.at <= place + 4 || slip == ' ' || text.as_bytes()[place] == b' ', "{}", error);
            }
        }
    }
}
