//! What steps return, and when they are tried again: streams, outputs that are not to be shown, delays of their own, children.

use miniflow_tests::{Dev, Server, Sink};
use serde_json::{Value, json};

fn behaviours() -> Server {
    Dev::guest("behaviours").start()
}

/// Longer than a waiting run is kept in memory, so that what comes after is a replay.
const HIBERNATES: &str = "3 seconds";

// rules: C2.5-5, A40, A41
#[test]
fn a_stream_of_any_size_comes_back_as_it_was_written() {
    let (server, sink) = (behaviours(), Sink::start());
    for (id, bytes, chunk) in [("empty", 0, 4096), ("small", 14_000, 1000), ("large", 3_000_001, 100_000)] {
        let params = json!({ "sink": sink.url(), "bytes": bytes, "chunk": chunk });
        let output = server.workflow("STREAM_OUTPUT").create(id, params).output();
        assert_eq!((&output["length"], &output["intact"]), (&json!(bytes), &json!(true)), "{id}: {output}");
        assert_eq!(sink.count(&[("id", id)]), 1);
    }
    assert_eq!(server.workflow("STREAM_TEXT").create("a", json!({})).output(), "one two three");
}

#[test]
fn a_stream_is_there_after_a_kill_and_gone_with_a_restart() {
    let (dev, sink) = (Dev::guest("behaviours"), Sink::start());
    let server = dev.start();
    let params = json!({ "sink": sink.url(), "bytes": 600_000, "chunk": 50_000, "duration": HIBERNATES });
    server.workflow("STREAM_OUTPUT").create("a", params).wait_for("waiting");
    server.kill();

    let server = dev.start();
    let instance = server.workflow("STREAM_OUTPUT").instance("a");
    let output = instance.output();
    assert_eq!((&output["length"], &output["intact"]), (&json!(600_000), &json!(true)));
    assert_eq!(sink.count(&[("kind", "stream")]), 1);
    instance.restart();
    assert_eq!(instance.output(), output);
    assert_eq!(sink.count(&[("kind", "stream")]), 2);
}

// rules: C3-24, A44, A53
#[test]
fn a_stream_that_breaks_off_is_written_anew_and_one_that_cannot_end_is_an_error() {
    let (server, sink) = (behaviours(), Sink::start());
    let workflow = server.workflow("STREAM_OUTPUT");
    let params = json!({ "sink": sink.url(), "bytes": 600_000, "chunk": 50_000, "fail": 2, "limit": 2, "delay": 5 });
    let output = workflow.create("breaks", params).output();
    assert_eq!((&output["length"], &output["intact"]), (&json!(600_000), &json!(true)));
    assert_eq!(sink.count(&[("id", "breaks")]), 3);

    let params = json!({ "sink": sink.url(), "keep": true, "chunk": 1000, "ms": 5, "timeout": "1 second" });
    let error = workflow.create("endless", params).error();
    assert_eq!(error, json!({ "name": "WorkflowTimeoutError", "message": "Execution timed out after 1000ms" }));

    let params = json!({ "bytes": (16 << 20) + 1, "chunk": (16 << 20) + 1 });
    let error = workflow.create("oversized", params).error();
    assert_eq!(error["name"], "OversizedStreamChunkError");
    let output = workflow.create("just", json!({ "bytes": 16 << 20, "chunk": 16 << 20 })).output();
    assert_eq!(output["length"], 16 << 20);
}

// rules: C2.5-33, C2.8-11, A60
#[test]
fn a_sensitive_output_is_used_and_not_shown() {
    let server = behaviours();
    let instance = server.workflow("SENSITIVE_OUTPUT").create("a", json!({}));
    instance.wait_for("complete");
    let events = instance.subscribe(None, &["step_completed"]);
    let outputs: Vec<&Value> = events.iter().map(|event| &event["output"]).collect();
    assert!(outputs.contains(&&json!("[REDACTED]")), "{events:?}");
    assert_eq!(instance.status()["output"], json!({ "length": 11 }), "the code got the value");
}

// rules: A63
#[test]
fn a_sensitive_stream_is_not_shown_either() {
    let server = behaviours();
    let instance = server.workflow("SENSITIVE_STREAM").create("a", json!({}));
    assert_eq!(instance.output(), json!({ "length": 11 }));
    assert_eq!(instance.subscribe(None, &["step_completed"])[0]["output"], "[REDACTED]");
}

// rules: B8
#[test]
fn an_output_without_a_form_in_json_fails_the_step_and_is_not_recorded() {
    let (server, sink) = (behaviours(), Sink::start());
    let instance = server.workflow("UNWRITABLE_OUTPUT").create("a", json!({ "sink": sink.url(), "limit": 3 }));
    let message = instance.error()["message"].take();
    assert!(message.as_str().unwrap().starts_with("the step's output cannot be written as JSON"), "{message}");
    assert_eq!(sink.count(&[("kind", "unwritable")]), 1, "another attempt would not change its type");
    assert_eq!(instance.subscribe(None, &["step_completed"]), [] as [Value; 0]);
}

// rules: A65, A141
#[test]
fn errors_without_a_text_are_errors_like_any_other() {
    let (server, sink) = (behaviours(), Sink::start());
    let workflow = server.workflow("SILENT_FAILURE");
    let params = json!({ "sink": sink.url(), "limit": 3, "delay": 5, "fail": 3 });
    assert_eq!(workflow.create("retried", params).output(), json!({ "attempt": 4 }));
    let params = json!({ "sink": sink.url(), "limit": 3, "delay": 5, "keep": true });
    let instance = workflow.create("for-good", params);
    let error = json!({ "name": "NonRetryableError", "message": "" });
    assert_eq!(instance.error(), error);
    assert_eq!((sink.count(&[("id", "retried")]), sink.count(&[("id", "for-good")])), (4, 1));
    let attempt = instance.subscribe(None, &["attempt_errored"])[0]["error"].clone();
    assert_eq!((&attempt["name"], &attempt["message"]), (&error["name"], &error["message"]));
}

