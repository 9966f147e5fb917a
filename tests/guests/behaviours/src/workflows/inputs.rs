//! Inputs and outputs of particular types.

use std::cell::Cell;

use futures::channel::oneshot;
use miniflow_sdk::*;
use serde::Deserialize;

use super::Params;

/// An input that not every payload fits.
#[derive(Deserialize)]
pub struct Typed {
    number: u32,
}

/// Takes `{"number": …}` only. Output: that number.
#[workflow]
pub struct BadPayload;

impl WorkflowEntrypoint for BadPayload {
    type Input = Typed;
    type Output = u32;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self
    }

    async fn run(&self, event: WorkflowEvent<Typed>, step: WorkflowStep) -> Result<u32> {
        step.do_("only", |_| async { Ok(event.payload.number) }).await
    }
}

/// Takes nothing. Output: a text.
#[workflow]
pub struct UnitInput;

impl WorkflowEntrypoint for UnitInput {
    type Input = ();
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self
    }

    async fn run(&self, _event: WorkflowEvent<()>, step: WorkflowStep) -> Result<String> {
        step.do_("only", |_| async { Ok("had nothing".to_owned()) }).await
    }
}

/// Takes `{"number": …}` or nothing. Output: the number, if there was one.
#[workflow]
pub struct OptionalInput;

impl WorkflowEntrypoint for OptionalInput {
    type Input = Option<Typed>;
    type Output = Option<u32>;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self
    }

    async fn run(&self, event: WorkflowEvent<Self::Input>, step: WorkflowStep) -> Result<Option<u32>> {
        step.do_("only", |_| async { Ok(event.payload.as_ref().map(|typed| typed.number)) }).await
    }
}

/// Takes anything. Output: the event as it was given, and a variable.
#[workflow]
pub struct EventEcho {
    env: Env,
}

impl WorkflowEntrypoint for EventEcho {
    type Input = serde_json::Value;
    type Output = serde_json::Value;

    fn new(_ctx: Context, env: Env) -> Self {
        Self { env }
    }

    async fn run(&self, event: WorkflowEvent<Self::Input>, step: WorkflowStep) -> Result<Self::Output> {
        let greeting = step.do_("greeting", |_| async { Ok(self.env.var("GREETING")?.to_string()) }).await?;
        Ok(serde_json::json!({
            "payload": event.payload,
            "instanceId": event.instance_id,
            "workflowName": event.workflow_name,
            "timestamp": event.timestamp.as_millis(),
            "schedule": event.schedule.map(|schedule| schedule.cron),
            "greeting": greeting,
        }))
    }
}

/// Returns nothing.
#[workflow]
pub struct ReturnsNothing;

impl WorkflowEntrypoint for ReturnsNothing {
    type Input = ();
    type Output = ();

    fn new(_ctx: Context, _env: Env) -> Self {
        Self
    }

    async fn run(&self, _event: WorkflowEvent<()>, step: WorkflowStep) -> Result<()> {
        step.do_("only", |_| async { Ok(()) }).await
    }
}

/// Has no step at all. Output: a text.
#[workflow]
pub struct NoSteps;

impl WorkflowEntrypoint for NoSteps {
    type Input = ();
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self
    }

    async fn run(&self, _event: WorkflowEvent<()>, _step: WorkflowStep) -> Result<String> {
        Ok("nothing to do".to_owned())
    }
}

/// Keeps what it was made with: a variable, a task of its context, and how often this value has run. Tells the sink of each run, sleeps `ms`
/// in between. Output: all three.
#[workflow]
pub struct Constructed {
    greeting: String,
    task: Cell<Option<oneshot::Receiver<&'static str>>>,
    runs: Cell<u32>,
}

impl WorkflowEntrypoint for Constructed {
    type Input = Params;
    type Output = serde_json::Value;

    fn new(ctx: Context, env: Env) -> Self {
        let (send, receive) = oneshot::channel();
        ctx.wait_until(async move {
            // Nobody listens when the run is over before.
            let _ = send.send("done");
        });
        let greeting = env.var("GREETING").map_or_else(|error| error.to_string(), |value| value.to_string());
        Self { greeting, task: Cell::new(Some(receive)), runs: Cell::new(0) }
    }

    async fn run(&self, event: WorkflowEvent<Params>, step: WorkflowStep) -> Result<Self::Output> {
        self.runs.set(self.runs.get() + 1);
        let runs = self.runs.get();
        event.payload.ask(&[("kind", "run"), ("id", &event.instance_id), ("k", &runs.to_string())]).await?;
        let task = self.task.take().ok_or("this value has run before")?.await.map_err(|_| "the task was dropped")?;
        step.sleep("nap", event.payload.length()).await?;
        Ok(serde_json::json!({ "greeting": self.greeting, "task": task, "runs": runs }))
    }
}
