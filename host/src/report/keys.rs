//! What keys show.

use std::time::Duration;

use miniflow_runtime::Timestamp;
use miniflow_runtime::mover::Moved;

use super::Style;
use super::banner::{table, units};
use crate::api::instant;

/// Things that came due which are listed, at most.
const DUE_MAX: usize = 20;

/// Every key, in one word and in a sentence.
const KEYS: [(&str, &str, &str); 8] = [
    ("b", "browser", "open the Worker in the browser"),
    ("i", "instances", "list the newest instances"),
    ("s", "cron", "fire a schedule or a cron trigger now"),
    ("n", "next timer", "go on to the next moment at which something happens"),
    ("r", "rebuild", "build again, and serve what comes of it"),
    ("c", "clear", "clear the terminal"),
    ("q", "quit", "stop, as Ctrl-C does"),
    ("?", "help", "show this"),
];

/// Returns the line that names the keys.
#[must_use]
pub fn hint(style: Style) -> String {
    let keys = KEYS.map(|(key, word, _)| format!("{} {}", style.bold(key), style.dim(word)));
    format!("  {}\n\n", keys.join(style.dim(" · ").as_str()))
}

/// Returns what each key does.
#[must_use]
pub fn help(style: Style) -> String {
    KEYS.iter().map(|(key, _, sentence)| format!("  {}  {sentence}\n", style.bold(key))).collect()
}

/// An instance in a list.
#[derive(Clone, Debug)]
pub struct Row {
    /// Workflow and id.
    pub name: String,
    pub status: &'static str,
    /// How long it has been so.
    pub since: Duration,
}

/// Returns the list, and how many there are of each status, shown or not.
#[must_use]
pub fn instances(rows: &[Row], counts: &[(&'static str, u64)]) -> String {
    if rows.is_empty() {
        return "  no instances\n".to_owned();
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| [row.name.clone(), row.status.to_owned(), format!("for {}", units(row.since.as_secs()))])
        .collect();
    let mut text: String = table(&cells).into_iter().map(|line| format!("  {line}\n")).collect();
    let counts: Vec<_> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    text.push_str(&format!("  {}\n", counts.join(", ")));
    text
}

/// Returns the crons with the key that fires each.
#[must_use]
pub fn crons(crons: &[(&str, String)]) -> String {
    if crons.is_empty() {
        return "  no schedules and no cron triggers\n".to_owned();
    }
    let rows: Vec<_> = crons
        .iter()
        .enumerate()
        .map(|(index, (cron, whose))| [(index + 1).to_string(), (*cron).to_owned(), whose.clone()])
        .collect();
    let lines: String = table(&rows).into_iter().map(|line| format!("  {line}\n")).collect();
    format!("{lines}  which one? 1 to {}, any other key for none\n", crons.len())
}

/// Returns what a move of the clock brought.
#[must_use]
pub fn moved(moved: &Moved) -> String {
    let line = |at: Timestamp, what: &str| format!("  {}  {what}\n", instant::format(at));
    let mut text: String = moved.due.iter().take(DUE_MAX).map(|due| line(due.at, &due.what)).collect();
    if moved.due.len() > DUE_MAX {
        text.push_str(&format!("  … and {} more\n", moved.due.len() - DUE_MAX));
    }
    text.push_str(&line(moved.to, "is the time now"));
    text
}

#[cfg(test)]
mod tests {
    use miniflow_runtime::clock::Due;

    use super::*;

    #[test]
    fn the_hint_is_one_line_that_fits() {
        let hint = hint(Style::Plain);
        let line = "  b browser · i instances · s cron · n next timer · r rebuild · c clear · q quit · ? help\n\n";
        assert_eq!(hint, line);
        assert_eq!(help(Style::Plain).lines().count(), KEYS.len());
    }

    #[test]
    fn lists_are_tables() {
        let row =
            |name: &str, status, seconds| Row { name: name.to_owned(), status, since: Duration::from_secs(seconds) };
        let rows = [row("orders/a", "waiting", 90), row("orders/long", "complete", 0)];
        assert_eq!(
            instances(&rows, &[("waiting", 1), ("complete", 12)]),
            "  orders/a     waiting   for 1m 30s\n  orders/long  complete  for 0s\n  1 waiting, 12 complete\n"
        );
        assert_eq!(instances(&[], &[]), "  no instances\n");
        assert_eq!(
            crons(&[("0 * * * *", "handler of a".to_owned()), ("* * * * *", "workflow b".to_owned())]),
            "  1  0 * * * *  handler of a\n  2  * * * * *  workflow b\n  which one? 1 to 2, any other key for none\n"
        );
    }

    #[test]
    fn a_move_says_what_came_due() {
        let due = Due { at: Timestamp(0), what: "orders/a sleep nap-1 is over".to_owned() };
        let mut brought = Moved { from: Timestamp(0), to: Timestamp(0), due: vec![due.clone()] };
        let one = "  1970-01-01T00:00:00.000Z  orders/a sleep nap-1 is over\n";
        assert_eq!(moved(&brought), format!("{one}  1970-01-01T00:00:00.000Z  is the time now\n"));
        brought.due = vec![due; DUE_MAX + 3];
        assert!(moved(&brought).contains("\n  … and 3 more\n"));
    }
}
