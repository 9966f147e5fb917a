//! An instance in memory: how it comes there, what is known of it, when it leaves.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::WorkflowDefinition;
use super::core::{Core, WHOLE_INSTANCE, chain};
use super::message::InstanceKey;
use crate::clock::Timestamp;
use crate::engine::{Answer, Instance, InstanceStatus, Stamped, Step, StepNo, limits};
use crate::run::Run;
use crate::storage::{NewInstance, Storage, StorageError, Summary};

pub(super) struct Resident {
    pub(super) fixed: NewInstance,
    /// None when the workflow is not there any more.
    pub(super) definition: Option<Arc<WorkflowDefinition>>,
    pub(super) instance: Instance,
    /// Entries decided and not committed.
    pub(super) pending: Vec<Stamped>,
    /// The journal that is stored is to go before these.
    pub(super) wipe: bool,
    /// Steps whose running attempt has stored pieces of a stream, and how many bytes.
    pub(super) streaming: HashMap<StepNo, u64>,
    /// The row is not there yet.
    pub(super) is_new: bool,
    /// In the list of those to be committed.
    pub(super) dirty: bool,
    /// What the row says.
    pub(super) stored: (InstanceStatus, Option<Timestamp>),
    pub(super) ended: Option<Timestamp>,
    pub(super) active: Option<Active>,
}

/// A run and the calls that wait in it.
pub(super) struct Active {
    pub(super) run: Arc<Run>,
    pub(super) parked: HashMap<StepNo, oneshot::Sender<Answer>>,
    pub(super) answers_sent: u64,
    /// Every branch waits, and it was kept because it is to be woken soon.
    pub(super) idle: bool,
    /// It has come to wait for more than a commit.
    pub(super) yielded: bool,
    /// It holds a concurrency slot.
    pub(super) slot: bool,
    /// It is to go on with other code, as soon as nothing of it is to be finished.
    pub(super) moving: bool,
}

impl Active {
    pub(super) fn new(run: Arc<Run>, slot: bool) -> Self {
        Self { run, parked: HashMap::new(), answers_sent: 0, idle: false, yielded: false, slot, moving: false }
    }
}

impl Resident {
    pub(super) fn new(fixed: NewInstance, definition: Option<Arc<WorkflowDefinition>>, instance: Instance) -> Self {
        Self {
            stored: (instance.status(), None),
            fixed,
            definition,
            instance,
            pending: Vec::new(),
            wipe: false,
            streaming: HashMap::new(),
            is_new: false,
            dirty: false,
            ended: None,
            active: None,
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let wake_at = self.wake_at();
        Summary {
            status: self.instance.status(),
            wake_at,
            started: self.instance.started(),
            modified: self.instance.changed().max(self.fixed.created),
            ended: self.ended,
            output: self.instance.output().cloned(),
            error: self.instance.error().cloned(),
            rollback: self.instance.rollback().cloned(),
            expires: self.expires(),
        }
    }

    /// When it wakes, as shown and used at the next start: only of an instance that waits.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.instance.wake_at()
    }

    /// When it is to be removed: what was asked for at its creation goes before what the workflow says.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        let of_workflow = self.definition.as_ref().map(|definition| definition.retention).unwrap_or_default();
        let kept_ms = match self.instance.status() {
            InstanceStatus::Errored => self.fixed.retention.error_ms.or(of_workflow.error_ms),
            _ => self.fixed.retention.success_ms.or(of_workflow.success_ms),
        };
        Some(self.ended?.plus_ms(kept_ms.unwrap_or(limits::RETENTION_MS_DEFAULT)))
    }

    /// Whether so many bytes more may be kept of it. What undoes its steps is always recorded.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let bytes_max = self.definition.as_ref().map_or(limits::INSTANCE_BYTES_MAX, |definition| definition.bytes_max);
        let kept = self.streaming.values().fold(self.instance.bytes(), |kept, stored| kept.saturating_add(*stored));
        bytes == 0 || self.instance.status() == InstanceStatus::RollingBack || kept.saturating_add(bytes) <= bytes_max
    }

    /// Whether the active run waits for the answer of this step, and may go on with it: one that is to be moved begins no attempt, but of
    /// a step whose asker could not come to its end without it.
    pub(super) fn is_attached(&self, step: StepNo) -> bool {
        let nested = || self.instance.step(step).is_some_and(Step::is_nested);
        self.active.as_ref().is_some_and(|active| active.parked.contains_key(&step) && (!active.moving || nested()))
    }

    /// Whether nothing keeps it in memory.
    pub(super) fn may_leave(&self) -> bool {
        self.active.is_none() && self.pending.is_empty() && !self.is_new
    }
}

impl<S: Storage> Core<S> {
    /// The resident of this key, read from the storage if need be. None when there is no such instance, or it cannot be read.
    pub(super) fn load(&mut self, key: InstanceKey) -> Option<&mut Resident> {
        if !self.residents.contains_key(&key) {
            let resident = match self.read(key) {
                Ok(found) => found?,
                Err(error) => {
                    tracing::error!(instance.key = key, error = %chain(&error), "cannot read an instance");
                    return None;
                }
            };
            self.wakes.remove(&key);
            self.arm(key, &resident);
            self.ids.insert((resident.fixed.workflow.clone(), resident.fixed.id.clone()), key);
            self.residents.insert(key, resident);
        }
        self.residents.get_mut(&key)
    }

    fn arm(&mut self, key: InstanceKey, resident: &Resident) {
        for at in resident.stored.1.into_iter().chain(resident.instance.next_due()) {
            self.timers.remove(&(at, key, WHOLE_INSTANCE));
        }
        for (step, at) in resident.instance.deadlines() {
            self.timers.insert((at, key, step));
        }
    }

    pub(super) fn read(&mut self, key: InstanceKey) -> Result<Option<Resident>, StorageError> {
        let Some((fixed, summary)) = self.storage.load(key)? else { return Ok(None) };
        let definition = self.definitions.get(fixed.workflow.as_str()).cloned();
        let mut instance = crate::engine::Instance::new();
        self.storage.journal(key, &mut |stamped| instance.evolve(stamped))?;
        let mut resident = Resident::new(fixed, definition, instance);
        resident.stored = (summary.status, summary.wake_at);
        resident.ended = summary.ended;
        Ok(Some(resident))
    }

    /// Takes an instance out of memory. Its timers go; one for its next deadline stays.
    pub(super) fn forget(&mut self, key: InstanceKey) -> Option<Resident> {
        let resident = self.residents.remove(&key)?;
        self.ids.remove(&(resident.fixed.workflow.clone(), resident.fixed.id.clone()));
        for (step, at) in resident.instance.deadlines() {
            self.timers.remove(&(at, key, step));
        }
        if let Some(at) = resident.instance.next_due()
            && resident.definition.is_some()
        {
            self.timers.insert((at, key, WHOLE_INSTANCE));
            self.wakes.insert(key, super::still::next_wake(&resident.instance));
        }
        Some(resident)
    }

    pub(super) fn let_leave(&mut self) {
        for key in std::mem::take(&mut self.leaving) {
            let starting = self.wanted.get(&key) == Some(&true);
            if !starting && self.residents.get(&key).is_some_and(Resident::may_leave) {
                self.forget(key);
            }
        }
    }
}
