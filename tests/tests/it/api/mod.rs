//! The REST API and the local API, by their requests and answers. What real clients make of them is in `clients`.

mod control;
mod details;
mod garbage;
mod guard;
mod lists;
mod local;
mod odd;
mod openapi;
mod workflows;

use miniflow_tests::{Dev, Server};

fn behaviours() -> Server {
    Dev::guest("behaviours").start()
}
