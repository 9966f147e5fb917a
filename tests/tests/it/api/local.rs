//! What the local API does in its own way.

use http::Method;
use serde_json::{Value, json};

use super::behaviours;

#[test]
fn the_local_api_creates_lists_and_describes() {
    let server = behaviours();
    let local = server.local_api();
    let created = local.post("event-echo/instances", json!({ "id": "a", "params": "7" })).result();
    assert_eq!(created["id"], "a");
    let details = local.wait_for("event-echo/instances/a", "complete");
    assert_eq!(details["output"]["payload"], "7", "params are what they are");
    let list = local.get("event-echo/instances?page=1").expect(200).json();
    assert_eq!((&list["result"][0]["id"], &list["result"][0]["status"]), (&json!("a"), &json!("complete")));
    let info = &list["result_info"];
    for (field, value) in [("page", 1), ("per_page", 25), ("total_count", 1), ("total_pages", 1)] {
        assert_eq!(info[field], value, "{field}");
    }
    assert_eq!(info["status_counts"], json!({ "complete": 1 }));
    let all = local.get("").expect(200).json();
    let names = all["result"].as_array().unwrap();
    assert_eq!(all["result_info"]["count"], names.len(), "all at once");
    assert!(names.iter().any(|workflow| workflow["name"] == "event-echo" && workflow["class_name"] == "EventEcho"));
    let counts = &local.result("event-echo")["instances"];
    assert_eq!((&counts["complete"], &counts["waitingForPause"]), (&json!(1), &json!(0)));
}

#[test]
fn action_and_status_are_both_taken() {
    let server = behaviours();
    let local = server.local_api();
    let path = local.create("sleeper", "a", json!({ "duration": "1 day" }));
    local.wait_for(&path, "waiting");
    for (key, verb, status) in [("action", "pause", "paused"), ("status", "terminate", "terminated")] {
        let changed = local.patch(&path, json!({ key: verb })).result();
        assert_eq!(changed["status"], status);
    }
    local.patch(&path, json!({ "action": "terminate" })).refused(
        409,
        10001,
        "(instance.cannot_terminate) Cannot terminate instance since its on a finite state",
    );
    local.patch(&path, json!({ "action": "pause", "rollback": true })).refused(
        400,
        10001,
        "'rollback' is only valid when terminating.",
    );
}

#[test]
fn instances_are_deleted_one_by_one_in_batches_and_all_of_a_workflow() {
    let server = behaviours();
    let local = server.local_api();
    for id in ["a", "b", "c"] {
        local.create("sleeper", id, json!({ "duration": "1 day" }));
    }
    let done = local.send(Method::DELETE, "sleeper/instances/a", ()).result();
    assert_eq!(done, json!({ "success": true }));
    let again = local.send(Method::DELETE, "sleeper/instances/a", ());
    again.refused(404, 10501, "Workflow instance 'a' not found.");
    let batch = local.post("sleeper/instances/batch/delete", json!({ "instances": ["b"] })).result();
    assert_eq!(batch, json!({ "deleted": [{ "id": "b" }], "errors": [] }));
    assert_eq!(local.send(Method::DELETE, "sleeper", ()).result(), json!({ "status": "ok", "success": true }));
    assert_eq!(local.result("sleeper/instances"), json!([]));
}

// rules: A125
#[test]
fn the_local_api_has_its_own_numbers() {
    let server = behaviours();
    let local = server.local_api();
    local.get("none").refused(404, 10501, "Workflow 'none' not found.");
    local.get("none/instances").refused(404, 10501, "Workflow 'none' not found.");
    local.get("one-step/instances/none").refused(404, 10501, "Workflow instance 'none' not found.");
    local.get("one-step/instances?page=invalid").refused(
        400,
        10001,
        r#"page: Expected query param to be number but received "invalid""#,
    );
    local.get("one-step/instances?per_page=101").refused(
        400,
        10001,
        r#"per_page: Expected query param to be 1 to 100 but received "101""#,
    );
    let dates = "one-step/instances?date_start=2026-01-02&date_end=2026-01-01";
    local.get(dates).refused(400, 10502, "'date_start' must not be after 'date_end'.");
    local.post("one-step/instances", json!({ "id": "not valid" })).refused(
        400,
        10001,
        "Workflow instance has invalid id",
    );
    local.create("one-step", "a", json!({}));
    local.post("one-step/instances", json!({ "id": "a" })).refused(
        409,
        10405,
        "(instance.already_exists) Instance already exists",
    );
    assert_eq!(server.get("/cdn-cgi/local/explorer/api/nothing").expect(404).text(), "404 Not Found");
}

#[test]
fn outputs_are_values_and_events_are_whole() {
    let server = behaviours();
    let local = server.local_api();
    let path = local.create("event-waiter", "a", json!({ "type": "go" }));
    let details = local.wait_for(&path, "waiting");
    let wait = &details["steps"][1];
    assert_eq!((&wait["end"], &wait["output"], &wait["finished"]), (&Value::Null, &Value::Null, &json!(false)));
    assert_eq!(local.post(&format!("{path}/events/go"), json!({ "x": 1 })).result()["success"], true);
    let details = local.wait_for(&path, "complete");
    assert_eq!(details["steps"][0]["output"], 1);
    let wait = &details["steps"][1];
    assert_eq!((&wait["output"]["type"], &wait["output"]["payload"]), (&json!("go"), &json!({ "x": 1 })));
    assert!(wait["output"]["timestamp"].as_str().unwrap().ends_with('Z'));
}

// rules: A130
#[test]
fn workers_are_listed_with_the_workflows_they_are_bound_to() {
    let server = behaviours();
    let workers = server.get("/cdn-cgi/local/explorer/api/local/workers").result();
    let [worker] = &workers.as_array().unwrap()[..] else { panic!("{workers}") };
    assert_eq!((&worker["isSelf"], &worker["name"]), (&json!(true), &json!("behaviours")));
    let bound = worker["bindings"]["workflows"].as_array().unwrap();
    let expected =
        json!({ "id": "one-step", "bindingName": "ONE_STEP", "className": "OneStep", "scriptName": "behaviours" });
    assert!(bound.contains(&expected), "{bound:?}");
}

#[test]
fn the_older_place_of_the_local_api_is_the_same() {
    let server = behaviours();
    assert_eq!(
        server.get("/cdn-cgi/explorer/api/workflows/one-step").result()["name"],
        server.local_api().result("one-step")["name"]
    );
}
