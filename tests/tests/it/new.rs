//! A new project: made, formatted, built, served, and asked what its README asks it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use insta::assert_snapshot;
use miniflow_tests::{Dev, program, repository};

use crate::readme;

/// The first build compiles the SDK from where it was unpacked.
const BUILT_WITHIN: Duration = Duration::from_secs(600);

/// Where the tests keep what is to be found again by the next run: the caches, and projects whose dependencies are compiled.
fn kept(name: &str) -> PathBuf {
    program().with_file_name(name)
}

/// Artifacts go where those of the other Workers are: what they depend on is compiled once.
fn target() -> PathBuf {
    repository().join("target")
}

/// `miniflow` with `arguments`, as a newcomer has it.
fn miniflow(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    let is_ours = |name: &str| name.starts_with("MINIFLOW_") || name == "CLOUDFLARE_ENV";
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("MINIFLOW_CACHE_DIR", kept("miniflow-tests-cache"))
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command printed, if all is well and nothing was said beside it.
#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command said, if it failed and printed nothing.
#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{}", text(&output.stderr));
    text(&output.stderr)
}

/// Makes a project in a folder of its own, always the same one.
#[track_caller]
fn made(template: &str) -> PathBuf {
    let folder = kept("miniflow-tests-new");
    let name = format!("first-{template}");
    std::fs::create_dir_all(&folder).unwrap();
    let project = folder.join(&name);
    if project.exists() {
        std::fs::remove_dir_all(&project).unwrap();
    }
    let said = printed(&miniflow(&folder, &["new", &name, "--template", template]).output().unwrap());
    assert!(said.starts_with(&format!("`{name}` begins with the template `{template}`")), "{said}");
    project
}

/// The project is built by `build`, served by `dev`, and answers as its README says.
#[track_caller]
fn is_served_at_once(template: &str) {
    let project = made(template);
    let built = miniflow(&project, &["build"]).output().unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    let component = PathBuf::from(text(&built.stdout).trim_end());
    assert!(component.ends_with(format!("first_{template}.wasm")) && component.is_file(), "{}", component.display());

    let dev = Dev::path(&project).env("CARGO_TARGET_DIR", target());
    let server = dev.start_within(BUILT_WITHIN);
    assert_eq!(server.lines_with("warning"), [""; 0], "a new project is without fault");
    readme::run(&server, &project.join("README.md"), "miniflow dev");
}

#[test]
fn hello_is_served_at_once() {
    is_served_at_once("hello");
}

#[test]
fn workflow_is_served_at_once() {
    is_served_at_once("workflow");
}

#[test]
fn queue_is_served_at_once() {
    is_served_at_once("queue");
}

#[test]
fn cron_is_served_at_once() {
    is_served_at_once("cron");
}

#[test]
fn every_project_is_formatted_and_depends_on_what_was_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    for template in ["hello", "workflow", "queue", "cron"] {
        printed(
            &miniflow(folder.path(), &["new", template, "--template", template, "--name", "shop"]).output().unwrap(),
        );
        let project = folder.path().join(template);
        let formatted = Command::new("cargo").args(["fmt", "--check"]).current_dir(&project).output().unwrap();
        assert!(formatted.status.success(), "{template}: {}{}", text(&formatted.stdout), text(&formatted.stderr));
        for file in
            [".gitignore", "Cargo.lock", "Cargo.toml", "README.md", "src/lib.rs", "tests/worker.rs", "wrangler.jsonc"]
        {
            let contents =
                std::fs::read_to_string(project.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(!contents.contains("new-") && !contents.contains("../"), "{template}/{file} is a template still");
        }
        // With the versions that this was tested with, and nothing to ask the network for; tests and all.
        let tree = Command::new("cargo")
            .args(["tree", "--offline", "--edges", "normal,dev", "--depth", "1", "--prefix", "none"])
            .current_dir(&project)
            .output()
            .unwrap();
        assert!(tree.status.success(), "{template}: {}", text(&tree.stderr));
        let sources = kept("miniflow-tests-cache").join("sources").join(env!("CARGO_PKG_VERSION"));
        for (package, below) in [("miniflow-sdk", "guest-sdk"), ("miniflow-test", "host/test-kit")] {
            let line = format!("{package} v{} ({})", env!("CARGO_PKG_VERSION"), sources.join(below).display());
            assert!(
                text(&tree.stdout).lines().any(|found| found == line),
                "{line} is missing in\n{}",
                text(&tree.stdout)
            );
        }
    }
}

