//! Steps and runs that fail.

use miniflow_sdk::*;
use serde_json::json;

use super::waits::outcome;
use super::{Run, class, wait};

class!(
    /// A step `flaky` that fails while its attempt is at most `fail`. Output: the attempt that succeeded.
    Flaky = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            wait(run.params.ms).await;
            if run.params.fails(&ctx) { Err(format!("attempt {} fails", ctx.attempt).into()) } else { Ok(ctx.attempt) }
        };
        let attempt = run.step.do_with_config("flaky", run.params.config(), body).await;
        outcome(attempt.map(|attempt| json!({ "attempt": attempt })), run.params.caught)
    }
);

class!(
    /// A step `fatal` that fails for good, with an error called `name`, if given.
    NonRetryable = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            let mut error = NonRetryableError::new("beyond repair");
            if let Some(name) = &run.params.name {
                error = error.with_name(name);
            }
            Err::<(), _>(error.into())
        };
        let done = run.step.do_with_config("fatal", run.params.config(), body).await;
        outcome(done.map(|()| json!("done")), run.params.caught)
    }
);

class!(
    /// A step `slow` that waits `ms` while its attempt is at most `fail`, with a `timeout`. Output: the attempt that succeeded.
    StepTimeout = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            if run.params.fails(&ctx) {
                wait(run.params.ms).await;
            }
            Ok(ctx.attempt)
        };
        let attempt = run.step.do_with_config("slow", run.params.config(), body).await;
        outcome(attempt.map(|attempt| json!({ "attempt": attempt })), run.params.caught)
    }
);

class!(
    /// A step `fails`, whose error is handled, a sleep of `ms`, and a step `clean up`. Output: the error as the run saw it last.
    CaughtFailure = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            Err::<(), _>(Error::named(run.params.name.as_deref().unwrap_or("PaymentError"), "declined"))
        };
        let failed = run.step.do_with_config("fails", run.params.config(), body).await;
        run.step.sleep("nap", run.params.length()).await?;
        run.note("clean up").await?;
        outcome(failed.map(|()| json!("done")), true)
    }
);

class!(
    /// A step `before`, then an error of the run itself, called `name`, if given.
    FailsOutsideStep = async |run: Run| {
        run.note("before").await?;
        Err(match &run.params.name {
            Some(name) => Error::named(name, "the run fails"),
            None => "the run fails".into(),
        })
    }
);

class!(
    /// A step called `name`, which may be one that is not allowed. Output, when `caught`: the refusal.
    NamedStep = async |run: Run| {
        let named = run.note(run.params.name.as_deref().unwrap_or_default()).await;
        outcome(named.map(|count| json!({ "count": count })), run.params.caught)
    }
);

class!(
    /// A step `silent` that fails without a text while its attempt is at most `fail`, for good with `keep`; with `limit` and `delay`. Output: the
    /// attempt that succeeded, or, when `caught`, the error.
    SilentFailure = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            match (run.params.fails(&ctx), run.params.keep) {
                (true, true) => Err(NonRetryableError::new("").into()),
                (true, false) => Err("".into()),
                (false, _) => Ok(ctx.attempt),
            }
        };
        let attempt = run.step.do_with_config("silent", run.params.config(), body).await;
        outcome(attempt.map(|attempt| json!({ "attempt": attempt })), run.params.caught)
    }
);

class!(
    /// A step `unwritable` whose output JSON does not have a form for, with `limit`. Output, when `caught`: the error.
    UnwritableOutput = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            // A key that is no text.
            Ok(std::collections::BTreeMap::from([((1, 2), 3)]))
        };
        let written = run.step.do_with_config("unwritable", run.params.config(), body).await;
        outcome(written.map(|map| json!(map.len())), run.params.caught)
    }
);

class!(
    /// A step `fatal` that fails for good, which is handled, then a step `busy` that tells the sink and waits `ms`, then a step `after`.
    CaughtThenBusy = async |run: Run| {
        let run = &run;
        let body = |_| async { Err::<(), _>(NonRetryableError::new("beyond repair").into()) };
        let failed = run.step.do_with_config("fatal", run.params.config(), body).await;
        run.note_after("busy", run.params.ms).await?;
        run.note("after").await?;
        outcome(failed.map(|()| json!("done")), true)
    }
);

class!(
    /// A step `late` that waits `ms` and tells the sink then, with a `timeout`; its error is handled. Then a step `after` that tells the sink and
    /// waits `ms` as well. Output: the error.
    LateBody = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            wait(run.params.ms).await;
            run.params.tell(&run.id, &ctx).await
        };
        let late = run.step.do_with_config("late", run.params.config(), body).await;
        run.note_after("after", run.params.ms).await?;
        outcome(late.map(|()| json!("done")), true)
    }
);
