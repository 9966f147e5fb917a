//! A configuration as meant: what is built, what it is called, and what it is given.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use miniflow_runtime::storage::Retention;

use super::problem::{Place, Problems};

/// One Worker to run, with everything its configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The Worker's name: of the configuration, else of its package, else of its file.
    pub name: String,
    /// The folder of the configuration, else of the `Cargo.toml` or `.wasm` file. Absolute.
    pub root: PathBuf,
    /// The configuration that was read, if there is one. Absolute.
    pub config: Option<PathBuf>,
    pub source: Source,
    /// What to run before each build.
    pub build: Option<BuildCommand>,
    pub vars: BTreeMap<String, Var>,
    /// Milliseconds that a guest may compute between two waits, if not as many as by default.
    pub cpu_ms: Option<NonZeroU32>,
    /// The workflows of the configuration; none if there is no configuration, and then every class that the Worker
    /// exports is bound. See [`Project::bind_classes`].
    pub workflows: Option<Vec<WorkflowEntry>>,
    /// What the configuration asks for and this version does not run yet, such as `kv_namespaces`: once each.
    pub unsupported: Vec<String>,
    /// What to point out although everything can be run.
    pub warnings: Problems,
}

impl Project {
    /// Returns the project that is `source` in the folder `root`, without any configuration.
    #[must_use]
    pub fn bare(name: impl Into<String>, root: &Path, source: Source) -> Self {
        Self {
            name: name.into(),
            root: root.to_owned(),
            config: None,
            source,
            build: None,
            vars: BTreeMap::new(),
            cpu_ms: None,
            workflows: None,
            unsupported: Vec::new(),
            warnings: Problems::default(),
        }
    }
}

/// Where the Worker's component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is this file. Absolute; it may not exist before [`Project::build`] ran.
    Wasm(PathBuf),
    /// cargo builds it from the package of this `Cargo.toml`. Absolute.
    Crate { manifest: PathBuf },
}

/// A command of the developer's, for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildCommand {
    pub command: String,
    /// Absolute.
    pub cwd: PathBuf,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Var {
    Text(String),
    /// Compact JSON of anything that is not a string, keys in the order written.
    Json(String),
}

/// One workflow of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowEntry {
    /// The name of the workflow, unique in the configuration.
    pub name: String,
    /// The name under which the Worker finds it.
    pub binding: String,
    pub class_name: String,
    /// The Worker that defines it, if that is another one.
    pub script_name: Option<String>,
    /// The steps an instance may have, if not as many as by default.
    pub step_limit: Option<NonZeroU32>,
    /// The instances that may run at the same time, if not as many as by default.
    pub concurrency_limit: Option<NonZeroU32>,
    /// How long finished instances are kept, where their creation does not say it.
    pub retention: Retention,
    /// Cron expressions as written; only known to be texts that are not empty.
    pub schedules: Vec<String>,
    /// Where `class_name` stands, for problems found after the component was read.
    pub class_place: Option<Place>,
}
