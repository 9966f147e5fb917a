//! Cron triggers and event triggers.

use super::diagnostics::check;
use super::{json, loaded, toml};
use crate::config::{Place, Position};

#[test]
fn crons_are_taken_as_written() {
    let folder = json("{ \"triggers\": { \"crons\": [\n  \"*/5 * * * *\", \"0  9 * * mon-fri\"] } }");
    let crons = loaded(&folder).crons;
    let expressions: Vec<&str> = crons.iter().map(|cron| cron.expression.as_str()).collect();
    assert_eq!(expressions, ["*/5 * * * *", "0  9 * * mon-fri"]);
    let place = Place { file: folder.path().join("wrangler.jsonc"), position: Some(Position { line: 2, column: 18 }) };
    assert_eq!(crons[1].place, Some(place));

    let crons = loaded(&toml("[triggers]\ncrons = [\"* * * * *\"]\n")).crons;
    assert_eq!(crons[0].expression, "* * * * *");
    assert_eq!(loaded(&json(r#"{ "triggers": {} }"#)).crons, []);
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
