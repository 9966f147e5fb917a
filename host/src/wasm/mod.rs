//! The wasmtime embedding: from the bytes of a component to guests that run under the host's rules.
//!
//! In reading order: the [engine] is configured once, and a [`Compiler`] has it; the [loader] makes a [`Generation`] of an artifact; a store with a
//! [`GuestState`] is made for each run of an instance ([`Runner`]) and each instance that serves requests
//! ([`crate::triggers::http`]). What a guest may use is limited ([limits]), what it prints is taken ([console]), what it dies of is
//! put into words ([trap]).
//!
//! Promises: nothing a guest does ends the process, blocks another guest for longer than a tick, or reaches the machine
//! other than through outbound HTTP. Never here: files, the terminal, the journal.

pub mod bindings;
mod clock;
mod compiler;
pub mod console;
mod decoding;
pub mod determinism;
pub(crate) mod edge;
pub mod engine;
mod framing;
mod gate;
mod generation;
pub mod inward;
pub mod limits;
mod linker;
pub mod loader;
pub mod network;
mod outbound;
pub mod outside;
pub mod own_address;
pub mod pool;
mod queue;
mod runner;
mod scheduled;
mod sending;
mod services;
mod state;
pub(crate) mod symbols;
mod threads;
pub mod tls;
pub mod trap;
mod trial;
mod workers;

pub use compiler::Compiler;
pub(crate) use decoding::for_client;
pub use engine::{EngineError, EngineOptions, default_cache_dir};
pub(crate) use framing::answer;
pub use generation::{Class, Generation, Slot};
pub(crate) use loader::hash;
pub use loader::{LoadError, Loader};
pub use queue::Consumed;
pub use runner::Runner;
pub use scheduled::ScheduledOutcome;
pub use services::Services;
pub use state::GuestState;
pub use threads::runtime;
pub use trap::Death;
pub use workers::Workers;
