//! Following an instance to its end.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use insta::assert_snapshot;
use miniflow_tests::Server;
use serde_json::{Value, json};

use super::{behaviours, cli, command, in_2090, ran};

#[test]
fn what_happened_and_what_happens_is_told_to_the_end() {
    let server = in_2090(&behaviours(&["Flaky"]));
    let path = server.v4().create("flaky", "a", json!({ "fail": 1, "limit": 3, "delay": 86_400_000 }));
    server.v4().wait_for(&path, "waiting");
    let (following, mut lines) = follow(&server, "flaky");
    // It is there already when time goes on.
    let mut told: Vec<String> = lines.by_ref().take_while(|line| !line.ends_with("waiting")).collect();
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": 86_400_000 })).expect(200);
    told.extend(lines);
    assert_snapshot!(told.join("\n"), @r#"
    2090-01-01
    00:00:00.000  queued
    00:00:00.000  started with {"fail":1,"limit":3,"delay":86400000}
    00:00:00.000  running
    00:00:00.000  flaky-1  begins
    00:00:00.000  flaky-1  attempt 1 failed: Error: attempt 1 fails; the next in 1d
    2090-01-02
    00:00:00.000  running
    00:00:00.000  flaky-1  attempt 2
    00:00:00.000  flaky-1  done: 2
    00:00:00.000  complete: {"attempt":2}
    "#);
    let ended = following.wait_with_output().unwrap();
    let ended = ran(&ended);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn how_it_ended_is_the_exit_code() {
    let server = in_2090(&behaviours(&["RollbackOrder", "Sleeper", "OneStep"]));
    let path = server.v4().create("rollback-order", "a", json!({}));
    server.v4().wait_for(&path, "errored");
    let failed = cli(&server, &["instances", "follow", "rollback-order"]);
    assert_eq!(failed.code, Some(1));
    assert_snapshot!(failed.stdout + &failed.stderr, @r#"
    2090-01-01
    00:00:00.000  queued
    00:00:00.000  started with {}
    00:00:00.000  running
    00:00:00.000  a-1  begins
    00:00:00.000  a-1  done: {"step":"a","count":1,"attempt":1}
    00:00:00.000  b-1  begins
    00:00:00.000  b-1  done: {"step":"b","count":1,"attempt":1}
    00:00:00.000  c-1  begins
    00:00:00.000  c-1  done: {"step":"c","count":1,"attempt":1}
    00:00:00.000  plain-1  begins
    00:00:00.000  plain-1  done: 1
    00:00:00.000  d-1  begins
    00:00:00.000  d-1  attempt 1 failed: Error: d fails
    00:00:00.000  d-1  failed for good
    00:00:00.000  rolls back: Error: d fails
    00:00:00.000  d-1  is undone
    00:00:00.000  d-1  has been undone
    00:00:00.000  c-1  is undone
    00:00:00.000  c-1  has been undone
    00:00:00.000  b-1  is undone
    00:00:00.000  b-1  has been undone
    00:00:00.000  a-1  is undone
    00:00:00.000  a-1  has been undone
    00:00:00.000  rolled back
    00:00:00.000  errored: Error: d fails
    error: instance "a" of workflow "rollback-order" errored
    "#);

    let path = server.v4().create("sleeper", "b", json!({ "duration": "1 day" }));
    server.v4().wait_for(&path, "waiting");
    let _ = server.v4().patch(&path, json!({ "status": "terminate" })).result();
    let terminated = cli(&server, &["instances", "follow", "sleeper", "b"]);
    assert_eq!(terminated.code, Some(1));
    assert_snapshot!(terminated.stderr, @r#"error: instance "b" of workflow "sleeper" was terminated"#);
    assert_snapshot!(cli(&server, &["instances", "follow", "sleeper", "c"]).refused(), @r#"
    error: workflow "sleeper" has no instance "c"
      hint: `miniflow workflows instances list sleeper` lists them; `latest` is the newest
    "#);
}

#[test]
fn an_instance_is_started_and_followed() {
    let server = in_2090(&behaviours(&["OneStep"]));
    let told = cli(&server, &["trigger", "one-step", "--id", "a", "--follow"]).printed();
    assert!(told.starts_with("started instance \"a\" of workflow \"one-step\"; it is "), "{told}");
    assert!(told.ends_with("complete: {\"count\":1}\n"), "{told}");
    // One event a line.
    let events: Vec<Value> = cli(&server, &["trigger", "one-step", "--id", "b", "--follow", "--json"])
        .printed()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((types.first(), types.last()), (Some(&"workflow_queued"), Some(&"workflow_completed")));
    assert!(events.iter().all(|event| event["instanceId"] == "b"));
}

#[test]
fn a_server_that_stops_meanwhile_is_told_from_an_end() {
    let server = in_2090(&behaviours(&["Sleeper"]));
    let path = server.v4().create("sleeper", "a", json!({ "duration": "1 day" }));
    server.v4().wait_for(&path, "waiting");
    let (following, mut lines) = follow(&server, "sleeper");
    assert!(lines.any(|line| line.ends_with("waiting")));
    server.kill();
    assert_eq!(lines.next(), None);
    let ended = ran(&following.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("error: the server on port "), "{}", ended.stderr);
}

/// Follows the newest instance of a workflow, line by line.
fn follow(server: &Server, workflow: &str) -> (std::process::Child, impl Iterator<Item = String> + use<>) {
    let folder = tempfile::tempdir().unwrap();
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let arguments = ["instances", "follow", workflow, "--port", &port];
    let mut following =
        command(folder.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    (following, lines)
}
