//! Pausing: what runs is finished, nothing begins, and the code never knows.

use std::sync::{Arc, OnceLock};

use futures::future::{join, join3, select};
use miniflow_runtime::engine::Entry;
use miniflow_runtime::{Bytes, DurationSpec, ErrorInfo, Handle, InstanceStatus, Run};

use crate::guest::{inside, note, retrying, step, step_with};
use crate::world::{Effects, Gate, World, boom, bytes, text, with_id};

/// A step whose body is held until the gate opens.
async fn held(run: &Arc<Run>, effects: &Effects, gate: &Gate, name: &str) -> Result<Bytes, ErrorInfo> {
    step(run, name, |_| {
        effects.add(name);
        async {
            gate.pass().await;
            Ok(bytes(name))
        }
    })
    .await
}

/// A world with a gate for its bodies.
fn gated<F, R>(script: F) -> (World, Gate)
where
    F: Fn(Arc<Run>, Effects, Gate) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
{
    let gate = Gate::default();
    let given = gate.clone();
    (World::new(move |run, effects| script(run, effects, given.clone())), gate)
}

async fn status(handle: &Handle) -> InstanceStatus {
    handle.status("w", "one").await.unwrap().status
}

#[tokio::test]
async fn a_branch_that_loses_while_a_pause_comes_takes_no_event_of_the_pause() {
    let (mut world, gate) = gated(|run, effects, gate| async move {
        let fails = step(&run, "fails", |_| {
            effects.add("fails");
            async {
                gate.pass().await;
                Err(ErrorInfo::new("NonRetryableError", "no"))
            }
        });
        let loses = run.wait_for_event("loses", "go", None);
        drop(select(Box::pin(fails), Box::pin(loses)).await);
        run.wait_for_event("later", "go", None).await.map(|event| event.payload)
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("fails", 1).await;
    handle.pause("w", "one").await.unwrap();
    assert_eq!(status(&handle).await, InstanceStatus::WaitingForPause);
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    handle.resume("w", "one").await.unwrap();
    let report = world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(report.output, Some(bytes("1")));
}

// rules: S26, C2.2-4, A28, A29, A84, B5
#[tokio::test]
async fn a_pause_lets_the_body_finish_and_begins_nothing_new() {
    let (mut world, gate) = gated(|run, effects, gate| async move {
        let first = held(&run, &effects, &gate, "first").await?;
        let second = note(&run, &effects, "second").await?;
        Ok(bytes(format!("{} {}", text(&first), text(&second))))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("first", 1).await;
    handle.pause("w", "one").await.unwrap();
    assert_eq!(status(&handle).await, InstanceStatus::WaitingForPause);
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    world.watch(&handle, |overview| overview.resident == 0).await;
    assert_eq!(world.recorded("one"), ["first"]);
    assert_eq!(world.effects.of("second"), 0);
    world.clock.advance_ms(1_000_000);
    world.settle(&handle).await;
    assert_eq!(world.effects.of("second"), 0, "time does not end a pause");
    handle.resume("w", "one").await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "first second");
    assert_eq!(world.effects.order(), "first, second");
}

// rules: C2.2-4, A85
#[tokio::test]
async fn two_bodies_side_by_side_are_both_finished() {
    let gates = [Gate::default(), Gate::default()];
    let given = gates.clone();
    let mut world = World::new(move |run, effects| {
        let gates = given.clone();
        async move {
            let (a, b) = join(held(&run, &effects, &gates[0], "a"), held(&run, &effects, &gates[1], "b")).await;
            let (a, b) = (a?, b?);
            note(&run, &effects, "next").await?;
            Ok(bytes(text(&a) + &text(&b)))
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("b", 1).await;
    handle.pause("w", "one").await.unwrap();
    gates[1].open();
    world.settle(&handle).await;
    assert_eq!(status(&handle).await, InstanceStatus::WaitingForPause, "the other one still runs");
    gates[0].open();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    assert_eq!(world.recorded("one"), ["b", "a"]);
    assert_eq!(world.effects.of("next"), 0);
    handle.resume("w", "one").await.unwrap();
    let report = world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "ab");
    assert_eq!(world.effects.order(), "a, b, next");
}

#[tokio::test]
async fn a_pause_during_the_last_step_comes_before_the_end() {
    let (mut world, gate) = gated(|run, effects, gate| async move { held(&run, &effects, &gate, "last").await });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("last", 1).await;
    handle.pause("w", "one").await.unwrap();
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    handle.resume("w", "one").await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.of("last"), 1);
}

#[tokio::test]
async fn an_attempt_that_fails_while_the_pause_is_pending_is_recorded_and_not_tried_again() {
    let (mut world, gate) = gated(|run, effects, gate| async move {
        let body = |attempt: u32| {
            effects.add("a");
            let gate = gate.clone();
            async move {
                gate.pass().await;
                if attempt == 1 { Err(boom()) } else { Ok(bytes(attempt.to_string())) }
            }
        };
        step_with(&run, "a", retrying(1, 0), body).await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("a", 1).await;
    handle.pause("w", "one").await.unwrap();
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    assert_eq!(world.effects.of("a"), 1);
    assert!(world.storage.entries("one").iter().any(|stamped| matches!(stamped.entry, Entry::AttemptFailed { .. })));
    handle.resume("w", "one").await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "2");
}

/// The failure of a body is no commit that the guest waits for: it may still be on its way when the pause comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_is_on_its_way_when_the_pause_comes_is_recorded() {
    let (gate, first): (Gate, Arc<OnceLock<Arc<Run>>>) = Default::default();
    let (given, told) = (gate.clone(), Arc::clone(&first));
    let mut world = World::new(move |run, effects| {
        let gate = given.clone();
        told.get_or_init(|| Arc::clone(&run));
        async move {
            let body = |attempt: u32| {
                effects.add("a");
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    if attempt == 1 { Err(boom()) } else { Ok(bytes(attempt.to_string())) }
                }
            };
            step(&run, "a", body).await
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("a", 1).await;
    // The dispatcher stands still until the pause is in its inbox, and the failure behind it.
    let frozen = world.storage.freeze();
    let mut unrelated = Box::pin(handle.get("w", "nobody"));
    assert!(futures::poll!(&mut unrelated).is_pending());
    let mut pause = Box::pin(handle.pause("w", "one"));
    assert!(futures::poll!(&mut pause).is_pending());
    gate.open();
    while first.wait().in_step() {
        tokio::task::yield_now().await;
    }
    drop(frozen);
    pause.await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    handle.resume("w", "one").await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!((text(&report.output.unwrap()), world.effects.of("a")), ("2".into(), 2));
}

#[tokio::test]
async fn a_step_inside_of_a_body_is_finished_as_well() {
    let (mut world, gate) = gated(|run, effects, gate| async move {
        let (outer_run, outer_effects) = (Arc::clone(&run), effects.clone());
        let outer = step(&run, "outer", move |_| {
            let (run, effects, gate) = (Arc::clone(&outer_run), outer_effects.clone(), gate.clone());
            async move {
                effects.add("outer");
                gate.pass().await;
                note(&run, &effects, "inner").await
            }
        })
        .await?;
        note(&run, &effects, "next").await?;
        Ok(outer)
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("outer", 1).await;
    handle.pause("w", "one").await.unwrap();
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    assert_eq!(world.recorded("one"), ["inner", "outer"]);
    assert_eq!(world.effects.order(), "outer, inner");
    handle.resume("w", "one").await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.order(), "outer, inner, next");
}

// rules: C2.2-9, A30, A86
#[tokio::test]
async fn a_pause_that_is_taken_back_before_the_bodies_end_replays_nothing() {
    let (mut world, gate) = gated(|run, effects, gate| async move {
        effects.add("run");
        let bodies = join(held(&run, &effects, &gate, "a"), held(&run, &effects, &gate, "b")).await;
        bodies.0?;
        bodies.1?;
        // Long enough to hibernate, so that what waits after the pause is noticed as well.
        run.sleep("nap", DurationSpec::Text("1 hour".into())).await?;
        effects.add("run after the nap");
        note(&run, &effects, "c").await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("b", 1).await;
    handle.pause("w", "one").await.unwrap();
    assert_eq!(status(&handle).await, InstanceStatus::WaitingForPause);
    handle.resume("w", "one").await.unwrap();
    assert_eq!(status(&handle).await, InstanceStatus::Running);
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    assert_eq!(world.effects.of("run"), 1);
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!((world.effects.of("a"), world.effects.of("b"), world.effects.of("c")), (1, 1, 1));
}

/// Where an instance is paused without a body running: in a sleep, a wait, a retry delay; then its end.
async fn waits(run: Arc<Run>, effects: Effects) -> Result<Bytes, ErrorInfo> {
    note(&run, &effects, "before").await?;
    let said = match text(&run.event().payload).as_str() {
        "sleep" => run.sleep("nap", DurationSpec::Text("3 seconds".into())).await.map(|()| bytes("slept")),
        "near" => run.sleep("nap", DurationSpec::Text("1 second".into())).await.map(|()| bytes("slept")),
        "wait" => run.wait_for_event("w", "go", Some(DurationSpec::Ms(3000))).await.map(|event| event.payload),
        _ => {
            let body = |attempt: u32| {
                effects.add("flaky");
                async move { if attempt == 1 { Err(boom()) } else { Ok(bytes("retried")) } }
            };
            step_with(&run, "flaky", retrying(1, 3000), body).await
        }
    };
    note(&run, &effects, "after").await?;
    let said = said.map_or_else(|error| error.message, |said| text(&said));
    Ok(bytes(format!("{said} after {} ms", run.clock().now().since(run.event().timestamp).as_millis())))
}

// rules: C2.2-6, C2.2-7, C2.2-8, A87, B4
#[tokio::test]
async fn what_a_paused_instance_waited_for_is_as_far_ahead_as_before() {
    const TEN_HOURS: u64 = 36_000_000;
    let table = [
        ("sleep", format!("slept after {} ms", 3000 + TEN_HOURS)),
        ("near", format!("slept after {} ms", 1000 + TEN_HOURS)),
        ("wait", format!("Execution timed out after 3000ms after {} ms", 3000 + TEN_HOURS)),
        ("retry", format!("retried after {} ms", 3000 + TEN_HOURS)),
    ];
    for (what, expected) in table {
        for restarts in [false, true] {
            let mut world = World::new(waits);
            let mut handle = world.start();
            let options = miniflow_runtime::CreateOptions { params: Some(bytes(what)), ..with_id("one") };
            handle.create("w", options).await.unwrap();
            world.reach(&handle, "one", InstanceStatus::Waiting).await;
            world.clock.advance_ms(900);
            handle.pause("w", "one").await.unwrap();
            assert_eq!(status(&handle).await, InstanceStatus::Paused, "at once");
            world.watch(&handle, |overview| overview.timers == 0 && overview.resident == 0).await;
            world.clock.advance_ms(TEN_HOURS);
            if restarts {
                world.kill().await;
                handle = world.start();
            }
            world.settle(&handle).await;
            assert_eq!(status(&handle).await, InstanceStatus::Paused);
            handle.resume("w", "one").await.unwrap();
            let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
            assert_eq!(text(&report.output.unwrap()), expected, "{what}");
            let flaky = if what == "retry" { 2 } else { 0 };
            let effects = ["before", "flaky", "after"].map(|name| world.effects.of(name));
            assert_eq!(effects, [1, flaky, 1], "{what}: no step ran twice");
            world.kill().await;
        }
    }
}

// rules: C2.2-21, A88
#[tokio::test]
async fn an_event_sent_to_a_paused_instance_is_received_after_the_resume() {
    for sent_before_resume in [true, false] {
        let mut world = World::new(waits);
        let handle = world.start();
        let options = miniflow_runtime::CreateOptions { params: Some(bytes("wait")), ..with_id("one") };
        handle.create("w", options).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        handle.pause("w", "one").await.unwrap();
        if sent_before_resume {
            handle.send_event("w", "one", "go", bytes("7")).await.unwrap();
            world.settle(&handle).await;
            assert_eq!(status(&handle).await, InstanceStatus::Paused);
        }
        handle.resume("w", "one").await.unwrap();
        if !sent_before_resume {
            handle.send_event("w", "one", "go", bytes("7")).await.unwrap();
        }
        let report = world.reach(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "7 after 0 ms");
    }
}

// rules: B9
#[tokio::test]
async fn an_event_that_was_received_before_a_pause_is_not_received_again() {
    let mut world = World::new(|run, _| async move {
        let first = run.wait_for_event("first", "go", None).await?;
        run.sleep("nap", DurationSpec::Text("1 hour".into())).await?;
        let second = run.wait_for_event("second", "go", Some(DurationSpec::Ms(5000))).await;
        let second = second.map_or_else(|error| error.name, |event| text(&event.payload));
        Ok(bytes(format!("{} {second}", text(&first.payload))))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    handle.pause("w", "one").await.unwrap();
    handle.resume("w", "one").await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "1 WorkflowTimeoutError");
}

// rules: B6
#[tokio::test]
async fn a_pause_works_after_an_error_that_is_not_retried_was_handled() {
    let (mut world, gate) = gated(|run, effects, gate| async move {
        let failing = |_| async { Err(ErrorInfo::new("NonRetryableError", "no")) };
        step(&run, "fails", failing).await.unwrap_err();
        held(&run, &effects, &gate, "a").await?;
        note(&run, &effects, "b").await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("a", 1).await;
    handle.pause("w", "one").await.unwrap();
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    handle.resume("w", "one").await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.order(), "a, b");
}

// rules: C2.2-7, B4
#[tokio::test]
async fn a_pause_is_invisible() {
    let mut world = World::new(|run, effects| async move {
        let noticed = |error: &ErrorInfo| {
            effects.add(&format!("noticed {error}"));
        };
        let sleeping = async {
            run.sleep("nap", DurationSpec::Text("1 minute".into())).await.inspect_err(noticed).ok();
        };
        let waiting = async {
            run.wait_for_event("w", "go", None).await.inspect_err(noticed).ok();
        };
        let retrying = async {
            let body = |attempt: u32| async move { if attempt == 1 { Err(boom()) } else { Ok(bytes("1")) } };
            step(&run, "flaky", body).await.inspect_err(noticed).ok();
        };
        join3(sleeping, waiting, retrying).await;
        Ok(bytes("1"))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    for _ in 0..3 {
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        handle.pause("w", "one").await.unwrap();
        world.clock.advance_ms(120_000);
        handle.resume("w", "one").await.unwrap();
    }
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.order(), "");
}

// rules: A89, C2.2-24
#[tokio::test]
async fn a_pause_that_the_process_did_not_live_to_see_has_come_at_the_start() {
    for gracefully in [true, false] {
        let (mut world, gate) = gated(|run, effects, gate| async move {
            held(&run, &effects, &gate, "a").await?;
            note(&run, &effects, "b").await
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.effects.until("a", 1).await;
        handle.pause("w", "one").await.unwrap();
        assert_eq!(status(&handle).await, InstanceStatus::WaitingForPause);
        if gracefully {
            world.stop_at_once().await;
        } else {
            world.kill().await;
        }
        let handle = world.start();
        assert_eq!(status(&handle).await, InstanceStatus::Paused);
        world.watch(&handle, |overview| overview.resident == 0).await;
        gate.open();
        handle.resume("w", "one").await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(world.effects.order(), "a, a, b");
    }
}

#[tokio::test]
async fn a_graceful_stop_lets_the_body_that_a_pause_waits_for_finish() {
    let (mut world, gate) = gated(|run, effects, gate| async move {
        held(&run, &effects, &gate, "a").await?;
        note(&run, &effects, "b").await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("a", 1).await;
    handle.pause("w", "one").await.unwrap();
    gate.open();
    world.stop().await;
    let handle = world.start();
    assert_eq!(status(&handle).await, InstanceStatus::Paused);
    handle.resume("w", "one").await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.order(), "a, b");
}

// rules: C2.2-24
#[tokio::test]
async fn pause_resume_terminate_and_restart_survive_the_process() {
    for operation in ["pause", "resume", "terminate", "restart"] {
        let mut world = World::new(|run, effects| async move {
            effects.add("begun");
            run.wait_for_event("w", "go", None).await.map(|event| event.payload)
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        let expected = match operation {
            "pause" => {
                handle.pause("w", "one").await.unwrap();
                InstanceStatus::Paused
            }
            "resume" => {
                handle.pause("w", "one").await.unwrap();
                handle.resume("w", "one").await.unwrap();
                InstanceStatus::Waiting
            }
            "terminate" => {
                handle.terminate("w", "one", false).await.unwrap();
                InstanceStatus::Terminated
            }
            _ => {
                handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
                world.reach(&handle, "one", InstanceStatus::Complete).await;
                handle.restart("w", "one", None).await.unwrap();
                InstanceStatus::Waiting
            }
        };
        world.kill().await;
        let handle = world.start();
        world.settle(&handle).await;
        assert_eq!(status(&handle).await, expected, "{operation}");
        world.kill().await;
    }
}

// rules: S28
#[tokio::test]
async fn a_resumed_instance_is_queued_while_no_slot_is_free() {
    let gate = Gate::default();
    let given = gate.clone();
    let mut world = World::new(move |run, effects| {
        let gate = given.clone();
        async move {
            if run.instance_id() == "one" {
                run.wait_for_event("w", "go", None).await?;
            }
            held(&run, &effects, &gate, "a").await
        }
    })
    .limit(1);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    handle.pause("w", "one").await.unwrap();
    handle.create("w", with_id("two")).await.unwrap();
    world.effects.until("a", 1).await;
    handle.resume("w", "one").await.unwrap();
    world.settle(&handle).await;
    assert_eq!(status(&handle).await, InstanceStatus::Queued);
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
}

#[tokio::test]
async fn a_body_that_times_out_while_the_pause_is_pending_ends_the_wait_for_it() {
    let mut world = World::new(|run, effects| async move {
        let options = miniflow_runtime::StepOptions {
            timeout: Some(DurationSpec::Text("5 seconds".into())),
            ..miniflow_runtime::StepOptions::default()
        };
        let mut attempt = match run.begin_step("a", options).await {
            miniflow_runtime::Begun::Execute(attempt) => attempt,
            miniflow_runtime::Begun::Recorded(output) => return Ok(output),
            _ => return Err(boom()),
        };
        loop {
            let second = attempt.number() > 1;
            let body = async {
                effects.add("a");
                if !second {
                    std::future::pending::<()>().await;
                }
            };
            let verdict = match inside(&attempt, body).await {
                None => attempt.expire(miniflow_runtime::engine::Retry::ByPolicy).await,
                Some(()) => attempt.succeed(bytes("1")).await,
            };
            match verdict {
                miniflow_runtime::Verdict::Retry(next) => attempt = next,
                _ => return Ok(bytes("1")),
            }
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("a", 1).await;
    handle.pause("w", "one").await.unwrap();
    assert_eq!(status(&handle).await, InstanceStatus::WaitingForPause);
    world.clock.advance_ms(5000);
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    handle.resume("w", "one").await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.of("a"), 2);
}
