//! The command line: reads arguments and the environment, runs a command, and says how it went.
//!
//! Only here are environment variables read (each flag has one, `MINIFLOW_` and its name), and only here and in
//! `report` is anything printed. The exit code is 0, 1 if the command failed, 2 if the arguments make no sense; of a command that checks
//! something 1 if it has found something, 2 if it could not look.

mod ask;
mod authorities;
mod browser;
mod build;
mod check;
pub mod client;
mod completions;
mod cron;
mod dev;
mod first;
mod journal;
mod keys;
mod loaded;
mod new;
mod place;
mod ports_file;
mod project;
mod replay;
mod reporter;
mod serve;
mod state;
mod stop;
mod test;
#[cfg(test)]
mod tests;
mod time;
mod version;
mod workflows;
mod wrangler;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::dev::{CronCatchUp, DevOptions, Durability, LogFormat, LogLevel, StateFolder};
use crate::config::{Problem, Problems};
use crate::report::{self, Style, terminal};

const EXAMPLES: &str = "\
Examples:
  miniflow new my-worker                 create a Worker project
  miniflow dev                           serve the Worker of this folder
  miniflow dev my-worker --port 0        serve the Worker of another folder, on a free port
  miniflow dev worker.wasm --ephemeral   serve a built component, state in memory
  miniflow check -e staging              check the environment `staging`
  miniflow cron fire '*/5 * * * *'       fire a cron trigger of a running server
  miniflow time advance 3d               move the clock of a running server by three days";

/// Run Workers compiled to WebAssembly on your machine, with durable Workflows
#[derive(Debug, Parser)]
#[command(name = "miniflow", version = version::VERSION, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::NewArgs),
    Dev(dev::DevArgs),
    Build(build::BuildArgs),
    Check(check::CheckArgs),
    Cron(cron::CronArgs),
    Time(time::TimeArgs),
    Workflows(workflows::WorkflowsArgs),
    Test(test::TestArgs),
    Journal(journal::JournalArgs),
    Replay(replay::ReplayArgs),
    State(state::StateArgs),
    Completions(completions::CompletionsArgs),
}

/// Runs the program: parses its arguments, runs the command, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` are errors to clap, and go to standard output.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let style = style();
    match run(cli, style) {
        Ok(code) => code,
        Err(problems) => {
            terminal::stderr(&report::problems(&problems, style));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, style: Style) -> Result<ExitCode, Problems> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::error(format!("could not start threads: {error}")))?;
    let done = match cli.command {
        Command::New(args) => new::run(&args),
        Command::Dev(args) => runtime.block_on(serve::run(args, style)),
        Command::Build(args) => runtime.block_on(build::run(args, style)),
        Command::Check(args) => runtime.block_on(check::run(args, style)),
        Command::Cron(args) => runtime.block_on(cron::run(args)),
        Command::Time(args) => runtime.block_on(time::run(args)),
        Command::Workflows(args) => runtime.block_on(workflows::run(args, style)),
        Command::Journal(args) => runtime.block_on(journal::run(args)),
        Command::State(args) => state::run(args),
        Command::Completions(args) => {
            completions::run(&args);
            Ok(())
        }
        // What it finds is its exit code.
        Command::Test(args) => return Ok(runtime.block_on(test::run(args, style))),
        Command::Replay(args) => return Ok(runtime.block_on(replay::run(args, style))),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn style() -> Style {
    style_of(std::io::stderr().is_terminal())
}

/// The style of data, which may go elsewhere than what is said about it.
fn stdout_style() -> Style {
    style_of(std::io::stdout().is_terminal())
}

fn style_of(is_terminal: bool) -> Style {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    Style::of(is_terminal && !is_dumb, no_color)
}
