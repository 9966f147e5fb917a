//! Up to 100 instances at a time.

use miniflow_runtime::engine::text;

use crate::api::Context;
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::handlers::instances::options;
use crate::api::model::{CreateMany, DeleteError, DeleteMany, DeletedId, DeletedMany};
use crate::api::request::{Call, object};

/// Creates them; ids that exist or repeat are left out, and nothing is created when one is invalid.
pub(super) async fn create(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let workflow = call.parameter(0);
    let defined = context.defined(workflow)?;
    let CreateMany(bodies) = call.list()?;
    let options = bodies.iter().map(|body| options(context.surface, object(body.get().as_bytes())?));
    let options = options.collect::<Result<_, _>>()?;
    let created = context.handle().create_batch(workflow, options).await;
    let ids = created.map_err(|error| Failure::of(error, workflow, ""))?;
    let instances = futures::future::join_all(ids.into_iter().map(|id| context.created(&defined, id))).await;
    Reply::of(&instances.into_iter().collect::<Result<Vec<_>, _>>()?)
}

/// Deletes them, and says of which that was not possible.
pub(super) async fn delete(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let workflow = call.parameter(0);
    context.known(workflow).await?;
    let DeleteMany { instances } = call.required()?;
    if instances.is_empty() {
        return Err(Failure::Invalid(text::DELETE_BATCH_EMPTY.to_owned()));
    }
    let deleted = context.handle().delete_batch(workflow, instances).await;
    let result = deleted.map_err(|error| Failure::of(error, workflow, ""))?;
    let error = |error: miniflow_runtime::dispatcher::BatchError| DeleteError {
        id: error.id.unwrap_or_default(),
        code: error.code,
        message: error.message,
    };
    Reply::of(&DeletedMany {
        deleted: result.deleted.into_iter().map(|id| DeletedId { id }).collect(),
        errors: result.errors.into_iter().map(error).collect(),
    })
}
