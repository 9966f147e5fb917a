//! A local development emulator for Workers compiled to WebAssembly, with durable Workflows.

pub mod config;
pub mod dev;
