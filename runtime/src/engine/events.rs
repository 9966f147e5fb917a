//! A journal as the events that subscribers see.
//!
//! Ids grow and are never given twice, also over a restart; they have gaps.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Bytes, Entry, ErrorInfo, Instance, Stamped, StepConfig, StepKey, StepKind, StepNo, StepState};
use crate::clock::Timestamp;

/// Events of one entry at most.
const PER_ENTRY: u64 = 4;

/// Something that happened to an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceEvent {
    /// Grows from event to event.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// What happened. Names and fields are the documented ones.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// It was accepted, woken without a free slot, resumed or restarted.
    WorkflowQueued,
    /// Its first run began.
    WorkflowStarted {
        /// JSON.
        params: Bytes,
    },
    /// It runs.
    WorkflowRunning,
    /// It is paused.
    WorkflowPaused,
    /// It will be paused when its bodies are finished.
    WorkflowWaitingForPause,
    /// It waits.
    WorkflowWaiting,
    /// It returned.
    WorkflowCompleted {
        /// JSON.
        output: Bytes,
    },
    /// It failed.
    WorkflowErrored {
        /// Why.
        error: ErrorInfo,
    },
    /// It was terminated.
    WorkflowTerminated,
    /// A step, or (`rollback`) the compensation of one.
    Step {
        /// `<name>-<count>`.
        step: StepKey,
        /// It is a compensation.
        rollback: bool,
        /// What of it.
        what: StepEvent,
    },
    /// Compensations begin.
    RollbackStarted {
        /// Why.
        cause: ErrorInfo,
    },
    /// All of them succeeded.
    RollbackCompleted,
    /// One failed.
    RollbackErrored {
        /// Why.
        error: ErrorInfo,
    },
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq)]
pub enum StepEvent {
    /// It was asked for the first time.
    Started {
        /// Options in force.
        config: Arc<StepConfig>,
    },
    /// It succeeded.
    Completed {
        /// What it returned.
        output: StepOutput,
    },
    /// It failed for good.
    Errored {
        /// Why.
        error: ErrorInfo,
    },
    /// An attempt began.
    AttemptStarted {
        /// From 1.
        attempt: u32,
    },
    /// An attempt succeeded.
    AttemptCompleted {
        /// From 1.
        attempt: u32,
    },
    /// An attempt failed.
    AttemptErrored {
        /// From 1.
        attempt: u32,
        /// Why.
        error: ErrorInfo,
        /// Milliseconds until the next, if there is one.
        retry_delay_ms: Option<u64>,
    },
    /// A sleep began.
    SleepStarted {
        /// How long.
        duration_ms: u64,
    },
    /// A sleep ended.
    SleepCompleted,
    /// A wait began.
    WaitStarted {
        /// For which type of event.
        event_type: Arc<str>,
    },
    /// A wait got its event.
    WaitCompleted,
    /// A wait gave up.
    WaitTimedOut,
}

/// What a step returned, as it may be shown.
#[derive(Clone, Debug, PartialEq)]
pub enum StepOutput {
    /// JSON.
    Json(Bytes),
    /// A stream of this many bytes.
    Stream(u64),
    /// The step said that it must not be shown.
    Redacted,
    /// Of a compensation.
    Nothing,
}

