//! Firing what is due: an instance of the workflow, or the handler of the Worker.

use std::sync::Arc;

use super::super::core::{After, Core, GROUP_MAX};
use super::super::message::Reply;
use super::super::requests::refuse;
use super::super::{ApiError, CreateOptions};
use super::timetable::Due;
use super::{CronTrigger, Firing, Made, Missed};
use crate::clock::Timestamp;
use crate::cron::{Cron, Utc};
use crate::engine::text;
use crate::run::Schedule;
use crate::storage::{Boundary, CronTarget, Storage, Trigger};

impl<S: Storage> Core<S> {
    /// Takes over the schedules of the workflows and the triggers of the Workers. Returns what was missed.
    pub(in crate::dispatcher) fn set_timetable(&mut self, kept: &[Boundary]) -> Vec<Missed> {
        let mut workflows: Vec<_> = self.definitions.values().collect();
        // In a fixed order: what is due at the same moment is fired in it.
        workflows.sort_by(|a, b| a.name.cmp(&b.name));
        let schedules = workflows.into_iter().flat_map(|workflow| {
            workflow.schedules.iter().map(|cron| (CronTarget::Workflow(workflow.name.clone()), cron.clone()))
        });
        // Without handlers nothing would come of them, so nothing of them is recorded.
        let triggers = self.triggers.iter().filter(|_| self.cron_runner.is_some());
        let triggers = triggers.map(|CronTrigger { worker, cron }| (CronTarget::Worker(worker.clone()), cron.clone()));
        let missed = self.crons.set(schedules.chain(triggers), kept, self.clock.now());
        self.urgent |= !self.crons.unwritten().is_empty();
        missed
    }

    /// Fires what is due.
    pub(in crate::dispatcher) fn fire_crons(&mut self) {
        if self.crons.next_moment().is_none() || self.stopping.is_some() {
            return;
        }
        let (now, passed_over) = (self.clock.now(), self.clock.passed_over());
        for _ in 0..GROUP_MAX {
            let Some(due) = self.crons.due(now, passed_over) else { return };
            self.urgent = true;
            match due {
                Due::Missed(missed) => tell(&missed),
                Due::Fire { index, target, cron, at } => {
                    if self.fire(&target, &cron, at) {
                        self.crons.fired(index, at);
                    } else {
                        self.crons.put_back(index, at, now.plus_ms(super::super::commit::RETRY_MS));
                    }
                }
            }
        }
    }

    /// Returns whether that could be done.
    fn fire(&mut self, target: &CronTarget, cron: &Cron, at: Timestamp) -> bool {
        match target {
            CronTarget::Workflow(workflow) => {
                let workflow = Arc::from(workflow.as_str());
                let options = scheduled(cron.as_str(), at);
                let Some(id) = options.id.clone() else { return false };
                let is_new = match self.find(&workflow, &id) {
                    Ok(None) => {
                        self.clock.note_due(&format_args!("{workflow}/{id} is made by its schedule"));
                        self.add(&workflow, id.clone(), options);
                        true
                    }
                    // Somebody was faster.
                    Ok(Some(_)) => {
                        tracing::debug!(%workflow, instance = %id, "is there already");
                        false
                    }
                    // It was logged.
                    Err(_) => return false,
                };
                let (workflow, cron) = (workflow.to_string(), cron.as_str().to_owned());
                self.replies.push(After::Made(Made { workflow, cron, time: at, id, is_new }));
            }
            CronTarget::Worker(worker) => {
                let (worker, cron) = (worker.clone(), cron.as_str().to_owned());
                self.clock.note_due(&format_args!("trigger `{cron}` of the Worker {worker} fires"));
                self.replies.push(After::Fire(Firing { worker, cron, time: at, hold: self.clock.hold() }));
            }
        }
        true
    }

    /// Makes the instance that a schedule makes at `at`, by hand.
    pub(in crate::dispatcher) fn create_scheduled(
        &mut self,
        workflow: &Arc<str>,
        schedule: &Schedule,
        reply: Reply<String>,
    ) {
        let options = scheduled(&schedule.cron, schedule.scheduled_time);
        let Some(id) = options.id.clone() else { return refuse(reply, ApiError::internal()) };
        match self.find(workflow, &id) {
            Ok(None) => {
                self.add(workflow, id.clone(), options);
                self.replies.push(After::Id(reply, id));
            }
            Ok(Some(_)) => refuse(reply, ApiError::new("instance.already_exists", text::ALREADY_EXISTS)),
            Err(error) => refuse(reply, error),
        }
    }
}

/// How a schedule makes the instance of a boundary.
fn scheduled(cron: &str, at: Timestamp) -> CreateOptions {
    CreateOptions {
        // An id can have no tab.
        id: Some(format!("{}-{}", cron.replace('\t', " "), at.as_millis())),
        trigger: Trigger::Cron,
        schedule: Some(Schedule { cron: cron.to_owned(), scheduled_time: at }),
        ..CreateOptions::default()
    }
}

fn tell(missed: &Missed) {
    let Missed { target, cron, count, latest, runs } = missed;
    let latest = Utc::of(*latest);
    let whose = match target {
        CronTarget::Workflow(name) => format!("workflow `{name}`"),
        CronTarget::Worker(name) => format!("Worker `{name}`"),
    };
    tracing::warn!("time has leapt: `{cron}` of {whose} missed {count}, the last at {latest}; {runs} of them fire now");
}
