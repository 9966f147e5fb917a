//! A component for `wasi:http` 0.2, made without the SDK: any such component is served too.
//!
//! `POST` answers the body; `GET /?http://…` asks there, waits for a second at most, and answers what it was told or why not. The second is for the
//! first byte; with the path `/connecting` it is for the connection, with `/between` for each further byte.

use wstd::http::{Body, Client, Error, Method, Request, Response};
use wstd::time::Duration;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    if request.method() == Method::POST {
        return Ok(Response::new(request.into_body()));
    }
    let Some(url) = request.uri().query() else { return Ok(Response::new("hello from wasi 0.2\n".into())) };
    let text = match ask(request.uri().path(), url).await {
        Ok(text) => text,
        Err(error) => format!("{error:?}"),
    };
    Ok(Response::new(text.into()))
}

async fn ask(limited: &str, url: &str) -> Result<String, Error> {
    let mut client = Client::new();
    let second = Duration::from_secs(1);
    match limited {
        "/connecting" => client.set_connect_timeout(second),
        "/between" => client.set_between_bytes_timeout(second),
        _ => client.set_first_byte_timeout(second),
    }
    let answer = client.send(Request::get(url).body(())?).await?;
    Ok(answer.into_body().str_contents().await?.to_owned())
}
