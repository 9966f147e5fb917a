use miniflow_sdk::*;

#[event(fetch)]
async fn fetch(_req: Request, _env: Context, _ctx: Context) -> Result<String> {
    Ok("hello".to_owned())
}

fn main() {}
