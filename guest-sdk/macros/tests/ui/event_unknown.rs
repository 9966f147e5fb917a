use miniflow_sdk::*;

#[event(fetched)]
async fn unknown(_req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok("hello")
}

#[event(queue)]
async fn silent(_batch: MessageBatch<u32>, _env: Env, _ctx: Context) {}

#[event(queue)]
async fn short(_batch: MessageBatch<u32>) -> Result<()> {
    Ok(())
}

#[event(queue)]
async fn other(_batch: Vec<u32>, _env: Env, _ctx: Context) -> Result<()> {
    Ok(())
}

#[event(queue)]
fn blocking(_batch: MessageBatch<u32>, _env: Env, _ctx: Context) -> Result<()> {
    Ok(())
}

#[event(scheduled)]
async fn two(_event: ScheduledEvent, _env: Env) {}

#[event]
async fn none(_req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok("hello")
}

#[event(start)]
async fn start() {}

fn main() {}
