//! Instances whose workflow is not there any more: they can be looked at, and got rid of.

use insta::assert_snapshot;
use miniflow_tests::Dev;
use serde_json::{Value, json};

use super::{behaviours, cli, in_2090, without_version};

/// The state of a session with sleeping instances of two workflows, one of which is taken away; then a session without it.
fn without_sleeper(state: &std::path::Path) -> Dev {
    let server = in_2090(&behaviours(&["Sleeper", "RollbackHold", "OneStep"]).persist(state));
    for (workflow, id) in [("sleeper", "a"), ("sleeper", "b"), ("sleeper", "c"), ("rollback-hold", "d")] {
        let path = server.v4().create(workflow, id, json!({ "duration": "1 day" }));
        server.v4().wait_for(&path, "waiting");
    }
    let _ = server.stop();
    behaviours(&["OneStep"]).persist(state)
}

#[test]
fn instances_of_a_workflow_that_is_gone_are_shown_and_steered_as_far_as_that_needs_no_code() {
    let state = tempfile::tempdir().unwrap();
    let server = without_sleeper(state.path()).start();
    assert_snapshot!(cli(&server, &["list"]).printed(), @"
    NAME           CLASS    WORKER  INSTANCES
    one-step       OneStep  shop    0
    rollback-hold  -        -       1: 1 waiting  not there any more, its instances are kept
    sleeper        -        -       3: 3 waiting  not there any more, its instances are kept
    ");
    assert_snapshot!(without_version(&cli(&server, &["describe", "sleeper"]).printed()), @"
    name          sleeper
    class         -
    worker        -
    note          its class or its configuration is gone; its instances are kept
    seen since    …
    last started  2090-01-01T00:00:00.000Z
    instances     3
      waiting     3
    ");
    let described = cli(&server, &["instances", "describe", "sleeper", "a"]).printed();
    assert!(described.contains("status        waiting\n") && described.contains("nap-1"), "{described}");
    assert_snapshot!(cli(&server, &["instances", "pause", "sleeper", "a"]).printed(), @r#"paused instance "a" of workflow "sleeper"; it is paused now"#);
    let resumed = cli(&server, &["instances", "resume", "sleeper", "a"]).printed();
    assert!(resumed.starts_with("resumed instance"), "{resumed}");
    assert_snapshot!(cli(&server, &["instances", "terminate", "sleeper", "a"]).printed(), @r#"terminated instance "a" of workflow "sleeper"; it is terminated now"#);
    assert_eq!(server.v4().result("sleeper/instances/a")["status"], "terminated");
    assert_snapshot!(cli(&server, &["instances", "delete", "sleeper", "a", "b"]).printed(), @r#"deleted "a", "b" of workflow "sleeper""#);
    assert_snapshot!(cli(&server, &["instances", "terminate", "rollback-hold", "d", "--rollback"]).refused(), @"error: (instance.cannot_terminate) The workflow is not there any more, and with it what undoes its steps; without rollback the instance can be terminated");
    assert_eq!(server.v4().result("rollback-hold/instances/d")["status"], "waiting");
    assert_snapshot!(cli(&server, &["trigger", "sleeper"]).refused(), @"error: Workflow 'sleeper' not found.");
    let _ = cli(&server, &["instances", "terminate-all", "sleeper"]).printed();
    server.v4().wait_for("sleeper/instances/c", "terminated");
    let _ = cli(&server, &["delete", "sleeper"]).printed();
    // Without instances it is not known any more.
    assert_eq!(cli(&server, &["describe", "sleeper"]).code, Some(1));
}

#[test]
fn the_api_tells_an_unknown_workflow_from_one_that_is_gone() {
    let state = tempfile::tempdir().unwrap();
    let server = without_sleeper(state.path()).start();
    for (api, unknown, instance) in [
        (
            server.v4(),
            (10200, "workflows.api.error.workflow.not_found"),
            (10400, "workflows.api.error.instance.not_found"),
        ),
        (server.local_api(), (10501, "Workflow 'nothing' not found."), (10501, "Workflow instance 'none' not found.")),
    ] {
        for verb in ["pause", "resume", "restart", "terminate"] {
            api.patch("nothing/instances/a", json!({ "status": verb })).refused(404, unknown.0, unknown.1);
            api.patch("sleeper/instances/none", json!({ "status": verb })).refused(404, instance.0, instance.1);
        }
        api.post("nothing/instances/a/events/go", json!({})).refused(404, unknown.0, unknown.1);
        api.post("sleeper/instances/none/events/go", json!({})).refused(404, instance.0, instance.1);
        api.get("nothing/instances/a/subscribe").refused(404, unknown.0, unknown.1);
        let rollback = json!({ "status": "terminate", "rollback": true });
        api.patch("nothing/instances/a", rollback.clone()).refused(404, unknown.0, unknown.1);
        api.patch("sleeper/instances/none", rollback).refused(404, instance.0, instance.1);
    }
    let deleted =
        server.local_api().post("sleeper/instances/batch/delete", json!({ "instances": ["a", "none"] })).result();
    assert_eq!((&deleted["deleted"], deleted["errors"].as_array().map(Vec::len)), (&json!([{ "id": "a" }]), Some(1)));
    let restarted = server.v4().patch("sleeper/instances/b", json!({ "status": "restart" })).result();
    assert!(restarted["status"].is_string());
    let _ = server.stop();

    // What was asked of it happens when it is there again.
    let server = behaviours(&["Sleeper", "OneStep"]).persist(state.path()).start();
    server.v4().wait_for("sleeper/instances/b", "waiting");
    let statuses: Value = server.v4().result("sleeper")["instances"].take();
    assert_eq!(statuses, json!({ "waiting": 2 }));
}
