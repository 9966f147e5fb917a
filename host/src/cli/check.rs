//! `miniflow check`: loads everything and runs nothing.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::loaded::{load, show};
use super::project::{self, ProjectArgs};
use crate::config::{Problem, Problems};
use crate::report::Style;
use crate::session::Member;

const EXAMPLES: &str = "\
Examples:
  miniflow check                       check the Worker of this folder
  miniflow check -e staging            check the environment `staging`
  miniflow check -c shop -c billing    check two Workers and their bindings to each other

Exit codes: 0 on success, 1 if the check fails, 2 if the arguments are invalid.";

/// Build a Worker and check it against its configuration, without running it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    project: ProjectArgs,

    /// Check the newest component that was built, without building
    #[arg(long, env = "MINIFLOW_NO_BUILD", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_build: bool,
}

/// Checks every Worker that was asked for.
///
/// # Errors
///
/// When one of them could not be served: everything that is wrong.
pub(super) async fn run(args: CheckArgs, style: Style) -> Result<(), Problems> {
    show(&args.project.of_wrangler.note().into_iter().collect(), style);
    let connected = load(args.project.load(project::variable)?, args.no_build, style).await?;
    show(&connected.warnings, style);
    show(&connected.members().map(|(member, _)| summary(member)).collect(), style);
    Ok(())
}

/// Says that a Worker is right, and what is in it.
fn summary(member: &Member) -> Problem {
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let project = &member.project;
    let parts = [
        count(member.workflows.len(), "workflow"),
        count(project.vars.len(), "variable"),
        count(project.crons.len(), "cron trigger"),
        count(project.queue_consumers.len(), "queue"),
        count(project.durable_objects.len(), "Durable Object binding"),
        count(project.kv_namespaces.len(), "KV namespace"),
        count(project.services.len(), "service"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let list = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    Problem::note(format!("`{}` can be served{list}", project.name))
}
