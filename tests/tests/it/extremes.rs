//! The largest numbers, passed to everything that takes one: each is refused or means what it says, and nothing ends but the call.

use miniflow_tests::{Dev, Server};
use serde_json::{Value, json};

const LARGEST: u64 = u64::MAX;

fn is_alive(server: &Server, id: &str) {
    server.workflow("ONE_STEP").create(id, ()).wait_for("complete");
}

#[test]
fn a_run_is_refused_what_is_too_long_and_may_wait_for_ever() {
    let server = Dev::guest("behaviours").start();
    let output = server.workflow("EXTREMES").create("a", ()).output();
    let too_long = |name: &str, why: &str| json!(format!("Duration of step \"{name}\" is invalid: {why}"));
    let year = "a sleep lasts at most 365 days (31536000000 ms), this one 18446744073709551615 ms";
    assert_eq!(output["sleep"], too_long("sleep", year));
    assert!(output["sleep of a text"].as_str().unwrap().contains("`99999999999 years` is not a duration"), "{output}");
    assert!(output["sleep until"].as_str().unwrap().contains("a sleep lasts at most 365 days"), "{output}");
    let wait = "a wait lasts from 1 second to 365 days, this one 18446744073709551615 ms";
    assert_eq!(output["wait"], too_long("wait", wait));
    assert!(output["retries"].as_str().unwrap().contains("is in a invalid format"), "{output}");
    for accepted in ["delay", "timeout", "delay beside a step"] {
        assert_eq!(output[accepted], "ok", "{output}");
    }
}

#[test]
fn whatever_a_run_says_it_is_told_in_a_few_words_what_is_wrong_with_it() {
    let server = Dev::guest("behaviours").start();
    let output = server.workflow("EXTREMES").create("a", ()).output();
    let texts = output["texts"].as_object().unwrap();
    let table = [
        ("a length below 0", "`-1 days` is not a duration"),
        ("a length that is no number", "`NaN days` is not a duration"),
        ("a huge length", "is not a duration"),
        ("a huge number", "is not a duration"),
        ("a huge name", "exceeds max length (256 chars)"),
        ("a huge name of a sleep", "exceeds max length (256 chars)"),
        ("a huge type", "workflow.invalid_event_type"),
        ("a time-out that is no number", "is in a invalid format"),
        ("a huge id", "Workflow instance has invalid id"),
        ("a huge id to get", "Instance ID is invalid"),
        ("the longest retention", "30 days"),
        ("a retention that is no number", "Duration must be a number or a string"),
        ("a huge retention", "Duration must be a number or a string"),
    ];
    assert_eq!(texts.len(), table.len());
    for (what, why) in table {
        let said = texts[what].as_str().unwrap();
        assert!(said.contains(why) && said.len() < 1000, "{what}: {} bytes, {:.1000}", said.len(), said);
    }
    is_alive(&server, "b");
}

#[test]
fn a_retry_at_the_end_of_time_waits_over_a_restart_and_is_shown() {
    let dev = Dev::guest("behaviours");
    let params = json!({ "fail": 1, "limit": 2, "delay": LARGEST, "backoff": "exponential" });
    let server = dev.start();
    server.workflow("FLAKY").create("a", params).wait_for("waiting");
    server.kill();
    let server = dev.start();
    let instance = server.workflow("FLAKY").instance("a");
    assert_eq!(instance.status()["status"], "waiting");
    for path in ["flaky/instances", "flaky/instances/a"] {
        let _ = server.get(&format!("/cdn-cgi/local/explorer/api/workflows/{path}")).expect(200).json();
    }
    instance.pause();
    instance.resume();
    instance.wait_for("waiting");
    instance.terminate(false);
    is_alive(&server, "b");
}

#[test]
fn a_request_passes_on_numbers_that_mean_nothing() {
    let server = Dev::guest("behaviours").start();
    let instance = server.workflow("ONE_STEP").create("a", ());
    instance.wait_for("complete");
    assert_eq!(instance.subscribe(Some(LARGEST), &[]), Vec::<Value>::new());
    for count in [0, u32::MAX] {
        let path = format!("/op/ONE_STEP/a/restart?from=only&count={count}");
        let refused = server.post(&path, ()).expect(409).json();
        assert_eq!(refused["code"], "instance.cannot_restart");
    }
    let many = json!({ "count": u32::MAX });
    let _ = server.workflow("ONE_STEP").try_create_batch_with_options(many).expect(400);
    for status in [0, 99, 1000, 65_535] {
        let _ = server.get(&format!("/answer?status={status}")).expect(500);
    }
    is_alive(&server, "b");
}

#[test]
fn messages_and_entries_have_no_numbers_beyond_theirs() {
    let queues = Dev::guest("queues").start();
    for delay in [86_401, u32::MAX] {
        let refused = queues.post("/send?to=KEPT", json!({ "messages": [1], "delay": delay })).expect(400).json();
        let text = format!("Queue send failed: delay of {delay} seconds exceeds limit of 86400");
        assert_eq!(refused["error"], text);
    }
    let kv = Dev::guest("kv").start();
    let run = |operations: Value| kv.post("/run", operations).expect(200).json();
    for (name, value) in [("ttl", LARGEST), ("expiration", LARGEST), ("ttl", LARGEST / 2), ("expiration", LARGEST / 2)]
    {
        let put = json!({ "op": "put", "key": "k", "value": 1, name: value });
        let kept = run(json!([put, { "op": "get", "key": "k" }, { "op": "list" }, { "op": "delete", "key": "k" }]));
        assert_eq!((&kept[0], &kept[1]), (&Value::Null, &json!("1")), "{name} {value}: {kept}");
        assert!(kept[2]["keys"][0]["expiration"].as_u64() > Some(16_725_225_600), "{name} {value}: {kept}");
    }
    for operation in [
        json!({ "op": "list", "limit": LARGEST, "catch": true }),
        json!({ "op": "put", "key": "k", "value": 1, "ttl": 0, "expiration": LARGEST, "catch": true }),
    ] {
        let refused = run(json!([operation]));
        assert!(refused[0]["error"].as_str().unwrap().starts_with("KV "), "{refused}");
    }
    let cached = run(json!([{ "op": "get", "key": "none", "cache_ttl": LARGEST }]));
    assert_eq!(cached, json!([null]));
}

