//! Any workflow, with anything done to it at any moment, behaves as a plain model of it says.

mod driver;
mod guest;
mod outside;
mod plain;
mod program;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use driver::End;
use program::{Case, case};

use crate::world::cases;

/// Cases of the test that always tries the same ones.
const CASES: u32 = 600;

/// What must have happened in them.
const KINDS: [&str; 44] = [
    "branch that is dropped",
    "branch that loses",
    "compensation",
    "compensation that is retried",
    "delete of a finished one",
    "delete of a live one",
    "event for a wait",
    "event for a wait that is paused",
    "event that is refused",
    "failure",
    "failure that is rolled back",
    "kept event",
    "pause after the last body",
    "pause of one that waits",
    "pause while a body runs",
    "pause without effect",
    "process that dies after a commit",
    "process that dies in the last attempt",
    "process that dies while a body runs",
    "process that dies while it is paused",
    "process that dies while it waits",
    "process that ends otherwise",
    "process that is stopped while a body runs",
    "restart from a step",
    "restart from a step that has not begun",
    "restart of a finished one",
    "restart of a live one",
    "restart that keeps what is done",
    "resume",
    "resume without effect",
    "retry",
    "retry while a pause comes",
    "rollback that completes",
    "rollback that fails",
    "sleep",
    "step",
    "step that fails for good",
    "step that is not to be retried",
    "step that succeeds later",
    "terminate",
    "terminate that is refused",
    "terminate with rollback",
    "timer that a pause moves",
    "wait that times out",
];

fn check(case: &Case) -> Result<End, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(driver::check(case)).map_err(TestCaseError::fail)
}

// rules: C2.2-8, C2.3-5, C2.6-4, C4.3-2, C4.3-4, B9
#[test]
fn every_kind_of_act_and_operation_is_as_the_model_says() {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let seen: RefCell<BTreeMap<&str, u32>> = RefCell::default();
    let outcome = runner.run(&case(), |case| {
        let mut seen = seen.borrow_mut();
        match check(&case)? {
            End::Agreed(kinds) => kinds.into_iter().for_each(|kind| *seen.entry(kind).or_default() += 1),
            End::Tied => *seen.entry("tie").or_default() += 1,
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let seen = seen.into_inner();
    let missing: Vec<_> = KINDS.iter().filter(|kind| !seen.contains_key(**kind)).collect();
    assert!(missing.is_empty(), "{missing:?} did not happen in {seen:#?}");
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn any_workflow_is_as_the_model_says(case in case()) {
        check(&case)?;
    }
}
