//! Steps that are undone, through real wasm: the handlers are closures of the guest.

use std::sync::atomic::{AtomicU32, Ordering};

use miniflow_tests::{Dev, Reply, Server, Sink};
use serde_json::{Value, json};

/// Longer than a waiting run is kept in memory, so that what comes after is a replay.
const HIBERNATES_MS: u64 = 2500;

fn behaviours() -> Server {
    Dev::guest("behaviours").start()
}

/// What the handlers told, in the order in which they began: `undo-STEP`, the step's count and its output.
fn undone(sink: &Sink) -> Vec<(String, String, String)> {
    let seen = sink.seen();
    let undone = seen.iter().filter(|seen| seen.param("kind").starts_with("undo-"));
    undone
        .map(|seen| (seen.param("kind")[5..].to_owned(), seen.param("k").to_owned(), seen.param("output").to_owned()))
        .collect()
}

fn steps(sink: &Sink) -> Vec<String> {
    undone(sink).into_iter().map(|(step, ..)| step).collect()
}

fn made(step: &str, count: u32) -> String {
    format!(r#"{{"step":"{step}","count":{count},"attempt":1}}"#)
}

fn complete() -> Value {
    json!({ "outcome": "complete", "error": null })
}

// rules: S25, C2.6-1, C2.6-4, C2.6-5, C2.6-6, A90, A91, A93, A94, A95
#[test]
fn what_was_done_is_undone_in_the_reverse_order_of_its_starts() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "ms": 300, "name": "OutOfStock" });
    let status = server.workflow("ROLLBACK_ORDER").create("a", params).wait_for("errored");
    let error = json!({ "name": "OutOfStock", "message": "d fails" });
    assert_eq!(status, json!({ "status": "errored", "error": error, "rollback": complete() }));
    // `b` ended after `c`, but began before it; `plain` has no handler; `d` failed.
    let none = "none".to_owned();
    let expected = [("d", none), ("c", made("c", 1)), ("b", made("b", 1)), ("a", made("a", 1))];
    let expected: Vec<_> =
        expected.into_iter().map(|(step, output)| (step.to_owned(), "1".to_owned(), output)).collect();
    assert_eq!(undone(&sink), expected);
    assert_eq!(sink.count(&[("error", "OutOfStock: d fails")]) + sink.count(&[("error", "d fails")]), 4);
}

// rules: C2.6-2, A104
#[test]
fn what_is_handled_is_not_undone() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "caught": true });
    let status = server.workflow("ROLLBACK_ORDER").create("a", params).wait_for("complete");
    assert_eq!(status["rollback"], json!(null));
    assert_eq!(undone(&sink), []);
}

// rules: C2.6-8, A96
#[test]
fn the_first_handler_that_fails_for_good_stops_the_rest() {
    let (server, sink) = (behaviours(), Sink::start());
    let undo = json!({ "limit": 2, "delay": 10, "fails": { "c": 2, "b": 9 } });
    let params = json!({ "sink": sink.url(), "undo": undo });
    let status = server.workflow("ROLLBACK_ORDER").create("a", params).wait_for("errored");
    let error = json!({ "name": "Error", "message": "try 3 to undo b fails" });
    assert_eq!(status["rollback"], json!({ "outcome": "failed", "error": error }));
    assert_eq!(status["error"]["message"], "d fails");
    assert_eq!(steps(&sink), ["d", "c", "c", "c", "b", "b", "b"], "with two retries each, and `a` never");
}

