//! Edits while queues are consumed and objects live: what has begun comes to its end on the old code, what comes then is for the new.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use miniflow_tests::{Reply, Server, Sink, eventually};
use serde_json::{Value, json};

use crate::reload::{Site, reloaded, second, served};

/// A sink that lets what has `id` wait until it is told to go.
fn gate(id: &'static str) -> (Sink, Arc<AtomicBool>) {
    let go = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&go);
    let sink = Sink::answering(move |seen| {
        let waits = seen.param("id") == id && !told.load(SeqCst);
        Reply::Answer(200, if waits { "wait" } else { "" }.to_owned())
    });
    (sink, go)
}

fn send(server: &Server, sink: &Sink, id: &str) {
    let _ = server.post(&format!("/send?id={id}&url={}", sink.url()), ()).expect(200);
}

fn advance(server: &Server, ms: u64) {
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": ms })).expect(200);
}

/// `Q` sends to `jobs`, which is consumed as `consumers` say.
fn queues(consumers: &Value) -> Value {
    json!({ "queues": { "producers": [{ "binding": "Q", "queue": "jobs" }], "consumers": consumers } })
}

fn one_by_one() -> Value {
    queues(&json!([{ "queue": "jobs", "max_batch_size": 1 }]))
}

#[test]
fn a_batch_that_is_handled_is_finished_on_the_old_code_and_the_next_is_for_the_new() {
    let (sink, go) = gate("first");
    let site = Site::new();
    site.configure(&one_by_one());
    let server = site.dev().start();
    send(&server, &sink, "first");
    sink.wait_for(1, &[("id", "first"), ("version", "a")]);
    site.put(&second());
    reloaded(&server, 1);
    assert_eq!(served(&server), "b", "nobody waits for it");
    send(&server, &sink, "second");
    sink.wait_for(1, &[("id", "second"), ("version", "b")]);
    go.store(true, SeqCst);
    eventually("both batches are done", || (server.lines_with("queue jobs 1/1 (").len() == 2).then_some(()));
    assert_eq!((sink.count(&[("version", "b")]), sink.count(&[("id", "second")])), (1, 1), "nothing is done twice");
}

#[test]
fn a_consumer_comes_changes_and_goes_with_an_edit_of_the_configuration() {
    let sink = Sink::start();
    let site = Site::new();
    // Nothing of queues at first.
    let server = site.dev().args(["--time", "manual"]).start();
    site.configure(&queues(&json!([])));
    reloaded(&server, 1);
    send(&server, &sink, "early");
    site.configure(&one_by_one());
    reloaded(&server, 2);
    sink.wait_for(1, &[("id", "early")]);
    // One that cannot be served leaves the one that is there.
    site.configure(&queues(&json!([{ "queue": "jobs" }, { "queue": "jobs" }])));
    server.wait_for_line("queue `jobs` has more than one consumer");
    send(&server, &sink, "meanwhile");
    sink.wait_for(1, &[("id", "meanwhile")]);
    // Another rule: now a batch waits for its second message.
    site.configure(&queues(&json!([{ "queue": "jobs", "max_batch_size": 2, "max_batch_timeout": 60 }])));
    reloaded(&server, 3);
    send(&server, &sink, "half");
    advance(&server, 59_999);
    assert_eq!(sink.count(&[("id", "half")]), 0);
    advance(&server, 1);
    assert_eq!(sink.count(&[("id", "half")]), 1);
    // None: what is sent stays.
    site.configure(&queues(&json!([])));
    reloaded(&server, 4);
    send(&server, &sink, "late");
    advance(&server, 3_600_000);
    assert_eq!(sink.count(&[("id", "late")]), 0);
    site.configure(&one_by_one());
    reloaded(&server, 5);
    sink.wait_for(1, &[("id", "late")]);
}

fn objects() -> Value {
    json!({
        "durable_objects": { "bindings": [{ "name": "LIVE", "class_name": "Live" }] },
        "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Live"] }],
    })
}

fn ask(server: &Server, query: &str) -> Value {
    server.get(&format!("/object?id=one{query}")).expect(200).json()
}

#[test]
fn an_object_finishes_its_event_on_the_old_code_and_is_made_anew_by_the_new() {
    let (sink, go) = gate("request");
    let site = Site::new();
    site.configure(&objects());
    let server = site.dev().start();
    assert_eq!(ask(&server, ""), json!({ "version": "a", "events": 1, "all": 1 }));
    assert_eq!(
        ask(&server, &format!("&alarm=3600000&url={}", sink.url())),
        json!({ "version": "a", "events": 2, "all": 2 })
    );
    let (client, path) = (server.client(), format!("/object?id=one&url={}", sink.url()));
    let working = std::thread::spawn(move || client.get(&path).unwrap().expect(200).json());
    sink.wait_for(1, &[("id", "request"), ("version", "a")]);
    site.put(&second());
    reloaded(&server, 1);
    // Another object has the new code at once; the same one does not do two things at a time in two versions.
    let other = server.get("/object?id=other").expect(200).json();
    assert_eq!(other, json!({ "version": "b", "events": 1, "all": 1 }));
    let client = server.client();
    let next = std::thread::spawn(move || client.get("/object?id=one").unwrap().expect(200).json());
    assert!(!working.is_finished() && !next.is_finished());
    go.store(true, SeqCst);
    assert_eq!(working.join().unwrap(), json!({ "version": "a", "events": 3, "all": 3 }));
    assert_eq!(
        next.join().unwrap(),
        json!({ "version": "b", "events": 1, "all": 4 }),
        "memory is gone, storage is not"
    );
    advance(&server, 3_600_000);
    assert_eq!(sink.count(&[("id", "alarm"), ("version", "b")]), 1, "its alarm is kept");
    assert_eq!(sink.count(&[("id", "alarm")]), 1);
}

#[test]
fn an_alarm_that_is_handled_is_finished_on_the_old_code_and_goes_off_once() {
    let (sink, go) = gate("alarm");
    let site = Site::new();
    site.configure(&objects());
    let server = site.dev().start();
    let _ = ask(&server, &format!("&alarm=0&url={}", sink.url()));
    sink.wait_for(1, &[("id", "alarm"), ("version", "a")]);
    site.put(&second());
    reloaded(&server, 1);
    go.store(true, SeqCst);
    assert_eq!(ask(&server, ""), json!({ "version": "b", "events": 1, "all": 2 }));
    advance(&server, 3_600_000);
    assert_eq!(sink.count(&[("version", "b")]), 0);
}

#[test]
fn an_idle_object_has_the_new_code_with_its_next_event() {
    let site = Site::new();
    site.configure(&objects());
    let server = site.dev().start();
    for events in 1..=3 {
        assert_eq!(ask(&server, ""), json!({ "version": "a", "events": events, "all": events }));
    }
    site.put(&second());
    reloaded(&server, 1);
    assert_eq!(ask(&server, ""), json!({ "version": "b", "events": 1, "all": 4 }));
}
