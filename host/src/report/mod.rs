//! Text for people: what they read on the terminal.
//!
//! Everything here is a pure function to a `String`, except [`terminal`], which is the only place that writes: to
//! standard error, since nothing of it is data. All of it can be read without colour.
//!
//! Never decides anything: no exit codes, no environment variables.

mod style;

mod banner;
mod cron;
mod matrix;
mod problems;
mod reload;
mod replay;
mod time;

mod details;
mod follow;
mod json;
mod table;
mod told;
mod workflows;

pub mod keys;
pub mod log;
pub mod terminal;

pub(crate) use banner::units;
pub use banner::{Banner, Served, StateKept, missed};
pub use cron::{crons, fired};
pub use details::{Shown, details};
pub use follow::Followed;
pub use json::indented;
pub use matrix::{matrix, matrix_json};
pub use problems::{problem, problems};
pub use reload::{changed, checking, kept, reload, unchanged};
pub use replay::{Replayed, replays, replays_json};
pub use style::Style;
pub use time::time;
pub use told::{Details, Listed, Page, Workflow};
pub use workflows::{instances, workflow, workflows};

#[cfg(test)]
mod tests;
