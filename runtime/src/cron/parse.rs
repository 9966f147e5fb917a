//! Reading an expression. The first thing that is wrong is told, with its place and what to write instead.

use std::sync::Arc;

use super::{Cron, Days, Weekdays};

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (character {} of `{expression}`)", self.at + 1)]
pub struct CronError {
    /// All of it.
    pub expression: String,
    /// The place, in characters from 0; one more than there are when something is missing at the end.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// Characters of an expression, at most (documented).
const CHARACTERS_MAX: usize = 256;

const FIVE: &str =
    "five fields are needed: minute, hour, day of the month, month and weekday, such as `0 9 * * MON-FRI`";

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
    /// What else there is in it, alone.
    special: &'static str,
}

const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[], special: "" };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[], special: "" };
const DAY: Field = Field { name: "day of the month", min: 1, max: 31, names: &[], special: "LW" };
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    special: "",
};
const WEEKDAY: Field =
    Field { name: "weekday", min: 1, max: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], special: "L#" };

impl Field {
    fn hint(&self) -> String {
        let Self { name, min, max, .. } = self;
        match self.names {
            [first, .., last] if self.special.is_empty() => {
                format!("{} is from {min} to {max}, or {first} to {last}", a(name))
            }
            [first, .., last] => format!("a {name} is from {min} (Sunday) to {max} (Saturday), or {first} to {last}"),
            _ => format!("{} is from {min} to {max}", a(name)),
        }
    }
}

/// Reads an expression.
pub(super) fn cron(text: &str) -> Result<Cron, CronError> {
    let fields = fields(text)?;
    let [minutes, hours, days, months, weekdays] = fields.map(|(start, end)| Reader { text, at: start, end });
    Ok(Cron {
        minutes: minutes.values(&MINUTE)?,
        hours: hours.values(&HOUR)?,
        days: days.days()?,
        months: months.values(&MONTH)?,
        weekdays: weekdays.weekdays()?,
        text: Arc::from(text),
    })
}

fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}

/// Where each field begins and ends, in bytes.
fn fields(text: &str) -> Result<[(usize, usize); 5], CronError> {
    let fail = |at, what: String, hint: &str| Err(error(text, at, what, hint));
    if let Some((at, _)) = text.char_indices().nth(CHARACTERS_MAX) {
        let count = text.chars().count();
        return fail(at, format!("the expression has {count} characters"), "at most 256 are allowed");
    }
    if text.starts_with('@') {
        return fail(0, format!("`{text}` is not supported"), FIVE);
    }
    if text.starts_with(is_blank) {
        return fail(0, "there is a blank before the minute".to_owned(), "remove it");
    }
    let end = text.trim_end_matches(is_blank).len();
    if end < text.len() {
        return fail(end, "there is a blank after the last field".to_owned(), "remove it");
    }
    let mut found = Vec::new();
    let mut start = 0;
    for part in text.split(is_blank) {
        if !part.is_empty() {
            found.push((start, start + part.len()));
        }
        start += part.len() + 1;
    }
    match (<[_; 5]>::try_from(found.as_slice()), found.get(5)) {
        (Ok(fields), _) => Ok(fields),
        (Err(_), Some((sixth, _))) => fail(
            *sixth,
            format!("there are {} fields", found.len()),
            &format!("{FIVE}; there are no seconds and no years"),
        ),
        (Err(_), None) => {
            let missing = [MINUTE, HOUR, DAY, MONTH, WEEKDAY][found.len()].name;
            fail(text.len(), format!("the {missing} is missing"), FIVE)
        }
    }
}

fn error(text: &str, at_byte: usize, what: String, hint: &str) -> CronError {
    let at = text[..at_byte].chars().count();
    CronError { expression: text.to_owned(), at, what, hint: hint.to_owned() }
}

fn a(name: &str) -> String {
    format!("{} {name}", if name == HOUR.name { "an" } else { "a" })
}

