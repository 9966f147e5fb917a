//! What people do to an instance: pause, resume, terminate, restart.

use super::Instance;
use crate::engine::{Entry, InstanceStatus, Refusal, StepKey, text};

impl Instance {
    /// Nothing that waits keeps a pause from coming; bodies that run are finished first.
    pub(super) fn pause(&self, busy: bool) -> Vec<Entry> {
        match self.status {
            InstanceStatus::Running if busy => vec![Entry::PauseRequested],
            InstanceStatus::Running | InstanceStatus::Waiting => vec![Entry::Paused],
            _ => Vec::new(),
        }
    }

    /// The last body has come to its end.
    pub(super) fn held(&self) -> Vec<Entry> {
        if self.status == InstanceStatus::WaitingForPause && !self.is_executing() {
            vec![Entry::Paused]
        } else {
            Vec::new()
        }
    }

    pub(super) fn resume(&self) -> Vec<Entry> {
        match self.status {
            InstanceStatus::Paused => vec![Entry::Resumed],
            InstanceStatus::WaitingForPause => vec![Entry::PauseCancelled],
            _ => Vec::new(),
        }
    }

    pub(super) fn terminate(&self, rollback: bool) -> Vec<Entry> {
        match (self.status, rollback) {
            (InstanceStatus::RollingBack, true) => Vec::new(),
            (InstanceStatus::RollingBack, false) => {
                vec![Entry::RollbackFinished { error: Some(text::terminated()) }, Entry::Terminated]
            }
            (_, true) if self.can_roll_back() => {
                vec![Entry::RollbackStarted { cause: text::terminated(), terminate: true }]
            }
            _ => vec![Entry::Terminated],
        }
    }

    pub(super) fn restart(&self, from: Option<StepKey>) -> Result<Vec<Entry>, Refusal> {
        let from = match from {
            None => None,
            Some(key) => Some(self.find(&key).ok_or(Refusal::NoSuchStep(key))?),
        };
        Ok(vec![Entry::Restarted { from, entries: self.entries }])
    }
}
