//! Workflows, versions, accounts.

use http::Method;
use miniflow_tests::Dev;
use serde_json::{Value, json};

use super::behaviours;

fn names(workflows: &Value) -> Vec<&str> {
    workflows.as_array().unwrap().iter().filter_map(|workflow| workflow["name"].as_str()).collect()
}

// rules: R1, B21
#[test]
fn workflows_are_listed_with_counts_of_their_instances() {
    let server = behaviours();
    let v4 = server.v4();
    let one = v4.create("one-step", "a", json!({}));
    v4.wait_for(&one, "complete");
    let nap = v4.create("sleeper", "a", json!({ "duration": "1 day" }));
    v4.wait_for(&nap, "waiting");
    let answer = v4.get("?per_page=100").expect(200).json();
    let all = answer["result"].as_array().unwrap();
    let workflow = |name: &str| all.iter().find(|workflow| workflow["name"] == name).unwrap();
    assert_eq!(workflow("one-step")["instances"], json!({ "complete": 1 }));
    assert_eq!(workflow("sleeper")["instances"], json!({ "waiting": 1 }));
    assert_eq!(workflow("parallel")["instances"], json!({}));
    assert_eq!(workflow("parallel")["triggered_on"], Value::Null);
    for (field, value) in [("class_name", "OneStep"), ("script_name", "behaviours")] {
        assert_eq!(workflow("one-step")[field], value);
    }
    let newest = v4.result("one-step/instances")[0]["created_on"].take();
    assert_eq!(workflow("one-step")["triggered_on"], newest);
    assert_eq!(answer["result_info"]["total_count"], all.len());

    // Clients ask for page after page until one is empty.
    let (mut seen, mut page) = (Vec::new(), 1);
    loop {
        let some = v4.result(&format!("?page={page}&per_page=20"));
        if names(&some).is_empty() {
            break;
        }
        seen.extend(names(&some).into_iter().map(str::to_owned));
        page += 1;
    }
    assert_eq!(seen, names(&answer["result"]));
    assert_eq!(names(&v4.result("?search=nested")), ["nested-step", "nested-retry"]);
}

// rules: R2
#[test]
fn a_workflow_is_described() {
    let server = behaviours();
    let v4 = server.v4();
    let workflow = v4.result("one-step");
    assert_eq!((&workflow["name"], &workflow["class_name"]), (&json!("one-step"), &json!("OneStep")));
    assert!(workflow["created_on"].as_str().unwrap().ends_with('Z'), "{workflow}");
    v4.get("nothing").refused(404, 10200, "workflows.api.error.workflow.not_found");
}

// rules: R3
#[test]
fn a_workflow_is_what_the_configuration_says() {
    let config = json!({ "workflows": [{
        "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep", "limits": { "steps": 7 },
    }] });
    let server = Dev::guest("behaviours").config(config).start();
    let put = |body: Value| server.v4().send(Method::PUT, "one-step", body);
    let same = json!({ "class_name": "OneStep", "script_name": "worker", "limits": { "steps": 7 } });
    let result = put(same.clone()).result();
    assert_eq!((&result["name"], &result["is_deleted"]), (&json!("one-step"), &json!(0)));
    assert_eq!(result["version_id"], server.v4().result("one-step/versions")[0]["id"]);
    for (field, value) in [
        ("class_name", json!("Other")),
        ("limits", json!({ "steps": 8 })),
        ("concurrency", json!({ "limit": 1 })),
        ("schedules", json!([{ "cron": "* * * * *" }])),
        ("default_retention", json!({ "success_retention": "1 minute" })),
    ] {
        let mut other = same.clone();
        other[field] = value;
        let message =
            format!("(workflow.defined_by_configuration) The configuration says something else about {field}");
        put(other).refused(409, 10001, &message);
    }
    let nowhere = server.v4().send(Method::PUT, "new", same);
    nowhere.refused(404, 10200, "workflows.api.error.workflow.not_found");
}

