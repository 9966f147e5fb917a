//! `miniflow state`: where the state of a Worker is kept, a copy of it, and the end of it.
//!
//! Promises: what a server uses is neither copied nor removed, and nothing that is not ours. Never does: change anything in a state that it reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use miniflow_runtime::storage::{StateDirectory, StorageError, sqlite};

use super::{ask, project};
use crate::config::{self, LoadOptions, Problem, Problems};
use crate::dev::OWN_FOLDER;
use crate::report::terminal;

const EXAMPLES: &str = "\
Examples:
  miniflow state path                     print the path
  miniflow state export before            copy it, for `miniflow dev --persist-to before`
  miniflow state reset my-worker          delete the state of another Worker";

/// Show, copy or delete the stored state of a Worker
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    /// Print the path of the state folder, even if it does not exist yet
    #[command(after_help = "\
Examples:
  miniflow state path
  sqlite3 \"$(miniflow state path)/miniflow.db\" .tables")]
    Path {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Copy the state to a new folder; fails while a server uses it
    #[command(after_help = "\
Examples:
  miniflow state export before
  miniflow state export before my-worker
  miniflow dev --persist-to before")]
    Export {
        /// Folder to create
        #[arg(value_name = "FOLDER")]
        to: PathBuf,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Delete the state; fails while a server uses it
    #[command(after_help = "\
Examples:
  miniflow state reset
  miniflow state reset my-worker --yes")]
    Reset {
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// Whose state.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Folder or configuration of the Worker [default: this folder]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,

    /// Use this state folder [default: .miniflow/state beside the config]
    #[arg(long, env = "MINIFLOW_PERSIST_TO", hide_env_values = true, value_name = "FOLDER")]
    persist_to: Option<PathBuf>,

    /// Change to this folder first; relative paths start there
    #[arg(long, env = "MINIFLOW_CWD", hide_env_values = true, value_name = "FOLDER")]
    cwd: Option<PathBuf>,
}

/// What of a state directory is ours. What goes with a database has its name and more.
const DATABASES: [&str; 3] = ["miniflow.db", "kv.sqlite", "queues.sqlite"];
/// The clock, and what is left of writing it.
const CLOCK: [&str; 2] = ["clock", "clock.new"];
const OBJECTS: &str = "objects";

/// Runs `miniflow state`.
///
/// # Errors
///
/// When it could not be done.
pub(super) fn run(args: StateArgs) -> Result<(), Problems> {
    match args.command {
        StateCommand::Path { place } => {
            terminal::stdout(&format!("{}\n", place.folder()?.display()));
            Ok(())
        }
        StateCommand::Export { to, place } => export(&place.folder()?, &to),
        StateCommand::Reset { yes, place } => reset(&place.folder()?, yes),
    }
}

impl PlaceArgs {
    /// Where `miniflow dev` keeps the state. Absolute.
    fn folder(&self) -> Result<PathBuf, Problems> {
        project::work_in(self.cwd.as_deref())?;
        let folder = match &self.persist_to {
            Some(folder) => folder.clone(),
            None => self.root()?.join(OWN_FOLDER).join("state"),
        };
        std::path::absolute(&folder)
            .map_err(|error| Problem::error(format!("there is no folder `{}`: {error}", folder.display())).into())
    }

    /// The folder of the Worker, whose configuration may be wrong by now as long as something is kept.
    fn root(&self) -> Result<PathBuf, Problems> {
        let path = self.path.as_deref().unwrap_or(Path::new("."));
        match config::load(path, &LoadOptions::default()) {
            Ok(project) => Ok(project.root),
            Err(_) if path.join(OWN_FOLDER).join("state").is_dir() => Ok(path.to_owned()),
            Err(problems) => Err(problems),
        }
    }
}

fn export(from: &Path, to: &Path) -> Result<(), Problems> {
    if ours(from).map_err(|error| unreadable(from, &error))?.is_empty() {
        let problem = Problem::error(format!("no state is kept in `{}`", from.display()));
        return Err(problem.with_hint("`miniflow dev` begins one; `--persist-to` names another folder").into());
    }
    match fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => {
            let problem = Problem::error(format!("there is something at `{}` already", to.display()));
            return Err(problem.with_hint("name a folder that is not there yet").into());
        }
    }
    if std::path::absolute(to).is_ok_and(|to| to.starts_with(from)) {
        let problem = Problem::error(format!("`{}` is in the state that is to be copied", to.display()));
        return Err(problem.with_hint("name a folder elsewhere").into());
    }
    // All databases are copied as they are at one moment.
    let _mine = take(from)?;
    copy(from, to)?;
    terminal::stdout(&format!("{}\n", to.display()));
    Ok(())
}

/// Copies what is ours: databases as databases, the rest as it is.
fn copy(from: &Path, to: &Path) -> Result<(), Problems> {
    let unwritable = |error: io::Error| {
        Problem::error(format!("`{}` cannot be written: {error}", to.display()))
            .with_hint("name another folder, where there is room")
    };
    fs::create_dir_all(to).map_err(unwritable)?;
    for entry in ours(from).map_err(|error| unreadable(from, &error))? {
        copy_entry(&entry, &to.join(entry.file_name().unwrap_or_default()), &unwritable)?;
    }
    Ok(())
}

fn copy_entry(from: &Path, to: &Path, unwritable: &dyn Fn(io::Error) -> Problem) -> Result<(), Problems> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(unwritable)?;
        for entry in fs::read_dir(from).map_err(|error| unreadable(from, &error))? {
            let entry = entry.map_err(|error| unreadable(from, &error))?;
            copy_entry(&entry.path(), &to.join(entry.file_name()), unwritable)?;
        }
        return Ok(());
    }
    match from.extension().and_then(|ending| ending.to_str()) {
        Some("db" | "sqlite") => Ok(sqlite::copy(from, to).map_err(|error| Problem::from_error(&error))?),
        // What SQLite has beside a database is in the copy; the backup of an older version is not the state.
        Some(_) => Ok(()),
        None => Ok(fs::copy(from, to).map(drop).map_err(unwritable)?),
    }
}

