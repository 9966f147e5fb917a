//! The HTTP side: starting an audit of a site, and looking at it and at its pages. The work is in `audit.rs` and `page.rs`.

mod audit;
mod page;

use miniflow_sdk::serde_json::json;
use miniflow_sdk::*;

/// `POST /SITE` starts an audit of the pages in the body, `GET /SITE` tells how it stands, `GET /SITE/PAGE` how one of its pages does.
#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    Router::new()
        .post_async("/:site", |mut req, ctx| async move {
            let pages: Vec<String> = req.json().await?;
            let site = ctx.param("site").ok_or("the route has a site")?;
            let answer = json!({ "id": site, "pages": pages.len() });
            ctx.env.workflow("AUDITS")?.create(CreateOptions::new().with_id(site).with_params(pages)).await?;
            Response::from_json(&answer)
        })
        .get_async("/:site", |_, ctx| async move {
            let site = ctx.param("site").ok_or("the route has a site")?;
            Response::from_json(&ctx.env.workflow("AUDITS")?.get(site).await?.status().await?)
        })
        .get_async("/:site/:page", |_, ctx| async move {
            let site = ctx.param("site").ok_or("the route has a site")?;
            let page = ctx.param("page").ok_or("the route has a page")?;
            let child = ctx.env.workflow("PAGES")?.get(page::id(site, page)).await?;
            Response::from_json(&child.status().await?)
        })
        .run(req, env)
        .await
}
