//! `miniflow workflows instances`: one instance, or those of a workflow.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::json;

use super::input::{self, JsonText, encoded, query};
use super::missing::{unknown_instance, unknown_workflow};
use super::place::{Failed, PlaceArgs, ReadArgs, Source, Told};
use super::{follow, print_json};
use crate::config::{Problem, Problems};
use crate::report::{self, Shown, Style, terminal};

/// The word that stands for the id of the newest instance.
const LATEST: &str = "latest";

/// The code of what was not deleted because it is not there.
const NOT_FOUND: u32 = 10400;

/// Ids that can be deleted at a time.
const DELETED_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  miniflow workflows instances list orders --status waiting
  miniflow workflows instances describe orders order-7
  miniflow workflows instances follow orders
  miniflow workflows instances send-event orders order-7 --type paid --payload '{\"by\": \"card\"}'

`latest` is accepted as the id of the newest instance.";

/// List, inspect and control instances of a workflow
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InstancesArgs {
    #[command(subcommand)]
    command: InstancesCommand,
}

/// An instance that is to be there.
#[derive(Debug, Args)]
struct Named {
    /// Workflow name
    name: String,
    /// Instance id, or `latest`
    id: String,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Subcommand)]
enum InstancesCommand {
    /// List the instances of a workflow, newest first
    #[command(after_help = "\
Examples:
  miniflow workflows instances list orders
  miniflow workflows instances list orders --status errored --date-start 2026-11-24 --date-end 2026-11-25
  miniflow workflows instances list orders --json | jq -r '.[].id'")]
    List(ListArgs),
    /// Show one instance with its steps, attempts, waits and result
    #[command(after_help = "\
Examples:
  miniflow workflows instances describe orders            show the newest
  miniflow workflows instances describe orders order-7
  miniflow workflows instances describe orders order-7 --no-step-output")]
    Describe(DescribeArgs),
    /// Print the events of an instance, live, until it ends
    ///
    /// The exit code is 0 if the instance completes and 1 if it fails or is terminated.
    #[command(after_help = "\
Examples:
  miniflow workflows instances follow orders              show the newest
  miniflow workflows instances follow orders order-7 --json | jq -r .type")]
    Follow {
        /// Workflow name
        name: String,
        /// Instance id
        #[arg(default_value = LATEST)]
        id: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Send an event to an instance; it is kept until the instance waits for it
    #[command(after_help = "\
Examples:
  miniflow workflows instances send-event orders order-7 --type paid
  miniflow workflows instances send-event orders latest --type paid --payload '{\"by\": \"card\"}'")]
    SendEvent {
        #[command(flatten)]
        instance: Named,
        /// Event type, as passed to `waitForEvent`
        #[arg(long = "type", value_name = "TYPE")]
        event_type: String,
        /// Event payload, as JSON
        #[arg(long, value_name = "JSON", value_parser = input::json, default_value = "{}")]
        payload: JsonText,
    },
    /// Pause an instance after its running steps finish
    #[command(after_help = "\
Examples:
  miniflow workflows instances pause orders order-7")]
    Pause(Named),
    /// Resume a paused instance
    #[command(after_help = "\
Examples:
  miniflow workflows instances resume orders order-7")]
    Resume(Named),
    /// Restart an instance from the beginning or from a step
    #[command(after_help = "\
Examples:
  miniflow workflows instances restart orders order-7
  miniflow workflows instances restart orders order-7 --from-step-name charge
  miniflow workflows instances restart orders order-7 --from-step-name nap --from-step-count 2 --from-step-type sleep")]
    Restart(RestartArgs),
    /// Terminate an instance
    #[command(after_help = "\
Examples:
  miniflow workflows instances terminate orders order-7
  miniflow workflows instances terminate orders order-7 --rollback")]
    Terminate {
        #[command(flatten)]
        instance: Named,
        /// Run the rollback handlers of its steps first
        #[arg(long)]
        rollback: bool,
    },
    /// Terminate all unfinished instances of a workflow
    #[command(after_help = "\
Examples:
  miniflow workflows instances terminate-all orders
  miniflow workflows instances terminate-all orders --status waiting")]
    TerminateAll {
        /// Workflow name
        name: String,
        /// Select only instances with this status [default: all]
        #[arg(long, value_parser = ["queued", "running", "paused", "waitingForPause", "waiting"])]
        status: Option<String>,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Delete instances with their journals; running ones are stopped
    #[command(after_help = "\
Examples:
  miniflow workflows instances delete orders order-7 order-8
  miniflow workflows instances delete orders --filename ids.json    delete the ids in a JSON array")]
    Delete {
        /// Workflow name
        name: String,
        /// Instance ids, or `latest`
        #[arg(value_name = "ID", required_unless_present = "filename")]
        ids: Vec<String>,
        /// Also delete the ids in this file, a JSON array of at most 100
        #[arg(long, value_name = "FILE")]
        filename: Option<PathBuf>,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Workflow name
    name: String,
    /// List the oldest instances first [default: newest first]
    #[arg(long)]
    reverse: bool,
    /// Select only instances with this status [default: all]
    #[arg(long, value_parser = [
        "queued", "running", "paused", "errored", "terminated", "complete", "waiting", "waitingForPause", "rollingBack",
    ])]
    status: Option<String>,
    /// Select instances created at or after this date or RFC 3339 time
    #[arg(long, value_parser = input::from)]
    date_start: Option<String>,
    /// Select instances created up to this RFC 3339 time, or through this date
    #[arg(long, value_parser = input::until)]
    date_end: Option<String>,
    /// Page number, from 1
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), default_value_t = 1)]
    page: u64,
    /// Instances a page, 1 to 100
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100), default_value_t = 25)]
    per_page: u64,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Debug, Args)]
