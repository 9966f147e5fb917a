//! Messages of queues to the handlers of Workers.
//!
//! For each queue with a consumer one task makes batches, by size and by the time since the first message could be delivered, and starts a
//! delivery for each, as many at a time as the consumer allows. What becomes of the messages is settled in one commit when the handler
//! has ended.
//!
//! Promises: a message is delivered until a handler is done with it, or it has failed too often, or is too old; what a handler was done with
//! is not delivered again once its batch is settled. Everything happens by the session's clock, which is held from the moment
//! something is due until it is settled. Never does: keep messages in memory that are not being handled.

mod consumer;
mod delivery;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use miniflow_runtime::clock::real;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::bindings::queue::store::BatchRule;
use crate::bindings::queue::{Queues, Received};
use crate::wasm::{Consumed, Slot};
use consumer::Consumer;

/// Batches of one queue that are handled at a time where the configuration does not say it. Production begins with one and has more the longer
/// the queue gets, up to 250; one machine is served by as many as keep it busy.
pub const CONCURRENCY: usize = 10;

/// How a queue is consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// Name of the queue.
    pub queue: String,
    /// When messages make a batch.
    pub batch: BatchRule,
    /// Deliveries of a message after the first one.
    pub retries_max: u32,
    /// Between two deliveries of a message, where the handler does not say it.
    pub retry_delay_s: u32,
    /// Where messages go that have failed too often; none: they are dropped.
    pub dead_letter_queue: Option<String>,
    /// Batches that are handled at a time, if not as many as by default.
    pub concurrency_max: Option<usize>,
}

/// What handles messages.
pub trait Handle: Send + Sync + 'static {
    /// Returns when messages can be handled. Cancel-safe.
    fn ready(&self) -> BoxFuture<'_, ()>;

    /// Handles messages of `queue`. Dropped when the server stops, and whatever it was doing with it.
    fn handle<'a>(&'a self, queues: &'a Queues, queue: &'a str, messages: Vec<Received>) -> BoxFuture<'a, Consumed>;
}

/// The Worker whose present generation is there.
impl Handle for Slot {
    fn ready(&self) -> BoxFuture<'_, ()> {
        async { drop(self.wait_for(crate::wasm::Generation::has_queue).await) }.boxed()
    }

    fn handle<'a>(&'a self, queues: &'a Queues, queue: &'a str, messages: Vec<Received>) -> BoxFuture<'a, Consumed> {
        async move {
            let generation = self.wait_for(crate::wasm::Generation::has_queue).await;
            generation.consume(queues, queue, messages).await
        }
        .boxed()
    }
}

/// What the consumers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Work,
    /// Finish what has begun.
    Finish,
    /// Give up what has begun.
    Stop,
}

/// A Worker that consumes a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumption {
    /// Name of the Worker.
    pub worker: String,
    /// Which queue, and how.
    pub options: ConsumerOptions,
}

/// The consumers of a session. Dropped, they are gone, and what they were handling is delivered again at the next start.
pub struct Consumers {
    queues: Queues,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Vec<Running>,
    /// Those that finish what they have begun.
    finishing: Vec<watch::Sender<Phase>>,
    /// What drops messages that are too old.
    expiry: Option<AbortHandle>,
    tasks: JoinSet<()>,
}

struct Running {
    consumption: Consumption,
    phase: watch::Sender<Phase>,
}

impl Consumers {
    /// Returns none yet.
    #[must_use]
    pub fn new(queues: Queues) -> Self {
        Self { queues, state: Mutex::default() }
    }

    /// The queues that are consumed.
    #[must_use]
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Says which queues are consumed from now on, one at most of each name, and what handles messages of each Worker. One that is as before
    /// goes on; one that is gone, or is another now, finishes what it is handling.
    pub fn set(&self, consumptions: Vec<Consumption>, handler: impl Fn(&str) -> Arc<dyn Handle>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { running, finishing, expiry, tasks } = &mut *state;
        while tasks.try_join_next().is_some() {}
        if expiry.as_ref().is_none_or(AbortHandle::is_finished) {
            let queues = self.queues.clone();
            *expiry = Some(tasks.spawn(async move { queues.expire().await }));
        }
        finishing.retain(|phase| !phase.is_closed());
        for gone in running.extract_if(.., |now| !consumptions.contains(&now.consumption)) {
            gone.phase.send_replace(Phase::Finish);
            finishing.push(gone.phase);
        }
        for consumption in consumptions {
            if running.iter().any(|now| now.consumption == consumption) {
                continue;
            }
            let phase = watch::Sender::new(Phase::Work);
            let (queues, options) = (self.queues.clone(), consumption.options.clone());
            let consumer = Arc::new(Consumer { queues, options, handler: handler(&consumption.worker) });
            tasks.spawn(consumer.start(phase.subscribe()));
            running.push(Running { consumption, phase });
        }
    }

    /// Stops: no new batches, and `grace` of real time for handlers that run. What they are not done with then is as if it had not been
    /// delivered.
    pub async fn stop(&self, grace: Duration) {
        let state = std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        let State { running, mut finishing, expiry, mut tasks } = state;
        if let Some(expiry) = expiry {
            expiry.abort();
        }
        finishing.extend(running.into_iter().map(|running| running.phase));
        let tell = |what: Phase| {
            for phase in &finishing {
                phase.send_replace(what);
            }
        };
        tell(Phase::Finish);
        let all = async { while tasks.join_next().await.is_some() {} };
        if real::timeout(grace, all).await.is_none() {
            tell(Phase::Stop);
            while tasks.join_next().await.is_some() {}
        }
    }
}
