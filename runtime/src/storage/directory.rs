//! The directory that holds a state: one process at a time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::StorageError;

/// Name of the file that is locked.
const LOCK_FILE: &str = "lock";

/// A state directory that is ours as long as this lives. The system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    _lock: File,
}

impl StateDirectory {
    /// Takes the directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// `Locked` when another process has it, `Unusable` when it cannot be made or written to.
    pub fn lock(path: &Path) -> Result<Self, StorageError> {
        let unusable = |source| StorageError::Unusable { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let options = File::options().create(true).truncate(false).write(true).open(path.join(LOCK_FILE));
        let lock = options.map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StorageError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = StateDirectory::lock(directory.path()).unwrap();
        assert!(matches!(StateDirectory::lock(directory.path()), Err(StorageError::Locked { .. })));
        drop(first);
        StateDirectory::lock(directory.path()).unwrap();
    }

    #[test]
    fn a_directory_that_is_a_file_is_unusable() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(StateDirectory::lock(&path), Err(StorageError::Unusable { .. })));
    }
}
