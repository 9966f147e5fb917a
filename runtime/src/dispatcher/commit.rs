//! Committing a group, and what follows when that fails.

use std::collections::HashSet;

use super::core::{After, Core, chain};
use super::message::{InstanceKey, Reply};
use super::{ApiError, BatchError, DeleteResult};
use crate::engine::text;
use crate::storage::{Storage, Write};

/// How long until instances whose commit failed are tried again, milliseconds on the clock.
pub(super) const RETRY_MS: u64 = 1000;

impl<S: Storage> Core<S> {
    /// Commits everything that is pending. On failure the touched instances are dropped from memory and recovered from the journal.
    pub(super) fn commit(&mut self) {
        let keys = std::mem::take(&mut self.dirty);
        let mut writes = Vec::with_capacity(keys.len() * 2);
        // First: an id that becomes free may be taken again in the same group.
        writes.extend(self.take_deletes());
        writes.append(&mut self.chunks);
        writes.extend(self.crons.unwritten().iter().cloned().map(Write::Boundary));
        for key in &keys {
            let Some(resident) = self.residents.get_mut(key) else { continue };
            let present = (resident.instance.status(), resident.wake_at());
            let summary = (resident.is_new || resident.stored != present).then(|| resident.summary());
            if resident.is_new {
                writes.extend(summary.map(|summary| Write::Create(resident.fixed.clone(), summary)));
            } else {
                writes.extend(summary.map(|summary| Write::Update(*key, summary)));
            }
            if std::mem::take(&mut resident.wipe) && !resident.is_new {
                writes.push(Write::Wipe(*key));
            }
            if !resident.pending.is_empty() {
                writes.push(Write::Append(*key, std::mem::take(&mut resident.pending)));
            }
        }
        match self.storage.commit(&writes) {
            Ok(()) => {
                self.committed(&keys);
                if !self.subscribers.is_empty() {
                    for write in writes {
                        if let Write::Append(key, entries) = write {
                            self.publish(key, entries);
                        }
                    }
                }
            }
            Err(error) => {
                tracing::error!(instances = keys.len(), error = %chain(&error), "cannot commit; trying again in a second");
                self.failed(&keys);
            }
        }
    }

    fn committed(&mut self, keys: &[InstanceKey]) {
        self.deletes.clear();
        self.crons.committed();
        for key in keys {
            let Some(resident) = self.residents.get_mut(key) else { continue };
            resident.is_new = false;
            resident.dirty = false;
            resident.stored = (resident.instance.status(), resident.wake_at());
            if let Some(expires) = resident.expires() {
                self.next_expiry = Some(self.next_expiry.map_or(expires, |next| next.min(expires)));
            }
            if resident.active.is_none() {
                self.leaving.push(*key);
            }
        }
    }

    fn failed(&mut self, keys: &[InstanceKey]) {
        let later = self.clock.now().plus_ms(RETRY_MS);
        // Not at once, though their time is over.
        self.crons.failed(later);
        self.expiry_changed = false;
        self.next_expiry = self.next_expiry.map(|at| at.max(later));
        for key in std::mem::take(&mut self.deletes) {
            self.retry_later(key);
        }
        for key in keys {
            self.drop_run(*key);
            let Some(resident) = self.residents.get_mut(key) else { continue };
            resident.pending.clear();
            let exists = !resident.is_new;
            self.forget(*key);
            self.unwant(*key);
            if exists {
                self.retry_later(*key);
            }
        }
        for after in std::mem::take(&mut self.replies) {
            match after {
                // Its run is stopped.
                After::Answer(..) => {}
                After::Unit(reply) => fail(reply),
                After::Id(reply, _) => fail(reply),
                After::Batch(reply, _) => fail(reply),
                After::Deleted(reply, result) => drop(reply.send(Ok(not_deleted(result)))),
                After::Status(reply, _) => fail(reply),
                After::Follow(reply, _) => fail(reply),
                // Its run is stopped.
                After::Stored(_) => {}
                // It fires again.
                After::Fire(_) | After::Made(_) => {}
            }
        }
    }

    /// Looks at the instance again in a second.
    pub(super) fn retry_later(&mut self, key: InstanceKey) {
        self.timers.insert((self.clock.now().plus_ms(RETRY_MS), key, crate::engine::StepNo::MAX));
    }
}

/// What is said of a batch of deletions that could not be committed: nothing of why.
fn not_deleted(result: DeleteResult) -> DeleteResult {
    let DeleteResult { deleted, mut errors } = result;
    let known: HashSet<_> = errors.iter().map(|error| error.index).collect();
    let (code, message) = text::BATCH_INTERNAL;
    let places = (0..).filter(|index| !known.contains(index));
    errors.extend(places.zip(deleted).map(|(index, id)| BatchError { index, id: Some(id), code, message }));
    errors.sort_unstable_by_key(|error| error.index);
    DeleteResult { deleted: Vec::new(), errors }
}

fn fail<T>(reply: Reply<T>) {
    // The asker may have gone.
    let _ = reply.send(Err(ApiError::internal()));
}
