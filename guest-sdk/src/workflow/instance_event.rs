//! [`WorkflowInstanceEvent`]: what happens to an instance, one thing at a time.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StepError;

/// Something that happened to an instance. As JSON it is what the platform's API gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WorkflowInstanceEvent {
    /// The id of the instance.
    pub instance_id: String,
    /// Grows from event to event; the cursor of [`SubscribeOptions`](crate::SubscribeOptions).
    pub event_id: u64,
    /// When it happened, in milliseconds since 1970.
    pub timestamp: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: WorkflowInstanceEventKind,
}

/// What happened to an instance. A step is named with how many-th of its name it is, such as `charge-1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum WorkflowInstanceEventKind {
    /// It waits for its turn.
    WorkflowQueued,
    /// It begins.
    WorkflowStarted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        params: Option<Value>,
    },
    /// It runs, or runs again.
    WorkflowRunning,
    /// It is paused.
    WorkflowPaused,
    /// It finishes its current work before it pauses.
    WorkflowWaitingForPause,
    /// It sleeps, or waits for an event or a retry.
    WorkflowWaiting,
    /// It is complete: the last event.
    WorkflowCompleted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
    },
    /// It has failed: the last event.
    WorkflowErrored { error: StepError },
    /// It was terminated: the last event.
    WorkflowTerminated,
    /// A step begins. `config` is the configuration in force; the delay is `[dynamic]` when a function gives it.
    StepStarted {
        step_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<Value>,
    },
    /// A step is done. The output is `[REDACTED]` when it must not be shown.
    StepCompleted {
        step_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
    },
    /// A step has failed for good.
    StepErrored { step_name: String },
    /// An attempt of a step begins.
    AttemptStarted { step_name: String, attempt: u32 },
    /// An attempt of a step has succeeded.
    AttemptCompleted { step_name: String, attempt: u32 },
    /// An attempt of a step has failed. With a delay another follows.
    AttemptErrored {
        step_name: String,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_delay_ms: Option<u64>,
        error: StepError,
    },
    /// A sleep begins.
    SleepStarted { step_name: String, duration_ms: u64 },
    /// A sleep is over.
    SleepCompleted { step_name: String },
    /// A wait for an event begins.
    WaitStarted { step_name: String, event_type: String },
    /// The event has come.
    WaitCompleted { step_name: String },
    /// The event has not come in time.
    WaitTimedOut { step_name: String },
    /// Its steps are going to be undone.
    RollbackStarted,
    /// A step is going to be undone.
    RollbackStepStarted {
        step_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<Value>,
    },
    /// A step is undone.
    RollbackStepCompleted { step_name: String },
    /// A step cannot be undone.
    RollbackStepErrored { step_name: String, error: StepError },
    /// An attempt of a handler begins.
    RollbackAttemptStarted { step_name: String, attempt: u32 },
    /// An attempt of a handler has succeeded.
    RollbackAttemptCompleted { step_name: String, attempt: u32 },
    /// An attempt of a handler has failed. With a delay another follows.
    RollbackAttemptErrored {
        step_name: String,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_delay_ms: Option<u64>,
        error: StepError,
    },
    /// All is undone.
    RollbackCompleted,
    /// Not all could be undone.
    RollbackErrored,
    /// A type, or a form of one, that this version does not know.
    #[serde(untagged)]
    Unknown {
        /// The name of the type.
        #[serde(rename = "type")]
        type_: String,
        /// What belongs to the type.
        #[serde(flatten)]
        fields: Map<String, Value>,
    },
}

impl WorkflowInstanceEventKind {
    /// Says whether nothing comes after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::WorkflowCompleted { .. } | Self::WorkflowErrored { .. } | Self::WorkflowTerminated)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Reads an event of `kind`, and checks that it is written as it was.
    #[track_caller]
    fn read(kind: &Value) -> WorkflowInstanceEventKind {
        let mut json = json!({ "instanceId": "order-7", "eventId": 12, "timestamp": 1_700_000_000_000_u64 });
        let fields = kind.as_object().unwrap().clone();
        json.as_object_mut().unwrap().extend(fields);
        let event: WorkflowInstanceEvent = serde_json::from_value(json.clone()).unwrap();
        assert_eq!((event.instance_id.as_str(), event.event_id, event.timestamp), ("order-7", 12, 1_700_000_000_000));
        assert_eq!(serde_json::to_value(&event).unwrap(), json);
        event.kind
    }

