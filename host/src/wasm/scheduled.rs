//! Calls the handler for cron triggers: a store for each event, gone with it.

use std::future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::Timestamp;
use miniflow_runtime::clock::real;

use super::generation::Generation;
use super::pool::GuestKind;
use super::trap;
use crate::bindings::logging::Level;

/// Real time a handler has, with all it lets run on (documented: 15 minutes).
const SCHEDULED_MAX: Duration = Duration::from_secs(15 * 60);

/// What came of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledOutcome {
    /// Why it failed, if it did. Told on the console already.
    pub error: Option<String>,
    /// The handler asked for no other try.
    pub no_retry: bool,
}

impl ScheduledOutcome {
    fn failed(error: String) -> Self {
        Self { error: Some(error), no_retry: false }
    }

    /// The word for it: `ok` or `exception`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        if self.error.is_none() { "ok" } else { "exception" }
    }
}

impl Generation {
    /// Tells the Worker that the trigger `cron` fired for `time`. Returns when its handler has, and all it lets run on.
    pub async fn fire(self: &Arc<Self>, cron: String, time: Timestamp) -> ScheduledOutcome {
        let Some(indices) = &self.code.scheduled else {
            return ScheduledOutcome::failed(format!(
                "the Worker `{}` has no handler for cron triggers: add one with `#[event(scheduled)]`",
                self.worker()
            ));
        };
        let mut store = self.store(GuestKind::Event).await;
        let cpu = store.data().cpu().clone();
        let called = {
            let called = async {
                let instance = self.instantiate(&mut store).await?;
                let guest = indices.load(&mut store, &instance)?;
                store
                    .run_concurrent(async move |accessor| guest.call_handle(accessor, cron, time.as_millis()).await)
                    .await?
            };
            let mut called = pin!(called);
            // Its processor time is counted from its last wait.
            let paced = future::poll_fn(|context| {
                let polled = called.as_mut().poll(context);
                if polled.is_pending() {
                    cpu.after_pending();
                }
                polled
            });
            real::timeout(SCHEDULED_MAX, paced).await
        };
        match called {
            Some(Ok(outcome)) => {
                let error = outcome.error.map(|error| format!("{}: {}", error.name, error.message));
                if let Some(error) = &error {
                    store.data().console().tell(Level::Error, error.clone());
                }
                ScheduledOutcome { error, no_retry: outcome.no_retry }
            }
            Some(Err(error)) => {
                let death = trap::explain(&store, &error).await;
                store.data().console().tell(Level::Error, death.report());
                ScheduledOutcome::failed(death.message)
            }
            None => {
                let error = format!("the handler took over {} minutes", SCHEDULED_MAX.as_secs() / 60);
                store.data().console().tell(Level::Error, error.clone());
                ScheduledOutcome::failed(error)
            }
        }
    }
}
