//! What `env.NAME` changes, inherits and lacks.

use super::{Folder, PACKAGE, json, toml};
use crate::config::{LoadOptions, Project, Source, Var};

const CONFIG: &str = r#"{
  "name": "shop",
  "main": "Cargo.toml",
  "triggers": { "crons": ["0 0 * * *"] },
  "limits": { "cpu_ms": 100 },
  "dev": { "port": 3000 },
  "vars": { "WHERE": "top", "ONLY_TOP": "x" },
  "workflows": [{ "name": "saga", "binding": "SAGA", "class_name": "Saga" }],
  "queues": { "producers": [{ "binding": "Q", "queue": "q" }] },
  "env": {
    "staging": {
      "vars": { "WHERE": "staging", "ONLY_TOP": "y" },
      "workflows": [{ "name": "saga-staging", "binding": "SAGA", "class_name": "Saga", "script_name": "shop-staging",
                      "limits": { "steps": 5 } }],
      "queues": { "producers": [] },
      "triggers": { "crons": [] },
    },
    "named": { "name": "another", "limits": { "cpu_ms": 7 } },
  },
}"#;

fn choosing(name: &str) -> LoadOptions {
    LoadOptions { env: Some(name.to_owned()), ..LoadOptions::default() }
}

fn of(folder: &Folder, name: &str) -> Project {
    match folder.load_with(&choosing(name)) {
        Ok(project) => project,
        Err(problems) => panic!("should load:\n{problems}"),
    }
}

/// The messages of the environment `name` of a configuration with these fields.
fn check(fields: &str, name: &str, expected: &[&str]) {
    let folder = json(&format!("{{{fields}}}"));
    let problems = match folder.load_with(&choosing(name)) {
        Ok(project) => project.warnings,
        Err(problems) => problems,
    };
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, expected, "{fields}");
    for problem in &problems {
        assert!(problem.hint.is_some() && problem.place.is_some(), "{problem}");
    }
}

// rules: C9-2, C9-3
#[test]
fn an_environment_has_its_own_bindings_and_inherits_the_rest() {
    let project = of(&json(CONFIG), "staging");
    assert_eq!(project.warnings.to_string(), "");
    assert_eq!(project.name, "shop-staging");
    assert_eq!(project.vars["WHERE"], Var::Text("staging".to_owned()));
    let workflows = project.workflows.expect("there is a configuration");
    // Its own name, with the environment, is no other Worker.
    assert_eq!((workflows[0].name.as_str(), workflows[0].script_name.as_deref()), ("saga-staging", None));
    assert!(project.queue_producers.is_empty());
    assert!(project.crons.is_empty());
    assert_eq!(project.cpu_ms.map(std::num::NonZeroU32::get), Some(100));
    assert_eq!(project.dev.port, Some(3000));
}

