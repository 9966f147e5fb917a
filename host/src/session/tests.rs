use std::path::Path;

use super::connect::{View, unique};
use crate::bindings::Bound;
use crate::bindings::durable_object::Namespace;
use crate::config::{DurableObjectBinding, Problems, Project, ServiceBinding, Source, WorkflowEntry};

fn project(name: &str) -> Project {
    Project::bare(name, Path::new("/w"), Source::Wasm("/w/w.wasm".into()))
}

fn of(script: Option<&str>, class: &str) -> WorkflowEntry {
    WorkflowEntry { script_name: script.map(ToOwned::to_owned), ..WorkflowEntry::of_class(class) }
}

/// What the first Worker's binding of the class is, and every problem.
fn connect(workers: &[(&str, &[WorkflowEntry])], binding: &str) -> (Option<Bound>, Vec<String>) {
    let mut projects: Vec<_> = workers.iter().map(|(name, _)| project(name)).collect();
    let object = |binding: &str, class: &str, script: Option<&str>| DurableObjectBinding {
        binding: binding.to_owned(),
        class_name: class.to_owned(),
        script_name: script.map(ToOwned::to_owned),
        place: None,
    };
    let service = |binding: &str, service: &str, entrypoint: Option<&str>| ServiceBinding {
        binding: binding.to_owned(),
        service: service.to_owned(),
        entrypoint: entrypoint.map(ToOwned::to_owned),
        place: None,
    };
    if binding.starts_with("OBJECT_") {
        projects[0].durable_objects = vec![
            object("OBJECT_OWN", "Counter", None),
            object("OBJECT_OF_B", "Counter", Some("b")),
            object("OBJECT_UNKNOWN", "Other", Some("b")),
        ];
        projects[0].durable_objects.retain(|object| object.binding == binding);
    }
    if binding.starts_with("SERVICE_") {
        projects[0].services = vec![
            service("SERVICE_B", "b", None),
            service("SERVICE_C", "c", None),
            service("SERVICE_X", "b", Some("X")),
        ];
        projects[0].services.retain(|service| service.binding == binding);
    }
    let views: Vec<_> = projects
        .iter()
        .zip(workers)
        .map(|(project, (_, workflows))| View {
            project,
            workflows,
            durable_objects: &project.durable_objects,
            object_classes: vec!["Counter"],
        })
        .collect();
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

#[test]
fn objects_and_services_of_other_workers_are_bound_when_they_are_here() {
    let both: [(&str, &[WorkflowEntry]); 2] = [("a", &[]), ("b", &[])];
    let object = |worker: &str| {
        Some(Bound::DurableObject(Namespace { worker: worker.to_owned(), class: "Counter".to_owned() }.into()))
    };
    assert_eq!(connect(&both, "OBJECT_OWN"), (object("a"), Vec::new()));
    assert_eq!(connect(&both, "OBJECT_OF_B"), (object("b"), Vec::new()));
    assert_eq!(connect(&both, "SERVICE_B"), (Some(Bound::Service("b".to_owned())), Vec::new()));
    let absent = |workers: &[(&str, &[WorkflowEntry])], binding: &str, why: &str| {
        let (bound, problems) = connect(workers, binding);
        assert!(matches!(&bound, Some(Bound::Absent { why: said, .. }) if said.contains(why)), "{bound:?}");
        assert_eq!(problems.len(), 1, "{problems:?}");
    };
    absent(&both[..1], "OBJECT_OF_B", "is of the Worker `b`, which is not in this session");
    absent(&both, "OBJECT_UNKNOWN", "the Worker `b` has no Durable Object class `Other` (it has: `Counter`)");
    absent(&both, "SERVICE_C", "the Worker `c` is not in this session: add it with `-c`");
    absent(&both, "SERVICE_X", "named entrypoints are not run yet");
}
