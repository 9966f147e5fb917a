//! Connections: HTTP/1.1 over TCP.
//!
//! Promises: [`serve`] ends at most [`GRACE`] after it is told to; a connection that breaks ends the request on it. Never does: look
//! at a request.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures::future::{self, Either};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use miniflow_runtime::clock::real;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wasmtime_wasi_http::WasiBody;

use crate::urls;

/// How long requests in flight, and bodies of steps, may take when the server stops.
pub const GRACE: Duration = Duration::from_secs(2);

/// After a connection could not be accepted: the machine is out of something, which may come back.
const ACCEPT_DELAY: Duration = Duration::from_millis(50);

/// Who sent a request: an extension of it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Answers requests.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one. `local` is the address it came in on. Dropped when the client goes away.
    fn call(&self, request: Request<Incoming>, local: SocketAddr) -> impl Future<Output = Response<WasiBody>> + Send;
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
    let mut shutdown = pin!(shutdown);
    loop {
        // Cancel-safe: neither accepting nor joining loses anything when dropped.
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, Peer(peer), local, service.clone(), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
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

async fn connection<S: Service>(
    stream: TcpStream,
    peer: Peer,
    local: SocketAddr,
    service: S,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are whole when they are written: waiting for more to send along only delays them.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        urls::normalize_target(request.uri_mut());
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.call(request, local).await) }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
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
    if let Err(error) = ended {
        // Clients go away all the time.
        tracing::debug!("connection ended: {error}");
    }
}
