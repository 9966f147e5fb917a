//! What is measured, and how: the definitions are those of the bench Worker's contract.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use miniflow_runtime::Clock;
use miniflow_runtime::clock::{Stopwatch, SystemClock};
use serde_json::Value;

use super::api;
use super::client::Client;
use super::server::{Mode, Server, component};

/// A figure and what each run gave.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) mode: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<f64>,
}

type Measure = fn() -> Vec<Figure>;

/// Every section, in the order of the document.
pub(crate) const ALL: &[(&str, Measure)] = &[
    ("cold start", cold_start),
    ("test instances", super::kit::starts),
    ("hello over HTTP", hello),
    ("latency of one instance", latency),
    ("sequential steps in one instance", sequential),
    ("1,000 instances of 10 steps", throughput),
    ("durable creates", creates),
    ("KV", super::kv::all),
    ("1,000 sleeps of one second at once", sleeps),
    ("stress: bodies that wait", super::stress::bodies),
    ("a month of a schedule", month),
    ("replay", replay),
    ("pages of 10,000 finished instances", api::lists),
    ("details of a long instance", api::details),
    ("memory", memory),
    ("crash matrix", crash_matrix),
    ("edit to served", super::edits::edits),
    ("first build of a Worker", super::builds::builds),
];

pub(crate) const MODES: [Mode; 2] = [Mode::Normal, Mode::Full];

