//! Configurations and what is said about them.

mod bindings;
mod classes;
mod diagnostics;
mod environments;
mod paths;
mod positions;
mod projects;
mod secrets;
mod sources;
mod triggers;

use std::path::Path;

use tempfile::TempDir;

use super::{LoadOptions, Problems, Project, load};

const PACKAGE: &str = "[package]\nname = \"of-the-package\"\n";

/// A folder with files, gone when dropped.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(TempDir::new().expect("a temporary folder"));
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("folders are made");
        std::fs::write(path, bytes).expect("a file is written");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Result<Project, Problems> {
        self.load_with(&LoadOptions::default())
    }

    fn load_with(&self, options: &LoadOptions) -> Result<Project, Problems> {
        load(self.path(), options)
    }

    /// Returns what is said about `path` in this folder, the folder's own path left out.
    fn said_of(&self, path: &str) -> String {
        self.without_folder(load(&self.path().join(path), &LoadOptions::default()))
    }

    /// Returns what is said with `options`, the folder's own path left out.
    fn said_with(&self, options: &LoadOptions) -> String {
        self.without_folder(self.load_with(options))
    }

    fn without_folder(&self, loaded: Result<Project, Problems>) -> String {
        let problems = match loaded {
            Ok(project) => project.warnings,
            Err(problems) => problems,
        };
        let folder = format!("{}{}", self.path().display(), std::path::MAIN_SEPARATOR);
        let text = problems.to_string().replace(&folder, "");
        let text = text.replace(&self.path().display().to_string(), "FOLDER");
        if cfg!(windows) { text.replace('\\', "/") } else { text }
    }

    fn said(&self) -> String {
        self.said_of("")
    }
}

/// A folder with this `wrangler.jsonc` and a package.
fn json(text: &str) -> Folder {
    Folder::with(&[("wrangler.jsonc", text), ("Cargo.toml", PACKAGE)])
}

/// A folder with this `wrangler.toml` and a package.
fn toml(text: &str) -> Folder {
    Folder::with(&[("wrangler.toml", text), ("Cargo.toml", PACKAGE)])
}

/// Loads a configuration that is to be all right.
fn loaded(folder: &Folder) -> Project {
    match folder.load() {
        Ok(project) => project,
        Err(problems) => panic!("should load:\n{problems}"),
    }
}