struct DescribeArgs {
    /// Workflow name
    name: String,
    /// Instance id
    #[arg(default_value = LATEST)]
    id: String,
    /// Omit step outputs
    #[arg(long)]
    no_step_output: bool,
    /// Show step outputs (the default)
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    step_output: bool,
    /// Truncate step outputs to this many characters
    #[arg(long, default_value_t = 5000)]
    truncate_output_limit: usize,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Debug, Args)]
struct RestartArgs {
    #[command(flatten)]
    instance: Named,
    /// Restart at the step with this name; earlier results are kept
    #[arg(long, value_name = "STEP")]
    from_step_name: Option<String>,
    /// Occurrence of `--from-step-name`, from 1 [default: 1]
    #[arg(long, value_name = "N", requires = "from_step_name", value_parser = clap::value_parser!(u32).range(1..))]
    from_step_count: Option<u32>,
    /// Kind of the step in `--from-step-name` [default: do]
    #[arg(long, value_name = "TYPE", requires = "from_step_name")]
    from_step_type: Option<StepType>,
}

/// Kinds of steps.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StepType {
    #[value(help = None)]
    Do,
    #[value(help = None)]
    Sleep,
    #[value(help = None, name = "waitForEvent")]
    WaitForEvent,
}

/// Runs `miniflow workflows instances`.
///
/// # Errors
///
/// When it could not be done.
pub(super) async fn run(args: InstancesArgs, style: Style) -> Result<(), Problems> {
    match args.command {
        InstancesCommand::List(args) => list(&args, style).await,
        InstancesCommand::Describe(args) => describe(&args, style).await,
        InstancesCommand::Follow { name, id, place } => {
            let source = place.server().await?;
            let id = resolved(&source, &name, id).await?;
            follow::to_the_end(&source, &name, &id, place.json).await
        }
        InstancesCommand::SendEvent { instance, event_type, payload } => {
            send_event(instance, &event_type, &payload).await
        }
        InstancesCommand::Pause(instance) => change(instance, json!({ "status": "pause" })).await,
        InstancesCommand::Resume(instance) => change(instance, json!({ "status": "resume" })).await,
        InstancesCommand::Restart(args) => {
            let mut wanted = json!({ "status": "restart" });
            if let Some(name) = args.from_step_name {
                wanted["from"] = json!({ "name": name });
                if let Some(count) = args.from_step_count {
                    wanted["from"]["count"] = count.into();
                }
                if let Some(kind) = args.from_step_type.and_then(|kind| kind.to_possible_value()) {
                    wanted["from"]["type"] = kind.get_name().into();
                }
            }
            change(args.instance, wanted).await
        }
        InstancesCommand::Terminate { instance, rollback } => {
            let mut wanted = json!({ "status": "terminate" });
            if rollback {
                wanted["rollback"] = true.into();
            }
            change(instance, wanted).await
        }
        InstancesCommand::TerminateAll { name, status, place } => terminate_all(&name, status, &place).await,
        InstancesCommand::Delete { name, ids, filename, place } => delete(&name, ids, filename, &place).await,
    }
}

