//! A Worker for end-to-end tests: routes that poke at the HTTP side, and one workflow class per behaviour.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /create?wf=BINDING&id=`, body: params or nothing | starts an instance, answers `{id}` |
//! | `POST /batch?wf=BINDING`, body: `[{id?, params?}]` | starts several, answers `{ids}` |
//! | `GET /status?wf=&id=` | answers the status as the API gives it |
//! | `POST /event?wf=&id=&type=`, body: payload or nothing | sends an event, answers `{ok}` |
//! | `POST /create-and-go?wf=&id=` | starts an instance, answers with a redirection to its status |
//! | `* /op/…`, `/delete`, `/batch-with-options`, `/delete-batch` | see `operations.rs` |
//! | `* /…` | see `probes.rs` |
//!
//! What the platform refuses is answered with `{error, code, name}`: 404 for what is not there, 409 for what is taken or has
//! ended, 400 for what is not allowed, 500 else.

mod operations;
mod probes;
mod workflows;

use miniflow_sdk::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Query {
    wf: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
}

/// One entry of a batch.
#[derive(Deserialize)]
struct Entry {
    id: Option<String>,
    params: Option<Value>,
}

impl Entry {
    fn options(self) -> CreateOptions<Value> {
        CreateOptions { id: self.id, params: self.params, retention: None }
    }
}

#[event(start)]
fn start() {
    probes::STARTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    let path = req.path();
    let steered = match path.as_str() {
        "/create"
        | "/create-and-go"
        | "/batch"
        | "/batch-with-options"
        | "/delete"
        | "/delete-batch"
        | "/status"
        | "/event" => steer(req, &env).await,
        path => match path.strip_prefix("/op/") {
            Some(operation) => operations::route(&req, &env, operation).await,
            None => return probes::route(req, env, ctx).await,
        },
    };
    steered.or_else(|error| refusal(&error))
}

/// Does what the expression says: `fail` and `panic` do that, `create ID` starts an instance of `EventEcho` with what fired as its payload,
/// `late URL` tells that URL after it has returned.
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, ctx: ScheduleContext) -> Result<()> {
    let cron = event.cron();
    match cron.split_once(' ').unwrap_or((&cron, "")) {
        ("fail", _) => {
            event.no_retry();
            Err("asked to fail".into())
        }
        ("panic", _) => panic!("asked to panic in a scheduled handler"),
        ("create", id) => {
            let fired = json!({ "cron": cron, "time": event.schedule(), "type": event.ty() });
            env.workflow("EVENT_ECHO")?.create(CreateOptions::new().with_id(id).with_params(fired)).await.map(drop)
        }
        ("late", "panic") => {
            ctx.wait_until(async { panic!("asked to panic after a scheduled handler") });
            Ok(())
        }
        ("late", url) => {
            let url: Url = url.parse()?;
            ctx.wait_until(async move {
                Delay::from(std::time::Duration::from_millis(50)).await;
                if let Err(error) = Fetch::Url(url).send().await {
                    console_error!("{error}");
                }
            });
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn steer(mut req: Request, env: &Env) -> Result<Response> {
    let query: Query = req.query()?;
    let workflow = env.workflow(query.wf.as_deref().ok_or("`wf` is missing")?)?;
    let answer = match (req.method(), req.path().as_str()) {
        (Method::Post, "/create") => {
            let options = CreateOptions { id: query.id, params: json_or_none(&mut req).await?, retention: None };
            json!({ "id": workflow.create(options).await?.id() })
        }
        (Method::Post, "/create-and-go") => {
            let mut target = req.url()?;
            target.set_path("/status");
            let options = CreateOptions { id: query.id, params: json_or_none(&mut req).await?, retention: None };
            workflow.create(options).await?;
            return Response::redirect(target);
        }
        (Method::Post, "/delete") => {
            workflow.get(query.id.ok_or("`id` is missing")?).await?.delete().await?;
            json!({ "ok": true })
        }
        (Method::Post, "/batch") => {
            let entries: Vec<Entry> = req.json().await?;
            let batch = entries.into_iter().map(Entry::options);
            let ids: Vec<_> = workflow.create_batch(batch).await?.iter().map(WorkflowInstance::id).collect();
            json!({ "ids": ids })
        }
        (Method::Post, "/batch-with-options") => operations::create_batch(&mut req, &workflow).await?,
        (Method::Post, "/delete-batch") => operations::delete_batch(&mut req, &workflow).await?,
        (Method::Get, "/status") => {
            let id = query.id.ok_or("`id` is missing")?;
            serde_json::to_value(workflow.get(id).await?.status().await?)?
        }
        (Method::Post, "/event") => {
            let id = query.id.ok_or("`id` is missing")?;
            let payload = json_or_none(&mut req).await?;
            workflow.get(id).await?.send_event(query.event_type.unwrap_or_default(), payload).await?;
            json!({ "ok": true })
        }
        _ => return Response::error("Method Not Allowed", 405),
    };
    Response::from_json(&answer)
}

fn refusal(error: &Error) -> Result<Response> {
    let status = match (error, error.code()) {
        (Error::BindingError(_), _) | (_, Some("instance.not_found")) => 404,
        (
            _,
            Some(
                "instance.already_exists"
                | "instance.cannot_send_event"
                | "instance.cannot_terminate"
                | "instance.cannot_restart",
            ),
        ) => 409,
        (Error::RustError(_) | Error::SerdeJsonError(_) | Error::Query(_), _) | (_, Some(_)) => 400,
        _ => 500,
    };
    let body = json!({ "error": error.to_string(), "code": error.code(), "name": error.name() });
    Ok(Response::from_json(&body)?.with_status(status))
}

async fn json_or_none(req: &mut Request) -> Result<Option<Value>> {
    let body = req.bytes().await?;
    if body.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_slice(&body)?)) }
}
