//! What happens to an instance, a line for each event.

use miniflow_runtime::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::details::{duration, short};
use super::style::Style;
use crate::api::instant;

/// Characters of a payload that are shown.
const PAYLOAD_MAX: usize = 200;

/// The events of one instance, in their order.
#[derive(Debug)]
pub struct Followed {
    style: Style,
    /// Of the last line.
    day: String,
    end: Option<String>,
}

/// An event, as far as it is shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    timestamp: u64,
    #[serde(rename = "type")]
    name: String,
    #[serde(default)]
    step_name: String,
    params: Option<Box<RawValue>>,
    output: Option<Box<RawValue>>,
    error: Option<Error>,
    #[serde(default)]
    attempt: u32,
    retry_delay_ms: Option<u64>,
    duration_ms: Option<u64>,
    #[serde(default)]
    event_type: String,
}

#[derive(Debug, Deserialize)]
struct Error {
    name: String,
    message: String,
}

impl Followed {
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { style, day: String::new(), end: None }
    }

    /// The type of the event that ended the instance.
    #[must_use]
    pub fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }

    /// Returns the text for the next event, JSON; empty when it says nothing new.
    pub fn take(&mut self, event: &str) -> String {
        let Ok(event) = serde_json::from_str::<Event>(event) else { return String::new() };
        if matches!(event.name.as_str(), "workflow_completed" | "workflow_errored" | "workflow_terminated") {
            self.end = Some(event.name.clone());
        }
        let Some((code, words)) = event.words() else { return String::new() };
        let at = instant::format(Timestamp(event.timestamp));
        let (day, time) = at.split_once('T').unwrap_or((&at, ""));
        let mut text = String::new();
        if self.day != day {
            day.clone_into(&mut self.day);
            text.push_str(&format!("{}\n", self.style.dim(day)));
        }
        let words = code.map_or(words.clone(), |code| self.style.word(code, &words));
        let step = if event.step_name.is_empty() { String::new() } else { format!("{}  ", event.step_name) };
        text.push_str(&format!("{}  {step}{words}\n", self.style.dim(time.trim_end_matches('Z'))));
        text
    }
}

impl Event {
    /// The colour and the words; none when another event says the same.
    fn words(&self) -> Option<(Option<&'static str>, String)> {
        let json = |json: &Option<Box<RawValue>>| json.as_deref().map(|json| short(json, PAYLOAD_MAX));
        let with = |before: &str, payload: Option<String>| match payload.filter(|payload| payload != "null") {
            Some(payload) => format!("{before} {payload}"),
            None => before.trim_end_matches([':', ' ']).trim_end_matches(" with").to_owned(),
        };
        let why = || self.error.as_ref().map(|error| format!("{}: {}", error.name, error.message)).unwrap_or_default();
        let (good, bad, odd) = (Some("32"), Some("31"), Some("33"));
        Some(match self.name.as_str() {
            "workflow_queued" => (None, "queued".to_owned()),
            "workflow_started" => (None, with("started with", json(&self.params))),
            "workflow_running" => (None, "running".to_owned()),
            "workflow_waiting" => (None, "waiting".to_owned()),
            "workflow_paused" => (odd, "paused".to_owned()),
            "workflow_waiting_for_pause" => (odd, "to be paused when its steps are finished".to_owned()),
            "workflow_completed" => (good, with("complete:", json(&self.output))),
            "workflow_errored" => (bad, format!("errored: {}", why())),
            "workflow_terminated" => (odd, "terminated".to_owned()),
            "step_started" => (None, "begins".to_owned()),
            "rollback_step_started" => (odd, "is undone".to_owned()),
            "step_completed" => (good, with("done:", json(&self.output))),
            "rollback_step_completed" => (good, "has been undone".to_owned()),
            "step_errored" => (bad, "failed for good".to_owned()),
            "rollback_step_errored" => (bad, "could not be undone".to_owned()),
            "attempt_started" | "rollback_attempt_started" if self.attempt > 1 => {
                (None, format!("attempt {}", self.attempt))
            }
            "attempt_errored" | "rollback_attempt_errored" => {
                let next = self.retry_delay_ms.map(|ms| format!("; the next in {}", duration(ms)));
                (bad, format!("attempt {} failed: {}{}", self.attempt, why(), next.unwrap_or_default()))
            }
            "attempt_started" | "rollback_attempt_started" | "attempt_completed" | "rollback_attempt_completed" => {
                return None;
            }
            "sleep_started" => (None, format!("sleeps for {}", duration(self.duration_ms.unwrap_or_default()))),
            "sleep_completed" => (good, "has slept".to_owned()),
            "wait_started" => (None, format!("waits for event \"{}\"", self.event_type)),
            "wait_completed" => (good, "has its event".to_owned()),
            "wait_timed_out" => (bad, "no event came in time".to_owned()),
            "rollback_started" => (odd, format!("rolls back: {}", why())),
            "rollback_completed" => (good, "rolled back".to_owned()),
            "rollback_errored" => (bad, format!("could not be rolled back: {}", why())),
            // Of a newer server.
            other => (None, other.to_owned()),
        })
    }
}
