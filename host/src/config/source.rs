//! Decides what is built and run: the meaning of `main` and `build.command`.
//!
//! `main` is a `.wasm`, a `.rs` or a `Cargo.toml`, or is left out with a `Cargo.toml` beside the configuration. Projects
//! made for `worker-build` work unchanged: their command is replaced by our build, and the JavaScript shim it would make
//! stands for the `Cargo.toml` beside the configuration. Any other JavaScript is refused.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::manifest;
use super::problem::{Place, Problem, Problems};
use super::raw::Document;
use super::resolved::{BuildCommand, Source};
use super::validate::Main;

const SUPPORTED: &str = "miniflow runs Workers compiled to WebAssembly components: \
                         `main` can be a `.wasm` file, a `.rs` file or a `Cargo.toml`";

/// What `main` and `build.command` come to.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) source: Source,
    pub(super) command: Option<BuildCommand>,
    /// What the developer should know about it.
    pub(super) note: Option<Problem>,
}

/// Decides for the configuration `document` in the folder `root`.
///
/// # Errors
///
/// When `main` is not something that can be run, or is not there.
pub(super) fn decide(
    document: &Document,
    root: &Path,
    main: Option<&Main>,
    command: Option<BuildCommand>,
) -> Result<Build, Problems> {
    let (command, note) = match command.map(without_worker_build) {
        Some((command, note)) => (command, note),
        None => (None, None),
    };
    let manifest = root.join(manifest::FILE_NAME);
    let source = match main {
        Some(main) => of_main(root, main, command.is_some())?,
        // It is not a text, which has been reported.
        None if document.root.get("main").is_some_and(|main| main.text().is_none()) => return Err(Problems::default()),
        None if manifest.is_file() => crate_of(&manifest)?,
        None => {
            let problem = Problem::error("there is no `main`, and no `Cargo.toml` beside the configuration");
            return Err(problem.at(Place::file(document.file())).with_hint(SUPPORTED).into());
        }
    };
    Ok(Build { source, command, note })
}

fn of_main(root: &Path, main: &Main, is_made_by_command: bool) -> Result<Source, Problems> {
    let path = root.join(&main.path);
    let refused = |why: &str, hint: &str| {
        let problem = Problem::error(format!("`main` is `{}`, which {why}", main.path));
        Err(problem.at(main.place.clone()).with_hint(hint).into())
    };
    if path.file_name() == Some(OsStr::new(manifest::FILE_NAME)) {
        return if path.is_file() { crate_of(&path) } else { refused("does not exist", SUPPORTED) };
    }
    match extension(&path).as_deref() {
        Some("wasm") if path.is_file() || is_made_by_command => absolute(&path).map(Source::Wasm),
        Some("wasm") => refused("does not exist", "build it first, or let `build.command` do it"),
        Some("rs") if !path.is_file() => refused("does not exist", "it is relative to the folder of the configuration"),
        Some("rs") => match manifest::owning(&absolute(&path)?) {
            Some(manifest) => crate_of(&manifest),
            None => refused("is not part of a package", "put a `Cargo.toml` into the folder above `src`"),
        },
        Some("js" | "mjs") if is_in_build(&main.path) && root.join(manifest::FILE_NAME).is_file() => {
            crate_of(&root.join(manifest::FILE_NAME))
        }
        Some("js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" | "py") => {
            refused("is not WebAssembly", SUPPORTED)
        }
        _ if path.join(manifest::FILE_NAME).is_file() => {
            let manifest = format!("name the file: `{}/Cargo.toml`", main.path.trim_end_matches('/'));
            refused("is a folder", &manifest)
        }
        _ => refused("cannot be run", SUPPORTED),
    }
}

/// Returns whether `main` is what a build tool leaves in `build/`.
fn is_in_build(main: &str) -> bool {
    let mut components = Path::new(main).components().filter(|component| *component != Component::CurDir);
    components.next() == Some(Component::Normal(OsStr::new("build")))
}

/// Returns the extension of `path` in lower case.
pub(super) fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase())
}

fn crate_of(manifest: &Path) -> Result<Source, Problems> {
    absolute(manifest).map(|manifest| Source::Crate { manifest })
}

/// Returns `path` from the root of the file system on, links left as they are.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Problems> {
    std::path::absolute(path)
        .map_err(|error| Problem::error(format!("could not make `{}` absolute: {error}", path.display())).into())
}

/// Returns what is left of `build` without `worker-build`, and the note that it was replaced.
fn without_worker_build(build: BuildCommand) -> (Option<BuildCommand>, Option<Problem>) {
    if !has_worker_build(&build.command) {
        return (Some(build), None);
    }
    let note = Problem::note("`worker-build` of `build.command` is replaced by a build for wasm32-wasip2");
    // Inside of quotes `&&` is not ours to cut at.
    if build.command.contains(['"', '\'', '`', '(']) {
        return (None, Some(note));
    }
    let rest: Vec<&str> =
        build.command.split("&&").map(str::trim).filter(|part| !part.is_empty() && !has_worker_build(part)).collect();
    let rest = (!rest.is_empty()).then(|| BuildCommand { command: rest.join(" && "), ..build });
    (rest, Some(note))
}

fn has_worker_build(command: &str) -> bool {
    let is_separator = |character: char| character.is_whitespace() || "&|;()'\"`".contains(character);
    command.split(is_separator).any(|word| {
        let program = word.rsplit(['/', '\\']).next().unwrap_or(word);
        let name = program.split('@').next().unwrap_or(program);
        name == "worker-build" || name == "worker-build.exe"
    })
}
