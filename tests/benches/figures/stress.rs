//! Thousands of instances whose step bodies wait: what it costs, and what others feel of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::client::Client;
use super::sections::{Figure, figure, folder, ms, percentile};
use super::server::{Mode, Server};
use miniflow_runtime::clock::Stopwatch;

/// Instances at a time. The second and third exceed the live runs of a session.
const COUNTS: [usize; 3] = [1600, 5000, 10_000];

const RUNS: usize = 3;

/// Instances of two steps whose bodies wait a second, and `GET /` meanwhile.
pub(crate) fn bodies() -> Vec<Figure> {
    COUNTS.into_iter().flat_map(bodies_of).collect()
}

fn bodies_of(count: usize) -> Vec<Figure> {
    let mut columns: [Vec<f64>; 5] = Default::default();
    for _ in 0..RUNS {
        let values = once(count);
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
    }
    let names = [
        ("wall clock", "s"),
        ("processor time an instance", "ms"),
        ("`GET /` p50", "ms"),
        ("`GET /` p99", "ms"),
        ("`GET /` max", "ms"),
    ];
    let row = |((name, unit), values): ((&str, &'static str), Vec<f64>)| {
        figure(format!("{count} instances: {name}"), Mode::Normal, unit, values)
    };
    names.into_iter().zip(columns).map(row).collect()
}

fn once(count: usize) -> [f64; 5] {
    let state = folder();
    let server = Server::start(Mode::Normal, state.path());
    let mut client = server.client();
    let is_over = Arc::new(AtomicBool::new(false));
    let prober = {
        let (mut client, is_over) = (server.client(), Arc::clone(&is_over));
        std::thread::spawn(move || latencies(&mut client, &is_over))
    };
    let (since, before) = (Stopwatch::start(), server.processor_ms());
    let ids = client.create("bench", "w", count, r#"{"steps":2,"ms":1000}"#);
    // The status of one instance in a hundred: reading them all would be most of the work.
    for id in ids.iter().rev().step_by(100) {
        client.complete("bench", id, Duration::from_millis(20));
    }
    let (wall, used) = (ms(since) / 1000.0, server.processor_ms() - before);
    is_over.store(true, Ordering::Relaxed);
    let mut latencies = prober.join().expect("the prober ends");
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|of| percentile(&mut latencies, of));
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let each = used / count as f64;
    [wall, each, p50, p99, max]
}

/// Latencies of `GET /`, one after the other, 200 a second.
fn latencies(client: &mut Client, is_over: &AtomicBool) -> Vec<f64> {
    let mut latencies = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let since = Stopwatch::start();
        let (status, _) = client.request("GET", "/", "").expect("the server answers");
        assert_eq!(status, 200);
        latencies.push(ms(since));
        std::thread::sleep(Duration::from_millis(5));
    }
    latencies
}
