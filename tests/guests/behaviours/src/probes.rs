//! Routes that each show, or break, one thing of the HTTP side.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /echo` | answers the body as it comes, untouched by the Worker |
//! | `POST /echo-chunks` | the same through the Worker, chunk by chunk |
//! | `POST /length` | reads the whole body, answers its length |
//! | `GET /stream?n=&ms=` | `n` chunks, `ms` apart; logs `the stream is dropped` when nobody reads it any more |
//! | `GET /broken-stream?ms=` | a chunk, then an error `ms` later |
//! | `* /request` | answers method, URL and headers |
//! | `GET /answer?status=` | a body with that status and two cookies |
//! | `GET /env?name=` | answers a variable; `GET /env` all that the process sees |
//! | `GET /fetch?url=` | asks there, answers `{status, body}`; `* /proxy?url=` passes both ways through |
//! | `GET /try-fetch?url=&ms=` | asks there, answers `{status, body}` or `{error}`; gives up after `ms` |
//! | `GET /machine?name=HOST:PORT` | what comes of using the machine: files, and sockets to there |
//! | `GET /log?msg=&level=` | logs |
//! | `GET /clock?ms=` | the time, and the time after a delay |
//! | `GET /clocks` | which waits of WASI 0.3 are over: for moments of the past, and for the last there is |
//! | `GET /starts` | how often the start handler ran, and how many requests this instance has seen |
//! | `GET /wait-until?ms=&msg=&level=` | answers, then logs after a delay; with the level `panic` it panics instead |
//! | `GET /busy-later?ms=&url=` | logs `begins` and never answers; what outlives it computes for `ms` when that URL answers 200, and logs `is done` |
//! | `GET /error` | fails |
//! | `GET /spin`, `/panic`, `/oom` | logs `spins` and never ends, panics, eats all memory |
//! | `GET /begin-and-spin` | answers `begun`, logs `spins` and never ends |

use std::cell::RefCell;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::{Either, join_all, select};
use futures::{FutureExt, StreamExt, stream};
use miniflow_sdk::*;
use serde::Deserialize;
use serde_json::{Value, json};
use wasip3::clocks::{monotonic_clock, system_clock};

pub static STARTS: AtomicU32 = AtomicU32::new(0);
static REQUESTS: AtomicU32 = AtomicU32::new(0);

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    n: u32,
    #[serde(default)]
    ms: u64,
    name: Option<String>,
    url: Option<Url>,
    status: Option<u16>,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    level: String,
}

pub async fn route(mut req: Request, env: Env, ctx: Context) -> Result<Response> {
    let seen = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
    let query: Query = req.query()?;
    match req.path().as_str() {
        "/" => Response::ok("behaviours"),
        "/echo" => Response::from_stream(req.stream()?),
        // Any layer makes the Worker copy the chunks.
        "/echo-chunks" => Response::from_stream(req.stream()?.map(|chunk| chunk)),
        "/length" => Response::ok(req.bytes().await?.len().to_string()),
        "/stream" => {
            let told = Told("the stream is dropped");
            Response::from_stream(stream::iter(0..query.n).then(move |i| {
                let _ = &told;
                async move {
                    Delay::from(Duration::from_millis(query.ms)).await;
                    Ok::<_, Error>(format!("chunk {i}\n"))
                }
            }))
        }
        "/broken-stream" => Response::from_stream(stream::iter(0..2).then(move |i| async move {
            Delay::from(Duration::from_millis(query.ms)).await;
            if i == 0 { Ok("first\n") } else { Err(Error::from("no more")) }
        })),
        "/request" => {
            let headers: Vec<_> = req.headers().entries().collect();
            Response::from_json(&json!({
                "method": req.method().as_ref(),
                "url": req.url()?.as_str(),
                "headers": headers,
                "body": req.text().await?,
            }))
        }
        "/answer" => {
            let status = query.status.unwrap_or(200);
            let has_body = !matches!(status, 204 | 205 | 304);
            let response = if has_body { Response::ok("answer")? } else { Response::empty()? }.with_status(status);
            response.headers().append("set-cookie", "a=1")?;
            response.headers().append("set-cookie", "b=2")?;
            Ok(response)
        }
        "/env" => match query.name {
            Some(name) => Response::ok(env.var(&name)?.to_string()),
            None => Response::from_json(
                &std::env::vars().chain(std::env::args().map(|a| (a, String::new()))).collect::<Vec<_>>(),
            ),
        },
        "/fetch" => {
            let mut answer = Fetch::Url(url(query.url)?).send().await?;
            let (status, body) = (answer.status_code(), answer.text().await?);
            Response::from_json(&json!({ "status": status, "body": body }))
        }
        "/try-fetch" => {
            let asked = Fetch::Url(url(query.url)?).send();
            let answer = match select(pin!(asked), Delay::from(Duration::from_millis(query.ms))).await {
                Either::Left((Ok(mut answer), _)) => {
                    json!({ "status": answer.status_code(), "body": answer.text().await? })
                }
                Either::Left((Err(error), _)) => json!({ "error": error.to_string() }),
                Either::Right(_) => json!({ "error": "gave up" }),
            };
            Response::from_json(&answer)
        }
        "/machine" => Response::from_json(&machine(&query.name.unwrap_or_default())),
        "/proxy" => {
            let url = url(query.url)?;
            let init = RequestInit {
                method: req.method(),
                headers: req.headers().clone(),
                body: Some(req.into_body()?),
                redirect: RequestRedirect::Manual,
            };
            Fetch::Request(Request::new_with_init(url.as_str(), init)?).send().await
        }
        "/log" => {
            match query.level.as_str() {
                "debug" => console_debug!("{}", query.msg),
                "info" => console_info!("{}", query.msg),
                "warn" => console_warn!("{}", query.msg),
                "error" => console_error!("{}", query.msg),
                _ => console_log!("{}", query.msg),
            }
            Response::empty()
        }
        "/clock" => {
            let before = Date::now();
            Delay::from(Duration::from_millis(query.ms)).await;
            Response::from_json(&json!({ "before": before.as_millis(), "after": Date::now().as_millis() }))
        }
        "/clocks" => Response::from_json(&clocks().await),
        "/starts" => Response::from_json(&json!({ "starts": STARTS.load(Ordering::Relaxed), "requests": seen })),
        "/wait-until" => {
            ctx.wait_until(async move {
                Delay::from(Duration::from_millis(query.ms)).await;
                assert!(query.level != "panic", "asked to panic after the answer");
                console_log!("{}", query.msg);
            });
            Response::ok("answered")
        }
        "/busy-later" => {
            console_log!("begins");
            let url = url(query.url)?;
            ctx.wait_until(async move {
                let status = async || Fetch::Url(url.clone()).send().await.map(|answer| answer.status_code());
                while !matches!(status().await, Ok(200)) {
                    Delay::from(Duration::from_millis(20)).await;
                }
                Delay::from(Duration::from_millis(200)).await;
                let since = Date::now().as_millis();
                while Date::now().as_millis() < since + query.ms {}
                console_log!("is done");
            });
            std::future::pending().await
        }
        "/error" => Err("the text of the error".into()),
        "/spin" => {
            console_log!("spins");
            spin()
        }
        "/begin-and-spin" => Response::from_stream(stream::iter(0..2).then(|i| async move {
            if i > 0 {
                // The first has been taken by then.
                Delay::from(Duration::from_millis(1)).await;
                console_log!("spins");
                spin()
            }
            Ok::<_, Error>("begun\n")
        })),
        "/panic" => panic!("asked to panic"),
        "/oom" => eat_memory(),
        _ => Response::error("Not Found", 404),
    }
}

