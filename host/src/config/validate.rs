//! Checks the top level of a configuration and takes what is run from it.
//!
//! Texts of problems that wrangler also reports are wrangler's.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::keys::{self, Use};
use super::nearest::nearest;
use super::problem::{Place, Problem, Problems};
use super::raw::{Document, Entry, Node, Value};
use super::resolved::{BuildCommand, Var, WorkflowEntry};
use super::workflows;

/// What a configuration says, before it is decided what is built.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) name: Option<String>,
    pub(super) main: Option<Main>,
    pub(super) build: Option<BuildCommand>,
    pub(super) vars: BTreeMap<String, Var>,
    pub(super) workflows: Vec<WorkflowEntry>,
    pub(super) cpu_ms: Option<NonZeroU32>,
    pub(super) unsupported: Vec<String>,
}

/// `main` as written.
#[derive(Debug)]
pub(super) struct Main {
    pub(super) path: String,
    pub(super) place: Place,
}

/// Takes everything from `document`, whose file is in the folder `root`, and reports everything that is wrong.
///
/// # Errors
///
/// When it is not an object, so that there is nothing to take.
pub(super) fn settings(document: &Document, root: &Path, problems: &mut Problems) -> Result<Settings, Problems> {
    let config = &document.root;
    let Some(entries) = config.entries() else {
        let message = format!("the configuration should be an object but got {}", config.to_json());
        let problem = Problem::error(message).at(document.place(config.offset));
        return Err(problem.with_hint("start with `{ \"name\": \"my-worker\" }`").into());
    };
    check_keys(document, entries, problems);
    if let Some(flags) = config.get("compatibility_flags") {
        tracing::debug!(flags = flags.to_json(), "compatibility flags change nothing here");
    }
    // A name that `vars` has twice is a binding with two values, which is reported as that.
    check_repeated_keys(document, config, Some("vars"), problems);
    let name = name(document, config, problems);
    let workflows = workflows::entries(document, name.as_deref(), problems);
    let settings = Settings {
        main: main(document, config, problems),
        build: build(document, root, problems),
        vars: vars(document, problems),
        workflows: workflows.entries,
        cpu_ms: cpu_ms(document, problems),
        unsupported: unsupported(entries, workflows.unsupported),
        name,
    };
    check_binding_names(document, problems);
    Ok(settings)
}

fn check_keys(document: &Document, entries: &[Entry], problems: &mut Problems) {
    for entry in entries {
        if keys::usage(&entry.key).is_none() {
            problems.push(unexpected_field(document, "top-level", entry, keys::known()));
        }
    }
}

/// Returns the warning that `entry` of `container` is not one of `known`.
pub(super) fn unexpected_field(
    document: &Document,
    container: &str,
    entry: &Entry,
    known: impl IntoIterator<Item = &'static str>,
) -> Problem {
    let problem = Problem::warning(format!("Unexpected fields found in {container} field: \"{}\"", entry.key))
        .at(document.place(entry.key_offset));
    match nearest(&entry.key, known) {
        Some(meant) => problem.with_hint(format!("did you mean `{meant}`?")),
        None => problem.with_hint("it is ignored"),
    }
}

/// Warns of keys that one object has twice, in `node` and below it, but not below `except`.
fn check_repeated_keys(document: &Document, node: &Node, except: Option<&str>, problems: &mut Problems) {
    for item in node.items().unwrap_or_default() {
        check_repeated_keys(document, item, None, problems);
    }
    let entries = node.entries().unwrap_or_default();
    for (index, entry) in entries.iter().enumerate() {
        if let Some(first) = entries[..index].iter().find(|earlier| earlier.key == entry.key) {
            problems.push(
                Problem::warning(format!("`{}` is written twice", entry.key))
                    .at(document.place(entry.key_offset))
                    .also_at(document.place(first.key_offset))
                    .with_hint("only the last one counts"),
            );
        }
        if except != Some(&entry.key) {
            check_repeated_keys(document, &entry.value, None, problems);
        }
    }
}

