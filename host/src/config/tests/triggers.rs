//! Cron triggers and event triggers.

use super::diagnostics::check;
use super::{json, loaded, toml};
use crate::config::Problem;
#[test]
fn crons_are_taken_as_written() {
    let folder = json("{ \"triggers\": { \"crons\": [\n  \"*/5 * * * *\", \"0  9 * * mon-fri\"] } }");
    let crons = loaded(&folder).crons;
    let expressions: Vec<&str> = crons.iter().map(|cron| cron.as_str()).collect();
    assert_eq!(expressions, ["*/5 * * * *", "0  9 * * mon-fri"]);

    let crons = loaded(&toml("[triggers]\ncrons = [\"* * * * *\"]\n")).crons;
    assert_eq!(crons[0].as_str(), "* * * * *");
    assert_eq!(loaded(&json(r#"{ "triggers": {} }"#)).crons, []);
}

/// Line and column of each mistake in cron expressions, and what is said of it.
fn mistakes(folder: &super::Folder) -> Vec<(usize, usize, String)> {
    let problems = folder.load().expect_err("there are mistakes");
    let of = |problem: &Problem| {
        let position = problem.place.as_ref().and_then(|place| place.position).expect("it has a place");
        assert!(problem.hint.is_some(), "{problem}");
        (position.line, position.column, problem.message.clone())
    };
    problems.iter().map(of).collect()
}

#[test]
fn every_mistake_in_an_expression_is_told_with_its_very_character() {
    let config = r#"{
  "workflows": [
    { "name": "a", "binding": "A", "class_name": "A", "schedules": ["0 0 * * *", "0 24 * * *",
        "0 0 * * 0"] },
    { "name": "b", "binding": "B", "class_name": "B", "schedules": "* * * *" },
  ],
  "exports": { "C": { "type": "workflow", "name": "c", "schedules": ["@daily"] } },
  "triggers": { "crons": ["0 0 1 * *", "0\t0 32 * *", "61 * * * *"] },
}"#;
    let said = |line, column, message: &str| (line, column, message.to_owned());
    assert_eq!(
        mistakes(&json(config)),
        [
            said(
                3,
                85,
                "\"workflows[0].schedules[1]\": `0 24 * * *` is not a cron expression: 24 is not an hour (character 3)"
            ),
            said(
                4,
                18,
                "\"workflows[0].schedules[2]\": `0 0 * * 0` is not a cron expression: 0 is not a weekday (character 9)"
            ),
            said(
                5,
                76,
                "\"workflows[1].schedules\": `* * * *` is not a cron expression: the weekday is missing (character 8)"
            ),
            said(
                7,
                71,
                "\"exports.C.schedules[0]\": `@daily` is not a cron expression: `@daily` is not supported (character 1)"
            ),
            // A tab that is written as two characters: the beginning of the text is all that can be said.
            said(
                8,
                40,
                "\"triggers.crons[1]\": `0\t0 32 * *` is not a cron expression: 32 is not a day of the month (character 5)"
            ),
            said(
                8,
                56,
                "\"triggers.crons[2]\": `61 * * * *` is not a cron expression: 61 is not a minute (character 1)"
            ),
        ]
    );
    let config = "[triggers]\ncrons = [\n  '0 0 * * 8',\n  \"\"\"0 0 0 * *\"\"\",\n]\n";
    assert_eq!(
        mistakes(&toml(config)),
        [
            said(
                3,
                12,
                "\"triggers.crons[0]\": `0 0 * * 8` is not a cron expression: 8 is not a weekday (character 9)"
            ),
            said(
                4,
                10,
                "\"triggers.crons[1]\": `0 0 0 * *` is not a cron expression: 0 is not a day of the month (character 5)"
            ),
        ]
    );
}

#[test]
fn triggers_have_types() {
    check(r#""triggers":"x""#, &[r#"Expected "triggers" to be of type object but got "x"."#]);
    check(
        r#""triggers":{"crons":"* * * * *"}"#,
        &[r#"Expected "triggers.crons" to be of type array, but got {"crons":"* * * * *"}."#],
    );
    check(
        r#""triggers":{"crons":["* * * * *",1]}"#,
        &[r#"Expected "triggers.crons[1]" to be of type string, but got 1."#],
    );
    check(r#""triggers":{"cron":[]}"#, &[r#"Unexpected fields found in triggers field: "cron""#]);
    check(r#""triggers":{"events":1}"#, &[r#"Expected "triggers.events" to be of type array, but got {"events":1}."#]);
}

// rules: A171
#[test]
fn event_triggers_are_of_nine_types() {
    let event = |fields: &str| format!(r#""triggers":{{"events":[{{{fields}}}]}}"#);
    let targets = r#""targets":[{"type":"workflow","workflow_name":"w"}]"#;
    for kind in
        ["created", "deleted", "forked", "imported", "pushed", "cloned", "fetched", "token.created", "token.revoked"]
    {
        check(&event(&format!(r#""type":"cf.artifacts.repo.{kind}",{targets}"#)), &[]);
    }
    check(
        &event(&format!(r#""type":"cf.artifacts.repo.made",{targets}"#)),
        &[
            "Expected \"triggers.events[0].type\" to be a supported Artifacts event type, but got \"cf.artifacts.repo.made\".",
        ],
    );
    let kind = r#""type":"cf.artifacts.repo.pushed""#;
    check(&event(&format!(r#"{kind},{targets},"filter":{{"namespace":"n","repo_name":"r"}}"#)), &[]);
    check(
        &event(&format!(r#"{kind},{targets},"filter":{{"branch":"b"}},"x":1"#)),
        &[
            "Expected \"triggers.events[0].filter\" to contain only string \"namespace\" and \"repo_name\" fields, but got \
             {\"branch\":\"b\"}.",
            "Unexpected fields found in triggers.events[0] field: \"x\"",
        ],
    );
    check(
        &event(&format!(r#"{kind},{targets},"filter":1"#)),
        &["Expected \"triggers.events[0].filter\" to be of type object, but got 1."],
    );
    check(
        &event(&format!(r#"{kind},"targets":[]"#)),
        &["Expected \"triggers.events[0].targets\" to be a non-empty array, but got []."],
    );
    check(
        &event(&format!(r#"{kind},"targets":[{{"type":"workflow"}},{{"type":"workflow","workflow_name":"w","y":1}}]"#)),
        &[
            "Expected \"triggers.events[0].targets[0]\" to be a workflow target with a non-empty \"workflow_name\", but got \
             {\"type\":\"workflow\"}.",
            "Unexpected fields found in triggers.events[0].targets[1] field: \"y\"",
        ],
    );
    check(r#""triggers":{"events":[1]}"#, &["Expected \"triggers.events[0]\" to be of type object, but got 1."]);
}