impl EventKind {
    /// The documented name of the type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::WorkflowQueued => "workflow_queued",
            Self::WorkflowStarted { .. } => "workflow_started",
            Self::WorkflowRunning => "workflow_running",
            Self::WorkflowPaused => "workflow_paused",
            Self::WorkflowWaitingForPause => "workflow_waiting_for_pause",
            Self::WorkflowWaiting => "workflow_waiting",
            Self::WorkflowCompleted { .. } => "workflow_completed",
            Self::WorkflowErrored { .. } => "workflow_errored",
            Self::WorkflowTerminated => "workflow_terminated",
            Self::RollbackStarted { .. } => "rollback_started",
            Self::RollbackCompleted => "rollback_completed",
            Self::RollbackErrored { .. } => "rollback_errored",
            Self::Step { rollback, what, .. } => match (what, rollback) {
                (StepEvent::Started { .. }, false) => "step_started",
                (StepEvent::Started { .. }, true) => "rollback_step_started",
                (StepEvent::Completed { .. }, false) => "step_completed",
                (StepEvent::Completed { .. }, true) => "rollback_step_completed",
                (StepEvent::Errored { .. }, false) => "step_errored",
                (StepEvent::Errored { .. }, true) => "rollback_step_errored",
                (StepEvent::AttemptStarted { .. }, false) => "attempt_started",
                (StepEvent::AttemptStarted { .. }, true) => "rollback_attempt_started",
                (StepEvent::AttemptCompleted { .. }, false) => "attempt_completed",
                (StepEvent::AttemptCompleted { .. }, true) => "rollback_attempt_completed",
                (StepEvent::AttemptErrored { .. }, false) => "attempt_errored",
                (StepEvent::AttemptErrored { .. }, true) => "rollback_attempt_errored",
                (StepEvent::SleepStarted { .. }, _) => "sleep_started",
                (StepEvent::SleepCompleted, _) => "sleep_completed",
                (StepEvent::WaitStarted { .. }, _) => "wait_started",
                (StepEvent::WaitCompleted, _) => "wait_completed",
                (StepEvent::WaitTimedOut, _) => "wait_timed_out",
            },
        }
    }

    /// Every name there is.
    pub const NAMES: [&'static str; 29] = [
        "workflow_queued",
        "workflow_started",
        "workflow_running",
        "workflow_paused",
        "workflow_waiting_for_pause",
        "workflow_waiting",
        "workflow_completed",
        "workflow_errored",
        "workflow_terminated",
        "step_started",
        "step_completed",
        "step_errored",
        "attempt_started",
        "attempt_completed",
        "attempt_errored",
        "sleep_started",
        "sleep_completed",
        "wait_started",
        "wait_completed",
        "wait_timed_out",
        "rollback_started",
        "rollback_step_started",
        "rollback_step_completed",
        "rollback_step_errored",
        "rollback_attempt_started",
        "rollback_attempt_completed",
        "rollback_attempt_errored",
        "rollback_completed",
        "rollback_errored",
    ];

    /// Whether the instance has come to its end.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Self::WorkflowCompleted { .. } | Self::WorkflowErrored { .. } | Self::WorkflowTerminated)
    }
}

/// Makes events of entries, in their order from the first.
#[derive(Debug)]
pub struct Projector {
    instance: Instance,
    params: Bytes,
    begun: bool,
}

impl Projector {
    /// For an instance with these params, JSON.
    #[must_use]
    pub fn new(params: impl AsRef<[u8]>) -> Self {
        Self { instance: Instance::new(), params: Bytes::copy_from_slice(params.as_ref()), begun: false }
    }

    /// Appends the events of the next entry to `events`. A restart from the start takes back what is in `events`: it is not
    /// history any more.
    pub fn take(&mut self, stamped: &Stamped, events: &mut VecDeque<InstanceEvent>) {
        if let Entry::Restarted { from: None, .. } = stamped.entry {
            events.clear();
            self.begun = false;
        }
        let mut kinds = Vec::new();
        let entries = match &stamped.entry {
            Entry::Restarted { entries, .. } => *entries,
            _ => self.instance.entries(),
        };
        if !std::mem::replace(&mut self.begun, true) {
            kinds.push(EventKind::WorkflowQueued);
        }
        self.kinds(stamped, &mut kinds);
        let mut evolved = stamped.clone();
        if let Entry::StepSucceeded { output, .. } = &mut evolved.entry {
            // Nobody asks the projection for outputs.
            *output = Bytes::new();
        }
        self.instance.evolve(evolved);
        let first = (entries + 1) * PER_ENTRY;
        events.extend((first..).zip(kinds).map(|(id, kind)| InstanceEvent { id, at: stamped.at, kind }));
    }

