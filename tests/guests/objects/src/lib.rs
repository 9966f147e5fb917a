//! A Worker for end-to-end tests of Durable Objects and service bindings.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /run/BINDING/NAME`, body: operations | has the object `NAME` do them, answers their results; see `script.rs` |
//! | `POST /run-id/BINDING/ID`, body: operations | the same, by the id |
//! | `* /at/BINDING/NAME/…` | passes the request on to the object |
//! | `GET /ids/BINDING?name=` | answers `{named, unique, again}`; `again` is `named` read from its text |
//! | `* /service/BINDING/…` | passes the request on to another Worker |
//! | `GET /plain?url=&route=` | an ordinary request with the header that names a binding |
//! | `GET /forged?url=&route=` | the same around the SDK, which does not let that header through |
//! | `GET /websocket/BINDING/NAME` | asks the object for a WebSocket |
//! | `* /loop/BINDING` | passes the request on to another Worker, which does the same by a binding of that name, for ever |
//! | `GET /breaks/WHAT` | `panic`: panics; `half`: its answer breaks off after the first piece |
//! | `GET /variable/NAME`, `/secret/NAME` | what is bound under that name |
//! | `GET /whoami` | the name of this Worker, and the URL it was asked for |

mod objects;
mod script;

use futures::stream;
use miniflow_sdk::*;
use serde::Deserialize;
use serde_json::json;
use wasip3::http::types::{self, Fields, Scheme};
use wasip3::wit_future;

#[derive(Deserialize)]
struct Query {
    name: Option<String>,
    url: Option<String>,
    route: Option<String>,
}

#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    answer(req, env).await.or_else(|error| {
        let refusal = Response::from_json(&json!({ "error": error.to_string(), "code": error.code() }))?;
        Ok(refusal.with_status(500))
    })
}

async fn answer(req: Request, env: Env) -> Result<Response> {
    let path = req.path();
    let mut words = path.splitn(5, '/').skip(1);
    let mut word = || words.next().unwrap_or_default();
    match word() {
        "run" | "at" => {
            let stub = env.durable_object(word())?.get_by_name(word())?;
            stub.fetch_with_request(pass_on(req, word()).await?).await
        }
        "run-id" => {
            let namespace = env.durable_object(word())?;
            let stub = namespace.id_from_string(word())?.get_stub()?;
            stub.fetch_with_request(pass_on(req, "").await?).await
        }
        "ids" => {
            let namespace = env.durable_object(word())?;
            let query: Query = req.query()?;
            let named = namespace.id_from_name(&query.name.unwrap_or_default())?;
            let again = namespace.id_from_string(&named.to_string().to_uppercase())?;
            assert!(again == named && again.name().is_none() && named.name().is_some());
            Response::from_json(&json!({
                "named": named.to_string(),
                "again": again.to_string(),
                "unique": namespace.unique_id()?.to_string(),
            }))
        }
        "service" => {
            let service = env.service(word())?;
            let rest = [word(), word()].join("/");
            service.fetch_request(pass_on(req, rest.trim_end_matches('/')).await?).await
        }
        "loop" => {
            let binding = word();
            env.service(binding)?.fetch(format!("https://inside.test/loop/{binding}"), None).await
        }
        "breaks" if word() == "panic" => panic!("asked to panic in a Worker"),
        "breaks" => {
            let pieces = [Ok(b"half".to_vec()), Err(Error::from("asked to break off"))];
            Response::from_stream(stream::iter(pieces))
        }
        "variable" => Response::ok(env.var(word())?.to_string()),
        "secret" => Response::ok(env.secret(word())?.to_string()),
        "plain" => {
            let query: Query = req.query()?;
            let mut init = RequestInit::new();
            let headers = Headers::new();
            headers.set("miniflow-route", &query.route.unwrap_or_default())?;
            init.with_headers(headers);
            Fetch::Request(Request::new_with_init(&query.url.unwrap_or_default(), init)?).send().await
        }
        "websocket" => {
            let stub = env.durable_object(word())?.get_by_name(word())?;
            let mut init = RequestInit::new();
            init.headers.set("Upgrade", "websocket")?;
            stub.fetch_with_request(Request::new_with_init("http://inside.test/", init.with_method(Method::Get))?).await
        }
        "forged" => {
            let query: Query = req.query()?;
            forged(&query.route.unwrap_or_default(), &query.url.unwrap_or_default()).await
        }
        "whoami" => Response::from_json(&json!({
            "worker": env.var("NAME").map(|name| name.to_string()).unwrap_or_default(),
            "url": req.url()?.to_string(),
            "route": req.headers().get("miniflow-route")?,
        })),
        _ => Response::error("no such route", 404),
    }
}

/// The request, for another host and path. Its body is not looked at.
async fn pass_on(mut req: Request, path: &str) -> Result<Request> {
    let url = match req.url()?.query() {
        Some(query) => format!("https://inside.test/{path}?{query}"),
        None => format!("https://inside.test/{path}"),
    };
    let (method, headers) = (req.method(), req.headers().clone());
    let body = if method == Method::Get { None } else { Some(Body::from(req.stream()?)) };
    Request::new_with_init(&url, RequestInit { method, headers, body, redirect: RequestRedirect::Manual })
}

/// Asks for `url` with the header that leads to bindings, as no Worker made with the SDK can. Answers the status, or the error.
async fn forged(route: &str, url: &str) -> Result<Response> {
    let url: Url = url.parse()?;
    let headers = Fields::from_list(&[("miniflow-route".to_owned(), route.as_bytes().to_vec())]);
    let headers = headers.map_err(|error| format!("{error:?}"))?;
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = types::Request::new(headers, None, trailers, None);
    let set = request.set_scheme(Some(&Scheme::Http)).and_then(|()| request.set_authority(url.host_str()));
    set.and_then(|()| request.set_path_with_query(Some(url.path()))).map_err(|()| "the URL is not allowed")?;
    match wasip3::http::client::send(request).await {
        Ok(response) => Response::from_json(&json!({ "status": response.get_status_code() })),
        Err(error) => Err(format!("{error:?}").into()),
    }
}

/// Gives back what it was created with.
#[workflow]
pub struct Echo {}

impl WorkflowEntrypoint for Echo {
    type Input = serde_json::Value;
    type Output = serde_json::Value;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<Self::Input>, step: WorkflowStep) -> Result<Self::Output> {
        step.do_("echo", move |_| {
            let payload = event.payload.clone();
            async move { Ok(payload) }
        })
        .await
    }
}

/// Asks an object in a step.
#[workflow]
pub struct Asks {
    env: Env,
}

impl WorkflowEntrypoint for Asks {
    type Input = serde_json::Value;
    type Output = serde_json::Value;

    fn new(_ctx: Context, env: Env) -> Self {
        Self { env }
    }

    async fn run(&self, event: WorkflowEvent<Self::Input>, step: WorkflowStep) -> Result<Self::Output> {
        step.do_("ask", |_| async {
            let stub = self.env.durable_object("KEEPER")?.get_by_name("asked")?;
            let mut init = RequestInit::new();
            init.with_method(Method::Post).with_body(Some(event.payload.to_string().into()));
            let mut answer = stub.fetch_with_request(Request::new_with_init("http://inside.test/", init)?).await?;
            answer.json().await
        })
        .await
    }
}
