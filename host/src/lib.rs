//! A local development emulator for Workers compiled to WebAssembly, with durable Workflows.
//!
//! [`server`] puts a [`session`] together; what it is made of: [`config`] says what to serve, [`dev`] builds it, [`wasm`] runs it,
//! [`bindings`] is what it may call, [`triggers`] is what calls it. [`verify`] tests
//! Workers. [`cli`] and [`report`] are the only ones that print.

pub mod api;
pub mod bindings;
mod carried;
pub mod cli;
pub mod config;
pub mod dev;
pub mod introspect;
pub mod report;
pub mod server;
pub mod session;
pub mod triggers;
mod urls;
pub mod verify;
pub mod wasm;

pub use cli::main;
