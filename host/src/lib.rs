//! stub

pub mod bindings;
pub mod triggers;
pub mod wasm;
