//! Says hello. The greeting is a variable of the configuration, the name is the path.

use miniflow_sdk::*;

#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let name = req.path().trim_start_matches('/').to_owned();
    let name = if name.is_empty() { "world".to_owned() } else { name };
    Response::ok(format!("{}, {name}!\n", env.var("GREETING")?))
}
