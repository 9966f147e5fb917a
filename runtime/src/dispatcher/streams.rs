//! Outputs that are streams: storing their chunks, and reading them again.

use tokio::sync::oneshot;

use super::core::{After, Core, chain};
use super::message::{InstanceKey, RunId};
use crate::engine::{Bytes, Entry, StepKey, StepNo, StepState, text};
use crate::storage::{AttemptKey, Storage, Write};

/// A piece of a stream, and who waits for it to be stored.
pub(super) struct Piece {
    pub(super) step: StepKey,
    pub(super) attempt: u32,
    pub(super) index: u32,
    pub(super) bytes: Bytes,
    pub(super) reply: oneshot::Sender<()>,
}

impl<S: Storage> Core<S> {
    pub(super) fn chunk(&mut self, key: InstanceKey, run: RunId, piece: Piece) {
        if !self.is_active(key, run) {
            return;
        }
        let Piece { step, attempt, index, bytes, reply } = piece;
        let Some(resident) = self.residents.get_mut(&key) else { return };
        let Some(no) = resident.instance.find(&step) else { return };
        let runs = matches!(
            resident.instance.step(no).map(|step| &step.state),
            Some(StepState::Executing { attempt: running, .. }) if *running == attempt
        );
        if !runs {
            // Its time is over. Whoever writes is told when it settles.
            let _ = reply.send(());
            return;
        }
        if !resident.has_room(bytes.len() as u64) {
            return self.exceeds(key);
        }
        *resident.streaming.entry(no).or_default() += bytes.len() as u64;
        self.chunks.push(Write::Chunk { key, attempt: AttemptKey { step: no, attempt }, index, bytes });
        self.urgent = true;
        self.replies.push(After::Stored(reply));
    }

    pub(super) fn read_chunk(
        &mut self,
        key: InstanceKey,
        attempt: AttemptKey,
        index: u32,
        reply: oneshot::Sender<Option<Bytes>>,
    ) {
        let found = self.storage.chunk(key, attempt, index).unwrap_or_else(|error| {
            tracing::error!(instance.key = key, error = %chain(&error), "cannot read a stored stream");
            None
        });
        // The asker may have gone.
        let _ = reply.send(found);
    }

    /// An attempt whose stream is not the output leaves nothing of it.
    pub(super) fn drop_stream(&mut self, key: InstanceKey, entry: &Entry) {
        let Some(resident) = self.residents.get_mut(&key) else { return };
        let cut = match entry {
            Entry::AttemptFailed { step, error, .. } | Entry::StepFailed { step, error } => {
                // Of an attempt that ended with its process nobody knows whether it wrote any.
                if *error == text::attempt_lost() {
                    resident.streaming.insert(*step, 0);
                }
                vec![*step]
            }
            Entry::AttemptInterrupted { step } | Entry::StepAbandoned { step } => vec![*step],
            // Whatever the body wrote, what it returned is the output.
            Entry::StepSucceeded { step, .. } if resident.streaming.contains_key(step) => vec![*step],
            // It is part of the journal now.
            Entry::StepStreamed { step, .. } => {
                resident.streaming.remove(step);
                return;
            }
            Entry::RollbackStarted { .. } | Entry::Completed { .. } | Entry::Errored { .. } | Entry::Terminated => {
                resident.streaming.keys().copied().collect()
            }
            Entry::Restarted { from, .. } => {
                let from: StepNo = from.unwrap_or(0);
                self.chunks.push(Write::DropChunksFrom(key, from));
                resident.streaming.keys().copied().collect()
            }
            _ => return,
        };
        for step in cut {
            if resident.streaming.remove(&step).is_some()
                && let Some(StepState::Executing { attempt, .. }) = resident.instance.step(step).map(|step| &step.state)
            {
                self.chunks.push(Write::DropChunks(key, AttemptKey { step, attempt: *attempt }));
            }
        }
    }
}
