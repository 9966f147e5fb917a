//! Queues, Durable Objects, namespaces, services and secrets: what is taken, and what is said.

use super::diagnostics::check;
use super::{json, loaded, toml};
use crate::config::{ClassStorage, DurableObjectBinding, KvBinding, QueueConsumer, QueueProducer, ServiceBinding};

const JSON: &str = r#"{
  "name": "shop",
  "queues": {
    "producers": [
      { "binding": "MAIL", "queue": "mail" },
      { "binding": "SLOW", "queue": "slow", "delivery_delay": 60 },
      { "binding": "unnamed" },
    ],
    "consumers": [
      { "queue": "mail" },
      { "queue": "slow", "type": "worker", "max_batch_size": 100, "max_batch_timeout": 0, "max_retries": 0,
        "dead_letter_queue": "dead", "max_concurrency": 250, "retry_delay": 86400 },
    ],
  },
  "durable_objects": { "bindings": [
    { "name": "COUNTER", "class_name": "Counter" },
    { "name": "OWN", "class_name": "Old", "script_name": "shop" },
    { "name": "ROOM", "class_name": "Room", "script_name": "chat", "environment": "staging" },
  ] },
  "migrations": [
    { "tag": "v1", "new_sqlite_classes": ["Count"], "new_classes": ["Old", "Gone"] },
    { "tag": "v2", "renamed_classes": [{ "from": "Count", "to": "Counter" }], "deleted_classes": ["Gone"] },
    { "tag": "v3", "transferred_classes": [{ "from": "A", "from_script": "b", "to": "C" }] },
  ],
  "kv_namespaces": [{ "binding": "CACHE", "id": "abc", "preview_id": "def" }, { "binding": "OTHER" }],
  "services": [
    { "binding": "BILLING", "service": "billing" },
    { "binding": "ADMIN", "service": "billing", "entrypoint": "Admin" },
  ],
  "secrets": { "required": ["TOKEN", "KEY"] },
}"#;

const TOML: &str = r#"
name = "shop"
secrets = { required = ["TOKEN", "KEY"] }
kv_namespaces = [{ binding = "CACHE", id = "abc", preview_id = "def" }, { binding = "OTHER" }]
[[queues.producers]]
binding = "MAIL"
queue = "mail"
[[queues.producers]]
binding = "SLOW"
queue = "slow"
delivery_delay = 60
[[queues.producers]]
binding = "unnamed"
[[queues.consumers]]
queue = "mail"
[[queues.consumers]]
queue = "slow"
type = "worker"
max_batch_size = 100
max_batch_timeout = 0
max_retries = 0
dead_letter_queue = "dead"
max_concurrency = 250
retry_delay = 86_400
[[durable_objects.bindings]]
name = "COUNTER"
class_name = "Counter"
[[durable_objects.bindings]]
name = "OWN"
class_name = "Old"
script_name = "shop"
[[durable_objects.bindings]]
name = "ROOM"
class_name = "Room"
script_name = "chat"
environment = "staging"
[[migrations]]
tag = "v1"
new_sqlite_classes = ["Count"]
new_classes = ["Old", "Gone"]
[[migrations]]
tag = "v2"
renamed_classes = [{ from = "Count", to = "Counter" }]
deleted_classes = ["Gone"]
[[migrations]]
tag = "v3"
transferred_classes = [{ from = "A", from_script = "b", to = "C" }]
[[services]]
binding = "BILLING"
service = "billing"
[[services]]
binding = "ADMIN"
service = "billing"
entrypoint = "Admin"
"#;

