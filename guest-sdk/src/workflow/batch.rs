//! Many instances in one call.

use serde::Serialize;

use super::{CreateOptions, RetentionOptions, WorkflowInstance};
use crate::Result;
use crate::bindings::miniflow::worker::workflow as wit;

/// The instances of [`Workflow::create_batch_with_options`](crate::Workflow::create_batch_with_options), from 1 to 100.
///
/// ```
/// # use miniflow_sdk::{BatchOptions, CreateOptions};
/// let same = BatchOptions::count_with_params(10, "hello");
/// let each = BatchOptions::instances(["a", "b"].map(|id| CreateOptions::new().with_id(id)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOptions<T> {
    /// Instances that differ in nothing but their ids, which are random.
    Count {
        /// How many.
        count: u32,
        /// The payload of each. An empty object when none.
        params: Option<T>,
        /// How long each is kept after its end.
        retention: Option<RetentionOptions>,
    },
    /// Each as told.
    Instances(Vec<CreateOptions<T>>),
}

impl BatchOptions<()> {
    /// Makes `count` instances without params.
    #[must_use]
    pub fn count(count: u32) -> Self {
        Self::Count { count, params: None, retention: None }
    }
}

impl<T> BatchOptions<T> {
    /// Makes `count` instances with the same params.
    #[must_use]
    pub fn count_with_params(count: u32, params: T) -> Self {
        Self::Count { count, params: Some(params), retention: None }
    }

    /// Makes an instance of each of these.
    #[must_use]
    pub fn instances(instances: impl IntoIterator<Item = CreateOptions<T>>) -> Self {
        Self::Instances(instances.into_iter().collect())
    }
}

impl<T: Serialize> BatchOptions<T> {
    pub(super) fn into_wit(self) -> Result<wit::Batch> {
        Ok(match self {
            Self::Count { count, params, retention } => wit::Batch::Count(wit::Many {
                count,
                params: params.map(|params| serde_json::to_vec(&params)).transpose()?,
                retention: retention.map(RetentionOptions::into_wit),
            }),
            Self::Instances(instances) => {
                wit::Batch::Instances(instances.into_iter().map(CreateOptions::into_wit).collect::<Result<_>>()?)
            }
        })
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchResult {
    /// The instances that were created, in the order of the batch.
    pub created: Vec<WorkflowInstance>,
    /// The entries that were not.
    pub errors: Vec<BatchError>,
}

/// An entry of a batch that was not created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchError {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// Its id, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// 10405 when the id is taken, 10415 when it repeats in the batch.
    pub code: u32,
    /// The text.
    pub message: String,
}

impl BatchResult {
    pub(super) fn of(binding: &str, result: wit::BatchResult) -> Self {
        let created = result.created.into_iter().map(|id| WorkflowInstance::of(binding.to_owned(), id)).collect();
        let error = |wit::BatchError { index, id, code, message }| BatchError { index, id, code, message };
        Self { created, errors: result.errors.into_iter().map(error).collect() }
    }
}

/// What became of the ids of [`Workflow::delete_batch`](crate::Workflow::delete_batch).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeleteResult {
    /// The ids that were deleted, in their order; one that repeats is there each time.
    pub deleted: Vec<String>,
    /// Those that were not.
    pub errors: Vec<DeleteError>,
}

/// An id that was not deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeleteError {
    /// The id.
    pub id: String,
    /// 10400 when there is no such instance.
    pub code: u32,
    /// The text.
    pub message: String,
}

impl From<wit::DeleteResult> for DeleteResult {
    fn from(result: wit::DeleteResult) -> Self {
        let error = |wit::DeleteError { id, code, message }| DeleteError { id, code, message };
        Self { deleted: result.deleted, errors: result.errors.into_iter().map(error).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_number_or_a_list() {
        let wit::Batch::Count(many) = BatchOptions::count_with_params(3, [1]).into_wit().unwrap() else {
            panic!("it is a number")
        };
        assert_eq!((many.count, many.params.as_deref()), (3, Some(b"[1]".as_slice())));
        let instances = BatchOptions::instances([CreateOptions::new().with_id("a")]).into_wit().unwrap();
        assert!(matches!(instances, wit::Batch::Instances(list) if list[0].id.as_deref() == Some("a")));
    }

    #[test]
    fn a_result_has_handles_and_reasons() {
        let error = wit::BatchError { index: 1, id: Some("b".into()), code: 10405, message: "taken".into() };
        let result = BatchResult::of("ORDERS", wit::BatchResult { created: vec!["a".into()], errors: vec![error] });
        assert_eq!(result.created, [WorkflowInstance::of("ORDERS".into(), "a".into())]);
        assert_eq!((result.errors[0].index, result.errors[0].code), (1, 10405));
    }
}
