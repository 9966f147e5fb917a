//! Checks `durable_objects` and `migrations` of a configuration, with wrangler's words.
//!
//! The migrations are applied in order, as production does at a deployment, to know which classes there are. Nothing of what
//! objects keep is moved by them: a local run has the classes of now.

use super::fields::{self, Fields, check_keys, wrong_type};
use super::problem::{Problem, Problems};
use super::raw::{Document, Node};
use super::resolved::{ClassStorage, DurableObjectBinding, DurableObjectClass};

/// Takes the bindings from `document`.
pub(super) fn bindings(
    document: &Document,
    own_name: Option<&str>,
    problems: &mut Problems,
) -> Vec<DurableObjectBinding> {
    let Some(node) = document.root.get("durable_objects") else { return Vec::new() };
    let field = document.field("durable_objects");
    let Some(node) = fields::object(document, node, &field, problems) else { return Vec::new() };
    check_keys(document, node, &field, &["bindings"], problems);
    let Some(list) = node.get("bindings") else {
        let message = format!("The field \"{field}\" is missing the required \"bindings\" property.");
        problems.push(Problem::error(message).at(document.place(node.offset)).with_hint("add `\"bindings\": []`"));
        return Vec::new();
    };
    let field = format!("{field}.bindings");
    let mut bindings = Vec::new();
    for (index, item) in fields::items(document, list, &field, problems).iter().enumerate() {
        bindings.extend(binding(Fields::of(document, item, format!("{field}[{index}]"), problems), own_name));
    }
    bindings
}

fn binding(mut fields: Fields<'_>, own_name: Option<&str>) -> Option<DurableObjectBinding> {
    if fields.node.entries().is_none() {
        let message = format!("Expected \"{}\" to be an object but got {}", fields.field, fields.node.to_json());
        fields.error(fields.node, message, "write `{ \"name\": …, \"class_name\": … }`");
        return None;
    }
    let name = required(&mut fields, "name", "the name under which the Worker finds it, such as `COUNTER`");
    let class = required(&mut fields, "class_name", "the class that the Worker exports, such as `Counter`");
    let script_name = optional(&mut fields, "script_name");
    optional(&mut fields, "environment");
    if let Some(node) = fields.node.get("environment").filter(|_| fields.node.get("script_name").is_none()) {
        let message = of(&fields, "binding should have a \"script_name\" field if \"environment\" is present.");
        fields.error(node, message, "name the Worker that defines the class, or leave `environment` out");
    }
    fields.check_remote();
    fields.check_keys(&["class_name", "environment", "name", "script_name", "remote"]);
    let (_, name) = name?;
    let (class_node, class_name) = class?;
    Some(DurableObjectBinding {
        binding: name.to_owned(),
        class_name: class_name.to_owned(),
        script_name: script_name.filter(|script| Some(script.as_str()) != own_name),
        place: Some(fields.place(class_node)),
    })
}

fn of(fields: &Fields<'_>, message: &str) -> String {
    format!("\"{}\": {message}", fields.field)
}

fn required<'a>(fields: &mut Fields<'a>, key: &str, purpose: &str) -> Option<(&'a Node, &'a str)> {
    let node = fields.node.get(key);
    if let Some((node, text)) = node.and_then(|node| Some((node, node.text()?))) {
        return Some((node, text));
    }
    let message = of(fields, &format!("binding should have a string \"{key}\" field."));
    fields.error(node.unwrap_or(fields.node), message, &format!("add `{key}`: {purpose}"));
    None
}

fn optional(fields: &mut Fields<'_>, key: &str) -> Option<String> {
    let node = fields.node.get(key)?;
    if node.text().is_none() {
        let message = of(fields, &format!("the field \"{key}\", when present, should be a string."));
        fields.error(node, message, &format!("correct `{key}`, or leave it out"));
    }
    node.text().map(str::to_owned)
}

/// Applies `migrations` of `document`, and returns the classes that there are then.
pub(super) fn migrated(document: &Document, problems: &mut Problems) -> Vec<DurableObjectClass> {
    let Some(node) = document.root.get("migrations") else { return Vec::new() };
    let Some(migrations) = node.items() else {
        let message = format!("The optional \"migrations\" field should be an array, but got {}", node.to_json());
        problems.push(Problem::error(message).at(document.place(node.offset)).with_hint("write a list, even of one"));
        return Vec::new();
    };
    let mut classes = Vec::new();
    for (index, node) in migrations.iter().enumerate() {
        Migration { document, node, field: format!("migrations[{index}]"), problems, classes: &mut classes }.apply();
    }
    classes
}

/// One entry of `migrations`, and the classes before it.
struct Migration<'a> {
    document: &'a Document,
    node: &'a Node,
    field: String,
    problems: &'a mut Problems,
    classes: &'a mut Vec<DurableObjectClass>,
}