/// Logs when it is dropped.
struct Told(&'static str);

impl Drop for Told {
    fn drop(&mut self) {
        console_log!("{}", self.0);
    }
}

/// What comes of each use of the machine: true, or why not.
fn machine(server: &str) -> Value {
    fn seen<T>(result: std::io::Result<T>) -> Value {
        result.map_or_else(|error| error.to_string().into(), |_| true.into())
    }
    json!({
        "tcp": seen(TcpStream::connect(server)),
        "listen": seen(TcpListener::bind("127.0.0.1:0")),
        "udp": seen(UdpSocket::bind("127.0.0.1:0")),
        "name": seen("localhost:80".to_socket_addrs()),
        "folder": seen(std::fs::read_dir("/")),
        "present folder": seen(std::fs::read_dir(".")),
        "file": seen(std::fs::read("/etc/hosts")),
        "write": seen(std::fs::write("/tmp/written-by-a-guest", "x")),
        "program": seen(std::process::Command::new("true").status()),
    })
}

/// What the clocks of WASI 0.3 say and do at the ends of their ranges.
async fn clocks() -> Value {
    let now = monotonic_clock::now();
    let waits: [(&str, Pin<Box<dyn Future<Output = ()>>>); 6] = [
        ("the first moment", Box::pin(monotonic_clock::wait_until(0))),
        ("this moment", Box::pin(monotonic_clock::wait_until(now))),
        ("no time", Box::pin(monotonic_clock::wait_for(0))),
        ("a moment", Box::pin(monotonic_clock::wait_for(1_000_000))),
        ("the last moment", Box::pin(monotonic_clock::wait_until(u64::MAX))),
        ("the longest time", Box::pin(monotonic_clock::wait_for(u64::MAX))),
    ];
    let over: RefCell<Vec<&str>> = RefCell::default();
    let all = join_all(waits.map(|(name, wait)| wait.map(move |()| name)).map(|wait| async {
        let name = wait.await;
        over.borrow_mut().push(name);
    }));
    let late = Delay::from(Duration::from_millis(100));
    drop(select(pin!(all), late).await);
    let over = over.take();
    let wall = system_clock::now();
    json!({
        "over": over,
        "resolutions": [monotonic_clock::get_resolution(), system_clock::get_resolution()],
        "apart": wall.seconds.unsigned_abs().abs_diff(monotonic_clock::now() / 1_000_000_000),
    })
}

fn url(url: Option<Url>) -> Result<Url> {
    url.ok_or_else(|| "`url` is missing".into())
}

/// Never ends, in a way the optimiser keeps.
pub fn spin() -> ! {
    let mut i = 0_u64;
    loop {
        i = std::hint::black_box(i.wrapping_add(1));
    }
}

/// Allocates until the memory is denied, which aborts.
pub fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}
