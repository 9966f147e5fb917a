//! HTTP: requests and responses in the manner of the `worker` crate, over `wasi:http` 0.3.
//!
//! Bodies stream both ways. A body that is passed on without being looked at, from a request into the response or from an
//! upstream response to the client, is handed over as it came and never goes through the Worker's memory.

mod body;
mod builder;
mod coding;
mod cors;
mod fetch;
mod framing;
mod headers;
mod method;
mod query;
mod request;
mod response;
mod route;
mod router;
mod serve;
mod target;
mod wasi;

pub use body::{Body, ByteStream};
pub use builder::ResponseBuilder;
pub use cors::Cors;
pub use fetch::Fetch;
pub use headers::Headers;
pub use method::Method;
pub use request::{Request, RequestInit, RequestRedirect};
pub use response::Response;
pub(crate) use route::Route;
pub use router::{RouteContext, RouteParams, Router};
pub use serve::serve;
pub(crate) use wasi::{request_from_host, response_to_host};
