//! `miniflow test`: runs the workflows of a Worker, undisturbed or killed everywhere; or the tests that somebody has of it, in any language.

mod command;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use super::loaded::{load, show};
use super::project::{self, ProjectArgs};
use crate::config::{Problem, Problems};
use crate::report::{self, Style, terminal};
use crate::session::Connected;
use crate::verify::matrix::{self, Options, Report, crash_matrix, run_once};
use crate::verify::scenario::{Scenario, Stub};

const EXAMPLES: &str = "\
Examples:
  miniflow test                                              run every workflow of the Worker once
  miniflow test --crash-matrix                               kill each workflow at every commit
  miniflow test shop --crash-matrix --workflow orders --params '{\"id\":1}' --event approval='{\"by\":\"Ada\"}'
  miniflow test shop --crash-matrix --stub answers.json      answer its outbound requests from a file
  miniflow test shop -- npm test                             serve it and run tests against $MINIFLOW_URL

Without `--allow-net` no request reaches the network. A request without a stub gets status 200 and `{}`; with COMMAND it fails.

Exit codes: 0 on success, 1 if a workflow fails or a step is unsafe to repeat, 2 if the test cannot run. With COMMAND: its
exit code.";

/// Run a Worker's workflows and find steps that are unsafe to repeat
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TestArgs {
    #[command(flatten)]
    project: ProjectArgs,

    /// Kill each workflow before and after every commit and compare the results
    #[arg(long)]
    crash_matrix: bool,

    /// Run this command with the Worker's address in `MINIFLOW_URL`
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["crash_matrix", "workflow", "params", "event", "live", "seed", "doubles", "json"])]
    command: Vec<OsString>,

    /// Test only this workflow; repeatable [default: all]
    #[arg(long, value_name = "NAME")]
    workflow: Vec<String>,

    /// Params of the instance, as JSON or `@FILE` [default: {}]
    #[arg(long, value_name = "JSON", value_parser = params)]
    params: Option<Value>,

    /// Send this event when a wait asks for it; repeatable [default: waits time out]
    #[arg(long, value_name = "TYPE=JSON", value_parser = event)]
    event: Vec<(String, Value)>,

    /// Answer outbound requests from this JSON file of stubs
    #[arg(long, value_name = "FILE")]
    stub: Option<PathBuf>,

    /// Send requests without a matching stub to the network
    #[arg(long)]
    allow_net: bool,

    /// Send requests again when a body runs again, instead of replaying answers
    #[arg(long, requires = "allow_net")]
    live: bool,

    /// Seed for choosing which runs are killed twice
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Number of runs that are killed twice
    #[arg(long, value_name = "N", default_value_t = 20)]
    doubles: usize,

    /// Fail a run that reads the clock, randomness or environment outside a step
    #[arg(long)]
    strict_determinism: bool,

    /// Use the newest component that was built, without building
    #[arg(long)]
    no_build: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn params(text: &str) -> Result<Value, String> {
    let text = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("`{file}` cannot be read: {error}"))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| format!("not JSON: {error}"))
}

fn event(text: &str) -> Result<(String, Value), String> {
    let (name, payload) = text.split_once('=').ok_or("not a type and a payload, such as approval={\"by\":\"Ada\"}")?;
    if name.is_empty() {
        return Err("the type of the event is missing".to_owned());
    }
    let payload = serde_json::from_str(payload).map_err(|error| format!("its payload is not JSON: {error}"))?;
    Ok((name.to_owned(), payload))
}

/// Runs `miniflow test`, and returns its exit code: whatever keeps it from trying is told here.
pub(super) async fn run(args: TestArgs, style: Style) -> ExitCode {
    if !args.command.is_empty() {
        return command::run(&args, style).await.unwrap_or_else(|problems| {
            terminal::stderr(&report::problems(&problems, style));
            ExitCode::from(2)
        });
    }
    match attempt(&args, style).await {
        Ok(reports) => {
            let text = match args.json {
                true => report::matrix_json(&reports, args.crash_matrix),
                false => report::matrix(&reports, args.crash_matrix, style),
            };
            terminal::stdout(&text);
            if reports.iter().all(|report| is_well(report, args.crash_matrix)) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(problems) => {
            terminal::stderr(&report::problems(&problems, style));
            ExitCode::from(2)
        }
    }
}

/// A workflow that fails whenever it runs is as safe to kill as any, but a plain run is there to see it not fail.
fn is_well(report: &Report, crash_matrix: bool) -> bool {
    report.findings.is_empty() && (crash_matrix || report.fails.is_none())
}

async fn attempt(args: &TestArgs, style: Style) -> Result<Vec<Report>, Problems> {
    let options = Options {
        scenario: Arc::new(scenario(args)?),
        seed: args.seed,
        doubles: args.doubles,
        strict_determinism: args.strict_determinism,
    };
    let connected = Arc::new(connected(args, style).await?);
    let names: Vec<_> = match args.workflow.as_slice() {
        [] => connected.definitions.iter().map(|definition| definition.name.clone()).collect(),
        names => names.to_vec(),
    };
    if names.is_empty() {
        let hint = "a workflow is a class marked with `#[workflow]`; the configuration lists them under `workflows`";
        return Err(Problem::error("the Worker has no workflows").with_hint(hint).into());
    }
    let (mut reports, mut problems) = (Vec::new(), Problems::default());
    for name in names {
        let done = match args.crash_matrix {
            true => crash_matrix(&connected, &name, &options).await,
            false => run_once(&connected, &name, &options).await,
        };
        match done {
            Ok(report) => reports.push(report),
            Err(error) => problems.push(could_not(&error)),
        }
    }
    problems.or(reports).map(|(reports, _)| reports)
}

fn could_not(error: &matrix::MatrixError) -> Problem {
    Problem::from_error(error)
        .with_hint("`--workflow` says which to run, `--params`, `--event` and `--stub` what it is given")
}

fn scenario(args: &TestArgs) -> Result<Scenario, Problems> {
    let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, payload) in &args.event {
        events.entry(name.clone()).or_default().push(payload.clone());
    }
    let stubs = match &args.stub {
        None => Vec::new(),
        Some(file) => {
            const HINT: &str = "it is a JSON list, such as `[{ \"method\": \"POST\", \"url\": \"https://bank/*\", \"json\": { \"ok\": true } }]`";
            let shown = file.display();
            let text = std::fs::read(file)
                .map_err(|error| Problem::error(format!("could not read `{shown}`: {error}")).with_hint(HINT))?;
            Stub::list(&text).map_err(|error| Problem::error(format!("`{shown}`: {error}")).with_hint(HINT))?
        }
    };
    Ok(Scenario { params: args.params.clone(), events, stubs, allow_net: args.allow_net, live: args.live })
}

async fn connected(args: &TestArgs, style: Style) -> Result<Connected, Problems> {
    show(&args.project.of_wrangler.note().into_iter().collect(), style);
    let connected = load(args.project.load(project::variable)?, args.no_build, style).await?;
    show(&connected.warnings, style);
    Ok(connected)
}
