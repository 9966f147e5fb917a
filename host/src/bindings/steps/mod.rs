//! What `run` of a workflow asks for: steps, sleeps, waits, and the end.
//!
//! Promises: a guest that is not in a run gets an error that says so, never a trap where the contract has an error. Never does: count
//! steps, decide about retries, know the journal; that is [`miniflow_runtime::Run`].

mod host;

use std::sync::Arc;

use miniflow_runtime::Attempt;
use miniflow_runtime::run::StreamReader;
use tokio::sync::Mutex;

/// An attempt whose body the guest is running: what is behind the handle it holds.
pub struct OpenAttempt(Attempt);

/// A recorded stream that the guest reads. Locked while it reads: calls of one guest come one after the other.
pub struct OpenStream(Arc<Mutex<StreamReader>>);
