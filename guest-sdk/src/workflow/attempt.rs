//! One try of what the host times and retries: the body of a step, or the handler that undoes one.
//!
//! The host knows when an attempt is too late and whether another follows; what runs is known here only. So each try ends with
//! one call that hands over the attempt, and its answer says what follows.

use std::future::{Future, poll_fn};
use std::pin::pin;

use futures::future::{Either, select};

use super::WorkflowStepContext;
use super::retry_delay::{DelayContext, DelayFn, FUNCTION_TIMEOUT};
use crate::bindings::miniflow::worker::steps::{Attempt, Retry, Verdict};
use crate::bindings::miniflow::worker::types;
use crate::{Delay, Error};

/// How an attempt was lost.
pub(super) enum Lost {
    Failed { error: types::Error, retryable: bool },
    TooLate,
}

impl Lost {
    /// An error that another try does not help.
    pub(super) fn finally(error: types::Error) -> Self {
        Self::Failed { error, retryable: false }
    }
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self::Failed { error: error.to_recorded(), retryable: error.is_retryable() }
    }
}

/// Runs a body against the attempt's deadline; none when that came first. A body that is ready at once never asks for the
/// deadline.
pub(super) async fn race<R: Future>(
    attempt: &Attempt,
    body: impl FnOnce(WorkflowStepContext) -> R,
) -> Option<R::Output> {
    let context = attempt.info().into();
    attempt.enter();
    let running = body(context);
    attempt.leave();
    let running = pin!(inside(attempt, running));
    let deadline = pin!(attempt.deadline());
    match select(running, deadline).await {
        Either::Left((ended, _)) => Some(ended),
        Either::Right(_) => None,
    }
}

/// Hands in that an attempt was lost, and how long to wait before the next if `delay` is to say that.
pub(super) async fn give_up(attempt: Attempt, lost: Lost, delay: Option<&DelayFn>) -> Verdict {
    match lost {
        Lost::Failed { error, retryable } => {
            let retry = if retryable { next(&attempt, &error, delay).await } else { Retry::Never };
            Attempt::fail(attempt, error, retry).await
        }
        Lost::TooLate => {
            let retry = match delay {
                Some(_) => next(&attempt, &timed_out(&attempt.info().into()), delay).await,
                None => Retry::ByPolicy,
            };
            Attempt::expire(attempt, retry).await
        }
    }
}

/// Returns when the next attempt comes. The function is asked only if one does.
async fn next(attempt: &Attempt, error: &types::Error, delay: Option<&DelayFn>) -> Retry {
    let Some(delay) = delay else { return Retry::ByPolicy };
    let ctx = WorkflowStepContext::from(attempt.info());
    if !is_followed(&ctx) {
        return Retry::ByPolicy;
    }
    let context = DelayContext { ctx, error: error.clone().into() };
    inside(attempt, delay.ask(context, Delay::from(FUNCTION_TIMEOUT))).await
}

fn is_followed(ctx: &WorkflowStepContext) -> bool {
    ctx.attempt <= ctx.config.retries.limit
}

/// What the host records for an attempt that is too late.
fn timed_out(ctx: &WorkflowStepContext) -> types::Error {
    types::Error {
        name: "WorkflowTimeoutError".to_owned(),
        message: format!("Execution timed out after {}ms", ctx.config.timeout.as_millis()),
        backtrace: None,
    }
}

/// Tells the host when user code is entered and left, so that what it prints or dies of is put down to this attempt.
async fn inside<R: Future>(attempt: &Attempt, running: R) -> R::Output {
    let mut running = pin!(running);
    poll_fn(|context| {
        attempt.enter();
        let polled = running.as_mut().poll(context);
        attempt.leave();
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NonRetryableError;
    use crate::workflow::retry::tests::context;

    #[test]
    fn an_attempt_is_followed_by_another_up_to_the_limit() {
        // The limit is 2: there are three attempts.
        assert_eq!([1, 2, 3].map(|attempt| is_followed(&context(attempt))), [true, true, false]);
    }

    #[test]
    fn an_error_says_whether_another_try_helps() {
        let lost = |error| matches!(Lost::from(error), Lost::Failed { retryable: true, .. });
        assert!(lost(Error::from("down")));
        assert!(!lost(NonRetryableError::new("gone").into()));
    }

    #[test]
    fn a_timeout_reads_as_the_platforms() {
        let error = timed_out(&context(1));
        assert_eq!((&*error.name, &*error.message), ("WorkflowTimeoutError", "Execution timed out after 600000ms"));
    }
}
