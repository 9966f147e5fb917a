//! Introspection: the official tests of it as ours, and what theirs do not look at.

use std::time::Duration;

use miniflow_test::{All, ErrorInfo, InstanceIntrospector, RestartFrom, StepError, StepKind, TestWorker};
use serde_json::{Value, json};

use super::{guest, introspection};

const SCAN: &str = "AI content scan";

async fn create(worker: &TestWorker, id: &str, params: Value) -> InstanceIntrospector {
    let moderator = worker.workflow("MODERATOR").unwrap();
    moderator.create_with_id(id, &params).await.unwrap().introspect()
}

async fn output(instance: &InstanceIntrospector) -> Value {
    instance.wait_for_status("complete").await.unwrap();
    instance.output().await.unwrap()
}

/// Lines of the scan's body.
fn scans(worker: &TestWorker) -> usize {
    worker.console().iter().filter(|line| line.message.starts_with("scoring")).count()
}

// rules: A150, C4.7-1
#[tokio::test]
async fn every_instance_to_come_is_without_sleeps_and_with_a_mocked_result() {
    let worker = introspection().await;
    let all = worker.introspect("MODERATOR").unwrap();
    all.modify_all(|m| m.disable_sleeps(All).mock_step_result(SCAN, 0)).unwrap();
    let before = worker.clock().now();
    create(&worker, "a", json!({ "score": 99 })).await;

    let instances = all.get().unwrap();
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0].wait_for_step_result::<Value>(SCAN).await.unwrap(), 0);
    assert_eq!(output(&instances[0]).await, json!({ "status": "auto_approved" }));
    assert!(worker.clock().now() < before.plus_ms(10_000), "the sleep took time");
    assert_eq!(scans(&worker), 0);
    all.dispose().await.unwrap();
    let gone = worker.workflow("MODERATOR").unwrap().get("a").await.err().unwrap();
    assert_eq!(gone.to_string(), "(instance.not_found) Instance not found");
}

// rules: A151
#[tokio::test]
async fn every_instance_of_a_batch_is_changed() {
    let worker = introspection().await;
    let all = worker.introspect("MODERATOR").unwrap();
    all.modify_all(|m| m.disable_sleeps(All)).unwrap().modify_all(|m| m.mock_step_result(SCAN, 99)).unwrap();
    let batch = ["321", "654", "987"].map(|id| (id.to_owned(), json!({})));
    worker.workflow("MODERATOR").unwrap().create_batch(batch).await.unwrap();
    let instances = all.get().unwrap();
    assert_eq!(instances.iter().map(InstanceIntrospector::id).collect::<Vec<_>>(), ["321", "654", "987"]);
    for instance in &instances {
        assert_eq!(output(instance).await["status"], "auto_rejected");
    }
    all.dispose().await.unwrap();
    all.dispose().await.unwrap();
}

// rules: A152, A154
#[tokio::test]
async fn what_the_test_does_to_an_instance_can_be_waited_for() {
    let worker = introspection().await;
    let look = create(&worker, "a", json!({ "score": 50 })).await;
    look.wait_for_status("waiting").await.unwrap();
    let instance = worker.workflow("MODERATOR").unwrap().get("a").await.unwrap();
    instance.pause().await.unwrap();
    look.wait_for_status("paused").await.unwrap();
    instance.resume().await.unwrap();
    look.wait_for_status("waiting").await.unwrap();
    instance.terminate().await.unwrap();
    look.wait_for_status("terminated").await.unwrap();
}

// rules: A153, A157
#[tokio::test]
async fn mocks_survive_pauses_and_restarts() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    let decision = json!({ "moderationAction": "approve" });
    look.modify(|m| m.mock_step_result(SCAN, 50).mock_event("moderation-decision", &decision)).await.unwrap();
    create(&worker, "a", json!({})).await;
    let expected = json!({ "status": "moderated", "decision": { "moderationAction": "approve" } });
    assert_eq!(output(&look).await, expected);

    let instance = worker.workflow("MODERATOR").unwrap().get("a").await.unwrap();
    instance.restart().await.unwrap();
    // In its first sleep: time is not skipped here.
    instance.pause().await.unwrap();
    look.wait_for_status("paused").await.unwrap();
    instance.resume().await.unwrap();
    assert_eq!(output(&look).await, expected);
    // The wait is asked for again, and so is the event.
    let from = RestartFrom { name: "await moderation event".to_owned(), count: 1, kind: StepKind::Wait };
    instance.restart_from(from).await.unwrap();
    assert_eq!(output(&look).await, expected);
    assert_eq!(scans(&worker), 0);
}

