//! Columns.

use super::style::Style;

/// A cell: its text, and the colour of it if there is one.
pub(super) struct Cell {
    text: String,
    code: Option<&'static str>,
}

impl Cell {
    pub(super) fn coloured(text: impl Into<String>, code: Option<&'static str>) -> Self {
        Self { text: text.into(), code }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::coloured(text, None)
    }
}

/// Returns rows under a header, as wide as they have to be. Nothing stands behind the last cell of a line.
pub(super) fn table(header: &[&str], rows: &[Vec<Cell>], style: Style) -> String {
    let mut widths: Vec<usize> = header.iter().map(|text| width(text)).collect();
    for row in rows {
        for (most, cell) in widths.iter_mut().zip(row) {
            *most = (*most).max(width(&cell.text));
        }
    }
    let names: Vec<_> = header.iter().map(|name| Cell::coloured(*name, Some("2"))).collect();
    let mut text = line(&names, &widths, style);
    for row in rows {
        text.push_str(&line(row, &widths, style));
    }
    text
}

fn line(cells: &[Cell], widths: &[usize], style: Style) -> String {
    let mut line = String::new();
    // Empty cells at the end need no room.
    let last = cells.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
    for (place, (cell, wide)) in cells.iter().zip(widths).enumerate().take(last + 1) {
        match cell.code {
            Some(code) => line.push_str(&style.word(code, &cell.text)),
            None => line.push_str(&cell.text),
        }
        if place < last {
            line.push_str(&" ".repeat(wide - width(&cell.text) + 2));
        }
    }
    line.push('\n');
    line
}

pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// The colour of a status.
pub(super) fn status_code(status: &str) -> Option<&'static str> {
    match status {
        "complete" => Some("32"),
        "errored" => Some("31"),
        "terminated" | "paused" | "waitingForPause" | "rollingBack" => Some("33"),
        "running" | "queued" | "waiting" => Some("36"),
        _ => None,
    }
}
