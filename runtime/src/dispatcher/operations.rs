//! What people do to an instance, besides making and reading it.

use std::collections::HashMap;
use std::sync::Arc;

use super::core::{After, Core, WHOLE_INSTANCE};
use super::message::{InstanceKey, Operation, Reply, RunAt};
use super::requests::refuse;
use super::resident::Resident;
use super::scripted::forget;
use super::{ApiError, BatchError, DeleteResult};
use crate::engine::{Command, InstanceStatus, Refusal, text};
use crate::storage::{Storage, Write};

impl<S: Storage> Core<S> {
    pub(super) fn operate(&mut self, workflow: &Arc<str>, id: &str, operation: Operation, reply: Reply<()>) {
        let deletes = matches!(operation, Operation::Delete);
        let key = match self.find(workflow, id) {
            Ok(Some(key)) => key,
            Ok(None) => return refuse(reply, ApiError::not_found()),
            Err(error) => return refuse(reply, error),
        };
        // What cannot be read can be deleted all the same.
        if !deletes && self.load(key).is_none() {
            return refuse(reply, ApiError::internal());
        }
        let done = match operation {
            Operation::SendEvent { event_type, payload } => {
                let sent = self.apply(key, Command::SendEvent { event_type, payload });
                sent.map(|()| self.wake(key, false)).map_err(|refusal| refused("instance.cannot_send_event", refusal))
            }
            Operation::Pause => {
                self.pause(key);
                Ok(())
            }
            Operation::Resume => {
                self.resume(key);
                Ok(())
            }
            Operation::Terminate { rollback } => self.terminate(key, rollback),
            Operation::Restart { from } => {
                let restarted = self.apply(key, Command::Restart { from });
                restarted
                    .map(|()| {
                        self.repeat_script(key);
                        self.begin_again(key);
                    })
                    .map_err(|refusal| refused("instance.cannot_restart", refusal))
            }
            Operation::Delete => {
                self.delete(key);
                forget(self.scripts.as_ref(), workflow, id);
                Ok(())
            }
        };
        self.leaving.push(key);
        match done {
            Ok(()) => {
                // What is said is about what is durable, also when this changed nothing.
                self.urgent = true;
                self.replies.push(After::Unit(reply));
            }
            Err(error) => refuse(reply, error),
        }
    }

    fn status_of(&self, key: InstanceKey) -> Option<InstanceStatus> {
        self.residents.get(&key).map(|resident| resident.instance.status())
    }

    fn pause(&mut self, key: InstanceKey) {
        let Some(resident) = self.residents.get(&key) else { return };
        let run = resident.active.as_ref().map(|active| Arc::clone(&active.run));
        // A run that is active may have said something that is not here yet, such as how a body ended.
        let _ = self.apply(key, Command::Pause { busy: run.is_some() });
        match self.status_of(key) {
            Some(InstanceStatus::Paused) => self.stop(key),
            Some(InstanceStatus::WaitingForPause) => {
                run.iter().for_each(|run| {
                    run.hold();
                });
            }
            // No effect.
            _ => {}
        }
    }

    /// Nothing of the run is to be finished any more.
    pub(super) fn held(&mut self, key: InstanceKey, RunAt { run, answers_seen }: RunAt) {
        let active = self.residents.get(&key).and_then(|resident| resident.active.as_ref());
        // An answer that is on its way may be the end of a step, which the guest is to see: it may give up others for it. Then it says so again.
        if !active.is_some_and(|active| active.run.id == run && active.answers_sent == answers_seen) {
            return;
        }
        let _ = self.apply(key, Command::Held);
        if self.status_of(key) == Some(InstanceStatus::Paused) {
            self.stop(key);
        } else {
            self.move_run(key);
        }
    }

    fn resume(&mut self, key: InstanceKey) {
        let _ = self.apply(key, Command::Resume);
        if let Some(active) = self.residents.get(&key).and_then(|resident| resident.active.as_ref())
            && !active.moving
        {
            active.run.release();
        }
        self.skip_delays(key);
        self.wake(key, false);
    }

    fn terminate(&mut self, key: InstanceKey, rollback: bool) -> Result<(), ApiError> {
        let before = self.status_of(key);
        self.apply(key, Command::Terminate { rollback })
            .map_err(|_| ApiError::new("instance.cannot_terminate", text::CANNOT_TERMINATE))?;
        if self.status_of(key) != before {
            self.stop(key);
            self.wake(key, false);
        }
        Ok(())
    }

