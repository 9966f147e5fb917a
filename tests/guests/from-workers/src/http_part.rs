//! Requests, responses, and what comes with them.

use std::pin::pin;
use std::time::Duration;

use futures::future::Either;
use futures::{StreamExt, stream};
use miniflow_sdk::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Query {
    x: u32,
}

#[derive(Deserialize)]
struct Form {
    name: String,
}

/// By its content type.
pub(crate) async fn echo(mut req: Request) -> Result<Response> {
    match req.headers().get("content-type")?.as_deref() {
        Some("application/x-www-form-urlencoded") => {
            let form: Form = serde_urlencoded::from_bytes(&req.bytes().await?).map_err(|error| error.to_string())?;
            Response::from_html(form.name)
        }
        Some("application/json") => Response::from_json(&req.json::<Value>().await?),
        Some("application/octet-stream") => Response::from_stream(req.stream()?),
        _ => {
            let again = req.clone();
            let read_first = again.is_err_and(|error| error.to_string().contains("bytes()"));
            Response::ok(format!("{read_first} {}", req.text().await?))
        }
    }
}

pub(crate) async fn all(mut req: Request) -> Result<Response> {
    let query: Query = req.query()?;
    req.headers_mut()?.set("x", "1")?;
    let body: Option<Body> = Some("text".into());
    let init = RequestInit { body, method: Method::Post, ..RequestInit::new() };
    let request = Request::new_with_init("http://name.invalid/a", init)?;
    let copy = request.clone_mut()?;
    let seen = (request.method(), request.path(), request.url()?.to_string());
    let fetched = Fetch::Request(copy).send().await;
    let req = Request::new("http://name.invalid/b", Method::Get)?;
    let request = pin!(Fetch::Request(req).send());
    let answered = match futures::future::select(request, Delay::from(Duration::from_secs(5))).await {
        Either::Left((answer, _)) => answer.is_ok(),
        Either::Right(_) => false,
    };
    let url: Url = "http://name.invalid/c".parse()?;
    let refused = Fetch::Url(url.clone()).send().await.is_err();
    let headers = Headers::new();
    headers.append("a", "1")?;
    headers.append("a", "2")?;
    let twice = headers.get_all("a")?;
    headers.delete("a")?;
    Response::from_json(&json!({
        "x": query.x,
        "seen": [seen.0.to_string(), seen.1, seen.2],
        "fetched": [fetched.is_ok(), answered, refused],
        "twice": twice,
        "bodies": bodies(url).await?,
    }))
}

/// Every way to make a response; what is in them.
async fn bodies(url: Url) -> Result<Vec<String>> {
    let pieces = stream::iter(["a", "b"]).map(|piece| Ok::<_, Error>(piece.as_bytes().to_vec()));
    let cors = Cors::new().with_origins(["http://a.test"]);
    let bytes = vec![b'x'];
    let made = [
        Response::empty()?.with_status(204).with_headers(Headers::new()),
        Response::error("no", 500)?,
        Response::redirect(url.clone())?,
        Response::redirect_with_status(url, 307)?.with_cors(&cors)?,
        Response::from_body(bytes.into())?,
        Response::from_bytes(vec![b'y'])?,
        Response::builder().with_header("content-type", "text/plain")?.ok("built")?,
        Response::builder().from_json(&1)?,
        Response::builder().from_html("<p>")?,
        Response::builder().from_bytes(vec![b'z'])?,
        Response::builder().from_stream(pieces)?,
        Response::builder().error("no", 400)?,
        Response::builder().fixed(vec![b'f']),
        Response::builder().body(Body::from_stream(stream::iter([Ok::<_, Error>(vec![b's'])]))),
        Response::builder().empty(),
    ];
    let mut texts = Vec::new();
    for mut response in made {
        texts.push(format!("{} {}", response.status_code(), response.text().await?));
    }
    let mut number = Response::from_json(&7)?;
    texts.push(number.json::<u32>().await?.to_string());
    let mut bytes = Response::from_bytes(vec![1, 2])?;
    texts.push(bytes.bytes().await?.len().to_string());
    let mut streamed = Response::ok("streamed")?;
    texts.push(streamed.stream()?.text().await?);
    Ok(texts)
}
