//! Workflows that go the same way wherever they are cut.

use std::collections::HashMap;

use miniflow_sdk::futures::join;
use miniflow_sdk::serde_json::{Value, json};
use miniflow_sdk::*;

use crate::{Event, class, send};

class! {
    /// Uses everything in a way that may be repeated: requests with a key and without, an object, another workflow, a time-out, a retry,
    /// steps side by side, a number that is drawn in a step, and a hash map.
    Careful = careful
}

async fn careful(env: &Env, event: &Event, step: &WorkflowStep) -> Result<Value> {
    let bank = env.var("BANK")?.to_string();
    let id = &event.instance_id;
    let token = step.do_("draw", |_| async { Ok(uuid::Uuid::new_v4().to_string()) }).await?;
    step.do_("look", |_| send(Method::Get, &bank, None, Value::Null)).await?;
    let retries = RetryConfig { limit: 3, delay: "1 hour".into(), backoff: None };
    let config = StepConfig { retries: Some(retries), ..StepConfig::default() };
    let charged = step
        .do_with_config("charge", config, |ctx| {
            let (bank, token) = (&bank, &token);
            async move {
                // The body may differ: it is the key by which the bank knows it.
                send(Method::Post, bank, Some(id), json!({ "token": token, "attempt": ctx.attempt })).await?;
                if ctx.attempt < 2 { Err(Error::from("the bank is busy")) } else { Ok("a receipt".to_owned()) }
            }
        })
        .await?;
    step.do_("file", |_| send(Method::Put, &bank, None, json!({ "state": "charged" }))).await?;
    step.sleep("settle", "3 days").await?;
    let approval = WaitForEventOptions::new("approval").timeout("10 days");
    let approved = step.wait_for_event::<Value>("approval", approval).await.map(|event| event.payload);
    let approved = match approved {
        Ok(payload) => payload,
        Err(error) if error.name() == "WorkflowTimeoutError" => Value::Null,
        Err(error) => return Err(error),
    };
    step.do_("keep", |_| async { env.kv("KV")?.put(id, "charged")?.execute().await }).await?;
    let child = step.do_("start the child", |_| start_once(env, format!("{id}-child"))).await?;
    let (left, right) = join!(
        step.do_("left", |_| async { Ok(HashMap::from([("left", 1), ("other", 2)])["left"]) }),
        step.do_("note", |_| note(env, "charged")),
    );
    right?;
    Ok(json!({ "charged": charged, "approved": approved, "child": child, "left": left? }))
}

/// A creation that was not recorded may have been done.
async fn start_once(env: &Env, id: String) -> Result<String> {
    let workflow = env.workflow("CHILD")?;
    match workflow.create(CreateOptions::new().with_id(&id)).await {
        Ok(created) => Ok(created.id().to_string()),
        Err(error) if error.code() == Some("instance.already_exists") => Ok(workflow.get(id).await?.id().to_string()),
        Err(error) => Err(error),
    }
}

async fn note(env: &Env, state: &str) -> Result<()> {
    let ledger = env.durable_object("LEDGER")?.get_by_name("all")?;
    ledger.fetch_with_str(&format!("http://ledger/set?value={state}")).await.map(drop)
}

class! {
    /// `n` steps, one after the other.
    ManySteps = many_steps
}

async fn many_steps(_env: &Env, event: &Event, step: &WorkflowStep) -> Result<Value> {
    let mut sum = 0;
    for number in 0..event.payload["n"].as_u64().unwrap_or(10) {
        sum += step.do_(format!("step {number}"), |_| async move { Ok(number) }).await?;
    }
    Ok(json!(sum))
}

class! {
    /// One step.
    Child = child
}

async fn child(_env: &Env, event: &Event, step: &WorkflowStep) -> Result<Value> {
    step.do_("work", |_| async { Ok(json!(event.instance_id)) }).await
}
