//! What a Worker leaves unread of a request's body.
//!
//! Promises: it is read all the same, to the end or for a while, and thrown away, so that a client which sends everything before it reads
//! the answer gets the answer, and may use its connection again. Never does: keep the Worker or its answer waiting.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use miniflow_runtime::clock::real;
use tokio::runtime::Handle;
use wasmtime_wasi_http::{Error, WasiBody};

/// What is thrown away of a body, in bytes, at most (documented: the largest request of the paid plan is of 100 MB).
const BYTES_MAX: usize = 100_000_000;

/// For how long a body is read to be thrown away.
const TIME_MAX: Duration = Duration::from_secs(30);

/// A request's body; what is left of it when this is dropped is read.
pub(super) struct Unread(Option<WasiBody>);

impl Unread {
    /// Wraps the body of a request with these headers, if there may be something to read.
    pub(super) fn wrap(body: WasiBody, headers: &HeaderMap) -> WasiBody {
        // A client that asks first whether it should send a body is told by the answer that it should not.
        if body.is_end_stream() || headers.contains_key(header::EXPECT) {
            return body;
        }
        Self(Some(body)).boxed_unsync()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let (Some(body), Ok(threads)) = (self.0.take(), Handle::try_current()) {
            threads.spawn(real::timeout(TIME_MAX, throw_away(body)));
        }
    }
}

async fn throw_away(mut body: WasiBody) {
    let mut left = BYTES_MAX;
    // Ends with an error when the client has gone.
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(read) else { return };
        left = less;
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
