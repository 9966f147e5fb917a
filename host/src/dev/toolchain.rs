//! Makes sure that the compiler can build Workers.
//!
//! A newcomer need not know that Workers are built for wasm32-wasip2: if the target is missing, rustup is asked for it,
//! with one line that says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::build::environment::Environment;
use super::build::{Progress, TARGET};

/// Why Workers cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    #[error("could not run `{program}`: {message}")]
    Rustc { program: String, message: String },
    #[error("the Rust target {TARGET} is not installed, and `rustup target add {TARGET}` failed: {message}")]
    NotAdded { message: String },
    #[error("the Rust target {TARGET} is not installed, and there is no rustup to add it")]
    NoRustup,
}

impl ToolchainError {
    pub(super) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Rustc { .. } => "install Rust from https://rustup.rs".to_owned(),
            Self::NotAdded { .. } => format!("run `rustup target add {TARGET}` in the folder of the Worker yourself"),
            Self::NoRustup => {
                format!("install rustup and run `rustup target add {TARGET}`, or add the target to this toolchain")
            }
        })
    }
}

/// Adds the target to the toolchain that is used in `folder` if it is missing there.
///
/// When it is there, this costs one run of `rustc --print`, once for each folder in this process: an edit does not remove a
/// target. After a build that failed, [`forget`] makes the next one look again.
pub(super) async fn ensure_target(
    environment: &Environment,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), ToolchainError> {
    if known().contains(folder) {
        return Ok(());
    }
    if target_folder(environment, folder).await?.is_dir() {
        known().insert(folder.to_owned());
        return Ok(());
    }
    progress.line(&format!("the Rust target {TARGET} is missing: running `rustup target add {TARGET}`"));
    add_target(environment, folder).await?;
    if target_folder(environment, folder).await?.is_dir() {
        return Ok(());
    }
    Err(ToolchainError::NotAdded { message: "the compiler still does not find it".to_owned() })
}

/// Folders in which the toolchain has the target.
fn known() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static KNOWN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the next [`ensure_target`] for `folder` look again: its toolchain may be another one.
pub(super) fn forget(folder: &Path) {
    known().remove(folder);
}

/// Returns where the compiler looks for the target's standard library, whether it is there or not.
async fn target_folder(environment: &Environment, folder: &Path) -> Result<PathBuf, ToolchainError> {
    let program = environment.rustc.to_string_lossy().into_owned();
    let mut rustc = environment.query(&environment.rustc, folder);
    match rustc.args(["--print", "target-libdir", "--target", TARGET]).output().await {
        Ok(output) if output.status.success() => {
            Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()))
        }
        Ok(output) => Err(ToolchainError::Rustc { program, message: reason(&output.stderr) }),
        Err(error) => Err(ToolchainError::Rustc { program, message: error.to_string() }),
    }
}

async fn add_target(environment: &Environment, folder: &Path) -> Result<(), ToolchainError> {
    let mut rustup = environment.query("rustup".as_ref(), folder);
    match rustup.args(["target", "add", TARGET]).output().await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(ToolchainError::NotAdded { message: reason(&output.stderr) }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(ToolchainError::NoRustup),
        Err(error) => Err(ToolchainError::NotAdded { message: error.to_string() }),
    }
}

/// Returns why a program of the toolchain failed, of what it said: everything from its error on.
pub(super) fn reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let start = match text.find("error: ") {
        Some(start) => start + "error: ".len(),
        None => 0,
    };
    match text[start..].trim() {
        "" => "it gave no reason".to_owned(),
        reason => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn the_reason_is_the_error_with_its_causes() {
        for (stderr, expected) in [
            ("info: downloading\nerror: no network\n\nCaused by:\n  x\n", "no network\n\nCaused by:\n  x"),
            ("killed\n", "killed"),
            ("", "it gave no reason"),
            ("\n \n", "it gave no reason"),
        ] {
            assert_eq!(reason(stderr.as_bytes()), expected);
        }
    }
}
