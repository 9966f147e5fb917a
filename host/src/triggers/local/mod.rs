//! The paths under `/cdn-cgi/`: what drives a session from outside, without the Worker.
//!
//! Promises: nobody but the person at the machine gets an answer: a request whose `Host` or `Origin` is not this machine is refused, so that a
//! page from elsewhere, or a name that points here, steers nothing. A Worker's own routes there are never reached. Never does: know HTTP
//! versions, sockets or the Worker's code beyond calling it.

mod cron;
mod introspect;
mod journal;
mod time;

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use miniflow_runtime::mover::Mover;
use miniflow_runtime::{Clock as _, Timestamp};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

pub use self::cron::CronControl;
pub use self::introspect::Introspect;
pub use self::journal::Journals;
use super::http::Body;
use crate::api::instant;
use crate::wasm::ScheduledOutcome;

/// The reserved beginning of paths.
const PREFIX: &str = "/cdn-cgi/";

/// Where a cron trigger is fired by hand; the later ones are names of earlier years.
const SCHEDULED: [&str; 3] = ["/cdn-cgi/local/scheduled", "/cdn-cgi/handler/scheduled", "/cdn-cgi/mf/scheduled"];

/// What the clock says, and moving it.
const TIME: &str = "/cdn-cgi/local/miniflow/time";

/// The test API of Workflows.
const INTROSPECT: &str = "/cdn-cgi/local/miniflow/introspect";

/// A journal as a file.
const JOURNAL: &str = "/cdn-cgi/local/miniflow/journal";

/// What fires by itself, and firing it by hand.
const CRON: &str = "/cdn-cgi/local/miniflow/cron";

/// Bytes of the body of a command, at most: most of them are short.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The same with `--test-scheduled`, answered in another way.
const TEST_SCHEDULED: &str = "/__scheduled";

/// Answers what is not for the Worker. Cheap to clone.
#[derive(Clone)]
pub struct Local {
    worker: Arc<str>,
    mover: Mover,
    cron: CronControl,
    journals: Journals,
    introspect: Option<Introspect>,
    test_scheduled: bool,
}

impl Local {
    /// For the Worker `worker`. `test_scheduled`: `/__scheduled` is taken from it.
    #[must_use]
    pub fn new(worker: &str, mover: Mover, cron: CronControl, journals: Journals, test_scheduled: bool) -> Self {
        Self { worker: Arc::from(worker), mover, cron, journals, introspect: None, test_scheduled }
    }

    /// Lets tests look into instances.
    #[must_use]
    pub fn with_introspection(self, introspect: Option<Introspect>) -> Self {
        Self { introspect, ..self }
    }

    /// The answer to a request that is not for the Worker.
    ///
    /// # Errors
    ///
    /// The request, when it is for the Worker.
    pub async fn answer<B>(&self, request: Request<B>) -> Result<Response<Body>, Request<B>>
    where
        B: HttpBody,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let control = match request.uri().path() {
            TIME => Some(Control::Time),
            CRON => Some(Control::Cron),
            INTROSPECT => self.introspect.as_ref().map(Control::Introspect),
            _ => None,
        };
        if let Some(control) = control
            && guard(request.headers()).is_ok()
        {
            return Ok(self.control(control, request).await);
        }
        match self.answer_without_body(request.uri(), request.headers()).await {
            Some(answer) => Ok(answer),
            None => Err(request),
        }
    }

    /// Shows what `control` is about, or does what the body says.
    async fn control<B>(&self, control: Control<'_>, request: Request<B>) -> Response<Body>
    where
        B: HttpBody,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let now = self.mover.clock().now();
        let (status, answer) = match *request.method() {
            Method::GET => match control {
                Control::Time => (StatusCode::OK, time::show(&self.mover).await),
                Control::Cron => self.cron.list(now).await,
                Control::Introspect(introspect) => introspect.list(),
            },
            Method::POST => match Limited::new(request.into_body(), control.body_bytes_max()).collect().await {
                Ok(body) => match control {
                    Control::Time => time::change(&self.mover, &body.to_bytes()).await,
                    Control::Cron => self.cron.fire(&body.to_bytes(), now).await,
                    Control::Introspect(introspect) => introspect.call(&body.to_bytes()).await,
                },
                Err(error) if error.is::<LengthLimitError>() => {
                    let error = format!("the body is longer than {} bytes", control.body_bytes_max());
                    (StatusCode::PAYLOAD_TOO_LARGE, json!({ "error": error }))
                }
                Err(error) => {
                    let error = format!("the body could not be read: {error}");
                    (StatusCode::BAD_REQUEST, json!({ "error": error }))
                }
            },
            _ => {
                let error = "ask with GET, or send a command with POST";
                (StatusCode::METHOD_NOT_ALLOWED, json!({ "error": error }))
            }
        };
        with_type(status, answer.to_string(), "application/json")
    }

    async fn answer_without_body(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
        let path = uri.path();
        if self.test_scheduled && path == TEST_SCHEDULED {
            let answer = self.scheduled(uri.query()).await;
            return Some(match answer {
                Ok((outcome, _)) if outcome.error.is_none() => text(StatusCode::OK, "Ran scheduled event".to_owned()),
                Ok((outcome, _)) => text(StatusCode::INTERNAL_SERVER_ERROR, outcome.error.unwrap_or_default()),
                Err(problem) => text(StatusCode::BAD_REQUEST, problem),
            });
        }
        if !path.starts_with(PREFIX) {
            return None;
        }
        if let Err(problem) = guard(headers) {
            return Some(text(StatusCode::FORBIDDEN, problem));
        }
        if path == JOURNAL {
            let (status, answer) = self.journals.export(uri.query()).await;
            return Some(with_type(status, answer, "application/json"));
        }
        if path == INTROSPECT {
            let why = "404 Not Found\n\nTests look into instances here, on a server that `miniflow test -- COMMAND` has started.\n";
            return Some(text(StatusCode::NOT_FOUND, why.to_owned()));
        }
        if !SCHEDULED.contains(&path) {
            let known = "`/cdn-cgi/local/scheduled?cron=EXPRESSION` calls the handler for cron triggers, `/cdn-cgi/local/miniflow/cron` \
                         lists and fires what there is, `/cdn-cgi/local/miniflow/time` is the clock";
            return Some(text(
                StatusCode::NOT_FOUND,
                format!("404 Not Found\n\nPaths under {PREFIX} are not the Worker's. Here: {known}.\n"),
            ));
        }
        Some(match self.scheduled(uri.query()).await {
            Err(problem) => text(StatusCode::BAD_REQUEST, problem),
            Ok((outcome, as_json)) => {
                let status = if outcome.error.is_none() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
                if as_json {
                    let json = json!({ "outcome": outcome.as_str(), "noRetry": outcome.no_retry });
                    with_type(status, json.to_string(), "application/json")
                } else {
                    text(status, outcome.as_str().to_owned())
                }
            }
        })
    }

    /// Fires what the query asks for. The flag: the answer is to be JSON.
    async fn scheduled(&self, query: Option<&str>) -> Result<(ScheduledOutcome, bool), String> {
        let (mut cron, mut time, mut as_json) = (String::new(), self.mover.clock().now(), false);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "cron" => cron = value.into_owned(),
                "time" => {
                    let ms = value
                        .parse()
                        .map_err(|_| format!("`time` is {value}, not a number of milliseconds since 1970\n"))?;
                    time = Timestamp(ms);
                }
                "format" if value == "json" => as_json = true,
                _ => {}
            }
        }
        let (outcome, _) = self.cron.crons.call(&self.worker, cron, time).await;
        Ok((outcome, as_json))
    }
}

