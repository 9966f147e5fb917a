//! The body of a request as it arrives, and the body of its answer as it leaves.
//!
//! **Guarantees.** A body of which nothing arrives for [`Limits::body`] ends with an error, counted from when it is read. Why a body could not be
//! read is kept for the answer: it is the client's fault.
//!
//! **Non-goals.** Limiting the size of a body.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use miniflow_runtime::clock::real;
use wasmtime_wasi_http::{Error, WasiBody};

use super::exchange::Exchange;

/// Why the body of a request could not be read. Clones are about the same body.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyFault(Arc<OnceLock<(StatusCode, String)>>);

impl BodyFault {
    /// Returns the status and the reason; `None` when nothing went wrong.
    pub(super) fn get(&self) -> Option<&(StatusCode, String)> {
        self.0.get()
    }

    fn set(&self, status: StatusCode, why: String) {
        // The first reason counts.
        let _ = self.0.set((status, why));
    }
}

/// The body of a request.
pub(super) struct Arriving {
    incoming: Incoming,
    exchange: Exchange,
    fault: BodyFault,
    limit: Duration,
    silence: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Arriving {
    pub(super) fn new(incoming: Incoming, exchange: Exchange, fault: BodyFault, limit: Duration) -> Self {
        Self { incoming, exchange, fault, limit, silence: None }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            this.silence = None;
            return Poll::Ready(match frame {
                Some(Ok(frame)) => {
                    if this.incoming.is_end_stream() {
                        this.exchange.is_whole();
                    }
                    Some(Ok(frame))
                }
                Some(Err(error)) => {
                    this.fault.set(StatusCode::BAD_REQUEST, reason(&error));
                    Some(Err(error.into()))
                }
                None => {
                    this.exchange.is_whole();
                    None
                }
            });
        }
        let limit = this.limit;
        let silence = this.silence.get_or_insert_with(|| Box::pin(real::sleep(limit)));
        ready!(silence.as_mut().poll(cx));
        this.silence = None;
        this.fault.set(StatusCode::REQUEST_TIMEOUT, format!("nothing of it arrived for {} s", limit.as_secs_f32()));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The error of hyper in full: its own text names only the place.
fn reason(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "it ended before its length was reached".to_owned();
    }
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The body of an answer; its end is the end of the exchange.
pub(super) struct Leaving {
    body: WasiBody,
    exchange: Exchange,
}

impl Leaving {
    pub(super) fn new(body: WasiBody, exchange: Exchange) -> Self {
        Self { body, exchange }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.exchange.ends();
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
