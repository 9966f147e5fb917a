//! The files that the program carries: projects to begin with, and the sources that they are compiled from.
//!
//! Neither the SDK nor the test kit is published yet. So that a Worker can depend on them they are unpacked into the cache folder, once for
//! each version.
//!
//! Promises: what [`unpack`] returns is complete, whoever else unpacks at the same time. Never does: ask the network.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// Where the SDK is in the sources.
pub(crate) const SDK: &str = "guest-sdk";

/// Where the test kit is in the sources.
pub(crate) const TEST_KIT: &str = "host/test-kit";

/// Says what is in a folder of sources. Written last.
const DIGEST_FILE: &str = ".digest";

/// The files of the template `name`, each with its path in the project. The first are those of the folder itself.
pub(crate) fn template(name: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    TEMPLATES.iter().filter_map(move |(path, contents)| {
        let below = path.strip_prefix(name)?.strip_prefix('/')?;
        Some((below, *contents))
    })
}

/// The versions of everything that the sources depend on, as they were tested.
pub(crate) fn lock_file() -> &'static [u8] {
    SOURCES.iter().find(|(path, _)| *path == "Cargo.lock").map_or(&[], |(_, contents)| contents)
}

/// Where the sources of this version are, below the cache folder.
pub(crate) fn folder(cache: &Path) -> PathBuf {
    cache.join("sources").join(env!("CARGO_PKG_VERSION"))
}

/// How a manifest names a folder of the sources. As it is read on every system.
pub(crate) fn in_manifest(folder: &Path) -> String {
    folder.display().to_string().replace('\\', "/")
}

/// Unpacks the sources again when the package of `manifest` depends on them and they are gone: a cache may be emptied at any time.
pub(crate) fn restore(manifest: &Path, cache: Option<&Path>) {
    let Some(cache) = cache else { return };
    let folder = folder(cache);
    let is_wanted = || fs::read_to_string(manifest).is_ok_and(|text| text.contains(&in_manifest(&folder)));
    if !folder.exists()
        && is_wanted()
        && let Err(error) = unpack(cache)
    {
        // cargo says what is missing.
        tracing::warn!("the sources of miniflow-sdk could not be put into `{}`: {error}", folder.display());
    }
}

/// Makes sure that the sources of this version are in their folder, and returns it.
///
/// # Errors
///
/// When it cannot be written to.
pub(crate) fn unpack(cache: &Path) -> io::Result<PathBuf> {
    static DIGEST: LazyLock<String> = LazyLock::new(|| digest(SOURCES));
    let folder = folder(cache);
    unpack_to(&folder, SOURCES, &DIGEST)?;
    Ok(folder)
}

/// One process at a time; beside its place first, then moved there, so that half of it never counts.
fn unpack_to(folder: &Path, files: &[(&str, &[u8])], digest: &str) -> io::Result<()> {
    let is_there = || fs::read_to_string(folder.join(DIGEST_FILE)).is_ok_and(|found| found == digest);
    if is_there() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let lock = File::create(beside(folder, "lock"))?;
    lock.lock()?;
    if is_there() {
        return Ok(());
    }
    let new = beside(folder, "new");
    remove(&new)?;
    let folders: BTreeSet<_> = files.iter().filter_map(|(path, _)| Path::new(path).parent()).collect();
    folders.into_iter().try_for_each(|below| fs::create_dir_all(new.join(below)))?;
    files.iter().try_for_each(|(path, contents)| fs::write(new.join(path), contents))?;
    fs::write(new.join(DIGEST_FILE), digest)?;
    // What another build of this version left gives way.
    remove(folder)?;
    fs::rename(&new, folder)
}

/// `0.1.0.lock` for `0.1.0`.
fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    folder.with_file_name(name)
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Of the paths and contents of all files.
fn digest(files: &[(&str, &[u8])]) -> String {
    let mut hasher = Sha256::new();
    for (path, contents) in files {
        for part in [path.as_bytes(), contents] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &[u8])] = &[("a.txt", b"one"), ("b/c.txt", b"two")];

    #[test]
    fn files_are_unpacked_once_and_replaced_when_they_are_others() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("sources").join("1");
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        unpack_to(&folder, FILES, &digest(FILES)).unwrap();
        assert_eq!((read("a.txt").as_deref(), read("b/c.txt").as_deref()), (Some("one"), Some("two")));

        // What is there is left alone.
        fs::write(folder.join("a.txt"), "mine").unwrap();
        unpack_to(&folder, FILES, &digest(FILES)).unwrap();
        assert_eq!(read("a.txt").as_deref(), Some("mine"));

        // Of the same version, and not the same.
        let others: &[(&str, &[u8])] = &[("a.txt", b"three")];
        assert_ne!(digest(others), digest(FILES));
        unpack_to(&folder, others, &digest(others)).unwrap();
        assert_eq!((read("a.txt").as_deref(), read("b/c.txt")), (Some("three"), None));
        assert!(!beside(&folder, "new").exists());
    }

    #[test]
    fn whoever_unpacks_at_the_same_time_finds_it_complete() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("0.1.0");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    unpack_to(&folder, FILES, &digest(FILES)).unwrap();
                    assert_eq!(fs::read_to_string(folder.join("b/c.txt")).unwrap(), "two");
                });
            }
        });
    }

    #[test]
    fn what_a_package_depends_on_is_put_back_when_the_cache_was_emptied() {
        let cache = tempfile::tempdir().unwrap();
        let manifest = cache.path().join("Cargo.toml");
        let sdk = folder(cache.path()).join(SDK);
        let depends_on =
            |path: &str| fs::write(&manifest, format!("miniflow-sdk = {{ path = \"{path}\" }}\n")).unwrap();
        depends_on("../elsewhere/guest-sdk");
        restore(&manifest, Some(cache.path()));
        assert!(!sdk.exists(), "nobody wants it");
        depends_on(&in_manifest(&sdk));
        restore(&manifest, None);
        restore(&manifest, Some(cache.path()));
        assert!(sdk.join("src/lib.rs").is_file());
        assert!(unpack(cache.path()).unwrap().join(TEST_KIT).join("Cargo.toml").is_file());
    }

    #[test]
    fn what_is_carried_is_what_a_worker_and_its_tests_are_compiled_from() {
        let has = |path: &str| SOURCES.iter().any(|(found, _)| *found == path);
        for path in
            ["guest-sdk/wit/world.wit", "guest-sdk/macros/Cargo.toml", "host/test-kit/src/lib.rs", "host/build.rs"]
        {
            assert!(has(path), "{path}");
        }
        assert!(has("runtime/src/storage/sqlite/migrations/0001_journal.sql"));
        assert!(has("templates/hello/tests/worker.rs"), "it is compiled with the program");
        assert!(!SOURCES.iter().any(|(path, _)| path.ends_with(".snap") || path.starts_with("runtime/tests")));
    }
}
