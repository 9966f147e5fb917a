//! One instance, with everything that happened to it.

use miniflow_runtime::engine::details::{AttemptDetails, Details, StepDetails};
use miniflow_runtime::engine::{Outcome, StepState, StoredStream};
use miniflow_runtime::storage::{AttemptKey, Record};
use miniflow_runtime::{Backoff, Bytes, ReceivedEvent, StepConfig, StepKind};
use serde_json::value::to_raw_value;

use super::{instant, moment, names};
use crate::api::catalog::Defined;
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::model::{
    AttemptInfo, Attempted, Awaited, ConfigInfo, DelayInfo, InstanceDetails, Output, PendingEvent, RetriesInfo,
    ScheduleInfo, Slept, StepInfo, Trigger, TriggerSource, json, status_of,
};
use crate::api::request::Call;
use crate::api::{Surface, View};

/// Bytes of an output that are listed over version 4 (documented).
const SHOWN_MAX_V4: usize = 1024;

/// The same over the local API: more than `wrangler` shows, so that it is wrangler that cuts.
const SHOWN_MAX_LOCAL: usize = 16 << 10;

/// What stands after an output that was cut off.
const CUT: &str = "[truncated output]";

pub(super) async fn get(context: &View<'_>, call: &Call) -> Result<Reply, Failure> {
    let (workflow, id) = names(call);
    let simple = call.query.word("simple", &["true", "false"])? == Some("true");
    let descending = call.query.word("order", &["asc", "desc"])? == Some("desc");
    let record = context.record(workflow, id).await?;
    let defined = context.catalog().find(workflow);
    let surface = context.surface;
    // Ten thousand steps take a while, which is not taken from the others.
    let written = tokio::task::spawn_blocking(move || {
        let mut details = instance(surface, &record, defined.as_ref(), !simple);
        if let Some(steps) = &mut details.steps
            && descending
        {
            steps.reverse();
        }
        Reply::of(&details)
    });
    written.await.unwrap_or(Err(Failure::Internal))
}

fn instance(surface: Surface, record: &Record, defined: Option<&Defined>, with_steps: bool) -> InstanceDetails {
    let details = record.details();
    let steps = with_steps.then(|| {
        let shown = Shown { surface, record };
        let mut steps: Vec<_> = details.steps.iter().map(|step| shown.step(step)).collect();
        if details.status == miniflow_runtime::InstanceStatus::Terminated {
            // Who did it is not recorded.
            steps.push(StepInfo::Termination { trigger: Trigger { source: TriggerSource::Unknown } });
        }
        steps
    });
    let fixed = &record.fixed;
    let step_count = details.steps.iter().filter(|step| step.key.kind != StepKind::Rollback).count();
    let Details { status, queued, started, ended, wake_at, output, error, rollback, pending_events, .. } = details;
    InstanceDetails {
        id: fixed.id.clone(),
        workflow_name: fixed.workflow.clone(),
        status: status_of(status),
        params: json(&fixed.payload),
        trigger: Trigger { source: fixed.trigger.into() },
        schedule: fixed.schedule.as_ref().map(|schedule| ScheduleInfo {
            cron: schedule.cron.clone(),
            scheduled_time: schedule.scheduled_time.as_millis(),
        }),
        version_id: defined.map(Defined::version_id).unwrap_or_default(),
        queued: instant::format(queued),
        start: moment(started),
        end: moment(ended),
        wake_at: moment(wake_at),
        expires_at: moment(record.summary.expires),
        success: status.is_final().then_some(status == miniflow_runtime::InstanceStatus::Complete),
        output: output.as_deref().map(json),
        error: error.as_ref().map(Into::into),
        rollback: rollback.as_ref().map(Into::into),
        step_count,
        steps,
        pending_events: pending_events.iter().map(pending).collect(),
    }
}

fn pending(event: &ReceivedEvent) -> PendingEvent {
    PendingEvent {
        event_type: event.event_type.to_string(),
        payload: json(&event.payload),
        timestamp: instant::format(event.timestamp),
    }
}

/// How steps of this instance are shown.
struct Shown<'a> {
    surface: Surface,
    record: &'a Record,
}

