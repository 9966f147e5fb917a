//! What `run` reads between its steps that is another thing each time.

use miniflow_tests::Dev;
use serde_json::json;

#[test]
fn the_line_that_reads_the_clock_outside_of_a_step_is_told_once() {
    let server = Dev::guest("verify").start();
    for id in ["a", "b"] {
        server.workflow("READS_AROUND").create(id, json!({})).wait_for("complete");
    }
    let clock = "`run` reads the clock outside of a step, at ";
    let line = server.wait_for_line(clock);
    assert!(line.contains("moods.rs:") && line.contains(": a replay reads another time; do it in a step"), "{line}");
    server.wait_for_line("`run` reads the environment of the process outside of a step, at ");
    // A third that is told stands behind both of what the others were told for.
    server.workflow("SHUFFLED").create("c", json!({})).wait_for("waiting");
    server.wait_for_line("`run` draws a random number outside of a step, at ");
    assert_eq!(server.lines_with(clock).len(), 1, "{}", server.log());
}

#[test]
fn a_correct_workflow_is_told_of_nothing() {
    let server = Dev::guest("verify").args(["--time", "skip"]).start();
    server.workflow("CHILD").create("a", json!({})).wait_for("complete");
    server.workflow("MANY_STEPS").create("a", json!({ "n": 50 })).wait_for("complete");
    server.workflow("FORGETS").create("a", json!({})).wait_for("complete");
    server.workflow("STREAMS").create("a", json!({})).wait_for("complete");
    assert_eq!(server.lines_with("outside of a step"), Vec::<String>::new());
}

#[test]
fn it_can_be_an_error_of_the_run() {
    let server = Dev::guest("verify").args(["--strict-determinism"]).start();
    let instance = server.workflow("SHUFFLED").create("a", json!({}));
    instance.wait_for("errored");
    let error = instance.error();
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("`run` draws a random number outside of a step, at "), "{error}");
    server.workflow("MANY_STEPS").create("b", json!({})).wait_for("complete");
}
