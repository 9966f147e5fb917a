//! Requests: what a Worker may do to them, and what it may not do to others.

use miniflow_tests::{Dev, build, eventually, repository};
use serde_json::json;

#[test]
fn a_component_of_another_toolchain_is_served_through_wasi_0_2() {
    let server = Dev::guest("wasi02").start();
    assert!(server.get("/").expect(200).text().contains("hello from wasi 0.2"));
    assert_eq!(server.post("/echo", "across versions").expect(200).text(), "across versions");
}

#[test]
fn a_component_without_a_configuration_gets_a_binding_for_each_class() {
    let component = build(&repository().join("tests/guests/behaviours"));
    let server = Dev::path(&component).start();
    assert_eq!(server.workflow("MANY_STEPS").create("a", json!({ "n": 2 })).output(), json!({ "steps": 2 }));
}

#[test]
fn a_body_is_echoed_piece_by_piece_while_it_is_still_being_sent() {
    let server = Dev::guest("behaviours").start();
    let mut exchange = server.exchange("/echo");
    for piece in ["one", "two", "three"] {
        exchange.send(piece);
        assert_eq!(exchange.receive().as_deref(), Some(piece));
    }
    exchange.finish();
    assert_eq!(exchange.receive(), None);
}

#[test]
fn a_panic_is_an_answer_that_says_where_and_the_next_request_is_served() {
    let server = Dev::guest("behaviours").start();
    let answer = server.get("/panic").expect(500).text();
    assert!(answer.contains("panicked at src/probes.rs:"), "{answer}");
    assert!(server.get("/env?name=GREETING").expect(200).text().contains("hello"));
    assert_eq!(server.lines_with("panicked at src/probes.rs:").len(), 1, "{}", server.log());
}

#[test]
fn a_request_that_eats_all_memory_is_told_so_and_the_next_is_served() {
    let server = Dev::guest("behaviours").start();
    let answer = server.get("/oom").expect(500).text();
    assert!(answer.contains("memory"), "{answer}");
    assert!(server.get("/env?name=GREETING").expect(200).text().contains("hello"));
}

/// The guest with so much processor time between two waits that a test need not wait for it long.
fn impatient() -> Dev {
    Dev::guest("behaviours").config(json!({
        "name": "behaviours",
        "limits": { "cpu_ms": 500 },
        "workflows": [
            { "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep" },
            { "name": "spin", "binding": "SPIN_OUTSIDE_STEP", "class_name": "SpinOutsideStep" },
        ],
    }))
}

#[test]
fn a_request_that_never_ends_is_ended_and_the_others_are_served_meanwhile() {
    let server = impatient().start();
    std::thread::scope(|scope| {
        let spinning = scope.spawn(|| server.get("/spin").expect(500).text());
        for id in ["a", "b", "c"] {
            server.workflow("ONE_STEP").create(id, ()).wait_for("complete");
        }
        assert!(spinning.join().unwrap().contains("Worker exceeded CPU time limit."));
    });
    server.workflow("ONE_STEP").create("d", ()).wait_for("complete");
}

#[test]
fn a_workflow_that_never_ends_is_ended_too() {
    let server = impatient().start();
    let spinning = server.workflow("SPIN_OUTSIDE_STEP").create("a", ());
    server.workflow("ONE_STEP").create("b", ()).wait_for("complete");
    let error = eventually("the limit ends it", || {
        let status = spinning.status();
        (status["status"] == "errored").then(|| status["error"].clone())
    });
    assert!(error["message"].as_str().unwrap().contains("Worker exceeded CPU time limit."), "{error}");
}

#[test]
fn a_guest_sees_what_is_bound_and_nothing_of_the_machine() {
    let server = Dev::guest("behaviours").env("SECRET_OF_THE_MACHINE", "42").start();
    assert!(server.get("/env?name=GREETING").expect(200).text().contains("hello"));
    let answer = server.get("/env?name=SECRET_OF_THE_MACHINE").text();
    assert!(!answer.contains("42"), "{answer}");
}
