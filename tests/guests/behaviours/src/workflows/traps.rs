//! Code that takes the whole component down. Those in a step do so while the attempt is at most `fail`, and succeed after;
//! each has a step `before`.

use miniflow_sdk::*;
use serde_json::{Value, json};

use super::{Run, class};
use crate::probes::{eat_memory, spin};

async fn trap_in_step(run: Run, trap: fn() -> Value) -> Result<Value> {
    let run = &run;
    run.note("before").await?;
    let body = |ctx: WorkflowStepContext| async move {
        run.params.tell(&run.id, &ctx).await?;
        Ok(if run.params.fails(&ctx) { trap() } else { json!({ "attempt": ctx.attempt }) })
    };
    run.step.do_with_config("trap", run.params.config(), body).await
}

class!(
    /// A step `trap` that never ends and never awaits.
    SpinInStep = async |run: Run| trap_in_step(run, || spin()).await
);

class!(
    /// A step `trap` that panics.
    PanicInStep = async |run: Run| trap_in_step(run, || panic!("asked to panic in a step")).await
);

class!(
    /// A step `trap` that eats all memory.
    OomInStep = async |run: Run| trap_in_step(run, || eat_memory()).await
);

class!(
    /// Panics between steps.
    PanicOutsideStep = async |run: Run| -> Result<Value> {
        run.note("before").await?;
        panic!("asked to panic outside of a step")
    }
);

class!(
    /// Never ends, between steps.
    SpinOutsideStep = async |run: Run| -> Result<Value> {
        run.note("before").await?;
        spin()
    }
);
