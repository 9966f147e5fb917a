//! A Worker for end-to-end tests of queues.
//!
//! `POST /send?to=BINDING`, body `{messages, delay?}`, sends messages, one by itself and several as a batch; `GET /metrics?to=BINDING` tells
//! what is in a queue, `GET /order?to=ID` how an instance does. A message is an object that says what its handler does: see [`Task`].

use miniflow_sdk::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Query {
    to: String,
}

#[derive(Deserialize)]
struct Sending {
    messages: Vec<Value>,
    delay: Option<u32>,
}

/// What becomes of a message.
#[derive(Serialize, Deserialize)]
struct Task {
    name: String,
    /// `ack`, `retry`, `create`; after it `fail`, `panic` and `hang` end the whole batch so.
    #[serde(default)]
    then: Vec<String>,
    /// Told of each delivery.
    sink: Option<String>,
}

#[event(fetch)]
async fn fetch(mut req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let query: Query = req.query()?;
    let answer = match req.path().as_str() {
        "/order" => status(&env, &query.to).await,
        "/send" => send(&env, &query.to, req.json().await?).await,
        _ => metrics(&env, &query.to).await,
    };
    match answer {
        Ok(answer) => Response::from_json(&answer),
        Err(error) => {
            let body = json!({ "error": error.to_string(), "code": error.code() });
            Ok(Response::from_json(&body)?.with_status(400))
        }
    }
}

async fn send(env: &Env, to: &str, sending: Sending) -> Result<Value> {
    let queue = env.queue(to)?;
    let mut messages = sending.messages;
    let single = if messages.len() == 1 { messages.pop() } else { None };
    match (single, sending.delay) {
        (Some(message), None) => queue.send(message).await?,
        (Some(message), Some(delay)) => {
            queue.send(MessageBuilder::message(message).with_delay_seconds(delay).build()).await?;
        }
        (None, None) => queue.send_batch(messages).await?,
        (None, Some(delay)) => {
            queue.send_batch(BatchMessageBuilder::messages(messages).with_delay_seconds(delay).build()).await?;
        }
    }
    Ok(json!({ "ok": true }))
}

async fn status(env: &Env, id: &str) -> Result<Value> {
    Ok(serde_json::to_value(env.workflow("ORDER")?.get(id).await?.status().await?)?)
}

async fn metrics(env: &Env, to: &str) -> Result<Value> {
    let metrics = env.queue(to)?.metrics().await?;
    Ok(json!({ "count": metrics.backlog_count, "bytes": metrics.backlog_bytes }))
}

#[event(queue)]
async fn queue(batch: MessageBatch<Task>, env: Env, _ctx: Context) -> Result<()> {
    let mut end = None;
    for message in batch.messages()? {
        let task = message.body();
        if let Some(sink) = &task.sink {
            let told =
                format!("{sink}?name={}&attempt={}&of={}", task.name, message.attempts(), batch.raw_iter().len());
            Fetch::Url(told.parse()?).send().await?;
        }
        for then in &task.then {
            match then.as_str() {
                "ack" => {
                    message.ack();
                    // What is committed after it shows that it is.
                    env.queue("KEPT")?.send(json!({ "acknowledged": task.name })).await?;
                }
                "retry" => message.retry(),
                "create" => {
                    let id = CreateOptions::new().with_id(&task.name);
                    env.workflow("ORDER")?.create(id).await?;
                }
                other => end = Some(other.to_owned()),
            }
        }
    }
    match end.as_deref() {
        Some("fail") => Err("asked to fail".into()),
        Some("panic") => panic!("asked to panic in a queue handler"),
        Some("hang") => {
            Delay::from(std::time::Duration::from_secs(3600)).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

#[workflow]
pub struct Order {}

impl WorkflowEntrypoint for Order {
    type Input = ();
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<()>, step: WorkflowStep) -> Result<String> {
        let id = event.instance_id;
        step.do_("greet", |_| async { Ok(format!("hello {id}")) }).await
    }
}
