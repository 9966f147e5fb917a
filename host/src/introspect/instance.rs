//! One instance.

use std::time::Duration;

use miniflow_runtime::clock::real;
use miniflow_runtime::engine::{Instance, Outcome, StepNo, StepState, StoredStream};
use miniflow_runtime::mover::Skip;
use miniflow_runtime::script::{Direction, StepRef, doing};
use miniflow_runtime::storage::{AttemptKey, Record};
use miniflow_runtime::{Bytes, Clock as _, ErrorInfo, InstanceStatus, StepKey, StepKind};

use super::{IntrospectError, Introspection};

/// What is shown of an output that is not to be shown: JSON.
const REDACTED: &[u8] = br#""[REDACTED]""#;

/// Looks into an instance, which need not exist yet. Cheap to clone.
#[derive(Clone)]
pub struct Introspected {
    all: Introspection,
    workflow: String,
    id: String,
}

/// What a step returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// JSON; of a step whose output is not to be shown, the text `[REDACTED]`.
    Json(Bytes),
    /// What was streamed.
    Stream(Vec<u8>),
}

/// What a step has come to.
enum Came {
    Output(Bytes),
    Stream(StepNo, StoredStream),
    Failed(ErrorInfo),
    /// The instance is over without it.
    Never,
}

impl Introspected {
    pub(super) fn new(all: Introspection, workflow: &str, id: &str) -> Self {
        Self { all, workflow: workflow.to_owned(), id: id.to_owned() }
    }

    /// The id of the instance.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says something about the instance, which goes for steps that begin afterwards.
    ///
    /// # Errors
    ///
    /// When it contradicts what was said before; what comes before it in `said` counts then.
    pub async fn modify(&self, said: impl IntoIterator<Item = Direction>) -> Result<(), IntrospectError> {
        for direction in said {
            match direction {
                Direction::MockEvent { event_type, payload } => {
                    self.all.handle.mock_event(&self.workflow, &self.id, &event_type, payload).await?;
                }
                other => {
                    let script = self.all.scripts.of(&self.workflow, &self.id);
                    script.direct(other).map_err(|error| IntrospectError::Misuse(error.to_string()))?;
                }
            }
        }
        Ok(())
    }

    /// Waits until a step has a result, at most for `patience`, and returns it. Of a step that has one already, that one.
    ///
    /// # Errors
    ///
    /// When the step fails, with what; when the instance comes to its end without it; when it takes too long.
    pub async fn step_result(&self, step: &StepRef, patience: Duration) -> Result<StepResult, IntrospectError> {
        let key = StepKey::new(StepKind::Do, step.name.clone(), step.index);
        let wanted = key.clone();
        let look = move |instance: Option<&Instance>| {
            let instance = instance?;
            let state = instance.find(&wanted).and_then(|no| Some(&instance.step(no)?.state));
            match state {
                Some(StepState::Done(Outcome::Output(output))) => Some(Came::Output(output.clone())),
                Some(StepState::Done(Outcome::Stream(no, stream))) => Some(Came::Stream(*no, *stream)),
                Some(StepState::Done(Outcome::Failed(error))) => Some(Came::Failed(error.clone())),
                _ => instance.status().is_final().then_some(Came::Never),
            }
        };
        let (id, step) = (self.id.clone(), key.to_string());
        match self.wait(format!("the result of step `{key}`"), patience, look).await? {
            Came::Output(_) if self.is_sensitive(&key).await? => Ok(StepResult::Json(Bytes::from_static(REDACTED))),
            Came::Output(output) => Ok(StepResult::Json(output)),
            Came::Stream(no, stream) => self.streamed(no, stream).await.map(StepResult::Stream),
            Came::Failed(error) => Err(IntrospectError::StepFailed { id, step, error }),
            Came::Never => Err(IntrospectError::StepMissing { id, step, doing: self.doing().await }),
        }
    }

    async fn streamed(&self, no: StepNo, stream: StoredStream) -> Result<Vec<u8>, IntrospectError> {
        let (workflow, id) = (self.workflow.clone(), self.id.clone());
        let attempt = AttemptKey { step: no, attempt: stream.attempt };
        let read = self.all.handle.read(move |archive| {
            let mut bytes = Vec::new();
            if let Some(Record { fixed, .. }) = archive.record(&workflow, &id)? {
                for index in 0..stream.chunks {
                    bytes.extend(archive.piece(fixed.key, attempt, index)?.into_iter().flatten());
                }
            }
            Ok(bytes)
        });
        Ok(read.await?)
    }

