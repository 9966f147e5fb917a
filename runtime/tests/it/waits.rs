//! Waiting for events, and for the next attempt.

use futures::future::{join, select};
use miniflow_runtime::engine::{Entry, Stamped};
use miniflow_runtime::{Clock, DurationSpec, InstanceStatus};

use crate::guest::{retrying, step_with};
use crate::world::{START, World, boom, bytes, text, with_id};

// rules: C2.5-11
#[tokio::test]
async fn a_wait_returns_the_payload_the_type_and_the_moment_the_event_came() {
    let mut world = World::new(|run, _| async move {
        let event = run.wait_for_event("w", "go", None).await?;
        Ok(bytes(format!("{} {} {}", text(&event.payload), event.event_type, event.timestamp.as_millis())))
    });
    for sent_before_the_wait in [true, false] {
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        if !sent_before_the_wait {
            world.reach(&handle, "one", InstanceStatus::Waiting).await;
        }
        let sent = world.clock.now();
        handle.send_event("w", "one", "go", bytes(r#"{"x":1}"#)).await.unwrap();
        world.clock.advance_ms(77);
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        let expected = format!(r#"{{"x":1}} go {}"#, sent.as_millis());
        assert_eq!(text(&report.output.unwrap()), expected);
        handle.delete("w", "one").await.unwrap();
        world.kill().await;
    }
}

// rules: A25
#[tokio::test]
async fn waits_for_different_types_get_their_own_payloads() {
    let mut world = World::new(|run, _| async move {
        let first = run.wait_for_event("first", "a", None).await?;
        let second = run.wait_for_event("second", "b", None).await?;
        Ok(bytes(format!("{} {}", text(&first.payload), text(&second.payload))))
    });
    let handle = world.start();
    for (id, order) in [("one", ["a", "b"]), ("two", ["b", "a"])] {
        handle.create("w", with_id(id)).await.unwrap();
        for event_type in order {
            world.settle(&handle).await;
            handle.send_event("w", id, event_type, bytes(format!("of {event_type}"))).await.unwrap();
        }
        let report = world.drive_to(&handle, id, InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "of a of b");
    }
}

// rules: C4.3-2
#[tokio::test]
async fn of_two_that_wait_for_one_type_the_first_gets_the_first_event() {
    let mut world = World::new(|run, _| async move {
        let (first, second) = join(run.wait_for_event("b", "go", None), run.wait_for_event("a", "go", None)).await;
        Ok(bytes(format!("{} {}", text(&first?.payload), text(&second?.payload))))
    });
    for process in ["same", "next"] {
        let mut handle = world.start();
        handle.create("w", with_id(process)).await.unwrap();
        world.reach(&handle, process, InstanceStatus::Waiting).await;
        if process == "next" {
            world.kill().await;
            handle = world.start();
        }
        for payload in ["1", "2"] {
            handle.send_event("w", process, "go", bytes(payload)).await.unwrap();
        }
        let report = world.drive_to(&handle, process, InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "1 2");
        world.kill().await;
    }
}

// rules: C4.1-4
#[tokio::test]
async fn a_wait_that_was_dropped_goes_on_when_it_is_asked_for_again() {
    let mut world = World::new(|run, effects| async move {
        let week = Some(DurationSpec::Text("1 week".into()));
        let mut wait = Box::pin(run.wait_for_event("w", "go", week));
        if effects.of("another code") == 0 {
            // So short that the run stays in memory, and is there to drop the wait.
            let nap = Box::pin(run.sleep("nap", DurationSpec::Ms(1500)));
            drop(select(wait, nap).await);
            run.sleep("long", DurationSpec::Text("1 day".into())).await?;
            return Ok(bytes("the code was not exchanged"));
        }
        let event = (&mut wait).await?;
        Ok(event.payload)
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.clock.advance_ms(1500);
    world.settle(&handle).await;
    world.kill().await;
    let is_dropped = |stamped: &Stamped| matches!(stamped.entry, Entry::StepAbandoned { .. });
    assert!(world.storage.entries("one").iter().any(is_dropped));
    world.effects.add("another code");
    let handle = world.start();
    world.clock.advance_ms(24 * 3_600_000);
    world.settle(&handle).await;
    handle.send_event("w", "one", "go", bytes("7")).await.unwrap();
    let report = world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "7");
}

#[tokio::test]
async fn a_wait_that_was_dropped_gets_no_event_whether_its_run_was_in_memory_or_not() {
    // A run that is to be woken so soon stays in memory; after the other time it is replayed.
    for nap_ms in [1500, 3_600_000] {
        let mut world = World::new(move |run, _| async move {
            let first = Box::pin(run.wait_for_event("first", "go", None));
            drop(select(first, Box::pin(run.sleep("nap", DurationSpec::Ms(nap_ms)))).await);
            let event = run.wait_for_event("second", "go", None).await?;
            Ok(event.payload)
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        world.clock.advance_ms(nap_ms);
        world.settle(&handle).await;
        handle.send_event("w", "one", "go", bytes("7")).await.unwrap();
        let report = world.reach(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "7");
        world.stop().await;
    }
}

// rules: A70
#[tokio::test]
async fn a_run_that_is_in_memory_goes_on_with_its_event() {
    let mut world = World::new(|run, effects| async move {
        effects.add("run");
        let event = run.wait_for_event("w", "go", Some(DurationSpec::Ms(1500))).await?;
        Ok(event.payload)
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.watch(&handle, |overview| overview.parked == 1).await;
    handle.send_event("w", "one", "go", bytes("7")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "7");
    assert_eq!(world.effects.of("run"), 1, "nothing was replayed");
}

// rules: B10
#[tokio::test]
async fn dozens_of_kept_events_are_in_order_in_the_next_process() {
    const EVENTS: usize = 25;
    let mut world = World::new(|run, _| async move {
        run.sleep("nap", DurationSpec::Text("1 day".into())).await?;
        let mut got = Vec::new();
        for n in 0..EVENTS {
            got.push(text(&run.wait_for_event(&format!("w{n}"), "go", None).await?.payload));
        }
        Ok(bytes(got.join(" ")))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    for n in 0..EVENTS {
        handle.send_event("w", "one", "go", bytes(n.to_string())).await.unwrap();
    }
    world.kill().await;
    let handle = world.start();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    let expected: Vec<_> = (0..EVENTS).map(|n| n.to_string()).collect();
    assert_eq!(text(&report.output.unwrap()), expected.join(" "));
}

// rules: A33
#[tokio::test]
async fn with_one_retry_after_a_second_there_are_two_attempts_a_second_apart() {
    let mut world = World::new(|run, effects| async move {
        let clock = run.clock().clone();
        let body = |attempt: u32| {
            effects.add(&format!("{} at {}", attempt, clock.now().since(START).as_millis()));
            async { Err(boom()) }
        };
        step_with(&run, "a", retrying(1, 1000), body).await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.clock.advance_ms(999);
    world.settle(&handle).await;
    assert_eq!(world.effects.order(), "1 at 0", "a millisecond is left");
    let report = world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!((report.error, world.effects.order()), (Some(boom()), "1 at 0, 2 at 1000".to_owned()));
}
