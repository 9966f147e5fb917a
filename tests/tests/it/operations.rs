//! Steering instances from a Worker: pause, resume, terminate, restart, delete, batches, subscriptions.

use miniflow_runtime::storage::{Archive, Filter, Order, Reader};
use miniflow_tests::{Dev, Reply, RestartFrom, Server, Sink, bound, eventually};
use serde_json::{Value, json};
use url::form_urlencoded;

fn behaviours() -> Server {
    Dev::guest("behaviours").start()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

// rules: S26, S27, C2.2-4, A28, A29, A84, A114, A143
#[test]
fn a_body_that_runs_is_finished_before_the_pause_and_nothing_begins_in_it() {
    let (server, sink) = (behaviours(), Sink::start());
    let instance = server.workflow("PAUSE_TARGET").create("a", json!({ "sink": sink.url(), "n": 2, "ms": 800 }));
    sink.wait_for(1, &[("kind", "busy-0")]);
    sink.wait_for(1, &[("kind", "busy-1")]);
    instance.pause();
    assert_eq!(instance.status()["status"], "waitingForPause");
    instance.wait_for("paused");
    assert_eq!(sink.count(&[("kind", "after")]), 0);
    instance.resume();
    assert_eq!(instance.output(), json!({ "busy": [1, 1], "after": 1 }));
    for step in ["busy-0", "busy-1", "after"] {
        assert_eq!(sink.count(&[("kind", step)]), 1, "{step}");
    }
}

// rules: C2.2-9, A30, A86
#[test]
fn a_pause_that_has_not_come_is_taken_back() {
    let (server, sink) = (behaviours(), Sink::start());
    let instance = server.workflow("PAUSE_TARGET").create("a", json!({ "sink": sink.url(), "ms": 800 }));
    sink.wait_for(1, &[("kind", "busy-0")]);
    instance.pause();
    assert_eq!(instance.status()["status"], "waitingForPause");
    instance.resume();
    assert_eq!(instance.status()["status"], "running");
    assert_eq!(instance.output(), json!({ "busy": [1], "after": 1 }));
    assert_eq!(sink.count(&[("kind", "busy-0")]), 1);
}

// rules: C2.2-6, C2.2-8, A87
#[test]
fn a_sleep_is_paused_at_once_and_sleeps_on() {
    let (server, sink) = (behaviours(), Sink::start());
    let instance = server.workflow("SLEEPER").create("a", json!({ "sink": sink.url(), "ms": 1500 }));
    instance.wait_for("waiting");
    instance.pause();
    assert_eq!(instance.status()["status"], "paused");
    // Longer than what is left of the sleep.
    let other = server.workflow("SLEEPER").create("b", json!({ "sink": sink.url(), "ms": 2000 }));
    other.wait_for("complete");
    assert_eq!(instance.status()["status"], "paused");
    instance.resume();
    let output = instance.output();
    let slept = output["after"].as_u64().unwrap() - output["before"].as_u64().unwrap();
    assert!(slept > 2000, "it slept for {slept} ms, though it was paused for 2000 of them");
}

// rules: C2.2-21, A88
#[test]
fn a_wait_that_is_paused_gets_what_was_sent_meanwhile() {
    let server = behaviours();
    let instance = server.workflow("ROLLBACK_HOLD").create("a", json!({}));
    instance.wait_for("waiting");
    instance.pause();
    instance.send_event("go", json!("sent in the pause"));
    assert_eq!(instance.status()["status"], "paused");
    instance.resume();
    assert_eq!(instance.output(), json!("sent in the pause"));
}

// rules: C2.2-24, A89
#[test]
fn a_pause_outlasts_the_process_and_does_not_wait_for_bodies_that_ended_with_it() {
    let (dev, sink) = (Dev::guest("behaviours"), Sink::start());
    let server = dev.start();
    let params = json!({ "sink": sink.url(), "ms": 60_000 });
    let held = server.workflow("PAUSE_TARGET").create("held", params);
    sink.wait_for(1, &[("id", "held")]);
    held.pause();
    let asleep = server.workflow("SLEEPER").create("asleep", json!({ "ms": 60_000 }));
    asleep.wait_for("waiting");
    asleep.pause();
    server.kill();

    let server = dev.start();
    let paused = |workflow: &str, id: &str| server.workflow(workflow).instance(id).status()["status"] == "paused";
    assert!(paused("SLEEPER", "asleep"));
    assert!(paused("PAUSE_TARGET", "held"));
    assert_eq!(sink.count(&[("id", "held")]), 1);
}

// rules: S29, C2.2-11, C2.2-13, C2.2-15, C2.2-23, A23, A26, A79, A115
#[test]
fn what_is_terminated_goes_no_further_and_is_not_terminated_again() {
    let (server, sink) = (behaviours(), Sink::start());
    let waits = server.workflow("ROLLBACK_HOLD").create("waits", json!({ "sink": sink.url() }));
    waits.wait_for("waiting");
    let busy = server.workflow("PAUSE_TARGET").create("busy", json!({ "sink": sink.url(), "ms": 300 }));
    sink.wait_for(1, &[("id", "busy")]);
    for instance in [&waits, &busy] {
        instance.terminate(false);
        let status = instance.status();
        assert_eq!(status, json!({ "status": "terminated", "rollback": null }));
        let refused = instance.operate("terminate").expect(409).json();
        let text = "(instance.cannot_terminate) Cannot terminate instance since its on a finite state";
        assert_eq!((&refused["error"], &refused["code"]), (&json!(text), &json!("instance.cannot_terminate")));
        let refused = instance.try_send_event("go", ()).expect(409).json();
        assert_eq!(refused["code"], "instance.cannot_send_event");
    }
    // Its time would be up: another that began later is past it.
    server.workflow("PAUSE_TARGET").create("other", json!({ "sink": sink.url(), "ms": 600 })).wait_for("complete");
    assert_eq!(sink.count(&[("id", "busy"), ("kind", "after")]), 0);
    assert_eq!(sink.count(&[("kind", "undo-a")]), 0, "nothing is undone unless asked for");
}

// rules: S30, A27
#[test]
fn a_restart_runs_everything_again_with_the_same_params() {
    let (server, sink) = (behaviours(), Sink::start());
    let instance = server.workflow("RESTART_TARGET").create("a", json!({ "sink": sink.url(), "ms": 1 }));
    let first = instance.output();
    instance.restart();
    let second = instance.output();
    for value in ["first", "third", "last"] {
        assert_ne!(first[value], second[value], "{value}");
    }
    assert_eq!(sink.count(&[("kind", "same")]), 4);
}

// rules: S31, C2.3-5, C2.3-6, C2.3-7, C2.3-8, A81, A82
#[test]
fn a_restart_from_a_step_keeps_what_came_before() {
    let (server, sink) = (behaviours(), Sink::start());
    let instance = server.workflow("RESTART_TARGET").create("a", json!({ "sink": sink.url(), "ms": 1 }));
    let whole = instance.output();

    instance.restart_from("third");
    let third = instance.output();
    assert_eq!((&third["first"], &third["same"]), (&whole["first"], &whole["same"]));
    assert_ne!(third["third"], whole["third"]);
    assert_ne!(third["last"], whole["last"]);

    instance.restart_from(RestartFrom { name: "same", count: Some(2), step_type: None });
    let second = instance.output();
    assert_eq!((&second["first"], &second["same"][0]), (&whole["first"], &whole["same"][0]));
    assert_ne!(second["same"][1], whole["same"][1]);

    // The sleep of that name comes after both steps.
    instance.restart_from(RestartFrom { name: "same", count: None, step_type: Some("sleep") });
    let slept = instance.output();
    assert_eq!(slept["same"], second["same"]);
    assert_ne!(slept["third"], second["third"]);

    let refused = instance.try_restart_from("never").expect(409).json();
    assert_eq!(refused["error"], "(instance.cannot_restart) Step \"never\" not found in execution history");
    assert_eq!(instance.output(), slept, "it is as it was");
}

// rules: S27
#[test]
fn pause_and_resume_have_no_effect_where_they_do_not_apply() {
    let server = behaviours();
    let instance = server.workflow("ONE_STEP").create("a", ());
    let done = instance.wait_for("complete");
    instance.pause();
    instance.resume();
    assert_eq!(instance.status(), done);
}

// rules: C2.2-17, C2.2-18, A119
#[test]
fn what_is_deleted_is_gone_and_its_id_is_free() {
    let (server, sink) = (behaviours(), Sink::start());
    let workflow = server.workflow("SLEEPER");
    let instance = workflow.create("a", json!({ "sink": sink.url(), "ms": 60_000 }));
    instance.wait_for("waiting");
    instance.delete();
    let gone = server.get("/status?wf=SLEEPER&id=a").expect(404).json();
    assert_eq!(gone["error"], "(instance.not_found) Instance not found");
    let again = workflow.create("a", json!({ "sink": sink.url(), "ms": 1 }));
    again.wait_for("complete");
    assert_eq!(sink.count(&[("id", "a"), ("kind", "before")]), 2);
}

// rules: C2.2-19, A10
#[test]
fn an_instance_steers_itself() {
    let sink = Sink::answering({
        let asked = std::sync::Mutex::new(std::collections::HashSet::new());
        // It may steer once, whatever it replays.
        move |seen| match seen.param("kind") {
            "steer" if !asked.lock().unwrap().insert(seen.param("id").to_owned()) => Reply::Answer(409, String::new()),
            _ => Reply::ok(),
        }
    });
    let server = behaviours();
    let workflow = server.workflow("SELF_STEERED");
    for inside in [false, true] {
        let start = |name: &str| {
            let id = format!("{name}-{inside}");
            workflow.create(&id, json!({ "sink": sink.url(), "name": name, "inside": inside, "ms": 200 }))
        };
        let after = |name: &str| sink.count(&[("kind", "after"), ("id", &format!("{name}-{inside}"))]);

        let paused = start("pause");
        paused.wait_for("paused");
        assert_eq!(after("pause"), 0);
        paused.resume();
        paused.wait_for("complete");

        start("terminate").wait_for("terminated");
        let undone = start("terminate-rollback").wait_for("terminated");
        assert_eq!(undone["rollback"], json!({ "outcome": "complete", "error": null }));
        start("restart").wait_for("complete");
        let restarted = format!("restart-{inside}");
        assert_eq!(sink.count(&[("kind", "before"), ("id", &restarted)]), 2);

        let deleted = start("delete");
        eventually("the instance deletes itself", || (deleted.gone()).then_some(()));
        for name in ["terminate", "terminate-rollback", "delete"] {
            assert_eq!(after(name), 0, "{name}");
        }
    }
}

// rules: C2.1-11, C2.1-12, C2.1-13, C2.1-14
#[test]
fn a_batch_tells_of_every_entry() {
    let server = behaviours();
    let workflow = server.workflow("ONE_STEP");
    workflow.create("taken", ());
    let entry = |id: &str| json!({ "id": id });
    let batch = json!({ "instances": [entry("new"), entry("taken"), entry("new"), entry("newer")] });
    let result = workflow.create_batch_with_options(batch);
    assert_eq!(result["created"], json!(["new", "newer"]));
    let error = |index: u32, id: &str, code: u32, message: &str| json!({ "index": index, "id": id, "code": code, "message": message });
    let expected = [
        error(1, "taken", 10405, "workflows.api.error.instance.already_exists"),
        error(2, "new", 10415, "workflows.api.error.instance.duplicate_in_batch"),
    ];
    assert_eq!(result["errors"], json!(expected));

    let many = workflow.create_batch_with_options(json!({ "count": 3 }));
    assert_eq!(many["created"].as_array().unwrap().len(), 3);
    assert_eq!(many["errors"], json!([]));

    let refused = |batch: Value| workflow.try_create_batch_with_options(batch).expect(400).json()["error"].take();
    assert_eq!(refused(json!({ "count": 0 })), "(body) count must be a positive integer");
    assert_eq!(refused(json!({ "count": 101 })), "(body) batchCreate only supports 100 instances at a time");
    assert_eq!(refused(json!({ "instances": [] })), "(body) Batch size exceeds maximum allowed");
    let bad = json!({ "instances": [entry("fine"), entry("not fine")] });
    assert_eq!(refused(bad), "(instance.invalid_id) Instance ID is invalid");
    let _ = server.get("/status?wf=ONE_STEP&id=fine").expect(404);
}

// rules: C2.1-20, C2.1-21, C2.1-22, C2.1-23, A15, A121
#[test]
fn a_batch_of_deletions_tells_of_every_id() {
    let server = behaviours();
    let workflow = server.workflow("ONE_STEP");
    for id in ["a", "b"] {
        workflow.create(id, ()).wait_for("complete");
    }
    let result = workflow.delete_batch(&["b", "none", "a", "b"]);
    assert_eq!(result["deleted"], json!(["b", "a", "b"]));
    let missing = json!({ "id": "none", "code": 10400, "message": "workflows.api.error.instance.not_found" });
    assert_eq!(result["errors"], json!([missing]));
    let refused = |ids: &[&str]| workflow.try_delete_batch(ids).expect(400).json()["error"].take();
    assert_eq!(refused(&[]), "(body) batchDeleteInstances should have at least 1 instance");
    assert_eq!(refused(&["x"; 101]), "(body) batchDeleteInstances only supports 100 instances at a time");
    assert_eq!(refused(&["b", "not!"]), "(instance.invalid_id) Instance ID is invalid");
}

// rules: C2.8-1, C2.8-2, C2.8-3, C2.8-4, C2.8-5, C2.8-10, C2.8-12
#[test]
fn a_subscriber_sees_what_was_and_then_what_happens() {
    let server = behaviours();
    let instance = server.workflow("ROLLBACK_HOLD").create("a", json!({}));
    instance.wait_for("waiting");
    let before = instance.first_events(8);
    let expected = [
        "workflow_queued",
        "workflow_started",
        "workflow_running",
        "step_started",
        "attempt_started",
        "attempt_completed",
        "step_completed",
        "step_started",
    ];
    assert_eq!(types(&before), expected);
    assert_eq!((&before[3]["stepName"], &before[0]["instanceId"]), (&json!("a-1"), &json!("a")));
    instance.send_event("go", json!(7));
    let all = instance.subscribe(None, &[]);
    assert_eq!(all[..8], before[..]);
    assert_eq!(all.last().unwrap()["type"], "workflow_completed");
    assert_eq!(all.last().unwrap()["output"], 7);
    let ids: Vec<_> = all.iter().map(|event| event["eventId"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(instance.subscribe(Some(ids[2]), &[]), all[3..], "from after the cursor");
    let waits = instance.subscribe(None, &["wait_started", "wait_completed"]);
    assert_eq!(types(&waits), ["wait_started", "wait_completed"]);
    assert_eq!(waits[0]["eventType"], "go");
    let path = "/op/ROLLBACK_HOLD/a/events?filter=nonsense";
    assert_eq!(server.get(path).expect(400).json()["error"], "Invalid Workflow subscription options");
}

// rules: C4.14-1
#[test]
fn a_workflow_of_the_configuration_keeps_its_instances_as_long_as_it_says() {
    let mut workflow = bound("OneStep");
    workflow["default_retention"] = json!({ "success_retention": "1 second", "error_retention": 600_000 });
    let server = Dev::guest("behaviours").config(json!({ "workflows": [workflow] })).start();
    let instance = server.workflow("ONE_STEP").create("a", ());
    instance.wait_for("complete");
    eventually("the instance is removed", || instance.gone().then_some(()));
    server.workflow("ONE_STEP").create("a", ()).wait_for("complete");
}

// rules: B6
#[test]
fn a_pause_comes_also_after_a_failure_for_good_that_was_handled() {
    let (server, sink) = (behaviours(), Sink::start());
    let instance = server.workflow("CAUGHT_THEN_BUSY").create("a", json!({ "sink": sink.url(), "ms": 500 }));
    sink.wait_for(1, &[("kind", "busy")]);
    instance.pause();
    instance.wait_for("paused");
    assert_eq!(sink.count(&[("kind", "after")]), 0);
    instance.resume();
    assert_eq!(instance.output(), json!({ "name": "NonRetryableError", "message": "beyond repair" }));
    assert_eq!(sink.count(&[("kind", "busy")]), 1);
}

// rules: B27
#[test]
fn steering_an_instance_prints_nothing_that_looks_like_a_failure() {
    let (server, sink) = (behaviours(), Sink::start());
    let instance = server.workflow("PAUSE_TARGET").create("a", json!({ "sink": sink.url(), "ms": 300 }));
    sink.wait_for(1, &[("kind", "busy-0")]);
    instance.pause();
    instance.wait_for("paused");
    instance.resume();
    instance.restart();
    sink.wait_for(2, &[("kind", "busy-0")]);
    instance.terminate(false);
    for word in ["paused", "resumed", "restarted", "terminated"] {
        server.wait_for_line(&format!("pause-target/a {word}"));
    }
    let log = server.log();
    let ready = log.find("ready on").unwrap();
    for word in ["error", "panic", "trap", "abort", "hung"] {
        assert!(!log[ready..].contains(word), "{log}");
    }
}

// rules: A138, A140, C2.1-10, C2.2-25
#[test]
fn a_status_has_the_documented_keys_and_words_and_params_stay_what_they_are() {
    let server = behaviours();
    let asleep = server.workflow("SLEEPER").create("a", json!({ "ms": 1000 }));
    asleep.wait_for("waiting");
    assert_eq!(asleep.status(), json!({ "status": "waiting", "rollback": null }));
    let null = server.workflow("EVENT_ECHO").create("null", json!(null));
    assert_eq!(null.output()["payload"], json!(null));
    let batch = json!([{ "id": "one", "params": "1" }, { "id": "two", "params": "2" }]);
    let created = server.post("/batch?wf=EVENT_ECHO", batch).expect(200).json();
    assert_eq!(created, json!({ "ids": ["one", "two"] }));
    for (id, payload) in [("one", "1"), ("two", "2")] {
        let status = server.workflow("EVENT_ECHO").instance(id).wait_for("complete");
        assert_eq!(status["output"]["payload"], payload);
        let keys: Vec<_> = status.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["status", "output", "rollback"]);
    }
    asleep.wait_for("complete");
}

// rules: A4, A9, A11, A12, A16
#[test]
fn ids_are_checked_and_batches_keep_their_order() {
    let server = behaviours();
    let workflow = server.workflow("ONE_STEP");
    let refused = workflow.try_create("%23invalid!", ()).expect(400).json();
    assert_eq!(refused["error"], "Workflow instance has invalid id");
    let ids = ["c", "a", "b"];
    let created = workflow.create_batch_with_options(json!({ "instances": ids.map(|id| json!({ "id": id })) }));
    assert_eq!(created, json!({ "created": ids, "errors": [] }));
    for id in ids {
        workflow.instance(id).wait_for("complete");
    }
    assert_eq!(workflow.delete_batch(&["b", "c"]), json!({ "deleted": ["b", "c"], "errors": [] }));
    let scheduled = "*/5 * * * *-1786599900000";
    let missing = json!({ "id": scheduled, "code": 10400, "message": "workflows.api.error.instance.not_found" });
    let twice = workflow.delete_batch(&[scheduled, scheduled]);
    assert_eq!(twice, json!({ "deleted": [], "errors": [missing, missing] }));
}

// rules: A6
#[test]
fn one_handle_does_everything_and_knows_its_id() {
    let server = behaviours();
    server.workflow("ROLLBACK_HOLD").create("a", json!({})).wait_for("waiting");
    let life = server.post("/op/ROLLBACK_HOLD/a/life", ()).expect(200).json();
    assert_eq!((&life["id"], &life["gone"]), (&json!("a"), &json!("instance.not_found")), "{life}");
    let seen: Vec<_> = life["seen"].as_array().unwrap().iter().map(|status| status.as_str().unwrap()).collect();
    let [before, paused, resumed, terminated, restarted] = seen[..] else { panic!("{life}") };
    assert_eq!((before, paused, terminated), ("waiting", "paused", "terminated"));
    // Whether it waits again by then is nobody's promise.
    for going_on in [resumed, restarted] {
        assert!(["running", "waiting"].contains(&going_on), "{life}");
    }
}

// rules: A116
#[test]
fn a_handler_deletes_what_is_stored_also_of_an_instance_that_a_schedule_made() {
    let one_step =
        json!({ "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep", "schedules": ["*/5 * * * *"] });
    let dev = Dev::guest("behaviours").config(json!({ "workflows": [one_step] })).args(["--time", "manual"]);
    let server = dev.start();
    let advanced = json!({ "advance": 300_000 });
    let _ = server.post("/cdn-cgi/local/miniflow/time", advanced).expect(200);
    server.workflow("ONE_STEP").create("by-hand", ()).wait_for("complete");
    let ids = stored(&dev);
    let [by_hand, scheduled] = &ids[..] else { panic!("{ids:?}") };
    assert!(by_hand == "by-hand" && scheduled.starts_with("*/5 * * * *-"), "{ids:?}");
    for id in &ids {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("wf", "ONE_STEP")
            .append_pair("id", id)
            .finish();
        let _ = server.get(&format!("/status?{query}")).expect(200);
        let _ = server.post(&format!("/delete?{query}"), ()).expect(200);
        for refused in [server.get(&format!("/status?{query}")), server.post(&format!("/delete?{query}"), ())] {
            assert_eq!(refused.expect(404).json()["error"], "(instance.not_found) Instance not found", "{id}");
        }
    }
    server.kill();
    assert_eq!(stored(&dev), Vec::<String>::new());
}

/// Returns the ids of all instances in the state directory, read past the process that serves it.
fn stored(dev: &Dev) -> Vec<String> {
    let mut reader = Reader::of_directory(&dev.state()).unwrap().unwrap();
    let filter = Filter { workflow: "one-step".to_owned(), ..Filter::default() };
    reader.list(&filter, Order::NewestFirst, None, 0, 10).unwrap().into_iter().map(|listed| listed.id).collect()
}

// rules: A144
#[test]
fn a_handler_that_redirects_right_after_a_creation_has_created() {
    let server = behaviours();
    let answer = server.post("/create-and-go?wf=SLEEPER&id=a", json!({ "ms": 500 })).expect(302);
    let target = answer.headers["location"].to_str().unwrap();
    assert_eq!(target, format!("{}/status?wf=SLEEPER&id=a", server.url()));
    let _ = server.get("/status?wf=SLEEPER&id=a").expect(200);
    server.workflow("SLEEPER").instance("a").wait_for("complete");
}

// rules: B33
#[test]
fn two_sessions_do_not_see_each_other() {
    let (one, other) = (behaviours(), behaviours());
    one.workflow("ONE_STEP").create("a", ()).wait_for("complete");
    assert!(other.workflow("ONE_STEP").instance("a").gone());
}