impl<'a> Migration<'a> {
    fn apply(mut self) {
        if self.node.entries().is_none() {
            self.report(wrong_type(&self.field, "object", self.node), self.node);
            return;
        }
        const KNOWN: [&str; 6] =
            ["tag", "new_classes", "new_sqlite_classes", "renamed_classes", "deleted_classes", "transferred_classes"];
        check_keys(self.document, self.node, "migrations", &KNOWN, self.problems);
        match self.node.get("tag") {
            None => {
                let problem = Problem::error(format!("\"{}.tag\" is a required field.", self.field));
                self.report(problem.with_hint("give each migration its own, such as `v1`"), self.node);
            }
            Some(tag) => {
                fields::string(self.document, tag, &format!("{}.tag", self.field), self.problems);
            }
        }
        self.create("new_classes", ClassStorage::LegacyKv);
        self.create("new_sqlite_classes", ClassStorage::Sqlite);
        for renamed in self.moves("renamed_classes", &["from", "to"]) {
            if let [(from_node, from), (to_node, to)] = renamed.as_slice() {
                let place = Some(self.document.place(to_node.offset));
                if let Some(class) = self.existing(from_node, from, "renames") {
                    let storage = class.storage;
                    self.classes.retain(|class| class.class_name != **from);
                    self.classes.push(DurableObjectClass { class_name: (*to).to_owned(), storage, place });
                }
            }
        }
        for transferred in self.moves("transferred_classes", &["from", "from_script", "to"]) {
            if let [_, _, (to_node, to)] = transferred.as_slice() {
                let place = Some(self.document.place(to_node.offset));
                let class_name = (*to).to_owned();
                self.classes.push(DurableObjectClass { class_name, storage: ClassStorage::Sqlite, place });
            }
        }
        for (node, class) in self.texts("deleted_classes") {
            if self.existing(node, class, "deletes").is_some() {
                self.classes.retain(|known| known.class_name != class);
            }
        }
    }

    fn create(&mut self, key: &str, storage: ClassStorage) {
        for (node, class) in self.texts(key) {
            let place = self.document.place(node.offset);
            if let Some(known) = self.classes.iter().find(|known| known.class_name == class) {
                let problem = Problem::error(format!("the class `{class}` is created twice"))
                    .at(place)
                    .with_hint("a migration that was deployed stays as it is: remove the later one");
                let first = known.place.clone();
                self.problems.push(first.into_iter().fold(problem, Problem::also_at));
            } else {
                let class_name = class.to_owned();
                self.classes.push(DurableObjectClass { class_name, storage, place: Some(place) });
            }
        }
    }

    fn texts(&mut self, key: &str) -> Vec<(&'a Node, &'a str)> {
        match self.node.get(key) {
            Some(list) => fields::strings(self.document, list, &format!("{}.{key}", self.field), self.problems),
            None => Vec::new(),
        }
    }

    /// Returns the texts under `keys` of every object in the list under `key`.
    fn moves(&mut self, key: &str, keys: &[&str]) -> Vec<Vec<(&'a Node, &'a str)>> {
        let Some(list) = self.node.get(key) else { return Vec::new() };
        let text = |item: &'a Node, key: &&str| item.get(key).and_then(|node| Some((node, node.text()?)));
        let moves: Option<Vec<Vec<_>>> = list.items().and_then(|items| {
            items.iter().map(|item| keys.iter().map(|key| text(item, key)).collect::<Option<Vec<_>>>()).collect()
        });
        moves.unwrap_or_else(|| {
            let shape: Vec<String> = keys.iter().map(|key| format!("{key}: string")).collect();
            let message = format!(
                "Expected \"{}.{key}\" to be an array of \"{{{}}}\" objects but got {}.",
                self.field,
                shape.join(", "),
                list.to_json()
            );
            self.report(Problem::error(message).with_hint("write a list, even of one"), list);
            Vec::new()
        })
    }

    /// Returns the class `name` if a migration before this one made it.
    fn existing(&mut self, node: &Node, name: &str, verb: &str) -> Option<&DurableObjectClass> {
        if !self.classes.iter().any(|class| class.class_name == name) {
            let problem =
                Problem::warning(format!("\"{}\" {verb} the class `{name}`, which no earlier one made", self.field));
            self.report(problem.with_hint("migrations are applied in the order written"), node);
        }
        self.classes.iter().find(|class| class.class_name == name)
    }

    fn report(&mut self, problem: Problem, node: &Node) {
        self.problems.push(problem.at(self.document.place(node.offset)));
    }
}

/// Points out the classes that are bound and that nothing declares, with the lines to add.
pub(super) fn check_declared(
    document: &Document,
    bindings: &[DurableObjectBinding],
    classes: &[DurableObjectClass],
    problems: &mut Problems,
) {
    let is_declared = |name: &str| classes.iter().any(|class| class.class_name == name);
    let mut missing: Vec<&DurableObjectBinding> = Vec::new();
    for binding in bindings.iter().filter(|binding| binding.script_name.is_none()) {
        let is_named = missing.iter().any(|named| named.class_name == binding.class_name);
        if !is_declared(&binding.class_name) && !is_named {
            missing.push(binding);
        }
    }
    if missing.is_empty() {
        return;
    }
    let names: Vec<&str> = missing.iter().map(|binding| binding.class_name.as_str()).collect();
    let subject = if names.len() == 1 { "the Durable Object class" } else { "the Durable Object classes" };
    let mut problem = Problem::warning(format!("no migration declares {subject} `{}`", names.join("`, `")));
    let places: Vec<_> = missing.iter().filter_map(|binding| binding.place.clone()).collect();
    if let Some((first, others)) = places.split_first() {
        problem = others.iter().fold(problem.at(first.clone()), |problem, place| problem.also_at(place.clone()));
    }
    problems.push(problem.with_hint(lines_to_add(document, &names)));
}

fn lines_to_add(document: &Document, names: &[&str]) -> String {
    let migrations = document.root.get("migrations").and_then(Node::items).unwrap_or_default().len();
    let tag = format!("v{}", migrations + 1);
    let list = format!("[\"{}\"]", names.join("\", \""));
    if document.is_toml() {
        return format!("add\n    [[migrations]]\n    tag = \"{tag}\"\n    new_sqlite_classes = {list}");
    }
    let migration = format!("{{ \"tag\": \"{tag}\", \"new_sqlite_classes\": {list} }}");
    match migrations {
        0 => format!("add `\"migrations\": [{migration}]`"),
        _ => format!("add `{migration}` to `migrations`"),
    }
}
