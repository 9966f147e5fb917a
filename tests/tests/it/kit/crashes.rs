//! The crash matrix in a test.

use std::panic::{AssertUnwindSafe, catch_unwind};

use miniflow_test::{Harm, Scenario, crash_matrix};
use serde_json::json;

use super::guest;

#[tokio::test]
async fn a_step_that_is_not_safe_to_repeat_is_named_and_a_correct_workflow_is_not() {
    let report = crash_matrix(&guest("verify"), Scenario::of("CHARGES")).await.unwrap();
    assert_eq!((report.is_safe(), report.unsafe_steps()), (false, vec!["do `charge`"]));
    assert!(matches!(report.findings()[0].harm, Harm::Again { expected: 1, found: 2, .. }), "{report}");
    let panic = catch_unwind(AssertUnwindSafe(|| report.assert_safe())).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("the step do `charge` is not safe to repeat: it leaves 2 effects instead of 1"), "{said}");

    let approved = Scenario::of("CAREFUL").event("approval", json!({ "by": "Ada" })).double_kills(3, 7);
    let report = crash_matrix(&guest("verify"), approved).await.unwrap();
    report.assert_safe();
    assert!(report.report().commits > 10 && report.report().doubles == 3, "{report}");
    assert!(report.report().in_vain.is_empty(), "{report}");
}

#[tokio::test]
async fn it_is_answered_and_named_as_the_scenario_says() {
    // By its name, and not by a binding.
    let scenario = Scenario::of("charges").answer("POST", "http://bank.example/*", 503, json!({ "busy": true }));
    let report = crash_matrix(&guest("verify"), scenario).await.unwrap();
    assert!(report.to_string().starts_with("unsafe  charges  "), "{report}");
    let error = crash_matrix(&guest("verify"), Scenario::of("NOTHING")).await.unwrap_err();
    assert!(error.to_string().starts_with("there is no workflow `NOTHING` (there are: `careful`, "), "{error}");
}
