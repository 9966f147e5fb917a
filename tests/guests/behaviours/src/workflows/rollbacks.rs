//! Steps that are undone.
//!
//! Each handler tells the sink each time it runs, `GET sink?kind=undo-STEP&id=&k=COUNT&output=JSON|none&error=NAME: TEXT`, waits
//! `undo.ms`, and then does what `undo` says: see [`Undo`]. A step's output is `{step, count, attempt}`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::waits::outcome;
use super::{Run, class, now, wait};

/// What the handlers do.
#[derive(Deserialize, Default, Clone)]
#[serde(default, deny_unknown_fields)]
pub struct Undo {
    /// How long each waits.
    ms: u64,
    /// How often that of a step fails in one life of the guest, by the step's name.
    fails: BTreeMap<String, u32>,
    /// The step whose handler fails without another try.
    fatal: Option<String>,
    /// The step whose handler panics.
    panics: Option<String>,
    /// The retries; 0 unless given.
    limit: u32,
    /// Between the attempts, in ms.
    delay: u64,
    /// Whether a function gives the delay.
    dynamic: bool,
    timeout: Option<String>,
}

impl Undo {
    fn config(&self) -> RollbackConfig {
        let delay = Duration::from_millis(self.delay);
        let delay = if self.dynamic { RetryDelay::sync(move |_| Ok(delay.into())) } else { delay.into() };
        let retries = RetryConfig::new(self.limit, delay).backoff(Backoff::Constant);
        RollbackConfig { retries: Some(retries), timeout: self.timeout.as_deref().map(Into::into) }
    }
}

/// What a step returns.
#[derive(Serialize, Deserialize)]
struct Made {
    step: String,
    count: u32,
    attempt: u32,
}

type Undoing = LocalBoxFuture<'static, Result<()>>;

/// Makes the handler of a step.
fn undo(run: &Run, name: &str) -> Rollback<impl Fn(WorkflowRollbackContext<Made>) -> Undoing + 'static> {
    let (params, id, name) = (Rc::clone(&run.params), run.id.clone(), name.to_owned());
    let config = params.undo.config();
    let tries = Rc::new(Cell::new(0));
    let handler = move |undone: WorkflowRollbackContext<Made>| {
        let (params, id, name, tries) = (Rc::clone(&params), id.clone(), name.clone(), Rc::clone(&tries));
        async move {
            let output = undone.output.as_ref().map(serde_json::to_string).transpose()?;
            params
                .ask(&[
                    ("kind", &format!("undo-{name}")),
                    ("id", &id),
                    ("k", &undone.ctx.step.count.to_string()),
                    ("output", output.as_deref().unwrap_or("none")),
                    ("error", &undone.error.to_string()),
                ])
                .await?;
            wait(params.undo.ms).await;
            tries.set(tries.get() + 1);
            if params.undo.fatal.as_ref() == Some(&name) {
                return Err(NonRetryableError::new(format!("{name} cannot be undone")).into());
            }
            assert_ne!(params.undo.panics.as_ref(), Some(&name), "asked to panic in a handler");
            if tries.get() <= params.undo.fails.get(&name).copied().unwrap_or(0) {
                return Err(format!("try {} to undo {name} fails", tries.get()).into());
            }
            Ok(())
        }
        .boxed_local()
    };
    Rollback::with_config(handler, config)
}

impl Run {
    /// A step that tells the sink, waits, and can be undone.
    async fn make(&self, name: &str, ms: u64) -> Result<Made> {
        let body = |ctx: WorkflowStepContext| async move {
            self.params.tell(&self.id, &ctx).await?;
            wait(ms).await;
            Ok(Made { step: ctx.step.name, count: ctx.step.count, attempt: ctx.attempt })
        };
        self.step.do_with_rollback(name, body, undo(self, name)).await
    }

    fn failure(&self) -> Result<Value> {
        Err(Error::named(self.params.name.as_deref().unwrap_or("Error"), "the run fails"))
    }
}

