//! Starting instances of workflows and steering them.
//!
//! Promises: a guest reaches the workflows its configuration binds and no other; an error carries the platform's code and text.
//! Never does: keep state but a subscription's; a handle is an id.

pub mod event;
mod host;

use std::sync::Arc;

use miniflow_runtime::dispatcher::Subscription;
use tokio::sync::Mutex;

/// What a guest follows an instance by. Locked while it waits for an event.
pub struct OpenSubscription(Arc<Mutex<Subscription>>);
