//! Making instances, and what is done to them.

use http::Method;
use miniflow_tests::{Sink, eventually};
use serde_json::{Value, json};

use super::behaviours;

// rules: R6, S20, S39, C4.5-1
#[test]
fn an_instance_is_created_with_an_id_and_params_or_without() {
    let server = behaviours();
    let v4 = server.v4();
    let post = |body: Value| v4.post("event-echo/instances", body).result();
    let created = post(json!({ "instance_id": "my-id", "params": { "n": 1 } }));
    assert_eq!((&created["id"], &created["trigger_source"]), (&json!("my-id"), &json!("api")));
    assert_eq!(created["workflow_id"], v4.result("event-echo")["id"]);
    let payload = |id: &Value| {
        v4.wait_for(&format!("event-echo/instances/{}", id.as_str().unwrap()), "complete")["output"]["payload"].take()
    };
    assert_eq!(payload(&created["id"]), json!({ "n": 1 }));
    // The SDKs send the JSON in a text.
    assert_eq!(payload(&post(json!({ "params": "{\"steps\":1}" }))["id"]), json!({ "steps": 1 }));
    assert_eq!(payload(&post(json!({ "params": "no JSON" }))["id"]), "no JSON");
    assert_eq!(payload(&post(json!({ "params": null }))["id"]), Value::Null);
    assert_eq!(payload(&post(json!({}))["id"]), json!({}));
    let without_body = v4.post("event-echo/instances", ()).result();
    assert_eq!(without_body["id"].as_str().map(str::len), Some(36), "a UUID: {without_body}");
    assert_eq!(payload(&without_body["id"]), json!({}));
}

// rules: R6, B22
#[test]
fn a_create_that_makes_no_sense_creates_nothing() {
    let server = behaviours();
    let v4 = server.v4();
    v4.create("one-step", "taken", json!({}));
    let post = |body: Value| v4.post("one-step/instances", body);
    post(json!({ "instance_id": "taken" })).refused(409, 10405, "workflows.api.error.instance.already_exists");
    for id in ["", "-a", "a b", "batch", "terminate", &"x".repeat(101), &format!("cf_{}", "0".repeat(64))] {
        post(json!({ "instance_id": id })).refused(400, 10002, "Workflow instance has invalid id");
    }
    let kept = |ms: Value| post(json!({ "instance_retention": { "success_retention": ms } }));
    for wrong in [json!("soon"), json!(0), json!(31 * 86_400_000_u64), json!("31 days")] {
        assert_eq!(kept(wrong).expect(400).json()["errors"][0]["code"], 10002);
    }
    v4.post("none/instances", json!({})).refused(404, 10200, "workflows.api.error.workflow.not_found");
    let list = v4.get("one-step/instances").expect(200).json();
    assert_eq!(list["result_info"]["total_count"], 1);
    let id = kept(json!("1 minute")).result()["id"].as_str().unwrap().to_owned();
    let details = v4.wait_for(&format!("one-step/instances/{id}"), "complete");
    assert!(details["expires_at"].as_str() > details["end"].as_str());
}

