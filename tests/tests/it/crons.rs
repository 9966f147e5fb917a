//! Schedules and cron triggers fire by themselves, on a clock that is moved.

use miniflow_tests::{Dev, Server, eventually};
use serde_json::{Value, json};

const HOUR_MS: u64 = 3_600_000;

fn worker(more: &Value) -> Dev {
    let mut config = json!({
        "name": "ticking",
        "workflows": [
            { "name": "event-echo", "binding": "EVENT_ECHO", "class_name": "EventEcho" },
            { "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep", "schedules": ["*/5 * * * *"] },
        ],
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    Dev::guest("behaviours").config(config)
}

fn advance(server: &Server, ms: u64) -> Value {
    server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": ms })).expect(200).json()
}

fn ids(server: &Server) -> Vec<String> {
    let path = "/cdn-cgi/local/explorer/api/workflows/one-step/instances?per_page=100";
    let answer = server.get(path).expect(200).json();
    answer["result"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

// rules: S5, S12, C4.6-4
#[test]
fn a_schedule_makes_an_instance_at_each_of_its_moments() {
    let server = worker(&json!({})).args(["--time", "manual"]).start();
    server.wait_for_line("schedules  */5 * * * *  workflow one-step  20");
    advance(&server, HOUR_MS);
    let mut ids = ids(&server);
    ids.sort_unstable();
    assert_eq!(ids.len(), 12, "{ids:?}");
    let moments: Vec<u64> = ids.iter().map(|id| id.strip_prefix("*/5 * * * *-").unwrap().parse().unwrap()).collect();
    assert!(moments.windows(2).all(|pair| pair[1] - pair[0] == 300_000), "{moments:?}");
    assert!(moments.iter().all(|at| at % 300_000 == 0), "{moments:?}");
    let path = format!("/cdn-cgi/local/explorer/api/workflows/one-step/instances/*%2F5%20*%20*%20*%20*-{}", moments[0]);
    let details = server.get(&path).expect(200).json();
    assert_eq!(details["result"]["trigger"]["source"], "cron", "{details}");
    assert_eq!(details["result"]["status"], "complete", "it has run before the move is over");
}

#[test]
fn a_restart_between_two_moments_fires_neither_twice_nor_not_at_all() {
    let dev = worker(&json!({})).args(["--time", "manual"]);
    let server = dev.start();
    advance(&server, HOUR_MS);
    server.kill();
    let server = dev.start();
    advance(&server, HOUR_MS);
    assert_eq!(ids(&server).len(), 24);
}

#[test]
fn a_cron_trigger_calls_the_handler_and_the_clock_waits_for_it() {
    let triggers = json!({ "triggers": { "crons": ["0 * * * *"] } });
    let server = worker(&triggers).args(["--time", "manual"]).start();
    server.wait_for_line("0 * * * *    handler of ticking");
    advance(&server, HOUR_MS);
    let lines = server.lines_with("cron `0 * * * *` of ticking: ok");
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn firing_can_be_turned_off() {
    let dev = worker(&json!({})).args(["--time", "manual", "--no-cron"]);
    let server = dev.start();
    advance(&server, HOUR_MS);
    assert_eq!(ids(&server), Vec::<String>::new());
}

#[test]
fn what_was_missed_is_told_and_made_up_for_as_asked() {
    for (policy, expected) in [("none", 0), ("latest", 1), ("all", 12)] {
        let dev = worker(&json!({})).args(["--time", "manual"]);
        let server = dev.start();
        advance(&server, HOUR_MS);
        let before = ids(&server).len();
        let state = dev.state();
        drop(server);
        // A session in which nothing fires passes the moments.
        let server = worker(&json!({})).persist(&state).args(["--no-cron"]).start();
        advance(&server, HOUR_MS);
        assert_eq!(ids(&server).len(), before);
        drop(server);
        let server = worker(&json!({})).persist(&state).args(["--cron-catch-up", policy]).start();
        server.wait_for_line("missed     `*/5 * * * *` of workflow one-step: 12 times");
        // What is made up for is in the archive once it is committed, which nobody waits for at the start.
        eventually(&format!("{} instances by `{policy}`", before + expected), || {
            (ids(&server).len() == before + expected).then_some(())
        });
        advance(&server, 1);
        assert_eq!(ids(&server).len(), before + expected, "{policy}");
    }
}

#[test]
fn an_expression_that_is_none_is_refused_with_its_place() {
    let triggers = json!({ "triggers": { "crons": ["61 * * * *"] } });
    worker(&triggers)
        .refused()
        .assert_one_error(&["cron trigger of `ticking`: `61 * * * *` is not a cron expression", "(character 1)"]);
    let workflows = json!({ "workflows": [
        { "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep", "schedules": ["0 0 * * 0"] },
    ] });
    worker(&workflows)
        .refused()
        .assert_one_error(&["schedule of workflow `one-step`: `0 0 * * 0` is not", "(character 9)"]);
}

#[test]
fn a_session_has_a_hundred_schedules_at_most() {
    let of = |schedules: u32| {
        let many: Vec<_> = (0..schedules).map(|n| format!("{} {} * * *", n % 60, n / 60)).collect();
        let entry = json!({ "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep", "schedules": many });
        worker(&json!({ "workflows": [entry] }))
    };
    let fits = of(100).checked();
    assert_eq!(fits.code, Some(0), "{}", fits.text);
    of(101).refused().assert_one_error(&["have 101 schedules, and an account may have 100"]);
}
