//! One named unit of an instance: `do`, `sleep` or `waitForEvent`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Bytes, ErrorInfo, StepConfig};
use crate::clock::Timestamp;

/// What kind of step. `sleep` and `sleepUntil` are one kind and share their counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StepKind {
    /// `step.do`
    #[serde(rename = "do")]
    Do,
    /// `step.sleep`, `step.sleepUntil`
    #[serde(rename = "sleep")]
    Sleep,
    /// `step.waitForEvent`
    #[serde(rename = "wait")]
    Wait,
    /// The compensation of the `do` of the same name and count.
    #[serde(rename = "rollback")]
    Rollback,
}

/// What a replay finds a step by: kind, name, and how often the pair was asked for in the run, from 1. Never a duration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// Kind of the step.
    pub kind: StepKind,
    /// Name given by the user.
    pub name: Arc<str>,
    /// Occurrence, from 1.
    pub count: u32,
}

impl StepKey {
    /// Returns the key of the `count`-th step of this kind and name.
    pub fn new(kind: StepKind, name: impl Into<Arc<str>>, count: u32) -> Self {
        Self { kind, name: name.into(), count }
    }
}

/// `<name>-<count>`, as Cloudflare's logs name a step.
impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.count)
    }
}

/// Which step of its instance: steps are numbered from 0 in the order they were first asked for.
pub type StepNo = u32;

/// A step and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its identity.
    pub key: StepKey,
    /// Whether no other call of the run was open when it was first asked for. A replay uses it to know where the
    /// code was sequential.
    pub alone: bool,
    /// Whether it was asked for by the body of another step, which cannot come to its end without it; none where the record does not
    /// tell.
    pub nested: Option<bool>,
    /// How it is compensated, if it is.
    pub undo: Option<Box<Undo>>,
    /// Where it stands.
    pub state: StepState,
}

impl Step {
    /// Whether the record says that the body of another step asked for it.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.nested == Some(true)
    }
}

/// The compensation of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo {
    /// Options of the compensation.
    pub config: Arc<StepConfig>,
    /// Options of the step.
    pub step_config: Arc<StepConfig>,
    /// The step's last attempt.
    pub attempt: u32,
}

/// A compensation that is to be run, and what its handler is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Compensation {
    /// The step to be undone.
    pub step: StepKey,
    /// Its last attempt.
    pub step_attempt: u32,
    /// Its options.
    pub step_config: Arc<StepConfig>,
    /// What it returned.
    pub output: Option<Bytes>,
    /// Why everything is undone.
    pub cause: ErrorInfo,
    /// Number of this attempt of the compensation.
    pub attempt: u32,
    /// Its options.
    pub config: Arc<StepConfig>,
}

/// An output that is a stream: its bytes are kept beside the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredStream {
    /// The attempt that wrote it.
    pub attempt: u32,
    /// Pieces it is kept in.
    pub chunks: u32,
    /// Bytes in all.
    pub bytes: u64,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// An attempt is running in a guest, or was when the process ended.
    Executing {
        /// Number of the attempt, from 1.
        attempt: u32,
        /// When it times out.
        deadline: Timestamp,
        /// Options in force since the first attempt.
        config: Arc<StepConfig>,
    },
    /// Waiting out the delay before the next attempt.
    Retrying {
        /// Number the next attempt will have.
        next_attempt: u32,
        /// When it may start.
        at: Timestamp,
        /// Options in force since the first attempt.
        config: Arc<StepConfig>,
    },
    /// The guest dropped the step. Asking again, in a later run, takes it up again.
    Abandoned {
        /// Where it stood.
        was: Box<Self>,
    },
    /// A sleep.
    Sleeping {
        /// When it ends.
        wake_at: Timestamp,
    },
    /// A wait for an event.
    Waiting {
        /// What it waits for.
        event_type: Arc<str>,
        /// When it gives up.
        deadline: Timestamp,
        /// The timeout as asked for, for the error text.
        timeout_ms: u64,
    },
    /// Final.
    Done(Outcome),
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A `do` returned this.
    Output(Bytes),
    /// A `do` wrote this. The step's number finds it.
    Stream(StepNo, StoredStream),
    /// A `do` used up its attempts, or a wait timed out.
    Failed(ErrorInfo),
    /// A sleep is over.
    Elapsed,
    /// A wait received this.
    Event(ReceivedEvent),
    /// In the journal; not kept in memory, because the run that is active has seen it.
    Stored,
}

/// An event that was sent to the instance.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedEvent {
    /// Its type.
    pub event_type: Arc<str>,
    /// JSON.
    pub payload: Bytes,
    /// When it arrived.
    pub timestamp: Timestamp,
}

/// What can be said to a guest that asks for a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Run this attempt.
    Execute {
        /// Number of the attempt.
        attempt: u32,
        /// Options in force.
        config: Arc<StepConfig>,
    },
    /// Run this compensation.
    Compensate(Box<Compensation>),
    /// `run` has failed, and its steps are to be compensated.
    RollBack,
    /// It is over.
    Settled(Outcome),
    /// It was not done after all: ask again, and wait.
    Later,
}

impl StepState {
    /// When this state changes by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Executing { deadline, .. } | Self::Waiting { deadline, .. } => Some(*deadline),
            Self::Retrying { at, .. } => Some(*at),
            Self::Sleeping { wake_at } => Some(*wake_at),
            Self::Abandoned { .. } | Self::Done(_) => None,
        }
    }

    /// Whether the run still awaits it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Done(_) | Self::Abandoned { .. })
    }
}
