//! `miniflow check`: loads everything and runs nothing.

use std::sync::Arc;

use clap::Args;
use clap::builder::FalseyValueParser;
use miniflow_runtime::SystemClock;

use super::project::{self, ProjectArgs};
use crate::bindings::logging::{LogLine, LogSink};
use crate::config::{Problem, Problems, Project};
use crate::dev::build::{self, Progress};
use crate::report::{self, Style, terminal};
use crate::session::{Built, Member, Session};
use crate::wasm::{EngineOptions, Loader, Services, default_cache_dir};

/// Build a Worker and check it against its configuration, without running it
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    project: ProjectArgs,

    /// Check what the last build left instead of building
    #[arg(long, env = "MINIFLOW_NO_BUILD", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_build: bool,
}

/// Checks every Worker that was asked for.
///
/// # Errors
///
/// When one of them could not be served: everything that is wrong.
pub(super) async fn run(args: CheckArgs, style: Style) -> Result<(), Problems> {
    let show = |problems: &Problems| terminal::stderr(&report::problems(problems, style));
    show(&args.project.of_wrangler.note().into_iter().collect());
    let projects = args.project.load(project::variable)?;
    for project in &projects {
        show(&project.warnings);
    }
    let workers = build_all(projects, args.no_build).await?;
    let services = Arc::new(Services::new(SystemClock::shared(), Arc::new(Silence)));
    let cache_dir = default_cache_dir(|name| std::env::var_os(name));
    let loader = Loader::new(&EngineOptions { cache_dir }, Arc::clone(&services))
        .map_err(|error| Problem::error(error.to_string()))?;
    let session = Session::new(loader, services.workers.clone());
    let (members, warnings) = session.load_all(workers).await?;
    show(&warnings);
    show(&session.connect(members.clone())?.warnings);
    show(&members.iter().map(|member| summary(member)).collect());
    Ok(())
}

/// Builds every Worker, one after the other: cargo uses all cores by itself.
pub(super) async fn build_all(projects: Vec<Project>, no_build: bool) -> Result<Vec<Built>, Problems> {
    let (mut workers, mut problems) = (Vec::new(), Problems::default());
    for project in projects {
        let built = match no_build {
            true => build::last_built(&project).await,
            false => build::build(&project, &ToTerminal).await,
        };
        match built {
            Ok(component) => workers.push(Built { project, component }),
            Err(error) => problems.extend(Problems::from(error)),
        }
    }
    problems.or(workers).map(|(workers, _)| workers)
}

/// Shows what builds do.
struct ToTerminal;

impl Progress for ToTerminal {
    fn line(&self, line: &str) {
        terminal::stderr(&format!("{line}\n"));
    }
}

/// Takes no lines: nothing is run.
pub(super) struct Silence;

impl LogSink for Silence {
    fn line(&self, _: LogLine) {}
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