impl Shown<'_> {
    fn step(&self, step: &StepDetails) -> StepInfo {
        match step.key.kind {
            StepKind::Do => StepInfo::Step(self.attempted(step)),
            StepKind::Rollback => StepInfo::Rollback(self.attempted(step)),
            StepKind::Sleep => StepInfo::Sleep(Slept {
                name: step.key.to_string(),
                start: instant::format(step.started),
                end: self.end(step),
                finished: step.success().is_some(),
                error: None,
                wake_at: moment(step.deadline()),
            }),
            StepKind::Wait => StepInfo::WaitForEvent(Awaited {
                name: step.key.to_string(),
                start: instant::format(step.started),
                end: self.end(step),
                finished: step.success().is_some(),
                error: step.error().map(Into::into),
                output: self.event(step),
                event_type: step.event_type.as_deref().map(str::to_owned),
                deadline: moment(step.deadline()),
            }),
        }
    }

    /// Over version 4 the end of what goes on is when it will be over.
    fn end(&self, step: &StepDetails) -> Option<String> {
        let planned = step.deadline().filter(|_| self.surface == Surface::V4);
        moment(step.ended.or(planned))
    }

    fn attempted(&self, step: &StepDetails) -> Attempted {
        let unset = StepConfig::default();
        let config = step.config.as_deref().unwrap_or(&unset);
        Attempted {
            name: step.key.to_string(),
            start: instant::format(step.started),
            end: moment(step.ended),
            success: step.success(),
            output: self.output(step, config.sensitive_output),
            config: config_info(config),
            attempts: step.attempts.iter().map(attempt).collect(),
            nested: step.nested,
            has_rollback: step.has_rollback,
            abandoned: matches!(step.state, StepState::Abandoned { .. }),
        }
    }

    fn output(&self, step: &StepDetails, sensitive: bool) -> Output {
        let shown = match &step.state {
            StepState::Done(Outcome::Output(_) | Outcome::Stream(..)) if sensitive => Output::Text(REDACTED.to_owned()),
            StepState::Done(Outcome::Output(_)) if step.key.kind == StepKind::Rollback => Output::Null,
            StepState::Done(Outcome::Output(output)) => self.json(output),
            StepState::Done(Outcome::Stream(no, stream)) => {
                let head = self.record.stream_head(AttemptKey { step: *no, attempt: stream.attempt });
                Output::Text(stream_text(head, *stream))
            }
            _ => Output::Null,
        };
        match (shown, self.surface) {
            // The local API leaves it out.
            (Output::Null, Surface::Local) => Output::Absent,
            (shown, _) => shown,
        }
    }

    fn json(&self, output: &Bytes) -> Output {
        let text = String::from_utf8_lossy(output);
        match self.surface {
            Surface::Local if output.len() <= SHOWN_MAX_LOCAL => Output::Json(json(output)),
            Surface::Local => Output::Text(cut(&text, SHOWN_MAX_LOCAL)),
            // Documented as a text: of a text the text itself, of anything else its JSON.
            Surface::V4 => match serde_json::from_slice::<String>(output) {
                Ok(text) => Output::Text(cut(&text, SHOWN_MAX_V4)),
                Err(_) => Output::Text(cut(&text, SHOWN_MAX_V4)),
            },
        }
    }

    fn event(&self, step: &StepDetails) -> Output {
        let StepState::Done(Outcome::Event(event)) = &step.state else {
            return if self.surface == Surface::V4 { Output::Absent } else { Output::Null };
        };
        match self.surface {
            Surface::V4 => self.json(&event.payload),
            Surface::Local => {
                // Not by way of a value: that has no form for every payload.
                to_raw_value(&pending(event)).map_or(Output::Null, Output::Json)
            }
        }
    }
}

/// What is shown of what must not be shown.
pub(super) const REDACTED: &str = "[REDACTED]";

/// A text up to `max` bytes, between two characters.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max { text.to_owned() } else { format!("{}{CUT}", &text[..text.floor_char_boundary(max)]) }
}

/// A stream, of which `head` is the beginning: its text, or how many bytes it has.
fn stream_text(head: Option<&Bytes>, stream: StoredStream) -> String {
    let binary = || format!("[ReadableStream (binary): {} bytes]", stream.bytes);
    let head = head.map(Bytes::as_ref).unwrap_or_default();
    let whole = head.len() as u64 == stream.bytes;
    match std::str::from_utf8(head) {
        Ok(text) if whole || text.len() > SHOWN_MAX_V4 => cut(text, SHOWN_MAX_V4),
        // The last character is cut in two, not wrong.
        Err(error) if error.error_len().is_none() && !whole && error.valid_up_to() > SHOWN_MAX_V4 => {
            cut(&String::from_utf8_lossy(&head[..error.valid_up_to()]), SHOWN_MAX_V4)
        }
        // Several short pieces: the beginning is not all of it.
        Ok(text) => format!("{text}{CUT}"),
        Err(_) => binary(),
    }
}

fn attempt(attempt: &AttemptDetails) -> AttemptInfo {
    AttemptInfo {
        start: instant::format(attempt.started),
        end: moment(attempt.ended),
        success: attempt.result.as_ref().map(Result::is_ok),
        error: attempt.result.as_ref().and_then(|result| result.as_ref().err()).map(Into::into),
        attempt: attempt.attempt,
        retry_at: moment(attempt.retry_at),
    }
}

fn config_info(config: &StepConfig) -> ConfigInfo {
    ConfigInfo {
        retries: RetriesInfo {
            limit: config.retry_limit,
            delay: if config.dynamic_delay {
                DelayInfo::Word("[dynamic]")
            } else {
                DelayInfo::Ms(config.retry_delay_ms)
            },
            backoff: match config.backoff {
                Backoff::Constant => "constant",
                Backoff::Linear => "linear",
                Backoff::Exponential => "exponential",
            },
        },
        timeout: config.timeout_ms,
        sensitive: config.sensitive_output.then_some("output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bytes: u64) -> StoredStream {
        StoredStream { attempt: 1, chunks: 1, bytes }
    }

    fn shown(head: &[u8], bytes: u64) -> String {
        stream_text(Some(&Bytes::copy_from_slice(head)), stream(bytes))
    }

    // rules: A50, A51, A52
    #[test]
    fn a_stream_is_shown_as_its_text_or_as_its_size() {
        assert_eq!(shown(b"hello", 5), "hello");
        assert_eq!(shown(b"", 0), "");
        let long = vec![b'x'; 4096];
        assert_eq!(shown(&long, 9000), format!("{}[truncated output]", "x".repeat(1024)));
        assert_eq!(shown(b"\xff\x00", 2), "[ReadableStream (binary): 2 bytes]");
        let mut split = "x".repeat(4095).into_bytes();
        split.push("é".as_bytes()[0]);
        assert_eq!(shown(&split, 9000), format!("{}[truncated output]", "x".repeat(1024)));
        assert_eq!(stream_text(None, stream(3)), "[truncated output]");
    }

    #[test]
    fn a_text_is_cut_between_two_characters() {
        assert_eq!(cut("aé", 2), "a[truncated output]");
        assert_eq!(cut("aé", 3), "aé");
    }
}
