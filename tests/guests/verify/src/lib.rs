//! A Worker for end-to-end tests of the checks: workflows that a crash does no harm to, some that it does, and some that do not go the same
//! way twice.
//!
//! `POST /create?wf=BINDING&id=`, body: params or nothing, starts an instance; `GET /status?wf=&id=` answers its status.

mod careless;
mod ledger;
mod moods;
mod safe;

use miniflow_sdk::serde_json::{Value, json};
use miniflow_sdk::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Query {
    wf: String,
    id: String,
}

#[event(fetch, respond_with_errors)]
async fn fetch(mut req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let query: Query = req.query()?;
    let workflow = env.workflow(&query.wf)?;
    if req.path() == "/status" {
        return Response::from_json(&workflow.get(query.id).await?.status().await?);
    }
    let body = req.bytes().await?;
    let params: Option<Value> = if body.is_empty() { None } else { Some(serde_json::from_slice(&body)?) };
    let created = workflow.create(CreateOptions { id: Some(query.id), params, retention: None }).await?;
    Response::from_json(&json!({ "id": created.id() }))
}

/// Sends a request, without a body for `null`, and returns the status of its answer.
async fn send(method: Method, url: &str, key: Option<&str>, body: Value) -> Result<u16> {
    let mut init = RequestInit::new();
    init.with_method(method).with_body((!body.is_null()).then(|| body.to_string().into()));
    if let Some(key) = key {
        init.headers.set("idempotency-key", key)?;
    }
    let mut answer = Fetch::Request(Request::new_with_init(url, init)?).send().await?;
    answer.bytes().await?;
    Ok(answer.status_code())
}

/// Defines a class by an async function of its environment, its event and its steps, whose output is JSON.
macro_rules! class {
    ($(#[$doc:meta])* $name:ident = $run:expr) => {
        $(#[$doc])*
        #[miniflow_sdk::workflow]
        pub struct $name {
            env: miniflow_sdk::Env,
        }

        impl miniflow_sdk::WorkflowEntrypoint for $name {
            type Input = miniflow_sdk::serde_json::Value;
            type Output = miniflow_sdk::serde_json::Value;

            fn new(_ctx: miniflow_sdk::Context, env: miniflow_sdk::Env) -> Self {
                Self { env }
            }

            async fn run(
                &self,
                event: miniflow_sdk::WorkflowEvent<Self::Input>,
                step: miniflow_sdk::WorkflowStep,
            ) -> miniflow_sdk::Result<Self::Output> {
                $run(&self.env, &event, &step).await
            }
        }
    };
}

type Event = WorkflowEvent<Value>;

use class;
