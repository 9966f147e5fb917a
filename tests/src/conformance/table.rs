//! Writes `docs/conformance.md`.

use std::fmt::Write as _;

use super::{Proof, Rule, Rules, State};

const INTRODUCTION: &str = "\
# Conformance

What miniflow is held to, rule by rule, and the test that holds it.

- **rule**: what miniflow does, whatever others do.
- **source**: `contract` is a section of what Cloudflare documents; `engine A` is what the tests of the official local emulator
  assert; `engine B` is what that emulator is known to do wrong, and the rule is the better behaviour.
- **test**: what proves it.
- **ours**: `pass` when a test proves it, `missing` when none does; `later` with the area that brings it; `not applicable` with the reason.
- **official**: what the official local emulator does instead. Empty: the same, as far as is known.

Where neither the documentation nor an observed answer of the platform gives an error text or code, it is ours: every text of a refused event,
of a retention or a duration that is not one, and the numbers in those about sizes. Limits that only an account has (creations a second, executions a day,
subrequests, queued instances) are not enforced: nothing slows a local run down.

This file is written by a test, of `tests/conformance/rules.toml` and the `// rules:` lines above the tests:
`MINIFLOW_WRITE_DOCS=1 cargo test -p miniflow-tests conformance`. Without the variable the test fails when the file is not up to date.
";

/// How many rules are in each state.
#[derive(Default)]
struct Counts {
    pass: usize,
    missing: usize,
    later: usize,
    not_applicable: usize,
}

/// Returns the whole document.
#[must_use]
pub fn render(rules: &Rules, proofs: &[Proof]) -> String {
    let mut text = format!("{INTRODUCTION}\n| section | rules | pass | missing | later | not applicable |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|\n");
    for section in &rules.sections {
        let name = format!("{}: {}", section.source, section.title);
        push_counts(&mut text, &name, &Counts::of(rules.of(section), proofs));
    }
    push_counts(&mut text, "**all**", &Counts::of(rules.rules.iter(), proofs));
    for section in &rules.sections {
        // Writing to a text cannot fail; so below.
        let _ = write!(text, "\n## {}: {}\n\n", section.source, section.title);
        text.push_str("| id | rule | source | test | ours | official |\n|---|---|---|---|---|---|\n");
        for rule in rules.of(section) {
            let tests = tests(rule, proofs);
            let [rule_text, official] = [&rule.rule, &rule.official].map(|text| cell(text));
            let ours = cell(&ours(rule, proofs));
            let _ = writeln!(text, "| {} | {rule_text} | {} | {tests} | {ours} | {official} |", rule.id, rule.source);
        }
    }
    text
}

impl Counts {
    fn of<'a>(rules: impl Iterator<Item = &'a Rule>, proofs: &[Proof]) -> Self {
        let mut counts = Self::default();
        for rule in rules {
            match rule.state {
                State::Now if is_proven(rule, proofs) => counts.pass += 1,
                State::Now => counts.missing += 1,
                State::Later(_) => counts.later += 1,
                State::NotApplicable(_) => counts.not_applicable += 1,
            }
        }
        counts
    }
}

fn push_counts(text: &mut String, name: &str, counts: &Counts) {
    let Counts { pass, missing, later, not_applicable } = counts;
    let all = pass + missing + later + not_applicable;
    let _ = writeln!(text, "| {name} | {all} | {pass} | {missing} | {later} | {not_applicable} |");
}

fn proofs_of<'a>(rule: &Rule, proofs: &'a [Proof]) -> impl Iterator<Item = &'a Proof> {
    proofs.iter().filter(|proof| proof.rules.contains(&rule.id))
}

fn is_proven(rule: &Rule, proofs: &[Proof]) -> bool {
    proofs_of(rule, proofs).next().is_some()
}

fn ours(rule: &Rule, proofs: &[Proof]) -> String {
    match &rule.state {
        State::Now if is_proven(rule, proofs) => "pass".to_owned(),
        State::Now => "**missing**".to_owned(),
        State::Later(area) => format!("later: {area}"),
        State::NotApplicable(reason) => format!("not applicable: {reason}"),
    }
}

/// Names of the tests, under the path of their file.
fn tests(rule: &Rule, proofs: &[Proof]) -> String {
    let mut text = String::new();
    let mut file = "";
    for proof in proofs_of(rule, proofs) {
        if proof.file == file {
            let _ = write!(text, ", `{}`", proof.test);
        } else {
            let line = if text.is_empty() { "" } else { "<br>" };
            let _ = write!(text, "{line}[{path}](../{path}): `{test}`", path = proof.file, test = proof.test);
            file = &proof.file;
        }
    }
    text
}

/// A text that may stand in a table.
fn cell(text: &str) -> String {
    // In code too, a bar would end the cell; and `<` outside of code would begin an element, so texts with it are in code.
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Section;

    fn rule(id: &str, state: State) -> Rule {
        let text = |text: &str| text.to_owned();
        Rule { id: text(id), rule: text("a | b"), source: text("s"), official: text("other"), state }
    }

    fn proof(file: &str, test: &str) -> Proof {
        Proof { file: file.to_owned(), test: test.to_owned(), rules: vec!["A1".to_owned()] }
    }

    #[test]
    fn a_rule_without_a_test_is_missing() {
        let section = Section { source: "s".to_owned(), title: "t".to_owned() };
        let states = [State::Now, State::Now, State::Later("area".to_owned()), State::NotApplicable("why".to_owned())];
        let rules = states.into_iter().zip(["A1", "A2", "A3", "A4"]).map(|(state, id)| rule(id, state)).collect();
        let rules = Rules { sections: vec![section], rules };
        let text = render(&rules, &[proof("x.rs", "one"), proof("x.rs", "two"), proof("y.rs", "three")]);
        for line in [
            "| s: t | 4 | 1 | 1 | 1 | 1 |",
            "| **all** | 4 | 1 | 1 | 1 | 1 |",
            "## s: t",
            "| A1 | a \\| b | s | [x.rs](../x.rs): `one`, `two`<br>[y.rs](../y.rs): `three` | pass | other |",
            "| A2 | a \\| b | s |  | **missing** | other |",
            "| A3 | a \\| b | s |  | later: area | other |",
            "| A4 | a \\| b | s |  | not applicable: why | other |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
