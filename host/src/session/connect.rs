//! What the Workers of a session are to each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use miniflow_runtime::WorkflowDefinition;

use super::{Connected, Member};
use crate::bindings::{Bindings, Bound};
use crate::config::{Problem, Problems, Project, Var, WorkflowEntry};

/// See [`super::Session::connect`].
pub(super) fn connect(members: Vec<Arc<Member>>) -> Result<Connected, Problems> {
    let views: Vec<_> =
        members.iter().map(|member| View { project: &member.project, workflows: &member.workflows }).collect();
    let mut problems = Problems::default();
    unique(&views, &mut problems);
    let bindings: Vec<_> = views.iter().map(|view| view.bindings(&views, &mut problems)).collect();
    let definitions = views.iter().flat_map(View::definitions).collect();
    let ((), warnings) = problems.or(())?;
    Ok(Connected { members: members.into_iter().zip(bindings).collect(), definitions, warnings })
}

/// What matters of a Worker here.
pub(super) struct View<'a> {
    pub(super) project: &'a Project,
    pub(super) workflows: &'a [WorkflowEntry],
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
            };
            (name.clone(), bound)
        });
        let mut bound: Vec<_> = vars.collect();
        for entry in self.workflows {
            let found = self.workflow(entry, all);
            if let Bound::Absent { why, .. } = &found {
                let problem =
                    Problem::warning(format!("binding `{}` of `{}`: {why}", entry.binding, self.project.name));
                problems.push(match &entry.class_place {
                    Some(place) => problem.at(place.clone()),
                    None => problem,
                });
            }
            bound.push((entry.binding.clone(), found));
        }
        bound.into_iter().collect()
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
            definition.retention = entry.retention;
            definition.concurrency = entry.concurrency_limit.map(|limit| limit.get() as usize);
            definition
        };
        self.own().map(define).collect()
    }
}
