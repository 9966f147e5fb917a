//! Schedules and cron triggers fire by themselves, on a clock that is moved.

use miniflow_runtime::{Clock as _, SystemClock};
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

/// Starts `dev` on a clock that stands at `ms`, to which nothing has come due on the way.
pub(crate) fn start_at(dev: &Dev, ms: u64) -> Server {
    // As if an earlier session had come that far: what is due until then would take hours.
    let offset_ms = ms - 200_000 - SystemClock::new().now().as_millis();
    std::fs::write(dev.state().join("clock"), format!("{offset_ms} manual\n")).unwrap();
    let server = dev.start();
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "set": ms })).expect(200);
    server
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
fn a_clock_that_is_put_forward_or_back_in_summer_changes_nothing() {
    // The days of 2096 on which Berlin's clocks are changed, at 01:00 UTC.
    for midnight in [3_983_472_000_000, 4_002_220_800_000] {
        for zone in ["Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"] {
            // Of the hour that is left out, or comes twice, as well.
            let schedules = ["30 * * * *", "30 2 * * *"];
            let workflow =
                json!({ "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep", "schedules": schedules });
            let dev = worker(&json!({ "workflows": [workflow] })).env("TZ", zone);
            let server = start_at(&dev, midnight);
            let moved = advance(&server, 48 * HOUR_MS);
            let mut made = ids(&server);
            made.sort_unstable();
            let half_past = (0..48).map(|hour| midnight + hour * HOUR_MS + HOUR_MS / 2);
            let mut expected: Vec<_> = half_past.map(|at| format!("30 * * * *-{at}")).collect();
            expected.extend([2, 26].map(|hour| format!("30 2 * * *-{}", midnight + hour * HOUR_MS + HOUR_MS / 2)));
            expected.sort_unstable();
            assert_eq!(made, expected, "{zone}");
            assert_eq!(moved["moved"]["due"].as_array().map(Vec::len), Some(50), "{zone}");
        }
    }
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
    for policy in ["none", "latest", "all"] {
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
        let line = server.wait_for_line("missed     `*/5 * * * *` of workflow one-step: ");
        let missed: usize = line.split_once("one-step: ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
        // And what passes between two sessions on a busy machine.
        assert!((12..20).contains(&missed), "{line}");
        let expected = match policy {
            "none" => 0,
            "latest" => 1,
            _ => missed,
        };
        // What is made up for is in the archive once it is committed, which nobody waits for at the start.
        eventually(&format!("{} instances by `{policy}`", before + expected), || {
            (ids(&server).len() == before + expected).then_some(())
        });
        advance(&server, 1);
        assert_eq!(ids(&server).len(), before + expected, "{policy}");
    }
}

#[test]
fn expressions_that_are_none_are_refused_with_their_places_all_at_once() {
    let config = "{ \"name\": \"w\",\n  \"triggers\": { \"crons\": [\"61 * * * *\", \"0 0 * * 0\"] },\n  \"workflows\": [\n    \
                  { \"name\": \"a\", \"binding\": \"A\", \"class_name\": \"A\", \"schedules\": \"0 24 * * *\" } ] }";
    let text = Dev::configured(config).refused().text;
    for (place, message) in [
        ("2:28", "\"triggers.crons[0]\": `61 * * * *` is not a cron expression: 61 is not a minute (character 1)"),
        ("2:50", "\"triggers.crons[1]\": `0 0 * * 0` is not a cron expression: 0 is not a weekday (character 9)"),
        ("4:71", "\"workflows[0].schedules\": `0 24 * * *` is not a cron expression: 24 is not an hour (character 3)"),
    ] {
        assert!(text.contains(&format!("error: {message}\n")), "{message} in\n{text}");
        assert!(text.contains(&format!("wrangler.jsonc:{place}\n")), "{place} in\n{text}");
    }
}

#[test]
fn cron_triggers_of_a_worker_without_a_handler_are_pointed_out() {
    let crons = |crons: &[&str]| {
        let vars = json!({ "GREETING": "Hi" });
        Dev::example("hello").config(json!({ "name": "w", "vars": vars, "triggers": { "crons": crons } }))
    };
    let checked = crons(&["0 * * * *"]).checked();
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    let warning =
        "warning: the Worker `w` is to be called by the cron trigger `0 * * * *`, and has no handler for it\n";
    assert!(checked.text.contains(warning), "{}", checked.text);
    assert!(checked.text.contains("wrangler.jsonc:1:"), "{}", checked.text);
    let hint = "hint: add a function with `#[event(scheduled)]`, or remove `triggers.crons`\n";
    assert!(checked.text.contains(hint), "{}", checked.text);
    let server = crons(&["0 * * * *", "0 0 * * *"]).start();
    server.get("/x").expect(200);
    let said = server.lines_with("is to be called by 2 cron triggers, and has no handler for them");
    assert_eq!(said.len(), 1, "{}", server.log());
    // Of one that has it, nothing is said.
    let server = worker(&json!({ "triggers": { "crons": ["0 * * * *"] } })).start();
    assert!(server.lines_with("no handler").is_empty(), "{}", server.log());
}

#[test]
fn a_schedule_of_a_class_that_the_worker_lacks_is_one_error() {
    let bound =
        json!({ "workflows": [{ "name": "w", "binding": "W", "class_name": "OneStap", "schedules": "0 * * * *" }] });
    let declared = json!({ "workflows": [], "exports": { "OneStap": { "type": "workflow", "name": "w", "schedules": "0 * * * *" } } });
    for config in [bound, declared] {
        let refused = worker(&config).refused();
        refused.assert_one_error(&[
            "workflow `w` is of class `OneStap`, which the Worker does not export",
            "wrangler.jsonc:1:",
            "did you mean `OneStep`?",
        ]);
    }
}

/// As many different expressions.
fn many(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{} {} * * *", n % 60, n / 60)).collect()
}

// rules: S13, C3-22
#[test]
fn a_session_has_a_hundred_schedules_at_most() {
    let workflows = |first: usize, second: usize| {
        let entry = |name: &str, class: &str, count| json!({ "name": name, "binding": class, "class_name": class, "schedules": many(count) });
        worker(&json!({ "workflows": [entry("one-step", "OneStep", first), entry("event-echo", "EventEcho", second)] }))
    };
    let checked = workflows(50, 50).checked();
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    let text = workflows(50, 51).checked().text;
    assert!(
        text.contains("error: the workflows of this session have 101 schedules, and an account may have 100\n"),
        "{text}"
    );
}

#[test]
fn a_session_has_two_hundred_and_fifty_cron_triggers_at_most() {
    // Those of all Workers of the session count.
    let workers = |first: usize, second: usize| {
        let of =
            |name: &str, count| worker(&json!({ "name": name, "workflows": [], "triggers": { "crons": many(count) } }));
        of("first", first).beside(of("second", second))
    };
    let checked = workers(125, 125).checked();
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    let text = workers(125, 126).checked().text;
    assert!(
        text.contains("error: the Workers of this session have 251 cron triggers, and an account may have 250\n"),
        "{text}"
    );
}

#[test]
fn a_workflow_says_when_its_schedule_makes_the_next_instance() {
    let schedule = |server: &Server| server.v4().result("one-step")["schedules"][0].clone();
    let server = worker(&json!({})).args(["--time", "manual"]).start();
    for _ in 0..2 {
        let time = server.get("/cdn-cgi/local/miniflow/time").expect(200).json();
        assert_eq!(schedule(&server), json!({ "cron": "*/5 * * * *", "next_instance": time["next"]["iso"] }));
        let wait_ms = time["next"]["ms"].as_u64().unwrap() - time["now"]["ms"].as_u64().unwrap();
        assert!((1..=300_000).contains(&wait_ms), "{time}");
        let moved = advance(&server, wait_ms);
        assert_eq!(moved["moved"]["to"], time["next"]);
    }
    let all = server.v4().result("?search=one-step");
    assert_eq!(all[0]["schedules"][0], schedule(&server));
    let server = worker(&json!({})).args(["--no-cron"]).start();
    assert_eq!(schedule(&server), json!({ "cron": "*/5 * * * *" }));
}
