use miniflow_sdk::*;

#[event(start)]
fn prepare() {}

#[event(fetch, respond_with_errors)]
pub async fn main_handler(mut req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok(req.text().await?)
}

#[event(queue)]
async fn messages(batch: MessageBatch<u32>, _env: Env, _ctx: Context) -> Result<()> {
    batch.ack_all();
    Ok(())
}

#[workflow]
pub struct First {}

#[workflow]
struct Second;

impl WorkflowEntrypoint for First {
    type Input = ();
    type Output = ();

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, _event: WorkflowEvent<()>, _step: WorkflowStep) -> Result<()> {
        Ok(())
    }
}

impl WorkflowEntrypoint for Second {
    type Input = Vec<u32>;
    type Output = u32;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self
    }

    async fn run(&self, event: WorkflowEvent<Vec<u32>>, step: WorkflowStep) -> Result<u32> {
        step.do_("sum", |_| async { Ok(event.payload.iter().sum()) }).await
    }
}

#[durable_object]
pub struct Room {}

#[durable_object(fetch, alarm)]
struct Quiet;

impl DurableObject for Room {
    fn new(_state: State, _env: Env) -> Self {
        Self {}
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        Response::ok(req.path())
    }
}

impl DurableObject for Quiet {
    fn new(_state: State, _env: Env) -> Self {
        Self
    }

    async fn fetch(&self, _req: Request) -> Result<Response> {
        Response::empty()
    }

    async fn alarm(&self) -> Result<Response> {
        Response::empty()
    }
}

fn main() {}
