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
            binding: Some(binding_of(class)),
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
    let is_unknown = |entry: &&&WorkflowEntry| !exported.contains(&entry.class_name.as_str());
    let unknown: Vec<&WorkflowEntry> = own.iter().filter(is_unknown).copied().collect();
    for (index, entry) in unknown.iter().enumerate() {
        let problem = Problem::error(format!(
            "workflow `{}` is of class `{}`, which the Worker does not export",
            entry.name, entry.class_name
        ));
        let meant =
            nearest(&entry.class_name, exported.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
        // What it exports is the same for all of them.
        let list = (index == 0).then(|| match exported {
            [] => "it exports no workflow class at all".to_owned(),
            _ => format!("it exports {}", list(exported)),
        });
        let hint = match (meant, list) {
            (Some(meant), Some(list)) => format!("{meant} {}", capitalized(&list)),
            (Some(hint), None) | (None, Some(hint)) => hint,
            (None, None) => "correct `class_name`, or export such a class".to_owned(),
        };
        let problem = problem.with_hint(hint);
        problems.push(match &entry.class_place {
            Some(place) => problem.at(place.clone()),
            None => problem,
        });
    }
    // Most of these would be about the class that was meant.
    if unknown.is_empty() {
        problems.extend(unbound(project, &own, exported));
    }
}

/// Points out the classes of `exported` that none of `own` is of.
fn unbound(project: &Project, own: &[&WorkflowEntry], exported: &[&str]) -> Option<Problem> {
    let is_unbound = |class: &&&str| !own.iter().any(|entry| entry.class_name == **class);
    let classes: Vec<&str> = exported.iter().filter(is_unbound).copied().collect();
    let subject = match classes.len() {
        0 => return None,
        1 => "workflow class",
        _ => "workflow classes",
    };
    let message = format!(
        "the Worker `{}` exports the {subject} {}, which nothing in the configuration binds",
        project.name,
        list(&classes)
    );
    let lines = classes.iter().map(|class| {
        let (name, binding) = (WorkflowEntry::of_class(class).name, binding_of(class));
        format!("`{{ \"name\": \"{name}\", \"binding\": \"{binding}\", \"class_name\": \"{class}\" }}`")
    });
    let lines: Vec<String> = lines.collect();
    Some(Problem::warning(message).with_hint(format!("add {} to `workflows`", lines.join(", "))))
}

fn check_derived(entries: &[WorkflowEntry], problems: &mut Problems) {
    for (index, entry) in entries.iter().enumerate() {
        let same = |other: &&WorkflowEntry| other.name == entry.name || other.binding == entry.binding;
        if let Some(other) = entries[..index].iter().find(same) {
            problems.push(
                Problem::error(format!(
                    "the workflow classes `{}` and `{}` would both be bound as `{}`",
                    other.class_name,
                    entry.class_name,
                    binding_of(&entry.class_name)
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

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// Returns the name that `class` is bound as without a configuration.
pub(super) fn binding_of(class: &str) -> String {
    words(class).join("_").to_uppercase()
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
