//! Scripts: what a test says beforehand about instances, in place of what would happen.
//!
//! A [`Script`] belongs to one instance, which need not exist yet; [`Scripts`] has those of a dispatcher. A run looks into it when a step
//! begins, the dispatcher when an instance is made, waits or is to wait before another attempt. Without scripts nothing looks anywhere.
//!
//! Promises: what a script decides is recorded as if it had happened, so a replay needs no script; a script outlives runs, pauses and
//! restarts of its instance. Never does: touch what is recorded already.

mod direction;
mod doing;
mod registry;
mod watch;

pub use direction::{Directed, Direction, Script, ScriptError, Selected, StepRef, Taken};
pub use doing::doing;
pub use registry::{Scripts, SessionNo};
