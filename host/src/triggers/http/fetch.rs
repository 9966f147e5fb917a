//! One request, from the client to the Worker and back.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use miniflow_runtime::clock::real;
use tokio::sync::oneshot;
use wasmtime_wasi_http::handler::{InstantiationError, ProxyHandler, TrapOrPanicError};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode as P2ErrorCode;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode as P3ErrorCode;
use wasmtime_wasi_http::{Error, WasiBody};

use super::answer;
use super::flushed::Flushed;
use super::instances::{Instances, Label, Ticket};
use super::permits::{NoPermit, Permits, RequestPermit};
use super::server::{Peer, Service};
use crate::bindings::logging::{Level, LogLine};
use crate::urls;
use crate::wasm::inward::{self, CallError};
use crate::wasm::limits::Presence;
use crate::wasm::{self, Death, Generation, Slot, for_client};
use crate::wasm::{edge, own_address};

/// An instance that ended mid-request is put away at once, and then says what it died of.
const DEATH_MAX: Duration = Duration::from_secs(5);

/// A guest of WASI 0.2 that did not answer may have died, or just returned.
const SILENT_DEATH_MAX: Duration = Duration::from_millis(500);

/// What wasmtime says about such a guest.
const NEVER_ANSWERED: &str = "guest never invoked `response-outparam::set` method";

/// Hands requests to the present generation of a Worker. Cheap to clone.
#[derive(Clone)]
pub struct Fetch(Arc<Shared>);

struct Shared {
    slot: Slot,
    permits: Permits,
    serving: Mutex<Option<Serving>>,
}

#[derive(Clone)]
struct Serving {
    generation: Arc<Generation>,
    handler: ProxyHandler<Instances>,
}

impl Fetch {
    /// Serves what is in `slot` when a request comes, with a permit of `permits`. Before there is anything, requests wait.
    #[must_use]
    pub fn new(slot: Slot, permits: Permits) -> Self {
        Self(Arc::new(Shared { slot, permits, serving: Mutex::default() }))
    }

    /// Answers `request`, which came in on `local`. When dropped, the guest is told to give the request up.
    pub async fn handle<B>(&self, request: Request<B>, local: SocketAddr) -> Response<WasiBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let mut request = match absolute(request, local) {
            Ok(request) => request.map(|body| body.map_err(Into::into).boxed_unsync()),
            Err(why) => return answer::bad_request(why),
        };
        inward::forget(request.headers_mut());
        let depth = own_address::depth_of(request.headers_mut());
        if let Some(Peer(client)) = request.extensions().get().copied() {
            edge::arrives(request.headers_mut(), client.ip());
        }
        if is_websocket(request.headers()) {
            // Nothing that the Worker could answer would be one.
            tracing::warn!("`{}` was asked for a WebSocket, which is not run yet", request.uri().path());
            return answer::no_websocket(request.uri().path());
        }
        let accepted: Vec<_> = request.headers().get_all(header::ACCEPT_ENCODING).iter().cloned().collect();
        match self.ask(request, depth).await {
            Ok(response) => for_client(response, &accepted).map(|body| Flushed::new(body).boxed_unsync()),
            Err(Failure::NoFetch { worker, classes }) => answer::no_fetch(&worker, classes),
            Err(Failure::Overloaded { max }) => answer::overloaded(max),
            // A reason that the connection knows replaces this answer.
            Err(Failure::Body) => answer::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", Failure::Body)),
            Err(Failure::Failed { worker, label, why }) => answer::failed(&worker, &label, &why),
        }
    }

    /// Passes the request of another Worker on, which is the `depth`-th that is asked.
    ///
    /// # Errors
    ///
    /// When the Worker has no handler, or fails.
    pub async fn call(&self, request: Request<WasiBody>, depth: u32) -> Result<Response<WasiBody>, CallError> {
        self.ask(request, depth).await.map_err(|failure| CallError(failure.to_string()))
    }

    async fn ask(&self, request: Request<WasiBody>, depth: u32) -> Result<Response<WasiBody>, Failure> {
        let serving = self.0.serving().await;
        let generation = &serving.generation;
        let worker = || generation.worker().to_owned();
        if !generation.has_fetch() {
            return Err(Failure::NoFetch { worker: worker(), classes: generation.classes().len() });
        }
        let (request, permit) = self.0.permit(generation.worker(), request, depth).await?;

        let (here, gone) = oneshot::channel();
        let mut here = Here { client: Some(Presence::default()), _here: here };
        let client = here.client.clone().unwrap_or_default();
        let (death, died) = oneshot::channel();
        let label = Arc::new(Label { method: request.method().clone(), uri: request.uri().clone() });
        let ticket = Ticket { label: Arc::clone(&label), depth, gone, client, death };
        let answered = serving.handler.handle(ticket, request).await;
        let client = here.client.take();
        match answered {
            Ok(response) => {
                let response = match wasm::answer(response) {
                    Ok(response) => response,
                    Err(error) => {
                        let why = error.to_string();
                        log_failure(generation, &label, &why);
                        return Err(Failure::Failed { worker: worker(), label, why });
                    }
                };
                let left = length(response.headers());
                Ok(response.map(|body| Held { body, left, begun: None, client, _permit: permit }.boxed_unsync()))
            }
            Err(error) => {
                let why = explain(generation, &label, &error, died).await;
                Err(Failure::Failed { worker: worker(), label, why })
            }
        }
    }
}

