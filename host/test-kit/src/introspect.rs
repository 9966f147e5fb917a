//! Introspection: what a test says about instances, and what it sees of them.
//!
//! Names, semantics and error texts are those of Cloudflare's tests of Workflows. Every wait follows what is recorded of the instance, sees every
//! status however short it is, skips idle time, and says what the instance is doing when it gives up.

use std::sync::Arc;

use bytes::Bytes;
use miniflow_runtime::clock::real;
use miniflow_runtime::engine::{Instance, Outcome, StepNo, StepState, StoredStream};
use miniflow_runtime::mover::Skip;
use miniflow_runtime::script::{Direction, ScriptError, SessionNo, doing};
use miniflow_runtime::storage::{AttemptKey, Record};
use miniflow_runtime::{ErrorInfo, InstanceStatus, StepKey, StepKind};
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::modifier::{Modifier, Step};
use crate::running::TestWorker;
use crate::workflow::parse;

/// Looks into an instance, which need not exist yet. Cheap to clone.
#[derive(Clone)]
pub struct InstanceIntrospector {
    worker: TestWorker,
    workflow: String,
    id: String,
}

/// What is shown of an output that is not to be shown: JSON.
const REDACTED: &[u8] = br#""[REDACTED]""#;

/// What a step has come to.
enum Came {
    Output(Bytes),
    Stream(StepNo, StoredStream),
    Failed(ErrorInfo),
    /// The instance is over without it.
    Never,
}

impl InstanceIntrospector {
    pub(crate) fn new(worker: TestWorker, workflow: String, id: String) -> Self {
        Self { worker, workflow, id }
    }

    /// The id of the instance.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says something about the instance.
    ///
    /// # Errors
    ///
    /// When it contradicts what was said before; what comes before it in `say` counts then.
    pub async fn modify(&self, say: impl FnOnce(Modifier) -> Modifier) -> Result<&Self, Error> {
        let running = &self.worker.0;
        for direction in say(Modifier::default()).said()? {
            match direction {
                Direction::MockEvent { event_type, payload } => {
                    running.handle.mock_event(&self.workflow, &self.id, &event_type, payload).await?;
                }
                other => running.scripts.of(&self.workflow, &self.id).direct(other).map_err(contradiction)?,
            }
        }
        Ok(self)
    }

    /// Waits until a step has a result, and returns it. Of a step that has one already, that one; of one whose output is not to be shown, the
    /// text `[REDACTED]`.
    ///
    /// # Errors
    ///
    /// When the step fails, with what; when the instance comes to its end without it; when it takes too long; when it is no `T`.
    pub async fn wait_for_step_result<T: DeserializeOwned>(&self, step: impl Into<Step>) -> Result<T, Error> {
        let key = key_of(&step.into());
        match self.step_result(&key).await? {
            Came::Output(_) if self.is_sensitive(&key).await? => parse(REDACTED),
            Came::Output(output) => parse(&output),
            _ => Err(Error::Data(format!("the result of step `{key}` is a stream: use `wait_for_step_stream`"))),
        }
    }

