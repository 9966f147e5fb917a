//! What is taken from a configuration that is right.

use std::num::NonZeroU32;

use super::{json, loaded, toml};
use crate::config::{Place, Position, Var, WorkflowEntry};

const JSON: &str = r#"{
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": "orders",
  "compatibility_date": "2026-01-01",
  "compatibility_flags": ["nodejs_compat"],
  "vars": { "GREETING": "hello", "RETRIES": 3, "LIST": { "b": [1, 2], "a": null } },
  "workflows": [
    {
      "name": "order-saga", "binding": "ORDERS", "class_name": "OrderSaga",
      "limits": { "steps": 100 }, "concurrency": { "limit": 2 }, "schedules": ["0 9 * * *", "0 10 * * *"],
    },
    { "name": "report", "binding": "REPORT", "class_name": "Report", "script_name": "orders", "schedules": "0 0 1 * *" },
  ],
}"#;

const TOML: &str = r#"
"$schema" = "node_modules/wrangler/config-schema.json"
name = "orders"
compatibility_date = "2026-01-01"
compatibility_flags = ["nodejs_compat"]

[vars]
GREETING = "hello"
RETRIES = 3
LIST = { b = [1, 0x2], a = "" }

[[workflows]]
name = "order-saga"
binding = "ORDERS"
class_name = "OrderSaga"
schedules = ["0 9 * * *", "0 10 * * *"]
[workflows.limits]
steps = 1_00
[workflows.concurrency]
limit = 2

[[workflows]]
name = "report"
binding = "REPORT"
class_name = "Report"
script_name = "orders"
schedules = "0 0 1 * *"
"#;

fn workflow(name: &str, binding: &str, class_name: &str, schedules: &[&str]) -> WorkflowEntry {
    WorkflowEntry {
        name: name.to_owned(),
        binding: Some(binding.to_owned()),
        class_name: class_name.to_owned(),
        script_name: None,
        step_limit: None,
        concurrency_limit: None,
        retention: miniflow_runtime::storage::Retention::default(),
        schedules: schedules.iter().map(|text| text.parse().unwrap()).collect(),
        class_place: None,
    }
}

// rules: S8, S10, S17, A112
#[test]
fn both_languages_mean_the_same() {
    for (folder, list) in [(json(JSON), r#"{"b":[1,2],"a":null}"#), (toml(TOML), r#"{"b":[1,2],"a":""}"#)] {
        let project = loaded(&folder);
        assert_eq!(project.name, "orders");
        assert_eq!(
            project.vars.into_iter().collect::<Vec<_>>(),
            [
                ("GREETING".to_owned(), Var::Text("hello".to_owned())),
                ("LIST".to_owned(), Var::Json(list.to_owned())),
                ("RETRIES".to_owned(), Var::Json("3".to_owned())),
            ]
        );
        let mut workflows = project.workflows.expect("there is a configuration");
        for workflow in &mut workflows {
            assert!(workflow.class_place.take().is_some());
        }
        assert_eq!(
            workflows,
            [
                WorkflowEntry {
                    step_limit: NonZeroU32::new(100),
                    concurrency_limit: NonZeroU32::new(2),
                    ..workflow("order-saga", "ORDERS", "OrderSaga", &["0 9 * * *", "0 10 * * *"])
                },
                workflow("report", "REPORT", "Report", &["0 0 1 * *"]),
            ]
        );
        assert_eq!(project.unsupported, Vec::<String>::new());
        assert!(project.warnings.is_empty(), "{}", project.warnings);
    }
}

#[test]
fn a_class_name_remembers_where_it_is() {
    let folder = json(JSON);
    let workflows = loaded(&folder).workflows.expect("there is a configuration");
    let place = Place { file: folder.path().join("wrangler.jsonc"), position: Some(Position { line: 9, column: 64 }) };
    assert_eq!(workflows[0].class_place, Some(place));
}

#[test]
fn the_name_is_the_packages_when_the_configuration_has_none() {
    for text in ["{}", "", "{ \"name\": \"\" }"] {
        assert_eq!(loaded(&json(text)).name, "of-the-package", "{text}");
    }
}

#[test]
fn what_is_not_run_yet_is_named_once() {
    let folder = json(
        r#"{
          "kv_namespaces": [{ "binding": "A" }],
          "d1_databases": [{ "binding": "B" }, { "binding": "C" }],
          "triggers": { "crons": ["* * * * *"], "events": [] },
          "r2_buckets": [],
          "durable_objects": { "bindings": [{ "name": "D", "class_name": "D" }] },
          "migrations": [{ "tag": "v1", "new_sqlite_classes": ["D"] }],
          "services": [],
          "assets": { "directory": "public" },
          "routes": ["example.com"],
          "env": { "staging": {} },
        }"#,
    );
    let project = loaded(&folder);
    assert_eq!(project.unsupported, ["assets", "d1_databases"]);
    assert!(project.warnings.is_empty(), "{}", project.warnings);
}

