//! `miniflow cron`: what fires by itself is listed, and fired by hand, on a server that runs.

use std::process::Output;

use miniflow_tests::{Dev, Server};
use serde_json::{Value, json};

use crate::crons::start_at;

const CRON: &str = "/cdn-cgi/local/miniflow/cron";
const TIME: &str = "/cdn-cgi/local/miniflow/time";

/// The 1st of January 2096, a Sunday, at 00:04:10.
const START_MS: u64 = 3_976_214_650_000;

/// Two Workers, of which the second has no handler. The clock stands still.
fn start(more: &[&str]) -> Server {
    let config = json!({
        "name": "ticking",
        "vars": { "GREETING": "hello" },
        "triggers": { "crons": ["*/5 * * * *", "0  9 * * MON-FRI"] },
        "workflows": [{
            "name": "event-echo", "binding": "EVENT_ECHO", "class_name": "EventEcho", "schedules": ["0 0 1 * *", "*/5 * * * *"],
        }],
    });
    let silent = json!({ "name": "silent", "triggers": { "crons": ["30 12 * * *"] } });
    let silent = Dev::example("hello").config(silent);
    let dev = Dev::guest("behaviours").config(config).beside(silent);
    start_at(&dev.args(more.iter().copied()), START_MS)
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json_of(server: &Server, arguments: &[&str]) -> Value {
    let arguments: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&stdout(&server.command("cron", &arguments))).unwrap()
}

