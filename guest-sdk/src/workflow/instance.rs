//! [`WorkflowInstance`]: a handle to one instance, and its status.
//!
//! A handle is only names, so it can be the output of a step and used again after a replay.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{RestartOptions, SubscribeOptions, TerminateOptions, WorkflowInstanceSubscription};
use crate::bindings::miniflow::worker::types;
use crate::bindings::miniflow::worker::workflow as wit;
use crate::{Error, Result, host};

/// An instance of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowInstance {
    id: String,
    binding: String,
}

impl WorkflowInstance {
    pub(super) fn of(binding: String, id: String) -> Self {
        Self { id, binding }
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// Returns what the instance is doing now.
    ///
    /// # Errors
    ///
    /// Code `instance.not_found` when it is not kept any more.
    pub async fn status(&self) -> Result<InstanceStatus> {
        host::required("`WorkflowInstance::status`");
        InstanceStatus::decode(wit::status(self.binding.clone(), self.id.clone()).await?)
    }

    /// Sends an event: to the oldest wait for its type, or, while there is none, for the next one.
    ///
    /// # Errors
    ///
    /// Code `workflow.invalid_event_type`; `instance.not_found`; `instance.cannot_send_event` when the instance has ended.
    pub async fn send_event<T: Serialize>(&self, type_: impl Into<String>, payload: T) -> Result<()> {
        host::required("`WorkflowInstance::send_event`");
        let payload = serde_json::to_vec(&payload)?;
        Ok(wit::send_event(self.binding.clone(), self.id.clone(), type_.into(), payload).await?)
    }

    /// Stops it until [`resume`](Self::resume): sleeps and waits at once, step bodies that run when they are finished. No effect
    /// when it is queued, paused, or has ended.
    ///
    /// # Errors
    ///
    /// Code `instance.not_found` when it is not kept any more.
    pub async fn pause(&self) -> Result<()> {
        host::required("`WorkflowInstance::pause`");
        Ok(wit::pause(self.binding.clone(), self.id.clone()).await?)
    }

    /// Lets it go on after [`pause`](Self::pause), or takes back a pause that has not come yet. No effect otherwise.
    ///
    /// # Errors
    ///
    /// Code `instance.not_found` when it is not kept any more.
    pub async fn resume(&self) -> Result<()> {
        host::required("`WorkflowInstance::resume`");
        Ok(wit::resume(self.binding.clone(), self.id.clone()).await?)
    }

    /// Stops it for good. Nothing is undone.
    ///
    /// # Errors
    ///
    /// Code `instance.cannot_terminate` when it has ended; `instance.not_found`.
    pub async fn terminate(&self) -> Result<()> {
        self.terminate_with_options(TerminateOptions::default()).await
    }

    /// Stops it for good, and undoes its steps before if asked for: the handlers of
    /// [`do_with_rollback`](crate::WorkflowStep::do_with_rollback) run as they do when it fails.
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn f(instance: WorkflowInstance) -> Result<()> {
    /// instance.terminate_with_options(TerminateOptions::new().rollback(true)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`terminate`](Self::terminate).
    pub async fn terminate_with_options(&self, options: TerminateOptions) -> Result<()> {
        host::required("`WorkflowInstance::terminate`");
        Ok(wit::terminate(self.binding.clone(), self.id.clone(), options.into_wit()).await?)
    }

    /// Runs it again from the beginning, with the same id and params. All that was recorded of it is gone.
    ///
    /// # Errors
    ///
    /// Code `instance.not_found` when it is not kept any more.
    pub async fn restart(&self) -> Result<()> {
        self.restart_with_options(RestartOptions::default()).await
    }

    /// Runs it again, from a step on if asked for: what began before that step keeps its result.
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn f(instance: WorkflowInstance) -> Result<()> {
    /// instance.restart_with_options(RestartOptions::new().from(RestartFrom::new("ship"))).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Code `instance.cannot_restart` when its history has no such step; `instance.not_found`.
    pub async fn restart_with_options(&self, options: RestartOptions) -> Result<()> {
        host::required("`WorkflowInstance::restart`");
        Ok(wit::restart(self.binding.clone(), self.id.clone(), options.into_wit()).await?)
    }

    /// Removes it and all that is recorded of it; one that runs is stopped, and nothing is undone. An instance that deletes
    /// itself ends in this call.
    ///
    /// # Errors
    ///
    /// Code `instance.not_found` when it is not kept any more.
    pub async fn delete(&self) -> Result<()> {
        host::required("`WorkflowInstance::delete`");
        Ok(wit::delete(self.binding.clone(), self.id.clone()).await?)
    }

    /// Follows it: gives what is recorded of it, then each event as it happens, up to its end.
    ///
    /// # Errors
    ///
    /// Code `instance.not_found` when it is not kept any more; a type in the filter that does not exist.
    pub async fn subscribe(&self, options: SubscribeOptions) -> Result<WorkflowInstanceSubscription> {
        host::required("`WorkflowInstance::subscribe`");
        let subscription = wit::subscribe(self.binding.clone(), self.id.clone(), options.into_wit()).await?;
        Ok(WorkflowInstanceSubscription::of(subscription))
    }
}

/// What an instance is doing, or how it ended. As JSON it is what the platform's API gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstanceStatus {
    /// The state.
    pub status: InstanceStatusKind,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<InstanceError>,
    /// What `run` returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<serde_json::Value>,
    /// How its compensations went; none until they ran.
    #[serde(default)]
    pub rollback: Option<RollbackStatus>,
}

/// The states of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum InstanceStatusKind {
    /// Waits for its turn.
    Queued,
    /// Runs.
    Running,
    /// Was paused.
    Paused,
    /// Failed.
    Errored,
    /// Was terminated.
    Terminated,
    /// Completed.
    Complete,
    /// Sleeps, or waits for an event or a retry.
    Waiting,
    /// Finishes its current work before it pauses.
    WaitingForPause,
    /// A state this version does not know.
    #[serde(other)]
    Unknown,
}

/// Why an instance, or a compensation, failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstanceError {
    /// Such as `Error`, `WorkflowTimeoutError`, or the error's own.
    pub name: String,
    /// The text.
    pub message: String,
}

