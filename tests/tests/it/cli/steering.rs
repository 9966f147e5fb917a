//! Commands that change something.

use insta::assert_snapshot;
use miniflow_tests::{Dev, Server};
use serde_json::{Value, json};

use super::{behaviours, cli, in_2090};

fn sleeping(server: &Server, id: &str) {
    let path = server.v4().create("sleeper", id, json!({ "duration": "1 day" }));
    server.v4().wait_for(&path, "waiting");
}

fn status(server: &Server, path: &str) -> Value {
    server.v4().result(path)["status"].take()
}

// rules: S1
#[test]
fn an_instance_is_of_the_same_kind_whoever_has_started_it() {
    let mut workflow = miniflow_tests::bound("OneStep");
    workflow["schedules"] = json!("*/5 * * * *");
    let dev = Dev::guest("behaviours").config(json!({ "name": "shop", "workflows": [workflow] }));
    let server = dev.args(["--time", "manual"]).start();
    let _ = server.workflow("ONE_STEP").create("by-code", json!({}));
    let _ = server.v4().create("one-step", "by-the-api", json!({}));
    let _ = cli(&server, &["trigger", "one-step", "--id", "by-hand"]).printed();
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": 300_000 })).expect(200);
    let listed = server.v4().result("one-step/instances");
    let made = listed.as_array().unwrap().iter().filter_map(|row| row["id"].as_str()).find(|id| id.starts_with("*/5"));
    let by_schedule = made.unwrap().replace('/', "%2F").replace(' ', "%20");
    let ended = |id: &str| server.v4().wait_for(&format!("one-step/instances/{id}"), "complete");
    let first = ended("by-code");
    for (id, source) in [("by-code", "binding"), ("by-the-api", "api"), ("by-hand", "api"), (&by_schedule, "cron")] {
        let details = ended(id);
        assert_eq!(details["trigger"]["source"], source, "{details:#}");
        for same in ["params", "output", "versionId", "success"] {
            assert_eq!(details[same], first[same], "{id}: {same}");
        }
        let steps = |of: &Value| {
            of["steps"].as_array().map(|steps| steps.iter().map(|step| step["name"].clone()).collect::<Vec<_>>())
        };
        assert_eq!(steps(&details), steps(&first), "{id}");
    }
}

