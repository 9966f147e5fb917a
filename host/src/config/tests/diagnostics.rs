//! The words of problems: wrangler's for what wrangler also says.

use super::json;

/// Checks the messages, without labels, places and hints, about a configuration with these fields.
pub(super) fn check(fields: &str, expected: &[&str]) {
    let folder = json(&format!("{{{fields}}}"));
    let problems = match folder.load() {
        Ok(project) => project.warnings,
        Err(problems) => problems,
    };
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, expected, "{fields}");
    for problem in &problems {
        assert!(problem.hint.is_some(), "no hint: {problem}");
        assert!(problem.place.as_ref().is_some_and(|place| place.position.is_some()), "no place: {problem}");
    }
}

/// As [`check`], about a workflow that is right but for `field`.
fn check_workflow(field: &str, expected: &[&str]) {
    check(&format!(r#""workflows":[{{"name":"n","binding":"B","class_name":"C",{field}}}]"#), expected);
}

// rules: S8, S17, C4.14-2
#[test]
fn a_complete_workflow_is_right() {
    check_workflow(
        r#""limits":{"steps":25000},"concurrency":{"limit":1},"schedules":["0 9 * * MON-FRI"],
           "default_retention":{"success_retention":"3 days","error_retention":1000},"jurisdiction":"eu""#,
        &[],
    );
    check_workflow(r#""limits":{},"concurrency":{},"default_retention":{},"schedules":"* * * * *""#, &[]);
    check_workflow(r#""limits":{"steps":1.0}"#, &[]);
}

// rules: A169, A171
#[test]
fn the_list_of_workflows_and_its_items_have_types() {
    check(r#""workflows":{"a":1}"#, &[r#"The field "workflows" should be an array but got {"a":1}."#]);
    check(r#""workflows":"x""#, &[r#"The field "workflows" should be an array but got "x"."#]);
    check(
        r#""workflows":["x", null, 1]"#,
        &[
            r#""workflows" bindings should be objects, but got "x""#,
            r#""workflows" bindings should be objects, but got null"#,
            r#""workflows" bindings should be objects, but got 1"#,
        ],
    );
}

// rules: S8, A169, A171
#[test]
fn a_workflow_has_a_binding_a_name_and_a_class() {
    check(
        r#""workflows":[{}]"#,
        &[
            r#""workflows[0]" bindings should have a string "binding" field but got {}."#,
            r#""workflows[0]" bindings should have a string "name" field but got {}."#,
            r#""workflows[0]" bindings should have a string "class_name" field but got {}."#,
        ],
    );
    check(
        r#""workflows":[{"name":"n","binding":1,"class_name":"C"}]"#,
        &[
            r#""workflows[0]" bindings should have a string "binding" field but got {"name":"n","binding":1,"class_name":"C"}."#,
        ],
    );
}

// rules: C2.1-26, C3-14, A107, A169, A171
#[test]
fn a_workflow_name_has_a_form() {
    let error = "\"workflows[0]\" binding \"name\" field is invalid. Workflow names must be 1-64 characters long, start \
                 with a letter, number, or underscore, and may only contain letters, numbers, underscores, or hyphens.";
    let check_name = |name: &str, is_valid: bool| {
        let expected: &[&str] = if is_valid { &[] } else { &[error] };
        check(&format!(r#""workflows":[{{"name":"{name}","binding":"B","class_name":"C"}}]"#), expected);
    };
    for name in ["a", "_a", "0", "A-b_c", &"a".repeat(64)] {
        check_name(name, true);
    }
    for name in ["", " ", "a b", "-a", "#a", "é", "a\\nb", &"a".repeat(65)] {
        check_name(name, false);
    }
}

// rules: A169, A171
#[test]
fn optional_fields_of_a_workflow_have_types() {
    let got = |field: &str| format!(r#"{{"name":"n","binding":"B","class_name":"C",{field}}}"#);
    for (field, key, expected) in [
        (r#""script_name":1"#, "script_name", "a string"),
        (r#""limits":1"#, "limits", "an object"),
        (r#""limits":[]"#, "limits", "an object"),
        (r#""limits":"x""#, "limits", "an object"),
        (r#""concurrency":1"#, "concurrency", "an object"),
        (r#""default_retention":"1 day""#, "default_retention", "an object"),
        (r#""schedules":1"#, "schedules", "a string or array of strings"),
        (r#""schedules":["a",1]"#, "schedules", "a string or array of strings"),
    ] {
        check_workflow(
            field,
            &[&format!(
                r#""workflows[0]" bindings should, optionally, have {expected} "{key}" field but got {}."#,
                got(field)
            )],
        );
    }
}

// rules: A171
#[test]
fn schedules_are_not_empty() {
    check_workflow(r#""schedules":"""#, &[r#""workflows[0]" bindings "schedules" field must not be an empty string."#]);
    check_workflow(r#""schedules":[]"#, &[r#""workflows[0]" bindings "schedules" field must not be an empty array."#]);
    check_workflow(
        r#""schedules":["* * * * *",""]"#,
        &[r#""workflows[0]" bindings "schedules" field must not contain empty strings."#],
    );
}

// rules: A169, A171
#[test]
fn limits_are_positive_integers() {
    for value in ["0", "1.5", "-1", "\"1\"", "null", "[1]"] {
        for (key, field) in [("steps", "limits"), ("limit", "concurrency")] {
            check_workflow(
                &format!(r#""{field}":{{"{key}":{value}}}"#),
                &[&format!(
                    r#""workflows[0]" bindings "{field}.{key}" field must be a positive integer but got {value}."#
                )],
            );
        }
    }
}

#[test]
fn a_limit_of_processor_time_is_a_positive_integer() {
    for value in ["0", "1.5", "-1", "\"1\"", "null"] {
        check(
            &format!(r#""limits":{{"cpu_ms":{value}}}"#),
            &[&format!("\"limits.cpu_ms\" must be a positive integer but got {value}.")],
        );
    }
    check(r#""limits":{"cpu":1}"#, &["Unexpected fields found in limits field: \"cpu\""]);
    check(r#""limits":1"#, &["Expected \"limits\" to be of type object but got 1."]);
}

// rules: A169, A171
#[test]
fn more_steps_than_production_allows_are_pointed_out() {
    check_workflow(r#""limits":{"steps":25000}"#, &[]);
    check_workflow(
        r#""limits":{"steps":25001}"#,
        &["\"workflows[0]\" has a step limit of 25001, which exceeds the production maximum of 25,000. This \
           configuration may not work when deployed."],
    );
}

// rules: C4.14-2, A171
#[test]
fn retention_and_jurisdiction_have_values() {
    for value in ["0", "-1", "1.5", "\"\"", "true", "{}", "\"10 foo\"", "\"0 seconds\""] {
        check_workflow(
            &format!(r#""default_retention":{{"error_retention":{value}}}"#),
            &[&format!(
                "\"workflows[0]\" bindings \"default_retention.error_retention\" field must be a positive integer of \
                 milliseconds or a duration string such as \"3 days\", but got {value}."
            )],
        );
    }
    check_workflow(r#""default_retention":{"success_retention":"30 days","error_retention":2592000000}"#, &[]);
    for value in ["\"31 days\"", "2592000001"] {
        check_workflow(
            &format!(r#""default_retention":{{"success_retention":{value}}}"#),
            &[&format!(
                "\"workflows[0]\" bindings \"default_retention.success_retention\" field must be at most 30 days, but got \
                 {value}."
            )],
        );
    }
    check_workflow(
        r#""jurisdiction":"mars""#,
        &[r#""workflows[0]" bindings "jurisdiction" field must be one of "eu", "fedramp", "us", but got "mars"."#],
    );
}

// rules: S17, A169, A171, C9-1
#[test]
fn unknown_fields_are_pointed_out() {
    check_workflow(r#""remote":true"#, &[r#"Unexpected fields found in workflows[0] field: "remote""#]);
    check_workflow(r#""limits":{"step":1}"#, &[r#"Unexpected fields found in workflows[0].limits field: "step""#]);
    check_workflow(r#""concurrency":{"x":1}"#, &[r#"Unexpected fields found in workflows[0].concurrency field: "x""#]);
    check_workflow(
        r#""default_retention":{"x":1}"#,
        &[r#"Unexpected fields found in workflows[0].default_retention field: "x""#],
    );
    check(r#""workflow":[]"#, &[r#"Unexpected fields found in top-level field: "workflow""#]);
    check(r#""build":{"cmd":"x"}"#, &[r#"Unexpected fields found in build field: "cmd""#]);
}

// rules: A169, A171
#[test]
fn workflow_names_are_unique() {
    check(
        r#""workflows":[
            {"name":"b","binding":"B1","class_name":"C"}, {"name":"a","binding":"B2","class_name":"C"},
            {"name":"a","binding":"B3","class_name":"C"}, {"name":"b","binding":"B4","class_name":"C"}]"#,
        &[r#""workflows" bindings must have unique "name" values; duplicate(s) found: "b", "a""#],
    );
}

// rules: C4.14-3, A171
#[test]
fn limits_and_schedules_belong_to_the_worker_that_defines_the_workflow() {
    check_workflow(
        r#""script_name":"other","limits":{"steps":1},"schedules":"* * * * *","default_retention":{}"#,
        &[
            "Workflow \"n\" has \"limits\" configured but references external script \"other\". Configure limits on the \
             worker that defines the workflow.",
            "Workflow \"n\" has \"schedules\" configured but references external script \"other\". Configure schedules \
             on the worker that defines the workflow.",
            "Workflow \"n\" has \"default_retention\" configured but references external script \"other\". Configure \
             default_retention on the worker that defines the workflow.",
        ],
    );
    check(
        r#""name":"own","workflows":[
            {"name":"n","binding":"B","class_name":"C","script_name":"own","limits":{"steps":1},"schedules":"0 0 * * *"}]"#,
        &[],
    );
}

#[test]
fn binding_names_are_unique() {
    check(
        r#""vars":{"B":1},"workflows":[{"name":"n","binding":"B","class_name":"C"}]"#,
        &["B assigned to Environment Variable and Workflow bindings."],
    );
    check(
        r#""workflows":[{"name":"n","binding":"B","class_name":"C"},{"name":"m","binding":"B","class_name":"C"}]"#,
        &["B assigned to multiple Workflow bindings."],
    );
    check(r#""vars":{"B":1,"B":2}"#, &["B assigned to multiple Environment Variable bindings."]);
}

#[test]
fn a_key_that_is_written_twice_is_pointed_out() {
    check(r#""name":"a","name":"b""#, &["`name` is written twice"]);
    check_workflow(r#""limits":{"steps":1,"steps":2}"#, &["`steps` is written twice"]);
    check(r#""vars":{"A":{"x":1,"x":2}}"#, &[]);
}

#[test]
fn the_other_fields_that_are_read_have_types() {
    for (fields, expected) in [
        (r#""main":1"#, r#"Expected "main" to be of type string but got 1."#),
        (r#""build":"make""#, r#"Expected "build" to be of type object but got "make"."#),
        (r#""build":{"command":["make"]}"#, r#"Expected "build.command" to be of type string but got ["make"]."#),
        (r#""build":{"cwd":1}"#, r#"Expected "build.cwd" to be of type string but got 1."#),
        (r#""build":{"watch_dir":1}"#, r#"Expected "build.watch_dir" to be of type string but got 1."#),
        (r#""build":{"watch_dir":["a",1]}"#, r#"Expected "build.watch_dir.[1]" to be of type string but got 1."#),
        (r#""dev":1"#, r#"Expected "dev" to be of type object but got 1."#),
        (r#""dev":{"port":"1"}"#, r#"Expected "dev.port" to be of type number but got "1"."#),
        (r#""dev":{"port":65536}"#, r#""dev.port" must be a whole number from 0 to 65535 but got 65536."#),
        (r#""dev":{"ip":1}"#, r#"Expected "dev.ip" to be of type string but got 1."#),
        (r#""dev":{"ip":"here"}"#, r#""dev.ip" must be an IP address but got "here"."#),
        (r#""dev":{"local_protocol":"https"}"#, r#""dev.local_protocol" is "https", and http is served"#),
        (r#""dev":{"ports":1}"#, r#"Unexpected fields found in dev field: "ports""#),
        (r#""vars":"x""#, r#"The field "vars" should be an object but got "x"."#),
        (
            r#""name":"My Worker""#,
            "Expected \"name\" to be of type string, alphanumeric and lowercase with dashes only but got \"My Worker\".",
        ),
        (
            r#""name":null"#,
            "Expected \"name\" to be of type string, alphanumeric and lowercase with dashes only but got null.",
        ),
    ] {
        check(fields, &[expected]);
    }
}

#[test]
fn values_are_shown_as_javascript_shows_them() {
    for (value, shown) in [
        (r#"{"b": [1, 2.5, 1e3], "a": null}"#, r#"{"b":[1,2.5,1000],"a":null}"#),
        (r#"[true, "ü\n\"", {}]"#, r#"[true,"ü\n\"",{}]"#),
        ("1e21", "1e+21"),
        ("100000000000000000000", "100000000000000000000"),
        ("-0.0000001", "-1e-7"),
        ("-0", "0"),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
    ] {
        let folder = json(&format!(r#"{{"main":{value}}}"#));
        let said = folder.said();
        let expected = format!(r#"Expected "main" to be of type string but got {shown}."#);
        assert!(said.contains(&expected), "{value}: {said}");
    }
}

#[test]
fn a_configuration_is_an_object() {
    for (text, shown) in [("[]", "[]"), ("null", "null"), ("\"x\"", "\"x\"")] {
        assert_eq!(
            json(text).said(),
            format!(
                "error: the configuration should be an object but got {shown}\n  --> wrangler.jsonc:1:1\n  \
                 hint: start with `{{ \"name\": \"my-worker\" }}`"
            )
        );
    }
}

#[test]
fn everything_is_reported_at_once() {
    check(
        r#""name":1,"main":2,"oops":3,"vars":4,"workflows":5"#,
        &[
            r#"Unexpected fields found in top-level field: "oops""#,
            "Expected \"name\" to be of type string, alphanumeric and lowercase with dashes only but got 1.",
            r#"The field "workflows" should be an array but got 5."#,
            r#"Expected "main" to be of type string but got 2."#,
            r#"The field "vars" should be an object but got 4."#,
        ],
    );
}
