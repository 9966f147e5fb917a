//! What the Workers of a session are to each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use miniflow_runtime::WorkflowDefinition;

use super::{Connected, Member, crons, queues};
use crate::bindings::durable_object::Namespace;
use crate::bindings::{Bindings, Bound};
use crate::config::{DurableObjectBinding, Place, Problem, Problems, Project, ServiceBinding, Var, WorkflowEntry};

/// See [`super::Session::connect`].
pub(super) fn connect(members: Vec<Arc<Member>>) -> Result<Connected, Problems> {
    let views: Vec<_> = members.iter().map(|member| View::of(member)).collect();
    let mut problems = Problems::default();
    unique(&views, &mut problems);
    queues::unique(&views, &mut problems);
    let bindings: Vec<_> = views.iter().map(|view| view.bindings(&views, &mut problems)).collect();
    let definitions: Vec<_> = views.iter().flat_map(View::definitions).collect();
    let triggers = crons::triggers(&views);
    crons::count(&definitions, &triggers, &mut problems);
    let ((), warnings) = problems.or(())?;
    Ok(Connected { members: members.into_iter().zip(bindings).collect(), triggers, definitions, warnings })
}

/// What matters of a Worker here.
pub(super) struct View<'a> {
    pub(super) project: &'a Project,
    pub(super) workflows: &'a [WorkflowEntry],
    pub(super) durable_objects: &'a [DurableObjectBinding],
    /// The Durable Object classes it has.
    pub(super) object_classes: Vec<&'a str>,
}

