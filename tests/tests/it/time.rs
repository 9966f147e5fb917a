//! The clock of a server that runs is moved from outside.

use std::process::Output;

use miniflow_tests::{Dev, Server, Sink};
use serde_json::{Value, json};

use crate::crons::start_at;

const TIME: &str = "/cdn-cgi/local/miniflow/time";
const DAY_MS: u64 = 24 * 3_600_000;

fn behaviours(mode: &str) -> Server {
    Dev::guest("behaviours").args(["--time", mode]).start()
}

fn time(server: &Server, command: &Value) -> Value {
    server.post(TIME, command.clone()).expect(200).json()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn days_of_sleep_pass_at_once_and_the_answer_comes_when_they_have() {
    let (server, sink) = (behaviours("manual"), Sink::start());
    let instance = server.workflow("SLEEPER").create("a", json!({ "sink": sink.url(), "ms": 3 * DAY_MS }));
    instance.wait_for("waiting");
    let before = time(&server, &json!({ "advance": 2 * DAY_MS }));
    assert_eq!(before["moved"]["due"], json!([]));
    assert_eq!(instance.status()["status"], "waiting");
    let moved = time(&server, &json!({ "advance": DAY_MS }));
    let due = moved["moved"]["due"].as_array().unwrap();
    assert_eq!(due.len(), 1, "{moved}");
    assert!(due[0]["what"].as_str().unwrap().starts_with("sleeper/a sleep "), "{moved}");
    // Nobody waits for it: what was due has happened before the answer.
    let status = instance.status();
    assert_eq!(status["status"], "complete");
    // The guest reads the same clock.
    let slept = status["output"]["after"].as_f64().unwrap() - status["output"]["before"].as_f64().unwrap();
    assert!((slept - (3 * DAY_MS) as f64).abs() < 1000.0, "{slept}");
}

#[test]
fn idle_time_is_skipped_by_itself() {
    let (server, sink) = (behaviours("skip"), Sink::start());
    server.wait_for_line("time       skip");
    let instance = server.workflow("SLEEPER").create("a", json!({ "sink": sink.url(), "ms": 3 * DAY_MS }));
    instance.wait_for("complete");
    server.wait_for_line("skipped, it is");
}

#[test]
fn a_faster_clock_is_a_mode_too() {
    // Half an hour in three seconds. Much faster, a step would have timed out before a busy machine has come to it.
    let (server, sink) = (behaviours("x600"), Sink::start());
    let instance = server.workflow("SLEEPER").create("a", json!({ "sink": sink.url(), "ms": 30 * 60 * 1000 }));
    instance.wait_for("complete");
}

#[test]
fn the_command_line_shows_and_moves_the_clock() {
    let (server, sink) = (behaviours("manual"), Sink::start());
    let said = stdout(&server.command("time", &[]));
    assert!(said.contains("(manual)\nnext  nothing is to come\n"), "{said}");
    let instance = server.workflow("SLEEPER").create("a", json!({ "sink": sink.url(), "ms": DAY_MS }));
    instance.wait_for("waiting");
    let said = stdout(&server.command("time", &["next"]));
    assert!(said.contains("sleeper/a sleep "), "{said}");
    assert_eq!(instance.status()["status"], "complete");
    let said = stdout(&server.command("time", &["advance", "1h30m"]));
    assert!(said.starts_with("nothing came due\nnow   ") && said.contains("1d 1h ahead"), "{said}");
    let said: Value = serde_json::from_str(&stdout(&server.command("time", &["set", "2090-01-01", "--json"]))).unwrap();
    assert_eq!(said["now"]["iso"], "2090-01-01T00:00:00.000Z");
    let said = stdout(&server.command("time", &["mode", "real"]));
    assert!(said.contains("(real, "), "{said}");
}

#[test]
fn what_fired_is_listed_and_has_come_to_its_end_when_a_command_returns() {
    let workflows = json!([
        { "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep", "schedules": "0 * * * *" },
        { "name": "sleeper", "binding": "SLEEPER", "class_name": "Sleeper" },
    ]);
    let config = json!({ "name": "w", "triggers": { "crons": ["30 * * * *"] }, "workflows": workflows });
    let sink = Sink::start();
    // 2096-01-01, half a minute before an hour.
    let server = start_at(&Dev::guest("behaviours").config(config), 3_976_214_370_000);
    let sleeper = server.workflow("SLEEPER").create("a", json!({ "sink": sink.url(), "ms": 60_000 }));
    sleeper.wait_for("waiting");
    let statuses = || {
        let rows = server.local_api().get("one-step/instances").expect(200).json();
        let rows = rows["result"].as_array().unwrap().clone();
        rows.iter().map(|row| row["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let said = stdout(&server.command("time", &["next"]));
    let made = "2096-01-01T00:00:00.000Z  one-step/0 * * * *-3976214400000 is made by its schedule\n";
    assert!(said.starts_with(made), "{said}");
    assert_eq!(statuses(), ["complete"]);
    let said = stdout(&server.command("time", &["advance", "1h"]));
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("2096-01-01T00:00:30.000Z  sleeper/a sleep "), "{said}");
    assert_eq!(lines[1], "2096-01-01T00:30:00.000Z  trigger `30 * * * *` of the Worker w fires", "{said}");
    let made = "2096-01-01T01:00:00.000Z  one-step/0 * * * *-3976218000000 is made by its schedule";
    assert_eq!((lines[2], lines.len()), (made, 5), "{said}");
    assert_eq!((sleeper.status()["status"].as_str(), statuses()), (Some("complete"), vec!["complete".to_owned(); 2]));
    let outcomes = server.get("/cdn-cgi/local/miniflow/cron").expect(200).json()["outcomes"].clone();
    let of_trigger: Vec<_> =
        outcomes.as_array().unwrap().iter().filter(|outcome| outcome["cron"] == "30 * * * *").collect();
    assert_eq!((of_trigger.len(), &of_trigger[0]["outcome"]), (1, &json!("ok")), "the handler has returned");
}

#[test]
fn what_cannot_be_done_is_one_error_with_a_hint() {
    let server = behaviours("manual");
    let refused = |arguments: &[&str], code: i32, parts: &[&str]| {
        let output = server.command("time", arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        for part in parts {
            assert!(text.contains(part), "`{part}` is missing in {text}");
        }
    };
    refused(&["next"], 1, &["error: nothing is to come", "hint: "]);
    refused(&["set", "2001-01-01"], 1, &["error: that moment has passed", "hint: the clock says 20"]);
    refused(&["mode", "backwards"], 1, &["`backwards` is no way for time to pass"]);
    refused(&["advance", "soon"], 2, &["not a duration, such as `90s`"]);
    refused(&["set", "someday"], 2, &["not a moment, such as `2027-01-01`"]);
    refused(&["reset"], 1, &["nobody is there to be asked", "hint: pass `--yes`"]);
    refused(&["advance", "99999999d"], 1, &["that is beyond the year 2499"]);
    for body in ["", "{", "[]", "{\"advance\": -1}", "{\"next\": false}", "{\"advance\": 1, \"next\": true}"] {
        let answer = server.post(TIME, body).expect(400).json();
        assert!(answer["error"].as_str().unwrap().starts_with("the body says nothing"), "{answer}");
    }
    // Nothing of it has moved the clock.
    assert!(server.get(TIME).expect(200).json()["offsetMs"].as_u64().unwrap() < 1000);
}

#[test]
fn time_goes_back_only_when_nothing_is_recorded() {
    let server = behaviours("real");
    time(&server, &json!({ "advance": DAY_MS }));
    let instance = server.workflow("ONE_STEP").create("a", ());
    instance.wait_for("complete");
    let refused = server.post(TIME, json!({ "reset": true })).expect(409).json();
    assert_eq!(refused["error"], "time cannot go back while instances are kept: 1 are");
    instance.delete();
    assert_eq!(time(&server, &json!({ "reset": true }))["offsetMs"], 0);
}

#[test]
fn a_kill_does_not_take_the_time_back() {
    let dev = Dev::guest("behaviours");
    let server = dev.start();
    let moved = time(&server, &json!({ "advance": 5 * DAY_MS }));
    server.kill();
    let server = dev.start();
    server.wait_for_line("5d ahead of the machine's");
    let now = server.get(TIME).expect(200).json();
    assert!(now["now"]["ms"].as_u64() >= moved["now"]["ms"].as_u64(), "{now} after {moved}");
    assert_eq!(now["mode"], "real");
}
