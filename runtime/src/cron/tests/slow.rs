//! A matcher that is slow and obvious: it asks the text about one minute, and shares no code with the real one.

/// A minute, with all that a field may ask of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minute {
    pub(super) minute: u32,
    pub(super) hour: u32,
    pub(super) day: u32,
    pub(super) month: u32,
    /// From 1, Sunday.
    pub(super) weekday: u32,
    pub(super) year: u64,
}

impl Minute {
    /// The first of the year 1970.
    pub(super) const FIRST: Self = Self { minute: 0, hour: 0, day: 1, month: 1, weekday: 5, year: 1970 };

    pub(super) fn next(mut self) -> Self {
        self.minute += 1;
        if self.minute < 60 {
            return self;
        }
        self.minute = 0;
        self.hour += 1;
        if self.hour < 24 {
            return self;
        }
        self.hour = 0;
        self.next_day()
    }

    pub(super) fn next_day(mut self) -> Self {
        self.weekday = self.weekday % 7 + 1;
        (self.year, self.month, self.day) = tomorrow(self.year, self.month, self.day);
        self
    }
}

pub(super) fn tomorrow(year: u64, month: u32, day: u32) -> (u64, u32, u32) {
    if day < length(year, month) {
        (year, month, day + 1)
    } else if month < 12 {
        (year, month + 1, 1)
    } else {
        (year + 1, 1, 1)
    }
}

fn length(year: u64, month: u32) -> u32 {
    let leap = matches!((year % 400, year % 100, year % 4), (0, ..) | (_, 1.., 0));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1]
}

/// An expression that is known to be good.
pub(super) struct Slow {
    fields: [String; 5],
}

impl Slow {
    pub(super) fn new(text: &str) -> Self {
        let mut text = text.to_owned();
        let months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
        let days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
        for names in [&months[..], &days[..]] {
            for (number, name) in (1..).zip(names) {
                text = text.replace(name, &number.to_string());
            }
        }
        let fields: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Self { fields: fields.try_into().unwrap() }
    }

    pub(super) fn matches(&self, now: Minute) -> bool {
        let [minute, hour, day, month, weekday] = &self.fields;
        let of_day = match (day.as_str(), weekday.as_str()) {
            ("*", _) => weekday_matches(weekday, now),
            (_, "*") => day_matches(day, now),
            _ => day_matches(day, now) || weekday_matches(weekday, now),
        };
        list(minute, now.minute, 0, 59) && list(hour, now.hour, 0, 23) && list(month, now.month, 1, 12) && of_day
    }
}

fn list(text: &str, value: u32, min: u32, max: u32) -> bool {
    text.split(',').any(|item| {
        let (values, step) = match item.split_once('/') {
            Some((values, step)) => (values, step.parse().unwrap()),
            None => (item, 1),
        };
        let (mut at, end) = match values.split_once('-') {
            Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
            None if values == "*" => (min, max),
            None if item.contains('/') => (values.parse().unwrap(), max),
            None => (values.parse().unwrap(), values.parse().unwrap()),
        };
        // Step by step, over the end to the beginning, until the last is passed.
        let mut steps = 0;
        loop {
            if steps % step == 0 && at == value {
                return true;
            }
            if at == end {
                return false;
            }
            at = if at == max { min } else { at + 1 };
            steps += 1;
        }
    })
}

fn day_matches(text: &str, now: Minute) -> bool {
    let last = length(now.year, now.month);
    let plain = text.trim_end_matches('W');
    let wanted = match plain.strip_prefix('L') {
        Some("") => last,
        Some(before) => match last.checked_sub(before[1..].parse().unwrap()) {
            Some(0) | None => return false,
            Some(day) => day,
        },
        None if plain == text => return list(text, now.day, 1, 31),
        None => plain.parse().unwrap(),
    };
    if plain == text {
        return now.day == wanted;
    }
    // Of all weekdays of the month the one that is nearest.
    let weekday_of = |day: u32| (now.weekday + 35 + day - now.day - 1) % 7 + 1;
    let weekdays = (1..=last).filter(|day| (2..=6).contains(&weekday_of(*day)));
    wanted <= last && weekdays.min_by_key(|day| day.abs_diff(wanted)) == Some(now.day)
}

fn weekday_matches(text: &str, now: Minute) -> bool {
    if text == "L" {
        return now.weekday == 7;
    }
    if let Some(day) = text.strip_suffix('L') {
        let next_week = now.day + 7;
        return now.weekday.to_string() == day && next_week > length(now.year, now.month);
    }
    if let Some((day, nth)) = text.split_once('#') {
        let before = (1..=now.day).filter(|day| (now.day - day).is_multiple_of(7)).count();
        return now.weekday.to_string() == day && before.to_string() == nth;
    }
    list(text, now.weekday, 1, 7)
}
