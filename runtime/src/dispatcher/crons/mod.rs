//! Cron expressions that fire: the schedules of workflows and the triggers of Workers.
//!
//! The moments that an expression matches are its *boundaries*. How far each expression has come is kept in the storage, written in the
//! very commit that has the instance, or before the handler is called. So a boundary fires once: after a restart, after the instance
//! was deleted, and whatever the time at which the dispatcher gets to it.
//!
//! A boundary is *missed* when nobody was there: the process was not running, or time has leapt (the machine slept), which the clock
//! knows ([`crate::Clock::passed_over`]). Whoever moves a clock stops at each boundary, so it is seen in time. What becomes of what was missed is the session's choice: [`CatchUp`].

mod fire;
mod timetable;

use std::sync::Arc;

pub(super) use timetable::Timetable;

use crate::clock::{Hold, Timestamp};
use crate::cron::Cron;
use crate::storage::CronTarget;

/// What becomes of boundaries that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// They are skipped, for ever.
    #[default]
    None,
    /// Of each expression the last one fires.
    Latest,
    /// All fire, oldest first.
    All,
}

/// A trigger that calls the handler of a Worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronTrigger {
    /// Which Worker.
    pub worker: String,
    /// When.
    pub cron: Cron,
}

/// Handlers for cron triggers: the port to whatever Workers are.
pub trait CronRunner: Send + Sync + 'static {
    /// Calls a Worker's handler. Must not block: it is called on the dispatcher's thread. What has been fired is durable, so it is
    /// never fired again.
    fn fire(&self, firing: Firing);

    /// Is told what a schedule did. As [`Self::fire`].
    fn made(&self, made: Made) {
        let _ = made;
    }
}

/// A schedule that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Whose schedule.
    pub workflow: String,
    /// As it was written.
    pub cron: String,
    /// The boundary, also when it is late.
    pub time: Timestamp,
    /// The instance of that boundary.
    pub id: String,
    /// False: it was there already.
    pub is_new: bool,
}

/// A trigger that fires.
#[derive(Debug)]
pub struct Firing {
    /// Which Worker's.
    pub worker: String,
    /// As it was written.
    pub cron: String,
    /// The boundary, also when it is late.
    pub time: Timestamp,
    /// To be kept until the handler has ended.
    pub hold: Hold,
}

/// What fires besides the schedules of workflows, and how.
#[derive(Clone)]
pub struct CronOptions {
    /// Triggers of Workers.
    pub triggers: Vec<CronTrigger>,
    /// Their handlers. None: triggers do not fire.
    pub runner: Option<Arc<dyn CronRunner>>,
    /// What becomes of what was missed.
    pub catch_up: CatchUp,
    /// Whether anything fires by itself. What does not is missed, for a later session that does fire.
    pub fires: bool,
}

impl Default for CronOptions {
    fn default() -> Self {
        Self { triggers: Vec::new(), runner: None, catch_up: CatchUp::default(), fires: true }
    }
}

/// Boundaries of one expression that were missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Whose expression it is.
    pub target: CronTarget,
    /// As it was written.
    pub cron: String,
    /// How many.
    pub count: u64,
    /// The last of them.
    pub latest: Timestamp,
    /// How many of them are fired now.
    pub runs: u64,
}

/// An expression of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronState {
    /// Whose it is.
    pub target: CronTarget,
    /// The expression.
    pub cron: Cron,
    /// The last boundary that was fired in this session.
    pub last: Option<Timestamp>,
    /// The next boundary that fires by itself.
    pub next: Option<Timestamp>,
}
