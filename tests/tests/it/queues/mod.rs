//! Queues: messages from one handler to another, through restarts and kills.

mod dead_letters;
mod delays;
mod limits;
mod several;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use miniflow_tests::{Answer, Dev, Reply, Server, Sink, eventually};
use serde_json::{Value, json};

/// The guest `queues` under `queues` of a configuration, called `name`.
fn worker(name: &str, queues: &Value) -> Dev {
    Dev::guest("queues").config(json!({ "name": name, "queues": queues }))
}

/// Producers by binding and queue, `Q` of `q` first.
fn producers() -> Value {
    json!([{ "binding": "Q", "queue": "q" }, { "binding": "KEPT", "queue": "kept" }])
}

/// With time that passes only when it is told to.
fn manual(dev: Dev) -> Server {
    dev.args(["--time", "manual"]).start()
}

/// Lets time pass. Returns when everything that was due has happened, and says so.
fn advance(server: &Server, ms: u64) -> Value {
    server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": ms })).expect(200).json()
}

#[track_caller]
fn send(server: &Server, to: &str, messages: &[Value]) -> Answer {
    server.post(&format!("/send?to={to}"), json!({ "messages": messages }))
}

/// How many messages are in a queue.
fn count(server: &Server, of: &str) -> u64 {
    server.get(&format!("/metrics?to={of}")).expect(200).json()["count"].as_u64().unwrap()
}

fn wait_until_empty(server: &Server, of: &str) {
    eventually("the queue is empty", || (count(server, of) == 0).then_some(()));
}

fn task(name: &str, sink: &Sink, then: &[&str]) -> Value {
    json!({ "name": name, "sink": sink.url(), "then": then })
}

// rules: S4
#[test]
fn a_message_reaches_the_handler_which_can_start_instances() {
    let server = Dev::guest("queues").start();
    send(&server, "Q", &[json!({ "name": "order-1", "then": ["create"] })]).expect(200);
    server.wait_for_line("queue q 1/1 (");
    assert_eq!(count(&server, "Q"), 0);
    let output = eventually("the instance is complete", || {
        let status = server.get("/order?to=order-1").expect(200).json();
        (status["status"] == "complete").then(|| status["output"].clone())
    });
    assert_eq!(output, "hello order-1");
}

// rules: A176
#[test]
fn batches_are_made_by_size_and_by_time() {
    let (server, sink) = (Dev::guest("queues").start(), Sink::start());
    let tasks: Vec<_> = (0..7).map(|n| task(&n.to_string(), &sink, &[])).collect();
    send(&server, "Q", &tasks).expect(200);
    wait_until_empty(&server, "Q");
    assert_eq!((sink.count(&[("of", "5")]), sink.count(&[("of", "2")])), (5, 2));
}

// rules: A176
#[test]
fn a_handler_that_fails_or_panics_gets_again_what_it_did_not_acknowledge_until_it_is_a_dead_letter() {
    for end in ["fail", "panic"] {
        let (server, sink) = (Dev::guest("queues").start(), Sink::start());
        send(&server, "Q", &[task("done", &sink, &["ack"]), task("bad", &sink, &[end])]).expect(200);
        server.wait_for_line("to dead letter queue \"kept\" after 3 failed attempts");
        assert_eq!((sink.count(&[("name", "done")]), sink.count(&[("name", "bad")])), (1, 3), "{end}");
        assert_eq!(count(&server, "KEPT"), 2, "the dead letter, and the sign of the acknowledgement");
    }
}

// rules: A176
#[test]
fn a_kill_in_the_middle_of_a_batch_loses_nothing_and_repeats_nothing_that_was_acknowledged() {
    let (dev, sink) = (Dev::guest("queues"), Sink::start());
    let server = dev.start();
    send(&server, "Q", &[task("done", &sink, &["ack"]), task("open", &sink, &["hang"])]).expect(200);
    eventually("both are handled", || (sink.count(&[("name", "open")]) == 1).then_some(()));
    server.kill();
    let server = dev.start();
    eventually("the open one is there again", || {
        (sink.count(&[("name", "open"), ("attempt", "2")]) == 1).then_some(())
    });
    assert_eq!(sink.count(&[("name", "done")]), 1);
    assert_eq!(sink.count(&[("name", "open"), ("of", "1")]), 1, "it came alone");
    drop(server);
}

#[test]
fn what_nobody_consumes_is_kept_through_restarts_and_the_start_says_so() {
    let dev = Dev::guest("queues");
    let server = dev.start();
    assert!(server.log().contains("kept, which nothing consumes here"), "{}", server.log());
    send(&server, "KEPT", &[json!(1), json!(2)]).expect(200);
    server.kill();
    assert_eq!(count(&dev.start(), "KEPT"), 2);
}

#[test]
fn a_worker_without_a_handler_cannot_consume() {
    let config = json!({ "queues": { "consumers": [{ "queue": "q" }] } });
    let refusal = Dev::example("hello").config(config).refused();
    refusal.assert_one_error(&["is to consume the queue `q`, and has no handler for messages", "#[event(queue)]"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_backlog_of_ten_thousand_messages_is_handled_ten_batches_at_a_time_with_little_memory() {
    const BACKLOG: usize = 10_000;
    // The first handlers go on asking, so that there is time for others to begin; none may.
    const ASKED: usize = 1000;
    let (asked, waiting) = (AtomicUsize::new(0), Arc::new(Mutex::new(BTreeSet::new())));
    let waiters = Arc::clone(&waiting);
    let sink = Sink::answering(move |seen| {
        if !seen.query.contains_key("waits") {
            return Reply::ok();
        }
        let mut waiters = waiters.lock().unwrap();
        // All that may wait, and after that so often that another one would have come.
        if waiters.len() >= 10 && asked.fetch_add(1, SeqCst) >= ASKED {
            return Reply::Answer(200, "go".to_owned());
        }
        waiters.insert(seen.param("waits").to_owned());
        Reply::ok()
    });
    let padding = "x".repeat(10_000);
    // One of a hundred.
    let then = |n: usize| if n.is_multiple_of(100) { &["wait"][..] } else { &[] };
    let sink_of = |n: usize| n.is_multiple_of(100).then(|| sink.url());
    let task = |n: usize| json!({ "name": n.to_string(), "padding": padding, "then": then(n), "sink": sink_of(n) });
    let producing = worker("w", &json!({ "producers": producers() }));
    let server = producing.start();
    for first in (0..BACKLOG).step_by(25) {
        send(&server, "Q", &(first..first + 25).map(task).collect::<Vec<_>>()).expect(200);
    }
    drop(server);
    let consumer = json!({ "queue": "q", "max_batch_size": 100 });
    let consuming = worker("w", &json!({ "producers": producers(), "consumers": [consumer] }));
    let idle = consuming.start().peak_memory_bytes();
    let server = consuming.persist(&producing.state()).start();
    wait_until_empty(&server, "Q");
    assert_eq!(waiting.lock().unwrap().len(), 10, "batches that were handled at the same time");
    let grown = server.peak_memory_bytes().saturating_sub(idle) / (1024 * 1024);
    assert!(grown < 100, "{grown} MiB, for ten batches of 1 MB out of a hundred");
}