/// Complains about names that two Workers have.
pub(super) fn unique(views: &[View<'_>], problems: &mut Problems) {
    let mut workflows: BTreeMap<&str, &str> = BTreeMap::new();
    for (index, view) in views.iter().enumerate() {
        let name = view.project.name.as_str();
        if views[..index].iter().any(|other| other.project.name == name) {
            problems.push(
                Problem::error(format!("two Workers of this session are called `{name}`"))
                    .with_hint("give one of them another `name` in its configuration"),
            );
        }
        for entry in view.own() {
            if let Some(other) = workflows.insert(&entry.name, name)
                && other != name
            {
                problems.push(
                    Problem::error(format!(
                        "the Workers `{other}` and `{name}` both define the workflow `{}`",
                        entry.name
                    ))
                    .with_hint("a workflow's name is unique in an account: give one of them another `name`"),
                );
            }
        }
    }
}

impl<'a> View<'a> {
    fn of(member: &'a Member) -> Self {
        Self {
            project: &member.project,
            workflows: &member.workflows,
            durable_objects: &member.durable_objects,
            object_classes: member.generation.object_classes().iter().map(|class| class.name.as_str()).collect(),
        }
    }
}

impl View<'_> {
    /// The workflows it defines.
    fn own(&self) -> impl Iterator<Item = &WorkflowEntry> {
        self.workflows.iter().filter(|entry| self.owner(entry) == self.project.name)
    }

    /// The Worker that defines a workflow bound here.
    fn owner<'a>(&'a self, entry: &'a WorkflowEntry) -> &'a str {
        entry.script_name.as_deref().unwrap_or(&self.project.name)
    }

    /// What its names stand for.
    pub(super) fn bindings(&self, all: &[View<'_>], problems: &mut Problems) -> Bindings {
        let vars = self.project.vars.iter().map(|(name, var)| {
            let bound = match var {
                Var::Text(text) => Bound::Text(text.clone()),
                Var::Json(json) => Bound::Json(json.clone()),
                Var::Secret(secret) => Bound::Text(secret.reveal().to_owned()),
            };
            (name.clone(), bound)
        });
        let namespaces = self.project.kv_namespaces.iter();
        let namespaces = namespaces.map(|entry| (entry.binding.clone(), Bound::Kv(entry.id.clone())));
        let mut bound: Vec<_> = vars.chain(queues::bound(self.project)).chain(namespaces).collect();
        let mut bind = |name: &str, found: Bound, place: Option<&Place>| {
            if let Bound::Absent { why, .. } = &found {
                let problem = Problem::warning(format!("binding `{name}` of `{}`: {why}", self.project.name));
                problems.push(match place {
                    Some(place) => problem.at(place.clone()),
                    None => problem,
                });
            }
            bound.push((name.to_owned(), found));
        };
        for (entry, binding) in self.workflows.iter().filter_map(|entry| Some((entry, entry.binding.as_ref()?))) {
            bind(binding, self.workflow(entry, all), entry.class_place.as_ref());
        }
        for binding in self.durable_objects {
            bind(&binding.binding, self.durable_object(binding, all), binding.place.as_ref());
        }
        for binding in &self.project.services {
            bind(&binding.binding, service(binding, all), binding.place.as_ref());
        }
        bound.into_iter().collect()
    }

    /// What Durable Objects bound here are; those of a Worker that is not here can be bound and not used.
    fn durable_object(&self, binding: &DurableObjectBinding, all: &[View<'_>]) -> Bound {
        let class = &binding.class_name;
        let owner = binding.script_name.as_deref().unwrap_or(&self.project.name);
        let absent = |why: String| Bound::Absent { kind: "durable object", why };
        let Some(view) = all.iter().find(|view| view.project.name == owner) else {
            return absent(format!(
                "the Durable Object class `{class}` is of the Worker `{owner}`, which is not in this session: add it with `-c`"
            ));
        };
        if view.object_classes.contains(&class.as_str()) {
            return Bound::DurableObject(Arc::new(Namespace { worker: owner.to_owned(), class: class.clone() }));
        }
        let has: Vec<_> = view.object_classes.iter().map(|class| format!("`{class}`")).collect();
        let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
        absent(format!("the Worker `{owner}` has no Durable Object class `{class}` (it has: {has})"))
    }

    /// What a workflow bound here is; one of a Worker that is not here can be bound and not used.
    fn workflow(&self, entry: &WorkflowEntry, all: &[View<'_>]) -> Bound {
        let (name, owner) = (&entry.name, self.owner(entry));
        let absent = |why: String| Bound::Absent { kind: "workflow", why };
        let Some(view) = all.iter().find(|view| view.project.name == owner) else {
            return absent(format!(
                "the workflow `{name}` is of the Worker `{owner}`, which is not in this session: add it with `-c`"
            ));
        };
        if view.own().any(|own| own.name == *name) {
            return Bound::Workflow(name.clone());
        }
        let defined: Vec<_> = view.own().map(|own| format!("`{}`", own.name)).collect();
        let defined = if defined.is_empty() { "none".to_owned() } else { defined.join(", ") };
        absent(format!("the Worker `{owner}` defines no workflow `{name}` (it defines: {defined})"))
    }

    fn definitions(&self) -> Vec<WorkflowDefinition> {
        let define = |entry: &WorkflowEntry| {
            let mut definition = WorkflowDefinition::new(&entry.name, &entry.class_name, &self.project.name);
            if let Some(limit) = entry.step_limit {
                definition.step_limit = limit.get();
            }
            definition.schedules.clone_from(&entry.schedules);
            definition.retention = entry.retention;
            definition.concurrency = entry.concurrency_limit.map(|limit| limit.get() as usize);
            definition
        };
        self.own().map(define).collect()
    }
}

/// What a service bound here is; a Worker that is not here can be bound and not used.
fn service(binding: &ServiceBinding, all: &[View<'_>]) -> Bound {
    let absent = |why: String| Bound::Absent { kind: "service", why };
    let name = &binding.service;
    if let Some(class) = &binding.entrypoint {
        return absent(format!("the entrypoint `{class}` of the Worker `{name}`: named entrypoints are not run yet"));
    }
    if all.iter().any(|view| view.project.name == *name) {
        return Bound::Service(name.clone());
    }
    absent(format!("the Worker `{name}` is not in this session: add it with `-c`"))
}
