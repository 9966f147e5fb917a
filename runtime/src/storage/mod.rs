//! Keeping instances and their journals.
//!
//! Promises: what [`Storage::commit`] returned `Ok` for survives the process (and, with [`Durability::Full`], the machine); a group
//! is kept whole or not at all. Never does: decide, read the clock, start threads.

mod archive;
mod directory;
pub mod memory;
pub mod sqlite;

use std::fmt;
use std::path::PathBuf;

pub use archive::{Archive, Count, Filter, InFlight, Listed, Order, Place, Record};
pub use directory::StateDirectory;
pub use sqlite::{Reader, SqliteStorage};

use crate::clock::Timestamp;
use crate::dispatcher::message::InstanceKey;
use crate::engine::{Bytes, ErrorInfo, InstanceStatus, RollbackOutcome, Stamped, StepNo};
use crate::run::Schedule;

/// When a commit counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Survives a killed process; the last commits may be lost with the power.
    #[default]
    Normal,
    /// Synced to the disk.
    Full,
}

/// How an instance came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A Worker, through a binding.
    Binding,
    /// A schedule.
    Cron,
    /// The REST API or the command line.
    Api,
}

impl Trigger {
    /// The word stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binding => "binding",
            Self::Cron => "cron",
            Self::Api => "api",
        }
    }
}

/// How long a finished instance is kept, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// After `complete` and `terminated`.
    pub success_ms: Option<u64>,
    /// After `errored`.
    pub error_ms: Option<u64>,
}

/// What is fixed when an instance is created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewInstance {
    /// Its key in this storage.
    pub key: InstanceKey,
    /// Name of its workflow.
    pub workflow: String,
    /// Its id, unique in the workflow.
    pub id: String,
    /// When.
    pub created: Timestamp,
    /// How.
    pub trigger: Trigger,
    /// JSON.
    pub payload: Bytes,
    /// The schedule that made it.
    pub schedule: Option<Schedule>,
    /// As asked for at its creation.
    pub retention: Retention,
}

/// What is kept beside the journal, so that nobody has to fold it to list instances.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Present status.
    pub status: InstanceStatus,
    /// When something happens by itself.
    pub wake_at: Option<Timestamp>,
    /// When its first run began.
    pub started: Option<Timestamp>,
    /// When its status changed last.
    pub modified: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What `run` returned.
    pub output: Option<Bytes>,
    /// Why it failed.
    pub error: Option<ErrorInfo>,
    /// How its compensations went.
    pub rollback: Option<RollbackOutcome>,
    /// When it is to be removed.
    pub expires: Option<Timestamp>,
}

/// Whose a cron expression is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CronTarget {
    /// A schedule of the workflow of this name.
    Workflow(String),
    /// A trigger of the Worker of this name.
    Worker(String),
}

/// How far a cron expression has come. Kept apart from the instances, which may be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Whose expression it is.
    pub target: CronTarget,
    /// As it was written.
    pub cron: String,
    /// Everything it matches up to here was fired or skipped. None: the expression is gone.
    pub at: Option<Timestamp>,
}

/// One change of a group. They are applied in their order.
#[derive(Clone, Debug)]
pub enum Write {
    /// A new instance.
    Create(NewInstance, Summary),
    /// Entries that were decided together.
    Append(InstanceKey, Vec<Stamped>),
    /// The summary changed.
    Update(InstanceKey, Summary),
    /// The journal and the chunks of an instance go; the instance stays.
    Wipe(InstanceKey),
    /// An instance goes, with everything recorded of it. Its id is free for a [`Write::Create`] after it.
    Delete(InstanceKey),
    /// A piece of a step's output that is a stream. Written again, it takes the place of what was there.
    Chunk {
        /// Of which instance.
        key: InstanceKey,
        /// Of which attempt of which step.
        attempt: AttemptKey,
        /// From 0.
        index: u32,
        /// At most 256 KiB.
        bytes: Bytes,
    },
    /// The chunks of one attempt go: it failed.
    DropChunks(InstanceKey, AttemptKey),
    /// The chunks of this step and of all after it go: the instance is started again from there.
    DropChunksFrom(InstanceKey, StepNo),
    /// A cron expression fired, was skipped, or is gone.
    Boundary(Boundary),
}