// rules: R4, B19
#[test]
fn deleting_a_workflow_removes_its_instances_and_ends_them() {
    let server = behaviours();
    let v4 = server.v4();
    let ids: Vec<_> = (0..150).map(|k| format!("i{k}")).collect();
    let sleeping = server.workflow("SLEEPER").create_all(ids, &json!({ "duration": "1 day" }));
    let other = v4.create("one-step", "a", json!({}));
    let result = v4.send(Method::DELETE, "sleeper", ()).result();
    assert_eq!(result, json!({ "status": "ok", "success": true }));
    assert_eq!(v4.result("sleeper/instances"), json!([]));
    assert_eq!(v4.result("sleeper")["instances"], json!({}));
    assert!(sleeping[0].gone(), "a handle says so as well");
    v4.wait_for(&other, "complete");
    // The workflow is still there.
    v4.create("sleeper", "i0", json!({ "duration": "1 day" }));
    let nowhere = v4.send(Method::DELETE, "nothing", ());
    nowhere.refused(404, 10200, "workflows.api.error.workflow.not_found");
}

// rules: R15
#[test]
fn a_workflow_has_one_version_which_is_the_code_that_is_served() {
    let server = behaviours();
    let v4 = server.v4();
    let versions = v4.result("one-step/versions");
    let [version] = &versions.as_array().unwrap()[..] else { panic!("{versions}") };
    for (field, value) in [("class_name", json!("OneStep")), ("has_dag", json!(false)), ("language", json!("rust"))] {
        assert_eq!(version[field], value);
    }
    let id = version["id"].as_str().unwrap();
    assert_eq!(v4.result(&format!("one-step/versions/{id}")), *version);
    let graph = v4.get(&format!("one-step/versions/{id}/graph"));
    graph.refused(404, 10300, "The graph of a compiled Worker is not known");
    v4.get("one-step/versions/other").refused(404, 10300, "workflows.api.error.version.not_found");
    assert_eq!(v4.result("one-step/versions?page=2"), json!([]));
    let path = v4.create("one-step", "a", json!({}));
    assert_eq!(v4.result(&path)["versionId"], id);
}

#[test]
fn instances_of_a_workflow_that_is_not_defined_any_more_are_still_shown() {
    let config =
        |class: &str, name: &str| json!({ "workflows": [{ "name": name, "binding": "W", "class_name": class }] });
    let state = tempfile::tempdir().unwrap();
    let serve = |name: &str| Dev::guest("behaviours").config(config("OneStep", name)).persist(state.path()).start();
    let server = serve("old");
    let path = server.v4().create("old", "a", json!({}));
    server.v4().wait_for(&path, "complete");
    server.kill();
    let server = serve("new");
    let v4 = server.v4();
    let workflows = v4.result("");
    assert_eq!(names(&workflows), ["new", "old"]);
    assert_eq!((&workflows[0]["script_deleted"], &workflows[1]["script_deleted"]), (&Value::Null, &json!(true)));
    assert_eq!(v4.result("old")["instances"], json!({ "complete": 1 }));
    assert_eq!(v4.result("old/instances")[0]["id"], "a");
    assert_eq!(v4.result(&path)["output"], json!({ "count": 1 }));
    v4.post("old/instances", json!({})).refused(404, 10200, "workflows.api.error.workflow.not_found");
}

#[test]
fn there_is_one_account() {
    let server = behaviours();
    let result = |path: &str| server.get(path).result();
    assert_eq!(result("/client/v4/accounts?page=1")[0]["id"], "local");
    assert_eq!(result("/client/v4/accounts?page=2"), json!([]));
    assert_eq!(result("/client/v4/accounts/any")["id"], "local");
    assert_eq!(result("/client/v4/memberships?page=1")[0]["account"]["id"], "local");
    assert_eq!(result("/client/v4/user/tokens/verify")["status"], "active");
    assert!(result("/client/v4/user")["email"].is_string());
}
