//! The figures of `docs/benchmarks.md`, measured through the real binary and a real Worker.
//!
//! `cargo bench -p miniflow-tests` prints them; `-- --write` also puts them into the document; `-- NAME…` measures only sections
//! whose name contains one of these words. Nothing is asserted: machines are noisy, and a slow day is not a bug.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod api;
mod builds;
mod client;
mod edits;
mod kit;
mod kv;
mod machine;
mod saves;
mod sections;
mod server;
mod stress;

use std::fmt::Write as _;

use sections::Figure;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let write = arguments.iter().any(|argument| argument == "--write");
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let mut report = format!("{}\n\n", machine::describe());
    for (name, measure) in sections::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        eprintln!("measuring: {name}");
        let mut table =
            format!("## {name}\n\n| figure | mode | median | lowest | highest | runs |\n|---|---|---|---|---|---|\n");
        for Figure { name, mode, unit, values } in measure() {
            let mut values = values;
            values.sort_by(f64::total_cmp);
            let [low, middle, high] = [0, values.len() / 2, values.len().saturating_sub(1)]
                .map(|index| values.get(index).copied().unwrap_or(f64::NAN));
            // Writing to a text cannot fail.
            let _ = writeln!(
                table,
                "| {name} | {mode} | {} {unit} | {} | {} | {} |",
                shown(middle),
                shown(low),
                shown(high),
                values.len()
            );
        }
        println!("{table}");
        report.push_str(&table);
        report.push('\n');
    }
    if write {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md");
        let before = std::fs::read_to_string(path).unwrap_or_default();
        // What people wrote stands above the line; below it is ours.
        let kept = before.split(MARK).next().unwrap_or_default().trim_end();
        std::fs::write(path, format!("{kept}\n\n{MARK}\n\n{}\n", report.trim_end()))
            .expect("the document can be written");
        eprintln!("written to docs/benchmarks.md");
    }
}

const MARK: &str = "<!-- below: written by `cargo bench -p miniflow-tests -- --write` -->";

/// Three digits that mean something.
fn shown(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    let sign = if value < 0.0 { "-" } else { "" };
    let text = format!("{:.digits$}", value.abs());
    // 12345 reads as 12,345.
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let grouped = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}
