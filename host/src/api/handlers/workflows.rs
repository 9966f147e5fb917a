//! Workflows: what the configuration defines, and what has instances of an earlier time.

use std::collections::BTreeMap;

use miniflow_runtime::Cron;
use miniflow_runtime::dispatcher::CronState;
use miniflow_runtime::engine::limits;
use miniflow_runtime::storage::{Count, CronTarget, Filter, Order, Retention};

use super::moment;
use crate::api::catalog::{Catalog, Defined, workflow_id};
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::model::{Done, PutResult, PutWorkflow, ResultInfo, Schedule, Workflow};
use crate::api::request::Call;
use crate::api::{Context, View, instant};

pub(super) async fn list(context: &View<'_>, call: &Call) -> Result<Reply, Failure> {
    let page = call.query.page()?;
    let counts = context.read(|archive| archive.counts(None)).await?;
    let (all, next) = (context.catalog().all(), context.next().await?);
    let mut names: Vec<String> = all.iter().map(|defined| defined.entry.name.clone()).collect();
    for count in &counts {
        if !names.contains(&count.workflow) {
            names.push(count.workflow.clone());
        }
    }
    if let Some(search) = call.query.text("search") {
        names.retain(|name| name.contains(search));
    }
    let total = names.len() as u64;
    // The local API has no pages of workflows.
    let names = if call.query.text("page").is_none() && context.is_local() { names } else { page.of(names) };
    let workflows: Vec<_> = names
        .iter()
        .map(|name| {
            let defined = all.iter().find(|defined| defined.entry.name == *name);
            workflow(context.catalog(), defined, name, &counts, &next)
        })
        .collect();
    let info = ResultInfo::of_page(page, workflows.len(), total);
    Reply::page(&workflows, Some(info))
}

pub(super) async fn get(context: &View<'_>, call: &Call) -> Result<Reply, Failure> {
    let name = call.parameter(0);
    let defined = context.known(name).await?;
    let counts = context.counts(name).await?;
    let next = context.next().await?;
    let mut workflow = workflow(context.catalog(), defined.as_ref(), name, &counts, &next);
    if context.is_local() {
        // The local API names every status.
        for status in STATUSES {
            workflow.instances.entry(status.to_owned()).or_default();
        }
    }
    Reply::of(&workflow)
}

const STATUSES: [&str; 8] =
    ["complete", "errored", "paused", "queued", "running", "terminated", "waiting", "waitingForPause"];

fn workflow(
    catalog: &Catalog,
    defined: Option<&Defined>,
    name: &str,
    counts: &[Count],
    next: &[CronState],
) -> Workflow {
    let since = catalog.since();
    let own: Vec<_> = counts.iter().filter(|count| count.workflow == name).collect();
    let first = own.iter().map(|count| count.first_created).min();
    let newest = own.iter().map(|count| count.last_created).max();
    let schedule = |cron: &Cron| {
        let is_it = |state: &&CronState| {
            state.cron == *cron && matches!(&state.target, CronTarget::Workflow(workflow) if workflow == name)
        };
        let next_instance = moment(next.iter().find(is_it).and_then(|state| state.next));
        Schedule { cron: cron.as_str().to_owned(), next_instance }
    };
    Workflow {
        id: workflow_id(name),
        name: name.to_owned(),
        class_name: defined.map_or_else(String::new, |defined| defined.entry.class_name.clone()),
        script_name: defined.map_or_else(String::new, |defined| defined.worker.clone()),
        created_on: instant::format(first.map_or(since, |first| first.min(since))),
        modified_on: instant::format(defined.map_or(since, |defined| defined.modified)),
        triggered_on: moment(newest),
        instances: status_counts(own),
        schedules: defined.map(|defined| defined.entry.schedules.iter().map(schedule).collect()).unwrap_or_default(),
        script_deleted: defined.map_or(catalog.is_whole(), Defined::lacks_class),
    }
}

