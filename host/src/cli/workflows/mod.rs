//! `miniflow workflows`: workflows and their instances, of a server that runs or of a state that is kept.
//!
//! The commands and their arguments are wrangler's (`wrangler workflows …`); what they print is our own.

mod follow;
mod input;
mod instances;
mod missing;
mod place;

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use self::input::{JsonText, Params, encoded, query};
use self::missing::unknown_workflow;
use self::place::{PlaceArgs, ReadArgs, Source};
use crate::config::Problems;
use crate::report::{self, Style, terminal};

const EXAMPLES: &str = "\
Examples:
  miniflow workflows list                                   list workflows and their instance counts
  miniflow workflows trigger orders '{\"total\": 7}'          create an instance
  miniflow workflows instances describe orders              show the newest instance
  miniflow workflows instances list orders --status errored

Commands that change something need a running server. The others read the state folder if no server runs.

Exit codes: 0 on success, 1 if the command fails, 2 if the arguments are invalid.";

/// List and manage workflows and their instances
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct WorkflowsArgs {
    #[command(subcommand)]
    command: WorkflowsCommand,
}

#[derive(Debug, Subcommand)]
enum WorkflowsCommand {
    /// List workflows with their number of instances by status
    #[command(after_help = "\
Examples:
  miniflow workflows list
  miniflow workflows list --json | jq -r '.[].name'")]
    List {
        /// Page number, from 1
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        page: Option<u64>,
        /// Workflows a page, 1 to 100
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100))]
        per_page: Option<u64>,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Show one workflow
    #[command(after_help = "\
Examples:
  miniflow workflows describe orders")]
    Describe {
        /// Workflow name
        name: String,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Create an instance of a workflow
    #[command(after_help = "\
Examples:
  miniflow workflows trigger orders
  miniflow workflows trigger orders '{\"total\": 7}' --id order-7
  miniflow workflows trigger orders --follow              and print its events until it ends")]
    Trigger {
        /// Workflow name
        name: String,
        /// Params of the instance, as JSON [default: {}]
        #[arg(value_parser = input::params)]
        params: Option<Params>,
        /// Instance id [default: a random UUID]
        #[arg(long)]
        id: Option<String>,
        /// Print events until the instance ends; exit code 1 unless it completes
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Delete all instances of a workflow; the workflow itself stays configured
    #[command(after_help = "\
Examples:
  miniflow workflows delete orders")]
    Delete {
        /// Workflow name
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    Instances(instances::InstancesArgs),
}

/// Runs `miniflow workflows`.
///
/// # Errors
///
/// When it could not be done.
pub(super) async fn run(args: WorkflowsArgs, style: Style) -> Result<(), Problems> {
    match args.command {
        WorkflowsCommand::List { page, per_page, read } => list(page, per_page, &read, style).await,
        WorkflowsCommand::Describe { name, read } => describe(&name, &read, style).await,
        WorkflowsCommand::Trigger { name, params, id, follow, place } => {
            let params = params.and_then(|params| params.0);
            // Followed, the events are the JSON that is wanted.
            let says = !(follow && place.json);
            let (source, id) = trigger(&name, params, id, &place, says).await?;
            if follow { follow::to_the_end(&source, &name, &id, place.json).await } else { Ok(()) }
        }
        WorkflowsCommand::Delete { name, place } => delete(&name, &place).await,
        WorkflowsCommand::Instances(args) => instances::run(args, style).await,
    }
}

async fn list(page: Option<u64>, per_page: Option<u64>, read: &ReadArgs, style: Style) -> Result<(), Problems> {
    let source = read.source(style).await?;
    // The API has pages only when one is asked for.
    let page = page.or(per_page.map(|_| 1));
    let query = query(&[("page", page.map(|n| n.to_string())), ("per_page", per_page.map(|n| n.to_string()))]);
    let told = source.get(&format!("/workflows{query}")).await.map_err(place::Failed::into_problems)?;
    if read.place.json {
        return print_json(&told.result);
    }
    let workflows: Vec<report::Workflow> = told.result()?;
    terminal::stdout(&report::workflows(&workflows, &told.info()?, super::stdout_style()));
    Ok(())
}

async fn describe(name: &str, read: &ReadArgs, style: Style) -> Result<(), Problems> {
    let source = read.source(style).await?;
    let told = match source.get(&format!("/workflows/{}", encoded(name))).await {
        Ok(told) => told,
        Err(failed) => return Err(unknown_workflow(&source, name, failed).await),
    };
    if read.place.json {
        return print_json(&told.result);
    }
    terminal::stdout(&report::workflow(&told.result()?, super::stdout_style()));
    Ok(())
}

/// Starts an instance; returns the server and the id.
async fn trigger(
    name: &str,
    params: Option<JsonText>,
    id: Option<String>,
    place: &PlaceArgs,
    says: bool,
) -> Result<(Source, String), Problems> {
    #[derive(Deserialize)]
    struct Created {
        id: String,
        status: String,
    }
    let source = place.server().await?;
    let mut fields = Vec::new();
    if let Some(id) = id {
        fields.push(format!("\"id\":{}", Value::from(id)));
    }
    if let Some(params) = params {
        // As it was written: a number may have more digits than we could hold.
        fields.push(format!("\"params\":{}", params.as_str()));
    }
    let body = Bytes::from(format!("{{{}}}", fields.join(",")));
    let told = match source.send(Method::POST, &format!("/workflows/{}/instances", encoded(name)), body).await {
        Ok(told) => told,
        Err(failed) => return Err(unknown_workflow(&source, name, failed).await),
    };
    let Created { id, status } = told.result()?;
    if says {
        place.say(&told, &format!("started instance \"{id}\" of workflow \"{name}\"; it is {status}"))?;
    }
    Ok((source, id))
}

async fn delete(name: &str, place: &PlaceArgs) -> Result<(), Problems> {
    let source = place.server().await?;
    let told = match source.send(Method::DELETE, &format!("/workflows/{}", encoded(name)), Bytes::new()).await {
        Ok(told) => told,
        Err(failed) => return Err(unknown_workflow(&source, name, failed).await),
    };
    place.say(&told, &format!("removed all instances of workflow \"{name}\""))
}

/// Prints an answer as it is.
fn print_json(result: &RawValue) -> Result<(), Problems> {
    terminal::stdout(&report::indented(result.get()));
    Ok(())
}
