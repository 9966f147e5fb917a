//! Routes that do something with one instance, and with many.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /op/BINDING/ID/pause`, `/resume`, `/delete` | that |
//! | `POST /op/BINDING/ID/terminate?rollback=true` | terminates, and undoes the steps if told |
//! | `POST /op/BINDING/ID/restart?from=&count=&type=do\|sleep\|waitForEvent` | restarts, from a step if told |
//! | `GET /op/BINDING/ID/events?cursor=&filter=TYPE,TYPE&n=` | answers a list of events: all up to the end, or the first `n` |
//! | `GET /op/BINDING/ID/follow?cursor=&filter=` | answers a stream: each event, a line of JSON, as it happens |
//! | `POST /op/BINDING/ID/life` | does all of them by one handle; answers its id and the status after each |
//! | `POST /delete?wf=&id=` | the same as `/op/…/delete`, for ids that are no part of a path |
//! | `POST /batch-with-options?wf=`, body: `{count, params?}` or `{instances: [{id?, params?}]}` | answers `{created: [id], errors}` |
//! | `POST /delete-batch?wf=`, body: `[id]` | answers `{deleted, errors}` |

use futures::StreamExt;
use miniflow_sdk::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Entry;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Query {
    rollback: bool,
    from: Option<String>,
    count: Option<u32>,
    #[serde(rename = "type")]
    step_type: Option<String>,
    cursor: Option<u64>,
    filter: Option<String>,
    n: Option<usize>,
}

/// The body of `/batch-with-options`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Batch {
    Count { count: u32, params: Option<Value> },
    Instances { instances: Vec<Entry> },
}

/// Does what `path`, the part after `/op/`, says.
pub async fn route(req: &Request, env: &Env, path: &str) -> Result<Response> {
    let parts: Vec<&str> = path.split('/').collect();
    let [binding, id, operation] = parts[..] else { return Response::error("Not Found", 404) };
    let query: Query = req.query()?;
    let instance = env.workflow(binding)?.get(id).await?;
    match (req.method(), operation) {
        (Method::Post, "pause") => instance.pause().await?,
        (Method::Post, "resume") => instance.resume().await?,
        (Method::Post, "delete") => instance.delete().await?,
        (Method::Post, "terminate") if query.rollback => {
            instance.terminate_with_options(TerminateOptions::new().rollback(true)).await?;
        }
        (Method::Post, "terminate") => instance.terminate().await?,
        (Method::Post, "restart") => match query.from() {
            Some(from) => instance.restart_with_options(RestartOptions::new().from(from?)).await?,
            None => instance.restart().await?,
        },
        (Method::Post, "life") => return Response::from_json(&life(&instance).await?),
        (Method::Get, "events") => {
            let mut subscription = instance.subscribe(query.subscribe()).await?;
            let mut events = Vec::new();
            while events.len() < query.n.unwrap_or(usize::MAX) {
                match subscription.next().await? {
                    Some(event) => events.push(event),
                    None => break,
                }
            }
            return Response::from_json(&events);
        }
        (Method::Get, "follow") => {
            let events = instance.subscribe(query.subscribe()).await?;
            let lines = events.map(|event| Ok::<_, Error>(format!("{}\n", serde_json::to_string(&event?)?)));
            return Response::from_stream(lines);
        }
        _ => return Response::error("Method Not Allowed", 405),
    }
    Response::from_json(&json!({ "ok": true }))
}

/// Does everything that a handle can do, in an order in which each has an effect.
async fn life(instance: &WorkflowInstance) -> Result<Value> {
    let status = async || Ok::<_, Error>(serde_json::to_value(instance.status().await?)?["status"].take());
    let mut seen = vec![status().await?];
    instance.pause().await?;
    seen.push(status().await?);
    instance.resume().await?;
    seen.push(status().await?);
    instance.terminate().await?;
    seen.push(status().await?);
    instance.restart().await?;
    seen.push(status().await?);
    instance.delete().await?;
    let gone = status().await.err().and_then(|error| error.code().map(str::to_owned));
    Ok(json!({ "id": instance.id(), "seen": seen, "gone": gone }))
}

/// Creates many instances.
pub async fn create_batch(req: &mut Request, workflow: &Workflow) -> Result<Value> {
    let batch = match req.json().await? {
        Batch::Count { count, params } => BatchOptions::Count { count, params, retention: None },
        Batch::Instances { instances } => BatchOptions::instances(instances.into_iter().map(Entry::options)),
    };
    let result = workflow.create_batch_with_options(batch).await?;
    let created: Vec<_> = result.created.iter().map(WorkflowInstance::id).collect();
    Ok(json!({ "created": created, "errors": result.errors }))
}

/// Deletes many instances.
pub async fn delete_batch(req: &mut Request, workflow: &Workflow) -> Result<Value> {
    let ids: Vec<String> = req.json().await?;
    Ok(serde_json::to_value(workflow.delete_batch(ids).await?)?)
}

impl Query {
    fn from(&self) -> Option<Result<RestartFrom>> {
        let name = self.from.clone()?;
        let type_ = match self.step_type.as_deref() {
            None => None,
            Some("do") => Some(StepType::Do),
            Some("sleep") => Some(StepType::Sleep),
            Some("waitForEvent") => Some(StepType::WaitForEvent),
            Some(other) => return Some(Err(format!("`{other}` is no type of a step").into())),
        };
        Some(Ok(RestartFrom { name, count: self.count, type_ }))
    }

    fn subscribe(&self) -> SubscribeOptions {
        let filter = self.filter.as_deref().map(|types| types.split(',').map(str::to_owned).collect());
        SubscribeOptions { cursor: self.cursor, filter }
    }
}
