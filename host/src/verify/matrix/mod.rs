//! The crash matrix: kills a workflow before and after every commit and compares each outcome with an undisturbed
//! run.
//!
//! A kill keeps exactly what was committed. Each run therefore starts from a copy of the first commits of the undisturbed run
//! (`life`), together with the effects up to there. A kill just before a commit and a kill just after the previous one leave the
//! same record, so one run covers both. Durable Objects store data beside the record: workflows that use them run every kill
//! from the beginning.
//!
//! The comparison (`judge`) covers the end of the instance, step results, ends of created instances, stored data of objects
//! and the effects of each step. Values that differ between two undisturbed runs are random and not compared.
//!
//! **Guarantees.** No request reaches the network unless the scenario allows it. Every run has its own clock, which never waits in real time.
//! **Non-goals.** Printing.

mod judge;
mod life;
mod plan;

pub use judge::{Finding, Harm};
pub use plan::{Kill, Point};

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::clock::Stopwatch;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::judge::{Expected, Outcome, collect};
use self::life::{Lived, Stage};
use super::scenario::Scenario;
use super::world::{Answers, Done};
use crate::session::Connected;
use crate::wasm::determinism::{Determinism, Place};

/// Limit of tried commits. A longer run is sampled with the seed.
pub const POINTS_MAX: usize = 1000;

/// Options of a crash matrix.
#[derive(Clone, Debug)]
pub struct Options {
    /// Input of the workflow.
    pub scenario: Arc<Scenario>,
    /// Seed of the random choices.
    pub seed: u64,
    /// Number of runs that are killed twice.
    pub doubles: usize,
    /// Whether a run fails if it reads the clock, randomness or environment outside a step.
    pub strict_determinism: bool,
}

/// Report for one workflow.
#[derive(Clone, Debug)]
pub struct Report {
    /// Workflow name.
    pub workflow: String,
    /// Number of commits in the undisturbed run.
    pub commits: usize,
    /// Number of single kills that were tried.
    pub kills: usize,
    /// Number of runs that were killed twice.
    pub doubles: usize,
    /// Violations, one for each step and kind.
    pub findings: Vec<Finding>,
    /// Error of the undisturbed run, if it fails.
    pub fails: Option<String>,
    /// Event types of waits that timed out.
    pub in_vain: BTreeSet<String>,
    /// Nondeterministic reads between steps.
    pub places: Vec<Place>,
    /// Duration of the check.
    pub took: Duration,
}

/// Error of a check that could not be completed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MatrixError(pub(super) String);

/// Runs `workflow` once without a kill.
///
/// # Errors
///
/// Fails if the instance does not end.
pub async fn run_once(connected: &Arc<Connected>, workflow: &str, options: &Options) -> Result<Report, MatrixError> {
    let since = Stopwatch::start();
    let determinism = Arc::new(Determinism::new(options.strict_determinism));
    let stage = Stage::new(connected, workflow, &options.scenario, &determinism)?;
    let lived = stage.first().await?;
    Ok(report(workflow, &lived, &determinism, since))
}

fn report(workflow: &str, lived: &Lived, determinism: &Determinism, since: Stopwatch) -> Report {
    Report {
        workflow: workflow.to_owned(),
        commits: lived.commits.len(),
        kills: 0,
        doubles: 0,
        findings: Vec::new(),
        fails: lived.outcome.failure(),
        in_vain: lived.in_vain.clone(),
        places: determinism.places(),
        took: since.elapsed(),
    }
}

/// Runs the crash matrix of `workflow`.
///
/// # Errors
///
/// Fails if the undisturbed run does not end.
pub async fn crash_matrix(
    connected: &Arc<Connected>,
    workflow: &str,
    options: &Options,
) -> Result<Report, MatrixError> {
    let since = Stopwatch::start();
    let determinism = Arc::new(Determinism::new(options.strict_determinism));
    let stage = Arc::new(Stage::new(connected, workflow, &options.scenario, &determinism)?);
    let first = stage.first().await?;
    let again = stage.first().await?;
    let kills = plan::kills(first.commits.len(), options, first.has_beside);
    let (answers, first) = (Arc::new(first.answers.clone()), Arc::new(first));
    let expected = Expected::new(&first.outcome, &again.outcome);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let turns = Arc::new(Semaphore::new(cores));
    let mut tasks = JoinSet::new();
    for (number, kill) in kills.iter().copied().enumerate() {
        // // The semaphore is never closed.
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { break };
        let (stage, first, answers) = (Arc::clone(&stage), Arc::clone(&first), Arc::clone(&answers));
        tasks.spawn(async move {
            let _turn = turn;
            (number, stage.killed(&first, kill, &answers).await)
        });
    }
    let mut ended = tasks.join_all().await;
    ended.sort_by_key(|(number, _)| *number);
    let found = ended.into_iter().flat_map(|(number, ended)| {
        let kill = kills[number];
        let (cut, last) = (first.suspects(kill), first.last_settled(kill));
        match ended {
            Ok(outcome) => expected.harms(&outcome, cut, last, kill),
            Err(MatrixError(why)) => vec![Finding::new(cut.first().cloned(), Harm::Stuck { why }, kill)],
        }
    });
    let findings = collect(found, &first.commits);
    let doubles = kills.iter().filter(|kill| matches!(kill, Kill::Twice(..))).count();
    let singles: usize = kills.iter().map(|kill| kill.answers_for()).sum();
    Ok(Report {
        kills: singles,
        doubles,
        findings,
        took: since.elapsed(),
        ..report(workflow, &first, &determinism, since)
    })
}

impl Stage {
    /// Runs the workflow with this kill, then to its end.
    async fn killed(&self, first: &Lived, kill: Kill, answers: &Arc<Answers>) -> Result<Outcome, MatrixError> {
        let mut done = Done::default();
        let life = match kill {
            Kill::At(_) => self.life()?,
            // // The data of Durable Objects cannot be copied: the commits up to the kill are recorded again.
            Kill::Twice(commit, _) if first.has_beside => {
                let life = self.life()?;
                done = self.live(&life, Some(Point::After(commit)), answers).await?.done;
                life
            }
            Kill::From(commit) | Kill::Twice(commit, _) => {
                let until = first.commits.get(commit).map_or(first.done.effects.len(), |next| next.effects_before);
                done.effects.extend_from_slice(&first.done.effects[..until]);
                self.copy(first, commit)?
            }
        };
        if let Kill::At(point) | Kill::Twice(_, point) = kill {
            done.extend(self.live(&life, Some(point), answers).await?.done);
        }
        let mut lived = self.live(&life, None, answers).await?;
        done.extend(lived.done);
        lived.outcome.done = done;
        Ok(lived.outcome)
    }
}
