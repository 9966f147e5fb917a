//! What a workflow does, seen from outside: real Workers, real time.

use miniflow_tests::{Dev, Reply, Server, Sink, bound};
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

// rules: C4.1-3
#[test]
fn a_race_is_replayed_as_it_was_won() {
    let (server, sink) = (behaviours(), Sink::start());
    let output = server.workflow("RACE_WINNER").create("a", json!({ "sink": sink.url(), "keep": true })).output();
    assert_eq!(output, json!({ "winner": "fast", "remembered": "fast" }));
    assert_eq!((sink.count(&[("kind", "fast")]), sink.count(&[("kind", "slow")])), (1, 1));
}

// rules: C4.1-4
#[test]
fn the_loser_of_a_race_that_is_dropped_is_not_waited_for() {
    let sink = Sink::answering(|seen| if seen.param("kind") == "slow" { Reply::Never } else { Reply::ok() });
    let server = behaviours();
    let output = server.workflow("RACE_WINNER").create("a", json!({ "sink": sink.url() })).output();
    assert_eq!(output, json!({ "winner": "fast", "remembered": "fast" }));
}

// rules: C4.1-5
#[test]
fn a_step_that_is_never_polled_never_begins() {
    let (server, sink) = (behaviours(), Sink::start());
    let output = server.workflow("UNAWAITED_STEP").create("a", json!({ "sink": sink.url() })).output();
    assert_eq!(output, json!({ "other": 1 }));
    assert_eq!((sink.count(&[("kind", "other")]), sink.count(&[("kind", "never")])), (1, 0));
}

// rules: C4.1-1
#[test]
fn branches_sleep_side_by_side_and_no_step_of_them_runs_twice() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "ms": HIBERNATES_MS });
    let output = server.workflow("PARALLEL_SLEEPS").create("a", params).output();
    assert_eq!(output, json!({ "a": 1, "b": 1 }));
    for step in ["a-before", "b-before", "a-after", "b-after"] {
        assert_eq!(sink.count(&[("kind", step)]), 1, "{step}");
    }
}

// rules: C2.5-4, A36
#[test]
fn steps_of_one_name_are_told_apart_by_their_number() {
    let server = behaviours();
    assert_eq!(server.workflow("SAME_NAMES").create("a", ()).output(), json!({ "counts": [1, 2, 3, 4, 5] }));
}

// rules: C4.1-4
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

// rules: C2.5-19, A37
#[test]
fn a_step_without_options_has_the_documented_ones() {
    let server = behaviours();
    let output = server.workflow("STEP_DEFAULTS").create("a", ()).output();
    assert_eq!(output, json!({ "timeout": 600_000, "limit": 5, "delay": 10_000, "backoff": "exponential" }));
}

// rules: C2.5-21, A32
#[test]
fn a_step_is_tried_again_as_often_as_its_limit_says() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "limit": 2, "delay": 10, "fail": 2 });
    server.workflow("FLAKY").create("good", params).wait_for("complete");
    let params = json!({ "sink": sink.url(), "limit": 2, "delay": 10, "fail": 3 });
    server.workflow("FLAKY").create("bad", params).wait_for("errored");
    assert_eq!((sink.count(&[("id", "good")]), sink.count(&[("id", "bad")])), (3, 3));
}

// rules: C2.5-23
#[test]
fn a_step_that_takes_too_long_is_dropped_and_named_so() {
    let server = behaviours();
    let params = json!({ "ms": 60_000, "timeout": "1 second", "limit": 0 });
    let error = server.workflow("STEP_TIMEOUT").create("a", params).error();
    assert_eq!(error, json!({ "name": "WorkflowTimeoutError", "message": "Execution timed out after 1000ms" }));
}

// rules: C2.2-15, C2.2-16, C4.3-1, C4.5-3, A142
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

// rules: C2.5-14, C4.2-3
#[test]
fn a_wait_in_vain_is_an_error_that_can_be_handled() {
    let server = behaviours();
    let params = json!({ "timeout": "1 second", "caught": true });
    let caught = server.workflow("EVENT_WAITER").create("caught", params).output();
    let error = json!({ "name": "WorkflowTimeoutError", "message": "Execution timed out after 1000ms" });
    assert_eq!(caught, error);
    let ended = server.workflow("EVENT_WAITER").create("uncaught", json!({ "timeout": "1 second" })).error();
    assert_eq!(ended, error);
}

