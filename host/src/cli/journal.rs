//! `miniflow journal`: the journal of an instance as a file.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use miniflow_runtime::storage::Reader;

use super::client::{self, ServerArgs};
use crate::config::{Problem, Problems};
use crate::report::terminal;
use crate::verify::export::export;

const PATH: &str = "/cdn-cgi/local/miniflow/journal";

const EXAMPLES: &str = "\
Examples:
  miniflow journal export order-1 -o order-1.json                          ask the server on port 8787
  miniflow journal export order-1 --persist-to .miniflow/state             read a state folder, no server needed
  miniflow replay --against new.wasm order-1.json                          check other code against it";

/// Export an instance's journal as JSON
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Write an instance's journal and inputs as JSON, without secret values
    #[command(after_help = EXAMPLES)]
    Export {
        /// Instance id
        id: String,

        /// Workflow of the instance; needed if the id exists in several
        #[arg(long, value_name = "NAME")]
        workflow: Option<String>,

        /// Write to this file [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,

        /// Read this state folder instead of asking a server; nothing is changed
        #[arg(long, env = "MINIFLOW_PERSIST_TO", hide_env_values = true, value_name = "FOLDER")]
        persist_to: Option<PathBuf>,

        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Runs `miniflow journal`.
///
/// # Errors
///
/// When there is no such instance, or nobody who has it.
pub(super) async fn run(args: JournalArgs) -> Result<(), Problems> {
    let JournalCommand::Export { id, workflow, output, persist_to, server } = args.command;
    let text = match persist_to {
        Some(folder) => of_folder(&folder, workflow.as_deref(), &id)?,
        None => of_server(server.port, workflow.as_deref(), &id).await?,
    };
    let Some(file) = output else {
        terminal::stdout(&text);
        return Ok(());
    };
    std::fs::write(&file, text).map_err(|error| {
        let message = format!("the journal cannot be written to `{}`: {error}", file.display());
        Problem::error(message).with_hint("name another file with `--output`").into()
    })
}

fn of_folder(folder: &Path, workflow: Option<&str>, id: &str) -> Result<String, Problems> {
    let reader = Reader::of_directory(folder).map_err(|error| Problem::from_error(&error))?;
    let Some(mut reader) = reader else {
        return Err(Problem::error(format!("no state is kept in `{}`", folder.display()))
            .with_hint("name the folder that has the file `miniflow.db`, such as `.miniflow/state` of a project")
            .into());
    };
    match export(&mut reader, workflow, id) {
        Ok(bundle) => Ok(bundle.to_json()),
        Err(error) => Err(Problem::from_error(&error).with_hint(error.hint()).into()),
    }
}

async fn of_server(port: u16, workflow: Option<&str>, id: &str) -> Result<String, Problems> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("id", id);
    if let Some(workflow) = workflow {
        query.append_pair("workflow", workflow);
    }
    let bundle = client::get(port, &format!("{PATH}?{}", query.finish())).await?;
    Ok(format!("{bundle:#}\n"))
}
