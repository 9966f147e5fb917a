//! `miniflow test --crash-matrix`.

use std::path::Path;

use miniflow_tests::{build, repository};
use serde_json::{Value, json};

use super::{Said, run};

/// Runs `miniflow test` on a guest of this repository, as it is built.
fn test(folder: &str, arguments: &[&str]) -> Said {
    let folder = repository().join(folder);
    build(&folder);
    let mut all = vec![Path::new("test"), &folder, Path::new("--no-build")];
    all.extend(arguments.iter().map(Path::new));
    run(all)
}

fn matrix(workflow: &str, arguments: &[&str]) -> Said {
    test("tests/guests/verify", &[&["--crash-matrix", "--workflow", workflow], arguments].concat())
}

fn findings(workflow: &str) -> Value {
    let said: Value = serde_json::from_str(&matrix(workflow, &["--json"]).code(1).out).unwrap();
    assert_eq!(said["ok"], false);
    assert_eq!(said["workflows"][0]["name"], workflow);
    said["workflows"][0]["findings"].clone()
}

#[test]
fn a_step_that_charges_twice_is_found() {
    let said = matrix("charges", &[]);
    let expected = "
        the step do `charge` is not safe to repeat: it leaves 2 effects instead of 1
          killed after the ";
    assert!(said.code(1).out.contains(expected), "{}", said.out);
    // Its beginning may be recorded with the end of the step before it, or after that, or with its own end.
    let when = |what: &str| said.out.contains(&format!(" was recorded, before the {what} of do `charge` was (commit "));
    assert!(when("end") || when("beginning"), "{}", said.out);
    assert!(said.out.contains("            POST http://bank.example/ {\"cents\":1}\n"), "{}", said.out);
    assert!(said.out.contains("          hint: send an `Idempotency-Key`"), "{}", said.out);
    assert!(said.out.lines().last().unwrap().starts_with("unsafe: charges do `charge` (1 workflow, "), "{}", said.out);
    let found = findings("charges");
    assert_eq!(found.as_array().unwrap().len(), 1, "{found:#}");
    assert_eq!((&found[0]["step"], &found[0]["harm"]), (&json!("do `charge`"), &json!("moreEffects")));
}

#[test]
fn every_kind_of_step_that_is_not_safe_is_named() {
    let of = |workflow: &str, step: &str, harm: &str| {
        let found = findings(workflow);
        let names = |finding: &Value| finding["step"] == step && finding["harm"] == harm;
        assert!(found.as_array().unwrap().iter().any(names), "{workflow}: {found:#}");
        let others = found.as_array().unwrap().iter().filter(|finding| finding["step"] != step).count();
        assert_eq!(others, 0, "{workflow}: {found:#}");
    };
    of("makes-keys", "do `charge`", "moreEffects");
    of("tells", "do `tell`", "moreEffects");
    of("spawns", "do `spawn`", "moreEffects");
    of("counts", "do `count`", "otherState");
    of("forgets", "do `note`", "otherEnd");
    of("adds", "do `add`", "otherState");
    // Nobody can tell which step it is that leaves the key behind: it is read by the code between them.
    let found = findings("peeks");
    let found = found.as_array().unwrap();
    assert!(!found.is_empty() && found.iter().all(|finding| finding["harm"] == "otherEnd"), "{found:#?}");
}

#[test]
fn a_correct_workflow_comes_to_the_same_wherever_it_is_killed() {
    for events in [&[][..], &["--event", "approval={\"by\":\"Ada\"}"]] {
        let said = matrix("careful", &[events, &["--json", "--seed", "7"]].concat());
        let said: Value = serde_json::from_str(&said.code(0).out).unwrap();
        assert_eq!(said["ok"], true, "{said:#}");
        let workflow = &said["workflows"][0];
        assert_eq!(workflow["error"], Value::Null);
        assert_eq!(workflow["undetermined"], json!([]));
        let in_vain = if events.is_empty() { json!(["approval"]) } else { json!([]) };
        assert_eq!(workflow["eventsInVain"], in_vain);
        // Each of its commits is killed before and after.
        let count = |name: &str| workflow[name].as_u64().unwrap();
        assert_eq!((count("kills"), count("doubleKills")), (2 * count("commits"), 20));
        assert!(count("commits") > 10, "{workflow:#}");
    }
}

