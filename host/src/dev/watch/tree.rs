//! What is watched, and what it is like at a moment.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ignored;

/// What is to be watched. Paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Folders in which every file is watched that is not ignored.
    pub trees: Vec<PathBuf>,
    /// Single files, whether they are there or not.
    pub files: Vec<PathBuf>,
    /// Files of a folder whose names begin with this, such as `.dev.vars`.
    pub named: Vec<(PathBuf, String)>,
    /// What is not watched, though it is in one of the folders.
    pub outputs: BTreeSet<PathBuf>,
}

/// Which folder it is: one that was made anew under the same name is another one.
pub(super) type Identity = (u64, u64);

/// Files with their contents, and folders.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    files: BTreeMap<PathBuf, Stamp>,
    /// Those in which something may change.
    folders: BTreeMap<PathBuf, Identity>,
}

#[derive(Clone, Debug, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    identity: Identity,
    /// None: it could not be read.
    content: Option<u64>,
}

impl Snapshot {
    /// The files that are not the same in `later`.
    pub(super) fn differences(&self, later: &Self) -> BTreeSet<PathBuf> {
        let content = |snapshot: &Self, path: &PathBuf| snapshot.files.get(path).map(|stamp| stamp.content);
        let all = self.files.keys().chain(later.files.keys());
        all.filter(|path| content(self, path) != content(later, path)).cloned().collect()
    }

    pub(super) fn folders(&self) -> &BTreeMap<PathBuf, Identity> {
        &self.folders
    }
}

/// Looks at what is `watched`. Contents that cannot have changed since `before` are not read again, unless they are `dirty`.
pub(super) fn snapshot(watched: &Watched, before: &Snapshot, dirty: &[PathBuf]) -> Snapshot {
    let mut look = Look { watched, before, dirty, found: Snapshot::default() };
    for tree in &watched.trees {
        look.tree(tree);
    }
    for file in &watched.files {
        look.nearest_folder(file.parent().unwrap_or(file));
        look.file(file);
    }
    for (folder, prefix) in &watched.named {
        look.nearest_folder(folder);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(prefix.as_str()) && !ignored::file(&name) {
                look.file(&entry.path());
            }
        }
    }
    look.found
}

struct Look<'a> {
    watched: &'a Watched,
    before: &'a Snapshot,
    dirty: &'a [PathBuf],
    found: Snapshot,
}

impl Look<'_> {
    fn tree(&mut self, root: &Path) {
        self.nearest_folder(root);
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            // One that is not there, or not ours to read, has no files.
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            if let Ok(metadata) = std::fs::metadata(&folder) {
                self.found.folders.insert(folder, identity(&metadata));
            }
            for entry in entries.flatten() {
                let (path, name) = (entry.path(), entry.file_name());
                // A link to a folder is not followed: it may lead back to where it is.
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if self.watched.outputs.contains(&path) {
                    continue;
                }
                if is_folder {
                    if !ignored::folder(&path) {
                        folders.push(path);
                    }
                } else if !ignored::file(&name) {
                    self.file(&path);
                }
            }
        }
    }

    /// The folder, or the one above it in which it will appear.
    fn nearest_folder(&mut self, folder: &Path) {
        let found = folder.ancestors().find_map(|folder| {
            let metadata = std::fs::metadata(folder).ok().filter(Metadata::is_dir)?;
            Some((folder.to_owned(), identity(&metadata)))
        });
        self.found.folders.extend(found);
    }

    fn file(&mut self, path: &Path) {
        let Ok(metadata) = std::fs::metadata(path) else { return };
        if !metadata.is_file() {
            return;
        }
        let mut stamp = Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            identity: identity(&metadata),
            content: None,
        };
        let known = self.before.files.get(path).filter(|known| {
            let same = Stamp { content: known.content, ..stamp.clone() } == **known;
            same && !self.dirty.iter().any(|dirty| dirty == path)
        });
        stamp.content = known.map_or_else(|| content(path), |known| known.content);
        self.found.files.insert(path.to_owned(), stamp);
    }
}

/// Tells contents of one developer apart, no more is asked of it.
pub(in crate::dev) fn content(path: &Path) -> Option<u64> {
    let bytes = std::fs::read(path).ok()?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    Some(hasher.finish())
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Identity {
    let created = metadata.created().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    (created.map_or(0, |since| since.as_secs()), created.map_or(0, |since| since.subsec_nanos().into()))
}