#[test]
fn it_is_said_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    assert_snapshot!(printed(&miniflow(folder.path(), &["new", "shop"]).output().unwrap()), @r"
    `shop` begins with the template `hello`; its README says what to ask it

      cd shop
      miniflow dev      serves it, and builds it again whenever a file is saved
      cargo test        tests it; the first time compiles an engine, which takes minutes
    ");
    std::fs::create_dir_all(folder.path().join("here/.git")).unwrap();
    let here = folder.path().join("here");
    assert_snapshot!(printed(&miniflow(&here, &["new", ".", "-t", "workflow"]).output().unwrap()), @r"
    `here` begins with the template `workflow`; its README says what to ask it

      miniflow dev      serves it, and builds it again whenever a file is saved
      cargo test        tests it; the first time compiles an engine, which takes minutes
    ");
    assert!(std::fs::read_to_string(here.join("wrangler.jsonc")).unwrap().contains("\"name\": \"here\""));
}

#[test]
fn what_is_there_is_left_alone_and_names_have_to_be_right() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/notes.txt"), "mine").unwrap();
    let said = |arguments: &[&str]| {
        let output = miniflow(folder.path(), &[&["new"], arguments].concat()).output().unwrap();
        refused(&output).replace(&folder.path().display().to_string(), "FOLDER")
    };
    assert_snapshot!(said(&["full"]), @r"
    error: there is something in `FOLDER/full` already
      hint: name a folder that is empty, or is not there yet
    ");
    assert_snapshot!(said(&["full/notes.txt", "--name", "notes"]), @r"
    error: `FOLDER/full/notes.txt` is not a folder
      hint: name a folder that is empty, or is not there yet
    ");
    assert_snapshot!(said(&["My Shop"]), @r"
    error: a Worker cannot be called `My Shop`: a name has only lower-case letters, digits and dashes
      hint: name the folder `my-shop`, or pass `--name my-shop`
    ");
    assert_snapshot!(said(&["shop", "--name", "test"]), @r"
    error: a Worker cannot be called `test`: Rust has something else of that name
      hint: pass `--name my-test`
    ");
    assert_snapshot!(said(&["購物"]), @r"
    error: a Worker cannot be called `購物`: a name has only lower-case letters, digits and dashes
      hint: pass one with `--name`, such as `--name my-worker`
    ");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["full"]);
    assert_eq!(std::fs::read_dir(folder.path().join("full")).unwrap().count(), 1);
    let unknown = miniflow(folder.path(), &["new", "shop", "--template", "workflw"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("a similar value exists: 'workflow'"), "{}", text(&unknown.stderr));
}

#[test]
fn what_cannot_be_built_is_an_error_and_prints_no_component() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), "pub fn broken() -> u32 { \"no\" }\n").unwrap();
    let manifest = "[package]\nname = \"broken-build\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n";
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    let said = refused(&miniflow(folder.path(), &["build"]).output().unwrap());
    assert!(said.contains("mismatched types") && said.contains("error: cargo could not build"), "{said}");
    assert!(said.contains("hint: see what the compiler says above; the target is wasm32-wasip2"), "{said}");
    let nowhere = miniflow(folder.path(), &["build", "nowhere"]).output().unwrap();
    assert!(refused(&nowhere).contains("`nowhere`"));
    assert_eq!(miniflow(folder.path(), &["build", "--port", "1"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn what_is_built_already_is_named_without_a_build() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("worker.wasm"), "").unwrap();
    std::fs::write(folder.path().join("wrangler.jsonc"), r#"{ "name": "w", "main": "worker.wasm" }"#).unwrap();
    let component = printed(&miniflow(folder.path(), &["build"]).output().unwrap());
    assert_eq!(Path::new(component.trim_end()).file_name().unwrap(), "worker.wasm");
    assert!(Path::new(component.trim_end()).is_file());
}
