use miniflow_sdk::*;

#[event(fetch)]
async fn fetch(_req: Request, _env: Env) -> Result<Response> {
    Response::ok("hello")
}

fn main() {}
