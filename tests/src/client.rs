//! HTTP/1.1 as tests need it: one connection for each request, whole answers, and both ends of a stream.

use std::fmt;
use std::sync::LazyLock;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use miniflow_runtime::clock::real;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::wait::PATIENCE;

/// What the connections of all tests of this process run on.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a process can have two more threads")
});

/// Asks one server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    /// Host and port.
    authority: String,
}

/// A request without an answer.
#[derive(Debug)]
pub struct RequestError(String);

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RequestError {}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// When it is something else.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status.as_u16(), self.text()))
    }

    /// Returns this answer.
    ///
    /// # Panics
    ///
    /// When its status is not `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}

/// The body of a request.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    bytes: Bytes,
    content_type: Option<&'static str>,
}

impl From<()> for Payload {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<Value> for Payload {
    fn from(json: Value) -> Self {
        Self { bytes: json.to_string().into(), content_type: Some("application/json") }
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self { bytes: Bytes::copy_from_slice(text.as_bytes()), content_type: None }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), content_type: None }
    }
}

impl Payload {
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

type Body = BoxBody<Bytes, std::convert::Infallible>;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    /// Returns a client of the server at `url`, of which only host and port count.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let authority = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
        Self { authority: authority.to_owned() }
    }

    /// Asks for `path`.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it breaks off.
    pub fn get(&self, path: &str) -> Result<Answer, RequestError> {
        self.send(Method::GET, path, ())
    }

    /// Posts `body` to `path`.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it breaks off.
    pub fn post(&self, path: &str, body: impl Into<Payload>) -> Result<Answer, RequestError> {
        self.send(Method::POST, path, body)
    }

    /// Sends any request.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it breaks off.
    pub fn send(&self, method: Method, path: &str, body: impl Into<Payload>) -> Result<Answer, RequestError> {
        let payload = body.into();
        let mut request = Request::new(Full::from(payload.bytes).boxed());
        *request.method_mut() = method;
        if let Some(content_type) = payload.content_type {
            request.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
        }
        self.request(path, request)
    }

    /// Sends `request`, made by the test, to `path`.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it breaks off.
    pub fn request(&self, path: &str, request: Request<Body>) -> Result<Answer, RequestError> {
        let label = format!("{} {path}", request.method());
        let answer = async {
            let response = self.connect(path, request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| format!("the answer breaks off: {error}"))?;
            Ok::<_, AnyError>(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
        };
        match RUNTIME.block_on(real::timeout(PATIENCE, answer)) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(why)) => Err(RequestError(format!("{label}: {}", chain(&*why)))),
            None => Err(RequestError(format!("{label}: no answer within {PATIENCE:?}"))),
        }
    }

    /// Begins a POST whose body is sent piece by piece, while the answer is read piece by piece.
    #[must_use]
    pub fn exchange(&self, path: &str) -> Exchange {
        let (pieces, sent) = futures::channel::mpsc::channel(0);
        let body = StreamBody::new(sent.map(|piece: Bytes| Ok(Frame::data(piece))));
        let mut request = Request::new(BodyExt::boxed(body));
        *request.method_mut() = Method::POST;
        let (client, path) = (self.clone(), path.to_owned());
        let response = RUNTIME.spawn(async move {
            client.connect(&path, request).await.map_err(|error| RequestError(error.to_string()))
        });
        Exchange { pieces: Some(pieces), answer: Reading::Head(response) }
    }

    async fn connect(&self, path: &str, mut request: Request<Body>) -> Result<Response<Incoming>, AnyError> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer, or with whoever reads it.
        tokio::spawn(connection);
        *request.uri_mut() = path.parse()?;
        request.headers_mut().entry(header::HOST).or_insert(self.authority.parse()?);
        Ok(sender.send_request(request).await?)
    }
}

/// A request and its answer, both still on their way.
pub struct Exchange {
    pieces: Option<futures::channel::mpsc::Sender<Bytes>>,
    answer: Reading,
}

enum Reading {
    Head(JoinHandle<Result<Response<Incoming>, RequestError>>),
    Body(Incoming),
}

impl Exchange {
    /// Sends a piece of the request's body.
    ///
    /// # Panics
    ///
    /// When the server does not take it.
    #[track_caller]
    pub fn send(&mut self, piece: &str) {
        let pieces = self.pieces.as_mut().expect("the request is not finished");
        let sent = RUNTIME.block_on(real::timeout(PATIENCE, pieces.send(Bytes::copy_from_slice(piece.as_bytes()))));
        sent.expect("the server takes it in time").expect("the server takes it");
    }

    /// Ends the request's body.
    pub fn finish(&mut self) {
        self.pieces = None;
    }

    /// Returns the next piece of the answer's body; none when it is over.
    ///
    /// # Panics
    ///
    /// When it does not come, or breaks off.
    #[track_caller]
    pub fn receive(&mut self) -> Option<String> {
        let read = real::timeout(PATIENCE, self.answer.next());
        let piece = RUNTIME.block_on(read).unwrap_or_else(|| panic!("nothing of the answer within {PATIENCE:?}"));
        let piece = piece.transpose().unwrap_or_else(|error| panic!("the answer breaks off: {error}"));
        piece.map(|piece| String::from_utf8_lossy(&piece).into_owned())
    }
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Bytes, RequestError>> {
        if let Self::Head(response) = self {
            match response.await.expect("the task does not panic") {
                Ok(response) => *self = Self::Body(response.into_body()),
                Err(error) => return Some(Err(error)),
            }
        }
        let Self::Body(body) = self else { return None };
        loop {
            match body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(RequestError(error.to_string()))),
            }
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
