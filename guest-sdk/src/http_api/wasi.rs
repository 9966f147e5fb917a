//! The only place that touches `wasi:http`: it turns the host's requests and responses into ours and back.
//!
//! A body that was not opened here keeps the host's own stream, which is handed back untouched. Everything else is written
//! by a task of its own that lives on after the handler has answered and ends when the reader goes away.

use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::body::{Body, Inner};
use super::coding::{self, Coding};
use super::framing::{check_response, frame_request, frame_response, is_null_body};
use super::route::{ROUTE_HEADER, Route};
use super::{Headers, Method, Request, Response};
use crate::bindings::wasi::http::client;
use crate::bindings::wasi::http::types::{self, ErrorCode, Fields, Scheme};
use crate::bindings::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter, spawn_local};
use crate::bindings::{wit_future, wit_stream};
use crate::{Error, Result, console_error};

type Trailers = Result<Option<types::Trailers>, ErrorCode>;

/// What one read asks for. The host gives what has arrived, at most this much.
const CHUNK_BYTES: usize = 64 * 1024;

/// Fields of one connection, which HTTP does not let a Worker choose, and `host`, which is the URI's authority.
const CONNECTION_FIELDS: [&str; 9] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "trailer",
    "upgrade",
];

/// A message of the host whose body nobody has opened yet.
#[derive(Debug)]
pub(super) enum Incoming {
    Request(types::Request),
    Response(types::Response, Option<Coding>),
}

/// The body of such a message while it is read.
#[derive(Debug)]
pub(super) struct Opened {
    contents: StreamReader<u8>,
    trailers: FutureReader<Trailers>,
    /// Dropping it tells the host that the message was processed, so it is kept while the body is read.
    _processed: FutureWriter<Result<(), ErrorCode>>,
}

impl Incoming {
    pub(super) fn headers(&self) -> Headers {
        let fields = match self {
            Self::Request(request) => request.get_headers(),
            Self::Response(response, _) => response.get_headers(),
        };
        let fields = fields.copy_all();
        let mut map = HeaderMap::with_capacity(fields.len());
        for (name, value) in fields {
            // The host has checked both; `http` is as strict at most.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                map.append(name, value);
            }
        }
        map.into()
    }

    /// Returns scheme and authority of a request, such as `http://127.0.0.1:8787`.
    pub(super) fn origin(&self) -> String {
        let Self::Request(request) = self else { return String::new() };
        let scheme = match request.get_scheme() {
            Some(Scheme::Https) => "https".to_owned(),
            Some(Scheme::Other(other)) => other,
            Some(Scheme::Http) | None => "http".to_owned(),
        };
        format!("{scheme}://{}", request.get_authority().unwrap_or_default())
    }

    /// Returns the length that the message declares.
    pub(super) fn length(&self) -> Option<HeaderValue> {
        let fields = match self {
            Self::Request(request) => request.get_headers(),
            Self::Response(response, _) => response.get_headers(),
        };
        let lengths = fields.get(http::header::CONTENT_LENGTH.as_str());
        HeaderValue::try_from(lengths.into_iter().next()?).ok()
    }

    /// Returns the content coding of the body, which the Worker does not see when it reads.
    pub(super) fn coding(&self) -> Option<&Coding> {
        match self {
            Self::Request(_) => None,
            Self::Response(_, coding) => coding.as_ref(),
        }
    }

    /// Opens the body for the Worker, decoded by the host.
    pub(super) async fn read(self) -> Result<Opened> {
        let Some(coding) = self.coding() else { return Ok(self.open()) };
        let headers = Headers::new();
        headers.set(ROUTE_HEADER, &format!("decode {}", coding.value))?;
        let Opened { contents, trailers, .. } = self.open();
        let (request, _sent) = types::Request::new(fields(headers)?, Some(contents), trailers, None);
        let refused = |()| Error::from("the body could not be decoded");
        request.set_authority(Some("decode.invalid")).map_err(refused)?;
        request.set_path_with_query(Some("/")).map_err(refused)?;
        let decoded = client::send(request).await;
        let decoded = decoded.map_err(|error| broken("the body could not be decoded", &error))?;
        Ok(Self::Response(decoded, None).open())
    }

    /// Opens the body as it came.
    pub(super) fn open(self) -> Opened {
        let (processed, result) = wit_future::new(|| Ok(()));
        let (contents, trailers) = match self {
            Self::Request(request) => types::Request::consume_body(request, result),
            Self::Response(response, _) => types::Response::consume_body(response, result),
        };
        Opened { contents, trailers, _processed: processed }
    }
}

