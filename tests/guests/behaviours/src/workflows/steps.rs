//! Steps that do what they should.

use miniflow_sdk::*;
use serde_json::json;

use super::{Run, class};

class!(
    /// One step `only`. Output: its value.
    OneStep = async |run: Run| Ok(json!({ "count": run.note("only").await? }))
);

class!(
    /// `n` steps `step-1`, `step-2`, … Output: how many.
    ManySteps = async |run: Run| {
        let n = run.params.n.unwrap_or(3);
        for k in 1..=n {
            run.note(&format!("step-{k}")).await?;
        }
        Ok(json!({ "steps": n }))
    }
);

class!(
    /// A step `info` with the options asked for. Output: what its body was told.
    StepContext = async |run: Run| {
        let body = |ctx: WorkflowStepContext| async move {
            let config = &ctx.config;
            Ok(json!({
                "name": ctx.step.name,
                "count": ctx.step.count,
                "attempt": ctx.attempt,
                "timeout": config.timeout.as_millis() as u64,
                "limit": config.retries.limit,
                "delay": config.retries.delay.map(|delay| delay.as_millis() as u64),
                "backoff": config.retries.backoff,
            }))
        };
        run.step.do_with_config("info", run.params.config(), body).await
    }
);

class!(
    /// A step `defaults` without options. Output: what its body was told of them.
    StepDefaults = async |run: Run| {
        let body = |ctx: WorkflowStepContext| async move {
            let retries = &ctx.config.retries;
            let timeout = ctx.config.timeout.as_millis() as u64;
            let delay = retries.delay.map(|delay| delay.as_millis() as u64);
            Ok(json!({ "timeout": timeout, "limit": retries.limit, "delay": delay, "backoff": retries.backoff }))
        };
        run.step.do_("defaults", body).await
    }
);

class!(
    /// A step `outer` whose body asks for a step `inner`. Output: the inner one's value.
    NestedStep = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            run.note("inner").await
        };
        let inner = run.step.do_("outer", body).await?;
        Ok(json!({ "inner": inner }))
    }
);

class!(
    /// A step `outer` whose body asks for a step `inner` and then fails while its attempt is at most `fail`. Output: how many-th the
    /// inner one was in the attempt that succeeded.
    NestedRetry = async |run: Run| {
        let run = &run;
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            let inner = run.note("inner").await?;
            if run.params.fails(&ctx) { Err("outer fails".into()) } else { Ok(inner) }
        };
        let inner = run.step.do_with_config("outer", run.params.config(), body).await?;
        Ok(json!({ "inner": inner }))
    }
);

class!(
    /// A step `secret` whose output must not be shown, and a sleep of `ms`. Output: its length.
    SensitiveOutput = async |run: Run| {
        let config = StepConfig { sensitive: Some(StepSensitivity::Output), ..run.params.config() };
        let secret = run.step.do_with_config("secret", config, |_| async { Ok("open sesame".to_owned()) }).await?;
        run.step.sleep("nap", run.params.length()).await?;
        Ok(json!({ "length": secret.len() }))
    }
);

class!(
    /// The name `same` in a loop, then twice at a time. Output: how many-th each one was.
    SameNames = async |run: Run| {
        let mut counts = Vec::new();
        for _ in 0..3 {
            counts.push(run.note("same").await?);
        }
        let (a, b) = futures::join!(run.note("same"), run.note("same"));
        counts.extend([a?, b?]);
        Ok(json!({ "counts": counts }))
    }
);

class!(
    /// A step `big` whose output is a text of `bytes` bytes. Output: its length.
    BigOutput = async |run: Run| {
        let body = |_| async { Ok("x".repeat(run.params.bytes)) };
        let text = run.step.do_with_config("big", run.params.config(), body).await?;
        Ok(json!({ "length": text.len() }))
    }
);

class!(
    /// Logs between and inside of steps, with a sleep of `ms` in the middle.
    LogsInsideAndOutside = async |run: Run| {
        console_log!("outside, before");
        let logged = |_| async {
            console_log!("inside");
            Ok(())
        };
        run.step.do_("first", logged).await?;
        console_warn!("outside, between");
        run.step.sleep("nap", run.params.length()).await?;
        run.step.do_("second", logged).await?;
        console_error!("outside, after");
        Ok(json!(null))
    }
);

class!(
    /// Starts an instance of `OneStep` in the step `start`, keeps the handle as that step's output and uses it after a sleep
    /// of `ms`. Output: the child's id and status.
    ChildStarter = async |run: Run| {
        let run = &run;
        let start = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            let id = format!("child-{}", run.id);
            run.env.workflow("ONE_STEP")?.create(CreateOptions::new().with_id(id)).await
        };
        let child = run.step.do_("start", start).await?;
        run.step.sleep("nap", run.params.length()).await?;
        let status = run.step.do_("look", |_| child.status()).await?;
        Ok(json!({ "child": child.id(), "status": status }))
    }
);

class!(
    /// Starts an instance `child-ID` of `OneStep` in the step `start`, which then fails while its attempt is at most `fail` (0 unless
    /// given). With `keep` a child that exists is taken, without it that is a failure like any other; with `limit` and `delay`. Output: the
    /// child's id, from the step `id`, or, when `caught`, the error.
    ChildRetry = async |run: Run| {
        let run = &run;
        let start = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            let (workflow, id) = (run.env.workflow("ONE_STEP")?, format!("child-{}", run.id));
            let child = match workflow.create(CreateOptions::new().with_id(&id)).await {
                Err(error) if run.params.keep && error.code() == Some("instance.already_exists") => {
                    workflow.get(id).await?
                }
                created => created?,
            };
            if ctx.attempt <= run.params.fail.unwrap_or(0) { Err("the child is forgotten".into()) } else { Ok(child) }
        };
        let child = run.step.do_with_config("start", run.params.config(), start).await;
        let id = match child {
            Ok(child) => run.step.do_("id", |_| async { Ok(child.id()) }).await.map(|id| json!({ "child": id })),
            Err(error) => Err(error),
        };
        super::waits::outcome(id, run.params.caught)
    }
);
