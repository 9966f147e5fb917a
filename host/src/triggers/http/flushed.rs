//! An answer that breaks off, as far as it came.
//!
//! **Guarantees.** An error of the body is passed on one poll late. hyper flushes what it has when a body is not ready, and drops it when the body
//! fails: without this the client would get no answer at all instead of its beginning. **Non-goals.** Waiting for a slow client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

/// See the module.
pub(super) struct Flushed {
    body: WasiBody,
    /// The error to end with, after a flush.
    error: Option<Error>,
}

impl Flushed {
    pub(super) fn new(body: WasiBody) -> Self {
        Self { body, error: None }
    }
}

impl Body for Flushed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                self.error = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.error.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
