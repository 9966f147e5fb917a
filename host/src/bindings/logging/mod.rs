//! The console of a guest: what it logs, with the place in the workflow it came from.
//!
//! Promises: a line goes to the sink once, whole and in order. Never does: decide how a line looks.

mod host;

use std::sync::Arc;

use miniflow_runtime::Clock;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `console.debug`
    Debug,
    /// `console.info`
    Info,
    /// `console.log`, and what is written to standard output.
    Log,
    /// `console.warn`
    Warn,
    /// `console.error`, and what is written to standard error.
    Error,
}

impl Level {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Log => "log",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// An instance of a workflow, by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceLabel {
    /// Name of the workflow.
    pub workflow: String,
    /// Id of the instance.
    pub id: String,
}

/// The attempt of a step that was running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepLabel {
    /// Name of the step.
    pub name: String,
    /// How many-th step of that name, from 1.
    pub count: u32,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// A line of a guest's console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The text, without a line end at its end. May have several lines.
    pub message: String,
    /// Name of the Worker.
    pub worker: String,
    /// The instance whose run printed it; none outside of workflows.
    pub instance: Option<InstanceLabel>,
    /// The step it came from; none outside of steps, and when several are running in parallel.
    pub step: Option<StepLabel>,
}

/// Where the lines of all guests go.
pub trait LogSink: Send + Sync + 'static {
    /// Takes a line. Called from the guests' own tasks: must not block.
    fn line(&self, line: LogLine);

    /// Says by which clock things happen. Called once, before there are lines.
    fn keep_time(&self, _clock: Arc<dyn Clock>) {}
}