// rules: C9-2, C9-5
#[test]
fn each_key_is_inherited_or_not_as_wrangler_has_it() {
    let config = r#"{
      "name": "w", "main": "top.wasm", "build": { "command": "make top" }, "triggers": { "crons": ["0 0 * * *"] },
      "limits": { "cpu_ms": 100 }, "migrations": [{ "tag": "v1", "new_sqlite_classes": ["C"] }], "dev": { "port": 3000 },
      "vars": { "A": 1 }, "secrets": { "required": ["S"] }, "workflows": [{ "name": "n", "binding": "W", "class_name": "W" }],
      "queues": { "producers": [{ "binding": "Q", "queue": "q" }], "consumers": [{ "queue": "q" }] },
      "durable_objects": { "bindings": [{ "name": "O", "class_name": "C" }] }, "kv_namespaces": [{ "binding": "K" }],
      "services": [{ "binding": "X", "service": "x" }],
      "env": {
        "bare": {},
        "own": { "main": "own.wasm", "build": { "command": "make own" }, "triggers": { "crons": ["1 1 * * *"] },
                 "limits": { "cpu_ms": 7 }, "migrations": [{ "tag": "v1", "new_sqlite_classes": ["D"] }] },
      },
    }"#;
    let folder = Folder::with(&[("wrangler.jsonc", config), (".dev.vars", "S=1")]);
    let inheritable = |project: &Project| {
        let main = match &project.source {
            Source::Wasm(file) => file.file_name().map(|name| name.to_string_lossy().into_owned()),
            Source::Crate { .. } => None,
        };
        let build = project.build.as_ref().map(|build| build.command.clone());
        let crons: Vec<_> = project.crons.iter().map(|cron| cron.as_str().to_owned()).collect();
        let classes: Vec<_> = project.durable_object_classes.iter().map(|class| class.class_name.clone()).collect();
        (main, build, crons, project.cpu_ms.map(std::num::NonZeroU32::get), classes, project.dev.port)
    };
    let (top, bare, own) = (of(&folder, ""), of(&folder, "bare"), of(&folder, "own"));
    assert_eq!(inheritable(&bare), inheritable(&top));
    let text = |text: &str| Some(text.to_owned());
    let expected = |name: &str, cron: &str, cpu, class: &str| {
        let main = text(&format!("{name}.wasm"));
        (main, text(&format!("make {name}")), vec![cron.to_owned()], Some(cpu), vec![class.to_owned()], Some(3000))
    };
    assert_eq!(inheritable(&top), expected("top", "0 0 * * *", 100, "C"));
    assert_eq!(inheritable(&own), expected("own", "1 1 * * *", 7, "D"));
    let bound = |project: &Project| {
        let workflows = project.workflows.as_ref().map_or(0, Vec::len);
        let queues = project.queue_producers.len() + project.queue_consumers.len();
        let stores = project.kv_namespaces.len() + project.durable_objects.len();
        let plain = project.vars.contains_key("A");
        (plain, project.secrets_required.len(), workflows, queues, stores, project.services.len())
    };
    assert_eq!(bound(&top), (true, 1, 1, 2, 2, 1));
    assert_eq!(bound(&bare), (false, 0, 0, 0, 0, 0));
    for key in ["vars", "secrets", "workflows", "queues", "durable_objects", "kv_namespaces", "services"] {
        let warned = bare.warnings.iter().filter(|warning| warning.message.contains(key));
        assert_eq!(warned.count(), 1, "{key}: {}", bare.warnings);
    }
}

#[test]
fn an_environment_may_have_a_name() {
    let project = of(&json(CONFIG), "named");
    assert_eq!(project.name, "another");
    assert_eq!(project.cpu_ms.map(std::num::NonZeroU32::get), Some(7));
    assert_eq!(project.crons[0].as_str(), "0 0 * * *");
    assert!(project.vars.is_empty());
    assert_eq!(project.workflows, Some(Vec::new()));
}

#[test]
fn without_an_environment_the_top_level_is_run() {
    for folder in [json(CONFIG), toml("name = \"shop\"\n[vars]\nWHERE = \"top\"\n[env.staging.vars]\nWHERE = \"s\"\n")]
    {
        for options in [LoadOptions::default(), choosing("")] {
            let project = folder.load_with(&options).expect("it loads");
            assert_eq!(project.name, "shop");
            assert_eq!(project.vars["WHERE"], Var::Text("top".to_owned()));
        }
        let project = of(&folder, "staging");
        assert_ne!(project.vars["WHERE"], Var::Text("top".to_owned()));
    }
}

