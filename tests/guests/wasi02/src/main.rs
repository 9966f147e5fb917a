//! A component for `wasi:http` 0.2, made without the SDK: any such component is served too.
//!
//! `POST` answers the body; `GET /?http://…` asks there, waits for a second at most, and answers what it was told or why not. The second is for the
//! first byte; with the path `/connecting` it is for the connection, with `/between` for each further byte. `GET /clocks` answers what the clocks say,
//! and which waits at the ends of their ranges are over; `GET /leap` says `waits` on the console and answers which of two waits is over first, of
//! an hour and for ever, and what the clocks say then. `GET /status?N` answers with that status; `GET /longer` declares a length that its body
//! does not have.

use wasip2::clocks::monotonic_clock::{self, subscribe_duration, subscribe_instant};
use wasip2::clocks::wall_clock;
use wasip2::io::poll::{Pollable, poll};
use wstd::http::{Body, Client, Error, Method, Request, Response};
use wstd::time::Duration;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    match request.uri().path() {
        "/clocks" => return Ok(Response::new(clocks().into())),
        "/leap" => return Ok(Response::new(leap().into())),
        "/status" => return Ok(Response::builder().status(status(&request)).body(Body::empty())?),
        "/longer" => return Ok(Response::builder().header("content-length", "1234").body("twelve bytes".into())?),
        _ => {}
    }
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

/// The status that the query names.
fn status(request: &Request<Body>) -> u16 {
    request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(200)
}

/// Which of these waits are over when one of them is, and what the clocks say then.
fn over(waits: &[(&str, Pollable)]) -> String {
    let _ = poll(&waits.iter().map(|(_, wait)| wait).collect::<Vec<_>>());
    let over: Vec<_> = waits.iter().filter(|(_, wait)| wait.ready()).map(|(name, _)| *name).collect();
    let (wall, monotonic) = (wall_clock::now(), monotonic_clock::now());
    format!("over: {}; wall: {} s; monotonic: {} s", over.join(", "), wall.seconds, monotonic / 1_000_000_000)
}

fn clocks() -> String {
    let far = || [("the last moment", subscribe_instant(u64::MAX)), ("the longest time", subscribe_duration(u64::MAX))];
    let past = [
        ("the first moment", subscribe_instant(0)),
        ("this moment", subscribe_instant(monotonic_clock::now())),
        ("no time", subscribe_duration(0)),
    ];
    let [last, longest] = far();
    let past: Vec<_> = past.into_iter().chain([last, longest]).collect();
    // One that is over may be told at the second look only.
    let _ = over(&past);
    let [last, longest] = far();
    let soon = over(&[last, longest, ("a moment", subscribe_duration(1_000_000))]);
    let wall = wall_clock::resolution();
    let resolutions = (monotonic_clock::resolution(), wall.seconds, wall.nanoseconds);
    format!("{}\n{soon}\n{resolutions:?}", over(&past))
}

fn leap() -> String {
    let hour = ("an hour", subscribe_duration(3_600_000_000_000));
    let waits =
        [("the last moment", subscribe_instant(u64::MAX)), ("the longest time", subscribe_duration(u64::MAX)), hour];
    println!("waits");
    over(&waits)
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