/// An attempt of a step of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// Which step.
    pub step: StepNo,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

/// An instance whose retention has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its key.
    pub key: InstanceKey,
    /// Name of its workflow.
    pub workflow: String,
    /// Its id.
    pub id: String,
}

/// An instance that is not finished, as found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Its key.
    pub key: InstanceKey,
    /// Name of its workflow.
    pub workflow: String,
    /// Its status when it was last committed.
    pub status: InstanceStatus,
    /// When something happens by itself.
    pub wake_at: Option<Timestamp>,
    /// Its first run has begun.
    pub begun: bool,
}

/// Where instances are kept. Owned by one thread.
pub trait Storage: Archive + Send + 'static {
    /// Keeps all of `writes`, or none.
    ///
    /// # Errors
    /// When the medium refuses; nothing of the group is kept then.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StorageError>;

    /// The key of an instance.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn find(&mut self, workflow: &str, id: &str) -> Result<Option<InstanceKey>, StorageError>;

    /// What is fixed of an instance, and its summary.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn load(&mut self, key: InstanceKey) -> Result<Option<(NewInstance, Summary)>, StorageError>;

    /// The entries of an instance, in order.
    ///
    /// # Errors
    /// When the medium cannot be read, or an entry is of a kind this version does not know.
    fn journal(&mut self, key: InstanceKey, each: &mut dyn FnMut(Stamped)) -> Result<(), StorageError>;

    /// Instances that are not finished, oldest first.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn unfinished(&mut self) -> Result<Vec<Unfinished>, StorageError>;

    /// The largest key in use, 0 when there is none.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn last_key(&mut self) -> Result<InstanceKey, StorageError>;

    /// A piece of a step's output that is a stream.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn chunk(&mut self, key: InstanceKey, attempt: AttemptKey, index: u32) -> Result<Option<Bytes>, StorageError>;

    /// Instances to be removed by `now`, at most `limit`, those that are due longest first.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn expired(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Expired>, StorageError>;

    /// When the next instance is to be removed.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn next_expiry(&mut self) -> Result<Option<Timestamp>, StorageError>;

    /// How far each cron expression has come.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn boundaries(&mut self) -> Result<Vec<Boundary>, StorageError>;
}

/// Storage that cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Made by a newer miniflow.
    #[error(
        "the database `{path}` was made by a newer version of miniflow (schema {found}, this version knows up to {known})"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Made by an older miniflow, and nobody may change it here.
    #[error(
        "the database `{path}` was made by an older version of miniflow (schema {found}, this version reads {known}); \
         serving it once brings it up to date"
    )]
    Older {
        /// Which file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Not a database, or damaged.
    #[error("the database `{path}` is damaged or not a database; it was left untouched")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: SqliteError,
    },
    /// The directory or file cannot be used.
    #[error("cannot use the state directory `{path}`")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("the state directory `{path}` is in use by another miniflow")]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// An entry that this version cannot read.
    #[error("the journal of instance {key} has an entry that this version cannot read")]
    Entry {
        /// Whose.
        key: InstanceKey,
        /// Why.
        #[source]
        source: rmp_serde::decode::Error,
    },
    /// Any other failure of SQLite.
    #[error("storage failed")]
    Sqlite(#[from] SqliteError),
    /// A failure made on purpose.
    #[error("storage failed: {0}")]
    Injected(&'static str),
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

/// What SQLite says, once: rusqlite's errors have a cause that says the same again, with a number.
#[derive(Debug)]
pub struct SqliteError(rusqlite::Error);

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SqliteError {}
