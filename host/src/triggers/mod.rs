//! What calls a guest, one folder per kind.
//!
//! Never does: know what the guest does with it.

pub mod cron;
pub mod durable_object;
pub mod http;
pub mod inward;
pub mod local;
pub mod queue;
