//! What a Worker is made of: the files whose changes matter to it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::build::{self, Package};
use super::watch::Watched;
use crate::config::{Project, Source};

/// Names of configuration files begin with one of these, in the folder of the Worker.
const CONFIGURATION: [&str; 3] = ["wrangler.", ".dev.vars", ".env"];

/// Returns whether the file at `path` is of the configuration of `project`, rather than of its code.
pub(super) fn is_configuration(project: &Project, path: &Path) -> bool {
    if project.config.as_deref() == Some(path) {
        return true;
    }
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.parent() == Some(&project.root) && CONFIGURATION.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns what to watch of `project`. When it is not built, that is its `component` as it is, or where one will be.
pub(super) async fn watched(project: &Project, builds: bool, component: Option<&Path>) -> Watched {
    let named = CONFIGURATION.map(|prefix| (project.root.clone(), prefix.to_owned())).to_vec();
    let mut watched = Watched { named, ..Watched::default() };
    watched.files.extend(project.config.clone());
    match (&project.source, &project.build) {
        (_, None) | (Source::Wasm(_), _) if !builds => {
            let file = match &project.source {
                Source::Wasm(file) => Some(file.clone()),
                Source::Crate { .. } => match component {
                    Some(component) => Some(component.to_owned()),
                    None => build::last_built(project).await.ok(),
                },
            };
            watched.files.extend(file);
        }
        (Source::Wasm(file), None) => watched.files.push(file.clone()),
        (Source::Wasm(file), Some(command)) => {
            watched.trees = command.watch_dirs.clone();
            watched.outputs.insert(file.clone());
        }
        (Source::Crate { manifest }, command) => {
            if let Some(command) = command {
                watched.trees = command.watch_dirs.clone();
            }
            add_packages(manifest, &mut watched).await;
        }
    }
    watched
}

/// The package of `manifest`, and those that it depends on by their path.
async fn add_packages(manifest: &Path, watched: &mut Watched) {
    for (folder, found) in packages(manifest).await {
        if let Some(found) = found {
            watched.outputs.insert(found.target_directory);
            for name in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml"] {
                watched.files.push(found.workspace_root.join(name));
            }
        }
        watched.trees.push(folder);
    }
    watched.files.sort();
    watched.files.dedup();
}

/// The folders of the package of `manifest` and of those that it depends on by their path, each with what cargo says of it.
async fn packages(manifest: &Path) -> Vec<(PathBuf, Option<Package>)> {
    let folder = |manifest: &Path| manifest.parent().map_or_else(|| manifest.to_owned(), Path::to_owned);
    let (mut left, mut seen, mut all) = (vec![folder(manifest)], BTreeSet::new(), Vec::new());
    while let Some(package) = left.pop() {
        if !seen.insert(package.clone()) {
            continue;
        }
        let found = match build::package(&package.join("Cargo.toml")).await {
            Ok(found) => {
                left.extend(found.path_dependencies.iter().cloned());
                Some(found)
            }
            Err(error) => {
                // The build says it.
                tracing::debug!("cannot find out what {} depends on: {error}", package.display());
                None
            }
        };
        all.push((package, found));
    }
    all
}

/// Whether a build of `project` runs what may write among the sources: a command, or a build script. A compiler does not.
pub(super) async fn may_be_written(project: &Project) -> bool {
    match (&project.source, &project.build) {
        (_, Some(_)) => true,
        (Source::Wasm(_), None) => false,
        (Source::Crate { manifest }, None) => {
            let has_script =
                |(_, found): &(PathBuf, Option<Package>)| found.as_ref().is_some_and(|found| found.has_build_script);
            packages(manifest).await.iter().any(has_script)
        }
    }
}
