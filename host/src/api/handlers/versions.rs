//! Versions of a workflow: one, the code that is served.

use crate::api::catalog::{Defined, workflow_id};
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::model::{ConcurrencyInfo, LimitsInfo, ResultInfo, RetentionInfo, Version};
use crate::api::request::Call;
use crate::api::{Context, instant};

pub(super) fn list(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let page = call.query.page()?;
    let defined = context.defined(call.parameter(0))?;
    let versions = page.of(vec![version(&defined)]);
    Reply::page(&versions, Some(ResultInfo::of_page(page, versions.len(), 1)))
}

pub(super) fn get(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let defined = context.defined(call.parameter(0))?;
    let version = version(&defined);
    if version.id == call.parameter(1) { Reply::of(&version) } else { Err(Failure::UnknownVersion) }
}

/// A compiled Worker does not say which steps it has.
pub(super) fn graph(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let defined = context.defined(call.parameter(0))?;
    Err(if defined.version_id() == call.parameter(1) { Failure::NoGraph } else { Failure::UnknownVersion })
}

fn version(defined: &Defined) -> Version {
    let at = instant::format(defined.modified);
    let retention = defined.entry.retention;
    let has_retention = retention.success_ms.or(retention.error_ms).is_some();
    Version {
        id: defined.version_id(),
        class_name: defined.entry.class_name.clone(),
        workflow_id: workflow_id(&defined.entry.name),
        created_on: at.clone(),
        modified_on: at,
        has_dag: false,
        language: "rust",
        limits: defined.steps().map(|steps| LimitsInfo { steps }),
        concurrency: defined.concurrency().map(|limit| ConcurrencyInfo { limit }),
        default_retention: has_retention
            .then_some(RetentionInfo { success_retention: retention.success_ms, error_retention: retention.error_ms }),
    }
}