/// What is shown and steered by a command.
#[derive(Clone, Copy)]
enum Control<'a> {
    Time,
    Cron,
    Introspect(&'a Introspect),
}

impl Control<'_> {
    /// Bytes of the body of a command, at most.
    fn body_bytes_max(self) -> usize {
        match self {
            Self::Time | Self::Cron => BODY_BYTES_MAX,
            Self::Introspect(_) => introspect::CALL_BYTES_MAX,
        }
    }
}

fn moment(at: Timestamp) -> Value {
    json!({ "ms": at.as_millis(), "iso": instant::format(at) })
}

/// What a command is told that cannot be done.
fn failed(status: StatusCode, error: &str, hint: &str) -> (StatusCode, Value) {
    (status, json!({ "error": error, "hint": hint }))
}

/// Refuses what does not come from this machine.
fn guard(headers: &HeaderMap) -> Result<(), String> {
    if !is_host_here(headers) {
        return Err("403 Forbidden: the `Host` of the request is not this machine\n".to_owned());
    }
    if !is_origin_here(headers) {
        return Err("403 Forbidden: the `Origin` of the request is not this machine\n".to_owned());
    }
    Ok(())
}

/// Whether the name that the client used, if it says one, is this machine's: another may have been made to point here.
pub(crate) fn is_host_here(headers: &HeaderMap) -> bool {
    headers.get(header::HOST).is_none_or(|host| authority(host).is_some_and(|host| is_here(host.host())))
}

/// Whether the client used an address and no name.
pub(crate) fn is_host_an_address(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(authority);
    host.is_some_and(|host| host.host().trim_matches(['[', ']']).parse::<IpAddr>().is_ok())
}

/// Whether the page that asks, if it is one, is of this machine.
pub(crate) fn is_origin_here(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_none_or(|origin| {
        let text = origin.to_str().unwrap_or_default();
        let host = text.split_once("://").and_then(|(_, host)| host.parse::<Authority>().ok());
        host.is_some_and(|host| is_here(host.host()))
    })
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    Authority::try_from(host.as_bytes()).ok()
}

fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    with_type(status, text, "text/plain; charset=utf-8")
}

fn with_type(status: StatusCode, body: String, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect::<HeaderMap>()
    }

    // rules: A126
    #[test]
    fn only_this_machine_is_answered() {
        for host in ["localhost:8787", "127.0.0.1", "[::1]:80"] {
            assert_eq!(guard(&headers(&[("host", host)])), Ok(()), "{host}");
        }
        for host in ["example.com", "sub.localhost:8787", "127.0.0.1.example.com", "not a host"] {
            assert!(guard(&headers(&[("host", host)])).is_err(), "{host}");
        }
        let from = |origin| guard(&headers(&[("host", "localhost:8787"), ("origin", origin)]));
        for origin in ["http://localhost:3000", "http://127.0.0.1:8787", "https://[::1]"] {
            assert_eq!(from(origin), Ok(()), "{origin}");
        }
        for origin in ["https://example.com", "null", "http://localhost.example.com", ""] {
            assert!(from(origin).is_err(), "{origin}");
        }
    }
}
