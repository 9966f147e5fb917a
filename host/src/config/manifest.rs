//! Reads as much of a `Cargo.toml` as it takes to name what cargo would build.

use std::path::{Path, PathBuf};

use super::problem::{Place, Problem, Problems};
use super::raw::{Document, Node};
use super::toml;

/// The name of the file.
pub(super) const FILE_NAME: &str = "Cargo.toml";

/// Returns the name of the package of `manifest`.
///
/// # Errors
///
/// When the file cannot be read, or is a workspace without a package of its own.
pub(super) fn package_name(manifest: &Path) -> Result<String, Problems> {
    let document = Document::read(manifest, toml::parse)?;
    let name = document.root.get("package").and_then(|package| package.get("name")).and_then(Node::text);
    if let Some(name) = name {
        return Ok(name.to_owned());
    }
    let members: Vec<&str> = document
        .root
        .get("workspace")
        .and_then(|workspace| workspace.get("members"))
        .and_then(Node::items)
        .unwrap_or_default()
        .iter()
        .filter_map(Node::text)
        .collect();
    let problem = Problem::error("this `Cargo.toml` has no `[package]` with a `name`").at(Place::file(document.file()));
    let problem = if members.is_empty() {
        problem.with_hint("name the folder of a package that is a Worker")
    } else {
        problem.with_hint(format!("it is a workspace: name the member that is the Worker ({})", members.join(", ")))
    };
    Err(problem.into())
}

/// Returns the `Cargo.toml` of the package that the source file `file` belongs to: the nearest one above it.
pub(super) fn owning(file: &Path) -> Option<PathBuf> {
    file.ancestors().skip(1).map(|folder| folder.join(FILE_NAME)).find(|manifest| manifest.is_file())
}