async fn list(args: &ListArgs, style: Style) -> Result<(), Problems> {
    let source = args.read.source(style).await?;
    let name = &args.name;
    let query = query(&[
        ("page", Some(args.page.to_string())),
        ("per_page", Some(args.per_page.to_string())),
        ("status", args.status.clone()),
        ("date_start", args.date_start.clone()),
        ("date_end", args.date_end.clone()),
        ("direction", args.reverse.then(|| "asc".to_owned())),
    ]);
    let told = match source.get(&format!("/workflows/{}/instances{query}", encoded(name))).await {
        Ok(told) => told,
        Err(failed) => return Err(unknown_workflow(&source, name, failed).await),
    };
    if args.read.place.json {
        return print_json(&told.result);
    }
    let listed: Vec<report::Listed> = told.result()?;
    terminal::stdout(&report::instances(name, &listed, &told.info()?, super::super::stdout_style()));
    Ok(())
}

async fn describe(args: &DescribeArgs, style: Style) -> Result<(), Problems> {
    let source = args.read.source(style).await?;
    let id = resolved(&source, &args.name, args.id.clone()).await?;
    let told = match source.get(&path(&args.name, &id)).await {
        Ok(told) => told,
        Err(failed) => return Err(unknown_instance(&source, &args.name, &id, failed).await),
    };
    if args.read.place.json {
        return print_json(&told.result);
    }
    let output_max = (args.step_output && !args.no_step_output).then_some(args.truncate_output_limit);
    let shown = Shown { output_max, now: source.now().await, style: super::super::stdout_style() };
    terminal::stdout(&report::details(&told.result()?, &shown));
    Ok(())
}

async fn send_event(instance: Named, event_type: &str, payload: &JsonText) -> Result<(), Problems> {
    let (source, id) = instance.found().await?;
    let path = format!("{}/events/{}", path(&instance.name, &id), encoded(event_type));
    let told = source.send(Method::POST, &path, Bytes::from(payload.as_str().to_owned())).await;
    let told = instance.told(&source, &id, told).await?;
    let brings = if payload.is_empty_object() { String::new() } else { format!(" with {}", payload.as_str()) };
    instance.place.say(&told, &format!("sent event \"{event_type}\"{brings} to {}", of(&instance.name, &id)))
}

/// Changes the status of an instance.
async fn change(instance: Named, wanted: serde_json::Value) -> Result<(), Problems> {
    #[derive(serde::Deserialize)]
    struct Changed {
        status: String,
    }
    let (source, id) = instance.found().await?;
    let path = format!("{}/status", path(&instance.name, &id));
    let told = source.send(Method::PATCH, &path, Bytes::from(wanted.to_string())).await;
    let told = instance.told(&source, &id, told).await?;
    let done = match (wanted["status"].as_str(), wanted["rollback"].as_bool()) {
        (Some("pause"), _) => "paused",
        (Some("resume"), _) => "resumed",
        (Some("restart"), _) => "restarted",
        (_, Some(true)) => "terminated, with rollback,",
        _ => "terminated",
    };
    let Changed { status } = told.result()?;
    instance.place.say(&told, &format!("{done} {}; it is {status} now", of(&instance.name, &id)))
}

async fn terminate_all(name: &str, status: Option<String>, place: &PlaceArgs) -> Result<(), Problems> {
    #[derive(serde::Deserialize)]
    struct Job {
        status: String,
    }
    let source = place.server().await?;
    let which = status.as_ref().map(|status| format!("{status} ")).unwrap_or_default();
    let query = query(&[("status", status)]);
    let path = format!("/workflows/{}/instances/terminate{query}", encoded(name));
    let told = match source.send(Method::PUT, &path, Bytes::new()).await {
        Ok(told) => told,
        Err(failed) => return Err(unknown_workflow(&source, name, failed).await),
    };
    let Job { status } = told.result()?;
    let said = if status == "ok" { "has begun" } else { "is under way already" };
    place.say(&told, &format!("terminating the {which}instances of workflow \"{name}\" {said}"))
}