// rules: R7
#[test]
fn a_batch_creates_up_to_a_hundred_and_leaves_out_ids_that_exist() {
    let server = behaviours();
    let v4 = server.v4();
    v4.create("one-step", "a", json!({}));
    let batch = |body: Value| v4.post("one-step/instances/batch", body);
    let created =
        batch(json!([{ "instance_id": "a" }, { "instance_id": "b", "params": "{}" }, {}, { "instance_id": "b" }]));
    let created = created.result();
    let ids: Vec<_> = created.as_array().unwrap().iter().map(|instance| instance["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids[0]), (2, "b"));
    let hundred = batch(Value::from(vec![json!({}); 100])).result();
    assert_eq!(hundred.as_array().unwrap().len(), 100);
    batch(json!([])).refused(400, 10002, "batchCreate should have at least 1 instance");
    let error = batch(Value::from(vec![json!({}); 101])).expect(400).json();
    assert!(error["errors"][0]["message"].as_str().unwrap().contains("only 100 instances"), "{error}");
    batch(json!([{ "instance_id": "c" }, { "instance_id": "not valid" }])).refused(
        400,
        10002,
        "Workflow instance has invalid id",
    );
    v4.get("one-step/instances/c").refused(404, 10400, "workflows.api.error.instance.not_found");
}

// rules: R10, S26, S28
#[test]
fn the_status_is_changed_by_its_verbs() {
    let server = behaviours();
    let v4 = server.v4();
    let path = v4.create("sleeper", "a", json!({ "duration": "1 day" }));
    v4.wait_for(&path, "waiting");
    let verb = |verb: &str| v4.patch(&path, json!({ "status": verb }));
    let paused = verb("pause").result();
    assert_eq!(paused["status"], "paused");
    assert!(paused["timestamp"].as_str().unwrap().ends_with('Z'));
    let _ = verb("resume").result();
    v4.wait_for(&path, "waiting");
    let restarted = verb("restart").result();
    assert!(["queued", "running", "waiting"].contains(&restarted["status"].as_str().unwrap()), "{restarted}");
    v4.wait_for(&path, "waiting");
    assert_eq!(verb("terminate").result()["status"], "terminated");
    let text = "(instance.cannot_terminate) Cannot terminate instance since its on a finite state";
    verb("terminate").refused(409, 10001, text);
    let unknown = v4.patch("sleeper/instances/none", json!({ "status": "pause" }));
    unknown.refused(404, 10400, "workflows.api.error.instance.not_found");
}

// rules: R10
#[test]
fn verbs_have_their_own_options() {
    let server = behaviours();
    let v4 = server.v4();
    let path = v4.create("restart-target", "a", json!({}));
    v4.wait_for(&path, "complete");
    for (body, message) in [
        (json!({ "status": "pause", "rollback": true }), "'rollback' is only valid when terminating."),
        (json!({ "status": "terminate", "from": { "name": "a" } }), "'from' is only valid when restarting."),
        (json!({ "status": "restart", "from": { "name": "" } }), "from.name: it is empty"),
        (json!({ "status": "restart", "from": { "name": "a", "count": 0 } }), "from.count: it is counted from 1"),
    ] {
        v4.patch(&path, body).refused(400, 10002, message);
    }
    for wrong in [
        json!({ "status": "stop" }),
        json!({}),
        json!({ "status": "restart", "from": { "name": "a", "type": "x" } }),
        json!([]),
    ] {
        assert_eq!(v4.patch(&path, wrong).expect(400).json()["errors"][0]["code"], 10002);
    }
    let nowhere = v4.patch(&path, json!({ "status": "restart", "from": { "name": "none" } }));
    nowhere.refused(409, 10001, r#"(instance.cannot_restart) Step "none" not found in execution history"#);
    assert_eq!(v4.result(&path)["status"], "complete", "nothing of this changed anything");
}

// rules: R10, S31
#[test]
fn an_instance_is_restarted_from_a_step() {
    let (server, sink) = (behaviours(), Sink::start());
    let v4 = server.v4();
    let path = v4.create("many-steps", "a", json!({ "n": 3, "sink": sink.url() }));
    v4.wait_for(&path, "complete");
    let from = json!({ "status": "restart", "from": { "name": "step-2", "count": 1, "type": "do" } });
    let _ = v4.patch(&path, from).result();
    sink.wait_for(2, &[("kind", "step-3")]);
    v4.wait_for(&path, "complete");
    let counts = ["step-1", "step-2", "step-3"].map(|step| sink.count(&[("kind", step)]));
    assert_eq!(counts, [1, 2, 2]);
}

// rules: R10
#[test]
fn terminating_with_a_rollback_undoes_the_steps() {
    let (server, sink) = (behaviours(), Sink::start());
    let v4 = server.v4();
    let path =
        v4.create("rollback-sleeps", "a", json!({ "sink": sink.url(), "duration": "1 day", "undo": { "ms": 500 } }));
    v4.wait_for(&path, "waiting");
    let changed = v4.patch(&path, json!({ "status": "terminate", "rollback": true })).result();
    assert_eq!(changed["status"], "rollingBack");
    let details = v4.wait_for(&path, "terminated");
    assert_eq!(details["rollback"]["outcome"], "complete");
}

// rules: R11
#[test]
fn an_event_reaches_the_instance_with_any_json() {
    let server = behaviours();
    let v4 = server.v4();
    for (id, payload) in [("a", json!({ "x": [1, null] })), ("b", json!("text")), ("c", Value::Null)] {
        let path = v4.create("event-waiter", id, json!({ "type": "go" }));
        v4.wait_for(&path, "waiting");
        let sent = v4.post(&format!("{path}/events/go"), payload.clone()).result();
        assert_eq!(sent["instanceId"], id);
        assert_eq!(v4.wait_for(&path, "complete")["output"]["payload"], payload);
    }
    let path = v4.create("event-waiter", "d", json!({ "type": "go" }));
    let _ = v4.post(&format!("{path}/events/go"), ()).result();
    assert_eq!(v4.wait_for(&path, "complete")["output"]["payload"], Value::Null, "no body is null");
    let finished = v4.post(&format!("{path}/events/go"), json!(1));
    finished.refused(409, 10001, "(instance.cannot_send_event) Instance is complete");
    for kind in ["a/b%20c", "a.b", &"x".repeat(101), "%20"] {
        let path = v4.post(&format!("event-waiter/instances/d/events/{kind}"), json!(1));
        path.refused(400, 10002, "workflow.invalid_event_type");
    }
}

// rules: R12
#[test]
fn all_instances_of_a_status_are_terminated() {
    let server = behaviours();
    let v4 = server.v4();
    let ids: Vec<_> = (0..250).map(|k| format!("i{k}")).collect();
    server.workflow("SLEEPER").create_all(ids, &json!({ "duration": "1 day" }));
    let paused = v4.create("sleeper", "paused", json!({ "duration": "1 day" }));
    v4.wait_for(&paused, "waiting");
    let _ = v4.patch(&paused, json!({ "status": "pause" })).result();
    let counts = || v4.result("sleeper")["instances"].clone();
    eventually("all of them wait", || (counts()["waiting"] == 250).then_some(()));
    let put = |query: &str| v4.send(Method::PUT, &format!("sleeper/instances/terminate{query}"), ());
    assert_eq!(put("?status=waiting").result(), json!({ "status": "ok" }));
    eventually("those that wait are terminated", || {
        (counts() == json!({ "paused": 1, "terminated": 250 })).then_some(())
    });
    assert!(["ok", "already_running"].contains(&put("").result()["status"].as_str().unwrap()));
    eventually("the last one is terminated", || {
        let _ = put("").result();
        (counts() == json!({ "terminated": 251 })).then_some(())
    });
    assert_eq!(put("?status=complete").expect(400).json()["errors"][0]["code"], 10002);
}

// rules: R13
#[test]
fn a_batch_of_instances_is_deleted_and_what_is_not_there_is_named() {
    let server = behaviours();
    let v4 = server.v4();
    v4.create("one-step", "a", json!({}));
    v4.create("sleeper", "a", json!({ "duration": "1 day" }));
    let delete = |body: Value| v4.post("one-step/instances/batch/delete", body);
    let result = delete(json!({ "instances": ["a", "none"] })).result();
    let error = json!({ "id": "none", "code": 10400, "message": "workflows.api.error.instance.not_found" });
    assert_eq!(result, json!({ "deleted": [{ "id": "a" }], "errors": [error] }));
    delete(json!({ "instances": [] })).refused(
        400,
        10002,
        "(body) batchDeleteInstances should have at least 1 instance",
    );
    let many: Vec<_> = (0..101).map(|k| k.to_string()).collect();
    assert_eq!(delete(json!({ "instances": many })).expect(400).json()["errors"][0]["code"], 10002);
    delete(json!({ "instances": ["a.b"] })).refused(400, 10002, "(instance.invalid_id) Instance ID is invalid");
    assert_eq!(v4.result("sleeper/instances")[0]["id"], "a", "another workflow's instance of the same id");
}

// rules: A117
#[test]
fn a_delete_by_each_api_and_by_the_binding_at_once_all_succeed_or_say_that_it_is_gone() {
    let server = behaviours();
    let v4 = server.v4();
    for round in 0..5 {
        let id = format!("i{round}");
        let path = v4.create("sleeper", &id, json!({ "duration": "1 day" }));
        let statuses = std::thread::scope(|scope| {
            let local = scope.spawn(|| server.local_api().send(Method::DELETE, &path, ()).status.as_u16());
            let batch = scope.spawn(|| {
                let body = json!({ "instances": [id] });
                v4.post("sleeper/instances/batch/delete", body).status.as_u16()
            });
            let binding = scope.spawn(|| server.workflow("SLEEPER").instance(&id).operate("delete").status.as_u16());
            [local, batch, binding].map(|thread| thread.join().unwrap())
        });
        assert!(statuses.iter().all(|status| [200, 404].contains(status)), "{statuses:?}");
        assert_eq!(v4.get(&path).status, 404);
    }
}