// rules: C2.6-7
#[test]
fn a_handler_can_give_up_at_once_and_one_that_panics_is_tried_again() {
    let (server, sink) = (behaviours(), Sink::start());
    let workflow = server.workflow("ROLLBACK_ORDER");
    let undo = json!({ "limit": 5, "delay": 10, "fatal": "c" });
    let status = workflow.create("fatal", json!({ "sink": sink.url(), "undo": undo })).wait_for("errored");
    assert_eq!(status["rollback"]["error"]["message"], "c cannot be undone");
    assert_eq!(sink.count(&[("kind", "undo-c"), ("id", "fatal")]), 1);

    let undo = json!({ "limit": 1, "delay": 10, "panics": "c" });
    let status = workflow.create("panics", json!({ "sink": sink.url(), "undo": undo })).wait_for("errored");
    let message = status["rollback"]["error"]["message"].as_str().unwrap();
    assert!(message.contains("asked to panic in a handler"), "{message}");
    assert_eq!(sink.count(&[("kind", "undo-c"), ("id", "panics")]), 2);
    assert_eq!(sink.count(&[("kind", "undo-d"), ("id", "panics")]), 1, "what was undone is not undone again");
}

// rules: C2.6-11
#[test]
fn handlers_come_back_by_a_replay_when_the_run_was_put_away() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "ms": HIBERNATES_MS, "name": "TooLate" });
    let status = server.workflow("ROLLBACK_SLEEPS").create("a", params).wait_for("errored");
    assert_eq!(status["rollback"], complete());
    let expected = [("c", made("c", 1)), ("b", made("b", 1)), ("a", made("a", 1))];
    let expected: Vec<_> =
        expected.into_iter().map(|(step, output)| (step.to_owned(), "1".to_owned(), output)).collect();
    assert_eq!(undone(&sink), expected);
}

// rules: C2.2-12, C2.6-3, A97, A98, A101, A103
#[test]
fn a_termination_with_rollback_undoes_from_wherever_it_was() {
    let (server, sink) = (behaviours(), Sink::start());
    for state in ["waiting", "paused"] {
        let instance = server.workflow("ROLLBACK_HOLD").create(state, json!({ "sink": sink.url() }));
        instance.wait_for("waiting");
        if state == "paused" {
            instance.pause();
        }
        instance.terminate(true);
        let status = instance.wait_for("terminated");
        assert_eq!(status, json!({ "status": "terminated", "rollback": complete() }));
        let told: Vec<_> = sink.seen().into_iter().filter(|seen| seen.param("id") == state).collect();
        let undone: Vec<_> =
            told.iter().map(|seen| seen.param("kind")).filter(|kind| kind.starts_with("undo")).collect();
        assert_eq!(undone, ["undo-fails", "undo-b", "undo-a"], "{state}");
    }
    let seen = sink.seen();
    let errors: std::collections::BTreeSet<_> = seen.iter().map(|seen| seen.param("error")).collect();
    assert!(
        errors.contains("Instance terminated during rollback")
            || errors.contains("Terminated: Instance terminated during rollback"),
        "{errors:?}"
    );
}

// rules: S25, C2.2-3
#[test]
fn the_binding_says_running_while_steps_are_undone() {
    let (server, sink) = (behaviours(), Sink::start());
    let undo = json!({ "ms": 1000 });
    let instance = server.workflow("ROLLBACK_HOLD").create("a", json!({ "sink": sink.url(), "undo": undo }));
    instance.wait_for("waiting");
    instance.terminate(true);
    sink.wait_for(1, &[("kind", "undo-b")]);
    assert_eq!(instance.status(), json!({ "status": "running", "rollback": null }));
    instance.wait_for("terminated");
}

#[test]
fn steps_of_one_name_are_undone_each_with_its_own_output() {
    let (server, sink) = (behaviours(), Sink::start());
    server.workflow("ROLLBACK_SAME_NAME").create("a", json!({ "sink": sink.url() })).wait_for("errored");
    let expected: Vec<_> = [4, 2, 1].map(|k: u32| ("same".to_owned(), k.to_string(), made("same", k))).into();
    assert_eq!(undone(&sink), expected);
}

