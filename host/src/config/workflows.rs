//! Checks `workflows` of a configuration, with wrangler's words.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use miniflow_runtime::Cron;
use miniflow_runtime::engine::{duration, limits};
use miniflow_runtime::storage::Retention;

use super::crons;
use super::fields::{self, Fields};
use super::problem::{Problem, Problems};
use super::raw::{Document, Entry, Node, Value};
use super::resolved::WorkflowEntry;

const FIELDS: [&str; 9] = [
    "binding",
    "name",
    "class_name",
    "script_name",
    "limits",
    "concurrency",
    "schedules",
    "default_retention",
    "jurisdiction",
];

/// Takes the workflows from `document`, the configuration of the Worker `own_name`.
pub(super) fn entries(document: &Document, own_name: Option<&str>, problems: &mut Problems) -> Vec<WorkflowEntry> {
    let Some(workflows) = document.root.get("workflows") else { return Vec::new() };
    let mut entries = Vec::new();
    for (field, node) in fields::bindings(document, workflows, &document.field("workflows"), "workflows", problems) {
        entries.extend(Item(Fields::of_binding(document, node, field, problems)).entry(own_name));
    }
    check_names(document, workflows.items().unwrap_or_default(), problems);
    entries
}

/// Adds the workflows under `exports` of `document` to `entries`. One that is bound under its name is that one, and has the settings of both.
pub(super) fn add_exported(document: &Document, entries: &mut Vec<WorkflowEntry>, problems: &mut Problems) {
    let exports = document.root.get("exports").and_then(Node::entries).unwrap_or_default();
    let is_workflow = |entry: &&Entry| entry.value.get("type").and_then(Node::text) == Some("workflow");
    for entry in exports.iter().filter(is_workflow) {
        let fields = Fields::of(document, &entry.value, format!("exports.{}", entry.key), problems);
        let Some(exported) = Item(fields).exported(entry) else { continue };
        match entries.iter_mut().find(|known| known.name == exported.name) {
            None => entries.push(exported),
            Some(bound) if bound.script_name.is_none() && bound.class_name == exported.class_name => {
                bound.add(exported)
            }
            Some(other) => {
                let message = format!(
                    "the workflow `{}` is of class `{}` in `exports`, and of another one elsewhere",
                    exported.name, exported.class_name
                );
                let problem = Problem::error(message)
                    .at(document.place(entry.key_offset))
                    .with_hint("a workflow is found by its name: give each its own");
                problems.push(other.class_place.clone().into_iter().fold(problem, Problem::also_at));
            }
        }
    }
}

impl WorkflowEntry {
    /// Adds the settings that `other` has and this one has not.
    fn add(&mut self, other: Self) {
        self.step_limit = self.step_limit.or(other.step_limit);
        self.concurrency_limit = self.concurrency_limit.or(other.concurrency_limit);
        self.retention.success_ms = self.retention.success_ms.or(other.retention.success_ms);
        self.retention.error_ms = self.retention.error_ms.or(other.retention.error_ms);
        let new = other.schedules.into_iter().filter(|schedule| !self.schedules.contains(schedule));
        let new: Vec<Cron> = new.collect();
        self.schedules.extend(new);
    }
}

fn check_names(document: &Document, items: &[Node], problems: &mut Problems) {
    let mut uses: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for node in items.iter().filter_map(|item| item.get("name")) {
        if let Some(name) = node.text() {
            uses.entry(name).or_default().push(node.offset);
        }
    }
    let mut repeated: Vec<(&str, Vec<usize>)> = uses.into_iter().filter(|(_, offsets)| offsets.len() > 1).collect();
    if repeated.is_empty() {
        return;
    }
    repeated.sort_by_key(|(_, offsets)| offsets[0]);
    let names: Vec<&str> = repeated.iter().map(|(name, _)| *name).collect();
    let mut offsets: Vec<usize> = repeated.into_iter().flat_map(|(_, offsets)| offsets).collect();
    offsets.sort_unstable();
    let last = offsets.pop().unwrap_or_default();
    let problem = Problem::error(format!(
        "\"workflows\" bindings must have unique \"name\" values; duplicate(s) found: \"{}\"",
        names.join("\", \"")
    ))
    .at(document.place(last))
    .with_hint("a workflow is found by its name: give each its own");
    problems.push(offsets.into_iter().fold(problem, |problem, offset| problem.also_at(document.place(offset))));
}

