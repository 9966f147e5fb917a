//! What a run is given, and what it waits for.

use serde::de::DeserializeOwned;

use super::{StepSensitivity, WorkflowSleepDuration, payload};
use crate::bindings::miniflow::worker::steps;
use crate::bindings::workflows_world::exports::miniflow::worker::workflows as wit;
use crate::{Date, Result};

/// The input of a run: the same in every run of an instance.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkflowEvent<T> {
    /// The params the instance was created with.
    pub payload: T,
    /// When the instance was created.
    pub timestamp: Date,
    /// The id of the instance.
    pub instance_id: String,
    /// The name of the workflow, as configured.
    pub workflow_name: String,
    /// Present when a schedule made the instance.
    pub schedule: Option<WorkflowCronSchedule>,
}

/// The schedule that made an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkflowCronSchedule {
    /// The expression as configured.
    pub cron: String,
    /// The time it stood for, which may be a little before it fired.
    pub scheduled_time: Option<Date>,
}

impl<T: DeserializeOwned> WorkflowEvent<T> {
    pub(super) fn decode(event: wit::WorkflowEvent) -> serde_json::Result<Self> {
        Ok(Self {
            payload: payload::decode(&event.payload)?,
            timestamp: event.timestamp.into(),
            instance_id: event.instance_id,
            workflow_name: event.workflow_name,
            schedule: event.schedule.map(|schedule| WorkflowCronSchedule {
                cron: schedule.cron,
                scheduled_time: Some(schedule.scheduled_time.into()),
            }),
        })
    }
}

/// Which event to wait for, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitForEventOptions {
    /// The type the sender gives: letters, digits, `-` and `_`, at most 100.
    pub type_: String,
    /// From one second to 365 days; 24 hours unless told otherwise.
    pub timeout: Option<WorkflowSleepDuration>,
}

impl WaitForEventOptions {
    /// Waits for events of this type.
    #[must_use]
    pub fn new(type_: impl Into<String>) -> Self {
        Self { type_: type_.into(), timeout: None }
    }

    /// Sets how long to wait.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<WorkflowSleepDuration>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }
}

/// An event that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkflowStepEvent<T> {
    /// What the sender gave.
    pub payload: T,
    /// When it was sent.
    pub timestamp: Date,
    /// Its type.
    pub type_: String,
    /// What must not be shown.
    pub sensitive: Option<StepSensitivity>,
}

impl<T: DeserializeOwned> WorkflowStepEvent<T> {
    pub(super) fn decode(name: &str, event: steps::ReceivedEvent) -> Result<Self> {
        let payload = payload::decode(&event.payload).map_err(|error| {
            format!("the payload of the event `{}` for `{name}` does not fit: {error}", event.event_type)
        })?;
        Ok(Self { payload, timestamp: event.timestamp.into(), type_: event.event_type, sensitive: None })
    }
}
