//! What waits costs nothing, and wakes.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::{Either, select};
use miniflow_runtime::dispatcher::RestartFrom;
use miniflow_runtime::engine::Entry;
use miniflow_runtime::{DurationSpec, ErrorInfo, InstanceStatus, StepKind, Timestamp};

use crate::guest::step;
use crate::world::{START, World, bytes, text, with_id};

const DAY_MS: u64 = 24 * 3_600_000;

fn sleeper() -> World {
    World::new(|run, effects| async move {
        let (first, second) = (effects.clone(), effects);
        let before = move |_| {
            first.add("before");
            async { Ok(bytes("1")) }
        };
        step(&run, "before", before).await?;
        run.sleep("nap", DurationSpec::Text("3 days".into())).await?;
        let after = move |_| {
            second.add("after");
            async { Ok(bytes("2")) }
        };
        step(&run, "after", after).await
    })
}

// rules: C4.1-2, C4.4-1, B15
#[tokio::test]
async fn ten_thousand_sleepers_take_no_memory_and_all_wake() {
    let mut world = sleeper();
    let handle = world.start();
    for batch in 0..100 {
        let batch = (0..100).map(|n| with_id(&format!("i{}", batch * 100 + n))).collect();
        handle.create_batch("w", batch).await.unwrap();
    }
    let sleeping = world.watch(&handle, |overview| overview.resident == 0 && overview.starting == 0).await;
    assert_eq!(sleeping.timers, 10_000);
    assert_eq!(world.effects.of("before"), 10_000);
    assert_eq!(handle.status("w", "i777").await.unwrap().status, InstanceStatus::Waiting);
    world.clock.advance_ms(3 * 24 * 3600 * 1000);
    world.drive(&handle, |overview| overview.resident + overview.starting + overview.timers == 0).await;
    assert_eq!((world.effects.of("before"), world.effects.of("after")), (10_000, 10_000));
    let report = handle.status("w", "i9999").await.unwrap();
    assert_eq!((report.status, text(&report.output.unwrap()).as_str()), (InstanceStatus::Complete, "2"));
}

// rules: C4.4-2, B1
#[tokio::test]
async fn a_sleeping_instance_survives_a_restart_and_wakes_when_it_would_have() {
    let mut world = sleeper();
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.stop().await;
    world.clock.advance_ms(1000);
    let handle = world.start();
    let recovered = world.recovered();
    let wake = Timestamp(START.0 + 3 * 24 * 3600 * 1000);
    assert_eq!((recovered.unfinished, recovered.next_wake), (1, Some(wake)));
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "2");
    assert_eq!(miniflow_runtime::Clock::now(&world.clock), wake);
    assert_eq!(world.effects.of("before"), 1);
}

// rules: C4.4-2, B1
#[tokio::test]
async fn a_sleep_that_ended_while_the_process_was_down_is_over_at_the_start() {
    let mut world = sleeper();
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.kill().await;
    world.clock.advance_ms(4 * 24 * 3600 * 1000);
    let handle = world.start();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
}

