//! One instance: what it is, what its steps did and how often, and what it waits for.

use miniflow_runtime::Timestamp;
use serde_json::value::RawValue;

use super::style::Style;
use super::table::{status_code, width};
use super::told::{Attempt, Details, Error, Step};
use super::workflows::labelled;
use crate::api::instant;

/// How an instance is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Characters of an output at most; none: outputs of steps are left out.
    pub output_max: Option<usize>,
    /// What the clock says, if anybody knows.
    pub now: Option<Timestamp>,
    pub style: Style,
}

/// Returns the text for an instance.
#[must_use]
pub fn details(details: &Details, shown: &Shown) -> String {
    let mut text = labelled(&fields(details, shown), shown.style);
    let open = details.steps.iter().filter(|step| step.end.is_none() && step.kind != TERMINATION).count();
    let still = if open > 0 { format!(", {open} of them open") } else { String::new() };
    if details.steps.is_empty() {
        text.push_str("\nno steps\n");
    } else {
        text.push_str(&format!("\nsteps: {}{still}\n", details.steps.len()));
        text.push_str(&Timeline::of(details, shown).text());
    }
    if !details.pending_events.is_empty() {
        text.push_str("\nevents that no step has waited for yet\n");
        for event in &details.pending_events {
            let payload = shown.cut(event.payload.get());
            text.push_str(&format!("  {}  \"{}\"  {payload}\n", event.timestamp, event.event_type));
        }
    }
    text
}

const TERMINATION: &str = "termination";

fn fields(details: &Details, shown: &Shown) -> Vec<(&'static str, String)> {
    let mut fields = vec![("instance", details.id.clone()), ("workflow", details.workflow_name.clone())];
    let mut add = |label, value: Option<String>| fields.extend(value.map(|value| (label, value)));
    let status = match status_code(&details.status) {
        Some(code) => shown.style.word(code, &details.status),
        None => details.status.clone(),
    };
    add("status", Some(status));
    add("next wake-up", details.wake_at.as_deref().map(|at| shown.ahead(at)));
    let schedule = details.schedule.as_ref().map(|schedule| format!(", schedule {}", schedule.cron));
    add("trigger", Some(format!("{}{}", details.trigger.source, schedule.unwrap_or_default())));
    add("version", Some(details.version_id.clone()).filter(|version| !version.is_empty()));
    add("queued", Some(details.queued.clone()));
    add("started", details.start.clone());
    add("ended", details.end.clone());
    let begun = details.start.as_deref().unwrap_or(&details.queued);
    add("took", details.end.as_deref().and_then(|end| between(begun, end)).map(duration));
    add("kept until", details.expires_at.clone());
    add("params", Some(shown.cut(details.params.get())));
    add("output", details.output.as_deref().map(|output| shown.cut(output.get())));
    add("error", details.error.as_ref().map(said));
    add(
        "rollback",
        details.rollback.as_ref().map(|rollback| {
            let why = rollback.error.as_ref().map(|error| format!(": {}", said(error))).unwrap_or_default();
            format!("{}{why}", rollback.outcome)
        }),
    );
    fields
}

impl Shown {
    /// A moment to come, and how far that is.
    fn ahead(&self, at: &str) -> String {
        let left = instant::parse(at).zip(self.now).map(|(at, now)| at.as_millis().saturating_sub(now.as_millis()));
        match left {
            Some(ms) => format!("{at} (in {})", duration(ms)),
            None => at.to_owned(),
        }
    }

    /// JSON on one line, up to as much as is shown.
    fn cut(&self, json: &str) -> String {
        let max = self.output_max.unwrap_or(200);
        match json.char_indices().nth(max) {
            Some((at, _)) => format!("{}[...output truncated]", &json[..at]),
            None => json.to_owned(),
        }
    }
}

/// The steps, each with the time since the beginning.
struct Timeline<'a> {
    steps: &'a [Step],
    queued: &'a str,
    shown: &'a Shown,
    /// How wide the times, the names and the kinds are.
    widths: [usize; 3],
}

impl<'a> Timeline<'a> {
    fn of(details: &'a Details, shown: &'a Shown) -> Self {
        let mut timeline = Self { steps: &details.steps, queued: &details.queued, shown, widths: [0; 3] };
        for step in timeline.steps {
            let cells = timeline.cells(step);
            for (most, cell) in timeline.widths.iter_mut().zip(cells) {
                *most = (*most).max(width(&cell));
            }
        }
        timeline
    }

    fn text(&self) -> String {
        self.steps.iter().map(|step| self.step(step)).collect()
    }

    fn cells(&self, step: &Step) -> [String; 3] {
        let since = step.start.as_deref().and_then(|start| between(self.queued, start));
        let at = since.map(|ms| format!("+{}", duration(ms))).unwrap_or_default();
        let name = if step.nested { format!("  {}", step.name) } else { step.name.clone() };
        let kind = match step.kind.as_str() {
            "waitForEvent" => "wait".to_owned(),
            other => other.to_owned(),
        };
        [at, name, kind]
    }

