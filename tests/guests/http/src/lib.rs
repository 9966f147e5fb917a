//! A Worker for end-to-end tests of HTTP messages: framing, content codings, redirects and paths.
//!
//! | route | does |
//! | --- | --- |
//! | `* /~/answer?status=&body=&header=NAME:VALUE` | answers as the query says |
//! | `* /~/ask?by=&url=&method=&body=&header=&redirect=&then=` | sends a request and handles the answer as `then` says |
//! | `* /~/front` | sends the request on to where it was sent to, as a Worker in front of a server does |
//! | `GET /admin` | 403 |
//! | `* /…` | answers `path() PATH url() PATH` |
//!
//! `header` may be repeated. `body` is `none` (default), `empty`, `bytes`, `stream`, `broken` (breaks off after the first piece) or
//! `request` (the body of the request, passed on). `by` is `net` (default), `service` or `object`. `redirect` is `follow` (default), `manual`
//! or `error`. `then` is `pass` (default), `copy` (the body goes into a new response without headers), `map` (each piece is replaced by
//! a copy, the headers stay), or `text`, `bytes` and `stream`: read the body so, and answer `{status, headers, body}` or `{error}`.

use miniflow_sdk::futures::{TryStreamExt, stream};
use miniflow_sdk::*;
use serde_json::{Value, json};

#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    match req.path().as_str() {
        "/~/answer" => answer(req),
        "/~/ask" => ask(req, env).await.or_else(|error| Response::from_json(&json!({ "error": error.to_string() }))),
        "/~/front" => Fetch::Request(req).send().await,
        _ => {
            let paths = |req: Request, _| Response::ok(format!("path() {} url() {}", req.path(), req.url()?.path()));
            Router::new()
                .get("/admin", |_, _| Response::error("not for you", 403))
                .on("/", paths)
                .on("/*rest", paths)
                .run(req, env)
                .await
        }
    }
}

/// Answers as the Worker does.
#[durable_object]
pub struct Answers {}

impl DurableObject for Answers {
    fn new(_state: State, _env: Env) -> Self {
        Self {}
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        answer(req)
    }
}

/// The parameters of a request.
struct Params(Vec<(String, String)>);

impl Params {
    fn of(req: &Request) -> Result<Self> {
        Ok(Self(req.url()?.query_pairs().into_owned().collect()))
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn headers(&self) -> Result<Headers> {
        let headers = Headers::new();
        for (_, field) in self.0.iter().filter(|(key, _)| key == "header") {
            let (name, value) = field.split_once(':').ok_or("a header is `NAME:VALUE`")?;
            headers.append(name, value)?;
        }
        Ok(headers)
    }
}

/// The body that `kind` names.
fn body(kind: &str, req: &mut Request) -> Result<Body> {
    let pieces = |last| Body::from_stream(stream::iter([Ok("twelve"), last]));
    Ok(match kind {
        "empty" => Body::from(Vec::new()),
        "bytes" => Body::from("twelve bytes"),
        "stream" => pieces(Ok(" bytes")),
        "broken" => pieces(Err(Error::from("asked to break off"))),
        "request" => Body::from(req.stream()?),
        _ => Body::empty(),
    })
}

fn answer(mut req: Request) -> Result<Response> {
    let params = Params::of(&req)?;
    let status = params.get("status").parse().unwrap_or(200);
    let response = Response::from_body(body(params.get("body"), &mut req)?)?;
    Ok(response.with_status(status).with_headers(params.headers()?))
}

async fn ask(mut req: Request, env: Env) -> Result<Response> {
    let params = Params::of(&req)?;
    let kind = params.get("body");
    let init = RequestInit {
        body: (!matches!(kind, "" | "none")).then(|| body(kind, &mut req)).transpose()?,
        headers: params.headers()?,
        method: Some(params.get("method")).filter(|name| !name.is_empty()).map(Method::from).unwrap_or_default(),
        redirect: match params.get("redirect") {
            "manual" => RequestRedirect::Manual,
            "error" => RequestRedirect::Error,
            _ => RequestRedirect::Follow,
        },
    };
    let request = Request::new_with_init(params.get("url"), init)?;
    let mut response = match params.get("by") {
        "service" => env.service("SELF")?.fetch_request(request).await?,
        "object" => env.durable_object("ANSWERS")?.get_by_name("a")?.fetch_with_request(request).await?,
        _ => Fetch::Request(request).send().await?,
    };
    let body = match params.get("then") {
        "text" => json!(response.text().await?),
        "bytes" => json!(response.bytes().await?),
        "stream" => {
            let pieces: Vec<Vec<u8>> = response.stream()?.try_collect().await?;
            json!(String::from_utf8(pieces.concat())?)
        }
        "copy" => return Response::from_stream(response.stream()?),
        "map" => {
            let (status, headers) = (response.status_code(), response.headers().clone());
            let pieces = response.stream()?.map_ok(|piece| piece.to_vec());
            return Ok(Response::from_stream(pieces)?.with_status(status).with_headers(headers));
        }
        _ => return Ok(response),
    };
    let headers: Vec<Value> = response.headers().entries().map(|(name, value)| json!([name, value])).collect();
    Response::from_json(&json!({ "status": response.status_code(), "headers": headers, "body": body }))
}
