//! What the command line says about a project, beside where it is.

use std::path::PathBuf;

/// What the command line says about a project. Nothing of it is read from the machine's environment here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The environment of the configuration to run, such as `staging`; an empty name is none.
    pub env: Option<String>,
    /// Files with secrets to read instead of `.dev.vars` and `.env`, later ones before earlier ones. Relative to the folder of the
    /// configuration.
    pub env_files: Vec<PathBuf>,
    /// Variables that count more than any file, each a name and its text.
    pub vars: Vec<(String, String)>,
}

impl LoadOptions {
    /// The environment to run, if one is chosen.
    pub(super) fn environment(&self) -> Option<&str> {
        self.env.as_deref().filter(|name| !name.is_empty())
    }
}
