//! What the macros say about code they cannot take. `TRYBUILD=overwrite` rewrites the expectations.

#[test]
fn mistakes_are_explained_where_they_were_made() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/accepted.rs");
    cases.compile_fail("tests/ui/fetch_*.rs");
    cases.compile_fail("tests/ui/event_*.rs");
    cases.compile_fail("tests/ui/workflow_*.rs");
    cases.compile_fail("tests/ui/durable_object_*.rs");
}