impl Opened {
    /// Reads what comes next; none at the end.
    pub(super) async fn next(mut self) -> Result<Option<(Vec<u8>, Self)>> {
        let (result, chunk) = self.contents.read(Vec::with_capacity(CHUNK_BYTES)).await;
        if !chunk.is_empty() || matches!(result, StreamResult::Complete(_)) {
            return Ok(Some((chunk, self)));
        }
        match self.trailers.await {
            Ok(_) => Ok(None),
            Err(error) => Err(broken("the body broke off", &error)),
        }
    }

    /// Reads to the end.
    pub(super) async fn collect(mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        loop {
            if bytes.len() == bytes.capacity() {
                bytes.reserve(CHUNK_BYTES);
            }
            let (result, read) = self.contents.read(bytes).await;
            bytes = read;
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        match self.trailers.await {
            Ok(_) => Ok(bytes),
            Err(error) => Err(broken("the body broke off", &error)),
        }
    }
}

/// Takes over a request from the host. Headers and origin are fetched when asked for.
pub(crate) fn request_from_host(request: types::Request) -> Request {
    let method = match request.get_method() {
        types::Method::Get => Method::Get,
        types::Method::Head => Method::Head,
        types::Method::Post => Method::Post,
        types::Method::Put => Method::Put,
        types::Method::Delete => Method::Delete,
        types::Method::Connect => Method::Connect,
        types::Method::Options => Method::Options,
        types::Method::Trace => Method::Trace,
        types::Method::Patch => Method::Patch,
        types::Method::Other(other) => Method::Other(other),
    };
    let path = request.get_path_with_query().unwrap_or_else(|| "/".to_owned());
    Request::incoming(method, path, Body(Inner::Incoming(Incoming::Request(request))))
}

/// Hands a response to the host; `to_head`: the method of the request was `HEAD`.
pub(crate) fn response_to_host(response: Response, to_head: bool) -> Result<types::Response> {
    let (status, headers, body) = response.into_parts();
    check_response(status, &body)?;
    let body = coding::settle(body, &headers, true)?;
    headers.with_map(|map| frame_response(status, map, &body, to_head));
    let (contents, trailers) = body_to_host(if to_head { Body::empty() } else { body });
    let (response, _sent) = types::Response::new(fields(headers)?, contents, trailers);
    response.set_status_code(status).map_err(|()| Error::from(format!("{status} is not an HTTP status")))?;
    Ok(response)
}

/// Sends a request and returns the response as soon as its head is there.
pub(super) async fn send(
    method: &Method,
    url: &url::Url,
    headers: Headers,
    body: Body,
    route: Option<&Route>,
) -> Result<Response> {
    // A header of that name which came from somewhere else leads nowhere.
    headers.delete(ROUTE_HEADER)?;
    if headers.get("upgrade")?.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return Err(Error::Fetch(format!("cannot fetch `{url}`: WebSockets are not run yet")));
    }
    if let Some(route) = route {
        headers.set(ROUTE_HEADER, route.header())?;
    }
    let asked = if route.is_none() { Some(coding::ask(&headers)?) } else { None };
    let body = coding::settle(body, &headers, false)?;
    headers.with_map(|map| frame_request(method, map, &body));
    let (contents, trailers) = body_to_host(body);
    let (request, _sent) = types::Request::new(fields(headers)?, contents, trailers, None);
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => return Err(Error::Fetch(format!("cannot fetch `{url}`: `{other}` is not HTTP"))),
    };
    let refused = |what: &str| Error::Fetch(format!("cannot fetch `{url}`: the {what} is not allowed in HTTP"));
    request.set_method(&method_to_host(method)).map_err(|()| refused("method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| refused("scheme"))?;
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    request.set_authority(Some(authority)).map_err(|()| refused("host"))?;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    request.set_path_with_query(Some(path)).map_err(|()| refused("path"))?;

    let response = client::send(request).await.map_err(|error| match (route, error) {
        // What the other side failed with, as it said it.
        (Some(_), ErrorCode::InternalError(Some(text))) => Error::from(text),
        (_, error) => Error::Fetch(format!("cannot fetch `{url}`: {}", describe(&error))),
    })?;
    let status = response.get_status_code();
    let mut incoming = Incoming::Response(response, None);
    let headers = incoming.headers();
    if let Incoming::Response(_, coding) = &mut incoming {
        *coding = coding::received(&headers, asked)?;
    }
    // The length in an answer to `HEAD` is that of a body which does not come.
    let has_body = *method != Method::Head && !is_null_body(status);
    let body = if has_body { Inner::Incoming(incoming) } else { Inner::Empty };
    Ok(Response::from_parts(status, headers, Body(body)))
}

fn method_to_host(method: &Method) -> types::Method {
    match method {
        Method::Get => types::Method::Get,
        Method::Head => types::Method::Head,
        Method::Post => types::Method::Post,
        Method::Put => types::Method::Put,
        Method::Patch => types::Method::Patch,
        Method::Delete => types::Method::Delete,
        Method::Options => types::Method::Options,
        Method::Connect => types::Method::Connect,
        Method::Trace => types::Method::Trace,
        Method::Other(other) => types::Method::Other(other.clone()),
    }
}

fn fields(headers: Headers) -> Result<Fields> {
    let map: HeaderMap = headers.into();
    let list: Vec<_> = map
        .iter()
        .filter(|(name, _)| !CONNECTION_FIELDS.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Fields::from_list(&list).map_err(|error| format!("the headers were refused: {error:?}").into())
}

/// Returns what the host reads the body from.
fn body_to_host(body: Body) -> (Option<StreamReader<u8>>, FutureReader<Trailers>) {
    match body.0 {
        Inner::Incoming(incoming) => {
            let Opened { contents, trailers, .. } = incoming.open();
            (Some(contents), trailers)
        }
        Inner::Empty | Inner::Used => {
            let (end, trailers) = wit_future::new(|| Ok(None));
            drop(end);
            (None, trailers)
        }
        Inner::Bytes(bytes) => {
            let (mut writer, contents, end, trailers) = body_channel();
            drop(spawn_local(async move {
                if writer.write_all(bytes).await.is_empty() {
                    finish(writer, end, Ok(None)).await;
                }
            }));
            (Some(contents), trailers)
        }
        Inner::Stream(mut chunks) => {
            let (mut writer, contents, end, trailers) = body_channel();
            drop(spawn_local(async move {
                while let Some(chunk) = chunks.next().await {
                    let chunk = match chunk {
                        Ok(chunk) => chunk,
                        Err(error) => {
                            console_error!("the body broke off: {error}");
                            let error = ErrorCode::InternalError(Some(error.to_string()));
                            return finish(writer, end, Err(error)).await;
                        }
                    };
                    if !writer.write_all(chunk).await.is_empty() {
                        // The reader is gone; so may be what makes the chunks.
                        return;
                    }
                }
                finish(writer, end, Ok(None)).await;
            }));
            (Some(contents), trailers)
        }
    }
}

/// A body whose writer goes away before the end is not complete: the default of its end is an error.
fn body_channel() -> (StreamWriter<u8>, StreamReader<u8>, FutureWriter<Trailers>, FutureReader<Trailers>) {
    let (writer, contents) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Err(ErrorCode::InternalError(Some("the body broke off".to_owned()))));
    (writer, contents, end, trailers)
}

async fn finish(writer: StreamWriter<u8>, end: FutureWriter<Trailers>, result: Trailers) {
    drop(writer);
    // An error means that nobody waits for the end.
    let _ = end.write(result).await;
}

fn broken(what: &str, error: &ErrorCode) -> Error {
    Error::Fetch(format!("{what}: {}", describe(error)))
}

fn describe(error: &ErrorCode) -> String {
    match error {
        ErrorCode::ConnectionRefused => "connection refused".to_owned(),
        ErrorCode::ConnectionTimeout => "timed out while connecting".to_owned(),
        ErrorCode::ConnectionTerminated => "the connection was closed".to_owned(),
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => "no such host".to_owned(),
        ErrorCode::TlsProtocolError => {
            "no secure connection: the server does not speak TLS, or broke it off".to_owned()
        }
        ErrorCode::TlsCertificateError => "the certificate of the server is not trusted".to_owned(),
        ErrorCode::HttpRequestDenied => "the request was denied".to_owned(),
        ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => {
            "timed out while waiting for the response".to_owned()
        }
        ErrorCode::InternalError(Some(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}
