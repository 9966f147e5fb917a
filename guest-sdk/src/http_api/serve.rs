//! Where a request enters: the code behind `#[event(fetch)]`.

use std::future::Future;

use super::{Method, Request, Response, wasi};
use crate::bindings::wasi::http::types::{self, ErrorCode};
use crate::{Context, Env, Error, Result, console_error, start};

/// Answers one request with the user's handler.
///
/// An error of the handler becomes a 500. Its text goes to the console, and to the client only with
/// `respond_with_errors`, for it may say more than strangers should know.
///
/// # Errors
///
/// When not even the 500 can be sent.
pub async fn serve<F, R>(
    request: types::Request,
    respond_with_errors: bool,
    handler: F,
) -> Result<types::Response, ErrorCode>
where
    F: FnOnce(Request, Env, Context) -> R,
    R: Future<Output = Result<Response>>,
{
    start::run_once();
    let request = wasi::request_from_host(request);
    let to_head = request.method() == Method::Head;
    let answer = handler(request, Env::new(), Context::new()).await;
    answer
        .and_then(|response| wasi::response_to_host(response, to_head))
        .or_else(|error| {
            console_error!("{}: {error}", error.name());
            wasi::response_to_host(failure(&error, respond_with_errors)?, to_head)
        })
        .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))
}

fn failure(error: &Error, respond_with_errors: bool) -> Result<Response> {
    if respond_with_errors {
        Response::error(error.to_string(), 500)
    } else {
        Response::error("Internal Server Error", 500)
    }
}
