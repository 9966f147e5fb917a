//! What scripts have for instances, where the dispatcher decides it: events that were sent, waits and delays that take no time.
//!
//! All of it goes through the engine: a delay that takes no time is one whose end has come.

use std::sync::Arc;

use super::core::{After, Core};
use super::message::{InstanceKey, Reply};
use crate::engine::{Bytes, Command, Context, Entry, StepNo, StepState};
use crate::script::{Direction, Script, Scripts};
use crate::storage::Storage;

impl<S: Storage> Core<S> {
    pub(super) fn script(&self, key: InstanceKey) -> Option<Arc<Script>> {
        let scripts = self.scripts.as_ref()?;
        let fixed = &self.residents.get(&key)?.fixed;
        Some(scripts.of(&fixed.workflow, &fixed.id))
    }

    /// The instance is new: the events that were sent to it beforehand are there.
    pub(super) fn begin_script(&mut self, key: InstanceKey) {
        let Some(scripts) = self.scripts.clone() else { return };
        let Some(resident) = self.residents.get(&key) else { return };
        let events = scripts.made(&resident.fixed.workflow, &resident.fixed.id);
        self.send_mocked(key, events);
        self.tell_made = true;
    }

    /// The instance begins again: so do the events.
    pub(super) fn repeat_script(&mut self, key: InstanceKey) {
        if let Some(script) = self.script(key) {
            self.send_mocked(key, script.events());
        }
    }

    fn send_mocked(&mut self, key: InstanceKey, events: Vec<(Arc<str>, Bytes)>) {
        for (event_type, payload) in events {
            let _ = self.apply(key, Command::SendEvent { event_type, payload });
        }
    }

    /// Sends an event, now and whenever the instance begins anew. It need not exist.
    pub(super) fn mock_event(&mut self, workflow: &str, id: &str, event: (Arc<str>, Bytes), reply: Reply<()>) {
        let (event_type, payload) = event.clone();
        if let Some(scripts) = &self.scripts {
            // An event contradicts nothing.
            let _ = scripts.of(workflow, id).direct(Direction::MockEvent { event_type, payload });
        }
        match self.find(workflow, id) {
            Ok(Some(key)) if self.load(key).is_some() => {
                // One that is over gets it when it is restarted.
                self.send_mocked(key, vec![event]);
                self.wake(key, false);
                self.leaving.push(key);
                self.urgent = true;
            }
            Ok(_) => {}
            Err(error) => return super::requests::refuse(reply, error),
        }
        self.replies.push(After::Unit(reply));
    }

    /// Does what a run asks for. A wait that is to time out takes no event.
    pub(super) fn apply_scripted(&mut self, key: InstanceKey, command: Command) {
        let step = match &command {
            Command::BeginWait { key: step, .. } => step.clone(),
            _ => return drop(self.apply(key, command)),
        };
        if !self.script(key).is_some_and(|script| script.times_out(&step)) {
            return drop(self.apply(key, command));
        }
        let now = self.clock.now();
        let Some(resident) = self.residents.get(&key) else { return };
        let context = Context { now, active: resident.active.is_some() };
        let entries = resident.instance.decide(command, context).unwrap_or_default();
        for entry in entries.into_iter().filter(|entry| !matches!(entry, Entry::WaitCompleted { .. })) {
            self.take_entry(key, entry, now);
        }
        if let Some(no) = self.residents.get(&key).and_then(|resident| resident.instance.find(&step)) {
            self.come_due(key, no);
        }
    }

    /// Ends the delay before the next attempt of a step that a run waits for, if it is to take no time.
    pub(super) fn skip_delay(&mut self, key: InstanceKey, no: StepNo) {
        let Some(resident) = self.residents.get(&key) else { return };
        let Some(step) = resident.instance.step(no) else { return };
        let is_delay = matches!(step.state, StepState::Retrying { .. });
        if is_delay && self.script(key).is_some_and(|script| script.skips_retry_delay(&step.key)) {
            self.come_due(key, no);
        }
    }

    /// As [`Self::skip_delay`], of all steps.
    pub(super) fn skip_delays(&mut self, key: InstanceKey) {
        if self.scripts.is_none() {
            return;
        }
        let parked = self.residents.get(&key).and_then(|resident| resident.active.as_ref());
        let steps: Vec<_> = parked.map(|active| active.parked.keys().copied().collect()).unwrap_or_default();
        for no in steps {
            self.skip_delay(key, no);
        }
    }

    /// Has what a step waits for come now.
    fn come_due(&mut self, key: InstanceKey, no: StepNo) {
        let now = self.clock.now();
        let Some(resident) = self.residents.get(&key) else { return };
        let Some(deadline) = resident.instance.deadline(no) else { return };
        let attached = resident.is_attached(no);
        let context = Context { now: deadline.max(now), active: resident.active.is_some() };
        let entries = resident.instance.decide(Command::Due { step: no, attached }, context).unwrap_or_default();
        for entry in entries {
            self.take_entry(key, entry, now);
        }
    }
}

/// The instance is gone, and what was said about it.
pub(super) fn forget(scripts: Option<&Arc<Scripts>>, workflow: &str, id: &str) {
    if let Some(scripts) = scripts {
        scripts.forget(workflow, id);
    }
}
