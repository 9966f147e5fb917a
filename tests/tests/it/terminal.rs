//! What `miniflow dev` prints, and how scripts find it.

use std::io::Write as _;
use std::net::TcpStream;

use miniflow_tests::{Dev, Reply, Server, Sink, bound, eventually};
use serde_json::{Value, json};

fn behaviours(classes: &[&str]) -> Dev {
    let workflows: Vec<_> = classes.iter().map(|class| bound(class)).collect();
    Dev::guest("behaviours").config(json!({ "name": "shop", "workflows": workflows }))
}

#[test]
fn each_request_is_one_line_and_questions_to_the_server_are_none() {
    let server = behaviours(&["OneStep"]).start();
    server.get("/cdn-cgi/local/miniflow/time").expect(200);
    server.get("/log?level=info&msg=hello").expect(200);
    let (_, log) = server.stop();
    let lines: Vec<_> = log.lines().skip_while(|line| !line.contains("ready on ")).skip(1).collect();
    assert_eq!(lines[0], "info  hello", "{log}");
    let (line, took) = lines[1].split_once(" (").unwrap();
    assert_eq!(line, "info  GET /log?level=info&msg=hello 200", "{log}");
    assert!(took.strip_suffix(" ms)").is_some_and(|ms| ms.parse::<u64>().is_ok()), "{took}");
    assert_eq!(lines.len(), 2, "{log}");
}

#[test]
fn the_level_says_which_requests_are_told() {
    let said = |level: &str| {
        let server = behaviours(&["OneStep"]).args(["--log-level", level]).start();
        server.get("/cdn-cgi/local/miniflow/time").expect(200);
        server.get("/").expect(200);
        let (_, log) = server.stop();
        (log.contains("info  GET / 200 ("), log.contains("debug GET /cdn-cgi/local/miniflow/time 200 ("))
    };
    assert_eq!(said("warn"), (false, false));
    assert_eq!(said("info"), (true, false));
    assert_eq!(said("debug"), (true, true));
}

#[test]
fn requests_say_which_worker_when_there_are_several() {
    let other = Dev::example("hello").config(json!({ "name": "other" }));
    let server = behaviours(&["OneStep"]).beside(other).start();
    server.get("/").expect(200);
    server.wait_for_line("info  shop GET / 200 (");
}

#[test]
fn a_client_that_goes_away_is_told_too() {
    let silent = Sink::answering(|_| Reply::Never);
    let server = behaviours(&["OneStep"]).start();
    // One that does not wait for its answer.
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    let path = format!("/fetch?url={}", silent.url());
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    silent.wait_for(1, &[]);
    drop(stream);
    server.wait_for_line(&format!("info  GET {path}: the client went away ("));
}

/// The records of a log of JSON: every line is one.
#[track_caller]
fn records(log: &str) -> Vec<Value> {
    let record = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let records: Vec<Value> = log.lines().map(record).collect();
    for record in &records {
        for field in ["time", "level", "kind", "message"] {
            assert!(record[field].is_string(), "{field} of {record}");
        }
    }
    records
}

fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["kind"] == kind).collect()
}