// rules: A168, C4.5-2, S40
#[test]
fn an_instance_is_started_with_params_and_all_of_a_workflow_are_removed() {
    let server = in_2090(&behaviours(&["OneStep", "Sleeper"]));
    let said = cli(&server, &["trigger", "one-step", r#"{"n": 7, "name": "ä"}"#, "--id", "a"]).printed();
    let started = "started instance \"a\" of workflow \"one-step\"; it is ";
    assert!(said.starts_with(started), "{said}");
    let details = server.v4().wait_for("one-step/instances/a", "complete");
    assert_eq!(details["params"], json!({ "n": 7, "name": "ä" }));
    assert_eq!(details["trigger"], json!({ "source": "api" }));

    let made: Value = serde_json::from_str(&cli(&server, &["trigger", "one-step", "--json"]).printed()).unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(id.len(), 36, "a random one: {id}");
    assert_eq!(server.v4().result(&format!("one-step/instances/{id}"))["params"], json!({}));
    // wrangler's default, and what takes no quotes.
    for (params, expected) in [("", json!({})), ("[1]", json!([1])), ("null", Value::Null), ("\"x\"", json!("x"))] {
        let made: Value =
            serde_json::from_str(&cli(&server, &["trigger", "one-step", params, "--json"]).printed()).unwrap();
        assert_eq!(
            server.v4().result(&format!("one-step/instances/{}", made["id"].as_str().unwrap()))["params"],
            expected
        );
    }
    assert_snapshot!(cli(&server, &["trigger", "one-step", "--id", "a"]).refused(), @"error: (instance.already_exists) Instance already exists");
    assert_snapshot!(cli(&server, &["delete", "one-step"]).printed(), @r#"removed all instances of workflow "one-step""#);
    assert_eq!(server.v4().result("one-step/instances"), json!([]));
}

#[test]
fn params_that_are_no_json_are_shown_with_the_place() {
    let server = in_2090(&behaviours(&["Sleeper"]));
    let ran = cli(&server, &["trigger", "sleeper", r#"{"a": 1 "b": 2}"#]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_snapshot!(ran.stderr, @r#"
    error: invalid value '{"a": 1 "b": 2}' for '[PARAMS]': it is not JSON: expected `,` or `}` at line 1 column 9
        {"a": 1 "b": 2}
                ^

    For more information, try '--help'.
    "#);
    let ran = cli(&server, &["instances", "send-event", "sleeper", "a", "--type", "go", "--payload", "hello"]);
    assert_eq!(ran.code, Some(2));
    assert_snapshot!(ran.stderr, @r#"
    error: invalid value 'hello' for '--payload <JSON>': it is not JSON: expected value at line 1 column 1
        hello
        ^
      hint: a text has quotes of its own: '"text"'

    For more information, try '--help'.
    "#);
    assert_eq!(server.v4().result("sleeper/instances"), json!([]));
}

// rules: A163, S40
#[test]
fn an_instance_is_paused_resumed_and_restarted() {
    let server = in_2090(&behaviours(&["Sleeper"]));
    sleeping(&server, "a");
    let said = cli(&server, &["instances", "pause", "sleeper", "a"]).printed();
    // It may have to be waited for.
    assert!(said.starts_with("paused instance \"a\" of workflow \"sleeper\"; it is "), "{said}");
    server.v4().wait_for("sleeper/instances/a", "paused");
    let said = cli(&server, &["instances", "resume", "sleeper", "latest", "--json"]).printed();
    assert!(serde_json::from_str::<Value>(&said).unwrap()["status"].is_string(), "{said}");
    server.v4().wait_for("sleeper/instances/a", "waiting");
    let said = cli(&server, &["instances", "restart", "sleeper", "a"]).printed();
    assert!(said.starts_with("restarted instance \"a\" of workflow \"sleeper\"; it is "), "{said}");
    server.v4().wait_for("sleeper/instances/a", "waiting");
}

// rules: A163
#[test]
fn an_event_is_sent() {
    let server = in_2090(&behaviours(&["EventWaiter"]));
    for id in ["a", "b"] {
        let path = server.v4().create("event-waiter", id, json!({ "type": "go", "timeout": "1 hour" }));
        server.v4().wait_for(&path, "waiting");
    }
    let send = |id: &str, more: &[&str]| {
        cli(&server, &[&["instances", "send-event", "event-waiter", id, "--type", "go"], more].concat())
    };
    assert_snapshot!(send("a", &["--payload", r#"{"by": "card"}"#]).printed(), @r#"sent event "go" with {"by": "card"} to instance "a" of workflow "event-waiter""#);
    assert_snapshot!(send("b", &[]).printed(), @r#"sent event "go" to instance "b" of workflow "event-waiter""#);
    let steps = |id: &str| {
        server.v4().wait_for(&format!("event-waiter/instances/{id}"), "complete")["steps"][1]["output"].take()
    };
    assert_eq!((steps("a"), steps("b")), (json!(r#"{"by": "card"}"#), json!("{}")));
    assert_snapshot!(send("a", &[]).refused(), @"error: (instance.cannot_send_event) Instance is complete");
    assert_eq!(cli(&server, &["instances", "send-event", "event-waiter", "a"]).code, Some(2), "a type is needed");
}

// rules: A163, A164
#[test]
fn an_instance_is_terminated_also_after_its_steps_are_undone() {
    let server = in_2090(&behaviours(&["Sleeper", "RollbackHold"]));
    sleeping(&server, "a");
    assert_snapshot!(cli(&server, &["instances", "terminate", "sleeper", "a"]).printed(), @r#"terminated instance "a" of workflow "sleeper"; it is terminated now"#);
    assert_eq!(status(&server, "sleeper/instances/a"), "terminated");
    assert_snapshot!(cli(&server, &["instances", "terminate", "sleeper", "a"]).refused(), @"error: (instance.cannot_terminate) Cannot terminate instance since its on a finite state");

    let path = server.v4().create("rollback-hold", "b", json!({}));
    server.v4().wait_for(&path, "waiting");
    let said = cli(&server, &["instances", "terminate", "rollback-hold", "latest", "--rollback"]).printed();
    let begun = "terminated, with rollback, instance \"b\" of workflow \"rollback-hold\"; it is ";
    assert!(said.starts_with(begun), "{said}");
    let details = server.v4().wait_for(&path, "terminated");
    assert_eq!(details["rollback"]["outcome"], "complete");
}

// rules: A167
#[test]
fn all_instances_are_terminated() {
    let server = in_2090(&behaviours(&["Sleeper"]));
    for id in ["a", "b", "c"] {
        sleeping(&server, id);
    }
    let _ = server.v4().patch("sleeper/instances/c", json!({ "status": "pause" })).result();
    server.v4().wait_for("sleeper/instances/c", "paused");
    let said = cli(&server, &["instances", "terminate-all", "sleeper", "--status", "paused"]).printed();
    assert_snapshot!(said, @r#"terminating the paused instances of workflow "sleeper" has begun"#);
    server.v4().wait_for("sleeper/instances/c", "terminated");
    assert_eq!(status(&server, "sleeper/instances/a"), "waiting");
    assert_snapshot!(cli(&server, &["instances", "terminate-all", "sleeper"]).printed(), @r#"terminating the instances of workflow "sleeper" has begun"#);
    for id in ["a", "b"] {
        server.v4().wait_for(&format!("sleeper/instances/{id}"), "terminated");
    }
    assert_eq!(cli(&server, &["instances", "terminate-all", "sleeper", "--status", "complete"]).code, Some(2));
}

// rules: A165
#[test]
fn several_instances_are_deleted_also_from_a_file() {
    let server = in_2090(&behaviours(&["Sleeper"]));
    let cron = "*/5 * * * *-1786599900000";
    for id in ["a", "b", "c", "d"] {
        sleeping(&server, id);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let delete = |arguments: &[&str]| cli(&server, &[&["instances", "delete", "sleeper"], arguments].concat());
    assert_snapshot!(delete(&["a", "--filename", &file("ids.json", r#"["b"]"#)]).printed(), @r#"deleted "a", "b" of workflow "sleeper""#);
    // The newest twice, and one that does not exist: what could be deleted is gone.
    let ran = delete(&["latest", cron, "latest"]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(ran.stdout + &ran.stderr, @r#"
    deleted "d" of workflow "sleeper"
    error: instance "*/5 * * * *-1786599900000" was not deleted: there is none
    "#);
    let left = server.v4().result("sleeper/instances");
    assert_eq!((left.as_array().unwrap().len(), &left[0]["id"]), (1, &json!("c")));

    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let many = file("many.json", &json!(many).to_string());
    let wrong = file("wrong.json", r#"{"ids": []}"#);
    for (arguments, code, expected) in [
        (&[][..], 2, "required arguments were not provided"),
        (&["--filename", &file("none.json", "[]")], 1, "no ids are given"),
        (&["--filename", &many], 1, "101 instances are too many: at most 100"),
        (&["--filename", &wrong], 1, "does not hold a JSON array of ids"),
        (&["--filename", "nowhere.json"], 1, "cannot be read"),
    ] {
        let ran = delete(arguments);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    assert_eq!(server.v4().result("sleeper/instances").as_array().unwrap().len(), 1);
}

// rules: A166
#[test]
fn an_instance_is_restarted_from_a_step() {
    let server = in_2090(&behaviours(&["ManySteps"]));
    server.v4().create("many-steps", "a", json!({ "n": 3 }));
    server.v4().wait_for("many-steps/instances/a", "complete");
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": 60_000 })).expect(200);
    let restart =
        |arguments: &[&str]| cli(&server, &[&["instances", "restart", "many-steps", "a"], arguments].concat());
    let said = restart(&["--from-step-name", "step-2", "--from-step-count", "1", "--from-step-type", "do"]).printed();
    assert!(said.starts_with("restarted instance \"a\" of workflow \"many-steps\"; it is "), "{said}");
    let details = server.v4().wait_for("many-steps/instances/a", "complete");
    let starts: Vec<_> =
        details["steps"].as_array().unwrap().iter().map(|step| step["start"].as_str().unwrap()).collect();
    let (before, after) = ("2090-01-01T00:00:00.000Z", "2090-01-01T00:01:00.000Z");
    assert_eq!(starts, [before, after, after], "the first is kept");
    assert_snapshot!(restart(&["--from-step-name", "step-9"]).refused(), @r#"error: (instance.cannot_restart) Step "step-9" not found in execution history"#);
    for wrong in [
        &["--from-step-count", "1"][..],
        &["--from-step-type", "do"],
        &["--from-step-name", "step-2", "--from-step-count", "0"],
    ] {
        assert_eq!(restart(wrong).code, Some(2), "{wrong:?}");
    }
}
