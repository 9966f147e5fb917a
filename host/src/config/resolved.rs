//! A configuration as meant: what is built, what it is called, and what it is given.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use miniflow_runtime::Cron;
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
    /// Of the configuration, of the files with secrets beside it, and of the command line.
    pub vars: BTreeMap<String, Var>,
    /// Milliseconds that a guest may compute between two waits, if not as many as by default.
    pub cpu_ms: Option<NonZeroU32>,
    /// The workflows of the configuration; none if there is no configuration, and then every class that the Worker
    /// exports is bound. See [`Project::bind_classes`].
    pub workflows: Option<Vec<WorkflowEntry>>,
    /// When the Worker is called because time came.
    pub crons: Vec<Cron>,
    /// Where the first of them is written.
    pub crons_place: Option<Place>,
    /// The queues that the Worker sends to.
    pub queue_producers: Vec<QueueProducer>,
    /// The queues that the Worker is called with.
    pub queue_consumers: Vec<QueueConsumer>,
    pub durable_objects: Vec<DurableObjectBinding>,
    /// The Durable Object classes that the Worker declares, by its migrations or its exports.
    pub durable_object_classes: Vec<DurableObjectClass>,
    pub kv_namespaces: Vec<KvBinding>,
    pub services: Vec<ServiceBinding>,
    /// The secrets without which the Worker is not complete.
    pub secrets_required: Vec<String>,
    /// Where it is served, if the command line does not say it.
    pub dev: DevSettings,
    /// Every file that was read, or would be if it existed: whatever is done to one of them, loading again may find something else.
    /// Absolute.
    pub watched_files: Vec<PathBuf>,
    /// What the configuration asks for and this version does not run yet, such as `r2_buckets`: once each.
    pub unsupported: Vec<String>,
    /// The keys of the configuration that change nothing in a local run.
    pub without_effect: Vec<String>,
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
            crons: Vec::new(),
            crons_place: None,
            queue_producers: Vec::new(),
            queue_consumers: Vec::new(),
            durable_objects: Vec::new(),
            durable_object_classes: Vec::new(),
            kv_namespaces: Vec::new(),
            services: Vec::new(),
            secrets_required: Vec::new(),
            dev: DevSettings::default(),
            watched_files: Vec::new(),
            unsupported: Vec::new(),
            without_effect: Vec::new(),
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
    /// The folders whose changes make it run again. Absolute.
    pub watch_dirs: Vec<PathBuf>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Var {
    Text(String),
    /// Compact JSON of anything that is not a string, keys in the order written.
    Json(String),
    /// A text that is shown nowhere.
    Secret(Secret),
}

/// A text that is shown nowhere, not even where everything is shown to find a fault.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    file: PathBuf,
}

impl Secret {
    /// Returns the secret `text`, which stands in `file`.
    pub fn new(text: impl Into<String>, file: &Path) -> Self {
        Self { text: text.into(), file: file.to_owned() }
    }

    /// Returns the text, for the Worker and nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns the file it was read from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Where a configuration wants to be served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DevSettings {
    pub ip: Option<IpAddr>,
    /// 0 is any that is free.
    pub port: Option<u16>,
}

/// One workflow of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowEntry {
    /// The name of the workflow, unique in the configuration.
    pub name: String,
    /// The name under which the Worker finds it; none if it is only declared, under `exports`.
    pub binding: Option<String>,
    pub class_name: String,
    /// The Worker that defines it, if that is another one.
    pub script_name: Option<String>,
    /// The steps an instance may have, if not as many as by default.
    pub step_limit: Option<NonZeroU32>,
    /// The instances that may run at the same time, if not as many as by default.
    pub concurrency_limit: Option<NonZeroU32>,
    /// How long finished instances are kept, where their creation does not say it.
    pub retention: Retention,
    /// When instances of it are made by themselves.
    pub schedules: Vec<Cron>,
    /// Where `class_name` stands, for problems found after the component was read.
    pub class_place: Option<Place>,
}

/// A queue that the Worker sends to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueProducer {
    /// The name under which the Worker finds it.
    pub binding: String,
    pub queue: String,
    /// How long a message waits before it can be delivered, where its sending does not say it.
    pub delivery_delay_s: Option<u32>,
    /// Where `binding` stands.
    pub place: Option<Place>,
}

/// A queue that the Worker is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConsumer {
    pub queue: String,
    /// 1 to 100.
    pub max_batch_size: u32,
    /// How long a batch that is not full waits for more: 0 to 60.
    pub max_batch_timeout_s: u32,
    /// How often a message is delivered again: 0 to 100.
    pub max_retries: u32,
    /// Where messages go that failed for the last time. Never the queue itself.
    pub dead_letter_queue: Option<String>,
    /// How many batches there may be at the same time; as many as it takes if there is none.
    pub max_concurrency: Option<u32>,
    /// How long a message waits before it is delivered again, where the Worker does not say it.
    pub retry_delay_s: u32,
    /// Where `queue` stands.
    pub place: Option<Place>,
}

/// A class of Durable Objects that the Worker can address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableObjectBinding {
    /// The name under which the Worker finds it.
    pub binding: String,
    pub class_name: String,
    /// The Worker that defines it, if that is another one.
    pub script_name: Option<String>,
    /// Where `class_name` stands.
    pub place: Option<Place>,
}

/// A class of Durable Objects that the Worker declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableObjectClass {
    pub class_name: String,
    pub storage: ClassStorage,
    /// Where it is declared.
    pub place: Option<Place>,
}

/// What the objects of a class keep their state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassStorage {
    /// A database each, with SQL.
    Sqlite,
    /// Keys and values only.
    LegacyKv,
}

/// A store of keys and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvBinding {
    /// The name under which the Worker finds it.
    pub binding: String,
    /// Which store it is: that of the binding's name if the configuration does not say it.
    pub id: String,
    /// Where `binding` stands.
    pub place: Option<Place>,
}

/// Another Worker, or a class that it exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceBinding {
    /// The name under which the Worker finds it.
    pub binding: String,
    /// The name of the other Worker.
    pub service: String,
    /// The class, if it is not the Worker itself.
    pub entrypoint: Option<String>,
    /// Where `service` stands.
    pub place: Option<Place>,
}
