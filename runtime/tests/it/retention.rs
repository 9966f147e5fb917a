//! How long a finished instance is kept.

use std::pin::pin;
use std::sync::Arc;

use futures::poll;
use miniflow_runtime::storage::Retention;
use miniflow_runtime::{Bytes, CreateOptions, ErrorInfo, Handle, InstanceStatus, Run};

use crate::guest::note;
use crate::world::{Effects, World, boom, bytes, text, with_id};

const DAY: u64 = 24 * 3_600_000;

/// A step; then what the params say.
async fn script(run: Arc<Run>, effects: Effects) -> Result<Bytes, ErrorInfo> {
    note(&run, &effects, "a").await?;
    match text(&run.event().payload).as_str() {
        "errored" => Err(boom()),
        "terminated" => run.wait_for_event("w", "go", None).await.map(|event| event.payload),
        _ => Ok(bytes("1")),
    }
}

/// Brings an instance `one` to this end.
async fn end(world: &World, handle: &Handle, status: &str, retention: Retention) {
    let options = CreateOptions { params: Some(bytes(status)), retention, ..with_id("one") };
    handle.create("w", options).await.unwrap();
    if status == "terminated" {
        world.reach(handle, "one", InstanceStatus::Waiting).await;
        handle.terminate("w", "one", false).await.unwrap();
    }
    world.reach(handle, "one", InstanceStatus::parse(status)).await;
    world.settle(handle).await;
}

async fn is_there(world: &World, handle: &Handle) -> bool {
    world.settle(handle).await;
    handle.get("w", "one").await.is_ok()
}

// rules: C3-13, C2.1-31, C4.14-1, B24
#[tokio::test]
async fn an_instance_is_kept_as_its_creation_its_workflow_or_the_default_says() {
    let kept = |success, error| Retention { success_ms: success, error_ms: error };
    let table = [
        ("complete", kept(None, None), kept(None, None), 7 * DAY),
        ("errored", kept(None, None), kept(None, None), 7 * DAY),
        ("terminated", kept(None, None), kept(None, None), 7 * DAY),
        ("complete", kept(None, None), kept(Some(50), Some(60)), 50),
        ("errored", kept(None, None), kept(Some(50), Some(60)), 60),
        ("terminated", kept(None, None), kept(Some(50), Some(60)), 50),
        ("complete", kept(Some(30 * DAY), None), kept(Some(50), Some(60)), 30 * DAY),
        ("terminated", kept(Some(3), None), kept(Some(50), Some(60)), 3),
        ("errored", kept(Some(3), None), kept(Some(50), Some(60)), 60),
        ("errored", kept(None, Some(4)), kept(None, None), 4),
    ];
    for (status, of_instance, of_workflow, ms) in table {
        let mut world = World::new(script).retention(of_workflow);
        let handle = world.start();
        world.clock.advance_ms(77);
        end(&world, &handle, status, of_instance).await;
        world.clock.advance_ms(ms - 1);
        assert!(is_there(&world, &handle).await, "{status}, {of_instance:?}, {of_workflow:?}");
        world.clock.advance_ms(1);
        assert!(!is_there(&world, &handle).await, "{status}, {of_instance:?}, {of_workflow:?}");
        assert!(world.storage.is_empty());
        handle.create("w", with_id("one")).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Complete).await;
        world.kill().await;
    }
}

#[tokio::test]
async fn a_restart_ends_the_retention_and_the_next_end_begins_another() {
    let mut world = World::new(script);
    let handle = world.start();
    end(&world, &handle, "terminated", Retention::default()).await;
    world.clock.advance_ms(7 * DAY - 1);
    handle.restart("w", "one", None).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.clock.advance_ms(DAY / 2);
    assert!(is_there(&world, &handle).await);
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    world.clock.advance_ms(7 * DAY - 1);
    assert!(is_there(&world, &handle).await);
    world.clock.advance_ms(1);
    assert!(!is_there(&world, &handle).await);
}

#[tokio::test]
async fn a_retention_outlives_the_process_and_ends_while_it_is_down() {
    for down in [false, true] {
        let mut world = World::new(script);
        let handle = world.start();
        end(&world, &handle, "complete", Retention::default()).await;
        world.kill().await;
        if down {
            world.clock.advance_ms(8 * DAY);
        }
        let handle = world.start();
        assert_eq!(is_there(&world, &handle).await, !down);
        world.clock.advance_ms(7 * DAY);
        assert!(!is_there(&world, &handle).await);
        assert!(world.storage.is_empty());
        world.kill().await;
    }
}

#[tokio::test]
async fn a_removal_that_cannot_be_committed_is_tried_again_later_and_not_over_and_over() {
    let mut world = World::new(script);
    let handle = world.start();
    end(&world, &handle, "complete", Retention::default()).await;
    world.storage.die_after(0);
    world.clock.advance_ms(7 * DAY);
    world.watch(&handle, |_| world.storage.refusals() > 0).await;
    world.settle(&handle).await;
    assert_eq!(world.storage.refusals(), 1);
    world.storage.revive();
    assert!(is_there(&world, &handle).await);
    world.clock.advance_ms(1000);
    assert!(!is_there(&world, &handle).await);
    world.watch(&handle, |overview| overview.resident == 0).await;
}

#[tokio::test]
async fn an_instance_that_is_restarted_as_its_retention_ends_is_kept() {
    let mut world = World::new(script);
    let handle = world.start();
    end(&world, &handle, "complete", Retention::default()).await;
    // Both come about while the dispatcher is held up, so that it finds them together.
    let (go, held) = std::sync::mpsc::channel::<()>();
    let mut held = pin!(handle.read(move |_| Ok(held.recv())));
    let mut restarted = pin!(handle.restart("w", "one", None));
    assert!(poll!(held.as_mut()).is_pending() && poll!(restarted.as_mut()).is_pending());
    world.clock.advance_ms(7 * DAY);
    go.send(()).unwrap();
    assert!(held.await.unwrap().is_ok());
    restarted.await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert!(is_there(&world, &handle).await);
    assert_eq!(world.effects.of("a"), 2);
}

#[tokio::test]
async fn hundreds_that_end_together_are_all_removed() {
    let mut world = World::new(script);
    let handle = world.start();
    for _ in 0..6 {
        handle.create_many("w", 100, CreateOptions::default()).await.unwrap();
    }
    world.settle(&handle).await;
    assert_eq!(world.effects.of("a"), 600);
    world.clock.advance_ms(7 * DAY);
    world.watch(&handle, |_| world.storage.is_empty()).await;
}
