//! Batches of creating and deleting.

use std::sync::Arc;

use miniflow_runtime::dispatcher::{BatchError, BatchResult, DeleteResult};
use miniflow_runtime::storage::Retention;
use miniflow_runtime::{Bytes, CreateOptions, ErrorInfo, InstanceStatus, Run};

use crate::guest::Saga;
use crate::world::{Effects, World, bytes, text, with_id};

/// Returns its params; with the params `"stay"` it waits, after a step with a compensation.
async fn script(
    run: Arc<Run>,
    effects: Effects,
    handlers: miniflow_runtime::testing::Handlers,
) -> Result<Bytes, ErrorInfo> {
    let payload = run.event().payload.clone();
    if text(&payload) == "stay" {
        Saga { run: Arc::clone(&run), effects, handlers }.step("saga").await?;
        run.wait_for_event("w", "go", None).await?;
    }
    Ok(payload)
}

fn params(id: &str, params: &str) -> CreateOptions {
    CreateOptions { params: Some(bytes(params)), ..with_id(id) }
}

fn refused(index: u32, id: &str, code: u32, message: &'static str) -> BatchError {
    BatchError { index, id: Some(id.to_owned()), code, message }
}

const MISSING: &str = "workflows.api.error.instance.not_found";

// rules: A16, A140
#[tokio::test]
async fn each_instance_of_a_list_has_its_own_params() {
    let mut world = World::saga(script);
    let handle = world.start();
    let ids = ["c", "a", "b"];
    let made = handle.create_batch("w", ids.map(|id| params(id, &format!(r#""{id}""#))).to_vec()).await.unwrap();
    assert_eq!(made, ids);
    for id in ids {
        let report = world.drive_to(&handle, id, InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), format!(r#""{id}""#));
    }
}

// rules: C2.1-11, C2.1-12
#[tokio::test]
async fn a_count_makes_that_many_instances_with_the_same_params() {
    let mut world = World::saga(script);
    let handle = world.start();
    let options = || CreateOptions { params: Some(bytes("7")), ..CreateOptions::default() };
    let made = handle.create_many("w", 3, options()).await.unwrap();
    assert_eq!((made.created.len(), made.errors), (3, Vec::new()));
    for id in &made.created {
        assert_eq!(id.len(), 36);
        let report = world.drive_to(&handle, id, InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "7");
    }
    let refused = [
        (0, "(body) count must be a positive integer"),
        (101, "(body) batchCreate only supports 100 instances at a time"),
    ];
    for (count, message) in refused {
        assert_eq!(handle.create_many("w", count, options()).await.unwrap_err().message, message);
    }
    assert_eq!(handle.create_many("w", 100, options()).await.unwrap().created.len(), 100);
}

// rules: C2.1-13
#[tokio::test]
async fn what_can_be_created_of_a_batch_is_and_the_rest_is_listed() {
    let mut world = World::saga(script);
    let handle = world.start();
    handle.create("w", with_id("exists")).await.unwrap();
    let batch = ["exists", "new", "new", "other", "exists"].map(with_id).to_vec();
    let result = handle.create_each("w", batch).await.unwrap();
    let exists = "workflows.api.error.instance.already_exists";
    let duplicate = "workflows.api.error.instance.duplicate_in_batch";
    let expected = BatchResult {
        created: vec!["new".into(), "other".into()],
        errors: vec![
            refused(0, "exists", 10405, exists),
            refused(2, "new", 10415, duplicate),
            refused(4, "exists", 10415, duplicate),
        ],
    };
    assert_eq!(result, expected);
}

// rules: C2.1-14, C2.1-15, C2.1-30
#[tokio::test]
async fn a_batch_with_an_entry_that_is_not_valid_creates_nothing() {
    let mut world = World::saga(script);
    let handle = world.start();
    for count in [0, 101] {
        let batch = vec![CreateOptions::default(); count];
        let error = handle.create_each("w", batch).await.unwrap_err();
        assert_eq!(error.message, "(body) Batch size exceeds maximum allowed", "{count}");
    }
    let kept = |success_ms, error_ms| CreateOptions { retention: Retention { success_ms, error_ms }, ..with_id("x") };
    let duration = "(body) Duration must be a number or a string in format '{{number}} {{unit}}' where unit is \
                    second(s), minute(s), etc.";
    let month = 30 * 24 * 3_600_000;
    let too_long = format!("(body) An instance is kept for at most 30 days, {} ms are more", month + 1);
    let table = [
        (with_id("not valid"), "(instance.invalid_id) Instance ID is invalid"),
        (with_id(""), "(instance.invalid_id) Instance ID is invalid"),
        (with_id("terminateAll"), "(instance.invalid_id) Instance ID is invalid"),
        (kept(Some(0), None), duration),
        (kept(None, Some(0)), duration),
        (kept(Some(month + 1), None), too_long.as_str()),
    ];
    for (bad, message) in table {
        let error = handle.create_each("w", vec![with_id("good"), bad]).await.unwrap_err();
        assert_eq!(error.message, message);
        assert_eq!(handle.get("w", "good").await.unwrap_err().code, "instance.not_found");
    }
    handle.create("w", kept(Some(month), Some(1))).await.unwrap();
}

// rules: C2.1-20, C2.1-21, C2.1-24, A11, A12, A121
#[tokio::test]
async fn a_batch_of_deletes_is_answered_position_by_position() {
    let mut world = World::saga(script);
    let handle = world.start();
    handle.create("w", params("a", "1")).await.unwrap();
    handle.create("w", params("b", "stay")).await.unwrap();
    world.drive_to(&handle, "a", InstanceStatus::Complete).await;
    world.reach(&handle, "b", InstanceStatus::Waiting).await;
    let missing = "*/5 * * * *-1";
    let ids = ["a", "a", missing, "b", missing].map(str::to_owned).to_vec();
    let result = handle.delete_batch("w", ids).await.unwrap();
    let expected = DeleteResult {
        deleted: vec!["a".into(), "a".into(), "b".into()],
        errors: vec![refused(2, missing, 10400, MISSING), refused(4, missing, 10400, MISSING)],
    };
    assert_eq!(result, expected);
    assert!(world.storage.is_empty());
    world.settle(&handle).await;
    assert_eq!(world.effects.order(), "saga", "no compensation");
}

// rules: C2.1-22, C2.1-23, C3-21, A15
#[tokio::test]
async fn a_batch_of_deletes_that_is_not_valid_deletes_nothing() {
    let mut world = World::saga(script);
    let handle = world.start();
    handle.create("w", with_id("a")).await.unwrap();
    let ids = |count| vec!["a".to_owned(); count];
    let message = |error: miniflow_runtime::ApiError| error.message;
    let error = handle.delete_batch("w", ids(0)).await.map_err(message).unwrap_err();
    assert_eq!(error, "(body) batchDeleteInstances should have at least 1 instance");
    let error = handle.delete_batch("w", ids(101)).await.map_err(message).unwrap_err();
    assert_eq!(error, "(body) batchDeleteInstances only supports 100 instances at a time");
    let error = handle.delete_batch("w", vec!["a".into(), "not!valid".into()]).await.map_err(message).unwrap_err();
    assert_eq!(error, "(instance.invalid_id) Instance ID is invalid");
    handle.get("w", "a").await.unwrap();
    assert_eq!(handle.delete_batch("w", ids(100)).await.unwrap().deleted.len(), 100);
    assert_eq!(handle.create_batch("w", vec![CreateOptions::default(); 100]).await.unwrap().len(), 100);
}

// rules: A13
#[tokio::test]
async fn a_batch_of_deletes_that_cannot_be_committed_tells_nothing_of_why() {
    let mut world = World::saga(script);
    let handle = world.start();
    for id in ["a", "b"] {
        handle.create("w", params(id, "stay")).await.unwrap();
        world.reach(&handle, id, InstanceStatus::Waiting).await;
    }
    world.storage.die_after(0);
    let ids = ["a", "missing", "b", "a"].map(str::to_owned).to_vec();
    let result = handle.delete_batch("w", ids).await.unwrap();
    let internal = "workflows.api.error.internal_server";
    let expected = DeleteResult {
        deleted: Vec::new(),
        errors: vec![
            refused(0, "a", 10001, internal),
            refused(1, "missing", 10400, MISSING),
            refused(2, "b", 10001, internal),
            refused(3, "a", 10001, internal),
        ],
    };
    assert_eq!(result, expected);
    world.storage.revive();
    for id in ["a", "b"] {
        handle.send_event("w", id, "go", bytes("1")).await.unwrap();
        world.drive_to(&handle, id, InstanceStatus::Complete).await;
    }
}