fn name(document: &Document, config: &Node, problems: &mut Problems) -> Option<String> {
    let node = config.get("name")?;
    let valid = node.text().filter(|name| is_worker_name(name));
    if valid.is_none() {
        problems.push(
            Problem::error(format!(
                "Expected \"name\" to be of type string, alphanumeric and lowercase with dashes only but got {}.",
                node.to_json()
            ))
            .at(document.place(node.offset))
            .with_hint("for example `my-worker`"),
        );
    }
    valid.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// As wrangler has it: an empty name is none, and underscores are fine.
fn is_worker_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    !name.starts_with('-') && name.bytes().all(allowed)
}

fn main(document: &Document, config: &Node, problems: &mut Problems) -> Option<Main> {
    let (path, place) = string(document, config.get("main")?, "main", problems)?;
    (!path.is_empty()).then(|| Main { path: path.to_owned(), place })
}

/// Returns the text that `node` is; `field` is its name in messages.
fn string<'a>(document: &Document, node: &'a Node, field: &str, problems: &mut Problems) -> Option<(&'a str, Place)> {
    let place = document.place(node.offset);
    match node.text() {
        Some(text) => Some((text, place)),
        None => {
            problems.push(wrong_type(field, "string", node).at(place));
            None
        }
    }
}

fn wrong_type(field: &str, expected: &str, node: &Node) -> Problem {
    Problem::error(format!("Expected \"{field}\" to be of type {expected} but got {}.", node.to_json()))
        .with_hint(format!("write {} {expected}", if expected == "object" { "an" } else { "a" }))
}

fn build(document: &Document, root: &Path, problems: &mut Problems) -> Option<BuildCommand> {
    const FIELDS: [&str; 3] = ["command", "cwd", "watch_dir"];
    let build = document.root.get("build")?;
    let Some(entries) = build.entries() else {
        problems.push(wrong_type("build", "object", build).at(document.place(build.offset)));
        return None;
    };
    for entry in entries.iter().filter(|entry| !FIELDS.contains(&entry.key.as_str())) {
        problems.push(unexpected_field(document, "build", entry, FIELDS));
    }
    check_watch_dir(document, build, problems);
    let cwd = match build.get("cwd").and_then(|cwd| string(document, cwd, "build.cwd", problems)) {
        Some((cwd, place)) => {
            let cwd = root.join(cwd);
            if !cwd.is_dir() {
                problems.push(
                    Problem::error(format!("`build.cwd` is not a folder: `{}`", cwd.display()))
                        .at(place)
                        .with_hint("it is relative to the folder of the configuration"),
                );
            }
            cwd
        }
        None => root.to_owned(),
    };
    let (command, _) = string(document, build.get("command")?, "build.command", problems)?;
    // What cannot be made absolute does not exist, which starting the command says better.
    let cwd = std::path::absolute(&cwd).unwrap_or(cwd);
    (!command.trim().is_empty()).then(|| BuildCommand { command: command.to_owned(), cwd })
}

fn check_watch_dir(document: &Document, build: &Node, problems: &mut Problems) {
    let Some(watch_dir) = build.get("watch_dir") else { return };
    match watch_dir.items() {
        Some(folders) => {
            for (index, folder) in folders.iter().enumerate() {
                string(document, folder, &format!("build.watch_dir.[{index}]"), problems);
            }
        }
        None => {
            string(document, watch_dir, "build.watch_dir", problems);
        }
    }
}

fn vars(document: &Document, problems: &mut Problems) -> BTreeMap<String, Var> {
    let Some(vars) = document.root.get("vars") else { return BTreeMap::new() };
    let Some(entries) = vars.entries() else {
        problems.push(
            Problem::error(format!("The field \"vars\" should be an object but got {}.", vars.to_json()))
                .at(document.place(vars.offset))
                .with_hint("write each variable as a key with its value"),
        );
        return BTreeMap::new();
    };
    for entry in entries {
        if let Value::Date(date) = &entry.value.value {
            let name = &entry.key;
            problems.push(
                Problem::error(format!(
                    "The field \"vars.{name}\" is a TOML date, which is not supported. Please use a string instead, \
                     e.g. {name} = \"2025-12-19\"."
                ))
                .at(document.place(entry.value.offset))
                .with_hint(format!("write \"{date}\"")),
            );
        }
    }
    entries.iter().map(|entry| (entry.key.clone(), var(&entry.value))).collect()
}