// rules: C9-1
#[test]
fn every_kind_of_binding_is_taken() {
    for folder in [json(JSON), toml(TOML)] {
        folder.write(".dev.vars", b"TOKEN=1\nKEY=2\n");
        let mut project = loaded(&folder);
        assert_eq!(project.warnings.to_string(), "");
        let takes_places = project.queue_producers.iter_mut().map(|entry| &mut entry.place);
        let takes_places = takes_places.chain(project.queue_consumers.iter_mut().map(|entry| &mut entry.place));
        let takes_places = takes_places.chain(project.durable_objects.iter_mut().map(|entry| &mut entry.place));
        let takes_places = takes_places.chain(project.kv_namespaces.iter_mut().map(|entry| &mut entry.place));
        for place in takes_places.chain(project.services.iter_mut().map(|entry| &mut entry.place)) {
            assert!(place.take().is_some_and(|place| place.position.is_some()));
        }
        let producer = |binding: &str, queue: &str, delivery_delay_s| QueueProducer {
            binding: binding.to_owned(),
            queue: queue.to_owned(),
            delivery_delay_s,
            place: None,
        };
        assert_eq!(
            project.queue_producers,
            [producer("MAIL", "mail", None), producer("SLOW", "slow", Some(60)), producer("unnamed", "unnamed", None)]
        );
        assert_eq!(
            project.queue_consumers,
            [
                QueueConsumer {
                    queue: "mail".to_owned(),
                    max_batch_size: 10,
                    max_batch_timeout_s: 5,
                    max_retries: 3,
                    dead_letter_queue: None,
                    max_concurrency: None,
                    retry_delay_s: 0,
                    place: None,
                },
                QueueConsumer {
                    queue: "slow".to_owned(),
                    max_batch_size: 100,
                    max_batch_timeout_s: 0,
                    max_retries: 0,
                    dead_letter_queue: Some("dead".to_owned()),
                    max_concurrency: Some(250),
                    retry_delay_s: 86_400,
                    place: None,
                },
            ]
        );
        let object = |binding: &str, class_name: &str, script_name: Option<&str>| DurableObjectBinding {
            binding: binding.to_owned(),
            class_name: class_name.to_owned(),
            script_name: script_name.map(str::to_owned),
            place: None,
        };
        assert_eq!(
            project.durable_objects,
            [object("COUNTER", "Counter", None), object("OWN", "Old", None), object("ROOM", "Room", Some("chat"))]
        );
        let classes = project.durable_object_classes.iter().map(|class| (class.class_name.as_str(), class.storage));
        assert_eq!(
            classes.collect::<Vec<_>>(),
            [("Old", ClassStorage::LegacyKv), ("Counter", ClassStorage::Sqlite), ("C", ClassStorage::Sqlite)]
        );
        let namespace =
            |binding: &str, id: &str| KvBinding { binding: binding.to_owned(), id: id.to_owned(), place: None };
        assert_eq!(project.kv_namespaces, [namespace("CACHE", "def"), namespace("OTHER", "OTHER")]);
        let service = |binding: &str, entrypoint: Option<&str>| ServiceBinding {
            binding: binding.to_owned(),
            service: "billing".to_owned(),
            entrypoint: entrypoint.map(str::to_owned),
            place: None,
        };
        assert_eq!(project.services, [service("BILLING", None), service("ADMIN", Some("Admin"))]);
        assert_eq!(project.secrets_required, ["TOKEN", "KEY"]);
    }
}

