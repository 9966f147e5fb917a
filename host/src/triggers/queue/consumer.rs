//! One queue: when there is a batch, and how many are handled at a time.

use std::future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use miniflow_runtime::clock::{Hold, real};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::{CONCURRENCY, ConsumerOptions, Handle, Phase};
use crate::bindings::queue::Queues;
use crate::bindings::queue::store::Taken;

/// After storage has failed: the disk may have room again.
const STORAGE_DELAY: Duration = Duration::from_secs(1);

pub(super) struct Consumer {
    pub(super) queues: Queues,
    pub(super) options: ConsumerOptions,
    pub(super) handler: Arc<dyn Handle>,
}

impl Consumer {
    /// Returns its work, to be driven until it ends. From now on the clock is held for what is there, and for what comes.
    pub(super) fn start(self: Arc<Self>, phase: watch::Receiver<Phase>) -> impl Future<Output = ()> + Send + 'static {
        let arrival = self.queues.arrival(&self.options.queue);
        arrival.begin(&**self.queues.clock());
        async move {
            let mut deliveries = JoinSet::new();
            self.deliver_all(&phase, &mut deliveries).await;
            arrival.end();
            while deliveries.join_next().await.is_some() {}
        }
    }

    /// Returns when the phase is over. It stops where it waits, not where it takes: what was taken is handed on.
    async fn deliver_all(self: &Arc<Self>, phase: &watch::Receiver<Phase>, deliveries: &mut JoinSet<()>) {
        let (clock, queue) = (Arc::clone(self.queues.clock()), self.options.queue.clone());
        let arrival = self.queues.arrival(&queue);
        let mut phases = phase.clone();
        // An error: nobody is left who could want more.
        let mut stopping = pin!(async { drop(phases.wait_for(|phase| *phase != Phase::Work).await) });
        let places = Arc::new(Semaphore::new(self.options.concurrency_max.unwrap_or(CONCURRENCY).max(1)));
        // The moment that was waited for is not over until nothing is left of it.
        let mut moment: Option<Hold> = None;
        loop {
            let place = tokio::select! {
                biased;
                () = &mut stopping => return,
                place = self.place(&places) => place,
            };
            let arrived = arrival.take_hold();
            let next = match self.queues.take(&queue, self.options.batch).await {
                Ok(Taken::Batch(messages)) => {
                    let s = if messages.len() == 1 { "" } else { "s" };
                    clock.note_due(&format_args!("queue {queue} delivers {} message{s}", messages.len()));
                    let delivery = Arc::clone(self).deliver(messages, phase.clone());
                    let hold = clock.hold();
                    deliveries.spawn(async move {
                        delivery.await;
                        drop((place, hold));
                    });
                    continue;
                }
                Ok(Taken::Nothing(next)) => next,
                Err(error) => {
                    tracing::error!("queue {queue} cannot be read: {error}");
                    real::sleep(STORAGE_DELAY).await;
                    continue;
                }
            };
            drop(place);
            let due = async {
                match next {
                    Some(next) => clock.due(next).await,
                    None => future::pending().await,
                }
            };
            let mut due = pin!(due);
            // Asked once before the clock is let go, so that it knows of this moment when it looks for the next.
            if let Some(hold) = due.as_mut().now_or_never() {
                moment = Some(hold);
                continue;
            }
            drop((moment.take(), arrived));
            moment = tokio::select! {
                biased;
                () = &mut stopping => return,
                hold = &mut due => Some(hold),
                // The moment may come meanwhile: the clock is held before nobody waits for that any more.
                () = arrival.wait() => Some(clock.hold()),
                Some(_) = deliveries.join_next(), if !deliveries.is_empty() => Some(clock.hold()),
            };
        }
    }

    /// Waits until a batch can be handled.
    async fn place(&self, places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        self.handler.ready().await;
        match Arc::clone(places).acquire_owned().await {
            Ok(place) => place,
            // Nobody closes it.
            Err(_) => future::pending().await,
        }
    }
}
