//! Instances.

use miniflow_runtime::InstanceStatus;
use miniflow_runtime::storage;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{ErrorShape, Status, StepInfo};

/// JSON that goes through as it is.
pub(crate) type Json = Box<RawValue>;

/// JSON of the runtime's. What it keeps is valid; null stands for what should not have happened.
pub(crate) fn json(bytes: &[u8]) -> Json {
    serde_json::from_slice(bytes).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

pub(crate) fn status_of(status: InstanceStatus) -> Status {
    match status {
        InstanceStatus::Queued => Status::Queued,
        InstanceStatus::Running => Status::Running,
        InstanceStatus::Paused => Status::Paused,
        InstanceStatus::Errored => Status::Errored,
        InstanceStatus::Terminated => Status::Terminated,
        InstanceStatus::Complete => Status::Complete,
        InstanceStatus::Waiting => Status::Waiting,
        InstanceStatus::WaitingForPause => Status::WaitingForPause,
        InstanceStatus::RollingBack => Status::RollingBack,
        InstanceStatus::Unknown => Status::Unknown,
    }
}

/// How an instance came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TriggerSource {
    Unknown,
    Api,
    Binding,
    Cron,
}

impl From<storage::Trigger> for TriggerSource {
    fn from(trigger: storage::Trigger) -> Self {
        match trigger {
            storage::Trigger::Binding => Self::Binding,
            storage::Trigger::Cron => Self::Cron,
            storage::Trigger::Api => Self::Api,
        }
    }
}

/// How an instance came to be, or to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Trigger {
    pub(crate) source: TriggerSource,
}

/// An instance in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ListedInstance {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) version_id: String,
    pub(crate) workflow_id: String,
    pub(crate) trigger_source: TriggerSource,
    pub(crate) created_on: String,
    /// When its status changed last.
    pub(crate) modified_on: String,
    /// When its first run began.
    pub(crate) started_on: Option<String>,
    pub(crate) ended_on: Option<String>,
}

/// An instance that was created.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CreatedInstance {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) version_id: String,
    pub(crate) workflow_id: String,
    pub(crate) trigger_source: TriggerSource,
}

/// An instance with everything that happened to it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InstanceDetails {
    pub(crate) id: String,
    #[serde(rename = "workflowName")]
    pub(crate) workflow_name: String,
    pub(crate) status: Status,
    #[schemars(with = "serde_json::Value")]
    pub(crate) params: Json,
    pub(crate) trigger: Trigger,
    /// The schedule that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schedule: Option<ScheduleInfo>,
    #[serde(rename = "versionId")]
    pub(crate) version_id: String,
    /// When it was created, or restarted from its beginning.
    pub(crate) queued: String,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    /// When something happens by itself, if it waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wake_at: Option<String>,
    /// When it is removed, if it is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<String>,
    /// Whether it came to its end as it should; null before.
    pub(crate) success: Option<bool>,
    #[schemars(with = "serde_json::Value")]
    pub(crate) output: Option<Json>,
    pub(crate) error: Option<ErrorShape>,
    /// How its compensations went.
    pub(crate) rollback: Option<RollbackInfo>,
    /// Without compensations.
    pub(crate) step_count: usize,
    /// Left out with `simple=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) steps: Option<Vec<StepInfo>>,
    /// Events that came and that no step has waited for yet, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pending_events: Vec<PendingEvent>,
}

/// An event that was sent.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PendingEvent {
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    #[schemars(with = "serde_json::Value")]
    pub(crate) payload: Json,
    pub(crate) timestamp: String,
}

/// The schedule that made an instance.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ScheduleInfo {
    pub(crate) cron: String,
    /// Milliseconds since 1970.
    #[serde(rename = "scheduledTime")]
    pub(crate) scheduled_time: u64,
}

/// How the compensations of an instance went.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RollbackInfo {
    pub(crate) outcome: RollbackOutcome,
    pub(crate) error: Option<ErrorShape>,
}

/// See [`RollbackInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RollbackOutcome {
    Complete,
    Failed,
}

impl From<&miniflow_runtime::engine::RollbackOutcome> for RollbackInfo {
    fn from(rollback: &miniflow_runtime::engine::RollbackOutcome) -> Self {
        let outcome = if rollback.error.is_none() { RollbackOutcome::Complete } else { RollbackOutcome::Failed };
        Self { outcome, error: rollback.error.as_ref().map(Into::into) }
    }
}

/// What a step came to, whole.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StepResult {
    /// `running` with an error: it is to be tried again.
    pub(crate) status: Status,
    pub(crate) error: Option<ErrorShape>,
    #[schemars(with = "serde_json::Value")]
    pub(crate) output: Option<Json>,
    /// Of a `waitForEvent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_type: Option<String>,
}

/// An instance after something was done to it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatusChanged {
    pub(crate) status: Status,
    pub(crate) timestamp: String,
}

/// An event was taken.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EventSent {
    #[serde(rename = "instanceId")]
    pub(crate) instance_id: String,
    pub(crate) timestamp: String,
    /// Always: what the local API answered first.
    pub(crate) success: bool,
}

/// What became of a batch of deletions.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeletedMany {
    pub(crate) deleted: Vec<DeletedId>,
    pub(crate) errors: Vec<DeleteError>,
}

/// An instance that is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeletedId {
    pub(crate) id: String,
}

/// An instance that could not be deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeleteError {
    pub(crate) id: String,
    pub(crate) code: u32,
    pub(crate) message: &'static str,
}
