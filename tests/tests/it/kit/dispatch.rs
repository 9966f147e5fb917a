//! Events of other kinds than requests.

use miniflow_test::{QueueMessage, QueueResult, RetryBatch, RetryMessage, Timestamp};

use super::introspection;

/// What the handler says of messages with these bodies; their ids are `m1`, `m2` and so on.
async fn said(bodies: &[&str]) -> QueueResult {
    let messages = (1..).zip(bodies).map(|(no, body)| QueueMessage::json(&format!("m{no}"), body));
    introspection().await.queue("any", messages.collect()).await.unwrap()
}

// rules: C4.7-2
#[tokio::test]
async fn a_cron_trigger_is_fired_by_the_test_for_the_time_it_says() {
    let worker = introspection().await;
    let result = worker.scheduled("0 3 * * *", Timestamp(1_000)).await.unwrap();
    assert_eq!((result.outcome, result.no_retry), ("ok", false));
    assert_eq!(worker.console().last().unwrap().message, "0 3 * * * at 1000");

    let failed = worker.scheduled("fail", None).await.unwrap();
    assert_eq!((failed.outcome, failed.no_retry), ("exception", true));
    assert_eq!(failed.error.as_deref(), Some("Error: asked to fail"));
}

// rules: C4.7-2
#[tokio::test]
async fn what_a_handler_says_of_messages_is_told_as_it_was_said() {
    let retry = |id: &str, delay_seconds| RetryMessage { id: id.to_owned(), delay_seconds };
    let of_each = said(&["ack", "retry", "nothing", "retry-later", "ack"]).await;
    let expected = QueueResult {
        outcome: "ok",
        explicit_acks: vec!["m1".to_owned(), "m5".to_owned()],
        retry_messages: vec![retry("m2", None), retry("m4", Some(30))],
        ..QueueResult::default()
    };
    assert_eq!(of_each, expected);

    let all = said(&["ack-all"]).await;
    assert_eq!(all, QueueResult { outcome: "ok", ack_all: true, ..QueueResult::default() });
    let again = said(&["retry-all"]).await;
    let batch = Some(RetryBatch { delay_seconds: None });
    assert_eq!(again, QueueResult { outcome: "ok", retry_batch: batch, ..QueueResult::default() });
    let failed = said(&["ack", "fail"]).await;
    assert_eq!((failed.outcome, failed.explicit_acks.as_slice()), ("exception", &["m1".to_owned()][..]));
}

#[tokio::test]
async fn a_worker_without_a_handler_says_which_one_it_lacks() {
    let worker = super::guest("objects").start().await.unwrap();
    let error = worker.queue("any", Vec::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the Worker `objects` has no such handler: add one with `#[event(queue)]`");
}