class!(
    /// The steps `a`, then `b` and `c` at a time, of which `b` waits `ms`, `plain` without a handler, and `d`, which fails while its
    /// attempt is at most `fail`, with `limit` and `delay`. When `caught` the failure is the output, and nothing is undone.
    RollbackOrder = async |run: Run| {
        let run = &run;
        run.make("a", 0).await?;
        let (b, c) = futures::join!(run.make("b", run.params.ms), run.make("c", 0));
        b?;
        c?;
        run.note("plain").await?;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            if run.params.fails(&ctx) {
                return Err(Error::named(run.params.name.as_deref().unwrap_or("Error"), "d fails"));
            }
            Ok(Made { step: ctx.step.name, count: ctx.step.count, attempt: ctx.attempt })
        };
        let d = run.step.do_with_config_and_rollback("d", run.params.config(), body, undo(run, "d")).await;
        outcome(d.map(|made| json!(made)), run.params.caught)
    }
);

class!(
    /// The steps `a`, `b` and `c` with sleeps of `ms` or `duration` between them; then the run fails, with an error called `name`.
    RollbackSleeps = async |run: Run| {
        run.make("a", 0).await?;
        run.step.sleep("nap-1", run.params.length()).await?;
        run.make("b", 0).await?;
        run.step.sleep("nap-2", run.params.length()).await?;
        run.make("c", 0).await?;
        run.failure()
    }
);

class!(
    /// The steps `a` and `b`, `fails`, whose error is handled, then a wait for `go`. Output: the payload.
    RollbackHold = async |run: Run| {
        let run = &run;
        run.make("a", 0).await?;
        run.make("b", 0).await?;
        let once = StepConfig::new().retries(RetryConfig::new(0, "1 second"));
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            Err::<Made, _>("handled".into())
        };
        let failed = run.step.do_with_config_and_rollback("fails", once, body, undo(run, "fails")).await;
        if failed.is_ok() {
            return Err("it does not fail".into());
        }
        let event = run.step.wait_for_event::<Value>("hold", WaitForEventOptions::new("go")).await?;
        Ok(event.payload)
    }
);

class!(
    /// The name `same` four times, the third time without a handler; then the run fails.
    RollbackSameName = async |run: Run| {
        for count in 1..=4 {
            if count == 3 {
                run.note("same").await?;
            } else {
                run.make("same", 0).await?;
            }
        }
        run.failure()
    }
);

class!(
    /// The steps `a` and `lost`, which has a handler for the first `ms` after `a` only, a sleep of twice that, and `c`; then the run
    /// fails. If it was replayed meanwhile, the handler is not there.
    RollbackLost = async |run: Run| {
        let start = run.step.do_("start", |_| async { Ok(now()) }).await?;
        run.make("a", 0).await?;
        if now() < start + run.params.ms {
            run.make("lost", 0).await?;
        } else {
            let body = |ctx: WorkflowStepContext| async move {
                Ok(Made { step: ctx.step.name, count: ctx.step.count, attempt: ctx.attempt })
            };
            run.step.do_("lost", body).await?;
        }
        run.step.sleep("nap", Duration::from_millis(run.params.ms * 2)).await?;
        run.make("c", 0).await?;
        run.failure()
    }
);

class!(
    /// A step `a` whose handler asks for a step `forbidden`, tells the sink of the answer, `kind=answer&text=`, and fails with
    /// it; then the run fails.
    RollbackAsksStep = async |run: Run| {
        let (params, id, step) = (Rc::clone(&run.params), run.id.clone(), run.step.clone());
        let handler = move |_: WorkflowRollbackContext<u32>| {
            let (params, id, step) = (Rc::clone(&params), id.clone(), step.clone());
            async move {
                let answer = step.do_("forbidden", |_| async { Ok(1) }).await;
                let text = answer.as_ref().map_or_else(ToString::to_string, ToString::to_string);
                params.ask(&[("kind", "answer"), ("id", &id), ("text", &text)]).await?;
                answer.map(drop)
            }
        };
        let rollback = Rollback::with_config(handler, run.params.undo.config());
        run.step.do_with_rollback("a", |_| async { Ok(1) }, rollback).await?;
        run.failure()
    }
);
