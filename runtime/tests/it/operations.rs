//! Terminating, restarting, deleting.

use std::sync::Arc;

use futures::future::join;
use miniflow_runtime::dispatcher::{RestartFrom, SubscribeOptions};
use miniflow_runtime::engine::Entry;
use miniflow_runtime::{Bytes, CreateOptions, DurationSpec, ErrorInfo, Handle, InstanceStatus, Run, StepKind};

use crate::guest::{Saga, note, step};
use crate::world::{Effects, Gate, World, boom, bytes, text, with_id};

fn from(name: &str, count: u32, kind: StepKind) -> Option<RestartFrom> {
    Some(RestartFrom { name: name.into(), count, kind })
}

/// Counts the bodies that were dropped before they came to their end.
struct Dropped(Effects);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}

/// A body that is never through.
async fn stuck(run: &Arc<Run>, effects: &Effects, name: &str) -> Result<Bytes, ErrorInfo> {
    step(run, name, |_| {
        effects.add(name);
        let guard = Dropped(effects.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(bytes("never"))
        }
    })
    .await
}

// ---- terminate ------------------------------------------------------------------------------------------------------

// rules: S29, C2.2-13, C2.2-23, A23
#[tokio::test]
async fn a_terminated_body_is_dropped_and_nothing_comes_after_it() {
    let mut world = World::saga(|run, effects, handlers| async move {
        let saga = Saga { run: Arc::clone(&run), effects: effects.clone(), handlers };
        saga.step("before").await?;
        stuck(&run, &effects, "body").await?;
        note(&run, &effects, "after").await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("body", 1).await;
    handle.terminate("w", "one", false).await.unwrap();
    world.effects.until("dropped", 1).await;
    world.watch(&handle, |overview| overview.resident == 0 && overview.timers == 0).await;
    handle.resume("w", "one").await.unwrap();
    world.settle(&handle).await;
    assert_eq!(handle.status("w", "one").await.unwrap().status, InstanceStatus::Terminated);
    assert_eq!(world.effects.order(), "before, body, dropped", "no compensation either");
    let last = world.storage.entries("one").pop().unwrap();
    assert_eq!(last.entry, Entry::Terminated);
}

// rules: A26
#[tokio::test]
async fn a_wait_that_is_terminated_ends_the_instance() {
    let mut world = World::new(|run, effects| async move {
        run.wait_for_event("w", "go", None).await?;
        note(&run, &effects, "after").await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    handle.terminate("w", "one", false).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Terminated).await;
    assert_eq!(handle.overview().await.unwrap().timers, 0);
    assert_eq!(world.storage.entries("one").pop().unwrap().entry, Entry::Terminated);
    assert_eq!(world.effects.order(), "");
}

// ---- restart --------------------------------------------------------------------------------------------------------

/// Comes to the status that its params say, in its first run; completes in any other.
async fn comes_to(run: Arc<Run>, effects: Effects) -> Result<Bytes, ErrorInfo> {
    let mut event = run.event().clone();
    let seen = format!("{} {} {:?}", text(&event.payload), run.instance_id(), event.timestamp);
    // Nothing of this is seen by a later run.
    (event.payload, event.timestamp) = (bytes("changed"), miniflow_runtime::Timestamp(0));
    note(&run, &effects, "a").await?;
    if effects.of("a") == 1 {
        match text(&run.event().payload).as_str() {
            "running" | "waitingForPause" => drop(stuck(&run, &effects, "body").await?),
            "waiting" | "paused" | "terminated" => drop(run.wait_for_event("w", "go", None).await?),
            "errored" => return Err(boom()),
            _ => {}
        }
    }
    Ok(bytes(seen))
}

// rules: S30, C2.3-1, C2.3-2, C2.3-3, C2.3-12, C2.4-4, A27, A80, A122
#[tokio::test]
async fn an_instance_of_any_status_runs_again_from_its_first_line() {
    for status in ["complete", "errored", "terminated", "running", "waiting", "waitingForPause", "paused"] {
        let mut world = World::new(comes_to);
        let handle = world.start();
        handle.create("w", CreateOptions { params: Some(bytes(status)), ..with_id("one") }).await.unwrap();
        world.effects.until("a", 1).await;
        match status {
            "terminated" => {
                world.reach(&handle, "one", InstanceStatus::Waiting).await;
                handle.terminate("w", "one", false).await.unwrap();
            }
            "waitingForPause" => {
                world.effects.until("body", 1).await;
                handle.pause("w", "one").await.unwrap();
            }
            "paused" => {
                world.reach(&handle, "one", InstanceStatus::Waiting).await;
                handle.pause("w", "one").await.unwrap();
            }
            "running" => world.effects.until("body", 1).await,
            _ => {}
        }
        world.reach(&handle, "one", InstanceStatus::parse(status)).await;
        world.clock.advance_ms(5000);
        handle.restart("w", "one", None).await.unwrap();
        let report = handle.status("w", "one").await.unwrap();
        if !report.status.is_final() {
            assert_eq!((&report.output, &report.error), (&None, &None), "{status}");
        }
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), format!("{status} one 1000000ms"));
        assert_eq!((world.effects.of("a"), report.error), (2, None), "{status}");
        let entries = world.storage.entries("one");
        assert!(matches!(entries[0].entry, Entry::Restarted { from: None, .. }), "what came before is forgotten");
        world.kill().await;
    }
}

// rules: C2.3-12
#[tokio::test]
async fn right_after_a_restart_there_is_no_output_and_no_error() {
    let gate = Gate::default();
    let given = gate.clone();
    let mut world = World::new(move |_, effects| {
        let gate = given.clone();
        async move {
            match effects.add("run") {
                1 => Ok(bytes("1")),
                2 => {
                    gate.pass().await;
                    Err(boom())
                }
                _ => std::future::pending().await,
            }
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    for ends in [true, false] {
        handle.restart("w", "one", None).await.unwrap();
        let report = handle.status("w", "one").await.unwrap();
        assert!(matches!(report.status, InstanceStatus::Queued | InstanceStatus::Running), "{report:?}");
        assert_eq!((report.output, report.error), (None, None));
        if ends {
            gate.open();
            world.reach(&handle, "one", InstanceStatus::Errored).await;
        }
    }
}

// rules: C2.3-4
#[tokio::test]
async fn a_restarted_instance_keeps_its_slot() {
    for from_step in [false, true] {
        let mut world = World::new(|run, effects| async move {
            effects.add(run.instance_id());
            note(&run, &effects, "a").await?;
            stuck(&run, &effects, "body").await
        })
        .limit(1);
        let handle = world.start();
        for id in ["one", "two", "three"] {
            handle.create("w", with_id(id)).await.unwrap();
        }
        world.effects.until("body", 1).await;
        handle.restart("w", "one", from_step.then(|| from("body", 1, StepKind::Do)).flatten()).await.unwrap();
        world.effects.until("body", 2).await;
        world.settle(&handle).await;
        assert_eq!(handle.status("w", "two").await.unwrap().status, InstanceStatus::Queued);
        handle.terminate("w", "one", false).await.unwrap();
        world.effects.until("body", 3).await;
        handle.delete("w", "two").await.unwrap();
        world.effects.until("body", 4).await;
        let order = world.effects.order().replace(", a, body", "").replace(", body", "").replace(", dropped", "");
        assert_eq!(order, "one, one, two, three");
        world.kill().await;
    }
}

// rules: S31, C2.3-5, C2.3-7, A81
#[tokio::test]
async fn a_restart_from_a_step_keeps_what_came_before_it() {
    for restarts in [false, true] {
        let mut world = World::new(|run, effects| async move {
            let first = step(&run, "first", |_| {
                let count = effects.add("first");
                async move { Ok(bytes(count.to_string())) }
            })
            .await?;
            note(&run, &effects, "second").await?;
            run.sleep("nap", DurationSpec::Ms(10)).await?;
            note(&run, &effects, "third").await?;
            Ok(first)
        });
        let mut handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        handle.restart("w", "one", from("second", 1, StepKind::Do)).await.unwrap();
        if restarts {
            world.kill().await;
            handle = world.start();
        }
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "1");
        assert_eq!(world.effects.of("first"), 1);
        // What ran and was not recorded when the process ended runs once more.
        let again = ["second", "third"].map(|name| world.effects.of(name));
        assert!(if restarts { again.into_iter().all(|count| count >= 2) } else { again == [2, 2] }, "{again:?}");
        world.kill().await;
    }
}

/// Steps of three kinds with one name, and a name that repeats.
async fn alike(run: Arc<Run>, effects: Effects) -> Result<Bytes, ErrorInfo> {
    run.sleep("x", DurationSpec::Ms(1)).await?;
    note(&run, &effects, "between").await?;
    step(&run, "x", |_| {
        effects.add("x 1");
        async { Ok(bytes("1")) }
    })
    .await?;
    run.wait_for_event("x", "go", None).await?;
    step(&run, "x", |_| {
        effects.add("x 2");
        async { Ok(bytes("1")) }
    })
    .await?;
    note(&run, &effects, "end").await
}

// rules: C2.3-6, C2.3-7, C2.3-8, A82, A83
#[tokio::test]
async fn the_step_to_restart_from_is_chosen_by_name_type_and_count() {
    let table = [
        (StepKind::Do, 1, "x 1, x 2, end", true),
        (StepKind::Do, 2, "x 2, end", false),
        (StepKind::Sleep, 1, "between, x 1, x 2, end", true),
        (StepKind::Wait, 1, "x 2, end", true),
    ];
    for (kind, count, again, waits) in table {
        let mut world = World::new(alike);
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
        world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        let journal = world.storage.entries("one");
        for (name, count, kind) in [("x", 3, StepKind::Do), ("x", 2, StepKind::Wait), ("nobody", 1, StepKind::Do)] {
            let error = handle.restart("w", "one", from(name, count, kind)).await.unwrap_err();
            let expected = format!(r#"(instance.cannot_restart) Step "{name}" not found in execution history"#);
            assert_eq!((error.code, error.message), ("instance.cannot_restart", expected));
        }
        assert_eq!(world.storage.entries("one"), journal);
        handle.restart("w", "one", from("x", count, kind)).await.unwrap();
        if waits {
            handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
        }
        world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(world.effects.order(), format!("between, x 1, x 2, end, {again}"), "{kind:?} {count}");
        world.kill().await;
    }
}

// rules: C2.3-9
#[tokio::test]
async fn before_and_after_a_step_is_the_order_of_their_starts() {
    // `late` begins second and ends first.
    for (target, again) in [("late", "late, end"), ("early", "early, late, end")] {
        let gates = [Gate::default(), Gate::default()];
        let given = gates.clone();
        let mut world = World::new(move |run, effects| {
            let gates = given.clone();
            async move {
                let body = |name: &'static str, gate: Gate| {
                    let effects = effects.clone();
                    move |_| {
                        effects.add(name);
                        let gate = gate.clone();
                        async move {
                            gate.pass().await;
                            Ok(bytes(name))
                        }
                    }
                };
                let early = step(&run, "early", body("early", gates[0].clone()));
                let late = step(&run, "late", body("late", gates[1].clone()));
                let (early, late) = join(early, late).await;
                early?;
                late?;
                note(&run, &effects, "end").await
            }
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.effects.until("late", 1).await;
        gates[1].open();
        world.settle(&handle).await;
        assert_eq!(world.recorded("one"), ["late"]);
        gates[0].open();
        world.reach(&handle, "one", InstanceStatus::Complete).await;
        handle.restart("w", "one", from(target, 1, StepKind::Do)).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(world.effects.order(), format!("early, late, end, {again}"));
        world.kill().await;
    }
}

#[tokio::test]
async fn earlier_steps_that_failed_or_still_run_are_kept() {
    let gate = Gate::default();
    let given = gate.clone();
    let mut world = World::new(move |run, effects| {
        let gate = given.clone();
        async move {
            let fails = |_| {
                effects.add("fails");
                async { Err(ErrorInfo::new("NonRetryableError", "no")) }
            };
            let error = step(&run, "fails", fails).await.unwrap_err();
            let side = step(&run, "side", |attempt| {
                effects.add("side");
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok(bytes(attempt.to_string()))
                }
            });
            let target = async {
                note(&run, &effects, "target").await?;
                run.wait_for_event("w", "go", None).await
            };
            let (side, target) = join(side, target).await;
            target?;
            Ok(bytes(format!("{} {}", error.message, text(&side?))))
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("target", 1).await;
    world.settle(&handle).await;
    handle.restart("w", "one", from("target", 1, StepKind::Do)).await.unwrap();
    world.effects.until("target", 2).await;
    gate.open();
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "no 1", "a body that a restart cut did not use up an attempt");
    assert_eq!((world.effects.of("fails"), world.effects.of("side")), (1, 2));
}

// rules: C2.3-10
#[tokio::test]
async fn events_that_nobody_received_are_forgotten_by_a_restart() {
    for target in [None, from("a", 1, StepKind::Do)] {
        let mut world = World::new(|run, effects| async move {
            note(&run, &effects, "a").await?;
            run.wait_for_event("gate", "first", None).await?;
            let wait = run.wait_for_event("w", "go", Some(DurationSpec::Ms(5000))).await;
            Ok(bytes(wait.map_or_else(|error| error.name, |event| text(&event.payload))))
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
        handle.restart("w", "one", target).await.unwrap();
        handle.send_event("w", "one", "first", bytes("1")).await.unwrap();
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "WorkflowTimeoutError");
        world.kill().await;
    }
}

// ---- delete ---------------------------------------------------------------------------------------------------------

async fn is_gone(world: &World, handle: &Handle, id: &str) {
    let mut errors = Vec::new();
    errors.push(handle.get("w", id).await.unwrap_err());
    errors.push(handle.status("w", id).await.unwrap_err());
    errors.push(handle.pause("w", id).await.unwrap_err());
    errors.push(handle.resume("w", id).await.unwrap_err());
    errors.push(handle.terminate("w", id, false).await.unwrap_err());
    errors.push(handle.restart("w", id, None).await.unwrap_err());
    errors.push(handle.send_event("w", id, "go", bytes("1")).await.unwrap_err());
    errors.push(handle.delete("w", id).await.unwrap_err());
    errors.push(handle.subscribe("w", id, SubscribeOptions::default()).await.err().unwrap());
    for error in errors {
        assert_eq!(error.code, "instance.not_found");
        assert_eq!(error.message, "(instance.not_found) Instance not found");
    }
    assert!(world.storage.is_empty(), "no row, no journal, no chunk");
}

// rules: C2.2-17, C2.2-18, C2.2-20, A7, A119
#[tokio::test]
async fn a_deleted_instance_leaves_nothing_and_its_id_is_free() {
    for status in ["complete", "errored", "running", "waiting", "paused"] {
        let mut world = World::saga(|run, effects, handlers| async move {
            let saga = Saga { run: Arc::clone(&run), effects: effects.clone(), handlers };
            saga.step("saga").await?;
            comes_to(run, effects).await
        });
        let handle = world.start();
        handle.create("w", CreateOptions { params: Some(bytes(status)), ..with_id("one") }).await.unwrap();
        if status == "paused" {
            world.reach(&handle, "one", InstanceStatus::Waiting).await;
            handle.pause("w", "one").await.unwrap();
        }
        if status == "running" {
            world.effects.until("body", 1).await;
        }
        world.reach(&handle, "one", InstanceStatus::parse(status)).await;
        handle.delete("w", "one").await.unwrap();
        let undone = u32::from(status == "errored");
        assert_eq!(world.effects.of("undo saga"), undone, "a delete compensates nothing");
        is_gone(&world, &handle, "one").await;
        assert_eq!(handle.overview().await.unwrap().timers, 0);
        handle.create("w", with_id("one")).await.unwrap();
        world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        world.kill().await;
    }
}

// rules: C2.2-19, A10, A120
#[tokio::test]
async fn an_instance_that_deletes_itself_does_not_get_beyond_that() {
    let own: Arc<std::sync::OnceLock<Handle>> = Arc::default();
    let given = Arc::clone(&own);
    let mut world = World::new(move |run, effects| {
        let own = Arc::clone(&given);
        async move {
            note(&run, &effects, "before").await?;
            // Without the guard the run would count as idle: bindings hold it while they ask.
            let _busy = run.busy();
            effects.add("asks");
            own.wait().delete("w", "one").await.unwrap();
            effects.add("after");
            note(&run, &effects, "after").await
        }
    });
    let handle = world.start();
    own.set(handle.clone()).ok().unwrap();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("asks", 1).await;
    world.watch(&handle, |overview| overview.resident == 0 && overview.runs == 0).await;
    is_gone(&world, &handle, "one").await;
    world.settle(&handle).await;
    assert_eq!(world.effects.of("before"), 1);
    assert!(world.storage.is_empty());
}

// rules: A8, A9
#[tokio::test]
async fn ids_that_nobody_has_are_not_found_and_impossible_ones_invalid() {
    let mut world = World::new(comes_to);
    let handle = world.start();
    let error = handle.delete("w", "").await.unwrap_err();
    assert_eq!(error.message, "(instance.invalid_id) Instance ID is invalid");
    let error = handle.delete("w", "*/5 * * * *-1786001400000").await.unwrap_err();
    assert_eq!(error.message, "(instance.not_found) Instance not found");
}

/// What is asked while a deletion waits for its commit is asked of what the deletion leaves.
#[tokio::test]
async fn what_comes_in_the_same_group_as_a_delete_finds_nothing() {
    for round in 0..30 {
        let mut world = World::new(|run, effects| async move {
            effects.add("run");
            run.wait_for_event("w", "go", None).await.map(|event| event.payload)
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        world.watch(&handle, |overview| overview.resident == 0).await;
        // All are in the inbox before the first is committed, or some are not: it makes no difference.
        let asked = futures::join!(
            handle.delete("w", "one"),
            handle.restart("w", "one", None),
            handle.delete("w", "one"),
            handle.send_event("w", "one", "go", bytes("1")),
            handle.get("w", "one"),
            handle.create("w", with_id("one")),
        );
        assert!(asked.0.is_ok(), "{round}: {:?}", asked.0);
        for error in [asked.1, asked.2, asked.3, asked.4] {
            assert_eq!(error.unwrap_err().code, "instance.not_found", "{round}");
        }
        assert!(asked.5.is_ok(), "{round}: {:?}", asked.5);
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        world.settle(&handle).await;
        assert_eq!(world.effects.of("run"), 2, "of the one that was deleted and of the new one");
        assert_eq!(world.storage.journals(), 1, "{round}");
        world.kill().await;
    }
}