#[tokio::test]
async fn an_event_is_mocked_for_an_instance_that_waits_for_it() {
    let worker = introspection().await;
    let look = create(&worker, "a", json!({ "score": 50 })).await;
    worker.clock().advance("10 seconds").await.unwrap();
    worker.clock().settle().await.unwrap();
    look.modify(|m| m.mock_event("moderation-decision", json!("now"))).await.unwrap();
    assert_eq!(output(&look).await["decision"], "now");
}

// rules: A155
#[tokio::test]
async fn an_instance_is_introspected_before_it_exists() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "later").unwrap();
    look.modify(|m| m.mock_step_result(SCAN, 5)).await.unwrap();
    let made = async {
        // The other waits by now, for something that does not exist.
        tokio::task::yield_now().await;
        create(&worker, "later", json!({})).await
    };
    let (scanned, made) = tokio::join!(look.wait_for_step_result::<u8>(SCAN), made);
    assert_eq!(scanned.unwrap(), 5);
    let approved: Value = made.wait_for_step_result("auto approve content").await.unwrap();
    assert_eq!(approved, json!({ "status": "auto_approved" }));
    assert_eq!(output(&look).await, approved);
}

// rules: A156
#[tokio::test]
async fn two_mocked_errors_and_then_a_mocked_result_make_a_success_in_the_third_attempt() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    look.modify(|m| m.disable_sleeps(All).disable_retry_delays(All)).await.unwrap();
    look.modify(|m| m.mock_step_error(SCAN, "no model", 2).mock_step_result(SCAN, 7)).await.unwrap();
    let before = worker.clock().now();
    create(&worker, "a", json!({})).await;
    assert_eq!(output(&look).await["status"], "auto_approved");
    assert!(worker.clock().now() < before.plus_ms(60_000), "the delays took time");
    assert_eq!(scans(&worker), 0);
}

#[tokio::test]
async fn after_mocked_failures_the_body_is_run_with_the_next_attempt() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    let failures = |m: miniflow_test::Modifier| m.mock_step_error(SCAN, "no model", 1).force_step_timeout(SCAN, 1);
    look.modify(failures).await.unwrap();
    let before = worker.clock().now();
    create(&worker, "a", json!({ "score": 3 })).await;
    assert_eq!(output(&look).await["status"], "auto_approved");
    assert!(worker.clock().now() >= before.plus_ms(2 * 600_000), "the delays are the configured ones");
    let lines: Vec<_> = worker.console().into_iter().map(|line| line.message).collect();
    assert_eq!(lines, ["scoring, attempt 3"]);
}

// rules: A34
#[tokio::test]
async fn a_body_that_fails_is_tried_again_at_once_when_its_delays_are_disabled() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    look.modify(|m| m.disable_retry_delays([SCAN])).await.unwrap();
    let before = worker.clock().now();
    create(&worker, "a", json!({})).await;
    look.wait_for_status("errored").await.unwrap();
    assert_eq!(look.error().await.unwrap(), ErrorInfo { backtrace: None, ..ErrorInfo::new("Error", "no model here") });
    assert!(worker.clock().now() < before.plus_ms(600_000), "the delays took time");
    assert_eq!(scans(&worker), 4);
}

#[tokio::test]
async fn an_error_without_end_uses_up_every_attempt_and_one_that_is_not_retried_none() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    look.modify(|m| m.mock_step_error(SCAN, "never", None)).await.unwrap();
    create(&worker, "a", json!({})).await;
    look.wait_for_status("errored").await.unwrap();
    assert_eq!(look.error().await.unwrap().message, "never");

    let other = worker.introspect_instance("MODERATOR", "b").unwrap();
    other.modify(|m| m.mock_step_error(SCAN, StepError::non_retryable("refused"), None)).await.unwrap();
    let before = worker.clock().now();
    create(&worker, "b", json!({})).await;
    let error = other.wait_for_step_result::<Value>(SCAN).await.unwrap_err();
    assert_eq!(error.to_string(), "step `AI content scan-1` of the instance b has failed: NonRetryableError: refused");
    assert!(worker.clock().now() < before.plus_ms(600_000));
}

