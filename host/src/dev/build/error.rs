//! Why there is no component, and what to do.

use std::path::PathBuf;
use std::process::ExitStatus;

use super::TARGET;
use crate::config::{Problem, Problems};
use crate::dev::toolchain::ToolchainError;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("could not find `{program}`")]
    CargoMissing { program: String },
    #[error("could not run `{program}`")]
    Start {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("`{command}` failed ({status})")]
    CommandFailed { command: String, status: ExitStatus },
    /// The compiler has printed why.
    #[error("cargo could not build `{}` ({status})", manifest.display())]
    CargoFailed { manifest: PathBuf, status: ExitStatus },
    #[error("cargo could not read `{}`: {message}", manifest.display())]
    Metadata { manifest: PathBuf, message: String },
    #[error("the package `{}` builds no WebAssembly component", manifest.display())]
    NoComponent { manifest: PathBuf },
    #[error("there is no `{}` yet", file.display())]
    NotBuilt { file: PathBuf },
    #[error("`{}` does not exist", file.display())]
    Missing { file: PathBuf },
    #[error("could not use `{}`", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
}

impl BuildError {
    /// Returns whether a change of the sources may be all that is needed.
    #[must_use]
    pub fn is_of_sources(&self) -> bool {
        match self {
            Self::CommandFailed { .. }
            | Self::CargoFailed { .. }
            | Self::Metadata { .. }
            | Self::NoComponent { .. }
            | Self::NotBuilt { .. }
            | Self::Missing { .. } => true,
            Self::CargoMissing { .. } | Self::Start { .. } | Self::File { .. } | Self::Toolchain(_) => false,
        }
    }

    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CargoMissing { .. } => {
                Some("install Rust from https://rustup.rs, or name a `.wasm` file that was built elsewhere".to_owned())
            }
            Self::CommandFailed { .. } => Some("it is `build.command` of the configuration".to_owned()),
            Self::NoComponent { .. } => Some("add `[lib]` with `crate-type = [\"cdylib\"]` to it".to_owned()),
            Self::NotBuilt { .. } => Some("start once without `--no-build`".to_owned()),
            Self::Missing { .. } => Some("`build.command` has to make it".to_owned()),
            Self::Toolchain(error) => error.hint(),
            Self::CargoFailed { .. } => Some(format!("see what the compiler says above; the target is {TARGET}")),
            Self::Start { .. } | Self::Metadata { .. } | Self::File { .. } => None,
        }
    }
}

impl From<BuildError> for Problems {
    fn from(error: BuildError) -> Self {
        let problem = Problem::from_error(&error);
        match error.hint() {
            Some(hint) => problem.with_hint(hint).into(),
            None => problem.into(),
        }
    }
}
