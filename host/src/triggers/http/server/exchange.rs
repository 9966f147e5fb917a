//! Which part of an exchange is on a connection, and the stream that knows it.
//!
//! **Guarantees.** A client that closes only its sending side gets its answer. One that closed both sides counts as gone after
//! [`HALF_CLOSED_TIMEOUT`], or at the first write that it refuses: TCP has no other sign of the difference.
//!
//! **Non-goals.** Reading HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use miniflow_runtime::clock::real;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long an answer is waited for after the client has closed its sending side.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(2);

/// Nothing of a request has arrived.
const IDLE: u8 = 0;
/// A part of a request's head has arrived.
const HEAD: u8 = 1;
/// The head has arrived, and the body not to its end.
const BODY: u8 = 2;
/// The request is whole, and its answer is not sent to its end.
const ANSWER: u8 = 3;

/// State of the exchange on a connection. Clones are about the same connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    phase: AtomicU8,
    /// Waits for the end of an answer.
    reader: AtomicWaker,
}

impl Exchange {
    /// A request's head has arrived.
    pub(super) fn begins(&self, is_whole: bool) {
        self.0.phase.store(if is_whole { ANSWER } else { BODY }, SeqCst);
    }

    /// The body of the request has arrived.
    pub(super) fn is_whole(&self) {
        // The answer may have ended before.
        let _ = self.0.phase.compare_exchange(BODY, ANSWER, SeqCst, SeqCst);
    }

    /// The answer is sent, or given up.
    pub(super) fn ends(&self) {
        self.0.phase.store(IDLE, SeqCst);
        self.0.reader.wake();
    }

    /// Returns whether a request's head has begun and not ended.
    pub(super) fn is_in_head(&self) -> bool {
        self.0.phase.load(SeqCst) == HEAD
    }

    /// Returns whether a request has arrived whose answer is not sent. Whether its body is whole is known only to its reader.
    fn is_open(&self) -> bool {
        matches!(self.0.phase.load(SeqCst), BODY | ANSWER)
    }

    fn arrives(&self) {
        let _ = self.0.phase.compare_exchange(IDLE, HEAD, SeqCst, SeqCst);
    }
}

/// The stream of a connection.
pub(super) struct Watched<S> {
    stream: S,
    exchange: Exchange,
    closed: Option<Closed>,
}

/// The client has closed its sending side.
struct Closed {
    timeout: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether something was written to the client since.
    is_written_to: bool,
    /// Whether the client took what was written.
    is_there: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, exchange: Exchange) -> Self {
        Self { stream, exchange, closed: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closed.is_none() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if buf.filled().len() > before {
                this.exchange.arrives();
                return Poll::Ready(Ok(()));
            }
            let timeout = Box::pin(real::sleep(HALF_CLOSED_TIMEOUT));
            this.closed = Some(Closed { timeout, is_written_to: false, is_there: false });
        }
        let Some(closed) = &mut this.closed else { return Poll::Ready(Ok(())) };
        this.exchange.0.reader.register(cx.waker());
        if !this.exchange.is_open() {
            return Poll::Ready(Ok(()));
        }
        if closed.is_there {
            return Poll::Pending;
        }
        ready!(closed.timeout.as_mut().poll(cx));
        // Reports a reset.
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if !closed.is_written_to {
            return Poll::Ready(Ok(()));
        }
        closed.is_there = true;
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(_)), Some(closed)) = (&written, &mut self.closed) {
            closed.is_written_to = true;
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
