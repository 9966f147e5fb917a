//! Which rules the emulator is held to, which test proves which, and the table made of both.
//!
//! The rules are in `tests/conformance/rules.toml`, and know no test. A test names the rules it proves in a line above its attributes:
//!
//! ```text
//! // rules: S26, C2.2-4
//! #[test]
//! fn a_pause_lets_the_bodies_finish() {
//! ```
//!
//! So a rule nobody proves shows in `docs/conformance.md`. Promises: everything that is wrong is returned, not only the first. Never
//! reads or writes a file: texts come in, and go out.

mod markers;
mod rules;
mod table;

pub use markers::{Proof, scan};
pub use rules::{Rule, Rules, Section, State};
pub use table::render;

/// Returns what is wrong with what the tests claim: rules that do not exist, or that are not to be proven now.
#[must_use]
pub fn check(rules: &Rules, proofs: &[Proof]) -> Vec<String> {
    let mut problems = Vec::new();
    for proof in proofs {
        for (index, id) in proof.rules.iter().enumerate() {
            let place = format!("{}: `{}`", proof.file, proof.test);
            match rules.find(id).map(|rule| &rule.state) {
                None => problems.push(format!("{place} names the rule `{id}`, which does not exist")),
                Some(State::Now) => {}
                Some(State::Later(_) | State::NotApplicable(_)) => {
                    problems.push(format!("{place} proves `{id}`, which is not marked as a rule that applies now"));
                }
            }
            if proof.rules[..index].contains(id) {
                problems.push(format!("{place} names `{id}` twice"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [[section]]
        source = "contract 1"
        title = "The page"
        [[rule]]
        id = "S1"
        rule = "It starts."
        source = "contract 1"
        [[rule]]
        id = "S2"
        rule = "It stops."
        source = "contract 1"
        status = "later"
        reason = "bindings"
    "#;

    fn proof(rules: &[&str]) -> Proof {
        let rules = rules.iter().map(|id| (*id).to_owned()).collect();
        Proof { file: "a.rs".to_owned(), test: "t".to_owned(), rules }
    }

    #[test]
    fn a_test_may_name_a_rule_that_applies_once() {
        let rules = Rules::parse(RULES).unwrap();
        assert_eq!(check(&rules, &[proof(&["S1"])]), [""; 0]);
        assert_eq!(
            check(&rules, &[proof(&["S1", "S9", "S1"]), proof(&["S2"])]),
            [
                "a.rs: `t` names the rule `S9`, which does not exist",
                "a.rs: `t` names `S1` twice",
                "a.rs: `t` proves `S2`, which is not marked as a rule that applies now",
            ]
        );
    }
}