/// One entry of the list, and where its problems go.
struct Item<'a>(Fields<'a>);

impl<'a> Item<'a> {
    /// Checks everything, and returns the entry if nothing it cannot do without is missing.
    fn entry(mut self, own_name: Option<&str>) -> Option<WorkflowEntry> {
        let binding = self.0.required("binding", purpose("binding"));
        let name = self.0.required("name", purpose("name"));
        if let Some((node, name)) = name {
            self.check_name(node, name);
        }
        let class_name = self.0.required("class_name", purpose("class_name"));
        let script_name = self.0.optional("script_name").map(|(_, script)| script);
        let external = script_name.filter(|script| Some(*script) != own_name);
        let schedules = self.schedules();
        let step_limit = self.step_limit();
        let concurrency_limit = self.concurrency_limit();
        let retention = self.default_retention();
        self.check_jurisdiction();
        self.0.check_keys(&FIELDS);
        let (_, name) = name?;
        if let Some(script) = external {
            self.check_external(name, script);
        }
        let (class_node, class_name) = class_name?;
        Some(WorkflowEntry {
            name: name.to_owned(),
            binding: Some(binding?.1.to_owned()),
            class_name: class_name.to_owned(),
            script_name: external.map(str::to_owned),
            step_limit,
            concurrency_limit,
            retention,
            schedules,
            class_place: Some(self.0.place(class_node)),
        })
    }

    /// As [`Self::entry`], of the class that is the key of `entry`, without a binding.
    fn exported(mut self, entry: &Entry) -> Option<WorkflowEntry> {
        let name = self.0.required("name", purpose("name"));
        if let Some((node, name)) = name {
            self.check_name(node, name);
        }
        let schedules = self.schedules();
        let step_limit = self.step_limit();
        let concurrency_limit = self.concurrency_limit();
        let retention = self.default_retention();
        self.check_jurisdiction();
        self.0.check_keys(&["type", "name", "limits", "concurrency", "schedules", "default_retention", "jurisdiction"]);
        Some(WorkflowEntry {
            name: name?.1.to_owned(),
            binding: None,
            class_name: entry.key.clone(),
            script_name: None,
            step_limit,
            concurrency_limit,
            retention,
            schedules,
            class_place: Some(self.0.document.place(entry.key_offset)),
        })
    }

    fn check_name(&mut self, node: &Node, name: &str) {
        if is_workflow_name(name) {
            return;
        }
        let message = format!(
            "\"{}\" binding \"name\" field is invalid. Workflow names must be 1-64 characters long, start with a \
             letter, number, or underscore, and may only contain letters, numbers, underscores, or hyphens.",
            self.0.field
        );
        self.0.error(node, message, "for example `my-workflow`");
    }

    fn schedules(&mut self) -> Vec<Cron> {
        const HINT: &str = "for example `\"0 9 * * MON-FRI\"`";
        let Some(node) = self.0.node.get("schedules") else { return Vec::new() };
        let message = |field: &str, rest: &str| format!("\"{field}\" bindings \"schedules\" field must not {rest}.");
        let items = match &node.value {
            Value::String(_) => std::slice::from_ref(node),
            _ => node.items().unwrap_or_default(),
        };
        let texts: Option<Vec<&str>> = match &node.value {
            Value::String(_) | Value::Array(_) => items.iter().map(Node::text).collect(),
            _ => None,
        };
        match (&node.value, texts) {
            (_, None) => self.0.not_optionally(node, "schedules", "a string or array of strings"),
            (Value::String(text), _) if text.is_empty() => {
                self.0.error(node, message(&self.0.field, "be an empty string"), HINT);
            }
            (_, Some(texts)) if texts.is_empty() => {
                self.0.error(node, message(&self.0.field, "be an empty array"), HINT);
            }
            (_, Some(texts)) if texts.iter().any(|text| text.is_empty()) => {
                self.0.error(node, message(&self.0.field, "contain empty strings"), HINT);
            }
            (_, Some(_)) => return self.read(node, items),
        }
        Vec::new()
    }

