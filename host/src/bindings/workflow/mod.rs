//! Starting instances of workflows and steering them.
//!
//! Promises: a guest reaches the workflows its configuration binds and no other; an error carries the platform's code and text.
//! Never does: keep state, a handle is an id.

mod host;
