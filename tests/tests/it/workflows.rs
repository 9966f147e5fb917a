//! What a workflow does, seen from outside: real Workers, real time.

use miniflow_tests::{Dev, Server, Sink};
use serde_json::json;

/// Longer than a waiting run is kept in memory, so that what comes after is a replay.
const HIBERNATES_MS: u64 = 2500;

fn behaviours() -> Server {
    Dev::guest("behaviours").start()
}

#[test]
fn steps_side_by_side_take_as_long_as_the_longest() {
    let server = behaviours();
    let output = server.workflow("PARALLEL").create("a", json!({ "n": 5, "ms": 300 })).output();
    assert_eq!(output["out"], json!([0, 1, 2, 3, 4]));
    assert!((300..1200).contains(&output["took"].as_u64().unwrap()), "{output}");
}

#[test]
fn a_race_has_the_same_winner_in_every_run() {
    let (server, sink) = (behaviours(), Sink::start());
    let output = server.workflow("RACE_WINNER").create("a", json!({ "sink": sink.url(), "keep": true })).output();
    assert_eq!(output, json!({ "winner": "fast", "remembered": "fast" }));
}

#[test]
fn steps_of_one_name_are_told_apart_by_their_number() {
    let server = behaviours();
    assert_eq!(server.workflow("SAME_NAMES").create("a", ()).output(), json!({ "counts": [1, 2, 3, 4, 5] }));
}

#[test]
fn a_dropped_step_is_not_waited_for_and_its_name_can_be_used_again() {
    let (server, sink) = (behaviours(), Sink::start());
    let output = server.workflow("DROPS_STEP").create("a", json!({ "sink": sink.url() })).output();
    assert_eq!(output["again"], 2, "{output}");
    assert_eq!(sink.count(&[("kind", "last")]), 1);
}

#[test]
fn a_step_in_a_step_is_a_step_of_its_own() {
    let (server, sink) = (behaviours(), Sink::start());
    let output = server.workflow("NESTED_STEP").create("a", json!({ "sink": sink.url() })).output();
    assert_eq!(output, json!({ "inner": 1 }));
    assert_eq!((sink.count(&[("kind", "outer")]), sink.count(&[("kind", "inner")])), (1, 1));
}

#[test]
fn a_step_without_options_has_the_documented_ones() {
    let server = behaviours();
    let output = server.workflow("STEP_DEFAULTS").create("a", ()).output();
    assert_eq!(output, json!({ "timeout": 600_000, "limit": 5, "delay": 10_000, "backoff": "exponential" }));
}

#[test]
fn a_step_is_tried_again_as_often_as_its_limit_says() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "limit": 2, "delay": 10, "fail": 2 });
    server.workflow("FLAKY").create("good", params).wait_for("complete");
    let params = json!({ "sink": sink.url(), "limit": 2, "delay": 10, "fail": 3 });
    server.workflow("FLAKY").create("bad", params).wait_for("errored");
    assert_eq!((sink.count(&[("id", "good")]), sink.count(&[("id", "bad")])), (3, 3));
}

#[test]
fn a_step_that_takes_too_long_is_dropped_and_named_so() {
    let server = behaviours();
    let params = json!({ "ms": 60_000, "timeout": "1 second", "limit": 0 });
    let error = server.workflow("STEP_TIMEOUT").create("a", params).error();
    assert_eq!(error, json!({ "name": "WorkflowTimeoutError", "message": "Execution timed out after 1000ms" }));
}

