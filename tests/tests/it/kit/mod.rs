//! The test kit: real Workers in this process.

mod bindings;
mod crashes;
mod dispatch;
mod examples;
mod fixtures;
mod introspection;
mod outbound;
mod side_by_side;
mod templates;

use miniflow_test::{TestWorker, Worker};
use miniflow_tests::{build, repository};
use serde_json::{Value, json};

/// The Worker `tests/guests/NAME`.
fn guest(name: &str) -> Worker {
    let folder = repository().join("tests/guests").join(name);
    let component = build(&folder);
    Worker::from_path(folder).component(component)
}

/// The Worker whose handlers do what a test needs.
async fn introspection() -> TestWorker {
    guest("introspection").start().await.unwrap()
}

#[tokio::test]
async fn a_worker_answers_without_a_port() {
    let worker = introspection().await;
    let answer = worker.get("/").await.unwrap().expect(200).unwrap();
    assert_eq!(answer.text(), "hello");
    let error = worker.get("/").await.unwrap().expect(404).unwrap_err();
    assert_eq!(error.to_string(), "status 200 OK, expected 404: hello");
}

#[tokio::test]
async fn a_sleep_of_a_day_is_over_when_the_clock_was_moved_over_it() {
    let worker = introspection().await;
    let instance = worker.workflow("STREAMER").unwrap().create(&Value::Null).await.unwrap();
    worker.clock().advance("23 hours").await.unwrap();
    assert_eq!(instance.status().await.unwrap().status.as_str(), "waiting");
    let moved = worker.clock().advance_to_next().await.unwrap();
    assert_eq!(moved.due.len(), 1, "{moved:?}");
    let status = instance.status().await.unwrap();
    assert_eq!((status.status.as_str(), &status.output["text"]), ("complete", &json!("real stream")));
}

#[tokio::test]
async fn time_is_skipped_while_a_handler_waits_for_nothing_else() {
    let worker = introspection().await;
    let before = worker.clock().now();
    let napped: u64 = worker.get("/nap?ms=86400000").await.unwrap().json().unwrap();
    assert!(napped >= 86_400_000, "{napped}");
    assert!(worker.clock().now() >= before.plus_ms(86_400_000));
}

#[tokio::test]
async fn time_is_not_skipped_between_two_lines_of_a_test() {
    let worker = introspection().await;
    let instance = worker.workflow("STREAMER").unwrap().create(&Value::Null).await.unwrap();
    worker.clock().settle().await.unwrap();
    worker.get("/").await.unwrap();
    assert_eq!(instance.status().await.unwrap().status.as_str(), "waiting");
    instance.introspect().wait_for_status("complete").await.unwrap();
}

#[test]
fn a_test_needs_no_executor() {
    miniflow_test::block_on(async {
        let worker = introspection().await;
        let error = worker.workflow("NOTHING").err().unwrap();
        let text = r#"No Workflow binding named "NOTHING" found in "introspection" worker. It has: MODERATOR, STREAMER, UNDOER, ASKER"#;
        assert_eq!(error.to_string(), text);
    });
}