#[tokio::test]
async fn a_run_whose_last_tie_to_the_outside_is_cut_elsewhere_hibernates() {
    let tie = Arc::new(Mutex::new(None));
    let held = Arc::clone(&tie);
    let mut world = World::new(move |run, _| {
        *held.lock().unwrap() = Some(run.busy());
        async move {
            run.sleep("nap", DurationSpec::Text("3 days".into())).await?;
            Ok(bytes("done"))
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    // The guest has come to its sleep, and is not polled for anything any more.
    world.watch(&handle, |overview| overview.timers == 1).await;
    assert_eq!(handle.status("w", "one").await.unwrap().status, InstanceStatus::Running);
    drop(tie.lock().unwrap().take());
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.stop().await;
}

#[tokio::test]
async fn a_short_sleep_keeps_the_guest_in_memory() {
    let mut world = World::new(|run, effects| async move {
        effects.add("run");
        run.sleep("nap", DurationSpec::Ms(1500)).await?;
        Ok(bytes("1"))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    assert_eq!(handle.overview().await.unwrap().parked, 1);
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.of("run"), 1);
}

// rules: C4.1-2, C4.3-1, C4.3-5
#[tokio::test]
async fn an_event_wakes_a_hibernated_instance() {
    let mut world = World::new(|run, effects| async move {
        effects.add("run");
        let event = run.wait_for_event("w", "go", None).await?;
        Ok(event.payload)
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.watch(&handle, |overview| overview.resident == 0).await;
    handle.send_event("w", "one", "other", bytes("0")).await.unwrap();
    handle.send_event("w", "one", "go", bytes("42")).await.unwrap();
    let report = world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "42");
    assert_eq!(world.effects.of("run"), 2);
}

// rules: C2.2-16, C4.3-2, C4.3-3
#[tokio::test]
async fn an_event_sent_before_the_wait_is_not_lost_by_a_restart() {
    let mut world = World::new(|run, _| async move {
        run.sleep("nap", DurationSpec::Text("1 hour".into())).await?;
        let first = run.wait_for_event("a", "go", None).await?;
        let second = run.wait_for_event("b", "go", None).await?;
        Ok(bytes(format!("{}{}", text(&first.payload), text(&second.payload))))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    handle.send_event("w", "one", "go", bytes("2")).await.unwrap();
    world.kill().await;
    let handle = world.start();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "12");
}

// rules: C2.5-12, C2.5-14
#[tokio::test]
async fn a_wait_times_out_on_the_clock() {
    let mut world = World::new(|run, _| async move {
        let error = run.wait_for_event("w", "go", None).await.unwrap_err();
        Ok(bytes(format!("{error}")))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "WorkflowTimeoutError: Execution timed out after 86400000ms");
}

// rules: C2.5-9, C2.5-10, B2
#[tokio::test]
async fn sleep_until_the_past_is_refused_at_first_and_never_on_replay() {
    let mut world = World::new(|run, _| async move {
        let error = run.sleep_until("past", Timestamp(START.0 - 1)).await.unwrap_err();
        step(&run, "before", |_| async { Ok(bytes("1")) }).await?;
        run.sleep_until("present", START).await?;
        run.sleep_until("future", Timestamp(START.0 + 3_600_000)).await?;
        // Hibernates again, so that the sleep above is replayed long after its moment.
        run.sleep("more", DurationSpec::Text("2 hours".into())).await?;
        Ok(bytes(error.message))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "You can't sleep until a time in the past, time-traveler");
}

#[tokio::test]
async fn a_commit_that_fails_is_tried_again_and_nothing_is_lost() {
    let mut world = sleeper();
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.watch(&handle, |overview| overview.resident == 0).await;
    world.storage.die_after(0);
    let error = handle.create("w", with_id("two")).await.unwrap_err();
    assert_eq!(error.message, "workflows.api.error.internal_server");
    let error = handle.send_event("w", "one", "go", bytes("1")).await.unwrap_err();
    assert_eq!(error.message, "workflows.api.error.internal_server");
    world.storage.revive();
    handle.create("w", with_id("two")).await.unwrap();
    for id in ["one", "two"] {
        world.drive_to(&handle, id, InstanceStatus::Complete).await;
    }
}

#[tokio::test]
async fn a_graceful_stop_interrupts_bodies_without_counting_them() {
    let mut world = World::new(|run, effects| async move {
        step(&run, "a", move |attempt| {
            let first = effects.add("a") == 1;
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
                Ok(bytes(attempt.to_string()))
            }
        })
        .await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    while world.effects.of("a") == 0 {
        tokio::task::yield_now().await;
    }
    world.stop().await;
    let handle = world.start();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleep_whose_start_was_lost_with_the_process_is_over_when_its_moment_has_passed() {
    let until = Timestamp(START.0 + 5000);
    let mut world = World::new(move |run, effects| async move {
        step(&run, "before", |_| async { Ok(bytes("1")) }).await?;
        effects.add("asked");
        run.sleep_until("until", until).await?;
        Ok(bytes("over"))
    });
    let handle = world.start();
    // What is lost is the last that is written: it dies with the commit of the sleep's start.
    world.storage.die_after(2);
    handle.create("w", with_id("one")).await.unwrap();
    while world.effects.of("asked") == 0 {
        tokio::task::yield_now().await;
    }
    drop(handle);
    world.kill().await;
    assert!(!world.storage.entries("one").iter().any(|stamped| matches!(stamped.entry, Entry::SleepStarted { .. })));
    world.clock.advance_ms(60_000);
    let handle = world.start();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "over");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleep_that_is_all_a_run_had_asked_for_when_its_process_died_is_over_too() {
    for until in [START, START.plus_ms(5000)] {
        let mut world = World::new(move |run, effects| async move {
            effects.add("asked");
            run.sleep_until("until", until).await?;
            Ok(bytes("over"))
        });
        let handle = world.start();
        // The commit of its creation is the last.
        world.storage.die_after(1);
        handle.create("w", with_id("one")).await.unwrap();
        world.effects.until("asked", 1).await;
        drop(handle);
        world.kill().await;
        let entries = world.storage.entries("one");
        assert!(!entries.iter().any(|stamped| matches!(stamped.entry, Entry::SleepStarted { .. })));
        world.clock.advance_ms(60_000);
        let handle = world.start();
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "over");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_sleep_that_was_dropped_is_over_when_it_is_asked_for_again_after_its_moment() {
    let mut world = World::new(|run, effects| async move {
        let until = run.sleep_until("until", START.plus_ms(1000));
        let body = |_| {
            let first = effects.add("body") == 1;
            async move { if first { Err(ErrorInfo::new("NonRetryableError", "no")) } else { std::future::pending().await } }
        };
        match select(until.boxed(), step(&run, "s", body).boxed()).await {
            Either::Left((slept, _)) => slept.map(|()| bytes("slept")),
            Either::Right((failed, _)) => failed,
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Errored).await;
    world.clock.advance_ms(60_000);
    let from = RestartFrom { name: "s".to_owned(), count: 1, kind: StepKind::Do };
    handle.restart("w", "one", Some(from)).await.unwrap();
    let report = world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "slept");
}

// rules: C2.5-9
#[tokio::test]
async fn a_moment_that_passed_while_a_body_ran_has_passed() {
    let mut world = World::new(|run, effects| async move {
        // The second is in another run.
        for (name, begins) in [("first", START), ("second", START.plus_ms(1000 + DAY_MS))] {
            let body = |_| {
                let effects = effects.clone();
                async move {
                    effects.add(name);
                    effects.until(&format!("{name} may end"), 1).await;
                    Ok(bytes("1"))
                }
            };
            step(&run, name, body).await?;
            let slept = run.sleep_until(name, begins.plus_ms(500)).await;
            effects.add(&format!("{name}: {slept:?}"));
            run.sleep("nap", DurationSpec::Ms(DAY_MS)).await?;
        }
        Ok(bytes("over"))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    for name in ["first", "second"] {
        world.watch(&handle, |_| world.effects.of(name) == 1).await;
        world.clock.advance_ms(1000);
        world.effects.add(&format!("{name} may end"));
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        world.clock.advance_ms(DAY_MS);
    }
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    let said: Vec<_> = world.effects.all().into_keys().filter(|effect| effect.contains(": ")).collect();
    let refused = said.iter().filter(|said| said.contains("You can't sleep until a time in the past")).count();
    assert_eq!((said.len(), refused), (2, 2), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_recorded_just_before_the_process_died_wakes_its_instance_in_the_next() {
    let mut world = World::new(|run, effects| async move {
        let wait = async {
            run.wait_for_event("w", "go", None).await?;
            step(&run, "after", |_| async { Ok(bytes("1")) }).await?;
            effects.add("after");
            Ok::<_, miniflow_runtime::ErrorInfo>(())
        };
        // Another timer, so that there is something to wait for in any case.
        let (woken, slept) = futures::join!(wait, run.sleep("nap", DurationSpec::Text("1 hour".into())));
        woken.and(slept).map(|()| bytes("over"))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.watch(&handle, |overview| overview.resident == 0).await;
    world.storage.die_after(1);
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    drop(handle);
    world.kill().await;
    assert_eq!(world.effects.of("after"), 0);

    let handle = world.start();
    world.watch(&handle, |_| world.effects.of("after") == 1).await;
    world.stop().await;
}
