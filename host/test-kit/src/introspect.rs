//! Introspection: what a test says about instances, and what it sees of them.

use bytes::Bytes;
use miniflow::introspect::{Introspected, StepResult};
use miniflow_runtime::ErrorInfo;
use miniflow_runtime::script::SessionNo;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::modifier::{Modifier, Step};
use crate::running::TestWorker;
use crate::workflow::parse;

/// Looks into an instance, which need not exist yet. Cheap to clone.
#[derive(Clone)]
pub struct InstanceIntrospector {
    worker: TestWorker,
    instance: Introspected,
}

impl InstanceIntrospector {
    pub(crate) fn new(worker: TestWorker, workflow: &str, id: &str) -> Self {
        let instance = worker.0.introspection.instance(workflow, id);
        Self { worker, instance }
    }

    /// The id of the instance.
    #[must_use]
    pub fn id(&self) -> &str {
        self.instance.id()
    }

    /// Says something about the instance.
    ///
    /// # Errors
    ///
    /// When it contradicts what was said before; what comes before it in `say` counts then.
    pub async fn modify(&self, say: impl FnOnce(Modifier) -> Modifier) -> Result<&Self, Error> {
        self.instance.modify(say(Modifier::default()).said()?).await?;
        Ok(self)
    }

    /// Waits until a step has a result, and returns it. Of a step that has one already, that one; of one whose output is not to be shown, the
    /// text `[REDACTED]`.
    ///
    /// # Errors
    ///
    /// When the step fails, with what; when the instance comes to its end without it; when it takes too long; when it is no `T`.
    pub async fn wait_for_step_result<T: DeserializeOwned>(&self, step: impl Into<Step>) -> Result<T, Error> {
        let step = step.into();
        match self.step_result(&step).await? {
            StepResult::Json(output) => parse(&output),
            StepResult::Stream(_) => {
                Err(Error::Data(format!("the result of step `{step}` is a stream: use `wait_for_step_stream`")))
            }
        }
    }

    /// As [`Self::wait_for_step_result`], of a step whose result is a stream: all of it.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn wait_for_step_stream(&self, step: impl Into<Step>) -> Result<Bytes, Error> {
        let step = step.into();
        match self.step_result(&step).await? {
            StepResult::Stream(bytes) => Ok(bytes.into()),
            StepResult::Json(_) => {
                Err(Error::Data(format!("the result of step `{step}` is no stream: use `wait_for_step_result`")))
            }
        }
    }

    async fn step_result(&self, Step(step): &Step) -> Result<StepResult, Error> {
        let (instance, step, patience) = (self.instance.clone(), step.clone(), self.worker.0.patience);
        let waited = async move { instance.step_result(&step, patience).await };
        Ok(self.worker.0.process.run(waited).await?)
    }

    /// Waits until the instance has this status, such as `complete`. `queued` has been its status as soon as it exists.
    ///
    /// # Errors
    ///
    /// When it has come to another end; when it takes too long; when there is no such status.
    pub async fn wait_for_status(&self, status: &str) -> Result<(), Error> {
        let (instance, status, patience) = (self.instance.clone(), status.to_owned(), self.worker.0.patience);
        let waited = async move { instance.wait_for_status(&status, patience).await };
        Ok(self.worker.0.process.run(waited).await?)
    }

    /// What the instance returned.
    ///
    /// # Errors
    ///
    /// When it is not complete; when it is no `T`.
    pub async fn output<T: DeserializeOwned>(&self) -> Result<T, Error> {
        parse(&self.instance.output().await?)
    }

    /// What the instance failed with.
    ///
    /// # Errors
    ///
    /// When it has not failed.
    pub async fn error(&self) -> Result<ErrorInfo, Error> {
        Ok(self.instance.error().await?)
    }

    /// Stops the instance and removes it, with what was said about it. It need not exist.
    ///
    /// # Errors
    ///
    /// When the Worker has stopped.
    pub async fn dispose(&self) -> Result<(), Error> {
        Ok(self.instance.dispose().await?)
    }

    /// What the instance is doing, in a sentence.
    pub async fn doing(&self) -> String {
        self.instance.doing().await
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
        let session = worker.0.introspection.begin(&workflow, binding)?;
        Ok(Self { worker, workflow, session })
    }

    /// Says something about every instance that is made afterwards.
    ///
    /// # Errors
    ///
    /// When it contradicts what was said before, or this has ended.
    pub fn modify_all(&self, say: impl FnOnce(Modifier) -> Modifier) -> Result<&Self, Error> {
        let said = say(Modifier::default()).said()?;
        self.worker.0.introspection.modify_all(&self.workflow, self.session, said)?;
        Ok(self)
    }

    /// The instances that were made since, in order.
    ///
    /// # Errors
    ///
    /// When this has ended.
    pub fn get(&self) -> Result<Vec<InstanceIntrospector>, Error> {
        let made = self.worker.0.introspection.made(&self.workflow, self.session)?;
        Ok(made.iter().map(|id| InstanceIntrospector::new(self.worker.clone(), &self.workflow, id)).collect())
    }

    /// Ends it, and removes the instances that were made since. A second time it does nothing.
    ///
    /// # Errors
    ///
    /// When the Worker has stopped.
    pub async fn dispose(&self) -> Result<(), Error> {
        Ok(self.worker.0.introspection.dispose(&self.workflow, self.session).await?)
    }
}

impl Drop for WorkflowIntrospector {
    fn drop(&mut self) {
        // Ended already is as good.
        self.worker.0.introspection.end(&self.workflow, self.session);
    }
}
