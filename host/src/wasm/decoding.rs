//! Content codings of answers: gzip, deflate, br and zstd.
//!
//! A guest gets the body of an answer as it came. The SDK has it decoded here when the Worker reads it: it sends the unread body as a request
//! whose header [`HEADER`] says `decode CODINGS`, and gets an answer with the decoded body. A body that is passed on unread stays as it is.
//!
//! **Guarantees.** Memory is bounded by the windows of the codings, however much a body expands. A body that is cut off or is not in its
//! coding ends with an error. A coding that is not known leaves the body as it is (Fetch, "handle content codings").
//!
//! **Non-goals.** Encoding.

use std::io::{self, BufRead, BufReader, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use brotli_decompressor::Decompressor;
use bytes::{Buf as _, Bytes};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, WasiBody};

use super::inward::HEADER;

/// The word before the codings in the header.
const WORD: &str = "decode ";

/// The SDK asked for codings by itself: an answer passed on unread has one which its Worker did not choose.
const BY_DEFAULT: HeaderName = HeaderName::from_static("miniflow-coded");

/// Maximum number of codings of one body. Each needs a window; curl has the same limit.
const CODINGS_MAX: usize = 5;

/// Decoded bytes that one frame has at most.
const FRAME_BYTES: usize = 32 * 1024;

/// Largest window of zstd: 8 MiB, as RFC 9659 has it for HTTP.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Window buffer of brotli for its input, in bytes.
const BROTLI_INPUT_BYTES: usize = 4096;

/// Returns the codings of a request that only wants its body decoded, and takes the header off.
pub(super) fn take_order(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let is_order = headers.get(HEADER).is_some_and(|value| value.as_bytes().starts_with(WORD.as_bytes()));
    if is_order { headers.remove(HEADER) } else { None }
}

/// Answers such a request.
pub(super) fn obey(order: &HeaderValue, body: WasiBody) -> Result<Response<WasiBody>, Error> {
    let codings = order.to_str().ok().and_then(|order| order.strip_prefix(WORD)).unwrap_or_default();
    Ok(Response::new(decode(body, codings)?))
}

/// Decodes an answer whose coding the SDK asked for by itself, unless the client accepts it too. `accepted` is the client's
/// `accept-encoding`, line by line.
pub(crate) fn for_client(mut response: Response<WasiBody>, accepted: &[HeaderValue]) -> Response<WasiBody> {
    if response.headers_mut().remove(BY_DEFAULT).is_none() {
        return response;
    }
    let codings = joined(response.headers().get_all(header::CONTENT_ENCODING));
    let accepted = joined(accepted);
    if codings.split(',').all(|coding| accepts(&accepted, coding.trim())) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    match Coding::list(&codings) {
        Some(known) if !known.is_empty() && known.len() <= CODINGS_MAX => {
            head.headers.remove(header::CONTENT_ENCODING);
            head.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(head, Decoded::new(body, &known).boxed_unsync())
        }
        _ => Response::from_parts(head, body),
    }
}

/// The values of a field that is a list, as one.
fn joined<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> String {
    values.into_iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(", ")
}

/// Whether an `accept-encoding` allows `coding` (RFC 9110, 12.5.3).
fn accepts(accepted: &str, coding: &str) -> bool {
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|part| {
            let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
            let quality = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
            name.trim().eq_ignore_ascii_case(wanted).then(|| quality.is_none_or(|q| q.trim().parse() != Ok(0.0)))
        })
    };
    weight(coding).or_else(|| weight("*")).unwrap_or(false)
}