#[test]
fn without_a_name_every_workflow_is_killed_and_the_last_line_names_what_is_wrong() {
    let said = test("tests/guests/reload-a", &["--crash-matrix", "--doubles", "3", "--workflow", "steady"]);
    assert!(
        said.code(0).out.lines().last().unwrap().starts_with("safe: 1 workflow came to the same after "),
        "{}",
        said.out
    );
    let said = test("tests/guests/verify", &["--crash-matrix", "--doubles", "2"]);
    let last = said.code(1).out.lines().last().unwrap().to_owned();
    assert!(last.starts_with("unsafe: charges do `charge`, makes-keys do `charge`, "), "{last}");
    for safe in ["careful", "many-steps", "child", "reads-around", "shuffled", "streams"] {
        assert!(!last.contains(safe), "{last}");
        assert!(said.out.contains(&format!("safe    {safe}  ")), "{}", said.out);
    }
}

#[test]
fn requests_are_answered_as_the_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answers.json");
    std::fs::write(&file, r#"[{ "method": "GET", "status": 404 }, { "method": "POST", "status": 201 }]"#).unwrap();
    let stub = file.to_string_lossy().into_owned();
    let said: Value = serde_json::from_str(&matrix("charges", &["--stub", &stub, "--json"]).code(1).out).unwrap();
    assert_eq!(said["workflows"][0]["error"], Value::Null, "{said:#}");
    std::fs::write(&file, "[{ \"stats\": 1 }]").unwrap();
    matrix("charges", &["--stub", &stub]).one_error(2, &["unknown field `stats`"]);
    matrix("charges", &["--stub", "absent.json"]).one_error(2, &["could not read `absent.json`"]);
}

#[test]
fn the_order_pipeline_is_safe() {
    let params =
        json!({ "order": { "id": "o", "item": "tea", "cents": 5 }, "payment_url": "http://bank.example/charge" });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answers.json");
    std::fs::write(&file, r#"[{ "url": "http://bank.example/*", "json": { "receipt": "r" } }]"#).unwrap();
    let said = test(
        "examples/order-pipeline",
        &[
            "--crash-matrix",
            "--params",
            &params.to_string(),
            "--event",
            "approval={\"by\":\"Ada\"}",
            "--stub",
            &file.to_string_lossy(),
        ],
    );
    assert!(said.code(0).out.starts_with("safe    "), "{}", said.out);
    assert!(!said.out.contains("note:") && !said.out.contains("warning:"), "{}", said.out);
}

#[test]
fn what_cannot_be_tried_is_told_and_is_no_verdict() {
    matrix("nobody", &[]).one_error(2, &["error: there is no workflow `nobody` (there are: `careful`, "]);
    matrix("charges", &["--params", "{"]).code(2);
    matrix("charges", &["--event", "approval"]).code(2);
    matrix("charges", &["--live"]).code(2);
    run(["test", "absent", "--crash-matrix"]).one_error(2, &["error: `absent` does not exist"]);
    // A workflow that fails in every run fails in the same way in every run.
    let said = matrix("charges", &["--params", "{\"cents\":0}"]);
    assert!(said.code(0).out.contains("note: undisturbed, it fails: Error: nothing to pay"), "{}", said.out);
    let once = test("tests/guests/verify", &["--workflow", "charges", "--params", "{\"cents\":0}"]);
    assert!(once.code(1).out.ends_with(": 1 failed\n"), "{}", once.out);
    let once = test("tests/guests/verify", &["--workflow", "charges", "--workflow", "careful"]);
    assert!(once.code(0).out.lines().last().unwrap().starts_with("2 workflows run once in "), "{}", once.out);
}

#[test]
fn what_is_read_between_steps_is_told_once_for_each_line_and_may_be_an_error() {
    let said: Value = serde_json::from_str(&matrix("reads-around", &["--json"]).code(0).out).unwrap();
    let places = said["workflows"][0]["undetermined"].as_array().unwrap();
    let of = |does: &str| places.iter().filter(|place| place["does"] == does).collect::<Vec<_>>();
    let clock = of("reads the clock");
    assert_eq!(clock.len(), 1, "{places:#?}");
    assert!(clock[0]["at"].as_str().unwrap().contains("moods.rs:"), "{places:#?}");
    assert_eq!((of("reads the environment of the process").len(), places.len()), (1, 2), "{places:#?}");
    let drawn: Value = serde_json::from_str(&matrix("shuffled", &["--json"]).code(0).out).unwrap();
    let place = &drawn["workflows"][0]["undetermined"][0];
    assert_eq!(place["does"], "draws a random number");
    assert!(place["at"].as_str().unwrap().contains("moods.rs:"), "{place}");
    let strict = test("tests/guests/verify", &["--workflow", "shuffled", "--strict-determinism"]);
    let text = "note: it fails: Error: `run` draws a random number outside of a step, at ";
    assert!(strict.code(1).out.contains(text), "{}", strict.out);
    let careful = test("tests/guests/verify", &["--workflow", "careful", "--strict-determinism"]);
    assert!(!careful.code(0).out.contains("warning:"), "{}", careful.out);
}
