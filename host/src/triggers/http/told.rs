//! One line in the log for each request.
//!
//! Promises: it is said when the answer begins, and how long that took; also when the client did not wait for it. A client that goes away
//! before it has the whole answer has a second line, and so has an answer that the Worker breaks off. What is asked of the server itself, under `/cdn-cgi/`, is said at level debug, as
//! clients ask it again and again. Never does: change a request or an answer.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use miniflow_runtime::clock::Stopwatch;
use tracing::Level;
use wasmtime_wasi_http::Error;

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
    async fn call(&self, request: Request<Body>, local: SocketAddr) -> Response<Body> {
        let is_own = request.uri().path().starts_with(OWN);
        let is_told = if is_own { tracing::enabled!(Level::DEBUG) } else { tracing::enabled!(Level::INFO) };
        if !is_told {
            return self.service.call(request, local).await;
        }
        let worker = if is_own { None } else { Some(Arc::clone(&self.worker)) };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let (is_named, since) = (self.is_named, Stopwatch::start());
        let mut asked = Asked { method, uri, worker, is_named, since, status: None, over: false };
        let response = self.service.call(request, local).await;
        asked.answered(response.status());
        let left = length(&response);
        response.map(|body| Sent { body, left, asked }.boxed_unsync())
    }
}

/// Bytes of the body that is to be sent, if that is known.
fn length(response: &Response<Body>) -> Option<u64> {
    let said = response.headers().get(header::CONTENT_LENGTH);
    said.and_then(|length| length.to_str().ok()?.parse().ok()).or_else(|| response.body().size_hint().exact())
}

/// A request, told of when it is answered, and when this is dropped because the client went away.
struct Asked {
    method: Method,
    uri: Uri,
    worker: Option<Arc<str>>,
    is_named: bool,
    since: Stopwatch,
    status: Option<StatusCode>,
    /// The client has all that there is for it, or it was told why not.
    over: bool,
}

/// How an exchange went on.
#[derive(Clone, Copy)]
enum Turn<'a> {
    Answered,
    ClientGone,
    /// The Worker did not end the answer that it began.
    BrokenOff(&'a str),
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        match self.status {
            Some(_) => self.tell("request_left", Turn::ClientGone),
            None => self.tell("request", Turn::ClientGone),
        }
    }
}

impl Asked {
    fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.tell("request", Turn::Answered);
        let has_no_body =
            matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        self.over = has_no_body || self.method == Method::HEAD;
    }

    fn broken_off(&mut self, why: &str) {
        if !self.over {
            self.over = true;
            self.tell("request_broken", Turn::BrokenOff(why));
        }
    }

    fn tell(&self, kind: &'static str, turn: Turn<'_>) {
        let duration_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (method, path, query) = (self.method.as_str(), self.uri.path(), self.uri.query());
        let status = self.status.map(|status| status.as_u16());
        let (worker, line) = (self.worker.as_deref(), self.line(turn, duration_ms));
        if matches!(turn, Turn::BrokenOff(_)) {
            tracing::warn!(kind, worker, method, path, query, status, duration_ms, "{line}");
        } else if worker.is_some() {
            tracing::info!(kind, worker, method, path, query, status, duration_ms, "{line}");
        } else {
            tracing::debug!(kind, method, path, query, status, duration_ms, "{line}");
        }
    }

    fn line(&self, turn: Turn<'_>, duration_ms: u64) -> String {
        let of = match &self.worker {
            Some(worker) if self.is_named => format!("{worker} "),
            _ => String::new(),
        };
        let path = shortened(self.uri.path_and_query().map_or("/", |path| path.as_str()));
        let answer = self.status.map(|status| format!(" {}", status.as_u16())).unwrap_or_default();
        let end = match (turn, self.status) {
            (Turn::Answered, _) => String::new(),
            (Turn::ClientGone, Some(_)) => ": the client went away before the end of the answer".to_owned(),
            (Turn::ClientGone, None) => ": the client went away".to_owned(),
            (Turn::BrokenOff(why), _) => format!(": the answer broke off: {why}"),
        };
        format!("{of}{} {path}{answer}{end} ({duration_ms} ms)", self.method)
    }
}

/// The body of an answer.
struct Sent {
    body: Body,
    /// Bytes that are still to come, if that is known.
    left: Option<u64>,
    asked: Asked,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
                self.left = self.left.map(|left| left.saturating_sub(bytes));
            }
            Poll::Ready(Some(Err(error))) => {
                let why = error.to_string();
                self.asked.broken_off(&why);
            }
            // The Worker declared a length that it did not keep.
            Poll::Ready(None) => match self.left {
                Some(left) if left > 0 => {
                    let why = format!("{left} bytes of its declared length are missing");
                    self.asked.broken_off(&why);
                }
                _ => self.asked.over = true,
            },
            Poll::Pending => {}
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

impl Drop for Sent {
    fn drop(&mut self) {
        // Nobody asks for more of it then.
        self.asked.over |= self.left == Some(0) || self.body.is_end_stream();
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

    fn line(worker: Option<&str>, is_named: bool, uri: &str, status: Option<u16>, gone: bool) -> String {
        let turn = if gone { Turn::ClientGone } else { Turn::Answered };
        asked(worker, is_named, uri, status).line(turn, 12)
    }

    fn asked(worker: Option<&str>, is_named: bool, uri: &str, status: Option<u16>) -> Asked {
        Asked {
            method: Method::POST,
            uri: uri.parse().unwrap(),
            worker: worker.map(Arc::from),
            is_named,
            since: Stopwatch::start(),
            status: status.map(|status| StatusCode::from_u16(status).unwrap()),
            over: true,
        }
    }

    #[test]
    fn a_line_has_what_was_asked_and_what_came_of_it() {
        assert_eq!(line(Some("shop"), false, "/a?b=c", Some(201), false), "POST /a?b=c 201 (12 ms)");
        assert_eq!(line(Some("shop"), true, "/", Some(500), false), "shop POST / 500 (12 ms)");
        assert_eq!(line(None, true, "/cdn-cgi/x", Some(404), false), "POST /cdn-cgi/x 404 (12 ms)");
        assert_eq!(line(Some("shop"), false, "/slow", None, true), "POST /slow: the client went away (12 ms)");
        let left = line(Some("shop"), false, "/", Some(200), true);
        assert_eq!(left, "POST / 200: the client went away before the end of the answer (12 ms)");
        let broken = asked(Some("shop"), false, "/", Some(200)).line(Turn::BrokenOff("gone"), 12);
        assert_eq!(broken, "POST / 200: the answer broke off: gone (12 ms)");
    }

    #[test]
    fn a_long_path_is_cut() {
        let long = format!("/{}", "a".repeat(500));
        assert_eq!(
            line(None, false, &long, Some(200), false),
            format!("POST /{}… 200 (12 ms)", "a".repeat(PATH_MAX - 1))
        );
    }
}
