//! Several Workers in one session.

use miniflow_tests::Dev;
use serde_json::{Value, json};

fn worker(name: &str, workflows: &Value) -> Dev {
    Dev::guest("behaviours").config(json!({ "name": name, "workflows": workflows }))
}

fn one_step(script_name: Option<&str>) -> Value {
    let mut entry = json!({ "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep" });
    if let Some(script) = script_name {
        entry["script_name"] = json!(script);
    }
    json!([entry])
}

// rules: A123
#[test]
fn a_worker_starts_instances_of_anothers_workflow() {
    let dev = worker("shop", &one_step(Some("billing"))).beside(worker("billing", &one_step(None)));
    let server = dev.start();
    server.wait_for_line("one-step  OneStep of Worker `billing`");
    let instance = server.workflow("ONE_STEP").create("a", ());
    let done = instance.wait_for("complete");
    drop(server);
    // The instance belongs to the Worker that has the class: alone, that one has it too.
    let alone = worker("billing", &one_step(None)).persist(&dev.state()).start();
    assert_eq!(alone.workflow("ONE_STEP").instance("a").status(), done);
}

#[test]
fn a_worker_that_is_not_in_the_session_is_named_at_the_start_and_on_use() {
    let server = worker("shop", &one_step(Some("billing"))).start();
    let why = "the workflow `one-step` is of the Worker `billing`, which is not in this session: add it with `-c`";
    server.wait_for_line(&format!("binding `ONE_STEP` of `shop`: {why}"));
    let answer = server.workflow("ONE_STEP").try_create("a", ()).expect(400).json();
    assert_eq!(answer["error"], why);
}

#[test]
fn names_that_two_workers_have_are_refused() {
    let twice = worker("shop", &one_step(None)).beside(worker("billing", &one_step(None)));
    twice.refused().assert_one_error(&["the Workers `shop` and `billing` both define the workflow `one-step`"]);
    let twice = worker("shop", &json!([])).beside(worker("shop", &json!([])));
    twice.refused().assert_one_error(&["two Workers of this session are called `shop`"]);
}

#[test]
fn a_folder_to_work_in_can_be_given() {
    let dev = Dev::guest("behaviours").config(json!({ "workflows": one_step(None) }));
    let folder = dev.served().to_owned();
    let server = Dev::path(std::path::Path::new(".")).args(["--no-build", "--cwd"]).args([folder]).start();
    let state = server.workflow("ONE_STEP").create("a", ());
    let _ = state.wait_for("complete");
    drop(server);
    let refused = Dev::path(std::path::Path::new(".")).args(["--cwd", "no-such-folder"]).refused();
    refused.assert_one_error(&["cannot work in `no-such-folder`"]);
}
