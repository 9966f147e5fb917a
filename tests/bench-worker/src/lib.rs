//! The bench Worker: what load drivers measure. Any dev server whose bench Worker answers these routes can be measured
//! beside ours.
//!
//! | route | does | answers |
//! | --- | --- | --- |
//! | `GET /` | | `hello` |
//! | `GET /version` | | the text below |
//! | `POST /create?wf=&n=&steps=&prefix=`, body: params | starts `n` instances | `{n, ids}` |
//! | `GET /status?wf=&id=` | | `{id, status, output, error}` |
//! | `POST /statuses?wf=`, body: ids | up to 100 of these together | a list of these, status `missing` for unknown ids |
//! | `POST /event?wf=&id=&type=`, body: payload | sends an event | `{ok: true}` |
//! | `POST /pause?wf=&id=`, `/resume` | pauses, lets it go on | `{ok: true}` |
//! | `POST /terminate?wf=&id=&rollback=1` | terminates, and undoes the steps if told | `{ok: true}` |
//! | `POST /restart?wf=&id=&from=STEP` | restarts, from a step if told | `{ok: true}` |
//! | `POST /kv?what=&n=` | `put`s or `get`s `n` entries, one after the other, or `list`s `n` pages | `{n}`, of a list the number of keys |
//! | `POST /enqueue?n=&prefix=`, body: params | sends `n` messages to the queue `jobs`; each becomes a `bench` instance | `{n}` |
//!
//! `wf` is the binding in lower case. An error is a 500 with `{error, name}`.
//!
//! The cron trigger creates a `bench` instance of one step, `cron-<scheduled time in ms>`.

mod jobs;
mod workflows;

use futures::future::join_all;
use miniflow_sdk::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What a hot-reload test looks for after it has edited this line.
const VERSION: &str = "v1";

/// The most that one call of `create_batch`, or of `/statuses`, takes.
const BATCH_MAX: usize = 100;

#[derive(Deserialize)]
struct Query {
    wf: Option<String>,
    id: Option<String>,
    n: Option<usize>,
    steps: Option<u64>,
    prefix: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// A number, or a word.
    rollback: Option<String>,
    from: Option<String>,
    what: Option<String>,
}

#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    route(req, &env).await.or_else(|error| {
        let body = json!({ "error": error.to_string(), "name": error.name() });
        Ok(Response::from_json(&body)?.with_status(500))
    })
}

async fn route(mut req: Request, env: &Env) -> Result<Response> {
    match (req.method(), req.path().as_str()) {
        (Method::Get, "/") => Response::ok("hello"),
        (Method::Get, "/version") => Response::ok(VERSION),
        (Method::Post, "/create") => create(&mut req, env).await,
        (Method::Get, "/status") => {
            let query: Query = req.query()?;
            let instance = query.workflow(env)?.get(query.id()?).await?;
            Response::from_json(&shown(&instance).await?)
        }
        (Method::Post, "/statuses") => {
            let workflow = req.query::<Query>()?.workflow(env)?;
            let ids: Vec<String> = req.json().await?;
            if ids.len() > BATCH_MAX {
                return Err(format!("{} ids are more than {BATCH_MAX}", ids.len()).into());
            }
            Response::from_json(&join_all(ids.into_iter().map(|id| shown_or_missing(&workflow, id))).await)
        }
        (Method::Post, "/event") => {
            let query: Query = req.query()?;
            let instance = query.workflow(env)?.get(query.id()?).await?;
            let payload: Value = json_or_null(&mut req).await?;
            instance.send_event(query.event_type.as_deref().unwrap_or("go"), payload).await?;
            Response::from_json(&json!({ "ok": true }))
        }
        (Method::Post, path @ ("/pause" | "/resume" | "/terminate" | "/restart")) => {
            let query: Query = req.query()?;
            let instance = query.workflow(env)?.get(query.id()?).await?;
            match path {
                "/pause" => instance.pause().await?,
                "/resume" => instance.resume().await?,
                "/terminate" => {
                    let rollback = query.rollback.is_some_and(|told| told != "0" && told != "false");
                    instance.terminate_with_options(TerminateOptions { rollback }).await?;
                }
                _ => {
                    let options = RestartOptions { from: query.from.map(RestartFrom::new) };
                    instance.restart_with_options(options).await?;
                }
            }
            Response::from_json(&json!({ "ok": true }))
        }
        (Method::Post, "/kv") => {
            let query: Query = req.query()?;
            let kv = env.kv("KV")?;
            let done = use_kv(&kv, query.what.as_deref().unwrap_or_default(), query.n.unwrap_or(1)).await?;
            Response::from_json(&json!({ "n": done }))
        }
        (Method::Post, "/enqueue") => {
            let query: Query = req.query()?;
            let prefix = query.prefix.ok_or("`prefix` is missing")?;
            let params = json_or_null(&mut req).await?;
            let n = jobs::enqueue(&env.queue("JOBS")?, query.n.unwrap_or(1), &prefix, &params).await?;
            Response::from_json(&json!({ "n": n }))
        }
        _ => Response::error("Not Found", 404),
    }
}

