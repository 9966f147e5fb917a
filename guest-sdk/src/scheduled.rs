//! `#[event(scheduled)]`: what a Worker does when a cron trigger fires.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use crate::bindings::scheduled_world::exports::miniflow::worker::scheduled as wit;
use crate::tasks::Tasks;
use crate::{Env, Result, start};

/// The trigger that fired.
#[derive(Clone, Debug)]
pub struct ScheduledEvent {
    cron: String,
    scheduled_time: u64,
    no_retry: Rc<Cell<bool>>,
}

impl ScheduledEvent {
    /// Returns the expression, as configured.
    #[must_use]
    pub fn cron(&self) -> String {
        self.cron.clone()
    }

    /// Returns the moment it stood for, in milliseconds since 1970.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact until the year 287396")]
    pub fn schedule(&self) -> f64 {
        self.scheduled_time as f64
    }

    /// Returns the type of the event: `scheduled`.
    #[must_use]
    pub fn ty(&self) -> String {
        "scheduled".to_owned()
    }

    /// Asks for no other try when the handler fails.
    pub fn no_retry(&self) {
        self.no_retry.set(true);
    }
}

/// What outlives the handler.
#[derive(Clone, Debug, Default)]
pub struct ScheduleContext {
    tasks: Tasks,
}

impl ScheduleContext {
    /// Lets `future` run on after the handler has returned. The event is over when all of them are.
    pub fn wait_until<F>(&self, future: F)
    where
        F: Future<Output = ()> + 'static,
    {
        self.tasks.add(future);
    }
}

/// What a handler may return. It is not for direct use.
#[doc(hidden)]
pub trait ScheduledOutcome {
    /// Returns it as a result.
    fn into_result(self) -> Result<()>;
}

impl ScheduledOutcome for () {
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl ScheduledOutcome for Result<()> {
    fn into_result(self) -> Result<()> {
        self
    }
}

/// Calls a handler. It is what the macro expands to, and not for direct use.
#[doc(hidden)]
pub async fn run_scheduled<H, R>(cron: String, scheduled_time: u64, handler: H) -> wit::Outcome
where
    H: FnOnce(ScheduledEvent, Env, ScheduleContext) -> R,
    R: Future<Output: ScheduledOutcome>,
{
    start::run_once();
    let no_retry = Rc::new(Cell::new(false));
    let event = ScheduledEvent { cron, scheduled_time, no_retry: Rc::clone(&no_retry) };
    let context = ScheduleContext::default();
    let result = handler(event, Env::new(), context.clone()).await.into_result();
    context.tasks.finish().await;
    wit::Outcome { no_retry: no_retry.get(), error: result.err().map(|error| error.to_recorded()) }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn run<R: Future<Output: ScheduledOutcome>>(
        handler: impl FnOnce(ScheduledEvent, Env, ScheduleContext) -> R,
    ) -> wit::Outcome {
        run_scheduled("*/5 * * * *".to_owned(), 300_000, handler).now_or_never().expect("waits for nothing")
    }

    #[test]
    fn a_handler_is_told_what_fired() {
        let outcome = run(|event, _, _| async move {
            assert_eq!(
                (event.cron().as_str(), event.schedule(), event.ty().as_str()),
                ("*/5 * * * *", 300_000.0, "scheduled")
            );
            event.no_retry();
        });
        assert!(outcome.no_retry && outcome.error.is_none());
    }

    #[test]
    fn an_error_is_the_outcome() {
        let outcome = run(|_, _, _| async { Err::<(), crate::Error>("no luck".into()) });
        assert_eq!(outcome.error.map(|error| error.message).as_deref(), Some("no luck"));
    }

    #[test]
    fn the_event_is_over_when_everything_it_let_run_on_is() {
        let done = Rc::new(Cell::new(0));
        let seen = Rc::clone(&done);
        run(|_, _, context| async move {
            let inner = context.clone();
            context.wait_until(async move {
                let again = Rc::clone(&seen);
                seen.set(seen.get() + 1);
                inner.wait_until(async move { again.set(again.get() + 1) });
            });
        });
        assert_eq!(done.get(), 2);
    }
}