#[test]
fn an_alarm_may_be_set_for_any_moment_there_is() {
    let dev = Dev::guest("objects").args(["--time", "manual"]);
    let server = dev.start();
    let run = |server: &Server, name: &str, operation: Value| {
        server.post(&format!("/run/KEEPER/{name}"), json!([operation])).expect(200).json()[0].clone()
    };
    let count = |server: &Server, name: &str| run(server, name, json!({ "op": "get", "key": "alarms" }));
    let prepare = |name: &str| {
        let on_alarm = json!([{ "op": "increment", "key": "alarms" }]);
        run(&server, name, json!({ "op": "put", "key": "on alarm", "value": on_alarm }));
    };
    let past = [json!({ "op": "set_alarm", "ms": i64::MIN }), json!({ "op": "set_alarm_at", "at": 0 })];
    let far = [
        json!({ "op": "set_alarm", "ms": i64::MAX }),
        json!({ "op": "set_alarm_at", "at": LARGEST }),
        json!({ "op": "set_alarm_at", "at": LARGEST / 2 }),
    ];
    for (number, set) in past.iter().chain(&far).enumerate() {
        prepare(&number.to_string());
        run(&server, &number.to_string(), set.clone());
    }
    let far_set = |server: &Server| {
        for number in 2..5 {
            let at = run(server, &number.to_string(), json!({ "op": "get_alarm" }));
            assert!(at.as_u64() > Some(16_725_225_600_000), "{number}: {at}");
        }
    };
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": 1 })).expect(200);
    assert_eq!((count(&server, "0"), count(&server, "1")), (json!(1), json!(1)), "what is past goes off at once");
    far_set(&server);
    // The last moment that the clock has.
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "set": 16_725_225_600_000_u64 })).expect(200);
    far_set(&server);
    assert_eq!(count(&server, "2"), Value::Null);
    server.kill();
    let server = dev.start();
    far_set(&server);
}

#[test]
fn the_clocks_of_a_guest_take_every_moment_there_is() {
    let server = Dev::guest("behaviours").start();
    let clocks = server.get("/clocks").expect(200).json();
    assert_eq!(clocks["over"], json!(["the first moment", "this moment", "no time", "a moment"]), "{clocks}");
    assert_eq!(clocks["resolutions"], json!([1, 1]), "nanoseconds");
    assert!(clocks["apart"].as_u64() <= Some(1), "both clocks tell the same time: {clocks}");
    let server = Dev::guest("wasi02").start();
    let clocks = server.get("/clocks").expect(200).text();
    let lines: Vec<_> = clocks.lines().collect();
    assert!(lines[0].starts_with("over: the first moment, this moment, no time; "), "{clocks}");
    assert!(lines[1].starts_with("over: a moment; "), "{clocks}");
    assert_eq!(lines[2], "(1, 0, 1)", "nanoseconds");
}

#[test]
fn the_clocks_of_a_guest_follow_a_leap_to_the_last_moment_that_time_can_be_set_to() {
    let server = Dev::guest("wasi02").args(["--time", "manual"]).start();
    let time = |change: Value| server.post("/cdn-cgi/local/miniflow/time", change).expect(200);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.get("/leap").expect(200).text());
        server.wait_for_line("waits");
        let _ = time(json!({ "set": 16_725_225_600_000_u64 }));
        let answer = waiting.join().unwrap();
        assert!(answer.starts_with("over: an hour; "), "{answer}");
    });
    let _ = time(json!({ "mode": "real" }));
    let clocks = server.get("/clocks").expect(200).text();
    assert_eq!(clocks.matches("wall: 167252256").count(), 2, "{clocks}");
    assert_eq!(clocks.matches("monotonic: 167252256").count(), 2, "{clocks}");
    assert!(clocks.lines().nth(1).unwrap().starts_with("over: a moment; "), "{clocks}");
}

#[test]
fn moments_that_are_none_are_refused_or_passed_on() {
    let server = Dev::guest("behaviours").args(["--time", "manual"]).start();
    for time in ["-1", "1e308", "NaN", "inf", "18446744073709551615", "99999999999999999999999"] {
        let status = server.get(&format!("/cdn-cgi/local/scheduled?time={time}")).status.as_u16();
        assert!([200, 400].contains(&status), "{time}: {status}");
    }
    for moved in [json!({ "advance": LARGEST }), json!({ "set": LARGEST })] {
        let refused = server.post("/cdn-cgi/local/miniflow/time", moved).expect(409).json();
        assert_eq!(refused["error"], "that is beyond the year 2499");
    }
    let far = json!({ "set": 16_725_225_600_000_u64 });
    let moved = server.post("/cdn-cgi/local/miniflow/time", far).expect(200).json();
    assert_eq!(moved["now"]["iso"], "2500-01-01T00:00:00.000Z");
    is_alive(&server, "a");
}
