//! A Worker for end-to-end tests of KV.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /run`, body: operations | does them, answers their results; see `script.rs` |
//! | `POST /object/NAME`, body: operations | has an object do them |
//! | `POST /service/BINDING`, body: operations | has another Worker do them |
//! | `POST /workflow?id=`, body: operations | starts an instance that does them in one step |
//! | `GET /status?id=` | how it does |
//!
//! A cron trigger whose expression is `put KEY` puts the moment it was fired for under that key.

mod script;

use miniflow_sdk::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Query {
    id: Option<String>,
}

#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    answer(req, &env).await.or_else(|error| {
        let refusal = Response::from_json(&json!({ "error": error.to_string(), "code": error.code() }))?;
        Ok(refusal.with_status(400))
    })
}

async fn answer(mut req: Request, env: &Env) -> Result<Response> {
    let path = req.path();
    if let Some(name) = path.strip_prefix("/object/") {
        return env.durable_object("KEEPER")?.get_by_name(name)?.fetch_with_request(req).await;
    }
    if let Some(binding) = path.strip_prefix("/service/") {
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(req.bytes().await?.into()));
        return env.service(binding)?.fetch("http://inside.test/run", Some(init)).await;
    }
    let id = req.query::<Query>()?.id.unwrap_or_default();
    let answer = match path.as_str() {
        "/run" => script::run(env, None, &req.json::<Vec<Value>>().await?).await?.into(),
        "/workflow" => {
            let options = CreateOptions::new().with_id(&id).with_params(req.json::<Value>().await?);
            env.workflow("SCRIPT")?.create(options).await?.id().into()
        }
        _ => serde_json::to_value(env.workflow("SCRIPT")?.get(&id).await?.status().await?)?,
    };
    Response::from_json(&answer)
}

#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _ctx: ScheduleContext) -> Result<()> {
    let cron = event.cron();
    let key = cron.strip_prefix("put ").ok_or("no such expression")?;
    env.kv("KV")?.put(key, event.schedule())?.execute().await
}

/// Does its operations in a step.
#[workflow]
pub struct Script {
    env: Env,
}

impl WorkflowEntrypoint for Script {
    type Input = Vec<Value>;
    type Output = Vec<Value>;

    fn new(_ctx: Context, env: Env) -> Self {
        Self { env }
    }

    async fn run(&self, event: WorkflowEvent<Vec<Value>>, step: WorkflowStep) -> Result<Vec<Value>> {
        let operations = event.payload;
        step.do_("script", |_| async { script::run(&self.env, None, &operations).await }).await
    }
}

#[durable_object]
pub struct Keeper {
    state: State,
    env: Env,
}

impl DurableObject for Keeper {
    fn new(state: State, env: Env) -> Self {
        Self { state, env }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        let operations: Vec<Value> = req.json().await?;
        Response::from_json(&script::run(&self.env, Some(&self.state), &operations).await?)
    }
}