#[test]
fn processor_time_is_limited_by_the_configuration() {
    let cpu_ms = |text| loaded(&json(text)).cpu_ms;
    assert_eq!(cpu_ms(r#"{ "limits": { "cpu_ms": 500, "subrequests": 100 } }"#), NonZeroU32::new(500));
    assert_eq!(cpu_ms(r#"{ "limits": {} }"#), None);
    assert_eq!(cpu_ms("{}"), None);
}

#[test]
fn a_limit_beyond_all_limits_stays_one() {
    let folder = json(
        r#"{ "workflows": [{ "name": "n", "binding": "B", "class_name": "C", "concurrency": { "limit": 1e300 } }] }"#,
    );
    let workflows = loaded(&folder).workflows.expect("there is a configuration");
    assert_eq!(workflows[0].concurrency_limit, Some(NonZeroU32::MAX));
}

// rules: C9-7
#[test]
fn the_configuration_says_where_it_is_served() {
    use std::net::{IpAddr, Ipv4Addr};

    let dev = loaded(&json(r#"{ "dev": { "ip": "0.0.0.0", "port": 3000, "local_protocol": "http" } }"#)).dev;
    assert_eq!((dev.ip, dev.port), (Some(IpAddr::from(Ipv4Addr::UNSPECIFIED)), Some(3000)));
    let dev = loaded(&json(r#"{ "dev": { "ip": "localhost" } }"#)).dev;
    assert_eq!((dev.ip, dev.port), (Some(IpAddr::from(Ipv4Addr::LOCALHOST)), None));
}

// rules: C9-6
#[test]
fn the_folders_that_a_command_is_run_for_again_are_its_own_unless_they_are_named() {
    let folder = |build: &str| {
        let folder = json(&format!(r#"{{ "build": {{ "command": "make", {build} }} }}"#));
        folder.write("sub/file", b"");
        folder
    };
    for (build, expected) in [
        ("", &["."][..]),
        (r#""cwd": "sub""#, &["sub"]),
        (r#""cwd": "sub", "watch_dir": "src""#, &["src"]),
        (r#""watch_dir": ["src", "assets/x"]"#, &["src", "assets/x"]),
    ] {
        let folder = folder(build);
        let expected: Vec<_> = expected.iter().map(|path| folder.path().join(path)).collect();
        let command = loaded(&folder).build.expect("there is a command");
        let same = |(found, expected): (&std::path::PathBuf, &std::path::PathBuf)| {
            found.components().eq(expected.components())
        };
        assert!(command.watch_dirs.iter().zip(&expected).all(same), "{build}: {:?}", command.watch_dirs);
        assert_eq!(command.watch_dirs.len(), expected.len(), "{build}");
    }
}

#[test]
fn a_workflow_may_be_declared_without_a_binding() {
    let folder = json(
        r#"{ "name": "shop", "workflows": [
          { "name": "bound", "binding": "B", "class_name": "Bound", "limits": { "steps": 5 }, "schedules": "0 0 * * *" },
        ], "exports": {
          "Saga": { "type": "workflow", "name": "saga", "limits": { "steps": 7 }, "concurrency": { "limit": 2 },
                    "schedules": "* * * * *", "default_retention": { "error_retention": 1000 }, "jurisdiction": "eu" },
          "Bound": { "type": "workflow", "name": "bound", "limits": { "steps": 9 }, "concurrency": { "limit": 3 },
                     "schedules": ["0 0 * * *", "0 1 * * *"] },
        } }"#,
    );
    let project = loaded(&folder);
    assert_eq!(project.warnings.to_string(), "");
    let mut workflows = project.workflows.expect("there is a configuration");
    for workflow in &mut workflows {
        workflow.class_place = None;
    }
    let bound = workflow("bound", "B", "Bound", &["0 0 * * *", "0 1 * * *"]);
    let saga = workflow("saga", "", "Saga", &["* * * * *"]);
    let retention = miniflow_runtime::storage::Retention { error_ms: Some(1000), ..saga.retention };
    let limits = |steps, concurrency| (NonZeroU32::new(steps), NonZeroU32::new(concurrency));
    let ((step_limit, concurrency_limit), of_saga) = (limits(5, 3), limits(7, 2));
    assert_eq!(
        workflows,
        [
            WorkflowEntry { step_limit, concurrency_limit, ..bound },
            WorkflowEntry { binding: None, step_limit: of_saga.0, concurrency_limit: of_saga.1, retention, ..saga },
        ]
    );
}
