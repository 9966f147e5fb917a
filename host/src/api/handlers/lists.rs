//! Lists of instances.

use miniflow_runtime::InstanceStatus;
use miniflow_runtime::storage::{Archive, Count, Filter, Listed, Order, Place, StorageError};

use super::workflows::status_counts;
use super::{instant, moment};
use crate::api::View;
use crate::api::catalog::{Defined, workflow_id};
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::model::{ListedInstance, ResultInfo, status_of};
use crate::api::query;
use crate::api::request::Call;

/// A page of instances, newest first, by its number or by the cursor of the one before.
pub(super) async fn list(context: &View<'_>, call: &Call) -> Result<Reply, Failure> {
    let workflow = call.parameter(0);
    let (page, order) = (call.query.page()?, call.query.direction()?);
    let (from, until) = call.query.dates()?;
    let status = call.query.status(&InstanceStatus::ALL)?;
    let after = call.query.cursor()?;
    if after.is_some() && page.page.is_some() {
        return Err(Failure::Invalid("cursor: it and `page` exclude each other".to_owned()));
    }
    let defined = context.known(workflow).await?;
    let filter = Filter { workflow: workflow.to_owned(), status, from, until };
    let limit = usize::try_from(page.per_page).unwrap_or(usize::MAX);
    let skip = page.skip();
    let found = context.read(move |archive| Found::read(archive, &filter, order, after, skip, limit)).await?;
    let instances: Vec<_> = found.listed.iter().map(|listed| instance(listed, defined.as_ref(), workflow)).collect();
    let mut info = ResultInfo::of_page(page, instances.len(), found.total);
    info.page = if after.is_some() { None } else { info.page };
    info.cursor = found.listed.last().filter(|_| found.has_more).map(|listed| query::cursor(listed.place));
    info.status_counts = Some(status_counts(&found.counts));
    Reply::page(&instances, Some(info))
}

/// What is shown of one moment.
struct Found {
    listed: Vec<Listed>,
    has_more: bool,
    total: u64,
    counts: Vec<Count>,
}

impl Found {
    fn read(
        archive: &mut dyn Archive,
        filter: &Filter,
        order: Order,
        after: Option<Place>,
        skip: u64,
        limit: usize,
    ) -> Result<Self, StorageError> {
        let mut listed = archive.list(filter, order, after, skip, limit.saturating_add(1))?;
        let has_more = listed.len() > limit;
        listed.truncate(limit);
        let counts = archive.counts(Some(&filter.workflow))?;
        let counted = |count: &&Count| filter.status.is_none_or(|status| status == count.status);
        let total = match (filter.from, filter.until) {
            (None, None) => counts.iter().filter(counted).map(|count| count.instances).sum(),
            _ => archive.count(filter)?,
        };
        Ok(Self { listed, has_more, total, counts })
    }
}

fn instance(listed: &Listed, defined: Option<&Defined>, workflow: &str) -> ListedInstance {
    ListedInstance {
        id: listed.id.clone(),
        status: status_of(listed.status),
        version_id: defined.map(Defined::version_id).unwrap_or_default(),
        workflow_id: workflow_id(workflow),
        trigger_source: listed.trigger.into(),
        created_on: instant::format(listed.place.created),
        modified_on: instant::format(listed.modified),
        started_on: moment(listed.started),
        ended_on: moment(listed.ended),
    }
}
