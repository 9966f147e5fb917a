//! What the local API says about workflows and instances, as far as it is shown.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A workflow.
#[derive(Debug, Deserialize)]
pub struct Workflow {
    pub name: String,
    pub(super) class_name: String,
    pub(super) script_name: String,
    pub(super) created_on: String,
    #[serde(default)]
    pub(super) triggered_on: Option<String>,
    #[serde(default)]
    pub(super) instances: BTreeMap<String, u64>,
    #[serde(default)]
    pub(super) schedules: Vec<Schedule>,
    #[serde(default)]
    pub(super) script_deleted: bool,
}

/// When a workflow starts by itself.
#[derive(Debug, Deserialize)]
pub(super) struct Schedule {
    pub(super) cron: String,
    #[serde(default)]
    pub(super) next_instance: Option<String>,
}

/// An instance in a list.
#[derive(Debug, Deserialize)]
pub struct Listed {
    pub id: String,
    pub(super) status: String,
    pub(super) trigger_source: String,
    pub(super) created_on: String,
    #[serde(default)]
    pub(super) started_on: Option<String>,
    #[serde(default)]
    pub(super) ended_on: Option<String>,
}

/// How a list stands in the whole.
#[derive(Debug, Default, Deserialize)]
pub struct Page {
    #[serde(default)]
    pub(super) page: Option<u64>,
    #[serde(default)]
    pub(super) total_count: u64,
    #[serde(default)]
    pub(super) total_pages: u64,
    #[serde(default)]
    pub cursor: Option<String>,
    #[serde(default)]
    pub(super) status_counts: BTreeMap<String, u64>,
}

/// An instance.
#[derive(Debug, Deserialize)]
pub struct Details {
    pub id: String,
    #[serde(rename = "workflowName")]
    pub(super) workflow_name: String,
    pub(super) status: String,
    pub(super) params: Box<RawValue>,
    pub(super) trigger: Trigger,
    #[serde(default)]
    pub(super) schedule: Option<Scheduled>,
    #[serde(default, rename = "versionId")]
    pub(super) version_id: String,
    pub(super) queued: String,
    #[serde(default)]
    pub(super) start: Option<String>,
    #[serde(default)]
    pub(super) end: Option<String>,
    #[serde(default)]
    pub(super) wake_at: Option<String>,
    #[serde(default)]
    pub(super) expires_at: Option<String>,
    #[serde(default)]
    pub(super) output: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) error: Option<Error>,
    #[serde(default)]
    pub(super) rollback: Option<Rollback>,
    #[serde(default)]
    pub(super) steps: Vec<Step>,
    #[serde(default)]
    pub(super) pending_events: Vec<PendingEvent>,
}

/// How an instance came to be.
#[derive(Debug, Deserialize)]
pub(super) struct Trigger {
    pub(super) source: String,
}

/// The schedule that made an instance.
#[derive(Debug, Deserialize)]
pub(super) struct Scheduled {
    pub(super) cron: String,
}

/// An error.
#[derive(Debug, Deserialize)]
pub(super) struct Error {
    pub(super) name: String,
    pub(super) message: String,
}

/// How compensations went.
#[derive(Debug, Deserialize)]
pub(super) struct Rollback {
    pub(super) outcome: String,
    #[serde(default)]
    pub(super) error: Option<Error>,
}

/// An event that nobody has waited for yet.
#[derive(Debug, Deserialize)]
pub(super) struct PendingEvent {
    #[serde(rename = "type")]
    pub(super) event_type: String,
    pub(super) payload: Box<RawValue>,
    pub(super) timestamp: String,
}

/// A step of any kind: what another kind has is not there.
#[derive(Debug, Deserialize)]
pub(super) struct Step {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) start: Option<String>,
    #[serde(default)]
    pub(super) end: Option<String>,
    #[serde(default)]
    pub(super) success: Option<bool>,
    #[serde(default)]
    pub(super) finished: bool,
    #[serde(default)]
    pub(super) output: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) error: Option<Error>,
    #[serde(default)]
    pub(super) config: Option<Config>,
    #[serde(default)]
    pub(super) attempts: Vec<Attempt>,
    #[serde(default)]
    pub(super) nested: bool,
    #[serde(default)]
    pub(super) has_rollback: bool,
    #[serde(default)]
    pub(super) abandoned: bool,
    #[serde(default)]
    pub(super) event_type: Option<String>,
    #[serde(default)]
    pub(super) wake_at: Option<String>,
    #[serde(default)]
    pub(super) deadline: Option<String>,
}

/// The options of a step.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) retries: Retries,
}

/// The retries of a step.
#[derive(Debug, Deserialize)]
pub(super) struct Retries {
    pub(super) limit: u32,
}

/// An attempt of a step.
#[derive(Debug, Deserialize)]
pub(super) struct Attempt {
    pub(super) attempt: u32,
    pub(super) start: String,
    #[serde(default)]
    pub(super) end: Option<String>,
    #[serde(default)]
    pub(super) success: Option<bool>,
    #[serde(default)]
    pub(super) error: Option<Error>,
    #[serde(default)]
    pub(super) retry_at: Option<String>,
}
