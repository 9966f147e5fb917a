//! New code is tried before it is used: without effects, without haste, and each Worker by itself.

use miniflow_tests::{Reply, Server, Sink, bound, eventually};
use serde_json::{Value, json};

use crate::reload::{Site, reloaded, second};

fn everything() -> Value {
    json!({
        "workflows": [bound("Steady"), bound("Tempted"), bound("Slow")],
        "queues": {
            "producers": [{ "binding": "Q", "queue": "q" }],
            "consumers": [{ "queue": "q", "max_batch_size": 1, "max_batch_timeout": 0 }],
        },
        "durable_objects": { "bindings": [{ "name": "LIVE", "class_name": "Live" }] },
        "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Live"] }],
    })
}

#[test]
fn a_trial_of_new_code_sends_nothing_makes_nothing_and_says_nothing() {
    let sink = Sink::answering(|_| Reply::Answer(200, String::new()));
    let site = Site::new();
    site.configure(&everything());
    let server = site.dev().start();
    let temptations = ["request", "create", "send", "object", "print"];
    for does in temptations {
        let instance = server.workflow("TEMPTED").create(does, json!({ "does": does, "url": sink.url() }));
        instance.wait_for("waiting");
    }
    site.put(&second());
    let line = reloaded(&server, 1);
    assert!(line.contains("5 compatible"), "{line}");
    for (does, by) in [
        ("request", "sends a request outside of a step"),
        ("create", "uses a workflow outside of a step"),
        ("send", "uses a queue outside of a step"),
        ("object", "sends a request outside of a step"),
    ] {
        let said = server.lines_with(&format!("not checked to the end: the code {by}"));
        assert!(said.iter().any(|line| line.contains(does)), "{does}: {}", server.log());
    }
    let child = || server.local_api().get("steady/instances/child").status;
    assert_eq!(child(), 404);
    assert_eq!(sink.count(&[]), 0, "nobody was asked for anything");
    assert_eq!(server.lines_with("printed outside of a step"), Vec::<String>::new());
    // What was tried was really about to happen: it does, when they go on.
    for does in temptations {
        server.workflow("TEMPTED").instance(does).send_event("go", "");
        server.workflow("TEMPTED").instance(does).wait_for("complete");
    }
    for id in ["outside", "sent", "request"] {
        sink.wait_for(1, &[("id", id)]);
    }
    assert_eq!(child(), 200);
    let _ = server.workflow("TEMPTED").create("again", json!({ "does": "print", "url": "" }));
    server.wait_for_line("printed outside of a step");
}

#[test]
fn a_check_that_takes_long_says_so_while_requests_are_answered_and_nothing_is_lost() {
    let site = Site::new();
    site.configure(&everything());
    let server = site.dev().args(["--on-divergence", "continue"]).start();
    let slow = server.workflow("SLOW");
    // On every core a few seconds of work.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let ids = (0..cores * 8).map(|n| format!("slow-{n}"));
    let instances: Vec<_> = ids.map(|id| slow.create(&id, json!({ "ms": 400 }))).collect();
    for instance in &instances {
        instance.wait_for("waiting");
    }
    site.put(&second());
    server.wait_for_line("instances in flight looked at so far; the version before is served meanwhile");
    assert_eq!(server.get("/").expect(200).text(), "a", "it is not in place yet");
    let meanwhile = server.workflow("STEADY").create("meanwhile", "");
    meanwhile.wait_for("waiting");
    let line = reloaded(&server, 1);
    assert!(line.contains("check "), "{line}");
    assert_eq!(server.get("/").expect(200).text(), "b");
    for instance in instances.iter().chain([&meanwhile]) {
        instance.send_event("go", "");
    }
    for instance in &instances {
        assert_eq!(instance.output(), "a", "the recorded step did not run again");
    }
    assert_eq!(meanwhile.output(), "a b");
}

/// Two Workers of one session: `shop`, which takes the requests, binds the workflow of `billing`, and has one of its own.
fn two() -> (Site, Site) {
    let (shop, billing) = (Site::new(), Site::new());
    let of_billing = json!({ "name": "steady", "binding": "STEADY", "class_name": "Steady", "script_name": "billing" });
    let own = json!({ "name": "own", "binding": "OWN", "class_name": "Steady" });
    shop.configure(&json!({ "name": "shop", "workflows": [of_billing, own] }));
    billing.configure(&json!({ "name": "billing", "workflows": [bound("Steady")] }));
    (shop, billing)
}

#[track_caller]
fn reloaded_worker(server: &Server, worker: &str, n: usize) -> String {
    let word = format!("reloaded {worker} in ");
    eventually("a reload", || server.lines_with(&word).into_iter().nth(n - 1))
}

#[test]
fn an_edit_of_one_worker_reloads_that_one_only() {
    let (shop, billing) = two();
    let server = shop.dev().beside(billing.dev()).start();
    let own = server.workflow("OWN").create("one", "");
    let theirs = server.workflow("STEADY").create("one", "");
    own.wait_for("waiting");
    theirs.wait_for("waiting");
    billing.put(&second());
    let line = reloaded_worker(&server, "billing", 1);
    assert!(line.contains("1 compatible"), "only the instance of its own workflow was checked: {line}");
    assert!(server.lines_with("reloaded shop").is_empty(), "{}", server.log());
    assert_eq!(server.get("/").expect(200).text(), "a", "the first Worker is as it was");
    own.send_event("go", "");
    theirs.send_event("go", "");
    assert_eq!(own.output(), "a a");
    assert_eq!(theirs.output(), "a b");
}

#[test]
fn a_workflow_of_another_worker_stays_bound_whichever_is_reloaded() {
    let (shop, billing) = two();
    let server = shop.dev().beside(billing.dev()).start();
    let run = |id: &str| {
        let instance = server.workflow("STEADY").create(id, "");
        instance.send_event("go", "");
        instance.output()
    };
    assert_eq!(run("one"), "a a");
    billing.put(&second());
    reloaded_worker(&server, "billing", 1);
    assert_eq!(run("two"), "b b");
    let waits = server.workflow("STEADY").create("waits", "");
    waits.wait_for("waiting");
    shop.put(&second());
    let line = reloaded_worker(&server, "shop", 1);
    assert!(line.contains("no instances in flight"), "{line}");
    assert_eq!(server.get("/").expect(200).text(), "b");
    waits.send_event("go", "");
    assert_eq!(waits.output(), "b b");
    assert_eq!(run("three"), "b b");
    assert_eq!(server.lines_with("reloaded ").len(), 2, "{}", server.log());
}
