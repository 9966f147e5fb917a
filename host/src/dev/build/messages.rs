//! What cargo writes for programs: the messages of a build, and the metadata of a package.
//!
//! Only what is needed is read, and a line that is not understood is passed over, so that a newer cargo works.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Profile, TARGET};

#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Target {
    fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|own| own == kind)
    }
}

/// A `.wasm` file that cargo made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Artifact {
    pub(super) file: PathBuf,
    /// Whether it is of the library, which is what exports handlers.
    pub(super) is_library: bool,
}

/// Returns the file that the message `line` reports, if it is one of the package of `manifest`.
pub(super) fn artifact(line: &[u8], manifest: &Path) -> Option<Artifact> {
    let message: Message = serde_json::from_slice(line).ok()?;
    let target = message.target.filter(|_| message.reason == "compiler-artifact")?;
    if !is_same_file(&message.manifest_path?, manifest) {
        return None;
    }
    let is_library = target.is("cdylib");
    if !is_library && !target.is("bin") {
        return None;
    }
    let file = message.filenames.into_iter().find(|file| file.extension().is_some_and(|ext| ext == "wasm"))?;
    Some(Artifact { file, is_library })
}

/// Returns the file to run: the library's, else that of the first program.
pub(super) fn component(artifacts: Vec<Artifact>) -> Option<PathBuf> {
    let mut artifacts = artifacts;
    let index = artifacts.iter().position(|artifact| artifact.is_library).unwrap_or(0);
    (index < artifacts.len()).then(|| artifacts.swap_remove(index).file)
}

/// What `cargo metadata` says of a package.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) target_directory: PathBuf,
    #[serde(default)]
    pub(super) workspace_root: PathBuf,
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<Target>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
}

impl Metadata {
    pub(super) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    fn package(&self, manifest: &Path) -> Option<&Package> {
        self.packages.iter().find(|package| is_same_file(&package.manifest_path, manifest))
    }

    /// Returns the folders of what the package of `manifest` depends on by its path.
    pub(super) fn path_dependencies(&self, manifest: &Path) -> Vec<PathBuf> {
        let dependencies = self.package(manifest).into_iter().flat_map(|package| &package.dependencies);
        dependencies.filter_map(|dependency| dependency.path.clone()).collect()
    }

    /// Whether a program of the package of `manifest` runs before that is compiled.
    pub(super) fn has_build_script(&self, manifest: &Path) -> bool {
        self.package(manifest).is_some_and(|package| package.targets.iter().any(|target| target.is("custom-build")))
    }

    /// Returns the file that a build of the package of `manifest` with `profile` makes.
    pub(super) fn component(&self, manifest: &Path, profile: Profile) -> Option<PathBuf> {
        let package = self.package(manifest)?;
        let of_kind = |kind: &str| package.targets.iter().find(|target| target.is(kind));
        let name = match (of_kind("cdylib"), of_kind("bin")) {
            // A crate's name has no dashes, and its file is called as the crate.
            (Some(library), _) => library.name.replace('-', "_"),
            (None, Some(program)) => program.name.clone(),
            (None, None) => return None,
        };
        Some(self.target_directory.join(TARGET).join(profile.name()).join(format!("{name}.wasm")))
    }
}

/// Returns whether both are the same file. cargo resolves links in the paths it writes.
fn is_same_file(one: &Path, other: &Path) -> bool {
    one == other
        || matches!((std::fs::canonicalize(one), std::fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}
