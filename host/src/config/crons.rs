//! Reads cron expressions, and says which character of which line is wrong.

use miniflow_runtime::{Cron, CronError};

use super::problem::{Problem, Problems};
use super::raw::{Document, Node};

/// Reads the expression that is the text `node`, which is called `field`.
pub(super) fn read(document: &Document, node: &Node, field: &str, problems: &mut Problems) -> Option<Cron> {
    let text = node.text()?;
    match text.parse::<Cron>() {
        Ok(cron) => Some(cron),
        Err(CronError { expression, at, what, hint }) => {
            let message =
                format!("\"{field}\": `{expression}` is not a cron expression: {what} (character {})", at + 1);
            let place = document.place_in_text(node, at);
            problems.push(Problem::error(message).at(place).with_hint(hint));
            None
        }
    }
}