    /// Reads the expressions `items`, which are the texts of `node`.
    fn read(&mut self, node: &Node, items: &[Node]) -> Vec<Cron> {
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = if node.items().is_some() { format!("[{index}]") } else { String::new() };
            let field = format!("{}.schedules{place}", self.0.field);
            found.extend(crons::read(self.0.document, item, &field, self.0.problems));
        }
        found
    }

    fn step_limit(&mut self) -> Option<NonZeroU32> {
        let limits = self.0.object("limits", &["steps"])?;
        let steps = limits.get("steps")?;
        let count = self.positive_integer(steps, "limits.steps")?;
        if count > f64::from(limits::STEPS_MAX) {
            let message = format!(
                "\"{}\" has a step limit of {}, which exceeds the production maximum of 25,000. This configuration may \
                 not work when deployed.",
                self.0.field,
                steps.to_json()
            );
            self.0.problems.push(
                Problem::warning(message)
                    .at(self.0.document.place(steps.offset))
                    .with_hint("25,000 is the most that can be deployed"),
            );
        }
        limit(count)
    }

    fn concurrency_limit(&mut self) -> Option<NonZeroU32> {
        let concurrency = self.0.object("concurrency", &["limit"])?;
        let count = self.positive_integer(concurrency.get("limit")?, "concurrency.limit")?;
        limit(count)
    }

    /// How long finished instances are kept, as far as the configuration says it.
    fn default_retention(&mut self) -> Retention {
        let mut retention = Retention::default();
        let Some(object) = self.0.object("default_retention", &["success_retention", "error_retention"]) else {
            return retention;
        };
        for (key, ms) in
            [("success_retention", &mut retention.success_ms), ("error_retention", &mut retention.error_ms)]
        {
            let Some(node) = object.get(key) else { continue };
            let duration = match node.text() {
                Some(text) => duration::parse(text).ok(),
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive whole number")]
                None => node.positive_integer().map(|ms| ms as u64),
            };
            match duration {
                Some(length @ 1..=limits::RETENTION_MS_MAX) => *ms = Some(length),
                Some(1..) => {
                    let message = format!(
                        "\"{}\" bindings \"default_retention.{key}\" field must be at most 30 days, but got {}.",
                        self.0.field,
                        node.to_json()
                    );
                    self.0.error(node, message, "for example `\"30 days\"`");
                }
                _ => {
                    let message = format!(
                        "\"{}\" bindings \"default_retention.{key}\" field must be a positive integer of milliseconds or a \
                         duration string such as \"3 days\", but got {}.",
                        self.0.field,
                        node.to_json()
                    );
                    self.0.error(node, message, "for example `\"3 days\"`");
                }
            }
        }
        retention
    }

    fn check_jurisdiction(&mut self) {
        const KNOWN: [&str; 3] = ["eu", "fedramp", "us"];
        let Some(node) = self.0.node.get("jurisdiction") else { return };
        if node.text().is_some_and(|text| KNOWN.contains(&text)) {
            return;
        }
        let message = format!(
            "\"{}\" bindings \"jurisdiction\" field must be one of \"eu\", \"fedramp\", \"us\", but got {}.",
            self.0.field,
            node.to_json()
        );
        self.0.error(node, message, "nothing is restricted in a local run: it can be left out");
    }

    fn positive_integer(&mut self, node: &Node, key: &str) -> Option<f64> {
        let number = node.positive_integer();
        if number.is_none() {
            let message = format!(
                "\"{}\" bindings \"{key}\" field must be a positive integer but got {}.",
                self.0.field,
                node.to_json()
            );
            self.0.error(node, message, "write a whole number of at least 1");
        }
        number
    }

    /// Checks a workflow that the Worker `script` defines, not this one.
    fn check_external(&mut self, name: &str, script: &str) {
        for key in ["limits", "schedules", "default_retention"] {
            if let Some(node) = self.0.node.get(key) {
                let message = format!(
                    "Workflow \"{name}\" has \"{key}\" configured but references external script \"{script}\". Configure \
                     {key} on the worker that defines the workflow."
                );
                self.0.error(node, message, &format!("remove `{key}` here"));
            }
        }
    }
}

fn purpose(key: &str) -> &'static str {
    match key {
        "binding" => "the name under which the Worker finds the workflow, such as `MY_WORKFLOW`",
        "name" => "the name of the workflow, such as `my-workflow`",
        _ => "the class that the Worker exports, such as `MyWorkflow`",
    }
}

/// Returns whether a workflow may be called `name`.
pub(super) fn is_workflow_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(allowed)
}

/// Returns `count` as a limit; what is beyond all limits stays so.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, at least 1, and `as` saturates")]
pub(super) fn limit(count: f64) -> Option<NonZeroU32> {
    NonZeroU32::new(count as u32)
}
