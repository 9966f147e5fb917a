//! A body of which some is read before there is anybody to read it.
//!
//! **Guarantees.** At most [`BUFFER_BYTES`], and one piece more, are kept. The reader gets everything, in order.
//!
//! **Non-goals.** Waiting for a body that its reader does not want: see `expect: 100-continue`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::{Error, WasiBody};

/// Bytes after which a body counts as flowing.
const BUFFER_BYTES: usize = 64 << 10;

/// See the module.
pub(super) struct Early {
    read: VecDeque<Frame<Bytes>>,
    bytes: usize,
    rest: WasiBody,
    /// Held until the body is whole.
    permit: Option<OwnedSemaphorePermit>,
}

impl Early {
    pub(super) fn new(body: WasiBody) -> Self {
        Self { read: VecDeque::new(), bytes: 0, rest: body, permit: None }
    }

    /// Returns whether there is nothing more to come.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_end_stream()
    }

    /// Reads until the body is whole or the buffer is full.
    ///
    /// # Errors
    ///
    /// The body's.
    ///
    /// # Cancel safety
    ///
    /// What was read stays in the buffer.
    pub(super) async fn fill(&mut self) -> Result<(), Error> {
        while self.bytes < BUFFER_BYTES {
            let Some(frame) = self.rest.frame().await else { return Ok(()) };
            let frame = frame?;
            self.bytes += frame.data_ref().map_or(0, Bytes::len);
            self.read.push_back(frame);
        }
        Ok(())
    }

    /// Returns the body for its reader. `permit` is dropped when the body is whole.
    pub(super) fn with_permit(mut self, permit: Option<OwnedSemaphorePermit>) -> WasiBody {
        if self.read.is_empty() && permit.is_none() {
            return self.rest;
        }
        self.permit = permit;
        self.boxed_unsync()
    }
}

impl Body for Early {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(frame) = self.read.pop_front() {
            self.bytes -= frame.data_ref().map_or(0, Bytes::len);
            return Poll::Ready(Some(Ok(frame)));
        }
        let polled = Pin::new(&mut self.rest).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) || self.rest.is_end_stream() {
            self.permit = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.size_hint();
        let read = u64::try_from(self.bytes).unwrap_or(u64::MAX);
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint.set_lower(rest.lower().saturating_add(read));
        hint
    }
}
