//! The shop's HTTP side: placing, looking at and approving orders. The work is in `order.rs`.

mod order;
mod payment;

use miniflow_sdk::*;
use order::{Approval, Order, OrderParams};
use serde_json::json;

#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    Router::new()
        .post_async("/orders", place)
        .get_async("/orders/:id", |_, ctx| async move {
            let order = instance(&ctx).await?;
            Response::from_json(&order.status().await?)
        })
        .post_async("/orders/:id/approve", |mut req, ctx| async move {
            let approval: Approval = req.json().await?;
            instance(&ctx).await?.send_event("approval", approval).await?;
            Response::from_json(&json!({ "ok": true }))
        })
        .post_async("/fake-payment", payment::fake_service)
        .run(req, env)
        .await
}

async fn place(mut req: Request, ctx: RouteContext<()>) -> Result<Response> {
    let order: Order = req.json().await?;
    // The workflow does not know at which address this Worker is served, so it is told.
    let payment_url = match ctx.var("PAYMENT_URL")?.to_string() {
        url if url.is_empty() => req.url()?.join("/fake-payment")?.to_string(),
        url => url,
    };
    let options = CreateOptions {
        id: Some(order.id.clone()),
        params: Some(OrderParams { order, payment_url }),
        ..CreateOptions::default()
    };
    let instance = ctx.env.workflow("ORDERS")?.create(options).await?;
    Ok(Response::from_json(&json!({ "id": instance.id() }))?.with_status(201))
}

async fn instance(ctx: &RouteContext<()>) -> Result<WorkflowInstance> {
    let id = ctx.param("id").ok_or("the route has an id")?;
    ctx.env.workflow("ORDERS")?.get(id).await
}
