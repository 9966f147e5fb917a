//! Connections: HTTP/1.1 over TCP.
//!
//! **Guarantees.** [`serve`] ends at most [`GRACE`] after `shutdown`. A connection that breaks ends the request on it. A connection is closed when
//! it is idle, or when a head or a body stops arriving, for longer than [`Limits`] says. A client that sends its whole request before it reads gets
//! the answer, whether the body was read or not. A body that cannot be read is answered with 400 or 408, never with a 5xx.
//!
//! **Non-goals.** Routing.

mod body;
mod exchange;
mod flood;
mod unread;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures::future::{self, Either};
use http::{HeaderValue, Request, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use miniflow_runtime::clock::real;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wasmtime_wasi_http::WasiBody;

use self::body::{Arriving, Leaving};
use self::exchange::{Exchange, Watched};
use self::flood::{Flood, WINDOW};
use self::unread::Unread;
use super::answer;
use crate::urls;

use self::body::BodyFault;

/// How long requests in flight, and bodies of steps, may take when the server stops.
pub const GRACE: Duration = Duration::from_secs(2);

/// After a connection could not be accepted: the machine is out of something, which may come back.
const ACCEPT_DELAY: Duration = Duration::from_millis(50);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// For the head of a request, counted from the end of the answer before: also how long a connection may be idle.
    head: Duration,
    /// Between two pieces of a body.
    body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), body: Duration::from_secs(30) }
    }
}

/// Who sent a request: an extension of it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Answers requests.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one. `local` is the address it came in on. Dropped when the client goes away.
    fn call(&self, request: Request<WasiBody>, local: SocketAddr) -> impl Future<Output = Response<WasiBody>> + Send;
}

/// Serves `listener` until `shutdown` resolves; then stops accepting and lets requests in flight finish, for at most two
/// seconds.
///
/// # Errors
///
/// When the listener has no address.
pub async fn serve<S: Service>(
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let (refused, slow) = (Flood::default(), Flood::default());
    let mut shutdown = pin!(shutdown);
    loop {
        // Cancel-safe: neither accepting nor joining loses anything when dropped.
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Answers are whole when they are written: waiting for more to send along only delays them.
                    let _ = stream.set_nodelay(true);
                    let connection = Connection {
                        peer: Peer(peer),
                        local,
                        service: service.clone(),
                        limits: Limits::default(),
                        slow: slow.clone(),
                    };
                    connections.spawn(connection.run(stream, stopping.clone()));
                }
                Err(error) => {
                    refused.note(move |count| not_accepted(&error, count));
                    real::sleep(ACCEPT_DELAY).await;
                }
            },
        }
    }
    drop(listener);
    // Fails when no connection is left to be told.
    let _ = stop.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if real::timeout(GRACE, all).await.is_none() {
        tracing::debug!("{} connections were cut", connections.len());
    }
    Ok(())
}

fn not_accepted(error: &io::Error, count: u64) {
    if count == 1 {
        tracing::warn!("a connection could not be accepted: {error}");
    } else {
        tracing::warn!("connections could not be accepted, {count} attempts in {} s: {error}", WINDOW.as_secs());
    }
}

/// A connection of one client.
struct Connection<S> {
    peer: Peer,
    local: SocketAddr,
    service: S,
    limits: Limits,
    /// Clients that did not send the head of a request in time.
    slow: Flood,
}

impl<S: Service> Connection<S> {
    async fn run<T>(self, stream: T, mut stopping: watch::Receiver<bool>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer, local, service, limits, slow } = self;
        let exchange = Exchange::default();
        let stream = TokioIo::new(Watched::new(stream, exchange.clone()));
        let answer = service_fn({
            let exchange = exchange.clone();
            move |request: Request<Incoming>| {
                let (service, exchange) = (service.clone(), exchange.clone());
                exchange.begins(request.body().is_end_stream());
                async move {
                    let leaving = exchange.clone();
                    let response = answer(&service, request, exchange, peer, local, limits.body).await;
                    Ok::<_, Infallible>(response.map(|body| Leaving::new(body, leaving)))
                }
            }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.head);
        let mut connection = pin!(http.serve_connection(stream, answer));
        let stop = pin!(async {
            // Also when the server is gone.
            let _ = stopping.wait_for(|stop| *stop).await;
        });
        let ended = match future::select(connection.as_mut(), stop).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), _)) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        match ended {
            Err(error) if error.is_timeout() && exchange.is_in_head() => slow.note(move |count| {
                let (s, window_s) = (limits.head.as_secs_f32(), WINDOW.as_secs());
                if count == 1 {
                    tracing::warn!("closed a connection: the head of its request did not arrive within {s} s");
                } else {
                    tracing::warn!(
                        "closed {count} connections in {window_s} s: the heads of their requests did not arrive within {s} s"
                    );
                }
            }),
            // Clients go away all the time.
            Err(error) => tracing::debug!("connection ended: {error}"),
            Ok(()) => {}
        }
    }
}

async fn answer<S: Service>(
    service: &S,
    request: Request<Incoming>,
    exchange: Exchange,
    peer: Peer,
    local: SocketAddr,
    body_limit: Duration,
) -> Response<WasiBody> {
    let (mut parts, incoming) = request.into_parts();
    parts.extensions.insert(peer);
    urls::normalize_target(&mut parts.uri);
    if incoming.is_end_stream() {
        let body = incoming.map_err(Into::into).boxed_unsync();
        return service.call(Request::from_parts(parts, body), local).await;
    }
    let fault = BodyFault::default();
    let body = Arriving::new(incoming, exchange, fault.clone(), body_limit).boxed_unsync();
    let body = Unread::wrap(body, &parts.headers);
    let mut response = service.call(Request::from_parts(parts, body), local).await;
    if let Some((status, why)) = fault.get() {
        if response.status().is_server_error() {
            response = answer::text(*status, format!("{status}: the body of the request could not be read: {why}\n"));
        }
        // What comes after a broken body has no beginning.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests;
