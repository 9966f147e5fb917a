//! `miniflow replay`: runs code over journals that other code has left.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use miniflow_runtime::{Clock, SystemClock};

use super::loaded::load;
use super::project;
use crate::config::{self, LoadOptions, Problem, Problems, Var};
use crate::report::{self, Replayed, Style, terminal};
use crate::session::Connected;
use crate::verify::bundle::Bundle;
use crate::verify::replay::{Finding, replay};

const EXAMPLES: &str = "\
Examples:
  miniflow replay --against new.wasm journals/*.json      check a component, with the old bindings
  miniflow replay --against my-worker order-1.json        build a Worker and check it

Exit codes: 0 if every journal matches, 1 if one diverges, 2 if a journal or the code cannot be read.";

/// Check code against recorded journals and report where it diverges
///
/// The check has no effects: step bodies do not run and no request is sent. Recorded results are returned to the code.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArgs {
    /// Code to check: a `.wasm` file or a Worker, as for `miniflow dev`
    #[arg(long, value_name = "PATH")]
    against: PathBuf,

    /// Files written by `miniflow journal export`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Use this environment of the configuration [default: $CLOUDFLARE_ENV]
    #[arg(short, long, env = "MINIFLOW_ENV", hide_env_values = true, value_name = "NAME")]
    env: Option<String>,

    /// Set a variable, such as a secret that the journal leaves out
    #[arg(long, value_name = "NAME:VALUE", value_parser = project::parse_var)]
    var: Vec<(String, String)>,

    /// Use the newest component that was built, without building
    #[arg(long)]
    no_build: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `miniflow replay`, and returns its exit code: whatever keeps it from looking is told here.
pub(super) async fn run(args: ReplayArgs, style: Style) -> ExitCode {
    match look(&args, style).await {
        Ok(replayed) => {
            let text = if args.json { report::replays_json(&replayed) } else { report::replays(&replayed, style) };
            terminal::stdout(&text);
            let parts = replayed.iter().any(|replayed| replayed.finding.diverges());
            if parts { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(problems) => {
            terminal::stderr(&report::problems(&problems, style));
            ExitCode::from(2)
        }
    }
}

async fn look(args: &ReplayArgs, style: Style) -> Result<Vec<Replayed>, Problems> {
    // Before a build, which takes longer.
    let bundles = read_all(&args.files)?;
    let connected = code(args, style).await?;
    terminal::stderr(&report::problems(&missing_secrets(&bundles, &connected), style));
    let clock: Arc<dyn Clock> = SystemClock::shared();
    let mut replayed = Vec::new();
    for (file, bundle) in bundles {
        let finding = replay(&bundle, &connected, &clock)
            .await
            .map_err(|error| Problem::from_error(&error).with_hint(format!("the file is `{}`", file.display())))?;
        replayed.push(Replayed { file, workflow: bundle.workflow.name, id: bundle.instance.id, finding });
    }
    Ok(replayed)
}

fn read_all(files: &[PathBuf]) -> Result<Vec<(PathBuf, Bundle)>, Problems> {
    let (mut bundles, mut problems) = (Vec::new(), Problems::default());
    for file in files {
        match read(file) {
            Ok(bundle) => bundles.push((file.clone(), bundle)),
            Err(errors) => problems.extend(errors),
        }
    }
    problems.or(bundles).map(|(bundles, _)| bundles)
}

fn read(file: &Path) -> Result<Bundle, Problems> {
    let shown = file.display();
    let text = std::fs::read(file).map_err(|error| {
        Problem::error(format!("could not read `{shown}`: {error}"))
            .with_hint("write one with `miniflow journal export ID -o FILE`")
    })?;
    Bundle::parse(&text).map_err(|error| {
        Problem::error(format!("`{shown}` cannot be replayed: {error}"))
            .with_hint("write it anew with `miniflow journal export ID -o FILE`")
            .into()
    })
}

async fn code(args: &ReplayArgs, style: Style) -> Result<Connected, Problems> {
    let env = args.env.clone().or_else(|| project::variable("CLOUDFLARE_ENV"));
    let options = LoadOptions { env, env_files: Vec::new(), vars: args.var.clone() };
    let project = config::load(&args.against, &options)?;
    // A Worker that is not there is not asked for anything in a replay: nothing is said of how they are connected.
    load(vec![project], args.no_build, style).await
}

/// Secrets that the old code had, and that code without a configuration has from nowhere.
fn missing_secrets(bundles: &[(PathBuf, Bundle)], connected: &Connected) -> Problems {
    let members: Vec<_> = connected.members().map(|(member, _)| member).collect();
    if members.iter().any(|member| member.project.config.is_some()) {
        return Problems::default();
    }
    let has = |name: &String| members.iter().any(|member| matches!(member.project.vars.get(name), Some(Var::Text(_))));
    let named = bundles.iter().filter_map(|(_, bundle)| bundle.config.as_ref()).flat_map(|config| &config.secrets);
    let mut missing: Vec<_> = named.filter(|name| !has(name)).collect();
    missing.sort_unstable();
    missing.dedup();
    let warning = |name: &String| {
        Problem::warning(format!("the code that left these journals had a secret `{name}`, whose value is not in them"))
            .with_hint(format!("pass it if `run` depends on it: `--var {name}:VALUE`"))
    };
    missing.into_iter().map(warning).collect()
}

impl Finding {
    /// Whether a CI has to stop here.
    fn diverges(&self) -> bool {
        matches!(self, Self::Diverges(_) | Self::NoWorkflow)
    }
}
