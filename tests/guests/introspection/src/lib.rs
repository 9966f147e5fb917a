//! The Worker of the test kit's own tests. `Moderator` is the workflow of the official tests of introspection.
//!
//! | route | does |
//! | --- | --- |
//! | `GET /relay?url=` | asks there, answers `{status, body}`, or `{error}` |
//! | `GET /nap?ms=` | waits by itself, and answers how long it took |
//! | `* /…` | answers `hello` |
//!
//! A message of the queue says what becomes of it: `ack`, `retry`, `retry-later`, `ack-all`, `retry-all`, `fail`; anything else is nothing.

use std::time::Duration;

use futures::stream;
use miniflow_sdk::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Query {
    url: Option<Url>,
    ms: Option<u64>,
}

#[event(fetch)]
async fn fetch(req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    let query: Query = req.query()?;
    match (req.path().as_str(), query) {
        ("/relay", Query { url: Some(url), .. }) => Response::from_json(&relay(url).await),
        ("/nap", Query { ms: Some(ms), .. }) => {
            let before = Date::now().as_millis();
            Delay::from(Duration::from_millis(ms)).await;
            Response::from_json(&(Date::now().as_millis() - before))
        }
        _ => Response::ok("hello"),
    }
}

async fn relay(url: Url) -> Value {
    let asked = async {
        let mut answer = Fetch::Url(url).send().await?;
        Ok::<_, Error>(json!({ "status": answer.status_code(), "body": answer.text().await? }))
    };
    asked.await.unwrap_or_else(|error| json!({ "error": error.to_string() }))
}

#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, _env: Env, _ctx: ScheduleContext) -> Result<()> {
    console_log!("{} at {}", event.cron(), event.schedule());
    if event.cron() == "fail" {
        event.no_retry();
        return Err("asked to fail".into());
    }
    Ok(())
}

#[event(queue)]
async fn queue(batch: MessageBatch<String>, _env: Env, _ctx: Context) -> Result<()> {
    for message in batch.messages()? {
        match message.body().as_str() {
            "ack" => message.ack(),
            "retry" => message.retry(),
            "retry-later" => {
                message.retry_with_options(&QueueRetryOptionsBuilder::new().with_delay_seconds(30).build());
            }
            "ack-all" => batch.ack_all(),
            "retry-all" => batch.retry_all(),
            "fail" => return Err("asked to fail".into()),
            _ => {}
        }
    }
    Ok(())
}

/// Looks at content: a score decides by itself, or a person does. Output: the decision.
#[workflow]
pub struct Moderator {}

impl WorkflowEntrypoint for Moderator {
    type Input = Value;
    type Output = Value;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<Value>, step: WorkflowStep) -> Result<Value> {
        step.sleep("sleep for a while", "10 seconds").await?;
        let patient = StepConfig {
            retries: Some(RetryConfig { limit: 3, delay: "10 minutes".into(), backoff: Some(Backoff::Constant) }),
            ..StepConfig::default()
        };
        let score = |ctx: WorkflowStepContext| {
            let score = event.payload["score"].clone();
            async move {
                console_log!("scoring, attempt {}", ctx.attempt);
                if score.is_null() { Err(Error::from("no model here")) } else { Ok(score) }
            }
        };
        let score: Value = step.do_with_config("AI content scan", patient, score).await?;
        let score = score.as_i64().unwrap_or_default();
        if score < 10 {
            return step.do_("auto approve content", |_| async { Ok(json!({ "status": "auto_approved" })) }).await;
        }
        if score > 90 {
            return step.do_("auto reject content", |_| async { Ok(json!({ "status": "auto_rejected" })) }).await;
        }
        let decided = WaitForEventOptions::new("moderation-decision").timeout("1 day");
        let decision = step.wait_for_event::<Value>("await moderation event", decided).await?.payload;
        step.do_("apply moderation decision", |_| {
            let decision = decision.clone();
            async move { Ok(json!({ "status": "moderated", "decision": decision })) }
        })
        .await
    }
}

/// A step `report` whose output is a stream, a sleep of a day, and then the length of what was streamed and its text.
#[workflow]
pub struct Streamer {}

impl WorkflowEntrypoint for Streamer {
    type Input = Value;
    type Output = Value;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, _event: WorkflowEvent<Value>, step: WorkflowStep) -> Result<Value> {
        let body = |_| async {
            console_log!("streaming");
            Ok(stream::iter([Ok::<_, Error>(b"real ".to_vec()), Ok(b"stream".to_vec())]))
        };
        let streamed = step.do_stream("report", body).await?;
        step.sleep("a day", "1 day").await?;
        let bytes = streamed.bytes().await?;
        Ok(json!({ "bytes": bytes.len(), "text": String::from_utf8_lossy(&bytes) }))
    }
}

/// A step `book` that is undone when the one after it, `pay`, fails.
#[workflow]
pub struct Undoer {}

impl WorkflowEntrypoint for Undoer {
    type Input = Value;
    type Output = Value;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, _event: WorkflowEvent<Value>, step: WorkflowStep) -> Result<Value> {
        let undo = Rollback::new(|ctx: WorkflowRollbackContext<String>| async move {
            console_log!("undoing {:?}", ctx.output);
            Ok(())
        });
        step.do_with_rollback("book", |_| async { Ok("seat 7".to_owned()) }, undo).await?;
        step.do_("pay", |_| async { Ok("paid".to_owned()) }).await.map(Value::from)
    }
}

/// Posts to the URLs that its params list, each in a step, with a secret in a header and in the query; what is no answer is asked for again. Output: the answers.
#[workflow]
pub struct Asker {
    env: Env,
}

#[derive(Deserialize)]
pub struct Question {
    step: String,
    url: String,
    body: String,
}

impl WorkflowEntrypoint for Asker {
    type Input = Vec<Question>;
    type Output = Vec<String>;

    fn new(_ctx: Context, env: Env) -> Self {
        Self { env }
    }

    async fn run(&self, event: WorkflowEvent<Vec<Question>>, step: WorkflowStep) -> Result<Vec<String>> {
        let mut answers = Vec::new();
        for question in &event.payload {
            let again = StepConfig {
                retries: Some(RetryConfig { limit: 1, delay: "1 hour".into(), backoff: Some(Backoff::Constant) }),
                ..StepConfig::default()
            };
            let ask = |_| self.ask(question);
            answers.push(step.do_with_config(&question.step, again, ask).await?);
        }
        Ok(answers)
    }
}

impl Asker {
    async fn ask(&self, question: &Question) -> Result<String> {
        let token = self.env.secret("TOKEN")?.to_string();
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {token}"))?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_headers(headers).with_body(Some(question.body.clone().into()));
        let request = Request::new_with_init(&format!("{}?token={token}", question.url), &init)?;
        let mut answer = Fetch::Request(request).send().await?;
        match answer.status_code() {
            200 => answer.text().await,
            status => Err(format!("status {status}").into()),
        }
    }
}