#[test]
fn an_event_of_before_the_wait_is_received_and_one_of_another_type_is_not() {
    let server = behaviours();
    let waiting = server.workflow("EVENT_WAITER").create("a", json!({ "type": "go" }));
    waiting.send_event("other", json!(1));
    waiting.send_event("go", json!({ "x": 2 }));
    let output = waiting.output();
    assert!(output.to_string().contains(r#"{"x":2}"#), "{output}");
    let refused = waiting.try_send_event("go", json!(3)).json();
    assert_eq!(refused["error"], "(instance.cannot_send_event) Instance is complete");
}

#[test]
fn a_handle_that_a_step_returned_is_a_handle_after_a_replay() {
    let server = behaviours();
    let output = server.workflow("CHILD_STARTER").create("a", json!({ "ms": HIBERNATES_MS })).output();
    assert_eq!(output["child"], "child-a");
    assert_eq!(output["status"]["status"], "complete", "{output}");
}

#[test]
fn a_line_is_printed_once_though_the_code_runs_twice() {
    let server = behaviours();
    server.workflow("LOGS_INSIDE_AND_OUTSIDE").create("a", json!({ "ms": HIBERNATES_MS })).wait_for("complete");
    server.wait_for_line("outside, after");
    for (text, times) in [("outside, before", 1), ("outside, between", 1), ("outside, after", 1), ("inside", 2)] {
        let mut lines = server.lines_with("logs-inside-and-outside/a");
        lines.retain(|line| line.ends_with(&format!(" {text}")));
        assert_eq!(lines.len(), times, "{text}: {lines:?}");
    }
    server.wait_for_line("logs-inside-and-outside/a first-1 attempt 1 inside");
}

#[test]
fn a_panic_in_a_step_is_a_failed_attempt_and_says_where() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "fail": 1, "limit": 1 });
    let output = server.workflow("PANIC_IN_STEP").create("a", params).output();
    assert_eq!(output, json!({ "attempt": 2 }));
    assert_eq!(sink.count(&[("kind", "before")]), 1, "what was recorded did not run again");
    let error = server.workflow("PANIC_IN_STEP").create("b", json!({ "limit": 0 })).error();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("asked to panic in a step") && message.contains("src/workflows/traps.rs:"), "{message}");
}

#[test]
fn a_panic_between_steps_ends_the_instance_and_nothing_else() {
    let server = behaviours();
    let other = server.workflow("SLEEPER").create("other", json!({ "ms": 300 }));
    let error = server.workflow("PANIC_OUTSIDE_STEP").create("a", ()).error();
    assert!(error["message"].as_str().unwrap().contains("asked to panic outside of a step"), "{error}");
    other.wait_for("complete");
}

#[test]
fn a_guest_that_eats_all_memory_is_told_which_limit_it_met() {
    let server = behaviours();
    let error = server.workflow("OOM_IN_STEP").create("a", json!({ "limit": 0 })).error();
    let message = error["message"].as_str().unwrap().to_lowercase();
    assert!(message.contains("memory") && message.contains("128"), "{message}");
    server.workflow("ONE_STEP").create("b", ()).wait_for("complete");
}

#[test]
fn an_output_over_one_mebibyte_is_refused_by_name_and_numbers() {
    let server = behaviours();
    let error = server.workflow("BIG_OUTPUT").create("a", json!({ "bytes": 2 << 20, "limit": 0 })).error();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("Step big-1 output is too large. Maximum allowed size is 1MiB"), "{message}");
    assert!(message.contains("2097154"), "{message}");
    server.workflow("ONE_STEP").create("b", ()).wait_for("complete");
}

#[test]
fn params_that_do_not_fit_the_input_end_the_instance_with_a_reason() {
    let server = behaviours();
    let error = server.workflow("BAD_PAYLOAD").create("a", json!({ "nothing": "fits" })).error();
    assert!(error["message"].as_str().unwrap().contains("BadPayload"), "{error}");
}

#[test]
fn twenty_five_thousand_steps_complete_in_flat_memory() {
    let dev = Dev::guest("behaviours").config(json!({
        "name": "behaviours",
        "workflows": [{
            "name": "many-steps", "binding": "MANY_STEPS", "class_name": "ManySteps", "limits": { "steps": 25_000 },
        }],
    }));
    let server = dev.start();
    server.workflow("MANY_STEPS").create("some", json!({ "n": 2000 })).wait_for("complete");
    let before = server.memory_bytes();
    let output = server.workflow("MANY_STEPS").create("all", json!({ "n": 25_000 })).output();
    assert_eq!(output, json!({ "steps": 25_000 }));
    let grown = server.memory_bytes().saturating_sub(before);
    assert!(grown < 40_000_000, "it grew by {grown} bytes");
    let error = server.workflow("MANY_STEPS").create("more", json!({ "n": 25_001 })).error();
    assert!(error["message"].as_str().unwrap().contains("The limit of 25000 steps has been reached"), "{error}");
}
