use miniflow_sdk::*;

#[event(fetch)]
fn fetch(_req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok("hello")
}

fn main() {}
