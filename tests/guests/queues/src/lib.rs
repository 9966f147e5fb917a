//! A Worker for end-to-end tests of queues.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /send?to=BINDING`, body `{messages, delay?}` | sends messages as JSON, one by itself and several as a batch |
//! | `POST /send-as?to=`, body `{messages: [{type, body, raw?, delay?}], delay?}` | the same with content types; `raw`: the body is a list of bytes to be sent as they are |
//! | `GET /metrics?to=` | tells what is in a queue |
//! | `GET /order?to=ID` | tells how an instance does |
//!
//! A message is an object that says what its handler does: see [`Task`]. Any other is shown to the address in the variable `SINK`.

use std::time::Duration;

use miniflow_sdk::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Query {
    to: String,
}

#[derive(Deserialize)]
struct Sending<T> {
    messages: Vec<T>,
    delay: Option<u32>,
}

/// A message whose content type is said.
#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    content_type: String,
    body: Value,
    #[serde(default)]
    raw: bool,
    delay: Option<u32>,
}

/// What becomes of a message.
#[derive(Serialize, Deserialize)]
struct Task {
    name: String,
    /// See [`act`]; in the end `fail`, `panic` and `hang` end the whole batch so.
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
        "/send-as" => send_as(&env, &query.to, req.json().await?).await,
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

async fn send(env: &Env, to: &str, sending: Sending<Value>) -> Result<Value> {
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

async fn send_as(env: &Env, to: &str, sending: Sending<Typed>) -> Result<Value> {
    let queue = env.queue(to)?;
    let mut messages = sending.messages.into_iter().map(written).collect::<Result<Vec<_>>>()?;
    match (messages.len(), messages.pop(), sending.delay) {
        (1, Some(message), None) => queue.send_raw(message).await?,
        (_, last, delay) => {
            messages.extend(last);
            let mut batch = BatchMessageBuilder::messages(messages);
            if let Some(delay) = delay {
                batch = batch.with_delay_seconds(delay);
            }
            queue.send_raw_batch(batch.build()).await?;
        }
    }
    Ok(json!({ "ok": true }))
}

fn written(message: Typed) -> Result<SendMessage<RawBody>> {
    let content_type = match message.content_type.as_str() {
        "json" => QueueContentType::Json,
        "text" => QueueContentType::Text,
        "bytes" => QueueContentType::Bytes,
        "v8" => QueueContentType::V8,
        other => return Err(format!("no content type `{other}`").into()),
    };
    if message.raw {
        let bytes: Vec<u8> = serde_json::from_value(message.body)?;
        let mut builder = RawMessageBuilder::message(bytes);
        if let Some(delay) = message.delay {
            builder = builder.with_delay_seconds(delay);
        }
        return Ok(builder.build_with_content_type(content_type));
    }
    let mut builder = MessageBuilder::message(message.body).with_content_type(content_type);
    if let Some(delay) = message.delay {
        builder = builder.with_delay_seconds(delay);
    }
    builder.build().into_raw_message()
}

async fn status(env: &Env, id: &str) -> Result<Value> {
    Ok(serde_json::to_value(env.workflow("ORDER")?.get(id).await?.status().await?)?)
}

async fn metrics(env: &Env, to: &str) -> Result<Value> {
    let metrics = env.queue(to)?.metrics().await?;
    let oldest = metrics.oldest_message_timestamp.map(|at| at.as_millis());
    Ok(
        json!({ "count": metrics.backlog_count, "bytes": metrics.backlog_bytes, "oldest": oldest, "now": Date::now().as_millis() }),
    )
}

#[event(queue)]
async fn queue(batch: MessageBatch<Value>, env: Env, _ctx: Context) -> Result<()> {
    let mut end = None;
    for message in batch.messages()? {
        let Ok(task) = serde_json::from_value::<Task>(message.body().clone()) else {
            show(&env, &batch, &message).await?;
            continue;
        };
        let answer = match &task.sink {
            Some(sink) => tell(sink, &batch, &message, &[("name", &task.name)]).await?,
            None => String::new(),
        };
        for then in &task.then {
            end = act(then, &task, &answer, &batch, &message, &env).await?.or(end);
        }
    }
    match end.as_deref() {
        Some("fail") => Err("asked to fail".into()),
        Some("panic") => panic!("asked to panic in a queue handler"),
        Some("hang") => {
            Delay::from(Duration::from_secs(3600)).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Does `then`: a word, and what may follow it after a colon. Returns how the batch is to end, if it says that.
async fn act(
    then: &str,
    task: &Task,
    answer: &str,
    batch: &MessageBatch<Value>,
    message: &Message<Value>,
    env: &Env,
) -> Result<Option<String>> {
    let (word, argument) = then.split_once(':').unwrap_or((then, ""));
    let again = || match argument.parse() {
        Ok(delay) => QueueRetryOptionsBuilder::new().with_delay_seconds(delay).build(),
        Err(_) => QueueRetryOptions::default(),
    };
    match word {
        "ack" => {
            message.ack();
            // What is committed after it shows that it is.
            if let Ok(kept) = env.queue("KEPT") {
                kept.send(json!({ "acknowledged": task.name })).await?;
            }
        }
        "retry" => message.retry_with_options(&again()),
        "ack-all" => batch.ack_all(),
        "retry-all" => batch.retry_all_with_options(&again()),
        "create" => {
            env.workflow("ORDER")?.create(CreateOptions::new().with_id(&task.name)).await?;
        }
        // Until the sink answers `go`.
        "wait" => {
            let sink = task.sink.as_deref().unwrap_or_default();
            while tell(sink, batch, message, &[("waits", &task.name)]).await? != "go" {
                Delay::from(Duration::from_millis(5)).await;
            }
        }
        "leave" => drop(tell(task.sink.as_deref().unwrap_or_default(), batch, message, &[("left", &task.name)]).await?),
        // As the sink has answered.
        "obey" => return Ok(Some(answer.to_owned())),
        "fail-on" => return Ok((batch.queue() == argument).then(|| "fail".to_owned())),
        other => return Ok(Some(other.to_owned())),
    }
    Ok(None)
}

/// Tells `sink` of a delivery. Returns its answer.
async fn tell(
    sink: &str,
    batch: &MessageBatch<Value>,
    message: &Message<Value>,
    more: &[(&str, &str)],
) -> Result<String> {
    let mut url: Url = sink.parse()?;
    url.query_pairs_mut()
        .extend_pairs(more)
        .append_pair("queue", &batch.queue())
        .append_pair("id", &message.id())
        .append_pair("sent", &message.timestamp().as_millis().to_string())
        .append_pair("attempt", &message.attempts().to_string())
        .append_pair("of", &batch.raw_iter().len().to_string());
    Fetch::Url(url).send().await?.text().await
}

/// Shows a message that is no task, as it was sent and as it is read.
async fn show(env: &Env, batch: &MessageBatch<Value>, message: &Message<Value>) -> Result<()> {
    let content_type = format!("{:?}", message.content_type()).to_lowercase();
    let raw: String = message.raw_body().iter().map(|byte| format!("{byte:02x}")).collect();
    let read = message.body().to_string();
    let more = [("type", content_type.as_str()), ("raw", raw.as_str()), ("read", read.as_str())];
    tell(&env.var("SINK")?.to_string(), batch, message, &more).await.map(drop)
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