// rules: C9-5
#[test]
fn what_an_environment_does_not_inherit_is_pointed_out() {
    let folder = json(
        "{ \"name\": \"w\", \"vars\": { \"A\": 1, \"B\": 2 },\n \"kv_namespaces\": [{ \"binding\": \"K\" }],\n \
                       \"services\": [], \"env\": { \"e\": { \"vars\": { \"A\": 1 } } } }",
    );
    assert_eq!(
        folder.said_with(&choosing("e")),
        "warning: The following vars exist at the top level, but not on \"env.e.vars\".\n  --> wrangler.jsonc:3:42\n  \
         also: wrangler.jsonc:1:16\n  \
         hint: This is probably not what you want, since \"vars\" configuration is not inherited by environments. Please add \
         these vars to \"env.e.vars\": B\n\
         warning: \"kv_namespaces\" exists at the top level, but not on \"env.e\".\n  --> wrangler.jsonc:3:32\n  \
         also: wrangler.jsonc:2:2\n  \
         hint: This is not what you probably want, since \"kv_namespaces\" is not inherited by environments. Please add \
         \"kv_namespaces\" to \"env.e\"."
    );
    let object = |name: &str| format!(r#"{{"bindings":[{{"name":"{name}","class_name":"C"}}]}}"#);
    check(
        &format!(
            r#""migrations":[{{"tag":"v1","new_classes":["C"]}}],"durable_objects":{},"env":{{"e":{{"durable_objects":{}}}}}"#,
            object("A"),
            object("B")
        ),
        "e",
        &["The following bindings are at the top level, but not on \"env.e\"."],
    );
}

// rules: C9-4
#[test]
fn an_unknown_environment_lists_those_there_are() {
    let folder = json("{\n  \"env\": { \"staging\": {}, \"production\": {} }\n}");
    let list = "The available configured environment names are: [\"staging\",\"production\"]";
    let error = "error: No environment found in configuration with name";
    assert_eq!(
        folder.said_with(&choosing("stagin")),
        format!("{error} \"stagin\".\n  --> wrangler.jsonc:2:10\n  hint: did you mean `staging`? {list}")
    );
    assert!(folder.said_with(&choosing("test")).ends_with(&format!("hint: {list}")));
    assert!(folder.load_with(&choosing("test")).is_err());
}

// rules: C9-4
#[test]
fn where_there_are_no_environments_the_top_level_is_run_under_another_name() {
    let folder = json(r#"{ "vars": { "A": 1 } }"#);
    let project = of(&folder, "test");
    assert_eq!(project.name, "of-the-package-test");
    assert_eq!(project.vars.len(), 1);
    assert_eq!(project.warnings.iter().count(), 1);
    let folder = Folder::with(&[("Cargo.toml", PACKAGE)]);
    let project = of(&folder, "test");
    assert_eq!(project.name, "of-the-package-test");
    assert!(project.warnings.to_string().contains("there is no configuration"), "{}", project.warnings);
}

#[test]
fn problems_of_an_environment_name_it() {
    check(r#""env":1"#, "e", &["Expected \"env\" to be of type object but got 1."]);
    check(r#""env":{"e":1}"#, "e", &["Expected \"env.e\" to be of type object but got 1."]);
    check(
        r#""env":{"e":{"dev":{},"var":{},"vars":1,"workflows":[{"name":"n"}],"queues":{"x":1}}}"#,
        "e",
        &[
            "Unexpected fields found in env.e field: \"dev\"",
            "Unexpected fields found in env.e field: \"var\"",
            "\"env.e.workflows[0]\" bindings should have a string \"binding\" field but got {\"name\":\"n\"}.",
            "\"env.e.workflows[0]\" bindings should have a string \"class_name\" field but got {\"name\":\"n\"}.",
            "The field \"env.e.vars\" should be an object but got 1.",
            "Unexpected fields found in env.e.queues field: \"x\"",
        ],
    );
}

#[test]
fn a_name_may_be_bound_in_two_environments() {
    check(r#""vars":{"A":1},"env":{"e":{"vars":{"A":2}}}"#, "e", &[]);
    check(
        r#""vars":{"A":1},"env":{"e":{"vars":{"A":2},"kv_namespaces":[{"binding":"A"}]}}"#,
        "e",
        &["A assigned to KV Namespace and Environment Variable bindings."],
    );
}
