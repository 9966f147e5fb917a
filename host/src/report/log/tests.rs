use miniflow_runtime::Timestamp;
use serde_json::{Value, json};

use super::{Format, Record};
use crate::bindings::logging::Level;
use crate::config::{Place, Position, Problem};
use crate::report::Style;

/// 2026-11-25T09:00:00.250Z
const NOW: Timestamp = Timestamp(1_795_597_200_250);

fn text(record: &Record) -> String {
    Format::Text(Style::Plain).line(record, NOW)
}

fn json(record: &Record) -> Value {
    let line = Format::Json.line(record, NOW);
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    serde_json::from_str(&line).unwrap()
}

fn attempt() -> Record {
    Record::new(Level::Warn, "step", "attempt failed, retrying: Error: no\nsecond line")
        .with("workflow", "orders")
        .with("instance", "a")
        .with("step", "charge-1")
        .with("attempt", 2)
        .with("event", "attempt_failed")
}

#[test]
fn a_line_for_people_says_whose_it_is_and_stays_readable_as_one() {
    assert_eq!(
        text(&attempt()),
        "warn  orders/a charge-1 attempt 2 attempt failed, retrying: Error: no\n      second line\n"
    );
    assert_eq!(text(&Record::new(Level::Log, "console", "hello")), "log   hello\n");
    assert_eq!(text(&Record::new(Level::Info, "ready", "x").shown_as("a\nb\n".to_owned())), "a\nb\n");
}

#[test]
fn a_line_for_programs_is_one_object_with_everything() {
    let expected = json!({
        "time": "2026-11-25T09:00:00.250Z",
        "level": "warn",
        "kind": "step",
        "workflow": "orders",
        "instance": "a",
        "step": "charge-1",
        "attempt": 2,
        "event": "attempt_failed",
        "message": "attempt failed, retrying: Error: no\nsecond line",
    });
    assert_eq!(json(&attempt()), expected);
    assert_eq!(json(&Record::new(Level::Info, "ready", "x").shown_as("banner\n".to_owned()))["message"], "x");
}

#[test]
fn the_status_of_an_answer_is_set_apart() {
    let line = |status: u64| {
        let message = format!("GET /200/x {status} (1 ms)");
        Format::Text(Style::Coloured).line(&Record::new(Level::Info, "request", message).with("status", status), NOW)
    };
    assert!(line(200).ends_with(" GET /200/x \x1b[32m200\x1b[0m (1 ms)\n"), "{:?}", line(200));
    assert!(line(404).contains("\x1b[33m404\x1b[0m"));
    assert!(line(503).contains("\x1b[31m503\x1b[0m"));
}

#[test]
fn a_problem_has_its_place_and_its_hint() {
    let place = Place { file: "wrangler.jsonc".into(), position: Some(Position { line: 3, column: 7 }) };
    let record = Record::problem(&Problem::error("no name").at(place).with_hint("add one"), Style::Plain);
    assert_eq!(text(&record), "error: no name\n  --> wrangler.jsonc:3:7\n  hint: add one\n");
    let expected = json!({
        "time": "2026-11-25T09:00:00.250Z",
        "level": "error",
        "kind": "problem",
        "file": "wrangler.jsonc",
        "line": 3,
        "column": 7,
        "hint": "add one",
        "message": "no name",
    });
    assert_eq!(json(&record), expected);
}