// rules: B12
#[tokio::test]
async fn any_value_is_a_mocked_result() {
    for value in [json!(0), json!(false), json!(null), json!(""), json!([]), json!({ "deep": [1, 2] })] {
        let worker = introspection().await;
        let look = worker.introspect_instance("MODERATOR", "a").unwrap();
        look.modify(|m| m.mock_step_result(SCAN, &value)).await.unwrap();
        create(&worker, "a", json!({ "score": 99 })).await;
        assert_eq!(look.wait_for_step_result::<Value>(SCAN).await.unwrap(), value);
        assert_eq!(output(&look).await["status"], "auto_approved", "{value}");
    }
}

// rules: A158
#[tokio::test]
async fn a_wait_is_made_to_time_out_though_its_event_is_there() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    let say = |m: miniflow_test::Modifier| {
        m.mock_event("moderation-decision", "approve").force_event_timeout("await moderation event")
    };
    look.modify(say).await.unwrap();
    let before = worker.clock().now();
    create(&worker, "a", json!({ "score": 50 })).await;
    look.wait_for_status("errored").await.unwrap();
    let error = look.error().await.unwrap();
    assert_eq!(error.message, "Execution timed out after 86400000ms");
    assert_eq!(error.name, "WorkflowTimeoutError");
    assert!(worker.clock().now() < before.plus_ms(3_600_000));
}

// rules: A159
#[tokio::test]
async fn one_test_looks_into_a_workflow_at_a_time() {
    let worker = introspection().await;
    let first = worker.introspect("MODERATOR").unwrap();
    let second = worker.introspect("MODERATOR").err().unwrap();
    assert_eq!(
        second.to_string(),
        r#"Workflow "moderator" already has an active introspection session for binding "MODERATOR"."#
    );
    worker.introspect("STREAMER").unwrap();
    first.dispose().await.unwrap();
    let ended = r#"Workflow "moderator" does not have an active introspection session for this introspector."#;
    assert_eq!(first.get().err().unwrap().to_string(), ended);
    assert_eq!(first.modify_all(|m| m).err().unwrap().to_string(), ended);

    let next = worker.introspect("MODERATOR").unwrap();
    create(&worker, "a", json!({})).await;
    assert_eq!(next.get().unwrap().len(), 1);
    // What was said in one session is not said in another.
    drop(next);
    worker.introspect("MODERATOR").unwrap();
}

// rules: A46, A48, A49
#[tokio::test]
async fn a_mocked_stream_takes_the_place_of_the_real_one_before_and_after_a_restart() {
    let worker = introspection().await;
    let look = worker.introspect_instance("STREAMER", "a").unwrap();
    let pieces = [vec![0xff; 300_000], b"end".to_vec()];
    look.modify(|m| m.mock_step_stream("report", pieces.clone())).await.unwrap();
    let instance = worker.workflow("STREAMER").unwrap().create_with_id("a", &Value::Null).await.unwrap();
    for _ in 0..2 {
        let streamed = look.wait_for_step_stream("report").await.unwrap();
        assert!(*streamed == pieces.concat(), "{} bytes", streamed.len());
        assert_eq!(output(&look).await["bytes"], 300_003);
        instance.restart().await.unwrap();
    }
    assert!(worker.console().is_empty(), "the body was run");
}

// rules: A48
#[tokio::test]
async fn a_stream_is_a_result_to_wait_for() {
    let worker = introspection().await;
    let look = worker.workflow("STREAMER").unwrap().create(&Value::Null).await.unwrap().introspect();
    assert_eq!(&look.wait_for_step_stream("report").await.unwrap()[..], b"real stream");
    let error = look.wait_for_step_result::<Value>("report").await.unwrap_err();
    assert_eq!(error.to_string(), "the result of step `report-1` is a stream: use `wait_for_step_stream`");
}

// rules: A61
#[tokio::test]
async fn the_result_of_a_sensitive_step_is_not_shown() {
    let worker = guest("behaviours").start().await.unwrap();
    let sensitive = worker.workflow("SENSITIVE_OUTPUT").unwrap();
    let look = sensitive.create(&json!({})).await.unwrap().introspect();
    assert_eq!(look.wait_for_step_result::<Value>("secret").await.unwrap(), "[REDACTED]");
}

