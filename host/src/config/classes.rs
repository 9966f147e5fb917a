//! Puts the workflows of a configuration and the classes of a component together.
//!
//! Which classes there are is only known once the component was read, so this is not part of loading.

use miniflow_runtime::storage::Retention;

use super::nearest::nearest;
use super::problem::{Problem, Problems};
use super::resolved::{Project, WorkflowEntry};
use super::workflows::is_workflow_name;

/// The workflows to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundClasses {
    pub workflows: Vec<WorkflowEntry>,
    /// What to point out although they can be served.
    pub warnings: Problems,
}

impl Project {
    /// Returns the workflows to serve, given the classes the Worker exports: those of the configuration, or one for
    /// each class without a configuration.
    ///
    /// # Errors
    ///
    /// When the configuration names a class that is not exported, or two classes would get the same binding.
    pub fn bind_classes(&self, exported: &[&str]) -> Result<BoundClasses, Problems> {
        let mut problems = Problems::default();
        let workflows = match &self.workflows {
            Some(entries) => {
                check_configured(self, entries, exported, &mut problems);
                entries.clone()
            }
            None => {
                let entries: Vec<WorkflowEntry> = exported.iter().map(|class| WorkflowEntry::of_class(class)).collect();
                check_derived(&entries, &mut problems);
                entries
            }
        };
        problems.or(workflows).map(|(workflows, warnings)| BoundClasses { workflows, warnings })
    }
}

impl WorkflowEntry {
    /// Returns the workflow that `class` is without a configuration: `OrderSaga` is `order-saga`, bound as `ORDER_SAGA`.
    #[must_use]
    pub fn of_class(class: &str) -> Self {
        let words = words(class);
        let name: String = words.join("-").to_lowercase();
        let name = if is_workflow_name(&name) { name } else { workflow_name(&name) };
        Self {
            name,
            binding: words.join("_").to_uppercase(),
            class_name: class.to_owned(),
            script_name: None,
            step_limit: None,
            concurrency_limit: None,
            retention: Retention::default(),
            schedules: Vec::new(),
            class_place: None,
        }
    }
}

fn check_configured(project: &Project, entries: &[WorkflowEntry], exported: &[&str], problems: &mut Problems) {
    let own: Vec<&WorkflowEntry> = entries.iter().filter(|entry| entry.script_name.is_none()).collect();
    for entry in own.iter().filter(|entry| !exported.contains(&entry.class_name.as_str())) {
        let problem = Problem::error(format!(
            "workflow `{}` is of class `{}`, which the Worker does not export",
            entry.name, entry.class_name
        ));
        let problem = match nearest(&entry.class_name, exported.iter().copied()) {
            Some(meant) => problem.with_hint(format!("did you mean `{meant}`? It exports {}", list(exported))),
            None if exported.is_empty() => problem.with_hint("it exports no workflow class at all"),
            None => problem.with_hint(format!("it exports {}", list(exported))),
        };
        problems.push(match &entry.class_place {
            Some(place) => problem.at(place.clone()),
            None => problem,
        });
    }
    for class in exported.iter().filter(|class| !own.iter().any(|entry| entry.class_name == **class)) {
        let entry = WorkflowEntry::of_class(class);
        problems.push(
            Problem::warning(format!(
                "the Worker `{}` exports the workflow class `{class}`, which nothing in the configuration binds",
                project.name
            ))
            .with_hint(format!(
                "add `{{ \"name\": \"{}\", \"binding\": \"{}\", \"class_name\": \"{class}\" }}` to `workflows`",
                entry.name, entry.binding
            )),
        );
    }
}

fn check_derived(entries: &[WorkflowEntry], problems: &mut Problems) {
    for (index, entry) in entries.iter().enumerate() {
        let same = |other: &&WorkflowEntry| other.name == entry.name || other.binding == entry.binding;
        if let Some(other) = entries[..index].iter().find(same) {
            problems.push(
                Problem::error(format!(
                    "the workflow classes `{}` and `{}` would both be bound as `{}`",
                    other.class_name, entry.class_name, entry.binding
                ))
                .with_hint("write a `wrangler.jsonc` that gives each its own `binding` and `name`"),
            );
        }
    }
}

pub(super) fn list(classes: &[&str]) -> String {
    let quoted: Vec<String> = classes.iter().map(|class| format!("`{class}`")).collect();
    quoted.join(", ")
}

/// Splits a class name into words: `HttpOrder2Saga`, `HTTPOrder2Saga` and `http_order2_saga` alike.
fn words(class: &str) -> Vec<String> {
    let characters: Vec<char> = class.chars().collect();
    let mut words = vec![String::new()];
    for (index, character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| characters[index]);
        let after = characters.get(index + 1);
        let ends_acronym = before.is_some_and(char::is_uppercase) && after.is_some_and(|after| after.is_lowercase());
        let starts_word = character.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric()) || ends_acronym);
        if starts_word || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(*character);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns `name` with what a workflow's name may not have replaced or cut off.
fn workflow_name(name: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    let name: String =
        name.chars().map(|character| if allowed(character) { character } else { '_' }).take(64).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}
