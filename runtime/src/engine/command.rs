//! Everything that can be asked of an instance.

use std::sync::Arc;

use super::{Bytes, ErrorInfo, InstanceStatus, Retry, StepConfig, StepKey, StepNo, StoredStream};
use crate::clock::Timestamp;

/// What the engine is told about the moment of a command.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The present moment.
    pub now: Timestamp,
    /// Whether a run is active. Otherwise the facts wait for the next one.
    pub active: bool,
}

/// A request to the engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// A run begins. Attempts that are still executing belong to a run that is gone with its process.
    RunStarted,
    /// The guest asks for a `do`.
    BeginStep {
        /// Which.
        key: StepKey,
        /// Options, resolved.
        config: Arc<StepConfig>,
        /// Options of its compensation, resolved.
        rollback: Option<Arc<StepConfig>>,
        /// See [`super::Step::nested`].
        nested: bool,
        /// See [`super::Step::alone`].
        alone: bool,
    },
    /// A body returned.
    Succeed {
        /// Which step.
        key: StepKey,
        /// Which attempt.
        attempt: u32,
        /// JSON.
        output: Bytes,
    },
    /// A body failed.
    Fail {
        /// Which step.
        key: StepKey,
        /// Which attempt.
        attempt: u32,
        /// Why.
        error: ErrorInfo,
        /// Whether and when there is another attempt, as far as the guest decides it.
        retry: Retry,
    },
    /// A body was given up because of its timeout.
    Expire {
        /// Which step.
        key: StepKey,
        /// Which attempt.
        attempt: u32,
        /// As in `Fail`.
        retry: Retry,
    },
    /// A body wrote a stream to its end.
    Finish {
        /// Which step.
        key: StepKey,
        /// Which attempt.
        attempt: u32,
        /// What it wrote.
        stream: StoredStream,
    },
    /// The guest dropped a step that is not done.
    Abandon {
        /// Which step.
        key: StepKey,
    },
    /// The guest asks for a sleep.
    BeginSleep {
        /// Which.
        key: StepKey,
        /// When it ends, if it is new.
        wake_at: Timestamp,
        /// See [`super::Step::nested`].
        nested: bool,
        /// See [`super::Step::alone`].
        alone: bool,
    },
    /// The guest asks for an event.
    BeginWait {
        /// Which.
        key: StepKey,
        /// What it waits for.
        event_type: Arc<str>,
        /// For how long, if it is new.
        timeout_ms: u64,
        /// See [`super::Step::nested`].
        nested: bool,
        /// See [`super::Step::alone`].
        alone: bool,
    },
    /// Nothing can happen in the run before a timer or an event.
    Idle,
    /// `run` ended.
    Settle {
        /// With this.
        outcome: Result<Bytes, ErrorInfo>,
    },
    /// The guest trapped.
    Trap {
        /// What it died of.
        error: ErrorInfo,
        /// The step whose body was running then, if one was.
        culprit: Option<(StepKey, u32)>,
        /// Whether the run had not come to anything new yet.
        replaying: bool,
    },
    /// More was to be recorded of it than may be kept.
    Exceed,
    /// The host cuts a run that has bodies running: shutdown, reload.
    Interrupt,
    /// The deadline of a step has passed.
    Due {
        /// Which step.
        step: StepNo,
        /// Whether the active run has asked for it and waits for the answer.
        attached: bool,
    },
    /// Somebody sends an event.
    SendEvent {
        /// Its type.
        event_type: Arc<str>,
        /// JSON.
        payload: Bytes,
    },
    /// Somebody pauses it.
    Pause {
        /// The active run has bodies running, or results on their way.
        busy: bool,
    },
    /// No body of the run that is to be paused runs any more.
    Held,
    /// Somebody resumes it, or takes a pause back.
    Resume,
    /// Somebody terminates it.
    Terminate {
        /// Its steps are to be compensated first.
        rollback: bool,
    },
    /// Somebody restarts it.
    Restart {
        /// Keeping what comes before this step. None: from the start.
        from: Option<StepKey>,
    },
    /// The guest is ready for the next compensation.
    NextRollback,
}

/// A command that is not allowed now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The instance has finished.
    #[error("the instance is {0}")]
    Finished(InstanceStatus),
    /// The step to restart from is not in the history.
    #[error("there is no step `{0}` in the history")]
    NoSuchStep(StepKey),
}
