//! What the operating system tells of changes.
//!
//! Folders are watched one by one, without what is in them, so that nothing is spent on those that are ignored, such as `target` with its
//! thousands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, RenameMode};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::tree::Identity;

/// How far whoever changes a file is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// More may follow.
    Begun,
    /// It is not there any more, or not under this name: another one may take its place.
    Gone,
    /// It has all that was to be written.
    Whole,
}

/// The system's watcher, if it can be had.
pub(super) struct Hints {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeMap<PathBuf, Identity>,
    failure: Option<String>,
}

impl Hints {
    /// Calls `tell` with the paths that may have changed, and how far whoever changes them is, on a thread of its own.
    pub(super) fn of_system(tell: impl Fn(Vec<PathBuf>, Stage) + Send + 'static) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) if is_read(event.kind) => {}
            Ok(event) => {
                let stage = stage(event.kind);
                tell(event.paths, stage);
            }
            // Something was missed: everything is looked at anyway.
            Err(_) => tell(Vec::new(), Stage::Begun),
        });
        match watcher {
            Ok(watcher) => Self { watcher: Some(watcher), folders: BTreeMap::new(), failure: None },
            Err(error) => Self::none(error.to_string()),
        }
    }

    /// No hints, because of `why`.
    pub(super) fn none(why: String) -> Self {
        Self { watcher: None, folders: BTreeMap::new(), failure: Some(why) }
    }

    pub(super) fn are_given(&self) -> bool {
        self.watcher.is_some()
    }

    /// Why there are none.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Asks to be told of these folders and no others. Returns whether some of them are new.
    pub(super) fn follow(&mut self, folders: &BTreeMap<PathBuf, Identity>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        self.folders.retain(|folder, identity| {
            // A folder that was made anew is another one.
            let stays = folders.get(folder) == Some(identity);
            if !stays {
                // Fails when the folder is gone, and its watch with it.
                let _ = watcher.unwatch(folder);
            }
            stays
        });
        let mut any = false;
        for (folder, identity) in folders {
            if self.folders.contains_key(folder) {
                continue;
            }
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder.clone(), *identity);
                    any = true;
                }
                // It went away just now, which the folder above tells.
                Err(error) if is_gone(&error, folder) => {}
                Err(error) => {
                    *self = Self::none(error.to_string());
                    return false;
                }
            }
        }
        any
    }
}

/// What we do ourselves when we look.
fn is_read(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}

/// What is told of a file last, for now: it was closed by who wrote it, or got its name, or lost it. Not every system tells that.
fn stage(kind: EventKind) -> Stage {
    use notify::event::ModifyKind::Name;
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Stage::Whole,
        EventKind::Modify(Name(RenameMode::To | RenameMode::Both)) => Stage::Whole,
        EventKind::Modify(Name(_)) | EventKind::Remove(_) => Stage::Gone,
        _ => Stage::Begun,
    }
}

fn is_gone(error: &notify::Error, folder: &Path) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(_) => !folder.is_dir(),
        _ => false,
    }
}