// rules: A100
#[test]
fn a_handler_that_the_code_does_not_have_any_more_fails_the_rollback() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "ms": HIBERNATES_MS });
    let status = server.workflow("ROLLBACK_LOST").create("a", params).wait_for("errored");
    let error = json!({ "name": "RollbackMissing", "message": "Rollback function not available in registry" });
    assert_eq!(status["rollback"], json!({ "outcome": "failed", "error": error }));
    assert_eq!(steps(&sink), ["c"]);
}

// rules: C2.6-9
#[test]
fn a_handler_cannot_ask_for_steps() {
    let (server, sink) = (behaviours(), Sink::start());
    let status = server.workflow("ROLLBACK_ASKS_STEP").create("a", json!({ "sink": sink.url() })).wait_for("errored");
    assert_eq!(status["rollback"]["error"]["message"], "Cannot execute steps during rollback phase");
    assert_eq!(sink.count(&[("kind", "answer")]), 1);
}

// rules: C2.6-10
#[test]
fn a_kill_in_the_middle_of_a_rollback_undoes_nothing_twice_and_leaves_nothing_out() {
    let dev = Dev::guest("behaviours");
    let hold = std::sync::Arc::new(AtomicU32::new(1));
    let sink = Sink::answering({
        let hold = std::sync::Arc::clone(&hold);
        // The handler of `b` does not come to its end in the first process.
        move |seen| match seen.param("kind") {
            "undo-b" if hold.load(Ordering::SeqCst) == 1 => Reply::Never,
            _ => Reply::ok(),
        }
    });
    let server = dev.start();
    let params = json!({ "sink": sink.url(), "ms": 1, "name": "TooLate", "undo": { "limit": 3, "delay": 10 } });
    server.workflow("ROLLBACK_SLEEPS").create("a", params).wait_for("running");
    sink.wait_for(1, &[("kind", "undo-b")]);
    server.kill();
    hold.store(0, Ordering::SeqCst);

    let server = dev.start();
    let status = server.workflow("ROLLBACK_SLEEPS").instance("a").wait_for("errored");
    assert_eq!(status["rollback"], complete());
    assert_eq!(steps(&sink), ["c", "b", "b", "a"], "`c` was recorded, `b` was cut off");
    for step in ["a", "b", "c"] {
        assert_eq!(sink.count(&[("kind", step)]), 1, "{step} itself does not run again");
    }
}

// rules: A92, A102, C2.8-9
#[test]
fn a_rollback_is_told_step_by_step_with_the_options_of_the_handlers() {
    let (server, sink) = (behaviours(), Sink::start());
    let undo = json!({ "limit": 2, "delay": 10, "dynamic": true, "fails": { "c": 1 } });
    let instance = server.workflow("ROLLBACK_SLEEPS").create("a", json!({ "sink": sink.url(), "ms": 1, "undo": undo }));
    instance.wait_for("errored");
    let events = instance.subscribe(None, &[]);
    let from = events.iter().position(|event| event["type"] == "rollback_started").unwrap();
    let told: Vec<_> =
        events[from..].iter().map(|e| (e["type"].as_str().unwrap(), e["stepName"].as_str().unwrap_or(""))).collect();
    let undone = |step| {
        [
            ("rollback_step_started", step),
            ("rollback_attempt_started", step),
            ("rollback_attempt_completed", step),
            ("rollback_step_completed", step),
        ]
    };
    let mut expected = vec![("rollback_started", "")];
    expected.extend([
        ("rollback_step_started", "c-1"),
        ("rollback_attempt_started", "c-1"),
        ("rollback_attempt_errored", "c-1"),
        ("rollback_attempt_started", "c-1"),
        ("rollback_attempt_completed", "c-1"),
        ("rollback_step_completed", "c-1"),
    ]);
    expected.extend(undone("b-1"));
    expected.extend(undone("a-1"));
    expected.extend([("rollback_completed", ""), ("workflow_errored", "")]);
    assert_eq!(told, expected);
    let config = &events[from + 1]["config"]["retries"];
    assert_eq!((&config["limit"], &config["delay"]), (&json!(2), &json!("[dynamic]")));
}
