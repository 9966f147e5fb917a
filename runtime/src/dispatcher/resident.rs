//! An instance in memory.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::WorkflowDefinition;
use crate::clock::Timestamp;
use crate::engine::{Answer, Instance, InstanceStatus, Stamped, StepNo};
use crate::run::Run;
use crate::storage::{NewInstance, Summary};

pub(super) struct Resident {
    pub(super) fixed: NewInstance,
    /// None when the workflow is not there any more.
    pub(super) definition: Option<Arc<WorkflowDefinition>>,
    pub(super) instance: Instance,
    /// Entries decided and not committed.
    pub(super) pending: Vec<Stamped>,
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
}

impl Active {
    pub(super) fn new(run: Arc<Run>) -> Self {
        Self { run, parked: HashMap::new(), answers_sent: 0, idle: false, yielded: false }
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
            ended: self.ended,
            output: self.instance.output().cloned(),
            error: self.instance.error().cloned(),
        }
    }

    /// When it wakes, as shown and used at the next start: only of an instance that waits.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        if self.instance.status() == InstanceStatus::Waiting { self.instance.next_deadline() } else { None }
    }

    /// Whether nothing keeps it in memory.
    pub(super) fn may_leave(&self) -> bool {
        self.active.is_none() && self.pending.is_empty() && !self.is_new
    }
}