#[tokio::test]
async fn a_mocked_failure_is_compensated_as_a_real_one() {
    let worker = introspection().await;
    let look = worker.introspect_instance("UNDOER", "a").unwrap();
    let say = |m: miniflow_test::Modifier| {
        m.mock_step_result("book", "a mocked seat").mock_step_error("pay", StepError::non_retryable("no money"), None)
    };
    look.modify(say).await.unwrap();
    worker.workflow("UNDOER").unwrap().create_with_id("a", &Value::Null).await.unwrap();
    look.wait_for_status("errored").await.unwrap();
    let lines: Vec<_> = worker.console().into_iter().map(|line| line.message).collect();
    assert_eq!(lines, [r#"undoing Some("a mocked seat")"#]);
}

#[tokio::test]
async fn contradictions_are_errors_in_the_official_words() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    look.modify(|m| m.mock_step_result(SCAN, 0)).await.unwrap();
    let twice = look.modify(|m| m.mock_step_result(SCAN, 0)).await.err().unwrap();
    assert_eq!(twice.to_string(), "[WorkflowIntrospector] Trying to mock step 'AI content scan' multiple times!");
    let all = worker.introspect("MODERATOR").unwrap();
    let contradiction = all.modify_all(|m| m.mock_step_result(SCAN, 0).force_step_timeout(SCAN, None)).err().unwrap();
    assert_eq!(
        contradiction.to_string(),
        "[WorkflowIntrospector] Trying to force timeout on step 'AI content scan' after mocking its result!"
    );
    let missing = worker.introspect_instance("MODERATOR", "").err().unwrap();
    assert_eq!(missing.to_string(), "[WorkflowIntrospector] Workflow binding and instance id are required.");
}

#[tokio::test]
async fn output_and_error_are_there_at_the_end_only() {
    let worker = introspection().await;
    let look = create(&worker, "a", json!({ "score": 50 })).await;
    look.wait_for_status("waiting").await.unwrap();
    assert_eq!(
        look.output::<Value>().await.unwrap_err().to_string(),
        r#"Cannot retrieve output: Workflow instance is in status "waiting" but must be "complete" to have an output available"#
    );
    assert_eq!(
        look.error().await.unwrap_err().to_string(),
        r#"Cannot retrieve error: Workflow instance is in status "waiting" but must be "errored" to have error information available"#
    );
}

// rules: B13
#[tokio::test]
async fn a_wait_that_cannot_end_well_says_why_at_once() {
    let worker = introspection().await;
    let look = create(&worker, "a", json!({ "score": 1 })).await;
    let error = look.wait_for_status("errored").await.unwrap_err().to_string();
    let text = "[WorkflowIntrospector] The Workflow instance a has reached status 'complete'. This is a finite status that prevents it \
                from ever reaching the expected status of 'errored'. it is `complete`; its last step was step `auto approve content-1`";
    assert_eq!(error, text);
    let error = look.wait_for_step_result::<Value>("auto reject content").await.unwrap_err().to_string();
    assert!(error.starts_with("the instance a has ended, and step `auto reject content-1` has no result: "), "{error}");
    let error = look.wait_for_status("done").await.unwrap_err().to_string();
    assert!(error.starts_with("`done` is no status of an instance: queued, "), "{error}");
}

// rules: B13, C4.7-1
#[tokio::test]
async fn a_wait_in_vain_says_what_the_instance_is_doing() {
    let worker = guest("introspection").patience(Duration::from_millis(50)).start().await.unwrap();
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    let error = look.wait_for_status("complete").await.unwrap_err().to_string();
    assert_eq!(error, "gave up after 50ms waiting for status `complete` of the instance a: there is no such instance");

    let look = worker.introspect_instance("MODERATOR", "b").unwrap();
    look.modify(|m| m.mock_event("something-else", 1)).await.unwrap();
    create(&worker, "b", json!({ "score": 50 })).await;
    worker.clock().advance("10 seconds").await.unwrap();
    worker.clock().settle().await.unwrap();
    let error = look.wait_for_status("complete").await.unwrap_err().to_string();
    // In less than a day, and more than 23 hours and a half.
    assert!(error.contains("waits for an event `moderation-decision`, and gives up in 86"), "{error}");
    assert!(error.contains("nobody has waited for the events `something-else`; it goes on by itself in 86"), "{error}");
}

// rules: B13
#[tokio::test]
async fn several_wait_for_one_step() {
    let worker = introspection().await;
    let look = worker.introspect_instance("MODERATOR", "a").unwrap();
    let waiters = futures::future::join_all((0..5).map(|_| look.wait_for_step_result::<u8>(SCAN)));
    let (results, _) = tokio::join!(waiters, create(&worker, "a", json!({ "score": 4 })));
    assert_eq!(results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [4; 5]);
}
