//! Outputs that are streams: their bytes are kept beside the journal, in chunks.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::Run;
use crate::dispatcher::message::Message;
use crate::engine::{Bytes, ErrorInfo, StepKey, StepNo, StoredStream, limits, text};
use crate::storage::AttemptKey;

/// Takes the pieces of a stream. Clones write the same stream, one piece after the other.
#[derive(Clone, Default)]
pub struct StreamWriter {
    at: Option<(Arc<Run>, StepKey, u32)>,
    buffer: Arc<Mutex<Buffer>>,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    chunks: u32,
    total: u64,
}

impl StreamWriter {
    pub(super) fn of(&self, run: &Arc<Run>, key: &StepKey, attempt: u32) -> Self {
        Self { at: Some((Arc::clone(run), key.clone(), attempt)), buffer: Arc::clone(&self.buffer) }
    }

    /// Takes a piece. Returns when there is room for the next.
    ///
    /// # Errors
    /// `OversizedStreamChunkError` for a piece over 16 MiB.
    pub async fn write(&self, piece: &[u8]) -> Result<(), ErrorInfo> {
        if piece.len() > limits::STREAM_PIECE_BYTES_MAX {
            let step = self.at.as_ref().map(|(_, key, _)| key.to_string()).unwrap_or_default();
            return Err(text::piece_too_large(&step, piece.len()));
        }
        let mut rest = piece;
        while !rest.is_empty() {
            let full = self.with(|buffer| {
                let room = limits::STREAM_CHUNK_BYTES - buffer.bytes.len();
                let (now, later) = rest.split_at(room.min(rest.len()));
                buffer.bytes.extend_from_slice(now);
                rest = later;
                buffer.bytes.len() == limits::STREAM_CHUNK_BYTES
            });
            if full {
                self.store().await;
            }
        }
        Ok(())
    }

    pub(super) async fn finish(&self) -> StoredStream {
        if self.with(|buffer| !buffer.bytes.is_empty()) {
            self.store().await;
        }
        let attempt = self.at.as_ref().map_or(0, |(.., attempt)| *attempt);
        self.with(|buffer| StoredStream { attempt, chunks: buffer.chunks, bytes: buffer.total })
    }

    /// Returns when what is in the buffer is stored; never when the run is over.
    async fn store(&self) {
        let Some((run, step, attempt)) = &self.at else { return };
        let (bytes, index) = self.with(|buffer| {
            let bytes = Bytes::from(std::mem::take(&mut buffer.bytes));
            let index = buffer.chunks;
            buffer.chunks += 1;
            buffer.total += bytes.len() as u64;
            (bytes, index)
        });
        let (reply, answer) = oneshot::channel();
        // The dispatcher has to know of the step before.
        run.flush(&mut run.lock());
        let (step, attempt) = (step.clone(), *attempt);
        let _ = run.engine.send(Message::Chunk { run: run.id, key: run.key, step, attempt, index, bytes, reply });
        if answer.await.is_err() {
            // The run is over.
            std::future::pending().await
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Buffer) -> T) -> T {
        f(&mut self.buffer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads a stored stream, from its start.
pub struct StreamReader {
    run: Arc<Run>,
    step: StepKey,
    number: StepNo,
    stream: StoredStream,
    next: u32,
}

impl StreamReader {
    pub(super) fn new(run: &Arc<Run>, step: &StepKey, number: StepNo, stream: StoredStream) -> Self {
        Self { run: Arc::clone(run), step: step.clone(), number, stream, next: 0 }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// When what is stored is not whole.
    pub async fn read(&mut self) -> Result<Option<Bytes>, ErrorInfo> {
        if self.next == self.stream.chunks {
            return Ok(None);
        }
        let _busy = self.run.busy();
        let (reply, answer) = oneshot::channel();
        let attempt = AttemptKey { step: self.number, attempt: self.stream.attempt };
        let _ = self.run.engine.send(Message::ReadChunk { key: self.run.key, attempt, index: self.next, reply });
        match answer.await {
            Ok(Some(bytes)) => {
                self.next += 1;
                Ok(Some(bytes))
            }
            Ok(None) => Err(text::stream_corrupt(&self.step.to_string())),
            Err(_) => std::future::pending().await,
        }
    }
}