/// Asserts that this is refused with one error and a hint.
#[track_caller]
fn refused(server: &Server, arguments: &[&str], code: i32, parts: &[&str]) {
    let output = server.command("cron", arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
}

// rules: B18
#[test]
fn what_fires_is_listed_with_its_next_five_times() {
    let server = start(&[]);
    let every_5 = "  next  2096-01-01 00:05, 00:10, 00:15, 00:20, 00:25 UTC\n";
    let expected = format!(
        "now   2096-01-01 00:04:10 UTC\n\n\
         0 0 1 * *  workflow event-echo\n  next  2096-02-01 00:00, 2096-03-01 00:00, 2096-04-01 00:00, 2096-05-01 00:00, 2096-06-01 00:00 UTC\n\n\
         */5 * * * *  workflow event-echo\n{every_5}\n\
         */5 * * * *  handler of ticking\n{every_5}\n\
         0  9 * * MON-FRI  handler of ticking\n  next  2096-01-02 09:00, 2096-01-03 09:00, 2096-01-04 09:00, 2096-01-05 09:00, 2096-01-06 09:00 UTC\n\n\
         30 12 * * *  handler of silent\n  next  2096-01-01 12:30, 2096-01-02 12:30, 2096-01-03 12:30, 2096-01-04 12:30, 2096-01-05 12:30 UTC\n"
    );
    assert_eq!(stdout(&server.command("cron", &["list"])), expected);
    assert_eq!(stdout(&server.command("cron", &[])), expected, "it is what is meant when nothing else is said");
    let _ = server.post(TIME, json!({ "advance": 8 * 60_000 })).expect(200);
    let text = stdout(&server.command("cron", &["list"]));
    let rest = text.split_once("*/5 * * * *  workflow event-echo\n").unwrap().1;
    let made = "  last  2096-01-01 00:10:00 UTC  made instance `*/5 * * * *-3976215000000`\n";
    let times = "  next  2096-01-01 00:15, 00:20, 00:25, 00:30, 00:35 UTC\n";
    assert!(rest.starts_with(&format!("{times}{made}\n*/5 * * * *  handler of ticking\n{times}")), "{text}");
    assert!(rest.contains("  last  2096-01-01 00:10:00 UTC  ok ("), "{text}");
    let outcomes = rest.split_once("last outcomes, newest first\n").unwrap().1;
    assert_eq!(outcomes.lines().count(), 4, "{text}");
}

#[test]
fn a_list_for_programs_has_everything() {
    let server = start(&["--no-cron"]);
    assert!(
        stdout(&server.command("cron", &[]))
            .contains("nothing fires by itself: the server was started with `--no-cron`\n")
    );
    let list = json_of(&server, &["list"]);
    assert_eq!((&list["now"]["ms"], &list["fires"]), (&json!(START_MS), &json!(false)));
    let crons = list["crons"].as_array().unwrap();
    assert_eq!(crons.len(), 5, "{list}");
    let next = json!({ "ms": START_MS + 50_000, "iso": "2096-01-01T00:05:00.000Z" });
    assert_eq!(
        (&crons[2]["worker"], &crons[2]["next"][0], &crons[2]["last"]),
        (&json!("ticking"), &next, &Value::Null)
    );
    assert_eq!(list["outcomes"], json!([]));
}

// rules: B18
#[test]
fn a_schedule_is_fired_by_hand_now_or_as_of_any_moment() {
    let server = start(&[]);
    let id = format!("0 0 1 * *-{START_MS}");
    let said = stdout(&server.command("cron", &["fire", "0 0 1 * *"]));
    assert_eq!(
        said,
        format!("0 0 1 * *  workflow event-echo  2096-01-01 00:04:10 UTC  made instance `{id}`, by hand\n")
    );
    let details = server.v4().result(&format!("event-echo/instances/0%200%201%20*%20*-{START_MS}"));
    assert_eq!(details["schedule"], json!({ "cron": "0 0 1 * *", "scheduledTime": START_MS }), "{details}");
    assert_eq!(details["trigger"]["source"], "cron");
    // The same moment is the same instance.
    refused(
        &server,
        &["fire", "0 0 1 * *"],
        1,
        &["Instance already exists", "hint: it has fired for this moment before"],
    );
    let fired = json_of(&server, &["fire", "0 0 1 * *", "--at", "2100-01-01"]);
    let moment = json!({ "ms": 4_102_444_800_000_u64, "iso": "2100-01-01T00:00:00.000Z" });
    assert_eq!(
        fired["fired"],
        json!({ "workflow": "event-echo", "cron": "0 0 1 * *", "time": moment, "byHand": true, "outcome": "created",
                "instance": "0 0 1 * *-4102444800000" })
    );
    assert_eq!(json_of(&server, &["list"])["outcomes"][0], fired["fired"]);
}

#[test]
fn a_trigger_is_fired_by_hand_and_told_of_when_the_handler_has_ended() {
    let server = start(&[]);
    // Nobody types two blanks.
    let said = stdout(&server.command("cron", &["fire", "0 9 * * mon-fri", "--at", "2096-01-02T09:00:00Z"]));
    assert!(said.starts_with("0  9 * * MON-FRI  handler of ticking  2096-01-02 09:00:00 UTC  ok ("), "{said}");
    server.wait_for_line("cron `0  9 * * MON-FRI` of ticking: ok (");
    // What failed is an error to scripts as well.
    let failed = server.command("cron", &["fire", "30 12 * * *", "--json"]);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let text = String::from_utf8(failed.stderr).unwrap();
    assert!(text.contains("error: the handler failed: the Worker `silent` has no handler for cron triggers"), "{text}");
    let fired: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((&fired["fired"]["outcome"], &fired["fired"]["worker"]), (&json!("exception"), &json!("silent")));
    let list = json_of(&server, &["list"]);
    assert_eq!((&list["outcomes"][0], &list["crons"][4]["last"]), (&fired["fired"], &fired["fired"]));
    assert_eq!(list["outcomes"].as_array().unwrap().len(), 2);
}

#[test]
fn which_one_is_meant_has_to_be_said_when_several_have_the_expression() {
    let server = start(&[]);
    let twice = "error: `*/5 * * * *` is of workflow `event-echo`, Worker `ticking`";
    refused(
        &server,
        &["fire", "*/5 * * * *"],
        1,
        &[twice, "hint: say which one with `--workflow NAME` or `--worker NAME`"],
    );
    let of =
        |flag: &str, name: &str| json_of(&server, &["fire", "*/5 * * * *", flag, name])["fired"]["outcome"].clone();
    assert_eq!((of("--workflow", "event-echo"), of("--worker", "ticking")), (json!("created"), json!("ok")));
}

#[test]
fn what_cannot_be_fired_is_refused_with_what_could_be_meant() {
    let server = start(&[]);
    refused(
        &server,
        &["fire", "30 13 * * *"],
        1,
        &["error: no schedule and no cron trigger is `30 13 * * *`", "hint: did you mean `30 12 * * *`?"],
    );
    refused(
        &server,
        &["fire", "daily", "--worker", "ticking"],
        1,
        &[
            "error: no schedule and no cron trigger of Worker `ticking` is `daily`",
            "hint: there are `*/5 * * * *`, `0  9 * *",
        ],
    );
    refused(&server, &["fire", "30 12 * * *", "--at", "soon"], 2, &["not a moment, such as `2027-01-01`"]);
    refused(&server, &["fire"], 2, &["<EXPR>"]);
    for body in ["", "[]", "{}", "{\"cron\": 1}", "{\"cron\": \"30 12 * * *\", \"when\": 1}"] {
        let answer = server.post(CRON, body).expect(400).json();
        assert!(answer["error"].as_str().unwrap().starts_with("the body says nothing that can be fired"), "{answer}");
    }
    let _ = server.post(CRON, json!({ "cron": "30 12 * * *", "at": 253_402_300_800_001_u64 })).expect(400);
    assert_eq!(server.get(CRON).expect(200).json()["outcomes"], json!([]), "nothing of it has fired");
}
