//! Workflows and instances, as the binding has them.

use miniflow_runtime::dispatcher::RestartFrom;
use miniflow_runtime::engine::RollbackOutcome;
use miniflow_runtime::{Bytes, CreateOptions, ErrorInfo, InstanceStatus, StatusReport};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::introspect::InstanceIntrospector;
use crate::running::TestWorker;

/// A workflow of a Worker under test.
#[derive(Clone)]
pub struct Workflow {
    worker: TestWorker,
    name: String,
}

impl Workflow {
    pub(crate) fn new(worker: TestWorker, name: String) -> Self {
        Self { worker, name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates an instance with these params and an id of its own.
    ///
    /// # Errors
    ///
    /// As the binding's `create`.
    pub async fn create(&self, params: &impl Serialize) -> Result<Instance, Error> {
        self.create_with(CreateOptions { params: Some(json(params)?), ..CreateOptions::default() }).await
    }

    /// Creates an instance of this id with these params.
    ///
    /// # Errors
    ///
    /// As the binding's `create`.
    pub async fn create_with_id(&self, id: &str, params: &impl Serialize) -> Result<Instance, Error> {
        let (id, params) = (Some(id.to_owned()), Some(json(params)?));
        self.create_with(CreateOptions { id, params, ..CreateOptions::default() }).await
    }

    /// Creates an instance.
    ///
    /// # Errors
    ///
    /// As the binding's `create`.
    pub async fn create_with(&self, options: CreateOptions) -> Result<Instance, Error> {
        let id = self.worker.0.handle.create(&self.name, options).await?;
        Ok(self.instance(id))
    }

    /// Creates up to 100 instances, each of an id and its params. Ids that exist are left out.
    ///
    /// # Errors
    ///
    /// As the binding's `create_batch`.
    pub async fn create_batch(&self, batch: impl IntoIterator<Item = (String, Value)>) -> Result<Vec<Instance>, Error> {
        let options = |(id, params): (String, Value)| {
            let params = Some(Bytes::from(params.to_string()));
            CreateOptions { id: Some(id), params, ..CreateOptions::default() }
        };
        let options = batch.into_iter().map(options).collect();
        let ids = self.worker.0.handle.create_batch(&self.name, options).await?;
        Ok(ids.into_iter().map(|id| self.instance(id)).collect())
    }

    /// The instance of this id.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn get(&self, id: &str) -> Result<Instance, Error> {
        self.worker.0.handle.get(&self.name, id).await?;
        Ok(self.instance(id.to_owned()))
    }

    fn instance(&self, id: String) -> Instance {
        Instance { worker: self.worker.clone(), workflow: self.name.clone(), id }
    }
}

/// An instance of a workflow under test.
#[derive(Clone)]
pub struct Instance {
    worker: TestWorker,
    workflow: String,
    id: String,
}

/// What an instance is doing, or came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its status.
    pub status: InstanceStatus,
    /// What `run` returned; null until it has.
    pub output: Value,
    /// Why it failed.
    pub error: Option<ErrorInfo>,
    /// How its compensations went, once they have.
    pub rollback: Option<RollbackOutcome>,
}

impl Instance {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Looks into it.
    #[must_use]
    pub fn introspect(&self) -> InstanceIntrospector {
        InstanceIntrospector::new(self.worker.clone(), &self.workflow, &self.id)
    }

    /// What it is doing, as the binding says it.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub async fn status(&self) -> Result<Status, Error> {
        let StatusReport { status, error, output, rollback } =
            self.worker.0.handle.status(&self.workflow, &self.id).await?;
        let output = output.map_or(Ok(Value::Null), |output| parse(&output))?;
        Ok(Status { status, output, error, rollback })
    }

    /// Sends it an event.
    ///
    /// # Errors
    ///
    /// As the binding's `send_event`.
    pub async fn send_event(&self, event_type: &str, payload: &impl Serialize) -> Result<(), Error> {
        let payload = json(payload)?;
        Ok(self.worker.0.handle.send_event(&self.workflow, &self.id, event_type, payload).await?)
    }

    /// Pauses it once its bodies are finished.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub async fn pause(&self) -> Result<(), Error> {
        Ok(self.worker.0.handle.pause(&self.workflow, &self.id).await?)
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub async fn resume(&self) -> Result<(), Error> {
        Ok(self.worker.0.handle.resume(&self.workflow, &self.id).await?)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub async fn terminate(&self) -> Result<(), Error> {
        Ok(self.worker.0.handle.terminate(&self.workflow, &self.id, false).await?)
    }

    /// Ends it after its compensations.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub async fn terminate_with_rollback(&self) -> Result<(), Error> {
        Ok(self.worker.0.handle.terminate(&self.workflow, &self.id, true).await?)
    }

    /// Runs it again from its beginning.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub async fn restart(&self) -> Result<(), Error> {
        Ok(self.worker.0.handle.restart(&self.workflow, &self.id, None).await?)
    }

    /// Runs it again from a step, keeping what came before.
    ///
    /// # Errors
    ///
    /// When it has no such step.
    pub async fn restart_from(&self, from: RestartFrom) -> Result<(), Error> {
        Ok(self.worker.0.handle.restart(&self.workflow, &self.id, Some(from)).await?)
    }

    /// Removes it with everything recorded of it.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub async fn delete(&self) -> Result<(), Error> {
        Ok(self.worker.0.handle.delete(&self.workflow, &self.id).await?)
    }
}

/// JSON of `value`, as journals have it.
pub(crate) fn json(value: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| Error::Data(format!("the value is not JSON: {error}")))
}

/// Reads JSON of a journal.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|error| Error::Data(format!("{error}: {}", String::from_utf8_lossy(json))))
}