pub(crate) fn figure(name: impl Into<String>, mode: Mode, unit: &'static str, values: Vec<f64>) -> Figure {
    Figure { name: name.into(), mode: mode.word(), unit, values }
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

pub(crate) fn ms(stopwatch: Stopwatch) -> f64 {
    stopwatch.elapsed().as_secs_f64() * 1000.0
}

/// Milliseconds since the epoch.
fn now() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds fit")]
    let now = SystemClock::new().now_ns() as f64 / 1e6;
    now
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

pub(crate) fn percentile(values: &mut [f64], of: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = ((values.len() as f64 - 1.0) * of).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

fn cold_start() -> Vec<Figure> {
    let state = folder();
    let mut values = Vec::new();
    for run in 0..12 {
        let stopwatch = Stopwatch::start();
        let server = Server::start(Mode::Normal, state.path());
        server.client().request("GET", "/", "").expect("an answer");
        // The first fills the cache of compiled components.
        if run > 0 {
            values.push(ms(stopwatch));
        }
    }
    vec![figure("spawn to first answer, component in the cache, `--no-build`", Mode::Normal, "ms", values)]
}

fn hello() -> Vec<Figure> {
    let state = folder();
    let server = Server::start(Mode::Normal, state.path());
    hammer(&server, 1, Duration::from_secs(2));
    let mut figures = Vec::new();
    for connections in [1, 32] {
        let (mut rates, mut p50, mut p99) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..5 {
            let stopwatch = Stopwatch::start();
            let mut latencies = hammer(&server, connections, Duration::from_secs(2));
            #[expect(clippy::cast_precision_loss, reason = "a count")]
            rates.push(latencies.len() as f64 / stopwatch.elapsed().as_secs_f64());
            p50.push(percentile(&mut latencies, 0.5));
            p99.push(percentile(&mut latencies, 0.99));
        }
        let label = format!("{connections} connection{}", if connections == 1 { "" } else { "s" });
        figures.push(figure(label.clone(), Mode::Normal, "req/s", rates));
        figures.push(figure(format!("{label}, p50"), Mode::Normal, "ms", p50));
        figures.push(figure(format!("{label}, p99"), Mode::Normal, "ms", p99));
    }
    figures
}

/// Asks for `/` on so many connections from one thread, one request each at a time; the latencies in ms.
fn hammer(server: &Server, connections: usize, time: Duration) -> Vec<f64> {
    use std::io::Read;
    let mut streams: Vec<TcpStream> = (0..connections)
        .map(|_| {
            let stream = TcpStream::connect(&server.host).expect("the server listens");
            stream.set_nodelay(true).expect("a socket takes options");
            stream
        })
        .collect();
    let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", server.host);
    let mut latencies = Vec::new();
    let mut sent = Vec::with_capacity(connections);
    let mut buffer = [0_u8; 4096];
    let whole = Stopwatch::start();
    while whole.elapsed() < time {
        sent.clear();
        for stream in &mut streams {
            sent.push(Stopwatch::start());
            stream.write_all(request.as_bytes()).expect("the server reads");
        }
        for (stream, sent) in streams.iter_mut().zip(&sent) {
            let mut got = 0;
            // The body is the end of the answer, and nothing of the head looks like it.
            while !buffer[..got].ends_with(b"\r\n\r\nhello") {
                let read = stream.read(&mut buffer[got..]).expect("the server answers");
                assert!(read > 0, "the server hung up");
                got += read;
            }
            latencies.push(ms(*sent));
        }
    }
    latencies
}

fn latency() -> Vec<Figure> {
    let mut figures = Vec::new();
    for mode in MODES {
        let state = folder();
        let server = Server::start(mode, state.path());
        let mut client = server.client();
        for steps in [1, 10] {
            let (mut engine50, mut engine99, mut seen50) = (Vec::new(), Vec::new(), Vec::new());
            for run in 0..5 {
                let (mut engine, mut seen) = (Vec::new(), Vec::new());
                for n in 0..100 {
                    let id = format!("l{steps}-{run}-{n}");
                    let (stopwatch, begun) = (Stopwatch::start(), now());
                    client.json("POST", &format!("/create?wf=bench&n=1&steps={steps}&prefix={id}"), "{}");
                    let output = client.complete("bench", &id, Duration::from_micros(200));
                    seen.push(ms(stopwatch));
                    // Both clocks are the machine's; the guest's has whole milliseconds, so on average it is half of one early.
                    engine.push(number(&output["end"]) + 0.5 - begun);
                }
                engine50.push(percentile(&mut engine, 0.5));
                engine99.push(percentile(&mut engine, 0.99));
                seen50.push(percentile(&mut seen, 0.5));
            }
            let name = |what: &str| format!("{steps} step{}, {what}", if steps == 1 { "" } else { "s" });
            figures.push(figure(name("create to end of `run`, p50"), mode, "ms", engine50));
            figures.push(figure(name("create to end of `run`, p99"), mode, "ms", engine99));
            figures.push(figure(name("create to seen complete over HTTP, p50"), mode, "ms", seen50));
        }
    }
    figures
}

fn sequential() -> Vec<Figure> {
    let mut figures = Vec::new();
    for mode in MODES {
        let state = folder();
        let server = Server::start(mode, state.path());
        let mut client = server.client();
        let steps = if mode == Mode::Normal { 10_000 } else { 3_000 };
        let mut values = Vec::new();
        for run in 0..7 {
            let begun = now();
            client.json("POST", &format!("/create?wf=bench&n=1&steps={steps}&prefix=s{run}"), "{}");
            let output = client.complete("bench", &format!("s{run}"), Duration::from_millis(20));
            values.push(f64::from(steps) / ((number(&output["end"]) - begun) / 1000.0));
        }
        figures.push(figure(format!("{steps} steps one after the other"), mode, "steps/s", values));
    }
    figures.push(syncs());
    figures
}

/// How often this disk can sync in a second: what `full` is up against.
fn syncs() -> Figure {
    let state = folder();
    let mut file = std::fs::File::create(state.path().join("file")).expect("a file can be made");
    let values = (0..5).map(|_| {
        let stopwatch = Stopwatch::start();
        for _ in 0..200 {
            file.write_all(&[0; 4096]).expect("the disk has room");
            file.sync_data().expect("the disk syncs");
        }
        200.0 / stopwatch.elapsed().as_secs_f64()
    });
    Figure {
        name: "the disk alone: 4 KiB appended and synced".into(),
        mode: "-",
        unit: "syncs/s",
        values: values.collect(),
    }
}

fn throughput() -> Vec<Figure> {
    MODES
        .map(|mode| {
            let state = folder();
            let server = Server::start(mode, state.path());
            let mut client = server.client();
            let runs = (0..7).map(|run| {
                let begun = now();
                let ids = client.create("bench", &format!("t{run}"), 1000, r#"{"steps":10}"#);
                let end = client.outputs("bench", &ids).iter().map(|output| number(&output["end"])).fold(0.0, f64::max);
                10_000.0 / ((end - begun) / 1000.0)
            });
            figure("first create to last end", mode, "steps/s", runs.collect())
        })
        .into()
}

fn creates() -> Vec<Figure> {
    let mut figures = Vec::new();
    for mode in MODES {
        let state = folder();
        let server = Server::start(mode, state.path());
        let mut client = server.client();
        let (mut batches, mut single) = (Vec::new(), Vec::new());
        for run in 0..7 {
            let stopwatch = Stopwatch::start();
            client.create("event", &format!("c{run}"), 1000, "{}");
            batches.push(1000.0 / stopwatch.elapsed().as_secs_f64());
            // They have a step to do, which is not part of this.
            std::thread::sleep(Duration::from_millis(500));
            let stopwatch = Stopwatch::start();
            for n in 0..50 {
                client.json("POST", &format!("/create?wf=event&n=1&prefix=one{run}-{n}"), "{}");
            }
            single.push(ms(stopwatch) / 50.0);
        }
        figures.push(figure("1,000 by batches of 100, one connection", mode, "creates/s", batches));
        figures.push(figure("one at a time", mode, "ms", single));
    }
    figures
}

fn sleeps() -> Vec<Figure> {
    let mut figures = Vec::new();
    for mode in MODES {
        let state = folder();
        let server = Server::start(mode, state.path());
        let mut client = server.client();
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        for run in 0..5 {
            let ids = client.create("sleep", &format!("z{run}"), 1000, r#"{"ms":1000}"#);
            let mut over: Vec<f64> =
                client.outputs("sleep", &ids).iter().map(|output| number(&output["over"])).collect();
            p50.push(percentile(&mut over, 0.5));
            p99.push(percentile(&mut over, 0.99));
        }
        figures.push(figure("overshoot, p50", mode, "ms", p50));
        figures.push(figure("overshoot, p99", mode, "ms", p99));
    }
    figures
}

fn month() -> Vec<Figure> {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    const TIME: &str = "/cdn-cgi/local/miniflow/time";
    let worker = folder();
    let config = serde_json::json!({
        "name": "month",
        "main": component(),
        "workflows": [{
            "name": "bench",
            "binding": "BENCH",
            "class_name": "Bench",
            "schedules": "*/5 * * * *",
            // What is removed on the way is told as well, and not everything is told of more than 10,000.
            "default_retention": { "success_retention": "30 days" },
        }],
    });
    std::fs::write(worker.path().join("wrangler.jsonc"), config.to_string()).expect("a folder can be written to");
    let month = |arguments: &[&str]| {
        let state = folder();
        let server = Server::start_of(worker.path(), arguments, Mode::Normal, state.path());
        let mut client = server.client();
        let stopwatch = Stopwatch::start();
        let answer = client.json("POST", TIME, &format!("{{\"advance\":{}}}", 31 * DAY_MS));
        let took = ms(stopwatch) / 1000.0;
        let made = |due: &&Value| due["what"].as_str().is_some_and(|what| what.ends_with(" is made by its schedule"));
        let count = answer["moved"]["due"].as_array().map_or(0, |due| due.iter().filter(made).count());
        assert_eq!(count, 31 * 288, "one instance each five minutes");
        took
    };
    let (mut kept, mut ephemeral) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        kept.push(month(&["--time", "manual"]));
        ephemeral.push(month(&["--time", "manual", "--ephemeral"]));
    }
    let name = "`*/5 * * * *` for 31 days, 8,928 instances of one step";
    vec![
        figure(name, Mode::Normal, "s", kept),
        Figure { name: format!("{name}, `--ephemeral`"), mode: "memory", unit: "s", values: ephemeral },
    ]
}

fn replay() -> Vec<Figure> {
    let state = folder();
    let server = Server::start(Mode::Normal, state.path());
    let mut client = server.client();
    let steps = 9_000;
    // Where `run` reads the clock is looked for in the 1st and the 8th, which takes as long as a replay.
    let values = (0..15).map(|run| {
        let id = format!("r{run}");
        client.json("POST", &format!("/create?wf=replay&n=1&steps={steps}&prefix={id}"), "{}");
        waiting(&mut client, &id);
        let begun = now();
        client.json("POST", &format!("/event?wf=replay&id={id}&type=go"), "1");
        let output = client.complete("replay", &id, Duration::from_millis(2));
        f64::from(steps) / ((number(&output["end"]) + 0.5 - begun) / 1000.0)
    });
    vec![figure(
        format!("{steps} recorded steps: event sent to end of `run`, all included"),
        Mode::Normal,
        "steps/s",
        values.collect(),
    )]
}

fn waiting(client: &mut Client, id: &str) {
    while client.json("GET", &format!("/status?wf=replay&id={id}"), "")["status"] != "waiting" {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A workflow of 200 steps, killed before and after each of its commits.
fn crash_matrix() -> Vec<Figure> {
    let (mut check, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let stopwatch = Stopwatch::start();
        let said = super::server::run(&[
            "test",
            "--crash-matrix",
            "--workflow",
            "bench",
            "--params",
            r#"{"steps":200}"#,
            "--json",
        ]);
        whole.push(ms(stopwatch));
        check.push(number(&said["workflows"][0]["tookMs"]));
    }
    vec![
        figure("200 steps, killed before and after each commit, and 20 times twice", Mode::Normal, "ms", check),
        figure("the same with the start of the program", Mode::Normal, "ms", whole),
    ]
}

fn memory() -> Vec<Figure> {
    let state = folder();
    let server = Server::start(Mode::Normal, state.path());
    let mut client = server.client();
    client.request("GET", "/", "").expect("an answer");
    let settle = || std::thread::sleep(Duration::from_secs(5));
    settle();
    let idle = server.resident_mb();
    let mut figures = vec![figure("idle, after one request", Mode::Normal, "MB", vec![idle])];
    for (batch, total) in [(1000, 1000), (9000, 10_000)] {
        let ids = client.create("bench", &format!("m{total}"), batch, r#"{"steps":1}"#);
        client.outputs("bench", &ids);
        settle();
        figures.push(figure(format!("with {total} finished"), Mode::Normal, "MB", vec![server.resident_mb()]));
    }
    drop((client, server));

    let state = folder();
    let server = Server::start(Mode::Normal, state.path());
    let mut client = server.client();
    client.request("GET", "/", "").expect("an answer");
    settle();
    let idle = server.resident_mb();
    let peak = peak_while(&server, || {
        let ids = client.create("sleep", "long", 10_000, r#"{"ms":3600000}"#);
        for id in ids.iter().rev().take(1) {
            while client.json("GET", &format!("/status?wf=sleep&id={id}"), "")["status"] != "waiting" {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    settle();
    figures.push(figure("10,000 sleepers beyond idle, peak on the way", Mode::Normal, "MB", vec![peak - idle]));
    figures.push(figure("10,000 sleepers beyond idle", Mode::Normal, "MB", vec![server.resident_mb() - idle]));
    figures
}

fn peak_while(server: &Server, work: impl FnOnce()) -> f64 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak: f64 = 0.0;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(server.resident_mb());
                std::thread::sleep(Duration::from_millis(20));
            }
            peak
        });
        work();
        done.store(true, Ordering::Relaxed);
        watch.join().expect("watching cannot fail")
    })
}
