//! HTTP messages of Workers on the wire: framing, content codings, redirects, and how a path is read.
//!
//! The client here writes and reads bytes itself: an HTTP library would repair what the tests look for.

mod coding;
mod framing;
mod outbound;
mod paths;
mod redirects;
mod wire;

use miniflow_tests::{Dev, Server};

fn server() -> Server {
    Dev::guest("http").start()
}

/// `pairs` as a query string.
fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
