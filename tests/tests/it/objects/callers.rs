//! Workflows that ask objects, and objects that start workflows.

use miniflow_tests::{Dev, Server, Sink, eventually};
use serde_json::{Value, json};

use super::{get, increment, manual, run};

/// Starts `Asks`, whose step has the object `asked` do operations; its path.
fn asks(server: &Server, id: &str, operations: &Value) -> String {
    server.local_api().create("asks", id, operations.clone())
}

/// What became of an instance.
fn ended(server: &Server, path: &str, wanted: &str) -> Value {
    eventually(wanted, || {
        let details = server.local_api().result(path);
        let status = details["status"].as_str().unwrap_or_default().to_owned();
        assert!(status == wanted || !["complete", "errored"].contains(&status.as_str()), "{details}");
        (status == wanted).then_some(details)
    })
}

// rules: S37
#[test]
fn a_step_asks_an_object_once_also_when_its_process_is_killed_after_it() {
    let dev = Dev::guest("objects");
    let server = dev.start();
    let path = asks(&server, "a", &json!([increment("n")]));
    assert_eq!(ended(&server, &path, "complete")["output"], json!([1]));
    server.kill();
    let server = dev.start();
    assert_eq!(ended(&server, &path, "complete")["output"], json!([1]));
    assert_eq!(run(&server, "asked", json!([get("n")])), json!([1]));
}

#[test]
fn a_step_whose_object_fails_is_tried_again_and_the_object_keeps_what_it_wrote() {
    let server = manual().start();
    let path = asks(&server, "a", &json!([increment("n"), { "op": "fail", "message": "no luck" }]));
    // Five more tries, with the delays of the default: 10, 20, 40, 80 and 160 seconds.
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": 310_000 })).expect(200);
    let details = ended(&server, &path, "errored");
    assert!(details["error"]["message"].as_str().unwrap().contains("no luck"), "{details}");
    assert_eq!(run(&server, "asked", json!([get("n")])), json!([6]));
}

// rules: S7
#[test]
fn an_object_that_a_workflow_asks_starts_an_instance_itself_through_another_object() {
    let server = Dev::guest("objects").start();
    let inner = json!([{ "op": "workflow", "id": "inner", "params": { "from": "below" } }]);
    let nested = json!([{ "op": "object", "binding": "KEEPER", "name": "other", "do": inner }]);
    let path = asks(&server, "outer", &nested);
    assert_eq!(ended(&server, &path, "complete")["output"], json!([["inner"]]));
    let made = ended(&server, "echo/instances/inner", "complete");
    assert_eq!((&made["output"], &made["trigger"]["source"]), (&json!({ "from": "below" }), &json!("binding")));
}

#[test]
fn an_alarm_starts_an_instance_once_though_it_is_tried_again() {
    let server = manual().start();
    let sink = Sink::start();
    let on_alarm = json!([
        { "op": "fetch", "url": sink.url() },
        { "op": "workflow", "id": "w", "params": { "n": 1 }, "catch": true },
        { "op": "fail", "message": "after it" },
    ]);
    let set = json!([{ "op": "put", "key": "on alarm", "value": on_alarm }, { "op": "set_alarm", "ms": 1_000 }]);
    let _ = run(&server, "a", set);
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": 3_000 })).expect(200);
    assert_eq!(sink.seen().len(), 2);
    assert_eq!(ended(&server, "echo/instances/w", "complete")["output"], json!({ "n": 1 }));
    let all = server.local_api().result("echo/instances");
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
}
