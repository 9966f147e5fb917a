//! The arguments that say which Workers are meant, for every command that loads them.

use std::path::{Path, PathBuf};

use clap::Args;

use super::wrangler::WranglerFlags;
use crate::config::{self, LoadOptions, Problem, Problems, Project};

#[derive(Debug, Args)]
pub(super) struct ProjectArgs {
    /// Wrangler configuration, Cargo package or `.wasm` file of the Worker
    #[arg(value_name = "PATH", conflicts_with = "config")]
    pub(super) path: Option<PathBuf>,

    /// Load this Worker instead of PATH; repeatable, the first serves requests
    #[arg(short, long, env = "MINIFLOW_CONFIG", hide_env_values = true, value_name = "PATH")]
    pub(super) config: Vec<PathBuf>,

    /// Change to this folder first; relative paths start there
    #[arg(long, env = "MINIFLOW_CWD", hide_env_values = true, value_name = "FOLDER")]
    pub(super) cwd: Option<PathBuf>,

    /// Use this environment of the configuration [default: $CLOUDFLARE_ENV]
    #[arg(short, long, env = "MINIFLOW_ENV", hide_env_values = true, value_name = "NAME")]
    pub(super) env: Option<String>,

    /// Read secrets from this file, not `.dev.vars` or `.env`; repeatable, last wins
    #[arg(long, env = "MINIFLOW_ENV_FILE", hide_env_values = true, value_name = "FILE")]
    pub(super) env_file: Vec<PathBuf>,

    /// Set a variable; overrides the configuration and secret files
    #[arg(long, env = "MINIFLOW_VAR", hide_env_values = true, value_name = "NAME:VALUE", value_parser = parse_var)]
    pub(super) var: Vec<(String, String)>,

    #[command(flatten)]
    pub(super) of_wrangler: WranglerFlags,
}

impl ProjectArgs {
    /// Loads every Worker that was asked for. `variable` returns the environment variable of a name.
    pub(super) fn load(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<Project>, Problems> {
        work_in(self.cwd.as_deref())?;
        let options = self.options(variable);
        let (mut projects, mut problems) = (Vec::new(), Problems::default());
        for path in self.paths() {
            match config::load(&path, &options) {
                Ok(project) => projects.push(project),
                Err(errors) => problems.extend(errors),
            }
        }
        problems.or(projects).map(|(projects, _)| projects)
    }

    /// Returns what is to be loaded, a path for each Worker.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        match &self.path {
            Some(path) => vec![path.clone()],
            None if self.config.is_empty() => vec![PathBuf::from(".")],
            None => self.config.clone(),
        }
    }

    /// Returns what the flags say about every Worker.
    pub(super) fn options(&self, variable: impl Fn(&str) -> Option<String>) -> LoadOptions {
        LoadOptions {
            env: self.env.clone().or_else(|| variable("CLOUDFLARE_ENV")),
            env_files: self.env_file.clone(),
            vars: self.var.clone(),
        }
    }
}

/// Goes to the folder that `--cwd` names, if it was given.
pub(super) fn work_in(folder: Option<&Path>) -> Result<(), Problems> {
    let Some(folder) = folder else { return Ok(()) };
    std::env::set_current_dir(folder).map_err(|error| {
        let problem = Problem::error(format!("cannot work in `{}`: {error}", folder.display()));
        problem.with_hint("pass a folder with `--cwd`").into()
    })
}

/// Returns the value of the environment variable `name`.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(super) fn parse_var(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("not a name and a value, such as GREETING:hello")?;
    if !config::is_identifier(name) {
        return Err(format!("{name:?} is not a name, such as GREETING"));
    }
    Ok((name.to_owned(), value.to_owned()))
}
