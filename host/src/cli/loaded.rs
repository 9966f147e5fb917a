//! Workers that a command loads and does not serve.
//!
//! Promises: they are built, checked against their configuration and connected as for a session. Never does: run a handler of theirs.

use std::sync::Arc;

use miniflow_runtime::SystemClock;

use crate::bindings::logging::{LogLine, LogSink};
use crate::config::{Problem, Problems, Project};
use crate::dev::build::{self, Profile, Progress};
use crate::report::{self, Style, terminal};
use crate::session::{Built, Connected, Session};
use crate::wasm::{EngineOptions, Loader, Services, default_cache_dir};

/// Builds and loads `projects`, and shows what to point out about each. What there is to point out about how they are connected is in the result.
///
/// # Errors
///
/// When one of them could not be served: everything that is wrong.
pub(super) async fn load(projects: Vec<Project>, no_build: bool, style: Style) -> Result<Connected, Problems> {
    for project in &projects {
        show(&project.warnings, style);
    }
    let workers = build_all(projects, (!no_build).then_some(Profile::Development)).await?;
    let services = Arc::new(Services::new(SystemClock::shared(), Arc::new(Silence)));
    let cache_dir = default_cache_dir(|name| std::env::var_os(name));
    let loader = Loader::new(&EngineOptions { cache_dir, live_runs_max: None }, Arc::clone(&services))
        .map_err(|error| Problem::error(error.to_string()))?;
    let session = Session::new(loader, services.workers.clone());
    let (members, warnings) = session.load_all(workers).await?;
    show(&warnings, style);
    session.connect(members)
}

/// Shows `problems` on standard error.
pub(super) fn show(problems: &Problems, style: Style) {
    terminal::stderr(&report::problems(problems, style));
}

/// Builds every Worker, one after the other: cargo uses all cores by itself.
///
/// `None` for `profile` takes the newest component of each without building.
pub(super) async fn build_all(projects: Vec<Project>, profile: Option<Profile>) -> Result<Vec<Built>, Problems> {
    let (mut workers, mut problems) = (Vec::new(), Problems::default());
    for project in projects {
        let built = match profile {
            None => build::use_last_built(&project, &ToTerminal).await,
            Some(profile) => build::build(&project, profile, &ToTerminal).await,
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
struct Silence;

impl LogSink for Silence {
    fn line(&self, _: LogLine) {}
}
