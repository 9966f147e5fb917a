//! Looking at workflows and instances of a server.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{behaviours, cli, in_2090, without_version};

// rules: A161
#[test]
fn workflows_are_listed_with_their_instances() {
    let server = in_2090(&behaviours(&["OneStep", "Sleeper"]));
    assert_snapshot!(cli(&server, &["list"]).printed(), @"
    NAME      CLASS    WORKER  INSTANCES
    one-step  OneStep  shop    0
    sleeper   Sleeper  shop    0
    ");
    server.v4().create("sleeper", "a", json!({ "duration": "1 day" }));
    server.v4().wait_for("sleeper/instances/a", "waiting");
    for id in ["b", "c"] {
        let path = server.v4().create("one-step", id, json!({}));
        server.v4().wait_for(&path, "complete");
    }
    assert_snapshot!(cli(&server, &["list"]).printed(), @"
    NAME      CLASS    WORKER  INSTANCES
    one-step  OneStep  shop    2: 2 complete
    sleeper   Sleeper  shop    1: 1 waiting
    ");
    assert_snapshot!(cli(&server, &["list", "--page", "2", "--per-page", "1"]).printed(), @"
    NAME     CLASS    WORKER  INSTANCES
    sleeper  Sleeper  shop    1: 1 waiting
    ");
    assert_snapshot!(cli(&server, &["list", "--page", "3"]).printed(), @"no workflows on page 3");
    let listed: Value = serde_json::from_str(&cli(&server, &["list", "--json"]).printed()).unwrap();
    assert_eq!(listed, server.local_api().result(""));
    assert_snapshot!(without_version(&cli(&server, &["describe", "one-step"]).printed()), @"
    name          one-step
    class         OneStep
    worker        shop
    seen since    …
    last started  2090-01-01T00:00:00.000Z
    instances     2
      complete    2
    ");
}

// rules: A161, S40
#[test]
fn instances_are_listed_newest_first() {
    let server = in_2090(&behaviours(&["OneStep", "Sleeper"]));
    assert_snapshot!(cli(&server, &["instances", "list", "sleeper"]).printed(), @r#"no instances of workflow "sleeper"; `miniflow workflows trigger sleeper` starts one"#);
    for id in ["a", "b", "c"] {
        let path = server.v4().create("sleeper", id, json!({ "duration": "1 day" }));
        server.v4().wait_for(&path, "waiting");
    }
    let _ = server.v4().patch("sleeper/instances/b", json!({ "status": "terminate" })).result();
    assert_snapshot!(cli(&server, &["instances", "list", "sleeper"]).printed(), @"
    INSTANCE ID  STATUS      CREATED                   STARTED                   ENDED                     TRIGGER
    c            waiting     2090-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z  -                         api
    b            terminated  2090-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z  api
    a            waiting     2090-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z  -                         api
    in all 3: 1 terminated, 2 waiting
    ");
    assert_snapshot!(cli(&server, &["instances", "list", "sleeper", "--reverse", "--per-page", "2"]).printed(), @"
    INSTANCE ID  STATUS      CREATED                   STARTED                   ENDED                     TRIGGER
    a            waiting     2090-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z  -                         api
    b            terminated  2090-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z  api
    page 1 of 2, 3 match; in all 3: 1 terminated, 2 waiting
    ");
    assert_snapshot!(cli(&server, &["instances", "list", "sleeper", "--page", "2"]).printed(), @r#"no instances on page 2 of workflow "sleeper", which has 1"#);
    let ids = |arguments: &[&str]| -> Vec<String> {
        let arguments = [&["instances", "list", "sleeper", "--json"], arguments].concat();
        let listed: Vec<Value> = serde_json::from_str(&cli(&server, &arguments).printed()).unwrap();
        listed.iter().map(|listed| listed["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&[]), ["c", "b", "a"]);
    assert_eq!(ids(&["--reverse"]), ["a", "b", "c"]);
    assert_eq!(ids(&["--status", "terminated"]), ["b"]);
    assert_eq!(ids(&["--page", "2", "--per-page", "2"]), ["a"]);
    // A day is all of it.
    assert_eq!(ids(&["--date-start", "2090-01-01", "--date-end", "2090-01-01"]).len(), 3);
    assert_eq!(ids(&["--date-end", "2089-12-31"]), [""; 0]);
}

// rules: A162
#[test]
fn an_instance_is_described_by_its_id_or_as_the_latest() {
    let server = in_2090(&behaviours(&["EventWaiter"]));
    server.v4().create("event-waiter", "old", json!({ "type": "go", "timeout": "1 hour" }));
    let path = server.v4().create("event-waiter", "new", json!({ "type": "go", "timeout": "1 hour" }));
    server.v4().wait_for(&path, "waiting");
    let _ = server.v4().post(&format!("{path}/events/early"), json!({ "n": 1 })).result();
    let described = cli(&server, &["instances", "describe", "event-waiter", "new"]).printed();
    assert_snapshot!(without_version(&described), @r#"
    instance      new
    workflow      event-waiter
    status        waiting
    next wake-up  2090-01-01T01:00:00.000Z (in 1h)
    trigger       api
    version       …
    queued        2090-01-01T00:00:00.000Z
    started       2090-01-01T00:00:00.000Z
    params        {"type":"go","timeout":"1 hour"}

    steps: 2, 1 of them open
      +0ms  before-1  step  done in 0ms
              output  1
      +0ms  wait-1    wait  waits for "go" until 2090-01-01T01:00:00.000Z (in 1h)

    events that no step has waited for yet
      2090-01-01T00:00:00.000Z  "early"  {"n":1}
    "#);
    for latest in [&["instances", "describe", "event-waiter"][..], &["instances", "describe", "event-waiter", "latest"]]
    {
        assert_eq!(cli(&server, latest).printed(), described);
    }
    let json = cli(&server, &["instances", "describe", "event-waiter", "--json"]).printed();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), server.local_api().result("event-waiter/instances/new"));
    let _ = server.v4().post(&format!("{path}/events/go"), json!({})).result();
    server.v4().wait_for(&path, "complete");
    let described = cli(&server, &["instances", "describe", "event-waiter", "new"]).printed();
    assert_snapshot!(without_version(&described), @r#"
    instance      new
    workflow      event-waiter
    status        complete
    trigger       api
    version       …
    queued        2090-01-01T00:00:00.000Z
    started       2090-01-01T00:00:00.000Z
    ended         2090-01-01T00:00:00.000Z
    took          0ms
    kept until    2090-01-08T00:00:00.000Z
    params        {"type":"go","timeout":"1 hour"}
    output        {"payload":{},"type":"go","timestamp":3786912000000}

    steps: 2
      +0ms  before-1  step  done in 0ms
              output  1
      +0ms  wait-1    wait  got its event after 0ms
              output  {"type":"go","payload":{},"timestamp":"2090-01-01T00:00:00.000Z"}

    events that no step has waited for yet
      2090-01-01T00:00:00.000Z  "early"  {"n":1}
    "#);
    let described = cli(&server, &["instances", "describe", "event-waiter", "new", "--no-step-output"]).printed();
    assert!(!described.contains("            output"), "{described}");
}

// rules: A162
#[test]
fn a_step_that_is_tried_again_is_shown_with_its_attempts_and_their_delays() {
    let server = in_2090(&behaviours(&["Flaky"]));
    let path = server.v4().create("flaky", "a", json!({ "fail": 2, "limit": 3, "delay": 86_400_000 }));
    server.v4().wait_for(&path, "waiting");
    let advance = |ms: u64| server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": ms })).expect(200);
    let described = cli(&server, &["instances", "describe", "flaky"]).printed();
    assert_snapshot!(without_version(&described), @r#"
    instance      a
    workflow      flaky
    status        waiting
    next wake-up  2090-01-02T00:00:00.000Z (in 1d)
    trigger       api
    version       …
    queued        2090-01-01T00:00:00.000Z
    started       2090-01-01T00:00:00.000Z
    params        {"fail":2,"limit":3,"delay":86400000}

    steps: 1, 1 of them open
      +0ms  flaky-1  step  to be tried again: attempt 1 of 4
              attempt 1  failed in 0ms: Error: attempt 1 fails; the next at 2090-01-02T00:00:00.000Z (in 1d)
    "#);
    let _ = advance(4 * 86_400_000);
    server.v4().wait_for(&path, "complete");
    let described = cli(&server, &["instances", "describe", "flaky"]).printed();
    assert_snapshot!(without_version(&described), @r#"
    instance      a
    workflow      flaky
    status        complete
    trigger       api
    version       …
    queued        2090-01-01T00:00:00.000Z
    started       2090-01-01T00:00:00.000Z
    ended         2090-01-04T00:00:00.000Z
    took          3d
    kept until    2090-01-11T00:00:00.000Z
    params        {"fail":2,"limit":3,"delay":86400000}
    output        {"attempt":3}

    steps: 1
      +0ms  flaky-1  step  done in 3d
              output  3
              attempt 1  failed in 0ms: Error: attempt 1 fails; the next after 1d
              attempt 2  failed in 0ms: Error: attempt 2 fails; the next after 2d
              attempt 3  done in 0ms
    "#);
}

#[test]
fn compensations_are_shown_with_what_they_undo() {
    let server = in_2090(&behaviours(&["RollbackOrder"]));
    let path = server.v4().create("rollback-order", "a", json!({}));
    server.v4().wait_for(&path, "errored");
    let described = cli(&server, &["instances", "describe", "rollback-order"]).printed();
    assert_snapshot!(without_version(&described), @r#"
    instance      a
    workflow      rollback-order
    status        errored
    trigger       api
    version       …
    queued        2090-01-01T00:00:00.000Z
    started       2090-01-01T00:00:00.000Z
    ended         2090-01-01T00:00:00.000Z
    took          0ms
    kept until    2090-01-08T00:00:00.000Z
    params        {}
    error         Error: d fails
    rollback      complete

    steps: 9
      +0ms  a-1      step      done in 0ms, can be undone
              output  {"step":"a","count":1,"attempt":1}
      +0ms  b-1      step      done in 0ms, can be undone
              output  {"step":"b","count":1,"attempt":1}
      +0ms  c-1      step      done in 0ms, can be undone
              output  {"step":"c","count":1,"attempt":1}
      +0ms  plain-1  step      done in 0ms
              output  1
      +0ms  d-1      step      failed in 0ms
              attempt 1  failed in 0ms: Error: d fails
      +0ms  d-1      rollback  done in 0ms
      +0ms  c-1      rollback  done in 0ms
      +0ms  b-1      rollback  done in 0ms
      +0ms  a-1      rollback  done in 0ms
    "#);
}

#[test]
fn what_is_not_there_is_named_with_what_was_probably_meant() {
    let server = in_2090(&behaviours(&["OneStep", "Sleeper"]));
    for id in ["order-17", "order-18", "order-19", "invoice-1"] {
        let path = server.v4().create("one-step", id, json!({}));
        server.v4().wait_for(&path, "complete");
    }
    let refused = |arguments: &[&str]| cli(&server, arguments).refused();
    assert_snapshot!(refused(&["describe", "one-stp"]), @r#"
    error: there is no workflow "one-stp"
      hint: did you mean "one-step"?
    "#);
    assert_snapshot!(refused(&["instances", "list", "payments"]), @r#"
    error: there is no workflow "payments"
      hint: there are: one-step, sleeper
    "#);
    assert_snapshot!(refused(&["instances", "describe", "onestep", "order-17"]), @r#"
    error: there is no workflow "onestep"
      hint: did you mean "one-step"?
    "#);
    assert_snapshot!(refused(&["instances", "describe", "one-step", "invoice-11"]), @r#"
    error: workflow "one-step" has no instance "invoice-11"
      hint: did you mean "invoice-1"?
    "#);
    assert_snapshot!(refused(&["instances", "describe", "one-step", "order"]), @r#"
    error: workflow "one-step" has no instance "order"
      hint: did you mean one of "order-19", "order-18", "order-17"?
    "#);
    assert_snapshot!(refused(&["instances", "pause", "one-step", "payment"]), @r#"
    error: workflow "one-step" has no instance "payment"
      hint: `miniflow workflows instances list one-step` lists them; `latest` is the newest
    "#);
    assert_snapshot!(refused(&["instances", "describe", "sleeper"]), @r#"
    error: there are no instances of workflow "sleeper"
      hint: `miniflow workflows trigger sleeper` starts one
    "#);
    assert_snapshot!(refused(&["instances", "describe", "sleeper", "a"]), @r#"
    error: workflow "sleeper" has no instance "a"
      hint: it has none; `miniflow workflows trigger sleeper` starts one
    "#);
    assert_snapshot!(refused(&["trigger", "slepeer"]), @r#"
    error: there is no workflow "slepeer"
      hint: did you mean "sleeper"?
    "#);
}

#[test]
fn a_step_that_another_asks_for_is_indented() {
    let server = in_2090(&behaviours(&["NestedStep"]));
    let path = server.v4().create("nested-step", "a", json!({}));
    server.v4().wait_for(&path, "complete");
    let described = cli(&server, &["instances", "describe", "nested-step"]).printed();
    let (_, steps) = described.split_once("\n\n").unwrap();
    assert_snapshot!(steps, @"
    steps: 2
      +0ms  outer-1    step  done in 0ms
              output  1
      +0ms    inner-1  step  done in 0ms
              output  1
    ");
}
