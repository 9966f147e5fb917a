//! Events of an instance as the JSON that subscribers get.

use miniflow_runtime::Bytes;
use miniflow_runtime::engine::events::{EventKind, InstanceEvent, StepEvent, StepOutput};
use miniflow_runtime::engine::{Backoff, ErrorInfo, StepConfig};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The event as a JSON object: `instanceId`, `eventId`, `timestamp`, `type`, and what belongs to the type.
#[must_use]
pub fn to_json(instance_id: &str, event: &InstanceEvent) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("instanceId".into(), instance_id.into());
    object.insert("eventId".into(), event.id.into());
    object.insert("timestamp".into(), event.at.as_millis().into());
    object.insert("type".into(), event.kind.name().into());
    // Payloads go through as they are, so they are put in as text.
    let mut raw: Option<(&str, &Bytes)> = None;
    match &event.kind {
        EventKind::WorkflowStarted { params } => raw = Some(("params", params)),
        EventKind::WorkflowCompleted { output } => raw = Some(("output", output)),
        EventKind::WorkflowErrored { error } | EventKind::RollbackErrored { error } => {
            object.insert("error".into(), error_json(error));
        }
        EventKind::RollbackStarted { cause } => {
            object.insert("error".into(), error_json(cause));
        }
        EventKind::Step { step, what, .. } => {
            object.insert("stepName".into(), step.to_string().into());
            raw = step_fields(&mut object, what);
        }
        EventKind::WorkflowQueued
        | EventKind::WorkflowRunning
        | EventKind::WorkflowPaused
        | EventKind::WorkflowWaitingForPause
        | EventKind::WorkflowWaiting
        | EventKind::WorkflowTerminated
        | EventKind::RollbackCompleted => {}
    }
    let mut text = Value::Object(object).to_string();
    if let Some((name, bytes)) = raw
        && let Ok(payload) = serde_json::from_slice::<&RawValue>(bytes)
    {
        text.pop();
        text.push_str(&format!(",{}:{payload}}}", Value::from(name)));
    }
    text.into_bytes()
}

fn step_fields<'a>(object: &mut Map<String, Value>, what: &'a StepEvent) -> Option<(&'static str, &'a Bytes)> {
    match what {
        StepEvent::Started { config } => {
            object.insert("config".into(), config_json(config));
        }
        StepEvent::Completed { output: StepOutput::Json(output) } => return Some(("output", output)),
        StepEvent::Completed { output: StepOutput::Redacted } => {
            object.insert("output".into(), "[REDACTED]".into());
        }
        StepEvent::Completed { output: StepOutput::Stream(bytes) } => {
            object.insert("output".into(), format!("[ReadableStream: {bytes} bytes]").into());
        }
        StepEvent::AttemptStarted { attempt } | StepEvent::AttemptCompleted { attempt } => {
            object.insert("attempt".into(), (*attempt).into());
        }
        StepEvent::AttemptErrored { attempt, error, retry_delay_ms } => {
            object.insert("attempt".into(), (*attempt).into());
            object.insert("error".into(), error_json(error));
            if let Some(ms) = retry_delay_ms {
                object.insert("retryDelayMs".into(), (*ms).into());
            }
        }
        StepEvent::Errored { error } => {
            object.insert("error".into(), error_json(error));
        }
        StepEvent::SleepStarted { duration_ms } => {
            object.insert("durationMs".into(), (*duration_ms).into());
        }
        StepEvent::WaitStarted { event_type } => {
            object.insert("eventType".into(), event_type.as_ref().into());
        }
        StepEvent::Completed { output: StepOutput::Nothing }
        | StepEvent::SleepCompleted
        | StepEvent::WaitCompleted
        | StepEvent::WaitTimedOut => {}
    }
    None
}

fn error_json(error: &ErrorInfo) -> Value {
    let mut object = json!({ "name": error.name, "message": error.message });
    if let Some(backtrace) = &error.backtrace {
        object["stack"] = backtrace.as_str().into();
    }
    object
}

fn config_json(config: &StepConfig) -> Value {
    let delay = if config.dynamic_delay { json!("[dynamic]") } else { json!(config.retry_delay_ms) };
    let backoff = match config.backoff {
        Backoff::Constant => "constant",
        Backoff::Linear => "linear",
        Backoff::Exponential => "exponential",
    };
    let mut object = json!({
        "retries": { "limit": config.retry_limit, "delay": delay, "backoff": backoff },
        "timeout": config.timeout_ms,
    });
    if config.sensitive_output {
        object["sensitive"] = json!("output");
    }
    object
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use miniflow_runtime::{StepKey, StepKind, Timestamp};

    use super::*;

    fn json_of(kind: EventKind) -> Value {
        let event = InstanceEvent { id: 8, at: Timestamp(5), kind };
        serde_json::from_slice(&to_json("one", &event)).unwrap()
    }

    fn step(what: StepEvent) -> EventKind {
        EventKind::Step { step: StepKey::new(StepKind::Do, "a", 1), rollback: false, what }
    }

    #[test]
    fn a_payload_goes_through_as_it_is() {
        let started = json_of(EventKind::WorkflowStarted { params: Bytes::from_static(b"{\"n\":1e2}") });
        let expected = json!({ "instanceId": "one", "eventId": 8, "timestamp": 5, "type": "workflow_started", "params": { "n": 1e2 } });
        assert_eq!(started, expected);
    }

    #[test]
    fn a_dynamic_delay_is_shown_as_such_and_a_sensitive_output_is_not_shown() {
        let config = StepConfig { dynamic_delay: true, ..StepConfig::default() };
        let started = json_of(step(StepEvent::Started { config: Arc::new(config) }));
        assert_eq!(
            (&started["stepName"], &started["config"]["retries"]["delay"]),
            (&json!("a-1"), &json!("[dynamic]"))
        );
        let done = json_of(step(StepEvent::Completed { output: StepOutput::Redacted }));
        assert_eq!(done["output"], "[REDACTED]");
    }

    #[test]
    fn the_delay_before_a_retry_is_said_when_there_is_one() {
        let failed = |retry_delay_ms| {
            json_of(step(StepEvent::AttemptErrored {
                attempt: 2,
                error: ErrorInfo::new("Error", "boom"),
                retry_delay_ms,
            }))
        };
        assert_eq!(failed(Some(50))["retryDelayMs"], 50);
        assert_eq!(failed(None).get("retryDelayMs"), None);
        assert_eq!(failed(None)["error"], json!({ "name": "Error", "message": "boom" }));
    }
}
