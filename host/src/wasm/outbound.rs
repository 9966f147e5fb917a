//! HTTP that guests send: to the network, or to each other.
//!
//! Promises: every request of a guest, WASI 0.2 and 0.3, passes here; one to a host that is not allowed goes no further; a run that waits for an answer, or for its body, is
//! busy; what an object wrote is durable before its request leaves. Never does: answer a request itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future;
use http::header;
use http_body::{Body, Frame, SizeHint};
use miniflow_runtime::Run;
use miniflow_runtime::clock::real;
use miniflow_runtime::run::Busy;
use wasmtime_wasi_http::p2::bindings::http::types as p2;
use wasmtime_wasi_http::p3::bindings::http::types as p3;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use super::decoding;
use super::edge;
use super::framing::OF_CONNECTION;
use super::inward::{Call, CallError, DEPTH_MAX, Depth, Target, route};
use super::outside::{self, Deed, Doer};
use super::own_address::Returns;
use super::sending::{self, Connection};
use super::services::Services;
use crate::bindings::Bindings;
use crate::bindings::durable_object::{ObjectKey, ObjectStorage};
use crate::urls;

/// Longer than waking a task takes.
const WAKE_MARGIN: Duration = Duration::from_millis(10);

/// The way out of one store.
pub(super) struct Outbound(Caller);

/// Whose way out it is.
pub(super) struct Caller {
    pub(super) services: Arc<Services>,
    pub(super) bindings: Bindings,
    pub(super) run: Option<Arc<Run>>,
    pub(super) object: Option<Arc<ObjectStorage>>,
    pub(super) depth: Depth,
}

impl Outbound {
    pub(super) fn new(caller: Caller) -> Self {
        Self(caller)
    }
}

type Sending = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Connection), Error>> + Send>;

impl WasiHttpHooks for Outbound {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| OF_CONNECTION.contains(name))
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        if let Some(order) = decoding::take_order(request.headers_mut()) {
            let decoded = decoding::obey(&order, request.into_body());
            return Box::new(future::ready(decoded.map(|response| (response, Box::new(future::ready(Ok(()))) as _))));
        }
        if urls::normalize_request(&mut request).is_err() {
            return Box::new(future::ready(Err(Error::HttpRequestUriInvalid)));
        }
        request.headers_mut().remove(header::TE);
        let run = self.0.run.clone();
        let busy = run.as_ref().filter(|run| !run.is_trial()).map(Run::busy);
        let object = self.0.object.clone();
        let target = route(request.headers_mut(), &self.0.bindings);
        let (services, depth) = (Arc::clone(&self.0.services), self.0.depth.get());
        // The guest is in the body now that sends it.
        let outside = services.outside().map(|outside| (outside, run.as_ref().map(|run| Doer::of(run))));
        Box::new(async move {
            if let Some(run) = &run {
                run.blocks("sends a request outside of a step").await;
            }
            if target.is_none() {
                edge::remove_way_in(request.headers_mut());
                let allowed = services.network.check(request.uri());
                allowed.map_err(|denied| Error::InternalError(Some(denied.to_string())))?;
            }
            if let Some(object) = &object {
                object.flush().await.map_err(|error| Error::InternalError(Some(error.to_string())))?;
            }
            let (response, connection) = match (target, outside) {
                (Some(target), outside) => {
                    if let (Ok(Target::Object { namespace, id, .. }), Some((outside, doer))) = (&target, outside) {
                        let place = ObjectKey { namespace: Arc::clone(namespace), id: *id }.place();
                        outside::show(&*outside, doer.as_ref(), Deed::Touch { place }).await;
                    }
                    (pass_on(&services, target, request, depth).await?, Box::new(future::ready(Ok(()))) as _)
                }
                (None, Some((outside, doer))) => {
                    (outside::ask(outside, doer, request).await?, Box::new(future::ready(Ok(()))) as _)
                }
                (None, None) => {
                    let returns = Returns { own: services.own_addresses(), depth };
                    sending::send(&services.tls, request, options, Some(returns)).await?
                }
            };
            let Some(busy) = busy else { return Ok((response, connection)) };
            let response = response.map(|body| WasiBody::new(Awaited { body, run, busy: None }));
            let connection = Box::into_pin(connection);
            let connection = async move { future::join(connection, release_later(busy)).await.0 };
            Ok((response, Box::new(connection) as Connection))
        })
    }

    fn p2_error_from_connect(&mut self, error: &io::Error) -> p2::ErrorCode {
        match error.kind() {
            io::ErrorKind::TimedOut => p2::ErrorCode::ConnectionTimeout,
            io::ErrorKind::ConnectionRefused => p2::ErrorCode::ConnectionRefused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => p2::ErrorCode::DestinationUnavailable,
            _ if error.raw_os_error().is_none() => {
                p2::ErrorCode::DnsError(p2::DnsErrorPayload { rcode: Some(error.to_string()), info_code: None })
            }
            _ => p2::ErrorCode::InternalError(Some(error.to_string())),
        }
    }

    fn p3_error_from_connect(&mut self, error: &io::Error) -> p3::ErrorCode {
        match error.kind() {
            io::ErrorKind::TimedOut => p3::ErrorCode::ConnectionTimeout,
            io::ErrorKind::ConnectionRefused => p3::ErrorCode::ConnectionRefused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => p3::ErrorCode::DestinationUnavailable,
            // A failed look-up comes without a number of the system's.
            _ if error.raw_os_error().is_none() => {
                p3::ErrorCode::DnsError(p3::DnsErrorPayload { rcode: Some(error.to_string()), info_code: None })
            }
            _ => p3::ErrorCode::InternalError(Some(error.to_string())),
        }
    }
}

/// Sends a request to a Worker or an object of the session.
async fn pass_on(
    services: &Services,
    target: Result<Target, CallError>,
    request: http::Request<WasiBody>,
    depth: u32,
) -> Result<http::Response<WasiBody>, Error> {
    let answer = async {
        if depth >= DEPTH_MAX {
            return Err(CallError(format!(
                "Subrequest depth limit exceeded: {DEPTH_MAX} Workers and objects ask each other already. Does one ask itself?"
            )));
        }
        services.inward().await.call(Call { target: target?, request, depth: depth + 1 }).await
    };
    answer.await.map_err(|CallError(why)| Error::InternalError(Some(why)))
}

/// Keeps the run busy until the guest has surely been woken with the response. A guest of WASI 0.2 is sent it by another
/// task: between the end of that task and the guest's next poll it would look as if nothing could happen any more.
async fn release_later(busy: Busy) {
    real::sleep(WAKE_MARGIN).await;
    drop(busy);
}

/// A response's body. While somebody waits for more of it, the run is busy; a response that is merely kept is not.
struct Awaited {
    body: WasiBody,
    run: Option<Arc<Run>>,
    busy: Option<Busy>,
}

impl Body for Awaited {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_ready() {
            this.busy = None;
        } else if this.busy.is_none() {
            this.busy = this.run.as_ref().map(Run::busy);
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
