//! [`Delay`]: waiting inside a handler or a step's body without holding up anything else.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::host;

/// A future that is ready after a time.
///
/// It follows the clock of the dev server, which can be moved. `std::thread::sleep` would stop everything else of the same
/// Worker instance meanwhile, parallel steps included. To wait *between* steps use
/// [`WorkflowStep::sleep`](crate::WorkflowStep::sleep), which survives a restart.
///
/// ```no_run
/// # async fn f() {
/// # use miniflow_sdk::Delay;
/// Delay::from(std::time::Duration::from_millis(20)).await;
/// # }
/// ```
#[must_use = "a delay waits only when awaited"]
pub struct Delay {
    duration: Duration,
    /// Started by the first poll, as every future of a Worker.
    waiting: Option<LocalBoxFuture<'static, ()>>,
}

impl From<Duration> for Delay {
    fn from(duration: Duration) -> Self {
        Self { duration, waiting: None }
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let duration = self.duration;
        let waiting = self.waiting.get_or_insert_with(|| {
            host::required("`Delay`");
            let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            Box::pin(crate::bindings::wasi::clocks::monotonic_clock::wait_for(ns))
        });
        waiting.as_mut().poll(cx)
    }
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Delay").field(&self.duration).finish()
    }
}
