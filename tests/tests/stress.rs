//! Thousands of instances at work at the same time: each step body runs once, and journals have exactly the steps of the code.
//!
//! A program of its own: cargo runs it when the other tests have ended, so it disturbs no test that measures time.

use std::collections::BTreeMap;

use miniflow_tests::{Dev, Reply, Server, Sink, eventually, repository};
use serde_json::{Value, json};

fn bench_worker() -> Dev {
    Dev::package(&repository().join("tests/bench-worker")).args(["--no-cron", "--log-level", "warn"])
}

/// The steps of an instance as its journal has them: name, count and state.
fn steps(server: &Server, id: &str) -> Vec<String> {
    let instance = server.local_api().get(&format!("bench/instances/{id}")).expect(200).json();
    let steps = instance["result"]["steps"].as_array().unwrap_or_else(|| panic!("no steps in {instance}"));
    steps.iter().map(|step| format!("{} {}", step["name"], step["success"])).collect()
}

/// Runs `count` instances of two steps whose bodies wait a second, and asserts that each body ran once.
fn run_bodies_that_wait(count: usize) {
    let (server, sink) = (bench_worker().start(), Sink::start());
    let params = json!({ "steps": 2, "ms": 1000, "sink": sink.url() });
    let created = server.post(&format!("/create?wf=bench&n={count}&prefix=w"), params).expect(200).json();
    assert_eq!(created["n"], count);

    let ids: Vec<String> = (0..count).map(|i| format!("w-{i}")).collect();
    for batch in ids.chunks(100) {
        eventually("a hundred instances are complete", || {
            let statuses = server.post("/statuses?wf=bench", json!(batch)).expect(200).json();
            let done = |status: &Value| status["status"] == "complete" && status["output"]["sum"] == 3;
            statuses.as_array()?.iter().all(done).then_some(())
        });
    }

    let mut bodies: BTreeMap<(String, String), usize> = BTreeMap::new();
    for seen in sink.seen() {
        *bodies.entry((seen.param("id").to_owned(), seen.param("k").to_owned())).or_default() += 1;
    }
    let repeated: Vec<_> = bodies.iter().filter(|(_, times)| **times > 1).take(5).collect();
    assert!(repeated.is_empty(), "bodies that ran more than once: {repeated:?}");
    assert_eq!(bodies.len(), 2 * count);
    for id in &ids {
        assert_eq!(steps(&server, id), [r#""step-1-1" true"#, r#""step-2-1" true"#], "{id}");
    }
}

#[test]
fn bodies_of_1600_instances_run_once() {
    run_bodies_that_wait(1600);
}

#[test]
fn bodies_of_5000_instances_run_once() {
    run_bodies_that_wait(5000);
}

/// Two parents hold both permits, and their bodies wait for something that only the child would do.
#[test]
fn bodies_that_hold_every_permit_are_reported() {
    let is_parent = |id: &str| id.starts_with("parent");
    let sink = Sink::answering(move |seen| if is_parent(seen.param("id")) { Reply::Never } else { Reply::ok() });
    let server = bench_worker().args(["--max-live-runs", "2"]).start();
    let create = |id: &str, n: usize| {
        let params = json!({ "steps": 1, "sink": sink.url() });
        let _ = server.post(&format!("/create?wf=bench&n={n}&prefix={id}"), params).expect(200);
    };
    let status = |id: &str| server.get(&format!("/status?wf=bench&id={id}")).expect(200).json()["status"].clone();
    create("parent", 2);
    sink.wait_for(2, &[("kind", "step")]);
    create("child", 1);
    server.wait_for_line("none of the 2 live runs of workflow instances ended for 5 s, and 1 wait");
    assert_eq!([status("parent-0"), status("parent-1"), status("child")], ["running"; 3]);

    let _ = server.post("/terminate?wf=bench&id=parent-0", ()).expect(200);
    eventually("the child is complete", || (status("child") == "complete").then_some(()));
    assert_eq!(server.lines_with("none of the 2 live runs").len(), 1);
}
