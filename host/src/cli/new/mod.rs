//! `miniflow new`: the beginning of a Worker.
//!
//! Promises: what it writes is one of the templates under another name, and `miniflow dev` serves it at once; a folder in which there is
//! anything is left as it is. Never does: ask the network, or run cargo.

mod name;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::carried;
use crate::config::{Problem, Problems};
use crate::report::terminal;
use crate::wasm::default_cache_dir;

const EXAMPLES: &str = "\
Examples:
  miniflow new my-worker                      a Worker with a fetch handler
  miniflow new shop --template workflow       a Worker with a durable Workflow
  miniflow new .                              in this folder, which must be empty";

/// Create a new Worker project from a template
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct NewArgs {
    /// Folder to create
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Template: a fetch handler, a Workflow, a queue consumer or a cron trigger
    #[arg(long, short, value_enum, default_value_t = Template::Hello)]
    template: Template,

    /// Name of the Worker [default: the folder's name]
    #[arg(long)]
    name: Option<String>,
}

/// What a Worker begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Template {
    #[value(help = None)]
    Hello,
    #[value(help = None)]
    Workflow,
    #[value(help = None)]
    Queue,
    #[value(help = None)]
    Cron,
}

impl Template {
    /// The name of its folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Workflow => "workflow",
            Self::Queue => "queue",
            Self::Cron => "cron",
        }
    }

    /// What the Worker is called in it.
    fn name(self) -> String {
        format!("new-{}", self.folder())
    }
}

/// Runs `miniflow new`.
///
/// # Errors
///
/// When the name or the folder cannot be had.
pub(super) fn run(args: &NewArgs) -> Result<(), Problems> {
    let folder = std::path::absolute(&args.folder)
        .map_err(|error| Problem::error(format!("there is no folder `{}`: {error}", args.folder.display())))?;
    let name = name_of(&folder, args)?;
    has_room(&folder)?;
    let Some(cache) = default_cache_dir(|name| std::env::var_os(name)) else {
        return Err(Problem::error("there is no folder for the sources of the SDK")
            .with_hint("set MINIFLOW_CACHE_DIR to one, or HOME")
            .into());
    };
    let sources = carried::unpack(&cache).map_err(|error| {
        Problem::error(format!("the sources of the SDK cannot be put into `{}`: {error}", cache.display()))
            .with_hint("set MINIFLOW_CACHE_DIR to another folder")
    })?;
    write(&folder, args.template, &name, &sources).map_err(|error| {
        Problem::error(format!("`{}` cannot be written: {error}", folder.display()))
            .with_hint("name a folder that you may write to")
    })?;
    terminal::stdout(&next(&args.folder, args.template, &name));
    Ok(())
}

fn name_of(folder: &Path, args: &NewArgs) -> Result<String, Problems> {
    let of_folder = || folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = args.name.clone().unwrap_or_else(of_folder);
    let Some(fault) = name::fault(&name) else { return Ok(name) };
    let problem = Problem::error(format!("a Worker cannot be called `{name}`: {fault}"));
    let hint = match (name::like(&name), &args.name) {
        (Some(better), Some(_)) => format!("pass `--name {better}`"),
        (Some(better), None) => format!("name the folder `{better}`, or pass `--name {better}`"),
        (None, _) => "pass one with `--name`, such as `--name my-worker`".to_owned(),
    };
    Err(problem.with_hint(hint).into())
}

/// Refuses a folder that has anything in it, but what git keeps there.
fn has_room(folder: &Path) -> Result<(), Problems> {
    let shown = folder.display();
    let problem = match std::fs::read_dir(folder) {
        Ok(entries) => match entries.flatten().find(|entry| entry.file_name() != ".git") {
            Some(_) => Problem::error(format!("there is something in `{shown}` already")),
            None => return Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Problem::error(format!("`{shown}` is not a folder"))
        }
        Err(error) => Problem::error(format!("`{shown}` cannot be read: {error}")),
    };
    Err(problem.with_hint("name a folder that is empty, or is not there yet").into())
}

/// Writes the files of `template`, under the name of the Worker, and depending on `sources`.
fn write(folder: &Path, template: Template, name: &str, sources: &Path) -> std::io::Result<()> {
    let replaced = [
        (template.name(), name.to_owned()),
        (format!("../../{}", carried::SDK), carried::in_manifest(&sources.join(carried::SDK))),
        (format!("../../{}", carried::TEST_KIT), carried::in_manifest(&sources.join(carried::TEST_KIT))),
    ];
    std::fs::create_dir_all(folder)?;
    for (below, contents) in carried::template(template.folder()) {
        let file = folder.join(below);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let text = String::from_utf8_lossy(contents).into_owned();
        std::fs::write(file, replaced.iter().fold(text, |text, (old, new)| text.replace(old, new)))?;
    }
    // cargo takes the versions from it, and leaves out what is not needed.
    std::fs::write(folder.join("Cargo.lock"), carried::lock_file())
}

/// What to do next.
fn next(folder: &Path, template: Template, name: &str) -> String {
    let enter = if folder == Path::new(".") { String::new() } else { format!("  cd {}\n", folder.display()) };
    format!(
        "`{name}` begins with the template `{}`; its README says what to ask it\n\n{enter}  \
         miniflow dev      serves it, and builds it again whenever a file is saved\n  \
         cargo test        tests it; the first time compiles an engine, which takes minutes\n",
        template.folder()
    )
}