    #[test]
    fn every_type_the_platform_has_is_known() {
        let error = json!({ "name": "Error", "message": "no" });
        for kind in [
            json!({ "type": "workflow_queued" }),
            json!({ "type": "workflow_started" }),
            json!({ "type": "workflow_started", "params": [1] }),
            json!({ "type": "workflow_running" }),
            json!({ "type": "workflow_paused" }),
            json!({ "type": "workflow_waiting_for_pause" }),
            json!({ "type": "workflow_waiting" }),
            json!({ "type": "workflow_completed", "output": { "a": 1 } }),
            json!({ "type": "workflow_errored", "error": error }),
            json!({ "type": "workflow_terminated" }),
            json!({ "type": "step_started", "stepName": "a-1", "config": { "retries": { "delay": "[dynamic]" } } }),
            json!({ "type": "step_completed", "stepName": "a-1", "output": "[REDACTED]" }),
            json!({ "type": "step_errored", "stepName": "a-1" }),
            json!({ "type": "attempt_started", "stepName": "a-1", "attempt": 1 }),
            json!({ "type": "attempt_completed", "stepName": "a-1", "attempt": 1 }),
            json!({ "type": "attempt_errored", "stepName": "a-1", "attempt": 1, "retryDelayMs": 5, "error": error }),
            json!({ "type": "sleep_started", "stepName": "a-1", "durationMs": 1000 }),
            json!({ "type": "sleep_completed", "stepName": "a-1" }),
            json!({ "type": "wait_started", "stepName": "a-1", "eventType": "go" }),
            json!({ "type": "wait_completed", "stepName": "a-1" }),
            json!({ "type": "wait_timed_out", "stepName": "a-1" }),
            json!({ "type": "rollback_started" }),
            json!({ "type": "rollback_step_started", "stepName": "a-1" }),
            json!({ "type": "rollback_step_completed", "stepName": "a-1" }),
            json!({ "type": "rollback_step_errored", "stepName": "a-1", "error": error }),
            json!({ "type": "rollback_attempt_started", "stepName": "a-1", "attempt": 1 }),
            json!({ "type": "rollback_attempt_completed", "stepName": "a-1", "attempt": 1 }),
            json!({ "type": "rollback_attempt_errored", "stepName": "a-1", "attempt": 1, "error": error }),
            json!({ "type": "rollback_completed" }),
            json!({ "type": "rollback_errored" }),
        ] {
            let read = read(&kind);
            assert!(!matches!(read, WorkflowInstanceEventKind::Unknown { .. }), "{kind}");
        }
    }

    #[test]
    fn a_field_has_its_value() {
        let kind = read(&json!({ "type": "sleep_started", "stepName": "nap-1", "durationMs": 1000 }));
        let expected = WorkflowInstanceEventKind::SleepStarted { step_name: "nap-1".into(), duration_ms: 1000 };
        assert_eq!(kind, expected);
    }

    #[test]
    fn what_is_not_known_keeps_its_name_and_its_fields() {
        for json in [json!({ "type": "workflow_dreaming", "of": "sheep" }), json!({ "type": "sleep_started", "of": 1 })]
        {
            let WorkflowInstanceEventKind::Unknown { type_, fields } = read(&json) else { panic!("{json}") };
            assert_eq!((json!(type_), &fields["of"]), (json["type"].clone(), &json["of"]));
        }
    }

    #[test]
    fn nothing_comes_after_the_end() {
        assert!(WorkflowInstanceEventKind::WorkflowTerminated.is_last());
        assert!(!WorkflowInstanceEventKind::RollbackCompleted.is_last());
    }
}
