//! What people wait for when they look at many instances, or at a long one: pages and details over HTTP.

use std::time::Duration;

use miniflow_runtime::clock::Stopwatch;
use serde_json::Value;

use super::client::Client;
use super::sections::{Figure, figure, folder, ms, percentile};
use super::server::{Mode, Server};

/// Finished instances that are listed.
const INSTANCES: usize = 10_000;

/// Instances of a page: as many as a page may have.
const PER_PAGE: usize = 100;

/// Steps of the instance that is described.
const STEPS: usize = 10_000;

const RUNS: usize = 5;

const V4: &str = "/client/v4/accounts/local/workflows";
const LOCAL: &str = "/cdn-cgi/local/explorer/api/workflows";

pub(crate) fn lists() -> Vec<Figure> {
    let state = folder();
    let server = Server::start(Mode::Normal, state.path());
    let mut client = server.client();
    let ids = client.create("bench", "p", INSTANCES, r#"{"steps":1}"#);
    client.outputs("bench", &ids);
    let mut figures = Vec::new();
    let mut add = |name: String, runs: Vec<Vec<f64>>| {
        let of = |runs: &[Vec<f64>], part: f64| {
            runs.iter().map(|run| percentile(&mut run.clone(), part)).collect::<Vec<_>>()
        };
        figures.push(figure(format!("{name}, p50"), Mode::Normal, "ms", of(&runs, 0.5)));
        figures.push(figure(format!("{name}, slowest"), Mode::Normal, "ms", of(&runs, 1.0)));
    };
    for (api, prefix) in [("version 4", V4), ("local API", LOCAL)] {
        for (filter, query) in [("", ""), (" of one status", "&status=complete")] {
            let by_number = || {
                let page = |number: usize| format!("{prefix}/bench/instances?per_page={PER_PAGE}&page={number}{query}");
                (1..=INSTANCES / PER_PAGE).map(|number| timed(&mut client, &page(number)).0).collect()
            };
            add(
                format!("{api}, each page of 100{filter}, by its number"),
                std::iter::repeat_with(by_number).take(RUNS).collect(),
            );
            let runs = (0..RUNS)
                .map(|_| by_cursor(&mut client, &format!("{prefix}/bench/instances?per_page={PER_PAGE}{query}")));
            add(format!("{api}, each page of 100{filter}, by cursor"), runs.collect());
        }
    }
    let workflows = (0..RUNS).map(|_| (0..20).map(|_| timed(&mut client, LOCAL).0).collect()).collect();
    add("the workflows with their counts".to_owned(), workflows);
    figures
}

fn by_cursor(client: &mut Client, path: &str) -> Vec<f64> {
    let (mut times, mut cursor) = (Vec::new(), String::new());
    loop {
        let (time, answer) = timed(client, &format!("{path}{cursor}"));
        times.push(time);
        match answer["result_info"]["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert_eq!(times.len(), INSTANCES / PER_PAGE, "the last page is the last");
                return times;
            }
        }
    }
}

pub(crate) fn details() -> Vec<Figure> {
    let state = folder();
    let server = Server::start(Mode::Normal, state.path());
    let mut client = server.client();
    client.json("POST", &format!("/create?wf=bench&n=1&steps={STEPS}&prefix=d"), "{}");
    client.complete("bench", "d", Duration::from_millis(20));
    let mut figures = Vec::new();
    for (name, path) in [
        ("version 4", format!("{V4}/bench/instances/d")),
        ("version 4, newest step first", format!("{V4}/bench/instances/d?order=desc")),
        ("version 4, without steps", format!("{V4}/bench/instances/d?simple=true")),
        ("local API", format!("{LOCAL}/bench/instances/d")),
    ] {
        let values = (0..11).map(|_| timed(&mut client, &path).0).collect();
        figures.push(figure(format!("an instance of {STEPS} steps, {name}"), Mode::Normal, "ms", values));
    }
    figures
}

/// How long a GET takes until its last byte is there, and the answer.
fn timed(client: &mut Client, path: &str) -> (f64, Value) {
    let stopwatch = Stopwatch::start();
    let (status, body) = client.request("GET", path, "").expect("the server answers");
    let time = ms(stopwatch);
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    (time, serde_json::from_slice(&body).expect("the answer is JSON"))
}
