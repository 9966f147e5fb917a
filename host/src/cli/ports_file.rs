//! `--ports-file`: tells scripts where a server listens.
//!
//! Promises: the file is there, and whole, exactly as long as the server is ready: one of an earlier session that crashed is removed before
//! anything else happens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::{Problem, Problems};

/// The file of this session; gone with the value.
#[derive(Debug)]
pub(super) struct PortsFile {
    path: PathBuf,
}

impl PortsFile {
    /// Makes sure that there can be such a file, and that there is none yet.
    ///
    /// # Errors
    ///
    /// When its folder is not there, or a file of that name cannot be removed.
    pub(super) fn prepare(path: &Path) -> Result<Self, Problems> {
        let file = Self { path: path.to_owned() };
        let folder = file.folder();
        if path.is_dir() {
            return Err(file.problem("it is a folder"));
        }
        if !folder.is_dir() {
            return Err(file.problem(&format!("there is no folder `{}`", folder.display())));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file.problem(&error.to_string())),
            _ => Ok(file),
        }
    }

    /// Writes that a server listens on `address`, which clients reach at `url`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write(&self, address: SocketAddr, url: &str) -> Result<(), Problems> {
        let pid = std::process::id();
        let content = json!({ "host": address.ip().to_string(), "port": address.port(), "url": url, "pid": pid });
        // In the same folder, so that it is renamed and not copied: nobody sees half of it.
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let part = self.folder().join(format!(".{name}.{pid}"));
        let written = std::fs::write(&part, format!("{content:#}\n")).and_then(|()| std::fs::rename(&part, &self.path));
        written.map_err(|error| {
            // Perhaps it was not even made.
            let _ = std::fs::remove_file(&part);
            self.problem(&error.to_string())
        })
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    fn problem(&self, why: &str) -> Problems {
        let problem = Problem::error(format!("the ports file `{}` cannot be written: {why}", self.path.display()));
        problem.with_hint("pass another file with `--ports-file`").into()
    }
}

impl Drop for PortsFile {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_and_gone_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ports.json");
        std::fs::write(&path, "of an earlier session").unwrap();
        let file = PortsFile::prepare(&path).unwrap();
        assert!(!path.exists());
        file.write("[::1]:81".parse().unwrap(), "http://[::1]:81").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let content: serde_json::Value = serde_json::from_str(&text).unwrap();
        let pid = std::process::id();
        assert_eq!(content, json!({ "host": "::1", "port": 81, "url": "http://[::1]:81", "pid": pid }));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_cannot_be_written_is_said_before_anything_happens() {
        let folder = tempfile::tempdir().unwrap();
        for (path, why) in
            [(folder.path().join("no/ports.json"), "there is no folder"), (folder.path().into(), "it is a folder")]
        {
            let problems = PortsFile::prepare(&path).unwrap_err();
            assert!(problems.to_string().contains(why), "{problems}");
        }
    }
}
