//! Durable Objects: one live guest for an id, in a store of its own.
//!
//! ```text
//! call, alarm ──▶ Objects ──▶ mailbox of the object ──▶ its task: a store, the constructor once, then event by event
//! ```
//!
//! An object comes to life with its first event and has a task that owns its store. Events enter the guest in the order in which they came: the next one as soon as
//! the guest waits for something outside, and no transaction of its own is open. While its storage works the guest stands still, so nothing
//! comes in between. What it wrote is durable before its answer leaves the task.
//!
//! It goes when it had nothing to do for a while, when others need the place, when there is newer code, or when it traps; the next event makes it
//! anew.
//!
//! Promises: never two of one id; a trap ends one object, its events get an error that says why, and the next event finds a new one; an alarm goes
//! off at least once, and its handler never runs twice at a time. Never does: read or write a storage, that is
//! [`crate::bindings::durable_object`].

mod alarms;
mod body;
mod event;
mod guest;
mod life;
mod objects;
mod places;

pub use objects::Objects;
