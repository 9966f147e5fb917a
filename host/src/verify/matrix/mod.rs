//! The crash matrix: a workflow is killed just before and just after everything that it records, and what comes of it is compared with a run
//! that nobody disturbed.
//!
//! What survives a kill is what was recorded: so a run is begun anew on a copy of what the first run had recorded up to that point
//! (`life`), with the effects that it had had by then. A kill just before a commit and one just after the commit before it leave the
//! same record, and differ by what was done in between: one life answers for both. Only when Durable Objects have a part in it, whose
//! state is beside the record, is every kill done from the beginning on.
//!
//! What is compared (`judge`): how the instance ends and with what, what its steps return, how instances end that it has created, what objects
//! have kept, and how many effects each step has left. Values that differ between two undisturbed runs are not compared: they are drawn
//! anew each time.
//!
//! Promises: nothing is sent to the network unless the scenario allows it; every run has a clock of its own that nobody waits for. Never does:
//! print.

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

/// Commits that are tried, at most: of a longer run as many, drawn from the seed.
pub const POINTS_MAX: usize = 1000;

/// How a matrix is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the workflow is given.
    pub scenario: Arc<Scenario>,
    /// Draws what is drawn.
    pub seed: u64,
    /// Runs that are killed twice.
    pub doubles: usize,
    /// What a run reads between its steps that is another thing each time is an error of it.
    pub strict_determinism: bool,
}

/// What was found of a workflow.
#[derive(Clone, Debug)]
pub struct Report {
    /// The workflow.
    pub workflow: String,
    /// Commits of the undisturbed run.
    pub commits: usize,
    /// Kills that were tried, once each.
    pub kills: usize,
    /// Runs that were killed twice.
    pub doubles: usize,
    /// What was found, one for each step and kind of harm.
    pub findings: Vec<Finding>,
    /// How the undisturbed run ends when it fails.
    pub fails: Option<String>,
    /// Types of events that were waited for in vain.
    pub in_vain: BTreeSet<String>,
    /// What is read between steps that is another thing each time.
    pub places: Vec<Place>,
    /// How long it took.
    pub took: Duration,
}

/// A matrix that could not be made: why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MatrixError(pub(super) String);

/// Runs `workflow` of the Workers of `connected` once, undisturbed.
///
/// # Errors
///
/// When it does not come to an end.
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

/// Kills `workflow` of the Workers of `connected` everywhere.
///
/// # Errors
///
/// When it does not come to an end undisturbed.
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
        // Nobody closes it.
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
    /// Runs the workflow with this kill, and to its end.
    async fn killed(&self, first: &Lived, kill: Kill, answers: &Arc<Answers>) -> Result<Outcome, MatrixError> {
        let mut done = Done::default();
        let life = match kill {
            Kill::At(_) => self.life()?,
            // What objects keep cannot be copied: what was recorded up to there is recorded anew.
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
