//! What calls a guest, one folder per kind.
//!
//! Never does: know what the guest does with it.

pub mod http;
pub mod local;
