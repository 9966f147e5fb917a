use std::path::Path;

use super::connect::{View, unique};
use crate::bindings::Bound;
use crate::config::{Problems, Project, Source, WorkflowEntry};

fn project(name: &str) -> Project {
    Project::bare(name, Path::new("/w"), Source::Wasm("/w/w.wasm".into()))
}

fn of(script: Option<&str>, class: &str) -> WorkflowEntry {
    WorkflowEntry { script_name: script.map(ToOwned::to_owned), ..WorkflowEntry::of_class(class) }
}

/// What the first Worker's binding of the class is, and every problem.
fn connect(workers: &[(&str, &[WorkflowEntry])], binding: &str) -> (Option<Bound>, Vec<String>) {
    let projects: Vec<_> = workers.iter().map(|(name, _)| project(name)).collect();
    let views: Vec<_> =
        projects.iter().zip(workers).map(|(project, (_, workflows))| View { project, workflows }).collect();
    let mut problems = Problems::default();
    unique(&views, &mut problems);
    let bindings = views[0].bindings(&views, &mut problems);
    let problems = problems.iter().map(|problem| problem.message.clone()).collect();
    (bindings.get(binding).cloned(), problems)
}

#[test]
fn a_workflow_of_another_worker_is_bound_by_its_script_name() {
    let (bound, problems) = connect(&[("a", &[of(Some("b"), "Saga")]), ("b", &[of(None, "Saga")])], "SAGA");
    assert_eq!(bound, Some(Bound::Workflow("saga".to_owned())));
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn the_own_name_as_script_name_is_no_other_worker() {
    let (bound, problems) = connect(&[("a", &[of(Some("a"), "Saga")])], "SAGA");
    assert_eq!(bound, Some(Bound::Workflow("saga".to_owned())));
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn what_is_not_in_the_session_is_pointed_out_and_cannot_be_used() {
    let (bound, problems) = connect(&[("a", &[of(Some("b"), "Saga")])], "SAGA");
    assert!(
        matches!(&bound, Some(Bound::Absent { kind: "workflow", why }) if why.contains("the Worker `b`, which is not"))
    );
    assert_eq!(problems.len(), 1, "{problems:?}");
    let (bound, _) = connect(&[("a", &[of(Some("b"), "Saga")]), ("b", &[of(None, "Other")])], "SAGA");
    assert!(matches!(&bound, Some(Bound::Absent { why, .. }) if why.ends_with("(it defines: `other`)")), "{bound:?}");
}

#[test]
fn names_are_unique_in_a_session() {
    let saga = [of(None, "Saga")];
    let (_, problems) = connect(&[("a", &saga), ("b", &saga)], "SAGA");
    assert_eq!(problems, ["the Workers `a` and `b` both define the workflow `saga`"]);
    let (_, problems) = connect(&[("a", &[]), ("a", &[])], "SAGA");
    assert_eq!(problems, ["two Workers of this session are called `a`"]);
}