#[test]
fn queues_have_types() {
    check(r#""queues":[]"#, &[r#"The field "queues" should be an object but got []."#]);
    check(r#""queues":{"consumer":[]}"#, &[r#"Unexpected fields found in queues field: "consumer""#]);
    check(
        r#""queues":{"consumers":1,"producers":2}"#,
        &[
            r#"The field "queues.consumers" should be an array but got 1."#,
            r#"The field "queues.producers" should be an array but got 2."#,
        ],
    );
    check(
        r#""queues":{"consumers":["q",{}],"producers":["q",{"queue":""}]}"#,
        &[
            r#""queues.consumers[0]" should be a objects, but got "q""#,
            r#""queues.consumers[1]" should have a string "queue" field but got {}."#,
            r#""queue" bindings should be objects, but got "q""#,
            r#""queues.producers[1]" bindings should have a string "binding" field but got {"queue":""}."#,
            r#""queues.producers[1]" bindings should optionally have a non-empty string "queue" field but got {"queue":""}."#,
        ],
    );
    check(
        r#""queues":{"consumers":[{"queue":"q","type":"http_pull"}]}"#,
        &[
            "\"queues.consumers[0].type\" has an invalid value \"http_pull\". Only \"worker\" consumers can be configured in \
           your Wrangler configuration.",
        ],
    );
}

#[test]
fn numbers_of_queues_have_bounds() {
    for (key, least, most) in [
        ("max_batch_size", 1, 100),
        ("max_batch_timeout", 0, 60),
        ("max_retries", 0, 100),
        ("max_concurrency", 1, 250),
        ("retry_delay", 0, 86_400),
    ] {
        let consumer = |value: &str| format!(r#"{{"queue":"q","{key}":{value}}}"#);
        let fields = |value: &str| format!(r#""queues":{{"consumers":[{}]}}"#, consumer(value));
        check(&fields(&least.to_string()), &[]);
        check(&fields(&most.to_string()), &[]);
        for wrong in [(least - 1).to_string(), (most + 1).to_string(), "1.5".to_owned()] {
            let expected = format!(
                r#""queues.consumers[0]" "{key}" field must be a whole number from {least} to {most} but got {wrong}."#
            );
            check(&fields(&wrong), &[&expected]);
        }
        let expected = format!(
            r#""queues.consumers[0]" should, optionally, have a number "{key}" field but got {}."#,
            consumer("\"1\"")
        );
        check(&fields("\"1\""), &[&expected]);
    }
    check(
        r#""queues":{"producers":[{"binding":"Q","queue":"q","delivery_delay":86401}]}"#,
        &[
            r#""queues.producers[0]" bindings "delivery_delay" field must be a whole number from 0 to 86400 but got 86401."#,
        ],
    );
}

#[test]
fn a_queue_is_consumed_once_and_is_not_its_own_dead_letter_queue() {
    check(r#""queues":{"consumers":[{"queue":"q"},{"queue":"q"}]}"#, &["queue `q` has more than one consumer"]);
    check(
        r#""queues":{"consumers":[{"queue":"q","dead_letter_queue":"q"}]}"#,
        &["Dead letter queue for queue \"q\" cannot be itself"],
    );
    check(
        r#""queues":{"consumers":[{"queue":"q","dead_letter_queue":"r"},{"queue":"r","dead_letter_queue":"q"}]}"#,
        &[],
    );
}

#[test]
fn durable_objects_have_types() {
    check(r#""durable_objects":[]"#, &[r#"The field "durable_objects" should be an object but got []."#]);
    check(r#""durable_objects":{}"#, &[r#"The field "durable_objects" is missing the required "bindings" property."#]);
    check(
        r#""durable_objects":{"bindings":{}}"#,
        &[r#"The field "durable_objects.bindings" should be an array but got {}."#],
    );
    check(
        r#""durable_objects":{"bindings":[1,{"script_name":2},{"name":"A","class_name":"A","environment":"e"}]},
           "migrations":[{"tag":"v1","new_classes":["A"]}]"#,
        &[
            r#"Expected "durable_objects.bindings[0]" to be an object but got 1"#,
            r#""durable_objects.bindings[1]": binding should have a string "name" field."#,
            r#""durable_objects.bindings[1]": binding should have a string "class_name" field."#,
            r#""durable_objects.bindings[1]": the field "script_name", when present, should be a string."#,
            "\"durable_objects.bindings[2]\": binding should have a \"script_name\" field if \"environment\" is present.",
        ],
    );
}

#[test]
fn a_class_that_no_migration_declares_is_pointed_out_with_the_lines_to_add() {
    let bindings = r#""durable_objects":{"bindings":[{"name":"A","class_name":"A"},{"name":"B","class_name":"B"},
        {"name":"A2","class_name":"A"},{"name":"C","class_name":"C","script_name":"other"}]}"#;
    let said = json(&format!("{{{bindings}}}")).said();
    assert_eq!(
        said,
        "warning: no migration declares the Durable Object classes `A`, `B`\n  --> wrangler.jsonc:1:58\n  \
         also: wrangler.jsonc:1:88\n  \
         hint: add `\"migrations\": [{ \"tag\": \"v1\", \"new_sqlite_classes\": [\"A\", \"B\"] }]`"
    );
    let said = json(&format!("{{{bindings},\"migrations\":[{{\"tag\":\"v1\",\"new_classes\":[\"A\"]}}]}}")).said();
    assert!(said.contains("class `B`\n"), "{said}");
    assert!(said.contains("add `{ \"tag\": \"v2\", \"new_sqlite_classes\": [\"B\"] }` to `migrations`"), "{said}");
    let said = toml("[[durable_objects.bindings]]\nname = \"A\"\nclass_name = \"A\"\n").said();
    assert!(said.ends_with("add\n    [[migrations]]\n    tag = \"v1\"\n    new_sqlite_classes = [\"A\"]"), "{said}");
}

#[test]
fn migrations_have_types_and_an_order() {
    check(r#""migrations":{}"#, &[r#"The optional "migrations" field should be an array, but got {}"#]);
    check(
        r#""migrations":[1,{"new_classes":"A","deleted_classes":[1],"oops":1}]"#,
        &[
            r#"Expected "migrations[0]" to be of type object but got 1."#,
            r#"Unexpected fields found in migrations field: "oops""#,
            r#""migrations[1].tag" is a required field."#,
            r#"Expected "migrations[1].new_classes" to be of type string array but got "A"."#,
            r#"Expected "migrations[1].deleted_classes.[0]" to be of type string but got 1."#,
        ],
    );
    check(
        r#""migrations":[{"tag":"a","renamed_classes":[{"from":"A"}],"transferred_classes":{}}]"#,
        &[
            "Expected \"migrations[0].renamed_classes\" to be an array of \"{from: string, to: string}\" objects but got \
             [{\"from\":\"A\"}].",
            "Expected \"migrations[0].transferred_classes\" to be an array of \"{from: string, from_script: string, to: \
             string}\" objects but got {}.",
        ],
    );
    check(
        r#""migrations":[{"tag":"a","new_classes":["A"],"new_sqlite_classes":["A"]},{"tag":"b","deleted_classes":["B"],
           "renamed_classes":[{"from":"C","to":"D"}]}]"#,
        &[
            "the class `A` is created twice",
            "\"migrations[1]\" renames the class `C`, which no earlier one made",
            "\"migrations[1]\" deletes the class `B`, which no earlier one made",
        ],
    );
}

#[test]
fn exported_objects_have_states() {
    let folder = json(
        r#"{ "exports": {
          "A": { "type": "durable-object", "storage": "sqlite" },
          "B": { "type": "durable-object", "storage": "legacy-kv", "state": "expecting-transfer", "transfer_from": "w" },
          "C": { "type": "durable-object", "state": "deleted" },
          "D": { "type": "durable-object", "state": "renamed", "renamed_to": "A" },
          "E": { "type": "durable-object", "state": "transferred", "transferred_to": "w" },
          "F": { "type": "worker" },
        }, "durable_objects": { "bindings": [{ "name": "A", "class_name": "A" }, { "name": "C", "class_name": "C" }] } }"#,
    );
    let project = loaded(&folder);
    let classes = project.durable_object_classes.iter().map(|class| (class.class_name.as_str(), class.storage));
    assert_eq!(classes.collect::<Vec<_>>(), [("A", ClassStorage::Sqlite), ("B", ClassStorage::LegacyKv)]);
    let messages: Vec<&str> = project.warnings.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["no migration declares the Durable Object class `C`"]);
}

#[test]
fn exports_have_types() {
    check(r#""exports":[]"#, &[r#"The optional "exports" field should be an object keyed by class name, but got []"#]);
    check(
        r#""exports":{"A":1,"B":{},"C":{"type":"x"}}"#,
        &[
            r#""exports.A" should be an object but got 1."#,
            r#""exports.B.type" must be "durable-object", "worker" or "workflow", but got undefined."#,
            r#""exports.C.type" must be "durable-object", "worker" or "workflow", but got "x"."#,
        ],
    );
    let object = |fields: &str| format!(r#""exports":{{"A":{{"type":"durable-object"{fields}}}}}"#);
    check(
        &object(""),
        &["\"exports.A.storage\" is required for state \"created\" and must be one of sqlite and legacy-kv, but got \
           undefined"],
    );
    check(
        &object(r#","state":"gone""#),
        &["\"exports.A.state\" must be one of \"created\", \"deleted\", \"renamed\", \"transferred\", or \
           \"expecting-transfer\" but got \"gone\"."],
    );
    check(
        &object(r#","state":"renamed","storage":"sqlite""#),
        &[
            "\"exports.A.renamed_to\" is required for state \"renamed\" and must be a non-empty string.",
            "\"exports.A.storage\" is forbidden on state \"renamed\".",
        ],
    );
    check(
        &object(r#","state":"renamed","renamed_to":"A""#),
        &["\"exports.A.renamed_to\" cannot equal the source class name \"A\"."],
    );
    check(
        &format!(r#"{},"migrations":[{{"tag":"a"}}]"#, object(r#","storage":"sqlite""#)),
        &["`migrations` and `exports` are mutually exclusive. Choose one or the other to declare your Durable Object \
           lifecycle, but not both."],
    );
}

#[test]
fn exported_workflows_have_types() {
    let exported = |fields: &str| format!(r#""exports":{{"A":{{"type":"workflow"{fields}}}}}"#);
    check(
        &exported(r#","binding":"B","limits":{"steps":0}"#),
        &[
            "\"exports.A\" should have a string \"name\" field but got \
             {\"type\":\"workflow\",\"binding\":\"B\",\"limits\":{\"steps\":0}}.",
            "\"exports.A\" bindings \"limits.steps\" field must be a positive integer but got 0.",
            "Unexpected fields found in exports.A field: \"binding\"",
        ],
    );
    check(
        &format!(r#""workflows":[{{"name":"n","binding":"B","class_name":"B"}}],{}"#, exported(r#","name":"n""#)),
        &["the workflow `n` is of class `A` in `exports`, and of another one elsewhere"],
    );
}

#[test]
fn namespaces_and_services_have_types() {
    check(r#""kv_namespaces":{}"#, &[r#"The field "kv_namespaces" should be an array but got {}."#]);
    check(
        r#""kv_namespaces":["A",{"id":1},{"binding":"B","id":""},{"binding":"C","preview_id":2,"x":1}]"#,
        &[
            r#""kv_namespaces" bindings should be objects, but got "A""#,
            r#""kv_namespaces[1]" bindings should have a string "binding" field but got {"id":1}."#,
            r#""kv_namespaces[1]" bindings should have a string "id" field but got {"id":1}."#,
            r#""kv_namespaces[2]" bindings should have a string "id" field but got {"binding":"B","id":""}."#,
            r#"Unexpected fields found in kv_namespaces[3] field: "x""#,
            "\"kv_namespaces[3]\" bindings should, optionally, have a string \"preview_id\" field but got \
             {\"binding\":\"C\",\"preview_id\":2,\"x\":1}.",
        ],
    );
    check(
        r#""services":[null,{},{"binding":"B","service":"s","entrypoint":1}]"#,
        &[
            r#""services" bindings should be objects, but got null"#,
            r#""services[1]" bindings should have a string "binding" field but got {}."#,
            r#""services[1]" bindings should have a string "service" field but got {}."#,
            "\"services[2]\" bindings should have a string \"entrypoint\" field but got \
             {\"binding\":\"B\",\"service\":\"s\",\"entrypoint\":1}.",
        ],
    );
    check(
        r#""kv_namespaces":[{"binding":"B","remote":true},{"binding":"C","remote":false},{"binding":"D","remote":1}]"#,
        &[
            "\"kv_namespaces[0]\" is `remote`, and is local here",
            "\"kv_namespaces[2]\" should, optionally, have a boolean \"remote\" field but got {\"binding\":\"D\",\"remote\":1}.",
        ],
    );
}

#[test]
fn required_secrets_are_texts() {
    check(r#""secrets":["A"]"#, &[r#"The field "secrets" should be an object but got ["A"]."#]);
    check(
        r#""secrets":{"required":"A","x":1}"#,
        &[
            r#"Unexpected fields found in secrets field: "x""#,
            r#"Expected "secrets.required" to be of type string array but got "A"."#,
        ],
    );
    check(
        r#""secrets":{"required":["A",1]}"#,
        &[r#"Expected "secrets.required.[1]" to be of type string but got 1."#, "required secrets are not set: `A`"],
    );
}

// rules: C9-13
#[test]
fn a_name_is_bound_once_whatever_the_kind() {
    let folder = json(
        r#"{ "vars": { "A": 1 },
  "kv_namespaces": [{ "binding": "A" }],
  "queues": { "producers": [{ "binding": "A", "queue": "a" }, { "binding": "B", "queue": "a" }] },
  "ai": { "binding": "B" }, "secrets": { "required": ["C", "C"] } }"#,
    );
    folder.write(".dev.vars", b"C=1");
    let hint = "hint: Bindings must have unique names, so that they can all be referenced in the worker.";
    assert_eq!(
        folder.said(),
        format!(
            "error: A assigned to KV Namespace, Queue, and Environment Variable bindings.\n  --> wrangler.jsonc:3:42\n  \
             also: wrangler.jsonc:1:13\n  also: wrangler.jsonc:2:34\n  {hint}\n\
             error: B assigned to Queue and AI bindings.\n  --> wrangler.jsonc:4:22\n  also: wrangler.jsonc:3:76\n  {hint}\n\
             error: C assigned to multiple Secret bindings.\n  --> wrangler.jsonc:4:60\n  also: wrangler.jsonc:4:55\n  {hint}"
        )
    );
}

#[test]
fn a_name_is_an_identifier() {
    for (name, is_one) in [
        ("A", true),
        ("_a1", true),
        ("$a", true),
        ("ÉTÉ", true),
        ("", false),
        ("1a", false),
        ("my-queue", false),
        ("a b", false),
    ] {
        let message = format!("a binding cannot be called {name:?}");
        let expected: &[&str] = if is_one { &[] } else { &[&message] };
        check(&format!(r#""vars":{{"{name}":1}}"#), expected);
        check(&format!(r#""kv_namespaces":[{{"binding":"{name}"}}]"#), expected);
    }
}
