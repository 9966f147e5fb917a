//! Two versions of one Worker: `reload-a` is built from this as it is, `reload-b` with the feature `second`.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /create?wf=BINDING&id=`, body: params or nothing | starts an instance, answers `{id}` |
//! | `GET /status?wf=&id=` | answers the status as the API gives it |
//! | `POST /event?wf=&id=&type=` | sends an event, answers `{ok}` |
//! | `GET /greeting` | answers the variable `GREETING`, or nothing |
//! | `GET /…` | answers the version: `a` or `b` |

use miniflow_sdk::serde_json::{Value, json};
use miniflow_sdk::*;
use serde::Deserialize;

const VERSION: &str = if cfg!(feature = "second") { "b" } else { "a" };

#[derive(Deserialize)]
struct Query {
    wf: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
}

#[event(fetch, respond_with_errors)]
async fn fetch(mut req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let path = req.path();
    match path.as_str() {
        "/greeting" => return Response::ok(env.var("GREETING").map(|text| text.to_string()).unwrap_or_default()),
        "/create" | "/status" | "/event" => {}
        _ => return Response::ok(VERSION),
    }
    let query: Query = req.query()?;
    let workflow = env.workflow(query.wf.as_deref().ok_or("`wf` is missing")?)?;
    let id = query.id.ok_or("`id` is missing")?;
    let answer = match path.as_str() {
        "/create" => {
            let body = req.bytes().await?;
            let params: Option<Value> = if body.is_empty() { None } else { Some(serde_json::from_slice(&body)?) };
            let created = workflow.create(CreateOptions { id: Some(id), params, retention: None }).await?;
            json!({ "id": created.id() })
        }
        "/status" => serde_json::to_value(workflow.get(id).await?.status().await?)?,
        _ => {
            workflow.get(id).await?.send_event(query.event_type.unwrap_or_default(), json!(null)).await?;
            json!({ "ok": true })
        }
    };
    Response::from_json(&answer)
}

async fn say(step: &WorkflowStep, name: &str) -> Result<String> {
    step.do_(name, |_| async move { Ok(VERSION.to_owned()) }).await
}

async fn go(step: &WorkflowStep) -> Result<()> {
    step.wait_for_event::<Value>("wait", WaitForEventOptions::new("go")).await.map(drop)
}

/// The same steps in both versions: `before`, an event `go`, `after`. Output: the versions that did them.
#[workflow]
pub struct Steady {}

impl WorkflowEntrypoint for Steady {
    type Input = Value;
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, _event: WorkflowEvent<Value>, step: WorkflowStep) -> Result<String> {
        let before = say(&step, "before").await?;
        go(&step).await?;
        Ok(format!("{before} {}", say(&step, "after").await?))
    }
}

/// `charge`, which the second version calls `charge-card`, then an event `go`. Output: the version that charged.
#[workflow]
pub struct Renamed {}

impl WorkflowEntrypoint for Renamed {
    type Input = Value;
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, _event: WorkflowEvent<Value>, step: WorkflowStep) -> Result<String> {
        let charged = say(&step, if cfg!(feature = "second") { "charge-card" } else { "charge" }).await?;
        go(&step).await?;
        Ok(charged)
    }
}

/// A step `body` that asks `{url}` again and again until it is told `go`, then a step `after`. Output: the versions that did them.
#[workflow]
pub struct Busy {}

#[derive(Deserialize)]
pub struct BusyParams {
    url: String,
}

impl WorkflowEntrypoint for Busy {
    type Input = BusyParams;
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<BusyParams>, step: WorkflowStep) -> Result<String> {
        let url: Url = event.payload.url.parse()?;
        let body = |_| async {
            while Fetch::Url(url.clone()).send().await?.text().await? != "go" {
                Delay::from(std::time::Duration::from_millis(20)).await;
            }
            Ok(VERSION.to_owned())
        };
        let before = step.do_("body", body).await?;
        Ok(format!("{before} {}", say(&step, "after").await?))
    }
}
