//! What fires by itself: the cron triggers of Workers and the schedules of workflows.
//!
//! Expressions are read here, so that a mistake in one is told with its place before anything runs.

use miniflow_runtime::WorkflowDefinition;
use miniflow_runtime::cron::{Cron, CronError};
use miniflow_runtime::dispatcher::CronTrigger;
use miniflow_runtime::engine::limits;

use super::connect::View;
use crate::config::{Place, Problem, Problems};

/// The cron triggers of all Workers.
pub(super) fn triggers(views: &[View<'_>], problems: &mut Problems) -> Vec<CronTrigger> {
    let mut triggers = Vec::new();
    for view in views {
        for entry in &view.project.crons {
            match entry.expression.parse::<Cron>() {
                Ok(cron) => triggers.push(CronTrigger { worker: view.project.name.clone(), cron }),
                Err(error) => {
                    let problem = problem(&format!("cron trigger of `{}`", view.project.name), &error);
                    problems.push(match &entry.place {
                        Some(place) => problem.at(inside(place, &error)),
                        None => problem,
                    });
                }
            }
        }
    }
    triggers
}

/// The place of the mistake inside of the text that begins at `place` with a quote.
fn inside(place: &Place, error: &CronError) -> Place {
    let mut place = place.clone();
    if let Some(position) = &mut place.position {
        position.column += 1 + error.at;
    }
    place
}

/// Reads the schedules of a workflow.
pub(super) fn schedules(view: &View<'_>, workflow: &str, texts: &[String], problems: &mut Problems) -> Vec<Cron> {
    let mut schedules = Vec::new();
    for text in texts {
        match text.parse::<Cron>() {
            Ok(cron) => schedules.push(cron),
            Err(error) => {
                let problem = problem(&format!("schedule of workflow `{workflow}`"), &error);
                problems.push(match &view.project.config {
                    Some(file) => problem.at(Place::file(file)),
                    None => problem,
                });
            }
        }
    }
    schedules
}

fn problem(whose: &str, error: &CronError) -> Problem {
    let CronError { expression, at, what, hint } = error;
    Problem::error(format!("{whose}: `{expression}` is not a cron expression: {what} (character {})", at + 1))
        .with_hint(hint.clone())
}

/// Complains about more schedules than an account may have.
pub(super) fn count(definitions: &[WorkflowDefinition], problems: &mut Problems) {
    let count: usize = definitions.iter().map(|definition| definition.schedules.len()).sum();
    if count > limits::SCHEDULES_MAX {
        problems.push(
            Problem::error(format!(
                "the workflows of this session have {count} schedules, and an account may have {}",
                limits::SCHEDULES_MAX
            ))
            .with_hint("remove some, or let one schedule start what several did"),
        );
    }
}
