//! The environments of a configuration: what `env.NAME` changes, inherits and lacks.

use super::fields::{check_keys, wrong_type};
use super::keys::{self, Scope};
use super::nearest::nearest;
use super::problem::{Place, Problem, Problems};
use super::raw::{Document, Entry, Node, Value};

/// Returns `document` as the environment `chosen` sees it: as if what counts there were all that is written.
pub(super) fn choose(document: Document, chosen: Option<&str>, problems: &mut Problems) -> Document {
    let (Some(name), Some(entries)) = (chosen, document.root.entries()) else { return document };
    let environments = document.root.get("env");
    if let Some(node) = environments.filter(|node| node.entries().is_none()) {
        problems.push(wrong_type("env", "object", node).at(document.place(node.offset)));
        return document;
    }
    let Some(own) = environments.and_then(|environments| environments.get(name)) else {
        problems.push(unknown(&document, environments, name));
        return document.with_name_suffix(format!("-{name}"));
    };
    let field = format!("env.{name}");
    let Some(own_entries) = own.entries() else {
        problems.push(wrong_type(&field, "object", own).at(document.place(own.offset)));
        return document;
    };
    let known: Vec<&'static str> = keys::of_environments().collect();
    check_keys(&document, own, &field, &known, problems);
    check_missing(&document, own, name, problems);

    let is_inherited = |entry: &&Entry| match keys::scope(&entry.key) {
        Some(Scope::Inherited) => own.get(&entry.key).is_none(),
        Some(Scope::TopLevel) => true,
        Some(Scope::PerEnvironment) | None => false,
    };
    let is_own = |entry: &&Entry| matches!(keys::scope(&entry.key), Some(Scope::Inherited | Scope::PerEnvironment));
    let inherited = entries.iter().filter(is_inherited);
    let seen = inherited.chain(own_entries.iter().filter(is_own)).cloned().collect();
    let root = Node { offset: document.root.offset, value: Value::Object(seen) };
    let suffix = if own.get("name").is_some() { String::new() } else { format!("-{name}") };
    document.seen_by(name, root).with_name_suffix(suffix)
}

/// Says that there is no environment `name`. Where there are none at all it may be meant for another Worker.
fn unknown(document: &Document, environments: Option<&Node>, name: &str) -> Problem {
    let message = format!("No environment found in configuration with name \"{name}\".");
    let entries = environments.and_then(Node::entries).unwrap_or_default();
    let Some(node) = environments.filter(|_| !entries.is_empty()) else {
        return Problem::warning(message)
            .at(Place::file(document.file()))
            .with_hint(format!("the top level is run: add `env.{name}`, or choose no environment"));
    };
    let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let list = format!("The available configured environment names are: {}", quoted(&names));
    let problem = Problem::error(message).at(document.place(node.offset));
    match nearest(name, names) {
        Some(meant) => problem.with_hint(format!("did you mean `{meant}`? {list}")),
        None => problem.with_hint(list),
    }
}

/// Warns of what the top level has and the environment `own` would have to repeat.
fn check_missing(document: &Document, own: &Node, name: &str, problems: &mut Problems) {
    let top = document.root.entries().unwrap_or_default();
    for entry in top.iter().filter(|entry| keys::scope(&entry.key) == Some(Scope::PerEnvironment)) {
        let key = &entry.key;
        let problem = match own.get(key) {
            None if entry.value.is_empty() => continue,
            None => Problem::warning(format!("\"{key}\" exists at the top level, but not on \"env.{name}\"."))
                .at(document.place(own.offset))
                .with_hint(format!(
                    "This is not what you probably want, since \"{key}\" is not inherited by environments. Please add \
                     \"{key}\" to \"env.{name}\"."
                )),
            Some(repeated) => match (key.as_str(), missing_names(key, &entry.value, repeated)) {
                (_, missing) if missing.is_empty() => continue,
                ("vars", missing) => {
                    let field = format!("env.{name}.vars");
                    Problem::warning(format!("The following vars exist at the top level, but not on \"{field}\"."))
                        .at(document.place(repeated.offset))
                        .with_hint(format!(
                            "This is probably not what you want, since \"vars\" configuration is not inherited by \
                             environments. Please add these vars to \"{field}\": {}",
                            missing.join(", ")
                        ))
                }
                (_, missing) => Problem::warning(format!(
                    "The following bindings are at the top level, but not on \"env.{name}\"."
                ))
                .at(document.place(repeated.offset))
                .with_hint(format!(
                    "This is not what you probably want, since \"{key}\" configuration is not inherited by environments. \
                     Please add a binding for each to \"env.{name}.{key}.bindings\": {}",
                    missing.join(", ")
                )),
            },
        };
        problems.push(problem.also_at(document.place(entry.key_offset)));
    }
}

/// Returns the names that `top` has and `own` has not, for the keys of which wrangler compares them.
fn missing_names<'a>(key: &str, top: &'a Node, own: &Node) -> Vec<&'a str> {
    match key {
        "vars" => {
            let keys = top.entries().unwrap_or_default().iter().map(|entry| entry.key.as_str());
            keys.filter(|key| own.get(key).is_none()).collect()
        }
        "durable_objects" => {
            let names = binding_names(own);
            binding_names(top).into_iter().filter(|name| !names.contains(name)).collect()
        }
        _ => Vec::new(),
    }
}

fn binding_names(node: &Node) -> Vec<&str> {
    let bindings = node.get("bindings").and_then(Node::items).unwrap_or_default();
    bindings.iter().filter_map(|binding| binding.get("name").and_then(Node::text)).collect()
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("[{}]", names.join(","))
}
