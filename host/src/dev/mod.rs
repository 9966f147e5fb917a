//! The development loop: from sources to a component that can be served.

pub mod build;
mod toolchain;

pub use toolchain::ToolchainError;