    /// The instance was taken back to an earlier point. It keeps its slot; one that has run without may need one by now.
    fn begin_again(&mut self, key: InstanceKey) {
        if let Some(start) = self.end_run(key, true).filter(|start| start.slot) {
            self.wanted.insert(key, true);
            self.starts.push_back(start);
        } else {
            self.wake(key, false);
        }
    }

    /// Nothing of the instance runs any more, or is going to.
    pub(super) fn stop(&mut self, key: InstanceKey) {
        self.drop_run(key);
        self.unwant(key);
    }

    /// The instance goes, with everything recorded of it.
    pub(super) fn delete(&mut self, key: InstanceKey) {
        self.stop(key);
        let is_new = self.residents.get(&key).is_some_and(|resident| resident.is_new);
        let wake_at = match self.forget(key) {
            Some(Resident { fixed, instance, .. }) => {
                tracing::info!(workflow = %fixed.workflow, instance = %fixed.id, event = "deleted", "deleted");
                instance.next_due()
            }
            // What cannot be read has no timer.
            None => self.storage.load(key).ok().flatten().and_then(|(_, summary)| summary.wake_at),
        };
        if let Some(at) = wake_at {
            self.timers.remove(&(at, key, WHOLE_INSTANCE));
        }
        self.dirty.retain(|dirty| *dirty != key);
        self.subscribers.remove(&key);
        // Its deletion is the last that is written about it.
        self.chunks.retain(|write| match write {
            Write::Chunk { key: of, .. } | Write::DropChunks(of, _) | Write::DropChunksFrom(of, _) => *of != key,
            _ => true,
        });
        if !is_new {
            self.deletes.insert(key);
        }
        self.urgent = true;
    }

    pub(super) fn delete_batch(&mut self, workflow: &Arc<str>, ids: Vec<String>, reply: Reply<DeleteResult>) {
        let mut known: HashMap<String, bool> = HashMap::new();
        let mut result = DeleteResult::default();
        for (index, id) in (0..).zip(ids) {
            let deleted = match known.get(&id) {
                Some(deleted) => *deleted,
                None => match self.find(workflow, &id) {
                    Ok(Some(key)) => {
                        self.delete(key);
                        forget(self.scripts.as_ref(), workflow, &id);
                        true
                    }
                    Ok(None) => false,
                    Err(error) => return refuse(reply, error),
                },
            };
            known.insert(id.clone(), deleted);
            if deleted {
                result.deleted.push(id);
            } else {
                let (code, message) = text::BATCH_NOT_FOUND;
                result.errors.push(BatchError { index, id: Some(id), code, message });
            }
        }
        self.replies.push(After::Deleted(reply, result));
    }

    /// Removes what has been kept long enough.
    pub(super) fn expire(&mut self) {
        /// Instances removed in one group, at most.
        const EXPIRED_MAX: usize = 256;
        let now = self.clock.now();
        if self.next_expiry.is_none_or(|at| at > now) || self.stopping.is_some() {
            return;
        }
        match self.storage.expired(now, EXPIRED_MAX) {
            Ok(expired) => {
                for instance in expired {
                    // One that was restarted and is not committed yet is not finished any more.
                    let lives = self.residents.get(&instance.key).is_some_and(|r| !r.instance.status().is_final());
                    if !lives {
                        tracing::debug!(workflow = %instance.workflow, instance = %instance.id, "retention has ended");
                        let (workflow, id) = (&instance.workflow, &instance.id);
                        self.clock.note_due(&format_args!("{workflow}/{id} is removed: its retention has ended"));
                        self.ids.remove(&(instance.workflow, instance.id));
                        self.delete(instance.key);
                    }
                }
                self.expiry_changed = true;
            }
            Err(error) => {
                tracing::error!(error = %super::core::chain(&error), "cannot look for instances to remove");
                self.next_expiry = Some(now.plus_ms(super::commit::RETRY_MS));
            }
        }
    }

    /// What is written for the deletions of this group.
    pub(super) fn take_deletes(&mut self) -> Vec<Write> {
        self.deletes.iter().map(|key| Write::Delete(*key)).collect()
    }
}

fn refused(code: &'static str, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Finished(status) => ApiError::new(code, text::cannot_send_event(status)),
        Refusal::NoSuchStep(step) => ApiError::new(code, text::cannot_restart(&step.name)),
    }
}
