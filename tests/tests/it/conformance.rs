//! The rules, the tests that prove them, and the table of both.

use miniflow_tests::conformance::{Proof, Rules, check, render, scan};
use miniflow_tests::repository;

use crate::tidy::files;

/// Set to write the table.
const WRITE: &str = "MINIFLOW_WRITE_DOCS";

fn rules() -> Rules {
    let text = std::fs::read_to_string(repository().join("tests/conformance/rules.toml")).unwrap();
    Rules::parse(&text).unwrap_or_else(|problems| panic!("tests/conformance/rules.toml:\n{}", problems.join("\n")))
}

/// Every proof in the tree, by file, and what is wrong with the markers.
fn proofs() -> (Vec<Proof>, Vec<String>) {
    let folders = ["runtime", "host", "guest-sdk", "tests"].map(|folder| repository().join(folder));
    let mut paths: Vec<_> = folders.iter().flat_map(|folder| files(folder, ".rs")).collect();
    paths.sort();
    let (mut proofs, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.strip_prefix(repository()).unwrap().to_string_lossy().replace('\\', "/");
        let (found, wrong) = scan(&name, &std::fs::read_to_string(&path).unwrap());
        proofs.extend(found);
        problems.extend(wrong);
    }
    (proofs, problems)
}

#[test]
fn what_tests_claim_to_prove_are_rules_that_apply() {
    let (proofs, mut problems) = proofs();
    problems.extend(check(&rules(), &proofs));
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(!proofs.is_empty(), "no test names a rule");
}

#[test]
fn the_conformance_table_is_up_to_date() {
    let path = repository().join("docs/conformance.md");
    let expected = render(&rules(), &proofs().0);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let differs = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    let line = differs.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1;
    assert!(
        found == expected,
        "docs/conformance.md is not up to date, first in line {line}; write it with `{WRITE}=1 cargo test -p miniflow-tests conformance`"
    );
}
