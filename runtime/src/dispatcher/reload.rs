//! New code and new definitions under instances that are in flight.
//!
//! A run that is to be moved is held as for a pause, so that what runs is finished on the code it began on and nothing new begins;
//! then it is dropped, and the next run of the instance, from its journal, is on the code that is there by then. One that has nothing
//! to finish moves at once. Neither the guest nor the status of the instance shows any of it.

use std::collections::HashSet;
use std::sync::Arc;

use super::core::{Core, Start, WHOLE_INSTANCE, chain};
use super::message::InstanceKey;
use super::runs::retry_is_due;
use super::{Reloaded, WorkflowDefinition};
use crate::storage::{Storage, Unfinished};

impl<S: Storage> Core<S> {
    /// From now on the workflows are these, and runs of `workers` go on with the code that is there by now.
    pub(super) fn reload(&mut self, workers: &[String], workflows: Vec<WorkflowDefinition>) -> Reloaded {
        let before: HashSet<_> = std::mem::take(&mut self.definitions).into_keys().collect();
        for workflow in workflows {
            self.define(workflow);
        }
        for resident in self.residents.values_mut() {
            resident.definition = self.definitions.get(resident.fixed.workflow.as_str()).cloned();
        }
        // Nothing of what is new is missed: it is counted from now on.
        let _ = self.set_timetable(&[]);
        let mut reloaded = Reloaded::default();
        let gone = before.iter().any(|name| !self.definitions.contains_key(name));
        if gone || self.definitions.keys().any(|name| !before.contains(name)) {
            self.exchange(&before, &mut reloaded);
        }
        while let Some((key, workflow)) = self.admission.admit_next() {
            // A limit was raised.
            self.wanted.insert(key, true);
            self.starts.push_back(Start { key, workflow: workflow.to_string(), slot: true });
        }
        self.move_runs(workers, &mut reloaded);
        reloaded
    }

    pub(super) fn define(&mut self, workflow: WorkflowDefinition) {
        let name = Arc::from(workflow.name.as_str());
        self.admission.add(&name, workflow.concurrency);
        self.definitions.insert(name, Arc::new(workflow));
    }

    /// Sets instances of workflows that are not there any more aside, and picks up those of workflows that were not there `before`.
    fn exchange(&mut self, before: &HashSet<Arc<str>>, reloaded: &mut Reloaded) {
        // What is decided already is to be among what is read.
        if self.has_writes() {
            self.commit();
        }
        let unfinished = match self.storage.unfinished() {
            Ok(unfinished) => unfinished,
            Err(error) => return tracing::error!(error = %chain(&error), "cannot look for instances to pick up"),
        };
        for row in unfinished {
            let (was, is) =
                (before.contains(row.workflow.as_str()), self.definitions.contains_key(row.workflow.as_str()));
            match (was, is) {
                (true, false) => {
                    reloaded.orphaned += 1;
                    self.set_aside(&row);
                }
                (false, true) => {
                    reloaded.picked_up += 1;
                    if self.residents.contains_key(&row.key) {
                        self.wake(row.key, true);
                        self.leaving.push(row.key);
                    } else if !self.wanted.contains_key(&row.key) {
                        self.pick_up(row);
                    }
                }
                _ => {}
            }
        }
    }

    /// Nothing begins for the instance any more. What runs is moved, which ends it.
    fn set_aside(&mut self, row: &Unfinished) {
        self.unwant(row.key);
        if let Some(at) = row.wake_at {
            self.timers.remove(&(at, row.key, WHOLE_INSTANCE));
        }
        self.leaving.push(row.key);
    }

    fn move_runs(&mut self, workers: &[String], reloaded: &mut Reloaded) {
        let is_old = |key: &InstanceKey| {
            let resident = self.residents.get(key)?;
            let run = &resident.active.as_ref()?.run;
            let same = resident.definition.as_deref().is_some_and(|now| run.definition().runs_as(now));
            (!same || workers.iter().any(|worker| worker == run.worker())).then_some(())
        };
        let keys: Vec<_> = self.residents.keys().copied().filter(|key| is_old(key).is_some()).collect();
        for key in keys {
            let Some(resident) = self.residents.get_mut(&key) else { continue };
            let Some(active) = &mut resident.active else { continue };
            active.moving = true;
            let busy = active.run.hold();
            reloaded.moved += 1;
            reloaded.finishing += usize::from(busy);
        }
    }

    /// Nothing of the run is to be finished any more: if it is to be moved, it is.
    pub(super) fn move_run(&mut self, key: InstanceKey) {
        let now = self.clock.now();
        let Some(resident) = self.residents.get(&key) else { return };
        let moving = resident.active.as_ref().is_some_and(|active| active.moving);
        if !moving || resident.instance.is_executing() {
            return;
        }
        let instance = &resident.instance;
        let goes_on = instance.wants_run() || (retry_is_due(instance, now) && !instance.status().is_final());
        let keeps_slot = goes_on && resident.definition.is_some();
        if let Some(start) = self.end_run(key, keeps_slot) {
            self.wanted.insert(key, true);
            self.starts.push_back(start);
        }
        self.leaving.push(key);
    }
}
