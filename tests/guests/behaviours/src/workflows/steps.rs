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
                "delay": config.retries.delay.as_millis() as u64,
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
            let (timeout, delay) = (ctx.config.timeout.as_millis() as u64, retries.delay.as_millis() as u64);
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
