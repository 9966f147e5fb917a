//! What fires by itself: the cron triggers of Workers and the schedules of workflows.

use miniflow_runtime::WorkflowDefinition;
use miniflow_runtime::dispatcher::CronTrigger;
use miniflow_runtime::engine::limits;

use super::connect::View;
use crate::config::{Problem, Problems, Project};
use crate::wasm::Generation;

/// The cron triggers of all Workers.
pub(super) fn triggers(views: &[View<'_>]) -> Vec<CronTrigger> {
    let of = |view: &View<'_>| {
        let worker = view.project.name.clone();
        let crons = view.project.crons.clone();
        crons.into_iter().map(move |cron| CronTrigger { worker: worker.clone(), cron })
    };
    views.iter().flat_map(of).collect()
}

/// Points out that a Worker is to be called by cron triggers and cannot. It is served all the same, as in production: each of them fails.
pub(super) fn check(project: &Project, generation: &Generation) -> Option<Problem> {
    let (by, them) = match project.crons.as_slice() {
        _ if generation.has_scheduled() => return None,
        [] => return None,
        [only] => (format!("the cron trigger `{only}`"), "it"),
        several => (format!("{} cron triggers", several.len()), "them"),
    };
    let worker = &project.name;
    let problem =
        Problem::warning(format!("the Worker `{worker}` is to be called by {by}, and has no handler for {them}"));
    let problem = match &project.crons_place {
        Some(place) => problem.at(place.clone()),
        None => problem,
    };
    Some(problem.with_hint("add a function with `#[event(scheduled)]`, or remove `triggers.crons`"))
}

/// Complains about more of them than an account may have.
pub(super) fn count(definitions: &[WorkflowDefinition], triggers: &[CronTrigger], problems: &mut Problems) {
    let schedules = definitions.iter().map(|definition| definition.schedules.len()).sum();
    let mut check = |whose: &str, what: &str, count: usize, max: usize| {
        if count > max {
            let message = format!("the {whose} of this session have {count} {what}s, and an account may have {max}");
            let hint = format!("remove some, or let one {what} do what several did");
            problems.push(Problem::error(message).with_hint(hint));
        }
    };
    check("workflows", "schedule", schedules, limits::SCHEDULES_MAX);
    check("Workers", "cron trigger", triggers.len(), limits::CRON_TRIGGERS_MAX);
}
