//! The variables of a Worker: of its configuration, of the files with secrets beside it, and of the command line.
//!
//! Later counts more: `vars` of the configuration; `.dev.vars.ENV` or else `.dev.vars`, or where there is neither `.env`, `.env.ENV`,
//! `.env.local` and `.env.ENV.local`, in this order; the command line. What comes from a file is a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dotenv::{self, Line};
use super::names::is_identifier;
use super::options::LoadOptions;
use super::problem::{Place, Problem, Problems};
use super::raw::{position, read_text};
use super::resolved::{Secret, Var};

/// The secrets that a configuration says there are.
#[derive(Debug)]
pub(super) struct Required {
    pub(super) names: Vec<String>,
    /// Where it says so.
    pub(super) place: Place,
}

/// What a Worker is given beside its bindings.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub(super) vars: BTreeMap<String, Var>,
    /// Every file that is read or would be if it existed.
    pub(super) files: Vec<PathBuf>,
}

/// Returns the variables of the Worker in `root`. `required` are the secrets that its configuration names, if it does so.
pub(super) fn variables(
    root: &Path,
    vars: BTreeMap<String, Var>,
    required: Option<&Required>,
    options: &LoadOptions,
    problems: &mut Problems,
) -> Variables {
    let found = find(root, options, problems);
    let mut variables = Variables { vars, files: found.watched };
    for (name, secret) in found.secrets {
        // Of a configuration that names its secrets no other one is taken, except in the place of a variable.
        let is_wanted =
            required.is_none_or(|required| required.names.contains(&name)) || variables.vars.contains_key(&name);
        if is_wanted {
            variables.vars.insert(name, Var::Secret(secret));
        }
    }
    for (name, text) in &options.vars {
        variables.vars.insert(name.clone(), Var::Text(text.clone()));
    }
    if let Some(required) = required {
        let is_missing = |name: &&String| !variables.vars.contains_key(*name);
        let missing: Vec<&str> = required.names.iter().filter(is_missing).map(String::as_str).collect();
        if !missing.is_empty() {
            problems.push(
                Problem::warning(format!("required secrets are not set: `{}`", missing.join("`, `")))
                    .at(required.place.clone())
                    .with_hint(format!("write them to `{}`, each as `NAME=value`", root.join(".dev.vars").display())),
            );
        }
    }
    variables
}

/// The secrets of all files together.
#[derive(Default)]
struct Found {
    secrets: BTreeMap<String, Secret>,
    watched: Vec<PathBuf>,
}

fn find(root: &Path, options: &LoadOptions, problems: &mut Problems) -> Found {
    let mut found = Found::default();
    if !options.env_files.is_empty() {
        let files: Vec<PathBuf> = options.env_files.iter().map(|file| root.join(file)).collect();
        for file in files.iter().filter(|file| !file.is_file()) {
            problems.push(
                Problem::warning(format!("`{}` does not exist", file.display()))
                    .with_hint("`--env-file` is relative to the folder of the configuration"),
            );
        }
        found.read_expanded(&files, problems);
        return found;
    }
    let environment = options.environment();
    let of_environment = environment.map(|name| root.join(format!(".dev.vars.{name}")));
    for file in of_environment.into_iter().chain([root.join(".dev.vars")]) {
        found.watched.push(file.clone());
        if file.is_file() {
            let lines = read(&file, problems);
            found.secrets = lines.into_iter().map(|line| (line.name, Secret::new(line.value, &file))).collect();
            return found;
        }
    }
    let mut names = vec![".env".to_owned()];
    names.extend(environment.map(|name| format!(".env.{name}")));
    names.push(".env.local".to_owned());
    names.extend(environment.map(|name| format!(".env.{name}.local")));
    let files: Vec<PathBuf> = names.into_iter().map(|name| root.join(name)).collect();
    found.read_expanded(&files, problems);
    found
}

impl Found {
    /// Reads `files`, later ones before earlier ones, and replaces references from one variable to another.
    fn read_expanded(&mut self, files: &[PathBuf], problems: &mut Problems) {
        let mut raw: BTreeMap<String, (String, &Path)> = BTreeMap::new();
        for file in files {
            self.watched.push(file.clone());
            if file.is_file() {
                let lines = read(file, problems).into_iter();
                raw.extend(lines.map(|line| (line.name, (line.value, file.as_path()))));
            }
        }
        let known: BTreeMap<&str, &str> =
            raw.iter().map(|(name, (value, _))| (name.as_str(), value.as_str())).collect();
        self.secrets = raw
            .iter()
            .map(|(name, (value, file))| (name.clone(), Secret::new(dotenv::expand(value, &known), file)))
            .collect();
    }
}

/// Reads the variables of `file`; of two of one name the last one counts.
fn read(file: &Path, problems: &mut Problems) -> Vec<Line> {
    let text = match read_text(file) {
        Ok(text) => text,
        Err(unreadable) => {
            problems.extend(unreadable);
            return Vec::new();
        }
    };
    let place = |offset| Place { file: file.to_owned(), position: Some(position(&text, offset)) };
    let (lines, broken) = dotenv::parse(&text);
    for line in broken {
        problems.push(Problem::error(line.message).at(place(line.offset)).with_hint(line.hint));
    }
    for line in lines.iter().filter(|line| !is_identifier(&line.name)) {
        problems.push(
            Problem::warning(format!("`{}` cannot be a secret in production", line.name))
                .at(place(line.offset))
                .with_hint("use letters, digits and `_`, and do not begin with a digit: code says `env.NAME`"),
        );
    }
    lines
}
