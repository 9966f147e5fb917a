//! The bench Worker: its routes and workflows are a contract with load drivers, which measure other dev servers by it as well.

use std::fs;

use miniflow_tests::{Dev, Reply, Server, Sink, eventually, repository};
use serde_json::{Value, json};

const MINUTE_MS: u64 = 60_000;

fn bench_worker() -> Dev {
    Dev::package(&repository().join("tests/bench-worker"))
}

/// A server on which nothing fires.
fn quiet() -> Server {
    bench_worker().args(["--no-cron"]).start()
}

fn create(server: &Server, query: &str, params: impl Into<miniflow_tests::Payload>) -> Value {
    server.post(&format!("/create?{query}"), params).expect(200).json()
}

fn status(server: &Server, workflow: &str, id: &str) -> Value {
    server.get(&format!("/status?wf={workflow}&id={id}")).expect(200).json()
}

#[track_caller]
fn wait_for(server: &Server, workflow: &str, id: &str, wanted: &str) -> Value {
    eventually(&format!("{workflow} {id} is {wanted}"), || {
        let status = status(server, workflow, id);
        (status["status"] == wanted).then_some(status)
    })
}

/// Creates an instance, and returns its output.
#[track_caller]
fn output(server: &Server, workflow: &str, id: &str, params: Value) -> Value {
    let created = create(server, &format!("wf={workflow}&prefix={id}"), params);
    assert_eq!(created, json!({ "n": 1, "ids": [id] }));
    wait_for(server, workflow, id, "complete")["output"].take()
}

/// Asserts that `output` has these fields, and `end` besides.
#[track_caller]
fn assert_output(mut output: Value, expected: &Value) {
    let end = output.as_object_mut().unwrap().remove("end");
    assert!(end.is_some_and(|end| end.as_u64().is_some_and(|ms| ms > 1_700_000_000_000)), "{output}");
    assert_eq!(&output, expected);
}

#[test]
fn bench_worker_serves_hello_and_its_version() {
    let server = quiet();
    assert_eq!(server.get("/").expect(200).text(), "hello");
    let source = fs::read_to_string(repository().join("tests/bench-worker/src/lib.rs")).unwrap();
    let marker = source.lines().find_map(|line| line.strip_prefix("const VERSION: &str = \"")).unwrap();
    assert_eq!(format!("{}\";", server.get("/version").expect(200).text()), marker);
    server.get("/nowhere").expect(404);
}

#[test]
fn bench_instances_are_created_alone_and_in_batches() {
    let (server, sink) = (quiet(), Sink::start());
    let generated = create(&server, "wf=bench&n=1", ());
    assert_eq!((&generated["n"], generated["ids"].as_array().map(Vec::len)), (&json!(1), Some(1)));
    assert_output(output(&server, "bench", "one", json!({})), &json!({ "sum": 1, "steps": 1 }));

    let params = json!({ "steps": 9, "ms": 1, "sink": sink.url() });
    let created = create(&server, "wf=bench&n=130&steps=2&prefix=b", params);
    let ids: Vec<_> = (0..130).map(|i| format!("b-{i}")).collect();
    assert_eq!(created, json!({ "n": 130, "ids": ids }));
    let asked = json!(["b-0", "b-99", "b-100", "b-129", "nobody"]);
    let ended = eventually("all are complete", || {
        let statuses = server.post("/statuses?wf=bench", asked.clone()).expect(200).json();
        (0..4).all(|index| statuses[index]["status"] == "complete").then_some(statuses)
    });
    assert_eq!(
        (&ended[3]["id"], &ended[3]["error"], &ended[3]["output"]["sum"]),
        (&json!("b-129"), &Value::Null, &json!(3))
    );
    assert_eq!(ended[4], json!({ "id": "nobody", "status": "missing", "output": null, "error": null }));
    sink.wait_for(260, &[("kind", "step")]);
    assert_eq!(sink.count(&[("kind", "step"), ("id", "b-100"), ("k", "2")]), 1);
}

