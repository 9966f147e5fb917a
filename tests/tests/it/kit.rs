//! The test kit: real Workers in this process.

use miniflow_test::{TestWorker, Worker};
use miniflow_tests::{build, repository};
use serde_json::json;

/// Starts the Worker `tests/guests/NAME`.
async fn guest(name: &str) -> TestWorker {
    let folder = repository().join("tests/guests").join(name);
    let component = build(&folder);
    Worker::from_path(folder).component(component).start().await.unwrap()
}

#[tokio::test]
async fn a_worker_answers_without_a_port() {
    let worker = guest("behaviours").await;
    let answer = worker.get("/").await.unwrap();
    assert!(answer.status().is_success() || answer.status().is_client_error(), "{answer:?}");
}

#[tokio::test]
async fn a_sleep_of_a_day_is_over_when_the_clock_was_moved_over_it() {
    let worker = guest("behaviours").await;
    let sleeper = worker.workflow("SLEEPER").unwrap();
    let instance = sleeper.create_with_id("a", &json!({ "ms": 86_400_000 })).await.unwrap();
    worker.clock().advance("23 hours").await.unwrap();
    assert_eq!(instance.status().await.unwrap().status.as_str(), "waiting");
    worker.clock().advance("1 hour").await.unwrap();
    assert_eq!(instance.status().await.unwrap().status.as_str(), "complete");
}

#[test]
fn a_test_needs_no_executor() {
    miniflow_test::block_on(async {
        let worker = guest("behaviours").await;
        let error = worker.workflow("NOTHING").err().unwrap();
        assert!(error.to_string().starts_with("No Workflow binding named \"NOTHING\" found in \"behaviours\" worker."));
    });
}