    /// Whether the output of a step is not to be shown.
    async fn is_sensitive(&self, key: &StepKey) -> Result<bool, IntrospectError> {
        let (workflow, id, key) = (self.workflow.clone(), self.id.clone(), key.clone());
        let record = self.all.handle.read(move |archive| archive.record(&workflow, &id)).await?;
        let steps = record.map(|record| record.details().steps).unwrap_or_default();
        let config = steps.into_iter().find(|step| step.key == key).and_then(|step| step.config);
        Ok(config.is_some_and(|config| config.sensitive_output))
    }

    /// Waits until the instance has this status, such as `complete`, at most for `patience`. `queued` has been its status as soon as it exists.
    ///
    /// # Errors
    ///
    /// When it has come to another end; when it takes too long; when there is no such status.
    pub async fn wait_for_status(&self, status: &str, patience: Duration) -> Result<(), IntrospectError> {
        let expected = InstanceStatus::parse(status);
        if expected == InstanceStatus::Unknown {
            let known: Vec<_> = InstanceStatus::ALL.iter().map(|status| status.as_str()).collect();
            let why = format!("`{status}` is no status of an instance: {}", known.join(", "));
            return Err(IntrospectError::Misuse(why));
        }
        let look = move |instance: Option<&Instance>| {
            let now = instance?.status();
            if now == expected || expected == InstanceStatus::Queued {
                return Some(Ok(()));
            }
            (now.is_final() && expected.is_final()).then_some(Err(now))
        };
        match self.wait(format!("status `{status}`"), patience, look).await? {
            Ok(()) => Ok(()),
            Err(reached) => {
                let doing = self.doing().await;
                Err(IntrospectError::Unreachable { id: self.id.clone(), reached, expected, doing })
            }
        }
    }

    /// What the instance returned: JSON.
    ///
    /// # Errors
    ///
    /// When it is not complete.
    pub async fn output(&self) -> Result<Bytes, IntrospectError> {
        let report = self.all.handle.status(&self.workflow, &self.id).await?;
        report.output.filter(|_| report.status == InstanceStatus::Complete).ok_or_else(|| {
            IntrospectError::Misuse(format!(
                "Cannot retrieve output: Workflow instance is in status \"{}\" but must be \"complete\" to have an output available",
                report.status
            ))
        })
    }

    /// What the instance failed with.
    ///
    /// # Errors
    ///
    /// When it has not failed.
    pub async fn error(&self) -> Result<ErrorInfo, IntrospectError> {
        let report = self.all.handle.status(&self.workflow, &self.id).await?;
        report.error.filter(|_| report.status == InstanceStatus::Errored).ok_or_else(|| {
            IntrospectError::Misuse(format!(
                "Cannot retrieve error: Workflow instance is in status \"{}\" but must be \"errored\" to have error information available",
                report.status
            ))
        })
    }

    /// Stops the instance and removes it, with what was said about it. It need not exist.
    ///
    /// # Errors
    ///
    /// When the server has stopped.
    pub async fn dispose(&self) -> Result<(), IntrospectError> {
        self.all.scripts.forget(&self.workflow, &self.id);
        match self.all.handle.delete(&self.workflow, &self.id).await {
            Err(error) if error.code != "instance.not_found" => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What the instance is doing, in a sentence.
    pub async fn doing(&self) -> String {
        let (workflow, id) = (self.workflow.clone(), self.id.clone());
        match self.all.handle.read(move |archive| archive.record(&workflow, &id)).await {
            Ok(Some(record)) => doing(&record.details(), self.all.mover.clock().now()),
            Ok(None) => "there is no such instance".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Looks at the instance after everything that happens to it, until `look` returns something.
    async fn wait<T>(
        &self,
        what: String,
        patience: Duration,
        look: impl FnMut(Option<&Instance>) -> Option<T>,
    ) -> Result<T, IntrospectError> {
        let watched = self.all.scripts.watch(&self.all.handle, &self.workflow, &self.id, look);
        match real::timeout(patience, self.all.mover.skipping(Skip::All, watched)).await {
            Some(found) => Ok(found?),
            None => Err(IntrospectError::GaveUp { id: self.id.clone(), what, patience, doing: self.doing().await }),
        }
    }
}
