//! What is answered before there is anything to serve.

use std::net::SocketAddr;

use http::{Request, Response, StatusCode};
use wasmtime_wasi_http::WasiBody;

use super::answer;
use super::server::Service;

/// Answers every request with 503 and the reason: the Worker could not be built yet.
#[derive(Clone, Copy, Debug)]
pub struct NotBuilt;

impl Service for NotBuilt {
    async fn call(&self, _request: Request<WasiBody>, _local: SocketAddr) -> Response<WasiBody> {
        let why = "The Worker has not been built yet: its first build failed, and the terminal says why.\n\
                   It is built again as soon as its sources change.\n";
        answer::text(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
    }
}