// rules: C2.5-34, C2.5-35, A64
#[test]
fn an_error_that_is_not_to_be_retried_is_not_and_keeps_its_name() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "limit": 5, "name": "PaymentRefused" });
    let error = server.workflow("NON_RETRYABLE").create("named", params).error();
    assert_eq!(error, json!({ "name": "PaymentRefused", "message": "beyond repair" }));
    assert_eq!(sink.count(&[("id", "named")]), 1);
    let error = server.workflow("NON_RETRYABLE").create("plain", json!({ "limit": 5 })).error();
    assert_eq!(error, json!({ "name": "NonRetryableError", "message": "beyond repair" }));
}

// rules: C4.1-1, C4.2-3, A66
#[test]
fn a_failure_that_was_handled_is_the_same_failure_after_a_replay() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "ms": HIBERNATES_MS });
    let output = server.workflow("CAUGHT_FAILURE").create("a", params).output();
    assert_eq!(output, json!({ "name": "PaymentError", "message": "declined" }));
    assert_eq!((sink.count(&[("kind", "fails")]), sink.count(&[("kind", "clean up")])), (1, 1));
}

// rules: S23, C2.10-3, C4.2-1
#[test]
fn an_error_of_the_run_itself_ends_it() {
    let server = behaviours();
    let error = server.workflow("FAILS_OUTSIDE_STEP").create("a", ()).error();
    assert_eq!(error, json!({ "name": "Error", "message": "the run fails" }));
    let error = server.workflow("FAILS_OUTSIDE_STEP").create("b", json!({ "name": "Mine" })).error();
    assert_eq!(error, json!({ "name": "Mine", "message": "the run fails" }));
}

// rules: C2.5-23
#[test]
fn a_step_that_took_too_long_is_tried_again() {
    let server = behaviours();
    let params = json!({ "ms": 60_000, "timeout": "1 second", "fail": 1, "limit": 1 });
    assert_eq!(server.workflow("STEP_TIMEOUT").create("a", params).output(), json!({ "attempt": 2 }));
}

// rules: B30
#[test]
fn nothing_of_a_body_that_took_too_long_happens_later() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "ms": 1600, "timeout": "1 second" });
    let output = server.workflow("LATE_BODY").create("a", params).output();
    assert_eq!(output["name"], "WorkflowTimeoutError", "{output}");
    // The step after it was there, in the same guest, for longer than the body had left.
    assert_eq!((sink.count(&[("kind", "after")]), sink.count(&[("kind", "late")])), (1, 0));
}

// rules: C2.5-2, A31, A35, A69
#[test]
fn a_body_is_told_its_step_its_attempt_and_the_options_in_force() {
    let server = behaviours();
    let params = json!({ "limit": 3, "delay": 250, "backoff": "linear", "timeout": "5 minutes" });
    let output = server.workflow("STEP_CONTEXT").create("a", params).output();
    let expected = json!({
        "name": "info", "count": 1, "attempt": 1, "timeout": 300_000, "limit": 3, "delay": 250, "backoff": "linear",
    });
    assert_eq!(output, expected);
}

// rules: C2.5-9
#[test]
fn nobody_sleeps_until_the_past() {
    let server = behaviours();
    let output = server.workflow("SLEEP_UNTIL_PAST").create("a", json!({ "caught": true })).output();
    assert_eq!(output["message"], "You can't sleep until a time in the past, time-traveler");
}

// rules: C2.5-1, C3-17
#[test]
fn a_step_name_has_256_characters_at_most() {
    let server = behaviours();
    let output = server.workflow("NAMED_STEP").create("a", json!({ "name": "n".repeat(256) })).output();
    assert_eq!(output, json!({ "count": 1 }));
    let refused = server.workflow("NAMED_STEP").create("b", json!({ "name": "n".repeat(257) })).error();
    assert_eq!(refused["name"], "WorkflowFatalError");
    assert!(refused["message"].as_str().unwrap().contains("exceeds max length (256 chars)"), "{refused}");
}