/// The client of a request, as long as it waits for the answer.
struct Here {
    /// None: it has the answer, or its beginning.
    client: Option<Presence>,
    _here: oneshot::Sender<()>,
}

impl Drop for Here {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            client.leave();
        }
    }
}

/// Why a Worker did not answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the Worker `{worker}` has no fetch handler")]
    NoFetch { worker: String, classes: usize },
    #[error("{max} requests are in progress and none of them has ended for a while")]
    Overloaded { max: usize },
    #[error("the body of the request could not be read")]
    Body,
    #[error("the Worker `{worker}` failed at {label}: {why}")]
    Failed { worker: String, label: Arc<Label>, why: String },
}

impl Service for Fetch {
    async fn call(&self, request: Request<WasiBody>, local: SocketAddr) -> Response<WasiBody> {
        self.handle(request, local).await
    }
}

impl Shared {
    /// Waits for a permit for `request`, which returns with its body as far as it was read meanwhile.
    async fn permit(
        &self,
        worker: &str,
        request: Request<WasiBody>,
        depth: u32,
    ) -> Result<(Request<WasiBody>, RequestPermit), Failure> {
        let failed = |why| match why {
            NoPermit::Overloaded { max } => Failure::Overloaded { max },
            NoPermit::Body => Failure::Body,
        };
        if depth > 0 {
            return Ok((request, self.permits.nested(worker, depth).await.map_err(failed)?));
        }
        let client = request.extensions().get().map(|Peer(client)| client.ip());
        let (parts, body) = request.into_parts();
        let is_asked_for = parts.headers.contains_key(header::EXPECT);
        let (body, permit) = self.permits.outside(body, is_asked_for, client).await.map_err(failed)?;
        Ok((Request::from_parts(parts, body), permit))
    }

    async fn serving(&self) -> Serving {
        let generation = match self.slot.get() {
            Some(generation) => generation,
            None => self.slot.wait_for(|_| true).await,
        };
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        match &*serving {
            Some(present) if Arc::ptr_eq(&present.generation, &generation) => present.clone(),
            _ => {
                let handler = ProxyHandler::new(Instances(Arc::clone(&generation)));
                serving.insert(Serving { generation, handler }).clone()
            }
        }
    }
}

