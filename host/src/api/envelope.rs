//! Answers as they go out.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use serde::Serialize;
use wasmtime_wasi_http::Error;

use super::failure::Failure;
use super::model::{ErrorEntry, ResultInfo, Success};
use crate::triggers::http::Body;

/// What a handler answers.
pub(super) enum Reply {
    /// JSON, in its envelope.
    Json(Bytes),
    /// Bytes as they come.
    Bytes(BoxStream<'static, Result<Bytes, Error>>),
    /// Events of an instance.
    Events(BoxStream<'static, Bytes>),
}

impl Reply {
    /// A result without anything about pages.
    pub(super) fn of<T: Serialize>(result: &T) -> Result<Self, Failure> {
        Self::page(result, None)
    }

    /// A result, and how it stands among others.
    pub(super) fn page<T: Serialize>(result: &T, result_info: Option<ResultInfo>) -> Result<Self, Failure> {
        let success = Success { success: true, errors: Vec::new(), messages: Vec::new(), result, result_info };
        serde_json::to_vec(&success).map(|json| Self::Json(json.into())).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Failure::Internal
        })
    }

    pub(super) fn response(self) -> Response<Body> {
        match self {
            Self::Json(body) => json(StatusCode::OK, body),
            Self::Bytes(pieces) => {
                let body = StreamBody::new(pieces.map_ok(Frame::data));
                of_type(StatusCode::OK, BodyExt::boxed_unsync(body), "application/octet-stream")
            }
            Self::Events(events) => {
                let body = StreamBody::new(events.map(|event| Ok(Frame::data(event))));
                let mut response = of_type(StatusCode::OK, BodyExt::boxed_unsync(body), "text/event-stream");
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                response
            }
        }
    }
}

/// A refusal, in its envelope.
pub(super) fn failure(status: StatusCode, error: &ErrorEntry) -> Response<Body> {
    let envelope = serde_json::json!({ "success": false, "errors": [error], "messages": [], "result": null });
    json(status, envelope.to_string().into())
}

/// A text for people.
pub(super) fn text(status: StatusCode, text: String) -> Response<Body> {
    whole(status, text.into(), "text/plain; charset=utf-8")
}

pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    whole(status, body, "application/json")
}

fn whole(status: StatusCode, body: Bytes, content_type: &'static str) -> Response<Body> {
    of_type(status, Full::from(body).map_err(|never| match never {}).boxed_unsync(), content_type)
}

fn of_type(status: StatusCode, body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