// rules: S36, S37, C2.4-1, C2.4-2, C4.5-1, A2
#[test]
fn a_run_is_told_what_it_was_created_with_and_what_is_bound() {
    let server = behaviours();
    let output = server.workflow("EVENT_ECHO").create("a", json!({ "deep": [1, null, { "x": "ü" }] })).output();
    assert_eq!(output["payload"], json!({ "deep": [1, null, { "x": "ü" }] }));
    assert_eq!((&output["instanceId"], &output["workflowName"]), (&json!("a"), &json!("event-echo")));
    assert_eq!((&output["greeting"], &output["schedule"]), (&json!("hello"), &json!(null)));
    assert!(output["timestamp"].as_u64() > Some(1_700_000_000_000), "{output}");
}

// rules: C2.4-6
#[test]
fn each_run_has_a_value_of_its_class_made_with_a_context_and_an_environment() {
    let (server, sink) = (behaviours(), Sink::start());
    let params = json!({ "sink": sink.url(), "ms": HIBERNATES_MS });
    let output = server.workflow("CONSTRUCTED").create("a", params).output();
    assert_eq!(output, json!({ "greeting": "hello", "task": "done", "runs": 1 }));
    assert_eq!(sink.count(&[("kind", "run"), ("k", "1")]), 2, "before the sleep and after it");
}

// rules: S2, S20, C2.1-9, C2.1-28, C2.4-5, C2.4-7, C2.10-1, C2.10-2, A142, A147
#[test]
fn inputs_and_outputs_can_be_left_out() {
    let server = behaviours();
    assert_eq!(server.workflow("EVENT_ECHO").create("nothing", ()).output()["payload"], json!({}));
    assert_eq!(server.workflow("UNIT_INPUT").create("nothing", ()).output(), "had nothing");
    assert_eq!(server.workflow("OPTIONAL_INPUT").create("null", json!(null)).output(), json!(null));
    assert_eq!(server.workflow("OPTIONAL_INPUT").create("some", json!({ "number": 7 })).output(), 7);
    assert_eq!(server.workflow("RETURNS_NOTHING").create("nothing", ()).output(), json!(null));
    assert_eq!(server.workflow("NO_STEPS").create("nothing", ()).output(), "nothing to do");
}

// rules: S21, C3-31
#[test]
fn beyond_its_concurrency_limit_a_workflow_queues() {
    let mut workflow = bound("StepTimeout");
    workflow["concurrency"] = json!({ "limit": 1 });
    let server = Dev::guest("behaviours").config(json!({ "workflows": [workflow] })).start();
    let params = json!({ "ms": 60_000, "timeout": "1 second", "caught": true });
    let first = server.workflow("STEP_TIMEOUT").create("first", params);
    let second = server.workflow("STEP_TIMEOUT").create("second", json!({ "fail": 0 }));
    assert_eq!(second.status()["status"], "queued");
    second.wait_for("complete");
    assert_eq!(first.status()["status"], "complete", "the second began before the first had ended");
}

// rules: C2.1-1, C2.1-5, C2.1-7, C2.1-25, C2.1-27, C2.1-33, C2.2-14, C3-15
#[test]
fn what_the_api_refuses_it_refuses_with_the_documented_words() {
    let server = behaviours();
    let workflow = server.workflow("ONE_STEP");
    workflow.create("taken", ()).wait_for("complete");
    for (id, status, error) in [
        ("taken", 409, "(instance.already_exists) Instance already exists"),
        ("-badName", 400, "Workflow instance has invalid id"),
        ("a.b", 400, "Workflow instance has invalid id"),
        ("terminateAll", 400, "Workflow instance has invalid id"),
        (&"x".repeat(101), 400, "Workflow instance has invalid id"),
    ] {
        assert_eq!(workflow.try_create(id, ()).expect(status).json()["error"], error, "{id}");
    }
    workflow.create(&"x".repeat(100), ());
    let nobody = server.get("/status?wf=ONE_STEP&id=nobody").expect(404).json();
    assert_eq!(nobody["error"], "(instance.not_found) Instance not found");
    let bad_type = workflow.instance("taken").try_send_event("no.dots", ()).expect(400).json();
    assert_eq!(bad_type["error"], "workflow.invalid_event_type");
    let unbound = server.get("/status?wf=TWO_STEPS&id=a").expect(404).json();
    assert!(unbound["error"].as_str().unwrap().contains("no workflow `TWO_STEPS` is bound: there is `BAD_PAYLOAD`"));
}

