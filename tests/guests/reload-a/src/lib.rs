//! Two versions of one Worker: `reload-a` is built from this as it is, `reload-b` with the feature `second`.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /create?wf=BINDING&id=`, body: params or nothing | starts an instance, answers `{id}` |
//! | `GET /status?wf=&id=` | answers the status as the API gives it |
//! | `POST /event?wf=&id=&type=` | sends an event, answers `{ok}` |
//! | `POST /send?id=&url=` | sends a message `{id, url}`: see [`queue`] |
//! | `GET /object?id=…` | asks the object `id`: see [`Live`] |
//! | `GET /greeting` | answers the variable `GREETING`, or nothing |
//! | `GET /marker` | answers [`MARKER`] |
//! | `GET /…` | answers the version: `a` or `b` |

use std::cell::Cell;

use miniflow_sdk::serde_json::{Value, json};
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};

const VERSION: &str = if cfg!(feature = "second") { "b" } else { "a" };

/// What a benchmark finds in the component, and replaces: an edit without a compiler.
const MARKER: &str = "edit-000000000000";

#[derive(Deserialize)]
struct Query {
    wf: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    url: Option<String>,
}

#[event(fetch, respond_with_errors)]
async fn fetch(mut req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let path = req.path();
    match path.as_str() {
        "/greeting" => return Response::ok(env.var("GREETING").map(|text| text.to_string()).unwrap_or_default()),
        "/marker" => return Response::ok(MARKER),
        "/send" => {
            let query: Query = req.query()?;
            let work = Work { id: query.id.unwrap_or_default(), url: query.url.unwrap_or_default() };
            env.queue("Q")?.send(work).await?;
            return Response::empty();
        }
        "/object" => {
            let query: Query = req.query()?;
            let object = env.durable_object("LIVE")?.get_by_name(&query.id.unwrap_or_default())?;
            return object.fetch_with_request(req).await;
        }
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

/// What a handler works at.
#[derive(Serialize, Deserialize)]
struct Work {
    id: String,
    url: String,
}

/// Tells `url` of it, with the version, until it does not answer `wait`.
async fn work(url: &str, id: &str) -> Result<()> {
    let url = Url::parse_with_params(url, [("id", id), ("version", VERSION)])?;
    while Fetch::Url(url.clone()).send().await?.text().await? == "wait" {
        Delay::from(std::time::Duration::from_millis(5)).await;
    }
    Ok(())
}

#[event(queue)]
async fn queue(batch: MessageBatch<Work>, _env: Env, _ctx: Context) -> Result<()> {
    for message in batch.messages()? {
        work(&message.body().url, &message.body().id).await?;
    }
    Ok(())
}

/// Counts its events since it was made, and all of them. `?url=` has it work at something, `?url=&alarm=MS` when its alarm goes off.
#[durable_object]
pub struct Live {
    state: State,
    events: Cell<u32>,
}

#[derive(Deserialize)]
struct Asked {
    url: Option<String>,
    alarm: Option<i64>,
}

impl DurableObject for Live {
    fn new(state: State, _env: Env) -> Self {
        Self { state, events: Cell::new(0) }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        let asked: Asked = req.query()?;
        let storage = self.state.storage();
        let (events, all) = (self.events.get() + 1, storage.get::<u32>("all").await?.unwrap_or_default() + 1);
        self.events.set(events);
        storage.put("all", all).await?;
        match (asked.url, asked.alarm) {
            (Some(url), None) => work(&url, "request").await?,
            (Some(url), Some(alarm)) => {
                storage.put("url", url).await?;
                storage.set_alarm(alarm).await?;
            }
            (None, _) => {}
        }
        Response::from_json(&json!({ "version": VERSION, "events": events, "all": all }))
    }

    async fn alarm(&self) -> Result<Response> {
        let url: String = self.state.storage().get("url").await?.unwrap_or_default();
        work(&url, "alarm").await?;
        Response::empty()
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

/// Counts its runs in the namespace `KV`, outside of any step, then an event `go`. Output: the count.
#[workflow]
pub struct Counted {
    env: Env,
}

impl WorkflowEntrypoint for Counted {
    type Input = Value;
    type Output = u32;

    fn new(_ctx: Context, env: Env) -> Self {
        Self { env }
    }

    async fn run(&self, _event: WorkflowEvent<Value>, step: WorkflowStep) -> Result<u32> {
        let counts = self.env.kv("KV")?;
        let count = counts.get("runs").json::<u32>().await?.unwrap_or_default() + 1;
        counts.put("runs", count)?.execute().await?;
        go(&step).await?;
        Ok(count)
    }
}

/// `before`, an event `go`. Before that, and outside of steps, the second version does what `does` says.
#[workflow]
pub struct Tempted {
    env: Env,
}

#[derive(Deserialize)]
pub struct Temptation {
    does: String,
    url: String,
}

impl WorkflowEntrypoint for Tempted {
    type Input = Temptation;
    type Output = ();

    fn new(_ctx: Context, env: Env) -> Self {
        Self { env }
    }

    async fn run(&self, event: WorkflowEvent<Temptation>, step: WorkflowStep) -> Result<()> {
        if cfg!(feature = "second") {
            self.give_in(&event.payload).await?;
        }
        say(&step, "before").await?;
        go(&step).await
    }
}

impl Tempted {
    async fn give_in(&self, Temptation { does, url }: &Temptation) -> Result<()> {
        match does.as_str() {
            "request" => work(url, "outside").await?,
            "create" => {
                let id = Some("child".to_owned());
                // A later run finds it there.
                let _ = self.env.workflow("STEADY")?.create(CreateOptions::<Value> { id, ..Default::default() }).await;
            }
            "send" => self.env.queue("Q")?.send(Work { id: "sent".to_owned(), url: url.clone() }).await?,
            "object" => {
                let asked = Url::parse_with_params("http://object/", [("url", url)])?;
                self.env.durable_object("LIVE")?.get_by_name("one")?.fetch_with_str(asked.as_str()).await?;
            }
            _ => console_log!("printed outside of a step"),
        }
        Ok(())
    }
}

/// `before`, an event `go`. The second version computes for `ms` before that.
#[workflow]
pub struct Slow {}

#[derive(Deserialize)]
pub struct SlowParams {
    ms: u64,
}

impl WorkflowEntrypoint for Slow {
    type Input = SlowParams;
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<SlowParams>, step: WorkflowStep) -> Result<String> {
        if cfg!(feature = "second") {
            let since = std::time::Instant::now();
            while since.elapsed() < std::time::Duration::from_millis(event.payload.ms) {}
        }
        let before = say(&step, "before").await?;
        go(&step).await?;
        Ok(before)
    }
}
