//! Asks a person before something is lost.

use std::io::IsTerminal as _;

use crate::config::{Problem, Problems};
use crate::report::terminal;

/// Whether a person says yes to `question`; nobody else can.
///
/// # Errors
///
/// When nobody is there.
pub(super) fn is_sure(question: &str) -> Result<bool, Problems> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::error("nobody is there to be asked").with_hint("pass `--yes`").into());
    }
    terminal::stderr(&format!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Problem::error(format!("could not read the answer: {error}")))?;
    Ok(is_yes(&answer))
}

/// What is not clearly a yes is a no.
fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_yes_is_one() {
        for (answer, expected) in
            [("y\n", true), (" Yes\r\n", true), ("\n", false), ("", false), ("no\n", false), ("yeah no\n", false)]
        {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }
}
