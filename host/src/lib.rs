//! A local development emulator for Workers compiled to WebAssembly, with durable Workflows.

pub mod cli;
pub mod config;
pub mod dev;
pub mod report;

pub use cli::main;
