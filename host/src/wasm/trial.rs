//! Trying a build on what is recorded of an instance, before it is used.
//!
//! Promises: the guest has no effect (host functions that would have one ask [`Run::blocks`] first), prints nothing, and is given up after
//! [`TRIAL_MAX`]. Never does: make the build the present one.
//!
//! [`Run::blocks`]: miniflow_runtime::Run::blocks

use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::clock::real;
use miniflow_runtime::{Fit, Handle, Trial};
use wasmtime::PoolConcurrencyLimitError;

use super::generation::Generation;
use super::runner::call_run;
use super::trap;

/// Real time for one instance: a replay takes microseconds.
const TRIAL_MAX: Duration = Duration::from_secs(2);

/// Before another try when the pool is full.
const POOL_FULL_DELAY: Duration = Duration::from_millis(5);

impl Generation {
    /// Runs this build on what `trial` has recorded; none when it takes too long.
    pub async fn try_out(&self, runtime: &Handle, trial: &mut Trial) -> Option<Fit> {
        real::timeout(TRIAL_MAX, Box::pin(self.try_to_the_end(runtime, trial))).await
    }

    async fn try_to_the_end(&self, runtime: &Handle, trial: &mut Trial) -> Fit {
        let run = Arc::clone(trial.run());
        loop {
            let mut store = self.store(Some(Arc::clone(&run)));
            match trial.look(runtime, Box::pin(call_run(self, &mut store, &run))).await {
                Some(Err(error)) if error.is::<PoolConcurrencyLimitError>() => {}
                Some(Err(error)) => return Fit::Fails { message: trap::explain(&store, &error).message },
                Some(Ok(())) | None => return trial.fit(),
            }
            drop(store);
            real::sleep(POOL_FULL_DELAY).await;
        }
    }
}
