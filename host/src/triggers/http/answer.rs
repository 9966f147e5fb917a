//! Answers that do not come from the guest: plain text, for the person at the machine.

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::WasiBody;

use super::instances::Label;

/// Returns a response with `text` as it is.
pub(super) fn text(status: StatusCode, text: String) -> Response<WasiBody> {
    let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The guest failed at `request`, such as `GET /orders`, because of `why`.
pub(super) fn failed(worker: &str, request: &Label, why: &str) -> Response<WasiBody> {
    text(StatusCode::INTERNAL_SERVER_ERROR, format!("Worker `{worker}` failed at {request}\n\n{why}\n"))
}

/// The Worker has no handler for requests.
pub(super) fn no_fetch(worker: &str, classes: usize) -> Response<WasiBody> {
    let has = match classes {
        0 => String::new(),
        1 => " It has one workflow class.".to_owned(),
        n => format!(" It has {n} workflow classes."),
    };
    let how = "Add a function with `#[event(fetch)]` to answer requests.";
    text(StatusCode::NOT_IMPLEMENTED, format!("Worker `{worker}` has no fetch handler.{has}\n{how}\n"))
}

/// The request is to become a WebSocket.
pub(super) fn no_websocket(path: &str) -> Response<WasiBody> {
    let why = "WebSockets are not run by this version of miniflow: the Worker was not asked.";
    text(StatusCode::NOT_IMPLEMENTED, format!("`{path}` was asked for a WebSocket.\n{why}\n"))
}

/// More requests in flight than are let in.
pub(super) fn overloaded(max: usize) -> Response<WasiBody> {
    let why = format!("{max} requests are in progress and none of them has ended for a while.\n");
    text(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// The request does not say which URL it is for.
pub(super) fn bad_request(why: &str) -> Response<WasiBody> {
    text(StatusCode::BAD_REQUEST, format!("Bad request: {why}\n"))
}
