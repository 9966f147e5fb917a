//! The outside world: an HTTP server that remembers what it was asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::client::RUNTIME;
use crate::wait::{PATIENCE, Patience};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    /// Returns a parameter of the query; nothing when it is not there.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer(u16, String),
    /// Nothing, for as long as the other side waits.
    Never,
}

impl Reply {
    /// Status 200 without a body.
    #[must_use]
    pub fn ok() -> Self {
        Self::Answer(200, String::new())
    }
}

/// The server. Gone when dropped.
pub struct Sink {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: JoinHandle<()>,
}

type Decide = dyn Fn(&Seen) -> Reply + Send + Sync;

impl Sink {
    /// Starts one that says yes to everything.
    #[must_use]
    pub fn start() -> Self {
        Self::answering(|_| Reply::ok())
    }

    /// Starts one that answers as `decide` says.
    ///
    /// # Panics
    ///
    /// When the machine has no port left.
    #[must_use]
    pub fn answering(decide: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let seen = Arc::default();
        let accepting = RUNTIME.spawn(accept(listener, Arc::clone(&seen), Arc::new(decide)));
        Self { url: format!("http://{address}/"), seen, accepting }
    }

    /// Returns its address, such as `http://127.0.0.1:40123/`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the requests so far, in the order in which they came.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// Returns how many requests had these parameters.
    #[must_use]
    pub fn count(&self, params: &[(&str, &str)]) -> usize {
        let matches = |seen: &&Seen| params.iter().all(|(name, value)| seen.param(name) == *value);
        lock(&self.seen).iter().filter(matches).count()
    }

    /// Waits until at least `count` requests had these parameters.
    ///
    /// # Panics
    ///
    /// When they do not come.
    #[track_caller]
    pub fn wait_for(&self, count: usize, params: &[(&str, &str)]) {
        let patience = Patience::default();
        while self.count(params) < count {
            let seen = self.count(params);
            assert!(patience.wait(), "{seen} of {count} requests with {params:?} within {PATIENCE:?}");
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>, decide: Arc<Decide>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&decide)));
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, decide: Arc<Decide>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let (seen, decide) = (Arc::clone(&seen), Arc::clone(&decide));
        async move { Ok::<_, Infallible>(answer(request, &seen, &*decide).await) }
    });
    // Clients that were killed do not say goodbye.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(request: Request<Incoming>, all: &Mutex<Vec<Seen>>, decide: &Decide) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    // Broken off in the middle: it never came.
    let Ok(body) = body.collect().await else { return std::future::pending().await };
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let seen = Seen {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: query.into_owned().collect(),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let reply = decide(&seen);
    lock(all).push(seen);
    match reply {
        Reply::Answer(status, body) => {
            let mut response = Response::new(Full::from(body));
            *response.status_mut() = StatusCode::from_u16(status).expect("the test gives a status");
            response
        }
        Reply::Never => std::future::pending().await,
    }
}

fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