// rules: C2.5-27, C2.5-29, C2.5-30, A69
#[test]
fn a_function_gives_the_delay_of_each_retry() {
    let (server, sink) = (behaviours(), Sink::start());
    let params =
        json!({ "sink": sink.url(), "fail": 2, "limit": 3, "delay": 40, "backoff": "constant", "type": "Busy" });
    let instance = server.workflow("DYNAMIC_DELAY").create("a", params);
    assert_eq!(instance.output(), json!({ "attempt": 3, "delay": null }));
    let asked: Vec<_> = sink.seen().into_iter().filter(|seen| seen.param("kind") == "delay").collect();
    let said: Vec<_> = asked.iter().map(|seen| (seen.param("k"), seen.param("error"))).collect();
    assert_eq!(said, [("1", "Busy: attempt 1 fails"), ("2", "Busy: attempt 2 fails")]);
    let delays: Vec<_> =
        instance.subscribe(None, &["attempt_errored"]).iter().map(|e| e["retryDelayMs"].clone()).collect();
    assert_eq!(delays, [json!(40), json!(80)]);
    let started = instance.subscribe(None, &["step_started"]);
    assert_eq!(started[0]["config"]["retries"]["delay"], "[dynamic]");
}

// rules: C2.5-31, C2.5-32, A68, A106
#[test]
fn a_function_that_gives_no_delay_fails_the_step() {
    let (server, sink) = (behaviours(), Sink::start());
    let invalid = "returned an invalid delay value (expected a number of ms or a duration string like \"30 seconds\")";
    for (name, why) in [
        ("fails", "threw an error: no idea how long"),
        ("slow", "did not return within 5 seconds"),
        ("invalid", invalid),
    ] {
        let params = json!({ "sink": sink.url(), "limit": 3, "name": name });
        let error = server.workflow("DYNAMIC_DELAY").create(name, params).error();
        let message = format!("The delay function for step \"flaky-1\" {why}");
        assert_eq!(error, json!({ "name": "NonRetryableDelayError", "message": message }));
        assert_eq!(sink.count(&[("kind", "flaky"), ("id", name)]), 1, "{name}");
    }
}

// rules: C2.5-32
#[test]
fn a_function_for_a_delay_has_five_seconds() {
    let (server, sink) = (Dev::guest("behaviours").args(["--time", "manual"]).start(), Sink::start());
    let advance = |ms: u64| server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": ms })).expect(200);
    let begin = |id: &str, takes: u32| {
        let params = json!({ "sink": sink.url(), "fail": 1, "limit": 1, "delay": 40, "name": "slow", "bytes": takes });
        let instance = server.workflow("DYNAMIC_DELAY").create(id, params);
        sink.wait_for(1, &[("kind", "delay"), ("id", id)]);
        instance
    };
    let quick = begin("quick", 4999);
    let _ = advance(4999);
    let _ = advance(40);
    assert_eq!(quick.status()["output"]["attempt"], 2);
    let slow = begin("slow", 5001);
    let _ = advance(4999);
    assert_eq!(slow.status()["status"], "running");
    let _ = advance(1);
    let message = "The delay function for step \"flaky-1\" did not return within 5 seconds";
    assert_eq!(slow.error(), json!({ "name": "NonRetryableDelayError", "message": message }));
}

// rules: S34
#[test]
fn a_child_that_cannot_be_created_is_a_failure_of_its_step_and_tried_again() {
    let (server, sink) = (behaviours(), Sink::start());
    // The child exists after the first attempt: `create` fails, unless the step takes the one that is there.
    let params = json!({ "sink": sink.url(), "fail": 1, "limit": 2, "delay": 5, "keep": true });
    let output = server.workflow("CHILD_RETRY").create("safe", params).output();
    assert_eq!(output, json!({ "child": "child-safe" }));
    assert_eq!(sink.count(&[("kind", "start"), ("id", "safe")]), 2);

    let params = json!({ "sink": sink.url(), "fail": 1, "limit": 2, "delay": 5 });
    let error = server.workflow("CHILD_RETRY").create("unsafe", params).error();
    assert_eq!(error["message"], "(instance.already_exists) Instance already exists");
    assert_eq!(sink.count(&[("kind", "start"), ("id", "unsafe")]), 3, "as often as its own policy says");
    server.workflow("ONE_STEP").instance("child-unsafe").wait_for("complete");
}

// rules: S32, S35
#[test]
fn a_child_lives_on_when_its_parent_is_gone() {
    let server = behaviours();
    let parent = server.workflow("FAN_OUT").create("a", json!({ "n": 1 }));
    assert_eq!(parent.output(), json!({ "started": 1 }), "the parent does not wait for its child");
    parent.delete();
    let child = server.workflow("EVENT_WAITER").instance("a-0");
    child.wait_for("waiting");
    child.send_event("go", json!("alone"));
    assert_eq!(child.output()["payload"], "alone");
}

// rules: B28
#[test]
fn an_error_says_where_in_the_code_it_came_from() {
    let server = behaviours();
    for (workflow, params) in [("PANIC_IN_STEP", json!({})), ("FLAKY", json!({ "fail": 1 }))] {
        let instance = server.workflow(workflow).create("a", params);
        let _ = instance.wait_for("errored");
        let events = instance.subscribe(None, &["attempt_errored"]);
        let stack = events[0]["error"]["stack"].as_str().unwrap_or_default();
        assert!(stack.contains("behaviours/src/workflows/") && stack.contains(".rs:"), "{workflow}: {events:?}");
    }
}
