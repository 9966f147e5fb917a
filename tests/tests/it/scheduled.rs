//! Cron triggers, fired by hand.

use miniflow_tests::{Dev, Server, Sink};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

fn behaviours() -> Server {
    Dev::guest("behaviours").start()
}

fn path(cron: &str, more: &str) -> String {
    let cron: String = byte_serialize(cron.as_bytes()).collect();
    format!("/cdn-cgi/local/scheduled?cron={cron}{more}")
}

fn json_of(server: &Server, cron: &str, status: u16) -> Value {
    server.get(&path(cron, "&format=json")).expect(status).json()
}

// rules: A173
#[test]
fn a_scheduled_handler_is_told_what_fired_and_can_start_instances() {
    let server = behaviours();
    assert_eq!(server.get(&path("create a", "&time=1786599900000")).expect(200).text(), "ok");
    let output = server.workflow("EVENT_ECHO").instance("a").output();
    assert_eq!(output["payload"], json!({ "cron": "create a", "time": 1_786_599_900_000.0, "type": "scheduled" }));
    for alias in ["/cdn-cgi/handler/scheduled", "/cdn-cgi/mf/scheduled"] {
        assert_eq!(server.get(alias).expect(200).text(), "ok", "{alias}");
    }
}

#[test]
fn what_comes_of_it_is_answered() {
    let server = behaviours();
    assert_eq!(json_of(&server, "* * * * *", 200), json!({ "outcome": "ok", "noRetry": false }));
    assert_eq!(json_of(&server, "fail", 500), json!({ "outcome": "exception", "noRetry": true }));
    assert_eq!(json_of(&server, "panic", 500), json!({ "outcome": "exception", "noRetry": false }));
    server.wait_for_line("asked to fail");
    server.wait_for_line("asked to panic in a scheduled handler");
    let wrong = server.get(&path("x", "&time=noon")).expect(400).text();
    assert_eq!(wrong, "`time` is noon, not a number of milliseconds since 1970\n");
    let example = Dev::example("hello").start();
    assert_eq!(example.get("/cdn-cgi/local/scheduled").expect(500).text(), "exception", "without a handler");
}

#[test]
fn it_is_over_when_everything_is_that_it_let_run_on() {
    let (server, sink) = (behaviours(), Sink::start());
    assert_eq!(server.get(&path(&format!("late {}", sink.url()), "")).expect(200).text(), "ok");
    assert_eq!(sink.seen().len(), 1);
}

#[test]
fn what_it_let_run_on_decides_the_outcome_too() {
    let server = behaviours();
    assert_eq!(json_of(&server, "late panic", 500), json!({ "outcome": "exception", "noRetry": false }));
    server.wait_for_line("asked to panic after a scheduled handler");
    assert_eq!(json_of(&server, "* * * * *", 200), json!({ "outcome": "ok", "noRetry": false }));
}

// rules: A174
#[test]
fn the_test_route_is_the_workers_unless_asked_for() {
    let route = "/__scheduled?cron=fail";
    let server = behaviours();
    let _ = server.get(route).expect(404);
    let server = Dev::guest("behaviours").args(["--test-scheduled"]).start();
    assert!(server.get(route).expect(500).text().contains("asked to fail"));
    assert_eq!(server.get("/__scheduled").expect(200).text(), "Ran scheduled event");
}

// rules: A126
#[test]
fn paths_of_the_server_are_not_the_workers() {
    let server = behaviours();
    let answer = server.get("/cdn-cgi/anything").expect(404).text();
    assert!(answer.starts_with("404 Not Found"), "{answer}");
}
