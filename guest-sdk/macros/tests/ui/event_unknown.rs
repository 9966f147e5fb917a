use miniflow_sdk::*;

#[event(fetched)]
async fn unknown(_req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok("hello")
}

#[event(queue)]
async fn later(_event: (), _env: Env, _ctx: Context) {}

#[event(scheduled)]
async fn two(_event: ScheduledEvent, _env: Env) {}

#[event]
async fn none(_req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok("hello")
}

#[event(start)]
async fn start() {}

fn main() {}
