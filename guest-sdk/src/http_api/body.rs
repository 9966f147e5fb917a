//! [`Body`] and [`ByteStream`]: content that is read once.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;
use futures::{FutureExt, Stream, StreamExt, TryStream, TryStreamExt};

use super::wasi::{Incoming, Opened};
use crate::{Error, Result};

/// The body of a request or response: nothing, bytes, or a stream.
pub struct Body(pub(super) Inner);

pub(super) enum Inner {
    Empty,
    Bytes(Vec<u8>),
    Stream(LocalBoxStream<'static, Result<Vec<u8>>>),
    /// As it came from the host, unopened.
    Incoming(Incoming),
    /// Taken.
    Used,
}

impl Body {
    /// Makes a body without content.
    #[must_use]
    pub fn empty() -> Self {
        Self(Inner::Empty)
    }

    /// Makes a body from a stream of chunks. Each is sent when it is there. A [`ByteStream`] nobody has read from is passed
    /// on as it came.
    pub fn from_stream<S>(stream: S) -> Self
    where
        S: TryStream + 'static,
        S::Ok: Into<Vec<u8>>,
        S::Error: Into<Error>,
    {
        let mut stream = Some(stream);
        if let Some(bytes) = (&mut stream as &mut dyn Any).downcast_mut::<Option<ByteStream>>() {
            return bytes.take().map_or(Self::empty(), ByteStream::into_body);
        }
        match stream {
            Some(stream) => Self(Inner::Stream(stream.map_ok(Into::into).map_err(Into::into).boxed_local())),
            None => Self::empty(),
        }
    }

    /// Takes the content out, leaving a body that was used. One without content can be taken any number of times.
    pub(super) fn take(&mut self) -> Result<Self> {
        match std::mem::replace(&mut self.0, Inner::Used) {
            Inner::Used => Err(Error::BodyUsed),
            Inner::Empty => {
                self.0 = Inner::Empty;
                Ok(Self::empty())
            }
            inner => Ok(Self(inner)),
        }
    }

    /// Returns a copy of a body that is in memory.
    pub(super) fn copy(&self) -> Result<Self> {
        match &self.0 {
            Inner::Empty => Ok(Self::empty()),
            Inner::Bytes(bytes) => Ok(Self(Inner::Bytes(bytes.clone()))),
            Inner::Used => Err(Error::BodyUsed),
            Inner::Stream(_) | Inner::Incoming(_) => {
                Err("the body is a stream, which cannot be copied: read it with `bytes()` first".into())
            }
        }
    }

