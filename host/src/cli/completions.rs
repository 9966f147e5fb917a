//! `miniflow completions`: what a shell has to know to complete our commands.

use clap::{Args, Command, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::Cli;
use crate::report::terminal;

const EXAMPLES: &str = "\
Examples:
  miniflow completions bash > ~/.local/share/bash-completion/completions/miniflow
  miniflow completions zsh > ~/.zfunc/_miniflow
  miniflow completions fish > ~/.config/fish/completions/miniflow.fish
  miniflow completions powershell >> $PROFILE
  miniflow completions elvish >> ~/.config/elvish/rc.elv

zsh finds it when `fpath+=~/.zfunc` stands before `compinit` in ~/.zshrc.";

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs `miniflow completions`.
pub(super) fn run(args: &CompletionsArgs) {
    terminal::stdout(&script(args.shell));
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut without_hidden(&Cli::command()), "miniflow", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command without the flags that its help does not show: a script would offer them.
fn without_hidden(command: &Command) -> Command {
    // clap keeps names as long as the program runs, and this is the last thing that it does.
    let shown = Command::new(&*command.get_name().to_owned().leak())
        .args(command.get_arguments().filter(|argument| !argument.is_hide_set()).cloned())
        .subcommands(command.get_subcommands().map(without_hidden));
    match command.get_about() {
        Some(about) => shown.about(about.clone()),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_is_told_of_every_command_and_of_no_flag_that_means_nothing() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["new", "terminate-all", "send-event", "completions", "persist-to"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
            assert!(!script.contains("upload-source-maps"), "{shell}");
        }
    }
}
