//! The development loop: from sources to a component that can be served, again each time that they change.

pub mod build;
mod sources;
mod toolchain;
pub mod watch;
mod worker;

pub use worker::{Listener, Load, News, Worker};

pub use toolchain::ToolchainError;

/// The folder of everything we keep in a project.
pub(crate) const OWN_FOLDER: &str = ".miniflow";

/// Makes git pass over `folder`, unless its owner has said something about that already.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn hide_from_git(folder: &std::path::Path) -> std::io::Result<()> {
    let file = folder.join(".gitignore");
    if file.exists() { Ok(()) } else { std::fs::write(file, "*\n") }
}
