//! What happens to an object, and who is told how it went.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{Request, Response};
use miniflow_runtime::clock::Hold;
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiBody;

use crate::bindings::durable_object::Alarm;
use crate::wasm::inward::CallError;

/// Something for an object to do.
pub(super) enum Event {
    /// To answer a request.
    Fetch { request: Box<Request<WasiBody>>, depth: u32, reply: Reply },
    /// To do what its alarm was set for. The time stands still until then.
    Alarm { alarm: Alarm, hold: Hold },
}

/// Where the answer goes. Whoever asked may have gone.
pub(super) type Reply = oneshot::Sender<Result<Response<WasiBody>, CallError>>;

/// The events that a guest has begun with.
#[derive(Default)]
pub(super) struct Begun(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    replies: BTreeMap<u64, Reply>,
    depths: BTreeMap<u64, u32>,
    alarm: Option<(Alarm, Hold)>,
}

impl Begun {
    /// Keeps where the answer to a request goes; returns its number, and how many Workers are asked for what the guest does now.
    pub(super) fn fetch(&self, reply: Reply, depth: u32) -> (u64, u32) {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        state.replies.insert(number, reply);
        state.depths.insert(number, depth);
        (number, state.depths.values().copied().max().unwrap_or_default())
    }

    /// Sends an answer.
    pub(super) fn answer(&self, number: u64, answer: Result<Response<WasiBody>, CallError>) {
        let reply = {
            let mut state = self.state();
            state.depths.remove(&number);
            state.replies.remove(&number)
        };
        if let Some(reply) = reply {
            // Whoever asked may have gone.
            let _ = reply.send(answer);
        }
    }

    /// Keeps the alarm whose handler is called.
    pub(super) fn alarm(&self, alarm: Alarm, hold: Hold) {
        self.state().alarm = Some((alarm, hold));
    }

    /// The alarm whose handler was called, when that has come to its end.
    pub(super) fn take_alarm(&self) -> Option<(Alarm, Hold)> {
        self.state().alarm.take()
    }

    /// Tells everybody who still waits that the object died.
    pub(super) fn fail(&self, why: &str) {
        let replies = std::mem::take(&mut self.state().replies);
        for reply in replies.into_values() {
            // Whoever asked may have gone.
            let _ = reply.send(Err(CallError(why.to_owned())));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
