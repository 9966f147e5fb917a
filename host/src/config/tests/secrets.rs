//! Variables from files and from the command line.

use std::path::PathBuf;

use super::{Folder, PACKAGE};
use crate::config::{LoadOptions, Project, Var};

const VARS: &str = r#"{ "vars": { "A": "vars", "B": "vars" } }"#;

fn folder(config: &str, files: &[(&str, &str)]) -> Folder {
    let folder = Folder::with(&[("wrangler.jsonc", config), ("Cargo.toml", PACKAGE)]);
    for (name, text) in files {
        folder.write(name, text.as_bytes());
    }
    folder
}

/// The value of each variable, and the file of those that are secret.
fn values(project: &Project) -> Vec<String> {
    let shown = project.vars.iter().map(|(name, var)| match var {
        Var::Text(text) | Var::Json(text) => format!("{name}={text}"),
        Var::Secret(secret) => {
            let file = secret.file().file_name().expect("a file has a name").to_string_lossy();
            format!("{name}={} of {file}", secret.reveal())
        }
    });
    shown.collect()
}

fn check(config: &str, files: &[(&str, &str)], options: &LoadOptions, expected: &[&str]) {
    let folder = folder(config, files);
    match folder.load_with(options) {
        Ok(project) => assert_eq!(values(&project), expected, "{files:?}"),
        Err(problems) => panic!("should load:\n{problems}"),
    }
}

fn environment(name: &str) -> LoadOptions {
    LoadOptions { env: Some(name.to_owned()), ..LoadOptions::default() }
}

// rules: C9-9
#[test]
fn a_file_with_secrets_counts_more_than_the_configuration() {
    check(VARS, &[], &LoadOptions::default(), &["A=vars", "B=vars"]);
    check(
        VARS,
        &[(".dev.vars", "A=file\nC=file\n")],
        &LoadOptions::default(),
        &["A=file of .dev.vars", "B=vars", "C=file of .dev.vars"],
    );
}

// rules: C9-8
#[test]
fn dev_vars_of_an_environment_replace_the_others() {
    let files = [(".dev.vars", "C=all\nD=all"), (".dev.vars.e", "C=e"), (".env", "E=env")];
    let config = r#"{ "env": { "e": {}, "f": {} } }"#;
    check(config, &files, &LoadOptions::default(), &["C=all of .dev.vars", "D=all of .dev.vars"]);
    check(config, &files, &environment("e"), &["C=e of .dev.vars.e"]);
    check(config, &files, &environment("f"), &["C=all of .dev.vars", "D=all of .dev.vars"]);
}

// rules: C9-10
#[test]
fn env_files_are_merged_where_there_are_no_dev_vars() {
    let files = [
        (".env", "A=1\nB=1\nC=1\nD=1"),
        (".env.e", "B=2\nC=2\nD=2"),
        (".env.local", "C=3\nD=3"),
        (".env.e.local", "D=4"),
        (".env.f", "A=5"),
    ];
    let config = r#"{ "env": { "e": {} } }"#;
    check(
        config,
        &files,
        &environment("e"),
        &["A=1 of .env", "B=2 of .env.e", "C=3 of .env.local", "D=4 of .env.e.local"],
    );
    check(
        config,
        &files,
        &LoadOptions::default(),
        &["A=1 of .env", "B=1 of .env", "C=3 of .env.local", "D=3 of .env.local"],
    );
}

#[test]
fn references_are_replaced_in_env_files_only() {
    let text = "HOST=local\nURL=http://${HOST}:${PORT:-80}/$HOST";
    check(
        "{}",
        &[(".env", text)],
        &LoadOptions::default(),
        &["HOST=local of .env", "URL=http://local:80/local of .env"],
    );
    check(
        "{}",
        &[(".dev.vars", text)],
        &LoadOptions::default(),
        &["HOST=local of .dev.vars", "URL=http://${HOST}:${PORT:-80}/$HOST of .dev.vars"],
    );
}

#[test]
fn named_files_replace_the_usual_ones() {
    let files = [(".dev.vars", "A=usual"), (".env", "A=usual"), ("one", "A=one\nB=one"), ("sub/two", "B=two")];
    let options =
        LoadOptions { env_files: vec![PathBuf::from("one"), PathBuf::from("sub/two")], ..LoadOptions::default() };
    check("{}", &files, &options, &["A=one of one", "B=two of two"]);
    let options = LoadOptions { env_files: vec![PathBuf::from("none")], ..LoadOptions::default() };
    assert_eq!(
        folder("{}", &files).said_with(&options),
        "warning: `none` does not exist\n  hint: `--env-file` is relative to the folder of the configuration"
    );
}