// rules: C3-5, B16
#[test]
fn params_and_events_have_one_mebibyte_at_most() {
    let server = behaviours();
    let (fits, too_large) = (json!("x".repeat((1 << 20) - 2)), json!("x".repeat((1 << 20) - 1)));
    let refused = server.workflow("EVENT_ECHO").try_create("a", too_large.clone()).expect(400).json();
    assert!(refused["error"].as_str().unwrap().starts_with("(body) The params is too large."), "{refused}");
    let waiter = server.workflow("EVENT_WAITER").create("b", ());
    waiter.try_send_event("go", too_large).expect(400);
    waiter.send_event("go", fits.clone());
    assert_eq!(waiter.output()["payload"], fits);
}

// rules: C2.1-16, C2.1-19, B32
#[test]
fn a_batch_leaves_out_ids_that_exist_or_repeat() {
    let server = behaviours();
    server.workflow("ONE_STEP").create("a", ());
    let batch = json!([{ "id": "a" }, { "id": "b" }, { "id": "b" }, { "id": "c" }]);
    assert_eq!(server.post("/batch?wf=ONE_STEP", batch).expect(200).json(), json!({ "ids": ["b", "c"] }));
    let bad = server.post("/batch?wf=ONE_STEP", json!([{ "id": "d" }, { "id": "not valid" }])).expect(400).json();
    assert_eq!(bad["error"], "Workflow instance has invalid id");
    server.get("/status?wf=ONE_STEP&id=d").expect(404);
}

#[test]
fn what_a_branch_asks_is_answered_though_the_other_one_sleeps() {
    let (server, sink) = (Dev::guest("behaviours").args(["--time", "manual"]).start(), Sink::start());
    let day = 24 * 3_600_000;
    let instance = server.workflow("LOOKS_BESIDE_SLEEP").create("a", json!({ "sink": sink.url(), "ms": day }));
    instance.wait_for("waiting");
    assert_eq!(sink.count(&[("id", "a"), ("kind", "looked")]), 1, "not only when the sleep is over");
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": day })).expect(200);
    assert_eq!(instance.output(), json!(false));
    assert_eq!(sink.count(&[("id", "a"), ("kind", "looked")]), 1);
}

// rules: S33
#[test]
fn a_handle_that_a_step_returned_is_a_handle_after_a_replay() {
    let server = behaviours();
    let output = server.workflow("CHILD_STARTER").create("a", json!({ "ms": HIBERNATES_MS })).output();
    assert_eq!(output["child"], "child-a");
    assert_eq!(output["status"]["status"], "complete", "{output}");
}

// rules: S38
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

// rules: C3-29
#[test]
fn a_guest_that_eats_all_memory_is_told_which_limit_it_met() {
    let server = behaviours();
    let error = server.workflow("OOM_IN_STEP").create("a", json!({ "limit": 0 })).error();
    let message = error["message"].as_str().unwrap().to_lowercase();
    assert!(message.contains("memory") && message.contains("128"), "{message}");
    server.workflow("ONE_STEP").create("b", ()).wait_for("complete");
}

// rules: C3-4, B16
#[test]
fn an_output_over_one_mebibyte_is_refused_by_name_and_numbers() {
    let server = behaviours();
    // Quotes and all it has one byte too many; the other has as many as are allowed.
    let too_large = server.workflow("BIG_OUTPUT").create("a", json!({ "bytes": (1 << 20) - 1 })).error();
    let text = "Step big-1 output is too large. Maximum allowed size is 1MiB, this one has 1048577 bytes.";
    assert_eq!(too_large, json!({ "name": "WorkflowInternalError", "message": text }));
    let length = (1 << 20) - 2;
    let output = server.workflow("BIG_OUTPUT").create("b", json!({ "bytes": length })).output();
    assert_eq!(output, json!({ "length": length }));
}

// rules: S41
#[test]
fn params_that_do_not_fit_the_input_end_the_instance_with_a_reason() {
    let server = behaviours();
    let error = server.workflow("BAD_PAYLOAD").create("a", json!({ "nothing": "fits" })).error();
    assert!(error["message"].as_str().unwrap().contains("BadPayload"), "{error}");
}

// rules: C3-8, A76, A77
#[cfg(target_os = "linux")]
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