#[test]
fn every_line_can_be_json_on_the_clock_of_the_server() {
    let config = json!({
        "name": "shop",
        "workflows": [bound("OneStep")],
        "triggers": { "crons": ["0 * * * *"] },
        "unheard_of": 1,
    });
    let dev = Dev::guest("behaviours").config(config);
    let server = dev.args(["--log-format", "json", "--log-level", "debug", "--time", "manual"]).start();
    server.get("/log?level=warn&msg=careful").expect(200);
    server.get("/panic").expect(500);
    let _ = server.workflow("ONE_STEP").create("a", ()).output();
    let before = server.get("/cdn-cgi/local/miniflow/time").expect(200).json();
    server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": 3_600_000 })).expect(200);
    server.wait_for_line("\"kind\":\"cron\"");
    let (_, log) = server.stop();
    let records = records(&log);
    let ready = of_kind(&records, "ready");
    assert_eq!((ready.len(), &ready[0]["workers"]), (1, &json!(["shop"])), "{log}");
    assert!(of_kind(&records, "problem").iter().any(|problem| problem["file"].is_string()), "{log}");
    let request = of_kind(&records, "request")[0];
    assert_eq!(
        (&request["method"], &request["path"], &request["status"]),
        (&json!("GET"), &json!("/log"), &json!(200))
    );
    assert_eq!((&request["worker"], &request["query"]), (&json!("shop"), &json!("level=warn&msg=careful")));
    assert!(request["duration_ms"].is_u64(), "{request}");
    let console = of_kind(&records, "console");
    assert_eq!((&console[0]["level"], &console[0]["message"]), (&json!("warn"), &json!("careful")));
    let trap = console.iter().find(|line| line["level"] == "error").unwrap();
    assert!(trap["message"].as_str().unwrap().contains("asked to panic (panicked at src/probes.rs:"), "{trap}");
    let events = |kind: &str| -> Vec<_> {
        let of = of_kind(&records, kind).into_iter().filter(|record| record["instance"] == "a");
        of.map(|record| record["event"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(events("instance"), ["started", "complete"], "{log}");
    assert_eq!(events("step"), ["attempt_started", "succeeded"], "{log}");
    let cron = of_kind(&records, "cron")[0];
    assert_eq!((&cron["cron"], &cron["event"], &cron["worker"]), (&json!("0 * * * *"), &json!("ok"), &json!("shop")));
    assert!(cron["time"].as_str() > before["now"]["iso"].as_str(), "{cron} after {before}");
}

#[test]
fn what_keeps_it_from_starting_is_json_too() {
    let refusal = Dev::configured("{ \"name\": ").args(["--log-format", "json"]).refused();
    let records = records(&refusal.text);
    assert_eq!(refusal.code, Some(1));
    assert!(records.iter().all(|record| record["kind"] == "problem" && record["level"] == "error"), "{}", refusal.text);
    assert!(records[0]["line"].is_u64(), "{}", refusal.text);
}

#[test]
fn an_error_is_told_once_with_its_cause_and_the_lines_of_the_source() {
    let server = behaviours(&["PanicOutsideStep"]).start();
    let error = server.workflow("PANIC_OUTSIDE_STEP").create("a", ()).error();
    assert!(error["message"].as_str().unwrap().contains("asked to panic outside of a step"), "{error}");
    server.wait_for_line("panic-outside-step/a errored");
    let (_, log) = server.stop();
    let causes = log.matches("asked to panic outside of a step").count();
    assert_eq!(causes, 1, "{log}");
    assert!(log.contains("src/workflows/traps.rs:"), "{log}");
}

fn ports(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_script_finds_it_by_its_ports_file_as_long_as_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ports.json");
    let dev = Dev::example("hello").args(["--ports-file".as_ref(), file.as_os_str()]);
    let server = dev.start();
    let ports = ports(&std::fs::read_to_string(&file).unwrap());
    assert_eq!(ports["url"], server.url());
    assert_eq!(server.url(), format!("http://{}:{}", ports["host"].as_str().unwrap(), ports["port"]));
    assert!(ports["pid"].is_u64());
    let (status, _) = server.stop();
    assert!(status.success() && !file.exists());
    // A crash leaves it, and the next session does not let it be taken for its own.
    dev.start().kill();
    assert!(file.exists());
    let refusal = Dev::configured("{}").args(["--ports-file".as_ref(), file.as_os_str()]).refused();
    assert_eq!(refusal.code, Some(1));
    let refusal = Dev::example("hello").args(["--ports-file", "no/such/folder/ports.json"]).refused();
    refusal.assert_one_error(&["there is no folder `no/such/folder`", "--ports-file"]);
}

#[cfg(unix)]
#[test]
fn a_browser_is_opened_if_that_is_asked_for() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (browser, asked) = (folder.path().join("browser"), folder.path().join("asked"));
    std::fs::write(&browser, format!("#!/bin/sh\necho \"$@\" > {0}.part && mv {0}.part {0}\n", asked.display()))
        .unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server: Server = Dev::example("hello").env("BROWSER", &browser).args(["--open"]).start();
    let url = eventually("the browser", || std::fs::read_to_string(&asked).ok());
    assert_eq!(url.trim(), server.url());
    let server = Dev::example("hello").env("BROWSER", "/no/such/browser").args(["--open"]).start();
    let line = server.wait_for_line("no browser was opened at http://127.0.0.1:");
    assert!(line.starts_with("warn "), "{line}");
}
