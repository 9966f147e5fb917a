//! One instance, its steps, its events.

use miniflow_tests::Sink;
use serde_json::{Value, json};

use super::behaviours;

fn names(details: &Value) -> Vec<(&str, &str)> {
    let steps = details["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["type"].as_str().unwrap(), step["name"].as_str().unwrap_or_default())).collect()
}

// rules: R8
#[test]
fn a_finished_instance_has_its_params_output_and_steps() {
    let server = behaviours();
    let v4 = server.v4();
    let path = v4.create("many-steps", "a", json!({ "n": 2 }));
    let details = v4.wait_for(&path, "complete");
    for (field, value) in [
        ("id", json!("a")),
        ("workflowName", json!("many-steps")),
        ("params", json!({ "n": 2 })),
        ("output", json!({ "steps": 2 })),
        ("success", json!(true)),
        ("error", Value::Null),
        ("rollback", Value::Null),
        ("step_count", json!(2)),
        ("trigger", json!({ "source": "api" })),
    ] {
        assert_eq!(details[field], value, "{field}");
    }
    for field in ["queued", "start", "end", "expires_at"] {
        assert!(details[field].as_str().is_some_and(|at| at.ends_with('Z')), "{field} of {details}");
    }
    assert_eq!(names(&details), [("step", "step-1-1"), ("step", "step-2-1")]);
    let step = &details["steps"][0];
    assert_eq!((&step["success"], &step["output"]), (&json!(true), &json!("1")));
    let config = json!({ "retries": { "limit": 5, "delay": 10000, "backoff": "exponential" }, "timeout": 600_000 });
    assert_eq!(step["config"], config);
    let attempt = &step["attempts"][0];
    assert_eq!((&attempt["success"], &attempt["error"]), (&json!(true), &Value::Null));
    assert!(attempt["start"].is_string() && attempt["end"].is_string(), "{attempt}");

    let reversed = v4.result(&format!("{path}?order=desc"));
    assert_eq!(names(&reversed), [("step", "step-2-1"), ("step", "step-1-1")]);
    let simple = v4.result(&format!("{path}?simple=true"));
    assert_eq!((&simple["steps"], &simple["step_count"]), (&Value::Null, &json!(2)));
}

// rules: R8
#[test]
fn a_step_that_is_tried_again_has_each_attempt_with_its_error() {
    let server = behaviours();
    let v4 = server.v4();
    let path = v4.create("flaky", "a", json!({ "fail": 1, "limit": 3, "delay": 86_400_000 }));
    let details = v4.wait_for(&path, "waiting");
    let step = &details["steps"][0];
    assert_eq!((&step["success"], &step["end"], &step["output"]), (&Value::Null, &Value::Null, &Value::Null));
    let [attempt] = &step["attempts"].as_array().unwrap()[..] else { panic!("{step}") };
    let error = &attempt["error"];
    assert_eq!((&error["name"], &error["message"]), (&json!("Error"), &json!("attempt 1 fails")));
    assert!(error["stack"].as_str().unwrap().contains("failures.rs"), "{error}");
    assert_eq!((&attempt["success"], &attempt["attempt"]), (&json!(false), &json!(1)));
    assert_eq!(attempt["retry_at"], details["wake_at"], "the delay before the next attempt is what it waits for");
    assert_eq!(step["config"]["retries"]["limit"], 3);
    let result = v4.result(&format!("{path}/step?name=flaky-1&type=step"));
    assert_eq!((&result["status"], &result["error"]["message"]), (&json!("running"), &json!("attempt 1 fails")));
}

// rules: R8, B20
#[test]
fn what_an_instance_waits_for_is_said() {
    let server = behaviours();
    let v4 = server.v4();
    let nap = v4.create("sleeper", "a", json!({ "duration": "1 day" }));
    let details = v4.wait_for(&nap, "waiting");
    assert_eq!(names(&details), [("step", "before-1"), ("sleep", "nap-1")]);
    let sleep = &details["steps"][1];
    assert_eq!((&sleep["finished"], &sleep["wake_at"]), (&json!(false), &details["wake_at"]));
    assert_eq!(sleep["end"], sleep["wake_at"], "clients expect an end");

    let wait = v4.create("event-waiter", "a", json!({ "type": "go", "timeout": "1 hour" }));
    let details = v4.wait_for(&wait, "waiting");
    let step = &details["steps"][1];
    assert_eq!((&step["type"], &step["event_type"]), (&json!("waitForEvent"), &json!("go")));
    assert_eq!(step["deadline"], details["wake_at"]);
    let result = v4.result(&format!("{wait}/step?name=wait-1&type=waitForEvent"));
    assert_eq!(result, json!({ "status": "waiting", "error": null, "output": null, "event_type": "go" }));
    let _ = v4.post(&format!("{wait}/events/early"), json!(1)).result();
    assert_eq!(v4.result(&wait)["pending_events"][0]["type"], "early");
    let _ = v4.post(&format!("{wait}/events/go"), json!({ "x": 1 })).result();
    let details = v4.wait_for(&wait, "complete");
    let step = &details["steps"][1];
    assert_eq!((&step["finished"], &step["output"]), (&json!(true), &json!(r#"{"x":1}"#)));
    let result = v4.result(&format!("{wait}/step?name=wait-1&type=waitForEvent"));
    assert_eq!((&result["status"], &result["output"]), (&json!("complete"), &json!({ "x": 1 })));
}

// rules: R8, B20
#[test]
fn compensations_are_listed_with_how_they_went() {
    let server = behaviours();
    let v4 = server.v4();
    let path = v4.create("rollback-order", "a", json!({}));
    let details = v4.wait_for(&path, "errored");
    assert_eq!(details["rollback"], json!({ "outcome": "complete", "error": null }));
    assert_eq!(details["success"], false);
    let steps = details["steps"].as_array().unwrap();
    let rollbacks: Vec<_> = steps.iter().filter(|step| step["type"] == "rollback").collect();
    assert!(!rollbacks.is_empty(), "{details}");
    assert!(rollbacks.iter().all(|step| step["success"] == true && step["attempts"].is_array()), "{rollbacks:?}");
    let undone = steps.iter().filter(|step| step["has_rollback"] == true).count();
    assert_eq!(undone, rollbacks.len());
    assert_eq!(details["step_count"], steps.len() - rollbacks.len());
}

// rules: R8
#[test]
fn a_terminated_instance_says_so_last() {
    let server = behaviours();
    let v4 = server.v4();
    let path = v4.create("sleeper", "a", json!({ "duration": "1 day" }));
    v4.wait_for(&path, "waiting");
    let _ = v4.patch(&path, json!({ "status": "terminate" })).result();
    let details = v4.result(&path);
    let last = details["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(*last, json!({ "type": "termination", "trigger": { "source": "unknown" } }));
    assert_eq!((&details["steps"][1]["finished"], &details["steps"][1]["end"]), (&json!(false), &details["end"]));
}

// rules: R9
#[test]
fn the_output_of_a_step_is_there_as_a_whole() {
    let server = behaviours();
    let v4 = server.v4();
    let path = v4.create("big-output", "a", json!({ "bytes": 100_000 }));
    let details = v4.wait_for(&path, "complete");
    let shown = details["steps"][0]["output"].as_str().unwrap();
    assert_eq!(shown, format!("{}[truncated output]", "x".repeat(1024)));
    let whole = v4.result(&format!("{path}/step?name=big-1&type=step&attempt=1"));
    assert_eq!(whole, json!({ "status": "complete", "error": null, "output": "x".repeat(100_000) }));
    for (query, status, code, message) in [
        ("name=big-2&type=step", 404, 10400, "Step 'big-2' not found."),
        ("name=big-1&type=waitForEvent", 404, 10400, "Step 'big-1' not found."),
        ("name=big-1&type=step&attempt=2", 404, 10400, "Step 'big-1' not found."),
        ("name=big-1", 400, 10002, "type: it is required"),
        ("type=step", 400, 10002, "name: it is required"),
    ] {
        v4.get(&format!("{path}/step?{query}")).refused(status, code, message);
    }
}

// rules: R9
#[test]
fn an_attempt_that_was_followed_by_another_is_found_by_its_number() {
    let server = behaviours();
    let v4 = server.v4();
    let path = v4.create("flaky", "a", json!({ "fail": 2, "limit": 3, "delay": 1 }));
    v4.wait_for(&path, "complete");
    let attempt = |n: u32| v4.result(&format!("{path}/step?name=flaky-1&type=step&attempt={n}"));
    for n in [1, 2] {
        assert_eq!((&attempt(n)["status"], &attempt(n)["output"]), (&json!("errored"), &Value::Null));
        assert_eq!(attempt(n)["error"]["message"], format!("attempt {n} fails"));
    }
    assert_eq!((&attempt(3)["status"], &attempt(3)["output"]), (&json!("complete"), &json!(3)));
}

// rules: R9
#[test]
fn what_must_not_be_shown_is_not() {
    let server = behaviours();
    let v4 = server.v4();
    for (workflow, params) in [("sensitive-output", json!({ "ms": 1 })), ("sensitive-stream", json!({}))] {
        let path = v4.create(workflow, "a", params);
        let details = v4.wait_for(&path, "complete");
        assert_eq!(details["steps"][0]["output"], "[REDACTED]");
        assert_eq!(details["steps"][0]["config"]["sensitive"], "output");
        assert_eq!(v4.result(&format!("{path}/step?name=secret-1&type=step"))["output"], "[REDACTED]");
        let local = server.local_api().get(&path).expect(200).text();
        assert!(!local.contains("open sesame"), "{local}");
    }
}

// rules: R9, A50, A51, A52
#[test]
fn a_stream_is_shown_by_its_beginning_and_served_as_its_bytes() {
    let server = behaviours();
    let v4 = server.v4();
    let text = v4.create("stream-text", "a", json!({}));
    assert_eq!(v4.wait_for(&text, "complete")["steps"][0]["output"], "one two three");
    let answer = v4.get(&format!("{text}/step?name=text-1&type=step")).expect(200);
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert_eq!(answer.text(), "one two three");

    let large = 600_000;
    let binary = v4.create("stream-output", "a", json!({ "bytes": large }));
    let details = v4.wait_for(&binary, "complete");
    assert_eq!(details["steps"][0]["output"], format!("[ReadableStream (binary): {large} bytes]"));
    let answer = v4.get(&format!("{binary}/step?name=stream-1&type=step")).expect(200);
    assert!(answer.body.iter().enumerate().all(|(place, byte)| *byte == (place % 251) as u8));
    assert_eq!(answer.body.len(), large);
}

// rules: R14
#[test]
fn events_come_one_by_one_and_can_be_taken_up_again() {
    let (server, sink) = (behaviours(), Sink::start());
    let v4 = server.v4();
    let path = v4.create("many-steps", "a", json!({ "n": 2, "sink": sink.url() }));
    let answer = v4.get(&format!("{path}/subscribe")).expect(200);
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let text = answer.text();
    let messages: Vec<&str> = text.trim_end().split("\n\n").collect();
    let event = |message: &str| -> (String, Value) {
        let (id, data) = message.strip_prefix("id: ").unwrap().split_once("\ndata: ").unwrap();
        (id.to_owned(), serde_json::from_str(data).unwrap())
    };
    let events: Vec<_> = messages.iter().map(|message| event(message)).collect();
    assert!(events.iter().all(|(id, event)| event["eventId"].as_u64() == id.parse().ok()), "{text}");
    let types: Vec<_> = events.iter().map(|(_, event)| event["type"].as_str().unwrap()).collect();
    assert_eq!((types.first(), types.last()), (Some(&"workflow_queued"), Some(&"workflow_completed")));

    let after = &events[2].0;
    let again = v4.get(&format!("{path}/subscribe?cursor={after}")).expect(200).text();
    assert_eq!(again.matches("data: ").count(), events.len() - 3);
    let header = v4.clone().header("last-event-id", after).get(&format!("{path}/subscribe")).expect(200).text();
    assert_eq!(header, again);
    let filtered = v4.get(&format!("{path}/subscribe?filter=step_completed")).expect(200).text();
    assert_eq!(filtered.matches("data: ").count(), 2);
    v4.get(&format!("{path}/subscribe?filter=nothing")).refused(400, 10002, "Invalid Workflow subscription options");
    let unknown = v4.get("many-steps/instances/none/subscribe");
    unknown.refused(404, 10400, "workflows.api.error.instance.not_found");
}
