//! Tests against the real program: it is started as a process, asked over HTTP, and killed.
//!
//! ```no_run
//! use miniflow_tests::Dev;
//! use serde_json::json;
//!
//! let dev = Dev::guest("behaviours");
//! let server = dev.start();
//! let sleeper = server.workflow("SLEEPER").create("a", json!({ "ms": 500 }));
//! sleeper.wait_for("waiting");
//! server.kill();
//!
//! let server = dev.start();
//! server.workflow("SLEEPER").instance("a").wait_for("complete");
//! ```
//!
//! [`Dev`] says what is served, and owns its state: started again, it goes on with it. [`Server`] is the running process; it ends
//! with the value. [`Sink`] is the outside world, in which the bodies of steps leave traces that can be counted.
//!
//! [`conformance`] is apart from that: it knows which rules the tests prove.
//!
//! Promises: ports are free ones, folders are temporary ones, and nothing is waited for by the clock: every wait is for something
//! that can be seen, and a wait in vain fails after [`PATIENCE`] with everything the server has said.

mod api;
mod client;
pub mod conformance;
mod dev;
mod log;
mod server;
mod sink;
#[cfg(unix)]
mod terminal;
mod wait;
mod worker;
mod workflow;

pub use api::Api;
pub use client::{Answer, Client, Exchange, Payload, RequestError};
pub use dev::{Dev, Refusal, program};
pub use server::Server;
pub use sink::{Reply, Seen, Sink};
#[cfg(unix)]
pub use terminal::{Modes, Terminal};
pub use wait::{PATIENCE, Patience, eventually};
pub use worker::{build, repository};
pub use workflow::{Instance, RestartFrom, Workflow, bound};
