//! [`Workflow`]: a binding through which instances are started and found.

use serde::Serialize;

use super::{BatchOptions, BatchResult, DeleteResult, RetentionOptions, WorkflowInstance};
use crate::bindings::miniflow::worker::workflow as wit;
use crate::{Result, host};

/// A workflow that the configuration binds; see [`Env::workflow`](crate::Env::workflow).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflow {
    binding: String,
}

/// How an instance is created.
///
/// ```
/// # use miniflow_sdk::CreateOptions;
/// let options = CreateOptions { id: Some("order-7".into()), params: Some(7), ..Default::default() };
/// // Without params there is no type to infer; the builder knows it.
/// let options = CreateOptions::new().with_id("order-7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOptions<T> {
    /// At most 100 letters, digits, `-` and `_`, not starting with `-`. A random UUID when none.
    pub id: Option<String>,
    /// The payload of the event. An empty object when none.
    pub params: Option<T>,
    /// How long the instance is kept after its end.
    pub retention: Option<RetentionOptions>,
}

impl<T> Default for CreateOptions<T> {
    fn default() -> Self {
        Self { id: None, params: None, retention: None }
    }
}

impl CreateOptions<()> {
    /// Makes options that leave everything open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T> CreateOptions<T> {
    /// Sets the id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the params.
    #[must_use]
    pub fn with_params<P>(self, params: P) -> CreateOptions<P> {
        CreateOptions { id: self.id, params: Some(params), retention: self.retention }
    }

    /// Sets the retention.
    #[must_use]
    pub fn with_retention(mut self, retention: RetentionOptions) -> Self {
        self.retention = Some(retention);
        self
    }
}

impl<T: Serialize> CreateOptions<T> {
    pub(super) fn into_wit(self) -> Result<wit::CreateOptions> {
        Ok(wit::CreateOptions {
            id: self.id,
            params: self.params.map(|params| serde_json::to_vec(&params)).transpose()?,
            retention: self.retention.map(RetentionOptions::into_wit),
        })
    }
}

impl Workflow {
    pub(crate) fn bound_as(binding: &str) -> Self {
        Self { binding: binding.to_owned() }
    }

    /// Returns the instance `id`.
    ///
    /// # Errors
    ///
    /// Code `instance.not_found`, also when its retention is over; `instance.invalid_id`.
    pub async fn get(&self, id: impl Into<String>) -> Result<WorkflowInstance> {
        host::required("`Workflow::get`");
        let id = id.into();
        wit::get(self.binding.clone(), id.clone()).await?;
        Ok(self.instance(id))
    }

    /// Starts an instance. When this returns the instance survives a crash.
    ///
    /// # Errors
    ///
    /// Code `instance.already_exists` as long as an instance of that id is kept; an id that is not allowed; params beyond
    /// 1 MiB.
    pub async fn create<T: Serialize>(&self, options: CreateOptions<T>) -> Result<WorkflowInstance> {
        host::required("`Workflow::create`");
        let id = wit::create(self.binding.clone(), options.into_wit()?).await?;
        Ok(self.instance(id))
    }

    /// Starts an instance with a random id and without params.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_default(&self) -> Result<WorkflowInstance> {
        self.create(CreateOptions::new()).await
    }

    /// Starts up to 100 instances. Ids that exist or repeat are skipped and are not in the result.
    ///
    /// # Errors
    ///
    /// When there are none or more than 100, or any of them is not allowed; then none was created.
    pub async fn create_batch<T: Serialize>(
        &self,
        batch: impl IntoIterator<Item = CreateOptions<T>>,
    ) -> Result<Vec<WorkflowInstance>> {
        host::required("`Workflow::create_batch`");
        let batch = batch.into_iter().map(CreateOptions::into_wit).collect::<Result<_>>()?;
        let ids = wit::create_batch(self.binding.clone(), batch).await?;
        Ok(ids.into_iter().map(|id| self.instance(id)).collect())
    }

    /// Starts up to 100 instances, and tells of each that was not started.
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn f(workflow: Workflow) -> Result<()> {
    /// let ids = ["monday", "tuesday"];
    /// let batch = BatchOptions::instances(ids.map(|id| CreateOptions::new().with_id(id)));
    /// for error in workflow.create_batch_with_options(batch).await?.errors {
    ///     console_warn!("{}: {}", ids[error.index as usize], error.message);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When there are none or more than 100, or any of them is not allowed; then none was created. An id that is taken, or
    /// repeats, is an entry of [`BatchResult::errors`] instead.
    pub async fn create_batch_with_options<T: Serialize>(&self, batch: BatchOptions<T>) -> Result<BatchResult> {
        host::required("`Workflow::create_batch_with_options`");
        let result = wit::create_batch_with_options(self.binding.clone(), batch.into_wit()?).await?;
        Ok(BatchResult::of(&self.binding, result))
    }

    /// Deletes up to 100 instances, as [`WorkflowInstance::delete`] does.
    ///
    /// # Errors
    ///
    /// When there are none or more than 100, or any id is not allowed; then nothing was deleted. An id that does not exist is
    /// an entry of [`DeleteResult::errors`] instead.
    pub async fn delete_batch<S: Into<String>>(&self, ids: impl IntoIterator<Item = S>) -> Result<DeleteResult> {
        host::required("`Workflow::delete_batch`");
        let ids = ids.into_iter().map(Into::into).collect();
        Ok(wit::delete_batch(self.binding.clone(), ids).await?.into())
    }

    fn instance(&self, id: String) -> WorkflowInstance {
        WorkflowInstance::of(self.binding.clone(), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_are_json_and_absent_ones_stay_absent() {
        let options = CreateOptions::new().with_params([1, 2]).into_wit().unwrap();
        assert_eq!(options.params.as_deref(), Some(b"[1,2]".as_slice()));
        assert!(CreateOptions::new().with_id("a").into_wit().unwrap().params.is_none());
    }
}
