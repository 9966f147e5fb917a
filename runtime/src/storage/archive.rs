//! Questions of people about what is kept: lists, counts, whole instances.
//!
//! Promises: an answer is about one moment of what is committed. Never does: write, or need a dispatcher: a state directory that nobody
//! serves can be read in the same way.

use super::{AttemptKey, NewInstance, StorageError, Summary, Trigger};
use crate::clock::Timestamp;
use crate::dispatcher::message::InstanceKey;
use crate::engine::details::{self, Details};
use crate::engine::{Bytes, InstanceStatus, Stamped};

/// Which instances of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Name of the workflow.
    pub workflow: String,
    /// Only those of this status.
    pub status: Option<InstanceStatus>,
    /// Only those created at this moment or later.
    pub from: Option<Timestamp>,
    /// Only those created at this moment or earlier.
    pub until: Option<Timestamp>,
}

/// In which order instances are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By the time of their creation, newest first.
    #[default]
    NewestFirst,
    /// The other way around.
    OldestFirst,
}

/// The place of an instance in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was created.
    pub created: Timestamp,
    /// Its key: of two that were created in the same millisecond the later has the larger.
    pub key: InstanceKey,
}

/// An instance in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where the list goes on after it.
    pub place: Place,
    /// Its id.
    pub id: String,
    /// Its status.
    pub status: InstanceStatus,
    /// How it came to be.
    pub trigger: Trigger,
    /// When its first run began.
    pub started: Option<Timestamp>,
    /// When its status changed last.
    pub modified: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// How many instances of a workflow have a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Name of the workflow.
    pub workflow: String,
    /// The status.
    pub status: InstanceStatus,
    /// How many: at least one.
    pub instances: u64,
    /// When the first of them was created.
    pub first_created: Timestamp,
    /// When the last of them was created.
    pub last_created: Timestamp,
}

/// Everything that is kept of an instance, as of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What is fixed.
    pub fixed: NewInstance,
    /// Its summary.
    pub summary: Summary,
    /// Its journal.
    pub journal: Vec<Stamped>,
    /// The first bytes of its streams, at most 4 KiB of each.
    pub streams: Vec<(AttemptKey, Bytes)>,
}

/// An instance that is not finished, with its journal.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlight {
    /// What is fixed.
    pub fixed: NewInstance,
    /// Its status.
    pub status: InstanceStatus,
    /// Its journal.
    pub journal: Vec<Stamped>,
}

/// How much of a stream is read to show what it is.
pub(super) const STREAM_HEAD_BYTES: usize = 4096;

impl Record {
    /// Its journal as what happened to each step.
    #[must_use]
    pub fn details(&self) -> Details {
        details::of(self.fixed.created, self.journal.iter().cloned())
    }

    /// The first bytes of the stream that this attempt wrote.
    #[must_use]
    pub fn stream_head(&self, attempt: AttemptKey) -> Option<&Bytes> {
        self.streams.iter().find(|(key, _)| *key == attempt).map(|(_, bytes)| bytes)
    }
}

/// What can be read.
pub trait Archive {
    /// Instances that `filter` lets through, at most `limit`: those after `after`, and without the first `skip` of them.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn list(
        &mut self,
        filter: &Filter,
        order: Order,
        after: Option<Place>,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError>;

    /// How many instances `filter` lets through.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn count(&mut self, filter: &Filter) -> Result<u64, StorageError>;

    /// How many instances there are of each workflow and status: of one workflow, or of all.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn counts(&mut self, workflow: Option<&str>) -> Result<Vec<Count>, StorageError>;

    /// The summary of an instance, if there is one of this id.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn summary(&mut self, workflow: &str, id: &str) -> Result<Option<Summary>, StorageError>;

    /// An instance with its journal.
    ///
    /// # Errors
    /// When the medium cannot be read, or an entry is of a kind this version does not know.
    fn record(&mut self, workflow: &str, id: &str) -> Result<Option<Record>, StorageError>;

    /// Instances of the workflows that are `wanted` that are not finished, oldest first: those after `after`, at most `limit`.
    ///
    /// # Errors
    /// When the medium cannot be read, or an entry is of a kind this version does not know.
    fn in_flight(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
        after: InstanceKey,
        limit: usize,
    ) -> Result<Vec<InFlight>, StorageError>;

    /// A piece of a step's output that is a stream.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn piece(&mut self, key: InstanceKey, attempt: AttemptKey, index: u32) -> Result<Option<Bytes>, StorageError>;
}
