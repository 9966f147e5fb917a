//! Finds what PATH means and loads it.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::problem::{Problem, Problems};
use super::raw::{Document, Parser, unreadable};
use super::resolved::{Project, Source};
use super::source::{self, absolute, extension};
use super::validate::{self, folder};
use super::{jsonc, manifest, toml};

/// In the order in which wrangler looks for them.
const CONFIG_NAMES: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

const PATH_HINT: &str = "PATH is a folder with a `wrangler.jsonc` (or `.json`, `.toml`) or a `Cargo.toml`, one of these \
                         files, or a `.wasm` file";

/// Loads what `path` means: a folder with a configuration or a `Cargo.toml`, one of these files, or a `.wasm` file.
///
/// # Errors
///
/// When anything found is an error: all of them, and everything else there is to point out.
pub fn load(path: &Path) -> Result<Project, Problems> {
    let mut problems = Problems::default();
    match load_into(&plain(path), &mut problems) {
        Ok(project) if !problems.has_errors() => Ok(Project { warnings: problems, ..project }),
        Ok(_) => Err(problems),
        Err(last) => {
            problems.extend(last);
            Err(problems)
        }
    }
}

/// Returns the project, or what makes it impossible to go on. What does not is added to `problems`.
fn load_into(path: &Path, problems: &mut Problems) -> Result<Project, Problems> {
    match find(path, problems)? {
        Found::Config(file) => of_config(&file, problems),
        Found::Manifest(file) => {
            let name = manifest::package_name(&file)?;
            bare(name, &file, |manifest| Source::Crate { manifest })
        }
        Found::Wasm(file) => bare(stem(&file), &file, Source::Wasm),
    }
}

/// Returns `path` without what does not matter, such as the `.` of `./worker`; the current folder is `.`.
fn plain(path: &Path) -> PathBuf {
    let plain: PathBuf = path.components().filter(|component| *component != Component::CurDir).collect();
    if plain.as_os_str().is_empty() { PathBuf::from(".") } else { plain }
}

enum Found {
    Config(PathBuf),
    Manifest(PathBuf),
    Wasm(PathBuf),
}

fn find(path: &Path, problems: &mut Problems) -> Result<Found, Problems> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => find_in(path, problems),
        Ok(_) if path.file_name() == Some(OsStr::new(manifest::FILE_NAME)) => Ok(Found::Manifest(path.to_owned())),
        Ok(_) => match extension(path).as_deref() {
            Some("wasm") => Ok(Found::Wasm(path.to_owned())),
            Some("json" | "jsonc" | "toml") => Ok(Found::Config(path.to_owned())),
            _ => Err(Problem::error(format!("`{shown}` cannot be run")).with_hint(PATH_HINT).into()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Problem::error(format!("`{shown}` does not exist")).with_hint(PATH_HINT).into())
        }
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn find_in(folder: &Path, problems: &mut Problems) -> Result<Found, Problems> {
    let present: Vec<&str> = CONFIG_NAMES.into_iter().filter(|name| folder.join(name).is_file()).collect();
    if let Some((first, others)) = present.split_first() {
        for other in others {
            problems.push(
                Problem::warning(format!("`{other}` is not read, because there is a `{first}`"))
                    .with_hint("remove one of them, or pass the file that is meant"),
            );
        }
        return Ok(Found::Config(in_folder(folder, first)));
    }
    if folder.join(manifest::FILE_NAME).is_file() {
        return Ok(Found::Manifest(in_folder(folder, manifest::FILE_NAME)));
    }
    let problem = Problem::error(format!("`{}` has no `wrangler.jsonc` and no `Cargo.toml`", folder.display()));
    Err(match project_above(folder) {
        Some(above) => problem.with_hint(format!("did you mean `{}`?", above.display())).into(),
        None => problem.with_hint(PATH_HINT).into(),
    })
}

/// Returns the path of `name` in `folder`, without a leading `./`.
fn in_folder(folder: &Path, name: &str) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

/// Returns the nearest folder above `folder` that can be run, for those who started in `src`.
fn project_above(folder: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(folder).ok()?;
    let has_project =
        |folder: &&Path| CONFIG_NAMES.iter().chain([&manifest::FILE_NAME]).any(|name| folder.join(name).is_file());
    absolute.ancestors().skip(1).find(has_project).map(Path::to_owned)
}

fn of_config(file: &Path, problems: &mut Problems) -> Result<Project, Problems> {
    let parse: Parser = if extension(file).as_deref() == Some("toml") { toml::parse } else { jsonc::parse };
    let document = Document::read(file, parse)?;
    let root = folder(file);
    let settings = validate::settings(&document, &root, problems)?;
    let build = source::decide(&document, &root, settings.main.as_ref(), settings.build)?;
    problems.extend(build.note);
    // Asked for even where the configuration has a name: a workspace without a package cannot be built.
    let default_name = match &build.source {
        Source::Crate { manifest } => manifest::package_name(manifest)?,
        Source::Wasm(file) => stem(file),
    };
    let name = settings.name.clone().unwrap_or(default_name);
    Ok(Project {
        config: Some(absolute(file)?),
        build: build.command,
        vars: settings.vars,
        cpu_ms: settings.cpu_ms,
        workflows: Some(settings.workflows),
        crons: settings.crons,
        queue_producers: settings.queues.producers,
        queue_consumers: settings.queues.consumers,
        durable_objects: settings.durable_objects,
        durable_object_classes: settings.durable_object_classes,
        kv_namespaces: settings.kv_namespaces,
        services: settings.services,
        secrets_required: settings.secrets_required,
        unsupported: settings.unsupported,
        ..Project::bare(name, &absolute(&root)?, build.source)
    })
}

/// Returns the project that is `file` without a configuration.
fn bare(name: String, file: &Path, source: impl FnOnce(PathBuf) -> Source) -> Result<Project, Problems> {
    Ok(Project::bare(name, &absolute(&folder(file))?, source(absolute(file)?)))
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}
