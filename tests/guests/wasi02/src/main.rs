//! A component for `wasi:http` 0.2, made without the SDK: any such component is served too.

use wstd::http::{Body, Error, Method, Request, Response};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    if request.method() == Method::POST {
        return Ok(Response::new(request.into_body()));
    }
    Ok(Response::new("hello from wasi 0.2\n".into()))
}
