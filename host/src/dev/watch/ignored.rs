//! What is never a source: what tools make, and what editors leave beside the files they write.

use std::ffi::OsStr;
use std::path::Path;

/// Folders of tools.
const FOLDERS: [&str; 9] =
    [".git", ".hg", ".jj", ".svn", crate::dev::OWN_FOLDER, ".wrangler", "node_modules", ".idea", ".vscode"];

/// Files that tools mark caches with; cargo puts one into `target`, however that is called.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Returns whether nothing in `folder` is a source.
pub(super) fn folder(folder: &Path) -> bool {
    let Some(name) = folder.file_name().and_then(OsStr::to_str) else { return false };
    let is_target = || name == "target" && folder.parent().is_some_and(|above| above.join("Cargo.toml").is_file());
    FOLDERS.contains(&name) || is_target() || folder.join(CACHE_TAG).is_file()
}

/// Returns whether a file of this name is one that an editor or the system leaves behind.
pub(super) fn file(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let ends = ["~", ".swp", ".swo", ".swx", ".tmp", ".part", ".crswap"];
    let begins = [".#", ".goutputstream-", ".sed", "___jb_"];
    ends.iter().any(|end| name.ends_with(end))
        || begins.iter().any(|begin| name.starts_with(begin))
        || (name.starts_with('#') && name.ends_with('#'))
        || [".DS_Store", "4913", "Thumbs.db", "desktop.ini"].contains(&name)
}
