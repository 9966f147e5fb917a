//! The facts in a journal.
//!
//! Stored as MessagePack (structs as arrays, variants by name): a new fact is a new variant, a new detail is a field appended with
//! `#[serde(default)]`. Nothing is ever renamed or reordered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Bytes, ErrorInfo, StepConfig, StepKey, StepNo, StoredStream};
use crate::clock::Timestamp;

/// A fact and when it was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// When.
    pub at: Timestamp,
    /// What.
    pub entry: Entry,
}

/// A fact about an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A run is active: status `running`.
    Running,
    /// Every live branch waits: status `waiting`.
    Waiting,
    /// Something happened for it, no slot is free: status `queued`.
    Queued,
    /// A `do` was asked for the first time, and its first attempt began.
    StepStarted {
        /// Its identity.
        key: StepKey,
        /// See [`super::Step::alone`].
        alone: bool,
        /// Options in force.
        config: Arc<StepConfig>,
        /// Options of its compensation, if it has one.
        #[serde(default)]
        rollback: Option<Arc<StepConfig>>,
        /// It was asked for by the body of another step.
        #[serde(default)]
        nested: bool,
    },
    /// A further attempt began.
    AttemptStarted {
        /// Which step.
        step: StepNo,
        /// Number of the attempt.
        attempt: u32,
    },
    /// The attempt that ran returned; the step is done.
    StepSucceeded {
        /// Which step.
        step: StepNo,
        /// JSON.
        output: Bytes,
    },
    /// The attempt that ran wrote a stream; the step is done.
    StepStreamed {
        /// Which step.
        step: StepNo,
        /// What it wrote.
        stream: StoredStream,
    },
    /// The attempt that ran failed and another will follow.
    AttemptFailed {
        /// Which step.
        step: StepNo,
        /// Why.
        error: ErrorInfo,
        /// When the next may start.
        retry_at: Timestamp,
    },
    /// The attempt that ran was cut by the host. It does not count.
    AttemptInterrupted {
        /// Which step.
        step: StepNo,
    },
    /// The attempt that ran was the last, or its error is not to be retried; the step has failed.
    StepFailed {
        /// Which step.
        step: StepNo,
        /// Why.
        error: ErrorInfo,
    },
    /// The guest dropped the step.
    StepAbandoned {
        /// Which step.
        step: StepNo,
    },
    /// A run asked again for a step that was dropped.
    StepReopened {
        /// Which step.
        step: StepNo,
    },
    /// A sleep was asked for the first time.
    SleepStarted {
        /// Its identity.
        key: StepKey,
        /// See [`super::Step::alone`].
        alone: bool,
        /// When it ends.
        wake_at: Timestamp,
        /// Whether it was asked for by the body of another step; none in records that do not tell.
        #[serde(default)]
        nested: Option<bool>,
    },
    /// A sleep is over.
    SleepCompleted {
        /// Which step.
        step: StepNo,
    },
    /// A wait was asked for the first time.
    WaitStarted {
        /// Its identity.
        key: StepKey,
        /// See [`super::Step::alone`].
        alone: bool,
        /// What it waits for.
        event_type: Arc<str>,
        /// When it gives up.
        deadline: Timestamp,
        /// The timeout asked for.
        timeout_ms: u64,
        /// As of a sleep.
        #[serde(default)]
        nested: Option<bool>,
    },
    /// A wait got an event, which is consumed for ever.
    WaitCompleted {
        /// Which step.
        step: StepNo,
        /// Number of the event, in order of arrival from 0.
        event: u32,
    },
    /// A wait gave up.
    WaitTimedOut {
        /// Which step.
        step: StepNo,
    },
    /// An event arrived.
    EventReceived {
        /// Its type.
        event_type: Arc<str>,
        /// JSON.
        payload: Bytes,
    },
    /// `run` returned. Final.
    Completed {
        /// JSON.
        output: Bytes,
    },
    /// `run` failed. Final.
    Errored {
        /// Why.
        error: ErrorInfo,
    },
    /// A pause was asked for while step bodies run: status `waitingForPause`.
    PauseRequested,
    /// The pause was taken back before it came.
    PauseCancelled,
    /// No body runs: status `paused`. Timers stand still.
    Paused,
    /// Status `queued`. What was left of each timer is left now.
    Resumed,
    /// Stopped by the user. Final.
    Terminated,
    /// Starts again: status `queued`.
    Restarted {
        /// Steps from this one on are forgotten. None: all of them, and the journal before is wiped.
        from: Option<StepNo>,
        /// Entries that were recorded before.
        entries: u64,
    },
    /// Compensations begin: status `rollingBack`. No step is begun or settled any more.
    RollbackStarted {
        /// Why.
        cause: ErrorInfo,
        /// The instance is being terminated; otherwise it has failed.
        terminate: bool,
    },
    /// No compensation is left to do.
    RollbackFinished {
        /// Why not all of them succeeded.
        error: Option<ErrorInfo>,
    },
}

impl Entry {
    /// The step it is about, unless it starts one or is about none.
    #[must_use]
    pub fn step(&self) -> Option<StepNo> {
        match self {
            Self::AttemptStarted { step, .. }
            | Self::StepSucceeded { step, .. }
            | Self::StepStreamed { step, .. }
            | Self::AttemptFailed { step, .. }
            | Self::AttemptInterrupted { step }
            | Self::StepFailed { step, .. }
            | Self::StepAbandoned { step }
            | Self::StepReopened { step }
            | Self::SleepCompleted { step }
            | Self::WaitCompleted { step, .. }
            | Self::WaitTimedOut { step } => Some(*step),
            _ => None,
        }
    }

    /// What it takes of the room an instance has, in bytes: all that guests and senders of events have put into it. The end of an
    /// instance takes none, for it can always be recorded.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let text = |text: &str| text.len() as u64;
        match self {
            Self::StepStarted { key, .. } | Self::SleepStarted { key, .. } => text(&key.name),
            Self::WaitStarted { key, event_type, .. } => text(&key.name) + text(event_type),
            Self::StepSucceeded { output, .. } | Self::Completed { output } => output.len() as u64,
            Self::StepStreamed { stream, .. } => stream.bytes,
            Self::AttemptFailed { error, .. } | Self::StepFailed { error, .. } => {
                text(&error.name) + text(&error.message) + error.backtrace.as_deref().map_or(0, text)
            }
            Self::EventReceived { event_type, payload } => text(event_type) + payload.len() as u64,
            _ => 0,
        }
    }

    /// Whether it starts a step.
    #[must_use]
    pub fn starts_step(&self) -> bool {
        matches!(self, Self::StepStarted { .. } | Self::SleepStarted { .. } | Self::WaitStarted { .. })
    }

    /// Whether it changes what the deadlines of all steps mean.
    #[must_use]
    pub fn moves_all_timers(&self) -> bool {
        matches!(
            self,
            Self::Completed { .. }
                | Self::Errored { .. }
                | Self::Terminated
                | Self::PauseCancelled
                | Self::Paused
                | Self::Resumed
                | Self::Restarted { .. }
                | Self::RollbackStarted { .. }
        )
    }
}
