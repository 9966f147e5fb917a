//! The body of an object's answer.
//!
//! Promises: what the object wrote before it made a piece of the body is durable before the piece leaves; the object lives as long as somebody
//! reads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::bindings::durable_object::{ObjectStorage, StorageError};

/// How many bodies of an object are being read. All clones are the same.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<Count>);

#[derive(Default)]
struct Count {
    now: AtomicUsize,
    less: Notify,
}

impl Readers {
    pub(super) fn any(&self) -> bool {
        self.0.now.load(SeqCst) > 0
    }

    /// Returns when there is none. Cancel-safe; for one at a time.
    pub(super) async fn gone(&self) {
        while self.any() {
            self.0.less.notified().await;
        }
    }
}

type Held = (Frame<Bytes>, BoxFuture<'static, Result<(), StorageError>>);

/// See the module.
pub(super) struct Gated {
    body: WasiBody,
    storage: Arc<ObjectStorage>,
    /// A piece that waits for the commit.
    held: Option<Held>,
    readers: Readers,
}

impl Gated {
    pub(super) fn new(body: WasiBody, storage: Arc<ObjectStorage>, readers: Readers) -> Self {
        readers.0.now.fetch_add(1, SeqCst);
        Self { body, storage, held: None, readers }
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        self.readers.0.now.fetch_sub(1, SeqCst);
        self.readers.0.less.notify_one();
    }
}

impl Body for Gated {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.held.is_none() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) if !this.storage.is_kept() => frame,
                other => return Poll::Ready(other),
            };
            let storage = Arc::clone(&this.storage);
            this.held = Some((frame, Box::pin(async move { storage.kept().await })));
        }
        let Some((_, keeping)) = &mut this.held else { return Poll::Ready(None) };
        let kept = ready!(keeping.as_mut().poll(cx));
        let frame = this.held.take().map(|(frame, _)| frame);
        Poll::Ready(match kept {
            Ok(()) => frame.map(Ok),
            Err(error) => Some(Err(Error::InternalError(Some(error.to_string())))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.held.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}