async fn delete(name: &str, ids: Vec<String>, filename: Option<PathBuf>, place: &PlaceArgs) -> Result<(), Problems> {
    #[derive(serde::Deserialize)]
    struct Deleted {
        deleted: Vec<Gone>,
        errors: Vec<Kept>,
    }
    #[derive(serde::Deserialize)]
    struct Gone {
        id: String,
    }
    #[derive(serde::Deserialize)]
    struct Kept {
        id: String,
        code: u32,
        message: String,
    }
    let mut ids = ids;
    if let Some(file) = &filename {
        ids.extend(ids_of(file)?);
    }
    match ids.len() {
        0 => return Err(Problem::error("no ids are given").with_hint("pass at least one").into()),
        1..=DELETED_MAX => {}
        count => {
            let message = format!("{count} instances are too many: at most {DELETED_MAX} can be deleted at a time");
            return Err(Problem::error(message).into());
        }
    }
    let source = place.server().await?;
    // The newest is asked for once: it is another when it is gone.
    if ids.iter().any(|id| id == LATEST) {
        let latest = resolved(&source, name, LATEST.to_owned()).await?;
        ids.iter_mut().filter(|id| *id == LATEST).for_each(|id| id.clone_from(&latest));
    }
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    let path = format!("/workflows/{}/instances/batch/delete", encoded(name));
    let told = match source.send(Method::POST, &path, Bytes::from(json!({ "instances": ids }).to_string())).await {
        Ok(told) => told,
        Err(failed) => return Err(unknown_workflow(&source, name, failed).await),
    };
    let Deleted { deleted, errors } = told.result()?;
    if !deleted.is_empty() || place.json {
        let gone: Vec<_> = deleted.iter().map(|gone| format!("\"{}\"", gone.id)).collect();
        place.say(&told, &format!("deleted {} of workflow \"{name}\"", gone.join(", ")))?;
    }
    let why = |kept: &Kept| if kept.code == NOT_FOUND { "there is none".to_owned() } else { kept.message.clone() };
    let problem = |kept: Kept| Problem::error(format!("instance \"{}\" was not deleted: {}", kept.id, why(&kept)));
    let problems: Problems = errors.into_iter().map(problem).collect();
    problems.or(()).map(|_| ())
}

/// The ids in a file.
fn ids_of(file: &Path) -> Result<Vec<String>, Problems> {
    let shown = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| Problem::error(format!("`{shown}` cannot be read: {error}")))?;
    serde_json::from_str(&text).map_err(|error| {
        Problem::error(format!("`{shown}` does not hold a JSON array of ids: {error}"))
            .with_hint("such as [\"order-7\", \"order-8\"]")
            .into()
    })
}

impl Named {
    /// The server, and the id with `latest` replaced.
    async fn found(&self) -> Result<(Source, String), Problems> {
        let source = self.place.server().await?;
        let id = resolved(&source, &self.name, self.id.clone()).await?;
        Ok((source, id))
    }

    async fn told(&self, source: &Source, id: &str, told: Result<Told, Failed>) -> Result<Told, Problems> {
        match told {
            Ok(told) => Ok(told),
            Err(failed) => Err(unknown_instance(source, &self.name, id, failed).await),
        }
    }
}

/// The id, which may be that of the newest instance.
async fn resolved(source: &Source, name: &str, id: String) -> Result<String, Problems> {
    if id != LATEST {
        return Ok(id);
    }
    let told = match source.get(&format!("/workflows/{}/instances?per_page=1", encoded(name))).await {
        Ok(told) => told,
        Err(failed) => return Err(unknown_workflow(source, name, failed).await),
    };
    let listed: Vec<report::Listed> = told.result()?;
    match listed.into_iter().next() {
        Some(listed) => Ok(listed.id),
        None => Err(Problem::error(format!("there are no instances of workflow \"{name}\""))
            .with_hint(format!("`miniflow workflows trigger {name}` starts one"))
            .into()),
    }
}

pub(super) fn path(name: &str, id: &str) -> String {
    format!("/workflows/{}/instances/{}", encoded(name), encoded(id))
}

fn of(name: &str, id: &str) -> String {
    format!("instance \"{id}\" of workflow \"{name}\"")
}
