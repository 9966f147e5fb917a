//! Where the last build left its component, so that serving it again needs no cargo: asking cargo takes longer than all the rest of a
//! start.

use std::path::{Path, PathBuf};

use super::folder_of;
use crate::dev::OWN_FOLDER;

const FILE: &str = "last-build";

/// Notes that `component` was built from the package of `manifest`.
pub(super) fn remember(manifest: &Path, component: &Path) {
    let folder = folder_of(manifest).join(OWN_FOLDER);
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| crate::dev::hide_from_git(&folder))
        .and_then(|()| std::fs::write(folder.join(FILE), component.as_os_str().as_encoded_bytes()));
    if let Err(error) = written {
        tracing::debug!("the build is not remembered in {}: {error}", folder.display());
    }
}

/// What the last build left, if it is still there.
pub(super) fn remembered(manifest: &Path) -> Option<PathBuf> {
    let noted = std::fs::read_to_string(folder_of(manifest).join(OWN_FOLDER).join(FILE)).ok()?;
    Some(PathBuf::from(noted)).filter(|component| component.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_remembered_as_long_as_its_component_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, component) = (folder.path().join("Cargo.toml"), folder.path().join("worker.wasm"));
        assert_eq!(remembered(&manifest), None);
        std::fs::write(&component, "").unwrap();
        remember(&manifest, &component);
        assert_eq!(remembered(&manifest).as_ref(), Some(&component));
        assert_eq!(std::fs::read_to_string(folder.path().join(".miniflow/.gitignore")).unwrap(), "*\n");
        std::fs::remove_file(&component).unwrap();
        assert_eq!(remembered(&manifest), None);
    }
}
