//! Checks `triggers` of a configuration, with wrangler's words.

use miniflow_runtime::Cron;

use super::crons;
use super::fields::{check_keys, wrong_type};
use super::problem::{Place, Problem, Problems};
use super::raw::{Document, Node};

/// Where events can come from.
const EVENT_TYPES: [&str; 9] = [
    "cf.artifacts.repo.created",
    "cf.artifacts.repo.deleted",
    "cf.artifacts.repo.forked",
    "cf.artifacts.repo.imported",
    "cf.artifacts.repo.pushed",
    "cf.artifacts.repo.cloned",
    "cf.artifacts.repo.fetched",
    "cf.artifacts.repo.token.created",
    "cf.artifacts.repo.token.revoked",
];

/// Takes the cron triggers from `document`.
pub(super) fn crons(document: &Document, problems: &mut Problems) -> Vec<Cron> {
    let Some(triggers) = document.root.get("triggers") else { return Vec::new() };
    if triggers.entries().is_none() {
        problems.push(wrong_type("triggers", "object", triggers).at(document.place(triggers.offset)));
        return Vec::new();
    }
    check_keys(document, triggers, "triggers", &["crons", "events"], problems);
    if let Some(events) = list(document, triggers, "events", problems) {
        for (index, event) in events.iter().enumerate() {
            Event { document, event, field: format!("triggers.events[{index}]"), problems }.check();
        }
    }
    let mut found = Vec::new();
    for (index, node) in list(document, triggers, "crons", problems).unwrap_or_default().iter().enumerate() {
        let field = format!("triggers.crons[{index}]");
        if node.text().is_some() {
            found.extend(crons::read(document, node, &field, problems));
        } else {
            let problem = Problem::error(expected(&field, "of type string", node)).at(document.place(node.offset));
            problems.push(problem.with_hint("for example `\"0 9 * * MON-FRI\"`"));
        }
    }
    found
}

/// Returns the place of the first cron trigger of `document`.
pub(super) fn first_cron(document: &Document) -> Option<Place> {
    let first = document.root.get("triggers")?.get("crons")?.items()?.first()?;
    Some(document.place(first.offset))
}

/// Returns the list under `key` of `triggers`.
fn list<'a>(document: &Document, triggers: &'a Node, key: &str, problems: &mut Problems) -> Option<&'a [Node]> {
    let node = triggers.get(key)?;
    if node.items().is_none() {
        let message = expected(&format!("triggers.{key}"), "of type array", triggers);
        problems.push(Problem::error(message).at(document.place(node.offset)).with_hint("write a list, even of one"));
    }
    node.items()
}

fn expected(field: &str, what: &str, node: &Node) -> String {
    format!("Expected \"{field}\" to be {what}, but got {}.", node.to_json())
}

/// One entry of `triggers.events`, which is checked although nothing fires it.
struct Event<'a> {
    document: &'a Document,
    event: &'a Node,
    field: String,
    problems: &'a mut Problems,
}

impl Event<'_> {
    fn check(mut self) {
        if self.event.entries().is_none() {
            self.wrong(self.event, "", "of type object", self.event);
            return;
        }
        let missing = Node { offset: self.event.offset, value: super::raw::Value::Null };
        let kind = self.event.get("type").unwrap_or(&missing);
        if !kind.text().is_some_and(|kind| EVENT_TYPES.contains(&kind)) {
            self.wrong(kind, ".type", "a supported Artifacts event type", kind);
        }
        if let Some(filter) = self.event.get("filter") {
            self.check_filter(filter);
        }
        let targets = self.event.get("targets").unwrap_or(&missing);
        match targets.items() {
            None | Some([]) => self.wrong(targets, ".targets", "a non-empty array", targets),
            Some(items) => items.iter().enumerate().for_each(|(index, target)| self.check_target(index, target)),
        }
        check_keys(self.document, self.event, &self.field, &["type", "filter", "targets"], self.problems);
    }

    fn check_filter(&mut self, filter: &Node) {
        let Some(entries) = filter.entries() else {
            self.wrong(filter, ".filter", "of type object", filter);
            return;
        };
        let is_known = |key: &str| key == "namespace" || key == "repo_name";
        if entries.iter().any(|entry| !is_known(&entry.key) || entry.value.text().is_none()) {
            let message = format!(
                "Expected \"{}.filter\" to contain only string \"namespace\" and \"repo_name\" fields, but got {}.",
                self.field,
                filter.to_json()
            );
            self.report(filter, message);
        }
    }

    fn check_target(&mut self, index: usize, target: &Node) {
        let text = |key: &str| target.get(key).and_then(Node::text).unwrap_or_default();
        let suffix = format!(".targets[{index}]");
        if text("type") != "workflow" || text("workflow_name").is_empty() {
            self.wrong(target, &suffix, "a workflow target with a non-empty \"workflow_name\"", target);
            return;
        }
        let field = format!("{}{suffix}", self.field);
        check_keys(self.document, target, &field, &["type", "workflow_name"], self.problems);
    }

    fn wrong(&mut self, node: &Node, suffix: &str, what: &str, got: &Node) {
        let message = expected(&format!("{}{suffix}", self.field), what, got);
        self.report(node, message);
    }

    fn report(&mut self, node: &Node, message: String) {
        let problem = Problem::error(message).at(self.document.place(node.offset));
        self.problems.push(problem.with_hint("nothing fires event triggers here: they can be left out"));
    }
}
