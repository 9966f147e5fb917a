//! Slots: who has one, who gets the next.

use std::sync::Arc;

use futures::future::join;
use miniflow_runtime::storage::{Storage, Trigger};
use miniflow_runtime::{Bytes, CreateOptions, DurationSpec, ErrorInfo, Handle, InstanceStatus, Run, StepOptions};

use crate::guest::step_with;
use crate::world::{Effects, START, World, bytes, with_id};

/// Waits for an event if its id says so, then a body runs until the event `end`, or for ever.
async fn script(run: Arc<Run>, effects: Effects) -> Result<Bytes, ErrorInfo> {
    let id = run.instance_id().to_owned();
    if id.starts_with("waits") {
        run.wait_for_event("w", "go", None).await?;
    }
    let options = StepOptions { timeout: Some(DurationSpec::Text("1 week".into())), ..StepOptions::default() };
    let body = |_| {
        effects.add(&id);
        std::future::pending()
    };
    step_with(&run, "body", options, body).await
}

async fn statuses<const N: usize>(world: &World, handle: &Handle, ids: [(&str, &str); N]) -> [InstanceStatus; N] {
    world.settle(handle).await;
    let mut found = [InstanceStatus::Unknown; N];
    for (place, (workflow, id)) in found.iter_mut().zip(ids) {
        *place = handle.status(workflow, id).await.unwrap().status;
    }
    found
}

use InstanceStatus::{Queued, Running, Waiting};

// rules: C3-10, B24
#[tokio::test]
async fn the_slots_of_the_account_are_shared_by_all_workflows() {
    let mut world = World::new(script).also("v").account(2);
    let handle = world.start();
    let ids = [("w", "a"), ("v", "b"), ("w", "c"), ("v", "d")];
    for (workflow, id) in ids {
        handle.create(workflow, with_id(id)).await.unwrap();
    }
    assert_eq!(statuses(&world, &handle, ids).await, [Running, Running, Queued, Queued]);
    handle.terminate("v", "b", false).await.unwrap();
    assert_eq!(statuses(&world, &handle, [("w", "c"), ("v", "d")]).await, [Running, Queued], "the oldest first");
    handle.delete("w", "a").await.unwrap();
    assert_eq!(statuses(&world, &handle, [("w", "c"), ("v", "d")]).await, [Running, Running]);
}

// rules: C4.4-3, B24
#[tokio::test]
async fn who_was_woken_goes_before_who_is_new() {
    let mut world = World::new(script).limit(1);
    let handle = world.start();
    handle.create("w", with_id("waits")).await.unwrap();
    world.reach(&handle, "waits", Waiting).await;
    for id in ["first", "new"] {
        handle.create("w", with_id(id)).await.unwrap();
    }
    world.reach(&handle, "first", Running).await;
    handle.send_event("w", "waits", "go", bytes("1")).await.unwrap();
    let ids = [("w", "first"), ("w", "waits"), ("w", "new")];
    assert_eq!(statuses(&world, &handle, ids).await, [Running, Queued, Queued]);
    handle.terminate("w", "first", false).await.unwrap();
    assert_eq!(statuses(&world, &handle, [("w", "waits"), ("w", "new")]).await, [Running, Queued]);
}

// rules: C3-27
#[tokio::test]
async fn who_sleeps_for_a_moment_only_holds_no_slot_that_another_could_have() {
    let naps = |run: Arc<Run>, effects: Effects| async move {
        if run.instance_id() == "naps" {
            run.sleep("nap", DurationSpec::Ms(1000)).await?;
        }
        script(run, effects).await
    };
    for mut world in [World::new(naps).limit(1), World::new(naps).account(1)] {
        let handle = world.start();
        handle.create("w", with_id("naps")).await.unwrap();
        handle.create("w", with_id("next")).await.unwrap();
        assert_eq!(statuses(&world, &handle, [("w", "naps"), ("w", "next")]).await, [Waiting, Running]);
        world.kill().await;
    }
}

// rules: C2.5-13
#[tokio::test]
async fn a_wait_that_times_out_while_its_instance_is_queued_takes_no_event_any_more() {
    for restarted in [false, true] {
        let mut world = World::new(|run, effects| async move {
            if run.instance_id() == "waits-first" {
                return script(run, effects).await;
            }
            let late = run.wait_for_event("late", "late", Some(DurationSpec::Ms(10_000)));
            let (came, late) = join(run.wait_for_event("w", "go", None), late).await;
            came?;
            Ok(bytes(late.map_or_else(|error| error.name, |_| "it came".to_owned())))
        })
        .limit(1);
        let mut handle = world.start();
        for id in ["waits-first", "queues"] {
            handle.create("w", with_id(id)).await.unwrap();
            world.reach(&handle, id, Waiting).await;
        }
        for (id, status) in [("waits-first", Running), ("queues", Queued)] {
            handle.send_event("w", id, "go", bytes("1")).await.unwrap();
            world.reach(&handle, id, status).await;
        }
        if restarted {
            world.kill().await;
            handle = world.start();
            assert_eq!(statuses(&world, &handle, [("w", "waits-first"), ("w", "queues")]).await, [Running, Queued]);
        }
        world.settle(&handle).await;
        world.clock.advance_ms(10_000);
        world.settle(&handle).await;
        handle.send_event("w", "queues", "late", bytes("1")).await.unwrap();
        handle.terminate("w", "waits-first", false).await.unwrap();
        let report = world.reach(&handle, "queues", InstanceStatus::Complete).await;
        assert_eq!(report.output, Some(bytes("WorkflowTimeoutError")), "{restarted}");
    }
}