#[test]
fn bench_serial_runs_two_instances_of_five_steps() {
    let (server, sink) = (quiet(), Sink::answering(|_| Reply::Never));
    create(&server, "wf=serial&n=3&prefix=s", json!({ "sink": sink.url() }));
    sink.wait_for(2, &[("kind", "step")]);
    let statuses = server.post("/statuses?wf=serial", json!(["s-0", "s-1", "s-2"])).expect(200).json();
    let queued = statuses.as_array().unwrap().iter().filter(|status| status["status"] == "queued");
    assert_eq!(queued.count(), 1, "{statuses}");
    for id in ["s-0", "s-1", "s-2"] {
        let _ = server.post(&format!("/terminate?wf=serial&id={id}"), ()).expect(200);
    }
    assert_output(output(&server, "serial", "five", json!({ "steps": 5 })), &json!({ "sum": 15, "steps": 5 }));
    create(&server, "wf=serial&prefix=six&steps=6", ());
    wait_for(&server, "serial", "six", "errored");
}

#[test]
fn bench_sleep_event_and_parallel_give_their_outputs() {
    let (server, sink) = (quiet(), Sink::start());
    let mut slept = output(&server, "sleep", "s", json!({ "ms": 50, "sink": sink.url() }));
    let [t0, t1, over] = ["t0", "t1", "over"].map(|field| slept[field].take().as_i64().unwrap());
    assert_eq!(over, t1 - t0 - 50);
    assert!(over >= 0, "{over}");
    assert_eq!((sink.count(&[("kind", "before")]), sink.count(&[("kind", "after"), ("id", "s")])), (1, 1));

    create(&server, "wf=event&prefix=e", json!({ "type": "come", "timeout": "1 minute", "sink": sink.url() }));
    let sent = server.post("/event?wf=event&id=e&type=come", json!({ "n": 7 })).expect(200).json();
    assert_eq!(sent, json!({ "ok": true }));
    let event = wait_for(&server, "event", "e", "complete")["output"].take();
    assert_output(event, &json!({ "got": { "n": 7 }, "type": "come" }));
    assert_eq!(sink.count(&[("kind", "before"), ("id", "e")]), 1);

    let mut parallel = output(&server, "parallel", "p", json!({ "width": 3, "ms": 20 }));
    let took = parallel.as_object_mut().unwrap().remove("took").unwrap();
    assert!(took.as_u64().is_some_and(|ms| ms >= 20), "{took}");
    assert_output(parallel, &json!({ "out": [0, 1, 2] }));
}

#[test]
fn bench_flaky_fails_as_often_as_it_is_told() {
    let server = quiet();
    let flaky = output(&server, "flaky", "f", json!({ "fail": 2, "delay": 10, "backoff": "linear" }));
    assert_output(flaky, &json!({ "attempt": 3 }));
    for (id, params, name, message) in [
        ("fatal", json!({ "fatal": true }), "NonRetryableError", "fatal"),
        ("often", json!({ "fail": 2, "limit": 1, "delay": 1 }), "Error", "attempt 2 fails"),
        (
            "hangs",
            json!({ "fail": 0, "limit": 0, "hang": 60_000, "timeout": 20 }),
            "WorkflowTimeoutError",
            "Execution timed out after 20ms",
        ),
    ] {
        create(&server, &format!("wf=flaky&prefix={id}"), params);
        let status = wait_for(&server, "flaky", id, "errored");
        assert_eq!(status["error"], json!({ "name": name, "message": message }), "{id}");
    }
}

#[test]
fn bench_saga_undoes_its_steps_in_reverse() {
    let (server, sink) = (quiet(), Sink::start());
    let undone = |id: &str| {
        let seen = sink.seen().into_iter().filter(|seen| seen.param("id") == id && seen.param("kind") == "rollback");
        seen.map(|seen| seen.param("k").to_owned()).collect::<Vec<_>>()
    };
    create(&server, "wf=saga&prefix=fails", json!({ "sink": sink.url() }));
    let status = wait_for(&server, "saga", "fails", "errored");
    assert_eq!(status["error"]["name"], "NonRetryableError");
    assert_eq!(undone("fails"), ["c", "b", "a"]);

    for (id, query) in [("ends", ""), ("undoes", "&rollback=1")] {
        create(&server, &format!("wf=saga&prefix={id}"), json!({ "sink": sink.url(), "wait": true }));
        wait_for(&server, "saga", id, "waiting");
        let _ = server.post(&format!("/terminate?wf=saga&id={id}{query}"), ()).expect(200);
        wait_for(&server, "saga", id, "terminated");
    }
    assert_eq!((undone("ends").len(), undone("undoes")), (0, vec!["c".into(), "b".into(), "a".into()]));
}