    /// As [`Self::wait_for_step_result`], of a step whose result is a stream: all of it.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn wait_for_step_stream(&self, step: impl Into<Step>) -> Result<Bytes, Error> {
        let key = key_of(&step.into());
        let Came::Stream(no, stream) = self.step_result(&key).await? else {
            return Err(Error::Data(format!("the result of step `{key}` is no stream: use `wait_for_step_result`")));
        };
        let (workflow, id) = (self.workflow.clone(), self.id.clone());
        let attempt = AttemptKey { step: no, attempt: stream.attempt };
        let read = self.worker.0.handle.read(move |archive| {
            let mut bytes = Vec::new();
            if let Some(Record { fixed, .. }) = archive.record(&workflow, &id)? {
                for index in 0..stream.chunks {
                    bytes.extend(archive.piece(fixed.key, attempt, index)?.into_iter().flatten());
                }
            }
            Ok(bytes)
        });
        Ok(read.await?.into())
    }

    /// Whether the output of a step is not to be shown.
    async fn is_sensitive(&self, key: &StepKey) -> Result<bool, Error> {
        let (workflow, id, key) = (self.workflow.clone(), self.id.clone(), key.clone());
        let record = self.worker.0.handle.read(move |archive| archive.record(&workflow, &id)).await?;
        let steps = record.map(|record| record.details().steps).unwrap_or_default();
        let config = steps.into_iter().find(|step| step.key == key).and_then(|step| step.config);
        Ok(config.is_some_and(|config| config.sensitive_output))
    }

    async fn step_result(&self, key: &StepKey) -> Result<Came, Error> {
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
        match self.wait(format!("the result of step `{key}`"), look).await? {
            Came::Failed(error) => Err(Error::StepFailed { id, step, error }),
            Came::Never => Err(Error::StepMissing { id, step, doing: self.doing().await }),
            came => Ok(came),
        }
    }

    /// Waits until the instance has this status, such as `complete`. `queued` has been its status as soon as it exists.
    ///
    /// # Errors
    ///
    /// When it has come to another end; when it takes too long; when there is no such status.
    pub async fn wait_for_status(&self, status: &str) -> Result<(), Error> {
        let expected = InstanceStatus::parse(status);
        if expected == InstanceStatus::Unknown {
            let known: Vec<_> = InstanceStatus::ALL.iter().map(|status| status.as_str()).collect();
            return Err(Error::Data(format!("`{status}` is no status of an instance: {}", known.join(", "))));
        }
        let look = move |instance: Option<&Instance>| {
            let now = instance?.status();
            if now == expected || expected == InstanceStatus::Queued {
                return Some(Ok(()));
            }
            (now.is_final() && expected.is_final()).then_some(Err(now))
        };
        match self.wait(format!("status `{status}`"), look).await? {
            Ok(()) => Ok(()),
            Err(reached) => {
                let doing = self.doing().await;
                Err(Error::Unreachable { id: self.id.clone(), reached, expected, doing })
            }
        }
    }

    /// What the instance returned.
    ///
    /// # Errors
    ///
    /// When it is not complete; when it is no `T`.
    pub async fn output<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let report = self.worker.0.handle.status(&self.workflow, &self.id).await?;
        match report.output.filter(|_| report.status == InstanceStatus::Complete) {
            Some(output) => parse(&output),
            None => Err(Error::Introspection(format!(
                "Cannot retrieve output: Workflow instance is in status \"{}\" but must be \"complete\" to have an output available",
                report.status
            ))),
        }
    }

    /// What the instance failed with.
    ///
    /// # Errors
    ///
    /// When it has not failed.
    pub async fn error(&self) -> Result<ErrorInfo, Error> {
        let report = self.worker.0.handle.status(&self.workflow, &self.id).await?;
        report.error.filter(|_| report.status == InstanceStatus::Errored).ok_or_else(|| {
            Error::Introspection(format!(
                "Cannot retrieve error: Workflow instance is in status \"{}\" but must be \"errored\" to have error information available",
                report.status
            ))
        })
    }

    /// Stops the instance and removes it, with what was said about it. It need not exist.
    ///
    /// # Errors
    ///
    /// When the Worker has stopped.
    pub async fn dispose(&self) -> Result<(), Error> {
        self.worker.0.scripts.forget(&self.workflow, &self.id);
        match self.worker.0.handle.delete(&self.workflow, &self.id).await {
            Err(error) if error.code != "instance.not_found" => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What the instance is doing, in a sentence.
    pub async fn doing(&self) -> String {
        let (workflow, id) = (self.workflow.clone(), self.id.clone());
        match self.worker.0.handle.read(move |archive| archive.record(&workflow, &id)).await {
            Ok(Some(record)) => doing(&record.details(), self.worker.clock().now()),
            Ok(None) => "there is no such instance".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Looks at the instance after everything that happens to it, until `look` returns something.
    async fn wait<T: Send + 'static>(
        &self,
        what: String,
        look: impl FnMut(Option<&Instance>) -> Option<T> + Send + 'static,
    ) -> Result<T, Error> {
        let running = Arc::clone(&self.worker.0);
        let (workflow, id, patience) = (self.workflow.clone(), self.id.clone(), running.patience);
        let waited = async move {
            let watched = running.scripts.watch(&running.handle, &workflow, &id, look);
            real::timeout(patience, running.skipping(Skip::All, watched)).await
        };
        match self.worker.0.process.run(waited).await {
            Some(found) => Ok(found?),
            None => Err(Error::GaveUp { id: self.id.clone(), what, patience, doing: self.doing().await }),
        }
    }
}

/// Looks into all instances of a workflow that were made since. One at a time of each workflow; it ends with [`Self::dispose`], or with the
/// value.
pub struct WorkflowIntrospector {
    worker: TestWorker,
    workflow: String,
    session: SessionNo,
}

impl WorkflowIntrospector {
    pub(crate) fn begin(worker: TestWorker, binding: &str, workflow: String) -> Result<Self, Error> {
        match worker.0.scripts.begin(&workflow) {
            Some(session) => Ok(Self { worker, workflow, session }),
            None => Err(Error::Introspection(format!(
                "Workflow \"{workflow}\" already has an active introspection session for binding \"{binding}\"."
            ))),
        }
    }

    /// Says something about every instance that is made afterwards.
    ///
    /// # Errors
    ///
    /// When it contradicts what was said before, or this has ended.
    pub fn modify_all(&self, say: impl FnOnce(Modifier) -> Modifier) -> Result<&Self, Error> {
        // Also if nothing is said.
        self.made()?;
        for direction in say(Modifier::default()).said()? {
            match self.worker.0.scripts.direct_all(&self.workflow, self.session, direction) {
                Some(said) => said.map_err(contradiction)?,
                None => return Err(self.has_ended()),
            }
        }
        Ok(self)
    }

    /// The instances that were made since, in order.
    ///
    /// # Errors
    ///
    /// When this has ended.
    pub fn get(&self) -> Result<Vec<InstanceIntrospector>, Error> {
        Ok(self.made()?.into_iter().map(|id| self.instance(id)).collect())
    }

    fn made(&self) -> Result<Vec<String>, Error> {
        self.worker.0.scripts.made_in(&self.workflow, self.session).ok_or_else(|| self.has_ended())
    }

    fn instance(&self, id: String) -> InstanceIntrospector {
        InstanceIntrospector::new(self.worker.clone(), self.workflow.clone(), id)
    }

    fn has_ended(&self) -> Error {
        Error::Introspection(format!(
            "Workflow \"{}\" does not have an active introspection session for this introspector.",
            self.workflow
        ))
    }

    /// Ends it, and removes the instances that were made since. A second time it does nothing.
    ///
    /// # Errors
    ///
    /// When the Worker has stopped.
    pub async fn dispose(&self) -> Result<(), Error> {
        for id in self.worker.0.scripts.end(&self.workflow, self.session).unwrap_or_default() {
            self.instance(id).dispose().await?;
        }
        Ok(())
    }
}

impl Drop for WorkflowIntrospector {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.worker.0.scripts.end(&self.workflow, self.session);
    }
}

fn key_of(Step(step): &Step) -> StepKey {
    StepKey::new(StepKind::Do, Arc::clone(&step.name), step.index)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn contradiction(error: ScriptError) -> Error {
    Error::Introspection(error.to_string())
}