/// Returns `body` without `codings`, the last of which is undone first.
fn decode(body: WasiBody, codings: &str) -> Result<WasiBody, Error> {
    match Coding::list(codings) {
        None => Ok(body),
        Some(codings) if codings.is_empty() => Ok(body),
        Some(codings) if codings.len() > CODINGS_MAX => {
            let why = format!("the body has {} content codings: at most {CODINGS_MAX} are decoded", codings.len());
            Err(Error::InternalError(Some(why)))
        }
        Some(codings) => Ok(Decoded::new(body, &codings).boxed_unsync()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The codings of a `content-encoding` in their order; `None` when one is not known.
    fn list(text: &str) -> Option<Vec<Self>> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.filter(|name| !name.eq_ignore_ascii_case("identity")).map(Self::of).collect()
    }

    fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn decoder(self, input: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Deflate => Box::new(Deflate::Unknown(Some(input))),
            Self::Brotli => Box::new(Decompressor::new(input, BROTLI_INPUT_BYTES)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        })
    }
}

type Input = Box<dyn BufRead + Send>;

/// `deflate` is the zlib format by the standard, and the bare one from some servers. The first byte tells.
enum Deflate {
    Unknown(Option<Input>),
    Zlib(ZlibDecoder<Input>),
    Bare(DeflateDecoder<Input>),
}

impl Read for Deflate {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Unknown(input) = self {
            let first = match input.as_mut() {
                Some(input) => input.fill_buf()?.first().copied(),
                None => None,
            };
            let Some(input) = input.take() else { return Ok(0) };
            // Method 8 with a window of at most 32 KiB; a bare block has no such beginning.
            let is_zlib = first.is_none_or(|byte| byte & 0x0f == 8 && byte >> 4 <= 7);
            *self = if is_zlib { Self::Zlib(ZlibDecoder::new(input)) } else { Self::Bare(DeflateDecoder::new(input)) };
        }
        match self {
            Self::Unknown(_) => Ok(0),
            Self::Zlib(decoder) => decoder.read(buffer),
            Self::Bare(decoder) => decoder.read(buffer),
        }
    }
}

/// Encoded bytes that have arrived. Reading more than there are would block.
#[derive(Clone, Default)]
struct Arrived(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Bytes,
    is_end: bool,
}

impl Arrived {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Arrived {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        let length = state.bytes.len().min(buffer.len());
        if length == 0 && !state.is_end && !buffer.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.bytes.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// A body while it is decoded.
struct Decoded {
    body: WasiBody,
    arrived: Arrived,
    /// `None` when there is nothing more to come.
    decoder: Option<io::Result<Box<dyn Read + Send>>>,
    buffer: Vec<u8>,
    codings: String,
    /// Nothing has arrived yet: an empty body is not in any coding.
    is_empty: bool,
}

impl Decoded {
    fn new(body: WasiBody, codings: &[Coding]) -> Self {
        let arrived = Arrived::default();
        let source: io::Result<Box<dyn Read + Send>> = Ok(Box::new(arrived.clone()));
        let decoder =
            codings.iter().rev().fold(source, |input, coding| coding.decoder(Box::new(BufReader::new(input?))));
        let codings = codings.iter().map(|coding| coding.name()).collect::<Vec<_>>().join(", ");
        Self { body, arrived, decoder: Some(decoder), buffer: vec![0; FRAME_BYTES], codings, is_empty: true }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.decoder = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Decoded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        loop {
            let read = match &mut this.decoder {
                None => return Poll::Ready(None),
                Some(Ok(decoder)) => decoder.read(&mut this.buffer),
                Some(Err(error)) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            match read {
                Ok(0) => {
                    this.decoder = None;
                    return Poll::Ready(None);
                }
                Ok(length) => {
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(&this.buffer[..length])))));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    let why = format!("the body is not valid {}: {error}", this.codings);
                    return this.fail(Error::InternalError(Some(why)));
                }
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers are left out.
                    let bytes = frame.into_data().unwrap_or_default();
                    this.is_empty &= bytes.is_empty();
                    this.arrived.state().bytes = bytes;
                }
                Some(Err(error)) => return this.fail(error),
                None if this.is_empty => this.decoder = None,
                None => this.arrived.state().is_end = true,
            }
        }
    }
}

#[cfg(test)]
mod tests;
