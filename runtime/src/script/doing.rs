//! What an instance is doing, in a sentence for somebody who has waited for something else in vain.

use std::fmt::Write as _;

use crate::clock::Timestamp;
use crate::engine::details::{Details, StepDetails};
use crate::engine::{StepKey, StepKind, StepState};

/// Says what the instance of these details is doing at `now`: its status, the steps that are open, the events nobody has asked for, when it
/// goes on by itself.
#[must_use]
pub fn doing(details: &Details, now: Timestamp) -> String {
    let mut text = format!("it is `{}`", details.status);
    if let Some(error) = &details.error {
        let _ = write!(text, " ({error})");
    }
    let open: Vec<_> =
        details.steps.iter().filter(|step| step.ended.is_none()).map(|step| of_step(step, now)).collect();
    if !open.is_empty() {
        let _ = write!(text, "; {}", open.join("; "));
    } else if let Some(last) = details.steps.last() {
        let _ = write!(text, "; its last step was {}", name(&last.key));
    } else {
        text.push_str("; it has asked for no step");
    }
    if !details.pending_events.is_empty() {
        let types: Vec<_> = details.pending_events.iter().map(|event| format!("`{}`", event.event_type)).collect();
        let _ = write!(text, "; nobody has waited for the events {}", types.join(", "));
    }
    if let Some(at) = details.wake_at {
        let _ = write!(text, "; it goes on by itself in {}", left(at, now));
    }
    text
}

fn of_step(step: &StepDetails, now: Timestamp) -> String {
    let name = name(&step.key);
    let error = step.attempts.iter().rev().find_map(|attempt| attempt.result.as_ref()?.as_ref().err());
    let error = error.map_or_else(String::new, |error| format!(" ({error})"));
    let of = |attempt: u32| match &step.config {
        Some(config) => format!("{attempt} of {}", u64::from(config.retry_limit) + 1),
        None => attempt.to_string(),
    };
    match &step.state {
        StepState::Executing { attempt, .. } => format!("{name} is in attempt {}{error}", of(*attempt)),
        StepState::Retrying { next_attempt, at, .. } => {
            format!("{name} failed{error}, attempt {} begins in {}", of(*next_attempt), left(*at, now))
        }
        StepState::Sleeping { wake_at } => format!("{name} ends in {}", left(*wake_at, now)),
        StepState::Waiting { event_type, deadline, .. } => {
            format!("{name} waits for an event `{event_type}`, and gives up in {}", left(*deadline, now))
        }
        StepState::Abandoned { .. } => format!("{name} was dropped"),
        StepState::Done(_) => format!("{name} is done"),
    }
}

fn name(key: &StepKey) -> String {
    let kind = match key.kind {
        StepKind::Do => "step",
        StepKind::Sleep => "sleep",
        StepKind::Wait => "wait",
        StepKind::Rollback => "rollback of step",
    };
    format!("{kind} `{key}`")
}

fn left(at: Timestamp, now: Timestamp) -> String {
    format!("{:?}", at.since(now))
}
