//! Finds what PATH means and loads it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::options::LoadOptions;
use super::problem::{Problem, Problems};
use super::raw::{Document, Parser, unreadable};
use super::resolved::{Project, Source};
use super::source::{self, absolute, extension};
use super::validate::{self, folder};
use super::{environment, jsonc, manifest, secrets, toml};

/// In the order in which wrangler looks for them.
const CONFIG_NAMES: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

const PATH_HINT: &str = "PATH is a folder with a `wrangler.jsonc` (or `.json`, `.toml`) or a `Cargo.toml`, one of these \
                         files, or a `.wasm` file";

/// Loads what `path` means: a folder with a configuration or a `Cargo.toml`, one of these files, or a `.wasm` file.
///
/// # Errors
///
/// When anything found is an error: all of them, and everything else there is to point out.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Project, Problems> {
    let mut problems = Problems::default();
    match load_into(&plain(path), options, &mut problems) {
        Ok(project) if !problems.has_errors() => Ok(Project { warnings: problems, ..project }),
        Ok(_) => Err(problems),
        Err(last) => {
            problems.extend(last);
            Err(problems)
        }
    }
}

/// Returns the project, or what makes it impossible to go on. What does not is added to `problems`.
fn load_into(path: &Path, options: &LoadOptions, problems: &mut Problems) -> Result<Project, Problems> {
    let project = match find(path, problems)? {
        Found::Config(file) => of_config(&file, options, problems)?,
        Found::Manifest(file) => {
            let name = manifest::package_name(&file)?;
            bare(&name, &file, options, problems, |manifest| Source::Crate { manifest })?
        }
        Found::Wasm(file) => bare(&stem(&file), &file, options, problems, Source::Wasm)?,
    };
    Ok(project)
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

fn of_config(file: &Path, options: &LoadOptions, problems: &mut Problems) -> Result<Project, Problems> {
    let parse: Parser = if extension(file).as_deref() == Some("toml") { toml::parse } else { jsonc::parse };
    let document = Document::read(file, parse)?;
    validate::check_written(&document, problems)?;
    let document = environment::choose(document, options.environment(), problems);
    let root = folder(file);
    let settings = validate::settings(&document, &root, problems);
    // Before what may be wrong with the source: everything that is wrong is said at once.
    let variables = secrets::variables(&root, settings.vars, settings.secrets_required.as_ref(), options, problems);
    let build = source::decide(&document, &root, settings.main.as_ref(), settings.build)?;
    problems.extend(build.note);
    // Asked for even where the configuration has a name: a workspace without a package cannot be built.
    let default_name = match &build.source {
        Source::Crate { manifest } => manifest::package_name(manifest)?,
        Source::Wasm(file) => stem(file),
    };
    let name = settings.name.unwrap_or_else(|| document.full_name(&default_name));
    let mut watched_files = vec![absolute(file)?];
    watched_files.extend(manifest_of(&build.source));
    for file in &variables.files {
        watched_files.push(absolute(file)?);
    }
    Ok(Project {
        config: Some(absolute(file)?),
        build: build.command,
        vars: variables.vars,
        cpu_ms: settings.cpu_ms,
        workflows: Some(settings.workflows),
        crons: settings.crons,
        crons_place: settings.crons_place,
        queue_producers: settings.queues.producers,
        queue_consumers: settings.queues.consumers,
        durable_objects: settings.durable_objects,
        durable_object_classes: settings.durable_object_classes,
        kv_namespaces: settings.kv_namespaces,
        services: settings.services,
        secrets_required: settings.secrets_required.map(|required| required.names).unwrap_or_default(),
        dev: settings.dev,
        watched_files,
        unsupported: settings.unsupported,
        without_effect: settings.without_effect,
        ..Project::bare(name, &absolute(&root)?, build.source)
    })
}

/// Returns the project that is `file` without a configuration.
fn bare(
    name: &str,
    file: &Path,
    options: &LoadOptions,
    problems: &mut Problems,
    source: impl FnOnce(PathBuf) -> Source,
) -> Result<Project, Problems> {
    let root = folder(file);
    let name = match options.environment() {
        None => name.to_owned(),
        Some(environment) => {
            problems.push(
                Problem::warning(format!("there is no configuration, so there is no environment `{environment}`"))
                    .with_hint(format!("write a `wrangler.jsonc` with `env.{environment}`, or choose no environment")),
            );
            format!("{name}-{environment}")
        }
    };
    let variables = secrets::variables(&root, BTreeMap::new(), None, options, problems);
    let source = source(absolute(file)?);
    let mut watched_files: Vec<PathBuf> = manifest_of(&source).into_iter().collect();
    let configs = CONFIG_NAMES.iter().map(|name| in_folder(&root, name));
    for file in configs.chain(variables.files) {
        watched_files.push(absolute(&file)?);
    }
    Ok(Project { vars: variables.vars, watched_files, ..Project::bare(name, &absolute(&root)?, source) })
}

fn manifest_of(source: &Source) -> Option<PathBuf> {
    match source {
        Source::Crate { manifest } => Some(manifest.clone()),
        Source::Wasm(_) => None,
    }
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}