/// How the compensations of an instance went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RollbackStatus {
    /// Whether all went well.
    pub outcome: RollbackOutcome,
    /// Why they did not.
    pub error: Option<InstanceError>,
}

/// Whether all compensations went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RollbackOutcome {
    /// All did.
    Complete,
    /// One failed for good.
    Failed,
}

impl InstanceStatus {
    /// Returns what `run` returned as a `T`; none unless it is complete.
    ///
    /// # Errors
    ///
    /// When the output is not a `T`.
    pub fn output<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.output.as_ref().map(T::deserialize).transpose().map_err(Error::from)
    }

    fn decode(status: wit::InstanceStatus) -> Result<Self> {
        let output = status.output.map(|json| serde_json::from_slice(&json)).transpose();
        Ok(Self {
            status: status.status.into(),
            error: status.error.map(Into::into),
            output: output.map_err(|error| Error::from(format!("the instance's output is not JSON: {error}")))?,
            rollback: status.rollback.map(|rollback| RollbackStatus {
                outcome: if rollback.complete { RollbackOutcome::Complete } else { RollbackOutcome::Failed },
                error: rollback.error.map(Into::into),
            }),
        })
    }
}

impl From<wit::StatusKind> for InstanceStatusKind {
    fn from(kind: wit::StatusKind) -> Self {
        match kind {
            wit::StatusKind::Queued => Self::Queued,
            wit::StatusKind::Running => Self::Running,
            wit::StatusKind::Paused => Self::Paused,
            wit::StatusKind::Errored => Self::Errored,
            wit::StatusKind::Terminated => Self::Terminated,
            wit::StatusKind::Complete => Self::Complete,
            wit::StatusKind::Waiting => Self::Waiting,
            wit::StatusKind::WaitingForPause => Self::WaitingForPause,
            wit::StatusKind::Unknown => Self::Unknown,
        }
    }
}

impl From<types::Error> for InstanceError {
    fn from(error: types::Error) -> Self {
        Self { name: error.name, message: error.message }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;

    fn status(kind: wit::StatusKind) -> wit::InstanceStatus {
        wit::InstanceStatus { status: kind, error: None, output: None, rollback: None }
    }

    fn shown(status: wit::InstanceStatus) -> serde_json::Value {
        serde_json::to_value(InstanceStatus::decode(status).unwrap()).unwrap()
    }

    // rules: S22, S23, C2.2-2, C2.10-5
    #[test]
    fn a_status_is_the_platforms_json() {
        assert_eq!(shown(status(wit::StatusKind::Running)), json!({"status": "running", "rollback": null}));
        assert_eq!(shown(status(wit::StatusKind::WaitingForPause))["status"], "waitingForPause");
        let complete =
            || wit::InstanceStatus { output: Some(b"{\"a\":1}".into()), ..status(wit::StatusKind::Complete) };
        assert_eq!(shown(complete()), json!({"status": "complete", "output": {"a": 1}, "rollback": null}));
        let output = InstanceStatus::decode(complete()).unwrap().output::<HashMap<String, u32>>().unwrap();
        assert_eq!(output.unwrap()["a"], 1);
        let error = types::Error { name: "Error".into(), message: "no".into(), backtrace: None };
        let errored = wit::InstanceStatus {
            error: Some(error.clone()),
            rollback: Some(wit::RollbackOutcome { complete: false, error: Some(error) }),
            ..status(wit::StatusKind::Errored)
        };
        let error = json!({"name": "Error", "message": "no"});
        assert_eq!(
            shown(errored),
            json!({"status": "errored", "error": error, "rollback": {"outcome": "failed", "error": error}})
        );
    }

    // rules: S22, C2.10-5
    #[test]
    fn a_state_from_the_future_reads_as_unknown() {
        let status: InstanceStatus = serde_json::from_value(json!({"status": "dreaming"})).unwrap();
        assert_eq!(status.status, InstanceStatusKind::Unknown);
    }

    // rules: S33
    #[test]
    fn a_handle_survives_a_steps_output() {
        let handle = WorkflowInstance::of("ORDERS".into(), "order-7".into());
        let json = serde_json::to_value(&handle).unwrap();
        assert_eq!(json["id"], "order-7");
        assert_eq!(serde_json::from_value::<WorkflowInstance>(json).unwrap(), handle);
    }
}