    pub(super) fn incoming(&self) -> Option<&Incoming> {
        match &self.0 {
            Inner::Incoming(incoming) => Some(incoming),
            _ => None,
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    ///
    /// When the body breaks off.
    pub async fn into_bytes(self) -> Result<Vec<u8>> {
        match self.0 {
            Inner::Empty => Ok(Vec::new()),
            Inner::Bytes(bytes) => Ok(bytes),
            Inner::Stream(chunks) => chunks.try_concat().await,
            Inner::Incoming(incoming) => incoming.read().await?.collect().await,
            Inner::Used => Err(Error::BodyUsed),
        }
    }

    /// Returns the content chunk by chunk.
    pub fn into_stream(self) -> ByteStream {
        ByteStream(match self.0 {
            Inner::Incoming(incoming) => Source::Untouched(incoming),
            Inner::Stream(chunks) => Source::Chunks(chunks),
            Inner::Bytes(bytes) => Source::Chunks(futures::stream::iter([Ok(bytes)]).boxed_local()),
            Inner::Empty | Inner::Used => Source::Done,
        })
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Empty => f.write_str("Body(empty)"),
            Inner::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Stream(_) | Inner::Incoming(_) => f.write_str("Body(stream)"),
            Inner::Used => f.write_str("Body(used)"),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Inner::Bytes(bytes))
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<ByteStream> for Body {
    fn from(stream: ByteStream) -> Self {
        stream.into_body()
    }
}

/// A body, chunk by chunk as it arrives.
#[must_use = "a stream is read only when polled"]
pub struct ByteStream(Source);

type Read = Result<Option<(Vec<u8>, Opened)>>;

enum Source {
    /// Nothing was read yet, so the host's stream can still be handed back whole.
    Untouched(Incoming),
    Waiting(LocalBoxFuture<'static, Read>),
    Chunks(LocalBoxStream<'static, Result<Vec<u8>>>),
    Done,
}

impl ByteStream {
    /// Reads what is left.
    ///
    /// # Errors
    ///
    /// When the stream breaks off.
    pub async fn bytes(self) -> Result<Vec<u8>> {
        self.into_body().into_bytes().await
    }

    /// Reads what is left, as text.
    ///
    /// # Errors
    ///
    /// When the stream breaks off or is not UTF-8.
    pub async fn text(self) -> Result<String> {
        Ok(String::from_utf8(self.bytes().await?)?)
    }

    fn into_body(self) -> Body {
        Body(match self.0 {
            Source::Untouched(incoming) => Inner::Incoming(incoming),
            Source::Chunks(chunks) => Inner::Stream(chunks),
            Source::Waiting(_) => Inner::Stream(self.boxed_local()),
            Source::Done => Inner::Empty,
        })
    }
}

impl Stream for ByteStream {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.0 {
                Source::Untouched(_) => {
                    if let Source::Untouched(incoming) = std::mem::replace(&mut self.0, Source::Done) {
                        self.0 = Source::Waiting(async { incoming.read().await?.next().await }.boxed_local());
                    }
                }
                Source::Waiting(reading) => {
                    let read = ready!(reading.as_mut().poll(cx));
                    self.0 = Source::Done;
                    return Poll::Ready(match read {
                        Ok(Some((chunk, rest))) => {
                            self.0 = Source::Waiting(rest.next().boxed_local());
                            Some(Ok(chunk))
                        }
                        Ok(None) => None,
                        Err(error) => Some(Err(error)),
                    });
                }
                Source::Chunks(chunks) => return chunks.as_mut().poll_next(cx),
                Source::Done => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream")
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn now<F: Future>(future: F) -> F::Output {
        future.now_or_never().expect("ready at once")
    }

    #[test]
    fn a_stream_of_chunks_reads_as_one() {
        let chunks = futures::stream::iter([Ok::<_, Error>("ab"), Ok("cd")]);
        assert_eq!(now(Body::from_stream(chunks).into_bytes()).unwrap(), b"abcd");
    }

    #[test]
    fn an_error_in_the_stream_is_the_errors_of_the_body() {
        let chunks = futures::stream::iter([Ok("ab"), Err(Error::from("gone"))]);
        assert_eq!(now(Body::from_stream(chunks).into_bytes()).unwrap_err().to_string(), "gone");
    }

    #[test]
    fn a_byte_stream_goes_back_into_a_body_without_a_layer() {
        let body = Body::from_stream(Body::from("abc").into_stream());
        assert!(matches!(body.0, Inner::Stream(_)));
        let body = Body::from_stream(Body::empty().into_stream());
        assert!(matches!(body.0, Inner::Empty));
    }

    #[test]
    fn a_stream_reads_whole() {
        let stream = || Body::from_stream(futures::stream::iter([Ok::<_, Error>("ab"), Ok("cd")])).into_stream();
        assert_eq!(now(stream().bytes()).unwrap(), b"abcd");
        assert_eq!(now(stream().text()).unwrap(), "abcd");
        assert!(matches!(now(Body::from(vec![0xff]).into_stream().text()), Err(Error::Utf8(_))));
    }

    #[test]
    fn a_body_is_read_once() {
        let mut body = Body::from("abc");
        assert_eq!(now(body.take().unwrap().into_bytes()).unwrap(), b"abc");
        assert!(matches!(body.take(), Err(Error::BodyUsed)));
    }
}
