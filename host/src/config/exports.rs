//! Checks `exports` of a configuration: classes that the Worker declares without binding them, with wrangler's words.

use super::fields::check_keys;
use super::problem::{Problem, Problems};
use super::raw::{Document, Entry, Node};
use super::resolved::{ClassStorage, DurableObjectClass};

const STATES: [&str; 5] = ["created", "deleted", "renamed", "transferred", "expecting-transfer"];

/// Takes the Durable Object classes from `document`, and checks everything else but its workflows.
pub(super) fn durable_objects(document: &Document, problems: &mut Problems) -> Vec<DurableObjectClass> {
    let mut classes = Vec::new();
    let mut first_object = None;
    for entry in entries(document, problems) {
        match entry.value.get("type").and_then(Node::text) {
            Some("durable-object") => {
                first_object.get_or_insert(entry);
                classes.extend(Object { document, entry, problems }.class());
            }
            Some("worker") => {
                let field = format!("exports.{}", entry.key);
                check_keys(document, &entry.value, &field, &["type", "cache"], problems);
            }
            Some("workflow") => {}
            _ => {
                let missing = entry.value.get("type");
                let shown = missing.map_or_else(|| "undefined".to_owned(), Node::to_json);
                let message = format!(
                    "\"exports.{}.type\" must be \"durable-object\", \"worker\" or \"workflow\", but got {shown}.",
                    entry.key
                );
                let place = document.place(missing.unwrap_or(&entry.value).offset);
                problems
                    .push(Problem::error(message).at(place).with_hint("say what the Worker exports under this name"));
            }
        }
    }
    let has_migrations = |node: &&Node| !node.is_empty();
    if let (Some(entry), Some(migrations)) = (first_object, document.root.get("migrations").filter(has_migrations)) {
        problems.push(
            Problem::error(
                "`migrations` and `exports` are mutually exclusive. Choose one or the other to declare your Durable Object \
                 lifecycle, but not both.",
            )
            .at(document.place(entry.key_offset))
            .also_at(document.place(migrations.offset))
            .with_hint("keep what is deployed already"),
        );
    }
    classes
}

/// Returns the entries of `exports` that are objects.
pub(super) fn entries<'a>(document: &'a Document, problems: &mut Problems) -> Vec<&'a Entry> {
    let Some(node) = document.root.get("exports") else { return Vec::new() };
    let Some(entries) = node.entries() else {
        let message = format!(
            "The optional \"exports\" field should be an object keyed by class name, but got {}",
            node.to_json()
        );
        problems
            .push(Problem::error(message).at(document.place(node.offset)).with_hint("write `{ \"MyClass\": { … } }`"));
        return Vec::new();
    };
    for entry in entries.iter().filter(|entry| entry.value.entries().is_none()) {
        let message = format!("\"exports.{}\" should be an object but got {}.", entry.key, entry.value.to_json());
        let problem = Problem::error(message).at(document.place(entry.value.offset));
        problems.push(problem.with_hint("write `{ \"type\": … }`"));
    }
    entries.iter().filter(|entry| entry.value.entries().is_some()).collect()
}

/// A Durable Object under `exports`.
struct Object<'a> {
    document: &'a Document,
    entry: &'a Entry,
    problems: &'a mut Problems,
}

impl Object<'_> {
    fn class(mut self) -> Option<DurableObjectClass> {
        let node = &self.entry.value;
        let state = match node.get("state") {
            None => "created",
            Some(state) => match state.text().filter(|state| STATES.contains(state)) {
                Some(text) => text,
                None => {
                    let rule = "must be one of \"created\", \"deleted\", \"renamed\", \"transferred\", or \"expecting-transfer\"";
                    let message = format!("\"exports.{}.state\" {rule} but got {}.", self.entry.key, state.to_json());
                    self.report(state, message, "leave `state` out for a class that is there");
                    return None;
                }
            },
        };
        match state {
            "created" => self.check_allowed(state, &["type", "state", "storage", "container"]),
            "deleted" => self.check_allowed(state, &["type", "state"]),
            "renamed" => {
                self.require(state, "renamed_to");
                self.check_allowed(state, &["type", "state", "renamed_to"]);
            }
            "transferred" => {
                self.require(state, "transferred_to");
                self.check_allowed(state, &["type", "state", "transferred_to"]);
            }
            _ => {
                self.require(state, "transfer_from");
                self.check_allowed(state, &["type", "state", "storage", "transfer_from", "container"]);
            }
        }
        if state != "created" && state != "expecting-transfer" {
            return None;
        }
        let storage = self.storage(state)?;
        let place = Some(self.document.place(self.entry.key_offset));
        Some(DurableObjectClass { class_name: self.entry.key.clone(), storage, place })
    }

    fn storage(&mut self, state: &str) -> Option<ClassStorage> {
        let node = self.entry.value.get("storage");
        match node.and_then(Node::text) {
            Some("sqlite") => Some(ClassStorage::Sqlite),
            Some("legacy-kv") => Some(ClassStorage::LegacyKv),
            _ => {
                let shown = node.map_or_else(|| "undefined".to_owned(), Node::to_json);
                let message = format!(
                    "\"exports.{}.storage\" is required for state \"{state}\" and must be one of sqlite and legacy-kv, but got \
                     {shown}",
                    self.entry.key
                );
                self.report(node.unwrap_or(&self.entry.value), message, "write `\"storage\": \"sqlite\"`");
                None
            }
        }
    }

    fn require(&mut self, state: &str, key: &str) {
        let node = self.entry.value.get(key);
        let text = node.and_then(Node::text).unwrap_or_default();
        if text.is_empty() {
            let message = format!(
                "\"exports.{}.{key}\" is required for state \"{state}\" and must be a non-empty string.",
                self.entry.key
            );
            self.report(node.unwrap_or(&self.entry.value), message, &format!("add `{key}`"));
        } else if key == "renamed_to" && text == self.entry.key {
            let name = &self.entry.key;
            let message = format!("\"exports.{name}.renamed_to\" cannot equal the source class name \"{name}\".");
            self.report(node.unwrap_or(&self.entry.value), message, "write the new name of the class");
        }
    }

    fn check_allowed(&mut self, state: &str, allowed: &[&str]) {
        let entries = self.entry.value.entries().unwrap_or_default();
        for other in entries.iter().filter(|other| !allowed.contains(&other.key.as_str())) {
            let message = format!("\"exports.{}.{}\" is forbidden on state \"{state}\".", self.entry.key, other.key);
            let problem = Problem::error(message).at(self.document.place(other.key_offset));
            self.problems.push(problem.with_hint(format!("Allowed properties are: {}.", allowed.join(", "))));
        }
    }

    fn report(&mut self, node: &Node, message: String, hint: &str) {
        self.problems.push(Problem::error(message).at(self.document.place(node.offset)).with_hint(hint));
    }
}
