//! Lists the files that the program carries: what `miniflow new` writes, and the sources that it depends on.
//!
//! They are found when this is built, so a file that is added is never forgotten. Tests are left out: nobody runs them there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Folders and files of the repository that a Worker and its tests are compiled from. Paths from one to the other stay what they are.
const SOURCES: [&str; 7] =
    ["Cargo.lock", "Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "guest-sdk", "host", "runtime"];

/// What belongs to tests, or was made by building.
const NOT_SOURCES: [&str; 5] = ["proptest-regressions", "snapshots", "target", "tests", "tests.rs"];

/// A project that `miniflow new` writes, and what is not part of it: the lock file is that of [`SOURCES`], which is never behind.
const TEMPLATES: &str = "templates";
const NOT_TEMPLATES: [&str; 4] = [".cargo", ".miniflow", "Cargo.lock", "target"];

fn main() -> io::Result<()> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"));
    let root = package.parent().expect("the package is a folder of the repository");
    let mut sources = Vec::new();
    for name in SOURCES {
        collect(&root.join(name), &NOT_SOURCES, &mut sources)?;
    }
    let mut templates = Vec::new();
    collect(&root.join(TEMPLATES), &NOT_TEMPLATES, &mut templates)?;
    // The program that is compiled from the sources carries the templates too.
    sources.extend(templates.iter().cloned());

    let mut code = String::new();
    list(&mut code, "SOURCES", &sources, root);
    list(&mut code, "TEMPLATES", &templates, &root.join(TEMPLATES));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to write"));
    fs::write(out.join("carried.rs"), code)
}

/// Adds the files at or below `path`, in order.
fn collect(path: &Path, without: &[&str], files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", path.display());
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.iter().filter(|entry| !without.iter().any(|name| entry.file_name() == *name)) {
        collect(&entry.path(), without, files)?;
    }
    Ok(())
}

/// Writes a constant: the path of each file below `root`, and its contents.
fn list(code: &mut String, name: &str, files: &[PathBuf], root: &Path) {
    let _ = writeln!(code, "const {name}: &[(&str, &[u8])] = &[");
    for file in files {
        let below = file.strip_prefix(root).expect("it was found there").to_string_lossy().replace('\\', "/");
        let _ = writeln!(code, "    ({below:?}, include_bytes!({:?})),", file.display().to_string());
    }
    let _ = writeln!(code, "];");
}
