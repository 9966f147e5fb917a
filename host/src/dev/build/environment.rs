//! The environment in which a Worker is compiled.
//!
//! It is the developer's, without what belongs to the build of something else: flags and wrappers meant for native code,
//! and what an outer cargo has set for the program it runs (`cargo run`, `cargo test`). Which toolchain is used stays
//! their choice.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Set for builds of native code, and wrong or useless for a Worker.
const NATIVE: [&str; 10] = [
    "CARGO_BUILD_INCREMENTAL",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// Set by cargo for the program it runs.
const OF_OUTER_CARGO: [&str; 7] = [
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// The same, with the rest of the name open; and settings of profiles, which [`super::profile`] decides.
const DROPPED_PREFIXES: [&str; 3] = ["CARGO_BIN_EXE_", "CARGO_PKG_", "CARGO_PROFILE_"];

/// Where artifacts go, the first one winning.
const TARGET_DIRECTORIES: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];

/// Programs and variables for compiling a Worker.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dev) struct Environment {
    pub(in crate::dev) cargo: OsString,
    pub(in crate::dev) rustc: OsString,
    variables: Vec<(OsString, OsString)>,
}

impl Environment {
    /// Returns the environment of this process, adapted.
    pub(super) fn inherited() -> Self {
        Self::from_variables(std::env::vars_os())
    }

    pub(super) fn from_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let all: Vec<(OsString, OsString)> = variables.into_iter().collect();
        let value = |name: &str| all.iter().find(|(key, _)| is(key, name)).map(|(_, value)| value.clone());
        let cargo = value("CARGO").unwrap_or_else(|| "cargo".into());
        let rustc = value("RUSTC").unwrap_or_else(|| "rustc".into());
        let target = TARGET_DIRECTORIES.into_iter().find_map(value);
        let mut variables: Vec<(OsString, OsString)> = all.iter().filter(|(key, _)| is_kept(key)).cloned().collect();
        if let Some(target) = target {
            // Not in the outer cargo's own directory: it may hold the lock until we are done.
            let workers = PathBuf::from(target).join("workers");
            let workers = std::path::absolute(&workers).unwrap_or(workers);
            variables.push(("CARGO_TARGET_DIR".into(), workers.into()));
        }
        Self { cargo, rustc, variables }
    }

    /// Returns the command that runs `program` in `folder`: nothing to read, and ended when it is dropped.
    pub(in crate::dev) fn command(&self, program: &OsStr, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.variables.iter().map(|(key, value)| (key, value)))
            .current_dir(folder)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Returns the command that asks `program` something: what it says goes to us, and it says it briefly.
    pub(in crate::dev) fn query(&self, program: &OsStr, folder: &Path) -> Command {
        let mut command = self.command(program, folder);
        command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    }

    #[cfg(test)]
    pub(super) fn variables(&self) -> &[(OsString, OsString)] {
        &self.variables
    }
}

fn is_kept(key: &OsStr) -> bool {
    let dropped = NATIVE.iter().chain(&OF_OUTER_CARGO).chain(&TARGET_DIRECTORIES);
    let has_prefix = |prefix: &&str| key.to_string_lossy().starts_with(*prefix);
    !dropped.into_iter().any(|name| is(key, name)) && !DROPPED_PREFIXES.iter().any(has_prefix)
}

/// Compares names as the operating system does.
fn is(key: &OsStr, name: &str) -> bool {
    if cfg!(windows) { key.eq_ignore_ascii_case(name) } else { key == name }
}
