//! Workers that ask each other: what passes through, how it fails, and how a circle ends.

use miniflow_tests::{Dev, Server};
use serde_json::json;

/// A Worker of its name, which asks `next` by the binding `NEXT`.
fn worker(name: &str, next: &str) -> Dev {
    Dev::guest("objects").config(json!({
        "name": name,
        "vars": { "NAME": name },
        "services": [{ "binding": "NEXT", "service": next }],
        "durable_objects": { "bindings": [{ "name": "KEEPER", "class_name": "Keeper" }] },
        "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Keeper"] }],
    }))
}

fn two() -> Server {
    worker("a", "b").beside(worker("b", "a")).start()
}

#[test]
fn two_workers_that_ask_each_other_for_ever_are_told_so_and_serve_on() {
    for server in [two(), worker("alone", "alone").start()] {
        let told = server.get("/loop/NEXT").text();
        assert!(
            told.contains("Subrequest depth limit exceeded: 32 Workers and objects ask each other already"),
            "{told}"
        );
        let _ = server.get("/service/NEXT/whoami").expect(200);
    }
}

#[test]
fn as_deep_as_is_allowed_is_answered() {
    let server = two();
    let path = |deep: usize| format!("/{}whoami", "service/NEXT/".repeat(deep));
    assert_eq!(server.get(&path(32)).expect(200).json()["worker"], "a");
    assert_eq!(server.get(&path(31)).expect(200).json()["worker"], "b");
    let told = server.get(&path(33)).expect(500).text();
    assert!(told.contains("Subrequest depth limit exceeded"), "{told}");
}

#[test]
fn a_body_streams_through_two_workers_to_an_object_and_back() {
    let server = two();
    let mut exchange = server.exchange("/service/NEXT/at/KEEPER/a/echo");
    for piece in ["one", "two", "three"] {
        exchange.send(piece);
        assert_eq!(exchange.receive().as_deref(), Some(piece));
    }
    exchange.finish();
    assert_eq!(exchange.receive(), None);
}

#[test]
fn what_the_other_fails_with_is_the_callers_error_and_it_serves_on() {
    let server = two();
    let told = server.get("/service/NEXT/breaks/panic").expect(500).text();
    assert!(told.contains("asked to panic in a Worker"), "{told}");
    // The head has arrived by then: the answer breaks off here as well.
    let half = server.client().get("/service/NEXT/breaks/half");
    assert!(half.is_err(), "{half:?}");
    let missing = server.get("/service/NEXT/run/NOBODY/a").expect(500).json();
    assert_eq!(missing["error"], "no durable object `NOBODY` is bound: there is `KEEPER`");
    assert_eq!(server.get("/service/NEXT/whoami").expect(200).json()["worker"], "b");
}

#[test]
fn a_worker_that_is_not_in_the_session_is_named_at_the_start_and_on_use() {
    let server = worker("a", "elsewhere").start();
    server.wait_for_line("`elsewhere`");
    let told = server.get("/service/NEXT/whoami").expect(500).text();
    assert!(told.contains("`elsewhere`") && told.contains("not in this session"), "{told}");
}
