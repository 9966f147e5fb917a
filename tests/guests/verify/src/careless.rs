//! Workflows with a step that must not be done twice.

use std::cell::Cell;

use miniflow_sdk::serde_json::{Value, json};
use miniflow_sdk::*;

use crate::{Event, class, send};

class! {
    /// The step `charge` asks a bank for money, and gives it nothing to know the request by.
    Charges = charges
}

async fn charges(env: &Env, event: &Event, step: &WorkflowStep) -> Result<Value> {
    let bank = env.var("BANK")?.to_string();
    let validate = || async { if event.payload["cents"] == 0 { Err(Error::from("nothing to pay")) } else { Ok(()) } };
    step.do_("validate", |_| validate()).await?;
    step.do_("charge", |_| send(Method::Post, &bank, None, json!({ "cents": 1 }))).await?;
    step.do_("thank", |_| async { Ok(json!("thanks")) }).await
}

class! {
    /// The step `charge` makes its key itself: each time another.
    MakesKeys = makes_keys
}

async fn makes_keys(env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let bank = env.var("BANK")?.to_string();
    let charge = |_| async {
        let key = uuid::Uuid::new_v4().to_string();
        send(Method::Post, &bank, Some(&key), json!({ "cents": 1 })).await
    };
    step.do_("charge", charge).await.map(Value::from)
}

class! {
    /// The step `count` adds to what an object has.
    Counts = counts
}

async fn counts(env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let count = || async {
        let ledger = env.durable_object("LEDGER")?.get_by_name("all")?;
        ledger.fetch_with_str("http://ledger/add").await.map(drop)
    };
    step.do_("before", |_| async { Ok(()) }).await?;
    step.do_("count", |_| count()).await?;
    Ok(json!("counted"))
}

class! {
    /// The step `add` adds to what is kept under a key.
    Adds = adds
}

async fn adds(env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let add = || async {
        let kv = env.kv("KV")?;
        let n = kv.get("n").json::<u32>().await?.unwrap_or_default();
        kv.put("n", n + 1)?.execute().await
    };
    step.do_("add", |_| add()).await?;
    step.do_("after", |_| async { Ok(()) }).await?;
    Ok(json!("added"))
}

class! {
    /// Between its steps it reads what a step of its own writes.
    Peeks = peeks
}

async fn peeks(env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let kv = env.kv("KV")?;
    let found = kv.get("seen").text().await?;
    step.do_("mark", |_| async { kv.put("seen", "already")?.execute().await }).await?;
    step.do_("after", |_| async { Ok(()) }).await?;
    Ok(json!(found))
}

class! {
    /// The step `tell` sends a message.
    Tells = tells
}

async fn tells(env: &Env, event: &Event, step: &WorkflowStep) -> Result<Value> {
    let tell = || async { env.queue("MAIL")?.send(json!({ "about": event.instance_id })).await };
    step.do_("tell", |_| tell()).await?;
    Ok(json!("told"))
}

class! {
    /// The step `spawn` starts a workflow and does not name it.
    Spawns = spawns
}

async fn spawns(env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let spawn = || async { env.workflow("CHILD")?.create(CreateOptions::new()).await.map(drop) };
    step.do_("spawn", |_| spawn()).await?;
    Ok(json!("spawned"))
}

class! {
    /// What the step `note` finds out is kept beside it, and gone after a restart.
    Forgets = forgets
}

async fn forgets(_env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let found = Cell::new(0);
    step.do_("note", |_| async {
        found.set(42);
        Ok(())
    })
    .await?;
    step.do_("after", |_| async { Ok(()) }).await?;
    Ok(json!(found.get()))
}