fn reset(folder: &Path, yes: bool) -> Result<(), Problems> {
    let nothing = || terminal::stdout(&format!("nothing is kept in `{}`\n", folder.display()));
    if ours(folder).map_err(|error| unreadable(folder, &error))?.is_empty() {
        nothing();
        return Ok(());
    }
    // From before the question on, so that nobody begins while it is thought about.
    let _mine = take(folder)?;
    let question = format!("Remove every instance, key, message and object that is kept in `{}`?", folder.display());
    if !yes && !ask::is_sure(&question)? {
        return Ok(());
    }
    for entry in ours(folder).map_err(|error| unreadable(folder, &error))? {
        let removed = if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
        removed.map_err(|error| Problem::error(format!("`{}` cannot be removed: {error}", entry.display())))?;
    }
    terminal::stdout(&format!("removed what was kept in `{}`\n", folder.display()));
    Ok(())
}

/// Makes sure that no server uses the state as long as the value lives.
fn take(folder: &Path) -> Result<StateDirectory, Problems> {
    StateDirectory::lock(folder).map_err(|error| match error {
        StorageError::Locked { .. } => {
            let problem = Problem::error(format!("a server uses the state in `{}`", folder.display()));
            problem.with_hint("stop it first").into()
        }
        error => Problem::from_error(&error).into(),
    })
}

/// What of a folder is ours, in order; nothing when it is not there.
fn ours(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut ours = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = match entry.file_type()?.is_dir() {
            true => name == OBJECTS,
            false => CLOCK.contains(&&*name) || DATABASES.iter().any(|database| is_of(&name, database)),
        };
        if is_ours {
            ours.push(entry.path());
        }
    }
    ours.sort();
    Ok(ours)
}

/// Whether a file is this database, what SQLite has beside it, or the copy of an older version of it.
fn is_of(name: &str, database: &str) -> bool {
    let stem = database.split('.').next().unwrap_or(database);
    let beside = name.strip_prefix(database).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let copy = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix(".v"));
    beside || copy.is_some_and(|rest| rest.ends_with(".backup") || rest.ends_with(".backup.part"))
}

fn unreadable(folder: &Path, error: &io::Error) -> Problem {
    Problem::error(format!("`{}` cannot be read: {error}", folder.display()))
        .with_hint("name another folder with `--persist-to`")
}
