//! Checks the top level of a configuration and takes what is run from it.
//!
//! Texts of problems that wrangler also reports are wrangler's.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use miniflow_runtime::Cron;

use super::fields::{self, check_keys, string, unexpected_field, wrong_type};
use super::problem::{Place, Problem, Problems};
use super::queues::{self, Queues};
use super::raw::{Document, Node, Value};
use super::resolved::{
    BuildCommand, DevSettings, DurableObjectBinding, DurableObjectClass, KvBinding, ServiceBinding, Var, WorkflowEntry,
};
use super::secrets::Required;
use super::{dev, exports, keys, names, objects, stores, triggers, workflows};

/// What a configuration says, before it is decided what is built.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) name: Option<String>,
    pub(super) main: Option<Main>,
    pub(super) build: Option<BuildCommand>,
    pub(super) vars: BTreeMap<String, Var>,
    pub(super) workflows: Vec<WorkflowEntry>,
    pub(super) crons: Vec<Cron>,
    pub(super) crons_place: Option<Place>,
    pub(super) queues: Queues,
    pub(super) durable_objects: Vec<DurableObjectBinding>,
    pub(super) durable_object_classes: Vec<DurableObjectClass>,
    pub(super) kv_namespaces: Vec<KvBinding>,
    pub(super) services: Vec<ServiceBinding>,
    /// None if the configuration does not say which secrets there are.
    pub(super) secrets_required: Option<Required>,
    pub(super) dev: DevSettings,
    pub(super) cpu_ms: Option<NonZeroU32>,
    pub(super) unsupported: Vec<String>,
    pub(super) without_effect: Vec<String>,
}

/// `main` as written.
#[derive(Debug)]
pub(super) struct Main {
    pub(super) path: String,
    pub(super) place: Place,
}

/// Checks the keys of `document` as it is written, for all environments.
///
/// # Errors
///
/// When it is not an object, so that there is nothing to take.
pub(super) fn check_written(document: &Document, problems: &mut Problems) -> Result<(), Problems> {
    let config = &document.root;
    let Some(entries) = config.entries() else {
        let message = format!("the configuration should be an object but got {}", config.to_json());
        let problem = Problem::error(message).at(document.place(config.offset));
        return Err(problem.with_hint("start with `{ \"name\": \"my-worker\" }`").into());
    };
    for entry in entries.iter().filter(|entry| keys::scope(&entry.key).is_none()) {
        problems.push(unexpected_field(document, "top-level", entry, keys::known()));
    }
    // A name that `vars` has twice is a binding with two values, which is reported as that.
    check_repeated_keys(document, config, Some("vars"), problems);
    Ok(())
}

/// Takes everything from `document`, whose file is in the folder `root`, and reports everything that is wrong.
pub(super) fn settings(document: &Document, root: &Path, problems: &mut Problems) -> Settings {
    let config = &document.root;
    let name = name(document, config, problems).map(|name| document.full_name(&name));
    let mut workflows = workflows::entries(document, name.as_deref(), problems);
    workflows::add_exported(document, &mut workflows, problems);
    let durable_objects = objects::bindings(document, name.as_deref(), problems);
    let mut classes = objects::migrated(document, problems);
    classes.extend(exports::durable_objects(document, problems));
    objects::check_declared(document, &durable_objects, &classes, problems);
    let settings = Settings {
        main: main(document, config, problems),
        build: build(document, root, problems),
        vars: vars(document, problems),
        workflows,
        crons: triggers::crons(document, problems),
        crons_place: triggers::first_cron(document),
        queues: queues::queues(document, problems),
        durable_objects,
        durable_object_classes: classes,
        kv_namespaces: stores::kv_namespaces(document, problems),
        services: stores::services(document, problems),
        secrets_required: secrets_required(document, problems),
        dev: dev::settings(document, problems),
        cpu_ms: cpu_ms(document, problems),
        unsupported: keys::not_run(config),
        without_effect: keys::without_effect(config),
        name,
    };
    names::check(document, problems);
    settings
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

fn build(document: &Document, root: &Path, problems: &mut Problems) -> Option<BuildCommand> {
    const FIELDS: [&str; 3] = ["command", "cwd", "watch_dir"];
    let build = document.root.get("build")?;
    if build.entries().is_none() {
        problems.push(wrong_type("build", "object", build).at(document.place(build.offset)));
        return None;
    }
    check_keys(document, build, "build", &FIELDS, problems);
    let watched = watch_dirs(document, build, problems);
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
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let cwd = absolute(cwd);
    let watch_dirs = match watched {
        None => vec![cwd.clone()],
        Some(folders) => folders.into_iter().map(|folder| absolute(root.join(folder))).collect(),
    };
    (!command.trim().is_empty()).then(|| BuildCommand { command: command.to_owned(), cwd, watch_dirs })
}

/// Takes `build.watch_dir`, a folder or a list of them.
fn watch_dirs<'a>(document: &Document, build: &'a Node, problems: &mut Problems) -> Option<Vec<&'a str>> {
    const FIELD: &str = "build.watch_dir";
    let node = build.get("watch_dir")?;
    let Some(folders) = node.items() else {
        return string(document, node, FIELD, problems).map(|(folder, _)| vec![folder]);
    };
    let folders = folders.iter().enumerate();
    let texts = folders.filter_map(|(index, node)| string(document, node, &format!("{FIELD}.[{index}]"), problems));
    Some(texts.map(|(folder, _)| folder).collect())
}

fn vars(document: &Document, problems: &mut Problems) -> BTreeMap<String, Var> {
    let Some(vars) = document.root.get("vars") else { return BTreeMap::new() };
    let field = document.field("vars");
    let Some(entries) = vars.entries() else {
        problems.push(
            Problem::error(format!("The field \"{field}\" should be an object but got {}.", vars.to_json()))
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
                    "The field \"{field}.{name}\" is a TOML date, which is not supported. Please use a string instead, \
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
    if limits.entries().is_none() {
        problems.push(wrong_type("limits", "object", limits).at(document.place(limits.offset)));
        return None;
    }
    check_keys(document, limits, "limits", &FIELDS, problems);
    let node = limits.get("cpu_ms")?;
    let count = node.positive_integer();
    if count.is_none() {
        let message = format!("\"limits.cpu_ms\" must be a positive integer but got {}.", node.to_json());
        let problem = Problem::error(message).at(document.place(node.offset));
        problems.push(problem.with_hint("write a whole number of milliseconds, for example 30000"));
    }
    workflows::limit(count?)
}

/// Takes `secrets.required`.
fn secrets_required(document: &Document, problems: &mut Problems) -> Option<Required> {
    let field = document.field("secrets");
    let secrets = fields::object(document, document.root.get("secrets")?, &field, problems)?;
    check_keys(document, secrets, &field, &["required"], problems);
    let required = secrets.get("required")?;
    let names = fields::strings(document, required, &format!("{field}.required"), problems);
    let names = names.into_iter().map(|(_, name)| name.to_owned()).collect();
    Some(Required { names, place: document.place(required.offset) })
}

/// Returns the folder that `file` is in, as a path that can be joined to.
pub(super) fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => file.to_owned(),
    }
}
