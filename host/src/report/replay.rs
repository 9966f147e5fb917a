//! What replays of journals have found.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Style;
use super::reload::step;
use crate::verify::replay::{Divergence, Finding, What};

/// A journal that was replayed.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The file it was read from.
    pub file: PathBuf,
    /// The workflow of its instance.
    pub workflow: String,
    /// The id of its instance.
    pub id: String,
    /// What came of it.
    pub finding: Finding,
}

/// Returns one block for each, and a line that sums them up.
#[must_use]
pub fn replays(replayed: &[Replayed], style: Style) -> String {
    let mut text = String::new();
    for Replayed { file, workflow, id, finding } in replayed {
        let (color, word, details) = match finding {
            Finding::Fits { steps, note } => (
                "32",
                "fits",
                vec![format!("{steps} recorded step{}", s(*steps))].into_iter().chain(note.clone()).collect(),
            ),
            Finding::Diverges(divergence) => ("31", "diverges", lines(divergence)),
            Finding::Unchecked { why } => ("33", "unchecked", vec![format!("not looked at to the end: {why}")]),
            Finding::NoWorkflow => {
                ("31", "diverges", vec!["the code has no such workflow, and none of that class".to_owned()])
            }
        };
        text.push_str(&format!(
            "{} {workflow}/{id}  {}\n",
            style.word(color, &format!("{word:9}")),
            style.dim(&file.display().to_string())
        ));
        for line in details {
            text.push_str(&format!("          {line}\n"));
        }
    }
    text.push_str(&summary(replayed));
    text
}

fn lines(divergence: &Divergence) -> Vec<String> {
    let Divergence { at, expected, actual, last_common } = divergence;
    vec![
        format!("at step {at} of the record"),
        format!("expected:         {}", what(expected)),
        format!("the code:         {}", what(actual)),
        format!("last common step: {}", last_common.as_ref().map_or_else(|| "none".to_owned(), step)),
    ]
}

fn what(what: &What) -> String {
    match what {
        What::Step(key) => step(key),
        What::Ends => "`run` returns".to_owned(),
        What::Fails(message) => format!("`run` fails: {}", message.lines().next().unwrap_or_default()),
    }
}

fn summary(replayed: &[Replayed]) -> String {
    let count = |is: fn(&Finding) -> bool| replayed.iter().filter(|replayed| is(&replayed.finding)).count();
    let parts = [
        (count(|finding| matches!(finding, Finding::Fits { .. })), "fit"),
        (count(|finding| matches!(finding, Finding::Diverges(_) | Finding::NoWorkflow)), "diverge"),
        (count(|finding| matches!(finding, Finding::Unchecked { .. })), "not looked at to the end"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let all = replayed.len();
    format!("{all} journal{}: {}\n", s(all), parts.join(", "))
}

fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Returns the same as JSON.
#[must_use]
pub fn replays_json(replayed: &[Replayed]) -> String {
    let all: Vec<_> = replayed.iter().map(value).collect();
    format!("{:#}\n", Value::from(all))
}

fn value(replayed: &Replayed) -> Value {
    let Replayed { file, workflow, id, finding } = replayed;
    let mut value = json!({ "file": file, "workflow": workflow, "id": id });
    let found = match finding {
        Finding::Fits { steps, note } => json!({ "result": "fits", "steps": steps, "note": note }),
        Finding::Diverges(Divergence { at, expected, actual, last_common }) => json!({
            "result": "diverges",
            "at": at,
            "expected": what(expected),
            "actual": what(actual),
            "lastCommonStep": last_common.as_ref().map(step),
        }),
        Finding::Unchecked { why } => json!({ "result": "unchecked", "why": why }),
        Finding::NoWorkflow => json!({ "result": "diverges", "why": "the code has no such workflow" }),
    };
    if let (Some(value), Value::Object(found)) = (value.as_object_mut(), found) {
        value.extend(found);
    }
    value
}

#[cfg(test)]
mod tests {
    use miniflow_runtime::{StepKey, StepKind};

    use super::*;

    fn replayed(id: &str, finding: Finding) -> Replayed {
        Replayed { file: format!("{id}.json").into(), workflow: "orders".to_owned(), id: id.to_owned(), finding }
    }

    #[test]
    fn every_journal_is_told_and_the_last_line_sums_up() {
        let key = |name| StepKey::new(StepKind::Do, name, 1);
        let divergence = Divergence {
            at: 2,
            expected: What::Step(key("charge")),
            actual: What::Step(key("charge-card")),
            last_common: Some(key("validate")),
        };
        let ends = Divergence {
            at: 1,
            expected: What::Ends,
            actual: What::Fails("Error: x\nmore".to_owned()),
            last_common: None,
        };
        let all = [
            replayed("a", Finding::Fits { steps: 1, note: None }),
            replayed("b", Finding::Diverges(divergence)),
            replayed("c", Finding::Diverges(ends)),
            replayed("d", Finding::Unchecked { why: "the code sends a request outside of a step".to_owned() }),
            replayed("e", Finding::NoWorkflow),
        ];
        insta::assert_snapshot!(replays(&all, Style::Plain), @r"
        fits      orders/a  a.json
                  1 recorded step
        diverges  orders/b  b.json
                  at step 2 of the record
                  expected:         do `charge`
                  the code:         do `charge-card`
                  last common step: do `validate`
        diverges  orders/c  c.json
                  at step 1 of the record
                  expected:         `run` returns
                  the code:         `run` fails: Error: x
                  last common step: none
        unchecked orders/d  d.json
                  not looked at to the end: the code sends a request outside of a step
        diverges  orders/e  e.json
                  the code has no such workflow, and none of that class
        5 journals: 1 fit, 3 diverge, 1 not looked at to the end
        ");
        let json: Value = serde_json::from_str(&replays_json(&all)).unwrap();
        assert_eq!(json[1]["expected"], "do `charge`");
        assert_eq!(json[1]["lastCommonStep"], "do `validate`");
        assert_eq!(json[2]["lastCommonStep"], Value::Null);
        assert_eq!(json[3]["result"], "unchecked");
    }
}
