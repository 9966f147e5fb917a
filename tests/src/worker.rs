//! The Workers of this repository, built when a test asks for one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use miniflow::dev::build::build_blocking;

/// Returns the root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is a folder of the repository")
}

/// Builds the package in `folder`, once in this process, and returns its component.
///
/// # Panics
///
/// When it does not build; the compiler has said why on standard error.
#[track_caller]
pub fn build(folder: &Path) -> PathBuf {
    static BUILT: Mutex<BTreeMap<PathBuf, PathBuf>> = Mutex::new(BTreeMap::new());
    // Held while cargo runs: it would let only one build at a time into the target directory anyway.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(component) = built.get(folder) {
        return component.clone();
    }
    let component = build_blocking(folder).unwrap_or_else(|error| panic!("{} is not built: {error}", folder.display()));
    built.insert(folder.to_owned(), component.clone());
    component
}