pub(super) fn status_counts<'a>(counts: impl IntoIterator<Item = &'a Count>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|count| (count.status.as_str().to_owned(), count.instances)).collect()
}

/// The configuration defines workflows: a PUT of what it says is no change, of anything else it is refused.
pub(super) async fn put(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let name = call.parameter(0);
    let wanted: PutWorkflow = call.required()?;
    let defined = context.defined(name)?;
    let differs = differences(&wanted, &defined)?;
    if !differs.is_empty() {
        let text = format!("(workflow.defined_by_configuration) The configuration says something else about {differs}");
        return Err(Failure::Refused(text));
    }
    let counts = context.counts(name).await?;
    let Workflow { id, name, class_name, script_name, created_on, modified_on, triggered_on, .. } =
        workflow(context.catalog(), Some(&defined), name, &counts, &[]);
    Reply::of(&PutResult {
        id,
        name,
        class_name,
        script_name,
        version_id: defined.version_id(),
        created_on,
        modified_on,
        triggered_on,
        is_deleted: 0,
        terminator_running: 0,
    })
}

/// The names of the fields that say something else than the configuration; what a body leaves out says nothing.
fn differences(wanted: &PutWorkflow, defined: &Defined) -> Result<String, Failure> {
    let entry = &defined.entry;
    let mut fields = Vec::new();
    let mut compare = |name, equal: bool| {
        if !equal {
            fields.push(name);
        }
    };
    compare("class_name", wanted.class_name == entry.class_name);
    compare("script_name", wanted.script_name == defined.worker);
    if let Some(schedules) = &wanted.schedules {
        compare(
            "schedules",
            schedules.iter().map(|schedule| schedule.cron.as_str()).eq(entry.schedules.iter().map(Cron::as_str)),
        );
    }
    if let Some(steps) = wanted.limits.as_ref().and_then(|limits| limits.steps) {
        compare("limits", steps == defined.steps().unwrap_or(limits::STEPS_DEFAULT));
    }
    if let Some(limit) = wanted.concurrency.as_ref().and_then(|concurrency| concurrency.limit) {
        compare("concurrency", Some(limit) == defined.concurrency());
    }
    if let Some(retention) = &wanted.default_retention {
        let Retention { success_ms, error_ms } = retention.resolve()?;
        let equal = |wanted: Option<u64>, is: Option<u64>| {
            wanted.is_none_or(|ms| ms == is.unwrap_or(limits::RETENTION_MS_DEFAULT))
        };
        compare(
            "default_retention",
            equal(success_ms, entry.retention.success_ms) && equal(error_ms, entry.retention.error_ms),
        );
    }
    Ok(fields.join(", "))
}

/// Removes the instances that there are; the workflow stays as long as the configuration defines it.
pub(super) async fn delete(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let name = call.parameter(0);
    context.known(name).await?;
    let filter = Filter { workflow: name.to_owned(), ..Filter::default() };
    let newest = filter.clone();
    let newest = context.read(move |archive| archive.list(&newest, Order::NewestFirst, None, 0, 1)).await?;
    let last = newest.first().map(|listed| listed.place);
    loop {
        let asked = filter.clone();
        let portion =
            context.read(move |archive| archive.list(&asked, Order::OldestFirst, None, 0, limits::BATCH_MAX)).await?;
        // What is created meanwhile stays.
        let ids: Vec<_> =
            portion.into_iter().filter(|listed| Some(listed.place) <= last).map(|listed| listed.id).collect();
        if ids.is_empty() {
            return Reply::of(&Done::OK);
        }
        let result = context.handle().delete_batch(name, ids).await.map_err(|error| Failure::of(error, name, ""))?;
        // One that is gone already is what was wanted; a storage that refuses would be asked for ever.
        if result.deleted.is_empty() && result.errors.iter().any(|error| error.code != 10400) {
            return Err(Failure::Internal);
        }
    }
}