/// Gives the request the URL that the client meant: hyper has the path only, the rest is in `Host`.
fn absolute<B>(mut request: Request<B>, local: SocketAddr) -> Result<Request<B>, &'static str> {
    urls::normalize_target(request.uri_mut());
    if request.method() == Method::CONNECT {
        return Err("a Worker is not a proxy");
    }
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if parts.authority.is_none() {
        parts.authority = Some(authority(request.headers(), local)?);
    }
    parts.scheme.get_or_insert(Scheme::HTTP);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| "its target is not a path")?;
    Ok(request)
}

/// Whether the client wants the connection to become a WebSocket.
fn is_websocket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn authority(headers: &HeaderMap, local: SocketAddr) -> Result<Authority, &'static str> {
    match headers.get(header::HOST) {
        Some(host) => Authority::try_from(host.as_bytes()).map_err(|_| "its `Host` header is not a host"),
        None => Authority::try_from(local.to_string()).map_err(|_| "it has no `Host` header"),
    }
}

/// Says why the guest failed; what it died of was told on the console already, the rest is told here.
async fn explain(
    generation: &Generation,
    label: &Label,
    error: &wasmtime::Error,
    died: oneshot::Receiver<Death>,
) -> String {
    let text = format!("{error:#}");
    let ended = error.is::<TrapOrPanicError>();
    if ended || text.contains(NEVER_ANSWERED) {
        let patience = if ended { DEATH_MAX } else { SILENT_DEATH_MAX };
        if let Some(Ok(death)) = real::timeout(patience, died).await {
            return death.report();
        }
    }
    let why = if let Some(failed) = error.downcast_ref::<InstantiationError<Ticket>>() {
        format!("the component could not be started: {:#}", failed.error)
    } else if let Some(P3ErrorCode::InternalError(Some(text))) = error.downcast_ref() {
        text.clone()
    } else if let Some(P2ErrorCode::InternalError(Some(text))) = error.downcast_ref() {
        text.clone()
    } else {
        text
    };
    log_failure(generation, label, &why);
    why
}

fn log_failure(generation: &Generation, label: &Label, why: &str) {
    generation.services().logs.line(LogLine {
        level: Level::Error,
        message: format!("{label}: {why}"),
        worker: generation.worker().to_owned(),
        instance: None,
        step: None,
    });
}

/// The length that a response says it has.
fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A response's body, which keeps the request's permit while it is sent. A client that has begun to read it and stops before its end has gone;
/// one that reads nothing of it may have wanted no more than the head.
struct Held {
    body: WasiBody,
    /// What is to come of it, if that is known.
    left: Option<usize>,
    /// Whom it is sent to; none before the first of it is asked for, and when nothing is to come any more.
    begun: Option<Presence>,
    client: Option<Presence>,
    _permit: RequestPermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(client) = self.begun.take().filter(|_| !self.body.is_end_stream()) {
            client.leave();
        }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(client) = self.client.take() {
            self.begun = Some(client);
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let ended = match &polled {
            Poll::Pending => false,
            Poll::Ready(None | Some(Err(_))) => true,
            Poll::Ready(Some(Ok(frame))) => {
                let read = frame.data_ref().map_or(0, Bytes::len);
                self.left = self.left.map(|left| left.saturating_sub(read));
                self.left == Some(0)
            }
        };
        if ended {
            self.begun = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(target: &str, host: Option<&str>) -> Result<String, &'static str> {
        let mut request = Request::builder().uri(target);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let local = SocketAddr::from(([127, 0, 0, 1], 8787));
        absolute(request.body(()).unwrap(), local).map(|request| request.uri().to_string())
    }

    #[test]
    fn a_request_gets_the_url_that_the_client_meant() {
        assert_eq!(url("/a?b=c", Some("shop.test:81")).unwrap(), "http://shop.test:81/a?b=c");
        assert_eq!(url("/", None).unwrap(), "http://127.0.0.1:8787/");
        assert_eq!(url("http://shop.test/x", Some("other.test")).unwrap(), "http://shop.test/x");
        assert!(url("/", Some("not a host")).is_err());
    }
}