    fn step(&self, step: &Step) -> String {
        let style = self.shown.style;
        if step.kind == TERMINATION {
            return format!("  {}\n", style.word("33", "terminated"));
        }
        let (word, code, rest) = self.state(step);
        let [at, name, kind] = self.cells(step);
        let [wide_at, wide_name, wide_kind] = self.widths;
        let mut text = format!(
            "  {}  {}  {}  {}{rest}\n",
            style.dim(&padded(&at, wide_at)),
            padded(&name, wide_name),
            style.dim(&padded(&kind, wide_kind)),
            style.word(code, word),
        );
        let indent = " ".repeat(wide_at + 6);
        if self.shown.output_max.is_some()
            && let Some(output) = step.output.as_deref().filter(|output| output.get() != "null")
        {
            text.push_str(&format!("{indent}output  {}\n", self.shown.cut(output.get())));
        }
        if step.attempts.len() > 1 || step.attempts.iter().any(|attempt| attempt.success != Some(true)) {
            for (place, attempt) in step.attempts.iter().enumerate() {
                text.push_str(&format!("{indent}{}\n", self.attempt(attempt, step.attempts.get(place + 1))));
            }
        }
        text
    }

    /// Where a step stands: a word, its colour, and what is to be said with it.
    fn state(&self, step: &Step) -> (&'static str, &'static str, String) {
        let took = step.start.as_deref().zip(step.end.as_deref()).and_then(|(start, end)| between(start, end));
        let took = took.map(|ms| format!(" in {}", duration(ms))).unwrap_or_default();
        let undone = if step.has_rollback { ", can be undone" } else { "" };
        match step.kind.as_str() {
            "sleep" if step.finished => ("slept", "32", took.replacen(" in ", " ", 1)),
            "sleep" => match &step.wake_at {
                Some(at) => ("sleeps", "36", format!(" until {}", self.shown.ahead(at))),
                None => ("cut off", "33", String::new()),
            },
            "waitForEvent" => {
                let event = step.event_type.as_deref().map(|name| format!(" for \"{name}\"")).unwrap_or_default();
                match (&step.error, &step.deadline) {
                    (Some(error), _) => ("failed", "31", format!("{took}: {}", said(error))),
                    (None, _) if step.finished => ("got its event", "32", took.replacen(" in ", " after ", 1)),
                    (None, Some(at)) => ("waits", "36", format!("{event} until {}", self.shown.ahead(at))),
                    (None, None) => ("cut off", "33", event),
                }
            }
            _ => match step.success {
                Some(true) => ("done", "32", format!("{took}{undone}")),
                Some(false) => ("failed", "31", took),
                None if step.abandoned => ("dropped", "33", " by the code that asked for it".to_owned()),
                None if step.end.is_some() => ("cut off", "33", String::new()),
                None => {
                    let limit = step.config.as_ref().map_or(0, |config| config.retries.limit);
                    let number = step.attempts.last().map_or(1, |attempt| attempt.attempt);
                    let of = format!(": attempt {number} of {}", u64::from(limit) + 1);
                    match step.attempts.last() {
                        Some(last) if last.end.is_some() => ("to be tried again", "33", of),
                        _ => ("runs", "36", of),
                    }
                }
            },
        }
    }

    fn attempt(&self, attempt: &Attempt, next: Option<&Attempt>) -> String {
        let style = self.shown.style;
        let took = attempt.end.as_deref().and_then(|end| between(&attempt.start, end));
        let took = took.map(|ms| format!(" in {}", duration(ms))).unwrap_or_default();
        let number = format!("attempt {}  ", attempt.attempt);
        let state = match (attempt.success, &attempt.end) {
            (Some(true), _) => style.word("32", "done"),
            (Some(false), _) => style.word("31", "failed"),
            (None, Some(_)) => style.word("33", "cut off"),
            (None, None) => style.word("36", "runs"),
        };
        let why = attempt.error.as_ref().map(|error| format!(": {}", said(error))).unwrap_or_default();
        let then = match (&attempt.end, next, &attempt.retry_at) {
            (Some(end), Some(next), _) => {
                between(end, &next.start).map(|ms| format!("; the next after {}", duration(ms)))
            }
            (Some(_), None, Some(at)) => Some(format!("; the next at {}", self.shown.ahead(at))),
            _ => None,
        };
        format!("{number}{state}{took}{why}{}", then.unwrap_or_default())
    }
}

fn padded(text: &str, wide: usize) -> String {
    format!("{text}{}", " ".repeat(wide.saturating_sub(width(text))))
}

fn said(error: &Error) -> String {
    format!("{}: {}", error.name, error.message)
}

/// Milliseconds from one moment to another.
fn between(from: &str, to: &str) -> Option<u64> {
    let (from, to) = (instant::parse(from)?, instant::parse(to)?);
    Some(to.as_millis().saturating_sub(from.as_millis()))
}

/// `12ms`, `1.5s`, `1m 3s`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms}ms"),
        1000..60_000 => {
            let digits = format!("{}.{:03}", ms / 1000, ms % 1000);
            format!("{}s", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => super::units(ms / 1000),
    }
}

/// JSON on one line, up to `max` characters.
pub(super) fn short(json: &RawValue, max: usize) -> String {
    match json.get().char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &json.get()[..at]),
        None => json.get().to_owned(),
    }
}
