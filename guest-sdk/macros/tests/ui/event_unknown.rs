use miniflow_sdk::*;

#[event(fetched)]
async fn unknown(_req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok("hello")
}

#[event(scheduled)]
async fn later(_event: (), _env: Env, _ctx: Context) {}

#[event]
async fn none(_req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok("hello")
}

#[event(start)]
async fn start() {}

fn main() {}
