//! Workflows of a configuration against the classes of a component.

use super::{Folder, PACKAGE, json, loaded};
use crate::config::WorkflowEntry;

#[test]
fn a_class_without_configuration_gets_names() {
    for (class, name, binding) in [
        ("OrderSaga", "order-saga", "ORDER_SAGA"),
        ("HTTPServer", "http-server", "HTTP_SERVER"),
        ("Step2Flow", "step2-flow", "STEP2_FLOW"),
        ("already_snake", "already-snake", "ALREADY_SNAKE"),
        ("X", "x", "X"),
        ("ABC", "abc", "ABC"),
        ("Émile", "_mile", "ÉMILE"),
        ("_", "_", ""),
    ] {
        let entry = WorkflowEntry::of_class(class);
        assert_eq!((entry.name.as_str(), entry.binding.as_deref()), (name, Some(binding)), "{class}");
    }
    assert_eq!(WorkflowEntry::of_class(&"a".repeat(100)).name, "a".repeat(64));
}

#[test]
fn without_configuration_every_class_is_bound() {
    let project = loaded(&Folder::with(&[("Cargo.toml", PACKAGE)]));
    let bound = project.bind_classes(&["OrderSaga", "Report"]).expect("both can be bound");
    let bindings: Vec<&str> = bound.workflows.iter().filter_map(|workflow| workflow.binding.as_deref()).collect();
    assert_eq!(bindings, ["ORDER_SAGA", "REPORT"]);
    assert!(bound.warnings.is_empty());
}

#[test]
fn two_classes_that_would_share_a_binding_need_a_configuration() {
    let project = loaded(&Folder::with(&[("Cargo.toml", PACKAGE)]));
    let problems = project.bind_classes(&["OrderSaga", "Order_Saga"]).expect_err("they collide");
    assert_eq!(
        problems.to_string(),
        "error: the workflow classes `OrderSaga` and `Order_Saga` would both be bound as `ORDER_SAGA`\n  \
         hint: write a `wrangler.jsonc` that gives each its own `binding` and `name`"
    );
}

#[test]
fn an_unknown_class_lists_what_exists() {
    let folder = json("{ \"workflows\": [\n{ \"name\": \"n\", \"binding\": \"B\", \"class_name\": \"OrderSage\" }] }");
    let project = loaded(&folder);
    let said = |exported: &[&str]| {
        let problems = project.bind_classes(exported).expect_err("there is no such class");
        let first = problems.iter().next().expect("there is one").to_string();
        first.replace(&format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR), "")
    };
    let error = "error: workflow `n` is of class `OrderSage`, which the Worker does not export\n  \
                 --> wrangler.jsonc:2:46";
    assert_eq!(
        said(&["Report", "OrderSaga"]),
        format!("{error}\n  hint: did you mean `OrderSaga`? It exports `Report`, `OrderSaga`")
    );
    assert_eq!(said(&["Report"]), format!("{error}\n  hint: it exports `Report`"));
    assert_eq!(said(&[]), format!("{error}\n  hint: it exports no workflow class at all"));
}

#[test]
fn a_class_of_another_worker_is_not_looked_for() {
    let folder =
        json(r#"{ "workflows": [{ "name": "n", "binding": "B", "class_name": "C", "script_name": "other" }] }"#);
    let bound = loaded(&folder).bind_classes(&[]).expect("another Worker has it");
    assert_eq!(bound.workflows[0].script_name.as_deref(), Some("other"));
    assert!(bound.warnings.is_empty());
}

#[test]
fn a_class_that_nothing_binds_is_pointed_out() {
    let bound = loaded(&json(r#"{ "name": "shop" }"#)).bind_classes(&["OrderSaga"]).expect("it can be served");
    assert_eq!(
        bound.warnings.to_string(),
        "warning: the Worker `shop` exports the workflow class `OrderSaga`, which nothing in the configuration binds\n  \
         hint: add `{ \"name\": \"order-saga\", \"binding\": \"ORDER_SAGA\", \"class_name\": \"OrderSaga\" }` to \
         `workflows`"
    );
}

#[test]
fn one_class_that_is_misspelt_is_one_error() {
    let folder = json(
        r#"{ "name": "shop", "workflows": [
  { "name": "a", "binding": "A", "class_name": "OrderSage" },
  { "name": "b", "binding": "B", "class_name": "Nothing" }] }"#,
    );
    let project = loaded(&folder);
    let problems = project.bind_classes(&["OrderSaga", "Report", "Refund"]).expect_err("there are no such classes");
    let hints: Vec<&str> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
    assert_eq!(
        hints,
        [
            "did you mean `OrderSaga`? It exports `OrderSaga`, `Report`, `Refund`",
            "correct `class_name`, or export such a class"
        ]
    );
    assert_eq!(problems.iter().count(), 2, "{problems}");
}

#[test]
fn classes_that_nothing_binds_are_pointed_out_together() {
    let bound =
        loaded(&json(r#"{ "name": "shop" }"#)).bind_classes(&["OrderSaga", "Report"]).expect("they can be served");
    assert_eq!(
        bound.warnings.to_string(),
        "warning: the Worker `shop` exports the workflow classes `OrderSaga`, `Report`, which nothing in the configuration \
         binds\n  hint: add `{ \"name\": \"order-saga\", \"binding\": \"ORDER_SAGA\", \"class_name\": \"OrderSaga\" }`, \
         `{ \"name\": \"report\", \"binding\": \"REPORT\", \"class_name\": \"Report\" }` to `workflows`"
    );
}