#[test]
fn the_command_line_counts_most() {
    let vars = vec![("A".to_owned(), "flag".to_owned()), ("N".to_owned(), String::new())];
    let options = LoadOptions { vars, ..LoadOptions::default() };
    check(VARS, &[(".dev.vars", "A=file")], &options, &["A=flag", "B=vars", "N="]);
}

#[test]
fn without_a_configuration_there_are_secrets_too() {
    let folder = Folder::with(&[("Cargo.toml", PACKAGE), (".dev.vars", "A=1")]);
    assert_eq!(values(&folder.load().expect("it loads")), ["A=1 of .dev.vars"]);
}

// rules: C9-12
#[test]
fn only_the_secrets_that_are_named_are_taken() {
    let config = r#"{ "vars": { "A": "vars" }, "secrets": { "required": ["B"] } }"#;
    let files = [(".dev.vars", "A=file\nB=file\nC=file")];
    check(config, &files, &LoadOptions::default(), &["A=file of .dev.vars", "B=file of .dev.vars"]);
    check(r#"{ "secrets": { "required": [] } }"#, &files, &LoadOptions::default(), &[]);
    check(r#"{ "secrets": {} }"#, &[(".dev.vars", "A=file")], &LoadOptions::default(), &["A=file of .dev.vars"]);
}

// rules: C9-12
#[test]
fn secrets_that_are_missing_are_pointed_out() {
    let folder = folder(r#"{ "secrets": { "required": ["A", "B", "C"] } }"#, &[(".dev.vars", "B=1\n")]);
    assert_eq!(
        folder.said(),
        "warning: required secrets are not set: `A`, `C`\n  --> wrangler.jsonc:1:28\n  hint: write them to `.dev.vars`, each as `NAME=value`"
    );
}

#[test]
fn a_line_that_cannot_be_read_is_reported_without_what_it_says() {
    let folder = folder("{}", &[(".dev.vars", "A=1\n\nswordfish\nB='swordfish")]);
    let said = folder.said();
    assert_eq!(
        said,
        "error: this line has no `=` after its name\n  --> .dev.vars:3:1\n  \
         hint: write `NAME=value`; a comment begins with `#`\n\
         error: this value has no closing quote\n  --> .dev.vars:4:1\n  hint: end it with the quote it begins with"
    );
    assert!(folder.load().is_err());
}

// rules: C9-11
#[test]
fn a_secret_is_shown_nowhere() {
    let folder = folder("{}", &[(".dev.vars", "TOKEN=swordfish\nmy-key=swordfish")]);
    let project = folder.load().expect("it loads");
    assert!(!format!("{project:?}").contains("swordfish"), "{project:?}");
    assert_eq!(
        folder.said(),
        "warning: `my-key` cannot be a secret in production\n  --> .dev.vars:2:1\n  \
         hint: use letters, digits and `_`, and do not begin with a digit: code says `env.NAME`"
    );
}

#[test]
fn every_file_that_matters_can_be_watched() {
    let names = |folder: &Folder, options: &LoadOptions| {
        let project = folder.load_with(options).expect("it loads");
        let names = project.watched_files.iter().map(|file| {
            assert!(file.is_absolute());
            file.strip_prefix(folder.path()).expect("it is in the folder").to_string_lossy().into_owned()
        });
        names.collect::<Vec<_>>()
    };
    let config = r#"{ "env": { "e": {} } }"#;
    let plain = folder(config, &[]);
    assert_eq!(
        names(&plain, &LoadOptions::default()),
        ["wrangler.jsonc", "Cargo.toml", ".dev.vars", ".env", ".env.local"]
    );
    assert_eq!(
        names(&plain, &environment("e")),
        ["wrangler.jsonc", "Cargo.toml", ".dev.vars.e", ".dev.vars", ".env", ".env.e", ".env.local", ".env.e.local"]
    );
    let with_secrets = folder(config, &[(".dev.vars", ""), (".env", "A=1")]);
    assert_eq!(names(&with_secrets, &LoadOptions::default()), ["wrangler.jsonc", "Cargo.toml", ".dev.vars"]);
    let named = LoadOptions { env_files: vec![PathBuf::from("x")], ..LoadOptions::default() };
    assert_eq!(names(&plain, &named), ["wrangler.jsonc", "Cargo.toml", "x"]);
    let bare = Folder::with(&[("Cargo.toml", PACKAGE)]);
    assert_eq!(
        names(&bare, &LoadOptions::default()),
        ["Cargo.toml", "wrangler.json", "wrangler.jsonc", "wrangler.toml", ".dev.vars", ".env", ".env.local"]
    );
}