    fn kinds(&self, stamped: &Stamped, kinds: &mut Vec<EventKind>) {
        match &stamped.entry {
            Entry::Running | Entry::PauseCancelled => {
                if self.instance.steps().is_empty() && self.instance.entries() == 0
                    || matches!(self.instance.status(), super::InstanceStatus::Queued)
                        && self.instance.steps().is_empty()
                {
                    kinds.push(EventKind::WorkflowStarted { params: self.params.clone() });
                }
                kinds.push(EventKind::WorkflowRunning);
            }
            Entry::Waiting => kinds.push(EventKind::WorkflowWaiting),
            Entry::Queued | Entry::Resumed => kinds.push(EventKind::WorkflowQueued),
            // Of a restart from the start the first event says it.
            Entry::Restarted { from, .. } => kinds.extend(from.map(|_| EventKind::WorkflowQueued)),
            Entry::PauseRequested => kinds.push(EventKind::WorkflowWaitingForPause),
            Entry::Paused => kinds.push(EventKind::WorkflowPaused),
            Entry::Terminated => kinds.push(EventKind::WorkflowTerminated),
            Entry::Completed { output } => kinds.push(EventKind::WorkflowCompleted { output: output.clone() }),
            Entry::Errored { error } => kinds.push(EventKind::WorkflowErrored { error: error.clone() }),
            Entry::RollbackStarted { cause, .. } => kinds.push(EventKind::RollbackStarted { cause: cause.clone() }),
            Entry::RollbackFinished { error: None } => kinds.push(EventKind::RollbackCompleted),
            Entry::RollbackFinished { error: Some(error) } => {
                kinds.push(EventKind::RollbackErrored { error: error.clone() });
            }
            Entry::EventReceived { .. } | Entry::StepAbandoned { .. } | Entry::StepReopened { .. } => {}
            Entry::StepStarted { key, config, .. } => {
                kinds.push(of(key, StepEvent::Started { config: Arc::clone(config) }));
                kinds.push(of(key, StepEvent::AttemptStarted { attempt: 1 }));
            }
            Entry::SleepStarted { key, wake_at, .. } => {
                let duration_ms = wake_at.0.saturating_sub(stamped.at.0);
                kinds.push(of(key, StepEvent::SleepStarted { duration_ms }));
            }
            Entry::WaitStarted { key, event_type, .. } => {
                kinds.push(of(key, StepEvent::WaitStarted { event_type: Arc::clone(event_type) }));
            }
            Entry::AttemptStarted { step, .. }
            | Entry::StepSucceeded { step, .. }
            | Entry::StepStreamed { step, .. }
            | Entry::AttemptFailed { step, .. }
            | Entry::AttemptInterrupted { step }
            | Entry::StepFailed { step, .. }
            | Entry::SleepCompleted { step }
            | Entry::WaitCompleted { step, .. }
            | Entry::WaitTimedOut { step } => self.step_kinds(*step, stamped, kinds),
        }
    }

    fn step_kinds(&self, no: StepNo, stamped: &Stamped, kinds: &mut Vec<EventKind>) {
        let Some(step) = self.instance.step(no) else { return };
        let (attempt, sensitive) = match &step.state {
            StepState::Executing { attempt, config, .. } => (*attempt, config.sensitive_output),
            _ => (0, false),
        };
        let completed = |output| [StepEvent::AttemptCompleted { attempt }, StepEvent::Completed { output }];
        let shown = |output| if sensitive { StepOutput::Redacted } else { output };
        let mut push = |what| kinds.push(of(&step.key, what));
        match &stamped.entry {
            Entry::AttemptStarted { attempt, .. } => push(StepEvent::AttemptStarted { attempt: *attempt }),
            Entry::StepSucceeded { .. } if step.key.kind == StepKind::Rollback => {
                completed(StepOutput::Nothing).into_iter().for_each(push);
            }
            Entry::StepSucceeded { output, .. } => {
                completed(shown(StepOutput::Json(output.clone()))).into_iter().for_each(push);
            }
            Entry::StepStreamed { stream, .. } => {
                completed(shown(StepOutput::Stream(stream.bytes))).into_iter().for_each(push);
            }
            Entry::AttemptFailed { error, retry_at, .. } => {
                let retry_delay_ms = Some(retry_at.0.saturating_sub(stamped.at.0));
                push(StepEvent::AttemptErrored { attempt, error: error.clone(), retry_delay_ms });
            }
            Entry::AttemptInterrupted { .. } => {
                let error = super::text::attempt_lost();
                push(StepEvent::AttemptErrored { attempt, error, retry_delay_ms: Some(0) });
            }
            Entry::StepFailed { error, .. } => {
                push(StepEvent::AttemptErrored { attempt, error: error.clone(), retry_delay_ms: None });
                push(StepEvent::Errored { error: error.clone() });
            }
            Entry::SleepCompleted { .. } => push(StepEvent::SleepCompleted),
            Entry::WaitCompleted { .. } => push(StepEvent::WaitCompleted),
            Entry::WaitTimedOut { .. } => push(StepEvent::WaitTimedOut),
            _ => {}
        }
    }
}

fn of(key: &StepKey, what: StepEvent) -> EventKind {
    EventKind::Step { step: key.clone(), rollback: key.kind == StepKind::Rollback, what }
}