#[test]
fn bench_instances_are_paused_resumed_and_restarted() {
    let (server, sink) = (quiet(), Sink::start());
    create(&server, "wf=event&prefix=e", json!({ "sink": sink.url() }));
    wait_for(&server, "event", "e", "waiting");
    let act = |path: &str| assert_eq!(server.post(path, ()).expect(200).json(), json!({ "ok": true }), "{path}");
    act("/pause?wf=event&id=e");
    wait_for(&server, "event", "e", "paused");
    act("/resume?wf=event&id=e");
    wait_for(&server, "event", "e", "waiting");
    for (path, before) in [("/restart?wf=event&id=e&from=before", 2), ("/restart?wf=event&id=e", 3)] {
        act(path);
        sink.wait_for(before, &[("kind", "before")]);
    }
    act("/event?wf=event&id=e");
    assert_eq!(wait_for(&server, "event", "e", "complete")["output"]["got"], Value::Null);
}

#[test]
fn bench_errors_have_a_name_and_a_text() {
    let server = quiet();
    for path in ["/status?wf=bench&id=nobody", "/status?wf=nothing&id=a", "/status?wf=bench", "/enqueue?n=1"] {
        let answer = if path.starts_with("/status") { server.get(path) } else { server.post(path, ()) };
        let error = answer.expect(500).json();
        assert_eq!((error["name"].as_str(), error["error"].is_string()), (Some("Error"), true), "{path}: {error}");
    }
}

#[test]
fn bench_messages_become_instances_once_each() {
    let server = quiet();
    create(&server, "wf=bench&prefix=m-3&steps=1", ());
    let sent = server.post("/enqueue?n=105&prefix=m", json!({ "steps": 2 })).expect(200).json();
    assert_eq!(sent, json!({ "n": 105 }));
    for i in [0, 3, 99, 104] {
        let output = eventually("a message becomes an instance", || {
            let statuses = server.post("/statuses?wf=bench", json!([format!("m-{i}")])).expect(200).json();
            (statuses[0]["status"] == "complete").then(|| statuses[0]["output"].clone())
        });
        let steps = if i == 3 { 1 } else { 2 };
        assert_eq!(output["steps"], steps, "the id of {i} was taken before: {output}");
    }
    let _ = server.post("/enqueue?n=1&prefix=none", json!([1])).expect(500);
}

#[test]
fn bench_cron_and_schedule_fire_each_minute() {
    let server = bench_worker().args(["--time", "manual", "--deny-net"]).start();
    let moved = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": 2 * MINUTE_MS })).expect(200).json();
    let api = |path: &str| {
        let answer = server.get(&format!("/cdn-cgi/local/explorer/api/workflows/{path}")).expect(200).json();
        answer["result"].clone()
    };
    let ids = |workflow: &str| {
        let rows = api(&format!("{workflow}/instances?per_page=100"));
        let ids = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let crons = ids("bench");
    assert_eq!(crons.len(), 2, "{moved}");
    for id in crons {
        let at: u64 = id.strip_prefix("cron-").unwrap().parse().unwrap();
        assert_eq!(at % MINUTE_MS, 0, "{id}");
        assert_eq!(wait_for(&server, "bench", &id, "complete")["output"]["steps"], 1);
    }
    let ticks = ids("tick");
    assert_eq!(ticks.len(), 2, "{moved}");
    // Nothing is sent: the refusal names the driver's address.
    let tick = api(&format!("tick/instances/{}", ticks[0].replace('*', "%2A").replace(' ', "%20")));
    assert!(tick.to_string().contains("127.0.0.1:8799"), "{tick}");
}

#[test]
fn bench_kv_is_written_read_and_listed() {
    let server = quiet();
    for (what, n, done) in [("put", 3, 3), ("get", 4, 3), ("list", 2, 6)] {
        let answer = server.post(&format!("/kv?what={what}&n={n}"), ()).expect(200).json();
        assert_eq!(answer, json!({ "n": done }), "{what}");
    }
}