/// Does something so often; what there was of it.
async fn use_kv(kv: &KvStore, what: &str, n: usize) -> Result<usize> {
    let value = "x".repeat(100);
    let mut done = 0;
    for number in 0..n {
        let key = format!("key-{number:05}");
        done += match what {
            "put" => kv.put(&key, &value)?.execute().await.map(|()| 1)?,
            "get" => usize::from(kv.get(&key).text().await?.is_some()),
            "list" => kv.list().execute().await?.keys.len(),
            other => return Err(format!("there is no `{other}`").into()),
        };
    }
    Ok(done)
}

async fn create(req: &mut Request, env: &Env) -> Result<Response> {
    let query: Query = req.query()?;
    let workflow = query.workflow(env)?;
    let mut params: Value = json_or_null(req).await?;
    if let Some(steps) = query.steps {
        if params.is_null() {
            params = json!({});
        }
        params["steps"] = steps.into();
    }
    let params = (!params.is_null()).then_some(params);

    let n = query.n.unwrap_or(1);
    let mut ids = Vec::with_capacity(n);
    if n == 1 {
        let options = CreateOptions { id: query.prefix, params, retention: None };
        ids.push(workflow.create(options).await?.id());
    } else {
        let prefix = query.prefix.ok_or("`prefix` is missing")?;
        for first in (0..n).step_by(BATCH_MAX) {
            let batch = (first..n.min(first + BATCH_MAX)).map(|i| CreateOptions {
                id: Some(format!("{prefix}-{i}")),
                params: params.clone(),
                retention: None,
            });
            ids.extend(workflow.create_batch(batch).await?.iter().map(WorkflowInstance::id));
        }
    }
    Response::from_json(&json!({ "n": ids.len(), "ids": ids }))
}

async fn shown(instance: &WorkflowInstance) -> Result<Value> {
    let status = instance.status().await?;
    Ok(json!({
        "id": instance.id(),
        "status": status.status,
        "output": status.output,
        "error": status.error,
    }))
}

async fn shown_or_missing(workflow: &Workflow, id: String) -> Value {
    let found = async { shown(&workflow.get(id.clone()).await?).await };
    found.await.unwrap_or_else(|_: Error| json!({ "id": id, "status": "missing", "output": null, "error": null }))
}

impl Query {
    fn workflow(&self, env: &Env) -> Result<Workflow> {
        let wf = self.wf.as_deref().ok_or("`wf` is missing")?;
        env.workflow(&wf.to_ascii_uppercase())
    }

    fn id(&self) -> Result<&str> {
        Ok(self.id.as_deref().ok_or("`id` is missing")?)
    }
}

/// Reads the body as JSON; none is null.
async fn json_or_null<T: DeserializeOwned>(req: &mut Request) -> Result<T> {
    let body = req.bytes().await?;
    Ok(serde_json::from_slice(if body.is_empty() { b"null" } else { &body })?)
}
