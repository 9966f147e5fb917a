//! Trying a build on what is recorded of an instance, before it is used.
//!
//! Promises: the guest has no effect (host functions that would have one ask [`Run::blocks`] first), prints nothing, and is given up after
//! [`TRIAL_MAX`]. Never does: make the build the present one.
//!
//! [`Run::blocks`]: miniflow_runtime::Run::blocks

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use miniflow_runtime::clock::real;
use miniflow_runtime::{Fit, Handle, Trial};
use wasmtime::PoolConcurrencyLimitError;

use super::generation::Generation;
use super::pool::{GuestKind, PoolBackoff};
use super::runner::call_run;
use super::trap;

/// Real time for one instance: a replay takes microseconds.
const TRIAL_MAX: Duration = Duration::from_secs(2);

impl Generation {
    /// Runs this build on what `trial` has recorded; none when it takes too long.
    pub async fn try_out(&self, runtime: &Handle, trial: &mut Trial) -> Option<Fit> {
        real::timeout(TRIAL_MAX, Box::pin(self.try_to_the_end(runtime, trial))).await?
    }

    async fn try_to_the_end(&self, runtime: &Handle, trial: &mut Trial) -> Option<Fit> {
        let run = Arc::clone(trial.run());
        let mut backoff = PoolBackoff::default();
        loop {
            let permit = self.pool().reserve(GuestKind::Check).await;
            let mut store = self.run_store(permit, Arc::clone(&run));
            let has_begun = AtomicBool::new(false);
            match trial.look(runtime, Box::pin(call_run(self, &mut store, &run, &has_begun))).await {
                // The run has counted nothing yet. Later the check has no answer, as when it takes too long.
                Some(Err(error)) if error.is::<PoolConcurrencyLimitError>() => {
                    if has_begun.into_inner() {
                        return None;
                    }
                }
                Some(Err(error)) => return Some(Fit::Fails { message: trap::explain(&store, &error).await.message }),
                Some(Ok(())) | None => return Some(trial.fit()),
            }
            drop(store);
            backoff.wait().await;
        }
    }
}
