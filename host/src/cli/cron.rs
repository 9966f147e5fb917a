//! `miniflow cron`: lists what fires by itself on a server that runs, and fires it by hand.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{self, ServerArgs};
use super::time::moment_ms;
use crate::config::{Problem, Problems};
use crate::report::{self, terminal};

const PATH: &str = "/cdn-cgi/local/miniflow/cron";

const EXAMPLES: &str = "\
Examples:
  miniflow cron                                     list triggers, next times and last results
  miniflow cron fire '*/5 * * * *'                  fire the trigger now
  miniflow cron fire '0 9 * * MON-FRI' --at 2027-01-04T09:00:00Z";

const LIST_EXAMPLES: &str = "\
Examples:
  miniflow cron list                list each expression with its next five times
  miniflow cron list --json | jq -r '.crons[].next[0].iso'";

const FIRE_EXAMPLES: &str = "\
Examples:
  miniflow cron fire '*/5 * * * *'                          fire the trigger now
  miniflow cron fire '0 0 1 * *' --at 2027-01-01            fire it for that time
  miniflow cron fire '0 0 * * *' --workflow nightly-report  fire the schedule of one workflow";

/// List cron triggers and schedules of a running server, or fire one
///
/// A cron trigger calls the `scheduled` handler of a Worker. A schedule creates an instance of a workflow. Both follow the server's clock, in UTC.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct CronArgs {
    #[command(subcommand)]
    command: Option<CronCommand>,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum CronCommand {
    /// List cron triggers and schedules with their next times and last results
    #[command(after_help = LIST_EXAMPLES)]
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Fire a cron trigger or a schedule and print the result
    #[command(after_help = FIRE_EXAMPLES)]
    Fire(FireArgs),
}

#[derive(Debug, Args)]
struct FireArgs {
    /// Cron expression, exactly as configured
    #[arg(value_name = "EXPR")]
    cron: String,

    /// Fire for this time, e.g. `2027-01-01T12:00:00Z` [default: the server's time]
    #[arg(long, value_name = "INSTANT", value_parser = moment_ms)]
    at: Option<u64>,

    /// Fire the schedule of this workflow
    #[arg(long, value_name = "NAME", conflicts_with = "worker")]
    workflow: Option<String>,

    /// Fire the cron trigger of this Worker
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Runs `miniflow cron`.
///
/// # Errors
///
/// When no server is there, or it has no such expression, or what was fired failed.
pub(super) async fn run(args: CronArgs) -> Result<(), Problems> {
    match args.command {
        None => list(args.server).await,
        Some(CronCommand::List { server }) => list(server).await,
        Some(CronCommand::Fire(args)) => fire(args).await,
    }
}

async fn list(server: ServerArgs) -> Result<(), Problems> {
    let answer = client::get(server.port, PATH).await?;
    terminal::stdout(&if server.json { format!("{answer:#}\n") } else { report::crons(&answer) });
    Ok(())
}

async fn fire(args: FireArgs) -> Result<(), Problems> {
    let FireArgs { cron, at, workflow, worker, server } = args;
    let wanted = json!({ "cron": cron, "at": at, "workflow": workflow, "worker": worker });
    let answer = client::post_json(server.port, PATH, &wanted).await?;
    let fired = &answer["fired"];
    terminal::stdout(&if server.json { format!("{answer:#}\n") } else { report::fired(fired) });
    if fired["outcome"] == "exception" {
        let error = fired["error"].as_str().unwrap_or_default();
        let problem = Problem::error(format!("the handler failed: {error}"));
        return Err(problem.with_hint("the server's terminal shows where").into());
    }
    Ok(())
}
