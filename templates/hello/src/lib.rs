//! Says hello. The greeting is a variable of the configuration, the name is the path.

use miniflow_sdk::*;

#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let path = req.path();
    let name = match path.trim_start_matches('/') {
        "" => "world",
        name => name,
    };
    console_log!("greeting {name}");
    Response::ok(format!("{}, {name}!\n", env.var("GREETING")?))
}