#[tokio::test]
async fn who_ran_when_there_were_more_slots_waits_for_its_turn() {
    let mut world = World::new(script).limit(2);
    let handle = world.start();
    let ids = [("w", "a"), ("w", "b")];
    for (workflow, id) in ids {
        handle.create(workflow, with_id(id)).await.unwrap();
    }
    assert_eq!(statuses(&world, &handle, ids).await, [Running, Running]);
    world.kill().await;
    let mut world = world.limit(1);
    let handle = world.start();
    assert_eq!(statuses(&world, &handle, ids).await, [Running, Queued]);
    handle.terminate("w", "a", false).await.unwrap();
    assert_eq!(statuses(&world, &handle, [("w", "b")]).await, [Running]);
}

#[tokio::test]
async fn a_place_in_the_queue_is_given_up_by_terminate_delete_and_the_end_of_the_process() {
    let mut world = World::new(script).limit(1);
    let handle = world.start();
    for id in ["a", "b", "c", "d", "e"] {
        handle.create("w", with_id(id)).await.unwrap();
    }
    handle.terminate("w", "b", false).await.unwrap();
    handle.delete("w", "c").await.unwrap();
    handle.restart("w", "d", None).await.unwrap();
    let ids = [("w", "a"), ("w", "d"), ("w", "e")];
    assert_eq!(statuses(&world, &handle, ids).await, [Running, Queued, Queued]);
    world.kill().await;
    let handle = world.start();
    assert_eq!(statuses(&world, &handle, ids).await, [Running, Queued, Queued], "who had begun goes on first");
    handle.terminate("w", "a", false).await.unwrap();
    assert_eq!(statuses(&world, &handle, [("w", "d"), ("w", "e")]).await, [Running, Queued]);
    handle.terminate("w", "d", false).await.unwrap();
    assert_eq!(statuses(&world, &handle, [("w", "e")]).await, [Running]);
}

#[tokio::test]
async fn what_a_schedule_made_needs_no_slot_for_an_hour() {
    const HOUR: u64 = 3_600_000;
    for (slept, waits_for_a_slot) in [(HOUR - 1, false), (HOUR, true)] {
        let mut world = World::new(move |run, effects| async move {
            if run.instance_id() == "cron" {
                run.sleep("nap", DurationSpec::Ms(slept)).await?;
            }
            script(run, effects).await
        })
        .limit(1);
        let handle = world.start();
        handle.create("w", with_id("normal")).await.unwrap();
        world.reach(&handle, "normal", Running).await;
        handle.create("w", CreateOptions { trigger: Trigger::Cron, ..with_id("cron") }).await.unwrap();
        world.reach(&handle, "cron", Waiting).await;
        world.clock.advance_ms(slept);
        let expected = if waits_for_a_slot { Queued } else { Running };
        assert_eq!(statuses(&world, &handle, [("w", "cron")]).await, [expected], "{slept}");
        handle.terminate("w", "normal", false).await.unwrap();
        assert_eq!(statuses(&world, &handle, [("w", "cron")]).await, [Running]);
        // Without a slot there is none to give back.
        for id in ["next", "last"] {
            handle.create("w", with_id(id)).await.unwrap();
        }
        handle.terminate("w", "cron", false).await.unwrap();
        assert_eq!(statuses(&world, &handle, [("w", "next"), ("w", "last")]).await, [Running, Queued]);
        world.kill().await;
    }
}

#[tokio::test]
async fn what_a_schedule_made_needs_a_slot_to_begin_again_after_its_hour() {
    for (hour_ms, expected) in [(3_600_000 - 1, Running), (3_600_000, Queued)] {
        let mut world = World::new(script).limit(1);
        let handle = world.start();
        handle.create("w", CreateOptions { trigger: Trigger::Cron, ..with_id("cron") }).await.unwrap();
        handle.create("w", with_id("other")).await.unwrap();
        let ids = [("w", "cron"), ("w", "other")];
        assert_eq!(statuses(&world, &handle, ids).await, [Running, Running]);
        world.clock.advance_ms(hour_ms);
        handle.restart("w", "cron", None).await.unwrap();
        assert_eq!(statuses(&world, &handle, ids).await, [expected, Running]);
        handle.terminate("w", "other", false).await.unwrap();
        assert_eq!(statuses(&world, &handle, [("w", "cron")]).await, [Running]);
        world.kill().await;
    }
}

// rules: B24
#[tokio::test]
async fn what_created_an_instance_is_kept() {
    let mut world = World::new(script);
    let handle = world.start();
    for (id, trigger) in [("a", Trigger::Binding), ("b", Trigger::Api), ("c", Trigger::Cron)] {
        handle.create("w", CreateOptions { trigger, ..with_id(id) }).await.unwrap();
        let mut storage = world.storage.clone();
        let key = storage.find("w", id).unwrap().unwrap();
        let (kept, _) = storage.load(key).unwrap().unwrap();
        assert_eq!((kept.trigger, kept.created), (trigger, START));
    }
    assert_eq!(CreateOptions::default().trigger, Trigger::Binding);
}
