//! A Worker as one writes it for the `worker` crate: what `docs/from-workers-rs.md` says stays the same, and what it says is written otherwise. A test
//! holds the two together: each name of the document is here, and this compiles.
//!
//! | route | does |
//! | --- | --- |
//! | `GET /http`, `/kv`, `/queue`, `/object`, `/env`, `/service`, `/router`, `/rest` | uses that part of the SDK; answers what came of it |
//! | `GET /came/:name` | whether that message has come |
//! | `* /echo/:what` | gives back what it was sent |

mod http_part;
mod object;
mod rest;
mod stores;

use miniflow_sdk::*;
use serde_json::{Value, json};

#[event(start)]
fn start() {
    console_log!("begins");
}

#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    ctx.wait_until(async { console_log!("answered") });
    let data = "data";
    Router::with_data(data)
        .get("/echo/:what", |_, ctx| Response::ok(format!("{:?} {}", ctx.param("what"), ctx.data)))
        .post_async("/echo/:what", |req, _| http_part::echo(req))
        .get_async("/http", |req, _| http_part::all(req))
        .get_async("/kv", |_, ctx| async move { stores::kv(&ctx.kv("KV")?).await })
        .get_async("/came/:name", |_, ctx| async move {
            let came = ctx.kv("KV")?.get(&format!("came-{}", ctx.param("name").ok_or("a name")?)).text().await?;
            Response::ok(came.unwrap_or_default())
        })
        .get_async("/queue", |_, ctx| async move { stores::queue(&ctx.queue("Q")?).await })
        .get_async("/object", |_, ctx| async move { object::ask(&ctx.durable_object("COUNTER")?).await })
        .get_async("/rest", |_, _| rest::all())
        .on("/env", |_, ctx| vars(&ctx.env))
        .on_async("/service", |_, ctx| async move {
            let service: Fetcher = ctx.service("SELF")?;
            let request = Request::new("http://self.test/echo/a", Method::Get)?;
            let _ = ctx.env.service("SELF")?.fetch("http://self.test/echo/b", None).await?;
            service.fetch_request(request).await
        })
        .on("/router", |_, ctx| routed(&ctx))
        .or_else_any_method("/*rest", |req, _| Response::error(req.path(), 404))
        .run(req, env)
        .await
}

#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, _env: Env, ctx: ScheduleContext) -> Result<()> {
    let text = format!("{} at {}", event.cron(), event.schedule());
    ctx.wait_until(async move { console_info!("{text}") });
    Ok(())
}

#[event(queue)]
async fn queue(batch: MessageBatch<Value>, env: Env, _ctx: Context) -> Result<()> {
    stores::consume(&batch, &env).await
}

fn routed(ctx: &RouteContext<&str>) -> Result<Response> {
    Response::ok(format!("{} {} {}", ctx.data, ctx.var("TEXT")?, ctx.secret("KEY")?))
}

fn vars(env: &Env) -> Result<Response> {
    let n = "KV";
    let bound_kv = env.kv(n).is_ok();
    let n = "TEXT";
    let text = env.var(n)?.to_string();
    let n = "KEY";
    let key = env.secret(n)?;
    let n = "LIST";
    let list = env.object_var::<Vec<u32>>(n)?;
    let bound: Vec<_> = [
        env.kv("MISSING").map(drop),
        env.queue("MISSING").map(drop),
        env.durable_object("MISSING").map(drop),
        env.service("MISSING").map(drop),
    ]
    .into_iter()
    .filter_map(|missing| match missing {
        Err(Error::BindingError(text)) => Some(text),
        _ => None,
    })
    .collect();
    console_warn!("{} are not bound", bound.len());
    Response::from_json(&json!({ "text": text, "key": key.to_string(), "list": list, "kv": bound_kv, "bound": bound }))
}

/// The names of the pull request for `worker`.
#[workflow]
pub struct Doubles {}

impl WorkflowEntrypoint for Doubles {
    type Input = u32;
    type Output = u32;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<u32>, step: WorkflowStep) -> Result<u32> {
        step.do_("double", |_| async { Ok(event.payload * 2) }).await
    }
}
