//! HTTP requests from outside to the `fetch` handler of a Worker.
//!
//! [`serve`] accepts connections and hands requests to a [`Service`]; [`Fetch`] is the one that hands them to the Worker. An instance
//! of the component serves one request at a time and is used again for the next: what a guest keeps in statics stays for a while, as
//! in production, and a guest that spins or traps takes no other request with it.
//!
//! Promises: every request gets an answer; the answer to a request that the guest failed at says why; bodies stream in both directions. A
//! request in flight finishes on the generation it began on. Never does: route, that is for the service around it.

mod answer;
mod early;
mod fetch;
mod flushed;
mod instances;
mod not_built;
mod permits;
mod server;
mod told;

pub use fetch::Fetch;
pub use not_built::NotBuilt;
pub use permits::Permits;
pub use server::{GRACE, Peer, Service, serve};
pub use told::Told;
pub use wasmtime_wasi_http::WasiBody as Body;
