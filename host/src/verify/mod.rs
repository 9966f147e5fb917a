//! Checks of a Worker that a test or a CI runs: what a crash does to it, and how new code gets on with journals of old code.
//!
//! - [`bundle`] is a journal as a file, [`export`] takes one out of a state.
//! - [`matrix`] kills a workflow everywhere; what it is given is a [`scenario`], what it does is done to a [`world`].
//! - [`replay`] runs code over such a journal and says where the two part.
//!
//! Promises: nothing here changes a state that somebody keeps. Never does: print, read arguments, build.

pub mod bundle;
pub mod export;
pub mod matrix;
pub mod replay;
pub mod scenario;
pub mod world;
