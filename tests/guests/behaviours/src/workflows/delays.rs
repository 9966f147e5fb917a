//! Delays that a function gives.

use std::rc::Rc;
use std::time::Duration;

use miniflow_sdk::*;
use serde_json::json;

use super::waits::outcome;
use super::{Run, class, wait};

class!(
    /// A step `flaky` that fails while its attempt is at most `fail`, with an error called `type` (or `Error`), or waits `ms` and so
    /// takes longer than its `timeout`; with `limit` and `backoff`. The delay comes from a function that tells the sink,
    /// `kind=delay&k=ATTEMPT&error=NAME: TEXT`, and then does what `name` says: nothing, so that it is `delay` ms for each attempt so far;
    /// `fails`; `slow`: takes `bytes` ms, or a minute; `invalid`: gives a text that is no length of time. Output: the attempt that succeeded, and the
    /// delay that its body was told, which is none; or, when `caught`, the error.
    DynamicDelay = async |run: Run| {
        let run = &run;
        let (params, id) = (Rc::clone(&run.params), run.id.clone());
        let delay = RetryDelay::dynamic(move |failed: DelayContext| {
            let (params, id) = (Rc::clone(&params), id.clone());
            async move {
                let (attempt, error) = (failed.ctx.attempt, failed.error.to_string());
                params.ask(&[("kind", "delay"), ("id", &id), ("k", &attempt.to_string()), ("error", &error)]).await?;
                match params.name.as_deref() {
                    Some("fails") => return Err("no idea how long".into()),
                    Some("slow") if params.bytes > 0 => wait(params.bytes as u64).await,
                    Some("slow") => wait(60_000).await,
                    Some("invalid") => return Ok("soon".into()),
                    _ => {}
                }
                Ok(Duration::from_millis(params.delay * u64::from(attempt)).into())
            }
        });
        let retries = RetryConfig { limit: run.params.limit, delay, backoff: run.params.backoff };
        let config = StepConfig { retries: Some(retries), ..run.params.config() };
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            if run.params.fails(&ctx) {
                wait(run.params.ms).await;
                let name = run.params.event_type.as_deref().unwrap_or("Error");
                return Err(Error::named(name, format!("attempt {} fails", ctx.attempt)));
            }
            let delay = ctx.config.retries.delay.map(|delay| delay.as_millis() as u64);
            Ok(json!({ "attempt": ctx.attempt, "delay": delay }))
        };
        outcome(run.step.do_with_config("flaky", config, body).await, run.params.caught)
    }
);