/// What is left of one field.
#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a str,
    /// Bytes of `text`.
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..self.end]
    }

    fn eat(&mut self, character: char) -> bool {
        let found = self.rest().starts_with(character);
        self.at += if found { character.len_utf8() } else { 0 };
        found
    }

    fn fail<T>(&self, what: impl Into<String>, hint: impl AsRef<str>) -> Result<T, CronError> {
        Err(error(self.text, self.at, what.into(), hint.as_ref()))
    }

    /// All of the field: `*`, or values, ranges and steps in a list.
    fn values(mut self, field: &Field) -> Result<u64, CronError> {
        if self.rest() == "*" {
            return Ok((field.min..=field.max).fold(0, |set, value| set | 1 << value));
        }
        let mut set = 0;
        loop {
            set |= self.item(field)?;
            if self.at == self.end {
                return Ok(set);
            }
            if !self.eat(',') {
                return self.unexpected(field);
            }
        }
    }

    /// `value`, `value-value`, `value/step`, `value-value/step` or `*/step`.
    fn item(&mut self, field: &Field) -> Result<u64, CronError> {
        let is_star = self.rest().starts_with('*');
        if is_star && !self.rest()[1..].starts_with('/') {
            let hint = format!("write `*` alone for every {0}, or the values that are meant", field.name);
            return self.fail("`*` cannot be part of a list or a range", hint);
        }
        let first = if self.eat('*') { field.min } else { self.value(field)? };
        let range_end = if !is_star && self.eat('-') { Some(self.value(field)?) } else { None };
        let step = if self.eat('/') { Some(self.step(field)?) } else { None };
        let last = match (range_end, step) {
            (Some(last), _) => last,
            (None, Some(_)) => field.max,
            (None, None) => first,
        };
        Ok(range(field, first, last, step.unwrap_or(1)))
    }

    fn value(&mut self, field: &Field) -> Result<u32, CronError> {
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return self.number((field.min, field.max), field.name, &field.hint());
        }
        let named = |name: &&str| self.rest().get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name));
        match (field.min..).zip(field.names).find(|(_, name)| named(name)) {
            Some((value, name)) => {
                self.at += name.len();
                Ok(value)
            }
            None => self.unexpected(field),
        }
    }

    fn step(&mut self, field: &Field) -> Result<u32, CronError> {
        let max = field.max - field.min;
        self.number((1, max), "step", &format!("a step of the {} is from 1 to {max}, such as `*/5`", field.name))
    }

    fn number(&mut self, (min, max): (u32, u32), name: &str, hint: &str) -> Result<u32, CronError> {
        let rest = self.rest();
        let text = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        if text.is_empty() {
            return self.fail(format!("{} is missing", a(name)), hint);
        }
        match text.parse() {
            Ok(number) if (min..=max).contains(&number) => {
                self.at += text.len();
                Ok(number)
            }
            _ => self.fail(format!("{text} is not {}", a(name)), hint),
        }
    }

    /// Says what is wrong with the next character.
    fn unexpected<T>(&self, field: &Field) -> Result<T, CronError> {
        let name = field.name;
        match self.rest().chars().next() {
            None | Some(',') => self.fail(format!("{} is missing", a(name)), field.hint()),
            Some('?') => self.fail("`?` is not supported", "write `*`"),
            Some(special) if field.special.contains(special) => self.stands_alone(special),
            Some(small) if field.special.contains(small.to_ascii_uppercase()) => {
                self.fail(format!("`{small}` is not supported"), format!("write `{}`", small.to_ascii_uppercase()))
            }
            Some(other) => self.fail(format!("`{}` makes no sense in the {name}", other.escape_debug()), field.hint()),
        }
    }

    fn stands_alone<T>(&self, special: char) -> Result<T, CronError> {
        let what = format!("`{special}` cannot be part of a list, a range or a step");
        self.fail(what, "write several expressions: each fires by itself")
    }

    /// What was read, with `special` in it, must be all of the field.
    fn alone<T>(self, field: &Field, special: char, value: T) -> Result<T, CronError> {
        match self.rest().chars().next() {
            None => Ok(value),
            Some(',' | '-' | '/') => self.stands_alone(special),
            Some(_) => self.unexpected(field),
        }
    }

    fn days(mut self) -> Result<Days, CronError> {
        let all = self;
        if self.rest() == "*" {
            return Ok(Days::Any);
        }
        if self.eat('L') {
            let hint = "from 1 to 30 days before the last are possible, such as `L-3`";
            let before = if self.eat('-') { self.number((1, 30), "number of days", hint)? } else { 0 };
            let days = if self.eat('W') { Days::NearLast(before) } else { Days::Last(before) };
            return self.alone(&DAY, 'L', days);
        }
        match self.value(&DAY) {
            Ok(day) if self.eat('W') => self.alone(&DAY, 'W', Days::Near(day)),
            _ => all.values(&DAY).map(Days::Of),
        }
    }

    fn weekdays(mut self) -> Result<Weekdays, CronError> {
        const SATURDAY: u32 = 7;
        let all = self;
        if self.rest() == "*" {
            return Ok(Weekdays::Any);
        }
        if self.eat('L') {
            return self.alone(&WEEKDAY, 'L', Weekdays::Of(1 << SATURDAY));
        }
        match self.value(&WEEKDAY) {
            Ok(day) if self.eat('L') => self.alone(&WEEKDAY, 'L', Weekdays::Last(day)),
            Ok(day) if self.eat('#') => {
                let hint = "`#1` is the first such weekday of the month, `#5` the fifth";
                let nth = self.number((1, 5), "number from 1 to 5", hint)?;
                self.alone(&WEEKDAY, '#', Weekdays::Nth(day, nth))
            }
            _ => all.values(&WEEKDAY).map(Weekdays::Of),
        }
    }
}

/// The values from `first` to `last`, each `step`th of them. A range that ends before it begins goes on from the least value.
fn range(field: &Field, first: u32, last: u32, step: u32) -> u64 {
    let beyond = if first <= last { last } else { last + field.max - field.min + 1 };
    let wrapped = |value| if value > field.max { value - field.max - 1 + field.min } else { value };
    (first..=beyond).step_by(step as usize).fold(0, |set, value| set | 1 << wrapped(value))
}
