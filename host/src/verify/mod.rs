//! Checks of a Worker for tests and CI: the crash matrix, and replay of recorded journals on new code.
//!
//! - [`bundle`]: the journal file format. [`export`]: writes one from a state.
//! - [`matrix`]: the crash matrix. A [`scenario`] is its input; a [`world`] records the effects of a run.
//! - [`replay`]: runs code over a journal bundle and reports the first divergence.
//!
//! **Guarantees.** No check changes a stored state. **Non-goals.** Printing, reading arguments, building.

pub mod bundle;
pub mod export;
pub mod matrix;
pub mod replay;
pub mod scenario;
pub mod world;