fn var(node: &Node) -> Var {
    match &node.value {
        Value::String(text) => Var::Text(text.clone()),
        _ => Var::Json(node.to_json()),
    }
}

/// Takes `limits.cpu_ms`; the other limits are production's alone.
fn cpu_ms(document: &Document, problems: &mut Problems) -> Option<NonZeroU32> {
    const FIELDS: [&str; 2] = ["cpu_ms", "subrequests"];
    let limits = document.root.get("limits")?;
    let Some(entries) = limits.entries() else {
        problems.push(wrong_type("limits", "object", limits).at(document.place(limits.offset)));
        return None;
    };
    for entry in entries.iter().filter(|entry| !FIELDS.contains(&entry.key.as_str())) {
        problems.push(unexpected_field(document, "limits", entry, FIELDS));
    }
    let node = limits.get("cpu_ms")?;
    let count = node.positive_integer();
    if count.is_none() {
        let message = format!("\"limits.cpu_ms\" must be a positive integer but got {}.", node.to_json());
        let problem = Problem::error(message).at(document.place(node.offset));
        problems.push(problem.with_hint("write a whole number of milliseconds, for example 30000"));
    }
    workflows::limit(count?)
}

/// Reports every name that two bindings have.
fn check_binding_names(document: &Document, problems: &mut Problems) {
    const VARIABLE: &str = "Environment Variable";
    const WORKFLOW: &str = "Workflow";
    let mut uses: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for entry in document.root.get("vars").and_then(Node::entries).unwrap_or_default() {
        uses.entry(&entry.key).or_default().push((VARIABLE, entry.key_offset));
    }
    for workflow in document.root.get("workflows").and_then(Node::items).unwrap_or_default() {
        if let Some(binding) = workflow.get("binding")
            && let Some(name) = binding.text()
        {
            uses.entry(name).or_default().push((WORKFLOW, binding.offset));
        }
    }
    for (name, uses) in uses {
        let count = |wanted: &str| uses.iter().filter(|(kind, _)| *kind == wanted).count();
        let message = match (count(VARIABLE), count(WORKFLOW)) {
            (0, 1) | (1, 0) => continue,
            (0, _) => format!("{name} assigned to multiple {WORKFLOW} bindings."),
            (_, 0) => format!("{name} assigned to multiple {VARIABLE} bindings."),
            _ => format!("{name} assigned to {VARIABLE} and {WORKFLOW} bindings."),
        };
        let mut offsets: Vec<usize> = uses.iter().map(|(_, offset)| *offset).collect();
        offsets.sort_unstable();
        let (last, earlier) = offsets.split_last().expect("a name is only in the map with a use");
        let problem = Problem::error(message)
            .at(document.place(*last))
            .with_hint("Bindings must have unique names, so that they can all be referenced in the worker.");
        problems.push(earlier.iter().fold(problem, |problem, offset| problem.also_at(document.place(*offset))));
    }
}

/// Returns what is asked for and not run, in the order written. What is empty asks for nothing.
fn unsupported(entries: &[Entry], of_workflows: Vec<String>) -> Vec<String> {
    let not_run =
        entries.iter().filter(|entry| keys::usage(&entry.key) == Some(Use::NotRun) && !entry.value.is_empty());
    let mut names: Vec<String> = Vec::new();
    for entry in not_run {
        match entry.key.as_str() {
            "triggers" => {
                let kinds = ["crons", "events"];
                let present = kinds.iter().filter(|kind| entry.value.get(kind).is_some_and(|list| !list.is_empty()));
                names.extend(present.map(|kind| format!("triggers.{kind}")));
            }
            key => names.push(key.to_owned()),
        }
    }
    names.extend(of_workflows);
    names.dedup();
    names
}

/// Returns the folder that `file` is in, as a path that can be joined to.
pub(super) fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => file.to_owned(),
    }
}
