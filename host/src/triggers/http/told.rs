//! One line in the log for each request.
//!
//! Promises: it is said when the answer begins, and how long that took; also when the client did not wait for it. What is asked of the server
//! itself, under `/cdn-cgi/`, is said at level debug, as clients ask it again and again. Never does: change a request or an answer.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use miniflow_runtime::clock::Stopwatch;
use tracing::Level;

use super::{Body, Service};

/// Of a path in a line, in characters: what is longer is for whoever reads the log as JSON.
const PATH_MAX: usize = 120;

/// What is asked of the server itself.
const OWN: &str = "/cdn-cgi/";

/// A service whose requests are logged.
#[derive(Clone)]
pub struct Told<S> {
    service: S,
    worker: Arc<str>,
    /// Its name stands in the line.
    is_named: bool,
}

impl<S> Told<S> {
    /// Tells of the requests to `service`, which are for `worker`; says which one that is when `is_named`.
    #[must_use]
    pub fn new(service: S, worker: &str, is_named: bool) -> Self {
        Self { service, worker: worker.into(), is_named }
    }
}

impl<S: Service> Service for Told<S> {
    async fn call(&self, request: Request<Incoming>, local: SocketAddr) -> Response<Body> {
        let is_own = request.uri().path().starts_with(OWN);
        let is_told = if is_own { tracing::enabled!(Level::DEBUG) } else { tracing::enabled!(Level::INFO) };
        if !is_told {
            return self.service.call(request, local).await;
        }
        let worker = if is_own { None } else { Some(Arc::clone(&self.worker)) };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let mut asked = Asked { method, uri, worker, is_named: self.is_named, since: Stopwatch::start(), status: None };
        let response = self.service.call(request, local).await;
        asked.status = Some(response.status());
        response
    }
}

/// A request, told of when this is dropped: with its answer, or because the client went away.
struct Asked {
    method: Method,
    uri: Uri,
    worker: Option<Arc<str>>,
    is_named: bool,
    since: Stopwatch,
    status: Option<StatusCode>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let kind = "request";
        let duration_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (method, path, query) = (self.method.as_str(), self.uri.path(), self.uri.query());
        let status = self.status.map(|status| status.as_u16());
        let (worker, line) = (self.worker.as_deref(), self.line(duration_ms));
        if worker.is_some() {
            tracing::info!(kind, worker, method, path, query, status, duration_ms, "{line}");
        } else {
            tracing::debug!(kind, method, path, query, status, duration_ms, "{line}");
        }
    }
}

impl Asked {
    fn line(&self, duration_ms: u64) -> String {
        let of = match &self.worker {
            Some(worker) if self.is_named => format!("{worker} "),
            _ => String::new(),
        };
        let path = shortened(self.uri.path_and_query().map_or("/", |path| path.as_str()));
        match self.status {
            Some(status) => format!("{of}{} {path} {} ({duration_ms} ms)", self.method, status.as_u16()),
            None => format!("{of}{} {path}: the client went away ({duration_ms} ms)", self.method),
        }
    }
}

fn shortened(path: &str) -> String {
    match path.char_indices().nth(PATH_MAX) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(worker: Option<&str>, is_named: bool, uri: &str, status: Option<u16>) -> String {
        let asked = Asked {
            method: Method::POST,
            uri: uri.parse().unwrap(),
            worker: worker.map(Arc::from),
            is_named,
            since: Stopwatch::start(),
            status: status.map(|status| StatusCode::from_u16(status).unwrap()),
        };
        asked.line(12)
    }

    #[test]
    fn a_line_has_what_was_asked_and_what_came_of_it() {
        assert_eq!(line(Some("shop"), false, "/a?b=c", Some(201)), "POST /a?b=c 201 (12 ms)");
        assert_eq!(line(Some("shop"), true, "/", Some(500)), "shop POST / 500 (12 ms)");
        assert_eq!(line(None, true, "/cdn-cgi/x", Some(404)), "POST /cdn-cgi/x 404 (12 ms)");
        assert_eq!(line(Some("shop"), false, "/slow", None), "POST /slow: the client went away (12 ms)");
    }

    #[test]
    fn a_long_path_is_cut() {
        let long = format!("/{}", "a".repeat(500));
        assert_eq!(line(None, false, &long, Some(200)), format!("POST /{}… 200 (12 ms)", "a".repeat(PATH_MAX - 1)));
    }
}
