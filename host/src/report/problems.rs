//! Problems, as the terminal shows them.

use super::style::Style;
use crate::config::{Part, Problem, Problems};

/// Returns the text of `problems`, each from its own line on; nothing for none.
#[must_use]
pub fn problems(problems: &Problems, style: Style) -> String {
    problems.iter().map(|one| problem(one, style)).collect()
}

/// Returns the text of one of them, whole lines.
#[must_use]
pub fn problem(problem: &Problem, style: Style) -> String {
    let paint = |part: Part, text: &str| match part {
        Part::Label(severity) => style.severity(severity, text),
        Part::Arrow => style.dim(text),
        Part::Hint => style.bold(text),
    };
    problem.text(&paint) + "\n"
}
