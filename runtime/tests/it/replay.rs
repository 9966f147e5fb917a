//! A run that is replayed sees what the first run saw, in the same order.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{Either, join, join3, select};
use miniflow_runtime::dispatcher::RestartFrom;
use miniflow_runtime::{Clock, DurationSpec, ErrorInfo, InstanceStatus, Run, RunEnd, StepKind};

use crate::guest::{note, step};
use crate::world::{Effects, Gate, START, World, boom, bytes, text, with_id};

/// Long enough to hibernate, so that all before it is replayed.
async fn hibernate(run: &Arc<Run>) {
    run.sleep("hibernate", DurationSpec::Text("1 hour".into())).await.unwrap();
}

async fn output<F, R>(script: F) -> (String, Effects)
where
    F: Fn(Arc<Run>, Effects) -> R + Send + Sync + 'static,
    R: Future<Output = String> + Send + 'static,
{
    let script = Arc::new(script);
    let mut world = World::new(move |run, effects| {
        let script = Arc::clone(&script);
        async move { Ok(bytes(script(run, effects).await)) }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    (text(&report.output.unwrap()), world.effects.clone())
}

// rules: C4.1-3
#[tokio::test]
async fn a_race_decided_one_way_replays_that_way() {
    let (said, effects) = output(|run, effects| async move {
        let quick = async {
            run.sleep("short", DurationSpec::Ms(100)).await.unwrap();
            step(&run, "quick", |_| async { Ok(bytes("quick")) }).await.unwrap()
        };
        let slow = async {
            run.sleep("long", DurationSpec::Ms(200)).await.unwrap();
            step(&run, "slow", |_| async { Ok(bytes("slow")) }).await.unwrap()
        };
        // The slow one is polled first: only the record knows that the other one won.
        let winner = match select(slow.boxed(), quick.boxed()).await {
            Either::Left((winner, _)) | Either::Right((winner, _)) => text(&winner),
        };
        effects.add(&winner);
        hibernate(&run).await;
        winner
    })
    .await;
    assert_eq!(said, "quick");
    assert_eq!(effects.of("quick"), 2, "both runs saw the same winner");
    assert_eq!(effects.of("slow"), 0);
}

// rules: C2.5-4
#[tokio::test]
async fn branches_that_share_a_name_keep_their_numbers() {
    let (said, _) = output(|run, _| async move {
        let first = async {
            step(&run, "a", |_| async { Ok(bytes("a")) }).await.unwrap();
            step(&run, "x", |_| async { Ok(bytes("x of the first branch")) }).await.unwrap()
        };
        let second = step(&run, "x", |_| async { Ok(bytes("x of the second branch")) });
        let (first, second) = join(first, second).await;
        hibernate(&run).await;
        format!("{}, {}", text(&first), text(&second.unwrap()))
    })
    .await;
    assert_eq!(said, "x of the first branch, x of the second branch");
}

/// Three branches side by side: a sleep, one that first does `before`, and one that does not; both then do a step of the same name.
async fn numbered<B, R>(instances: usize, before: B)
where
    B: Fn(Arc<Run>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), ErrorInfo>> + Send,
{
    let mut world = World::new(move |run, _| {
        let before = before.clone();
        async move {
            let x = async |of: &'static str| step(&run, "x", |_| async move { Ok(bytes(of)) }).await;
            run.sleep("until there are events", DurationSpec::Text("1 day".into())).await?;
            let nap = run.sleep("nap", DurationSpec::Text("1 day".into()));
            let first = async {
                before(Arc::clone(&run)).await?;
                x("first").await
            };
            let (nap, first, second) = join3(nap, first, x("second")).await;
            nap?;
            Ok(bytes(format!("{} {}", text(&first?), text(&second?))))
        }
    });
    let handle = world.start();
    let ids: Vec<_> = (0..instances).map(|n| format!("i{n}")).collect();
    for id in &ids {
        handle.create("w", with_id(id)).await.unwrap();
        handle.send_event("w", id, "go", bytes("1")).await.unwrap();
    }
    for id in &ids {
        let report = world.drive_to(&handle, id, InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "first second", "{id}");
    }
}

// rules: C2.5-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn branches_keep_their_numbers_however_soon_a_step_is_answered() {
    let before = |run: Arc<Run>| async move { step(&run, "a", |_| async { Ok(bytes("1")) }).await.map(drop) };
    for _ in 0..50 {
        numbered(1, before).await;
    }
    numbered(100, before).await;
}

// rules: C2.5-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn branches_keep_their_numbers_however_soon_an_event_is_received() {
    let before = |run: Arc<Run>| async move { run.wait_for_event("w", "go", None).await.map(drop) };
    for _ in 0..50 {
        numbered(1, before).await;
    }
    numbered(100, before).await;
}

// rules: C2.5-4
#[tokio::test]
async fn a_step_inside_of_another_has_a_number_of_its_own() {
    let (said, _) = output(|run, _| async move {
        let outer = step(&run, "outer", |_| async { step(&run, "x", |_| async { Ok(bytes("inner")) }).await });
        let outer = outer.await.unwrap();
        let x = step(&run, "x", |_| async { Ok(bytes("x")) }).await.unwrap();
        hibernate(&run).await;
        format!("{}, {}", text(&outer), text(&x))
    })
    .await;
    assert_eq!(said, "inner, x");
}

// rules: C2.5-4
#[tokio::test]
async fn a_sleep_inside_of_a_step_is_not_taken_for_one_outside() {
    let mut world = World::new(|run, effects| async move {
        let body = |_| async { run.sleep("x", DurationSpec::Ms(1000)).await.map(|()| bytes("1")) };
        step(&run, "outer", body).await?;
        let x = run.sleep("x", DurationSpec::Text("1 day".into()));
        let beside = async {
            hibernate(&run).await;
            note(&run, &effects, "after an hour").await
        };
        let (slept, beside) = join(x, beside).await;
        slept?;
        beside
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.watch(&handle, |overview| overview.next_timer == Some(START.plus_ms(1000))).await;
    world.clock.advance_ms(1000);
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.clock.advance_ms(3_600_000);
    world.effects.until("after an hour", 1).await;
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.clock.now(), START.plus_ms(1000 + 24 * 3_600_000));
}

// rules: C2.5-4
#[tokio::test]
async fn a_wait_inside_of_a_step_is_not_taken_for_one_outside() {
    let mut world = World::new(|run, _| async move {
        let x = async || Ok::<_, ErrorInfo>(run.wait_for_event("x", "go", None).await?.payload);
        let outer = step(&run, "outer", |_| x()).await?;
        let beside = x().await?;
        hibernate(&run).await;
        Ok(bytes(format!("{} {}", text(&outer), text(&beside))))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    for payload in ["inner", "outer"] {
        handle.send_event("w", "one", "go", bytes(payload)).await.unwrap();
    }
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "inner outer");
}

// rules: C4.1-4
#[tokio::test]
async fn a_step_that_was_dropped_is_no_longer_waited_for() {
    let mut world = World::new(|run, effects| async move {
        let body = |_| {
            effects.add("dropped");
            async {
                std::future::pending::<()>().await;
                Ok(bytes("never"))
            }
        };
        let dropped = step(&run, "dropped", body);
        let nap = run.sleep("nap", DurationSpec::Ms(50));
        drop(select(dropped.boxed(), nap.boxed()).await);
        hibernate(&run).await;
        Ok(bytes("done"))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    while world.effects.of("dropped") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.status("w", "one").await.unwrap().status, InstanceStatus::Running, "a body is running");
    world.clock.advance_ms(50);
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    // Replay hands out the nap before anything new may begin, so the body is not even started again.
    assert_eq!(world.effects.of("dropped"), 1);
}

// rules: C2.5-4, C2.5-36, C4.1-1, B7
#[tokio::test]
async fn recorded_steps_do_not_run_again_and_failures_are_recorded_too() {
    let (said, effects) = output(|run, effects| async move {
        let failing = |_| {
            effects.add("fails");
            async { Err(miniflow_runtime::ErrorInfo::new("NonRetryableError", "no")) }
        };
        let error = step(&run, "fails", failing).await.unwrap_err();
        hibernate(&run).await;
        let ok = |_| {
            effects.add("ok");
            async { Ok(bytes("1")) }
        };
        step(&run, "ok", ok).await.unwrap();
        hibernate(&run).await;
        error.to_string()
    })
    .await;
    assert_eq!(said, "NonRetryableError: no");
    assert_eq!((effects.of("fails"), effects.of("ok")), (1, 1));
}

// rules: C4.1-2
#[tokio::test]
async fn a_retry_delay_hibernates_and_goes_on_with_the_next_attempt() {
    let (said, effects) = output(|run, effects| async move {
        effects.add("run");
        let body = |attempt: u32| async move { if attempt < 3 { Err(boom()) } else { Ok(bytes(attempt.to_string())) } };
        text(&step(&run, "a", body).await.unwrap())
    })
    .await;
    assert_eq!(said, "3");
    assert_eq!(effects.of("run"), 3, "one run for each attempt: delays of 10 and 20 seconds hibernate");
}

#[tokio::test]
async fn code_that_changed_asks_for_what_is_not_recorded_and_goes_on() {
    let (said, _) = output(|run, effects| async move {
        if effects.add("run") == 1 {
            step(&run, "old", |_| async { Ok(bytes("1")) }).await.unwrap();
        } else {
            step(&run, "new", |_| async { Ok(bytes("1")) }).await.unwrap();
        }
        hibernate(&run).await;
        step(&run, "both", |_| async { Ok(bytes("both")) }).await.unwrap();
        run.unasked_steps().join(",")
    })
    .await;
    assert_eq!(said, "old-1");
}

// rules: C2.3-5
#[tokio::test]
async fn after_a_restart_from_a_step_a_race_replays_as_it_was_won_this_time() {
    let gate = Gate::default();
    let given = gate.clone();
    let mut world = World::new(move |run, effects| {
        let gate = given.clone();
        async move {
            let slow = Box::pin(step(&run, "a", |_| async {
                gate.pass().await;
                Ok(bytes("a"))
            }));
            let quick = Box::pin(note(&run, &effects, "b"));
            let (first, other) = select(slow, quick).await.factor_first();
            let first = first?;
            note(&run, &effects, &format!("won by {}", text(&first))).await?;
            other.await?;
            hibernate(&run).await;
            Ok(first)
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("won by b", 1).await;
    gate.open();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "b");
    let from = RestartFrom { name: "b".to_owned(), count: 1, kind: StepKind::Do };
    handle.restart("w", "one", Some(from)).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "a");
    let times = ["b", "won by a", "won by b"].map(|name| world.effects.of(name));
    assert_eq!(times, [2, 1, 1]);
}

#[tokio::test]
async fn replaying_ends_where_the_record_ends() {
    let (said, _) = output(|run, effects| async move {
        let mut seen = String::new();
        let mut note = |run: &Arc<Run>| seen.push(if run.replaying() { 'r' } else { 'l' });
        note(&run);
        step(&run, "a", |_| async { Ok(bytes("1")) }).await.unwrap();
        note(&run);
        hibernate(&run).await;
        note(&run);
        effects.add(&seen);
        seen
    })
    .await;
    assert_eq!(said, "rrl");
}

#[tokio::test]
async fn a_guest_that_panics_outside_of_a_step_fails_the_instance_and_one_in_a_step_the_attempt() {
    let mut world = World::new(|run, effects| async move {
        let body = |attempt| {
            let run = Arc::clone(&run);
            async move {
                assert!(attempt > 1, "in a step");
                Ok(bytes(run.instance_id().to_owned()))
            }
        };
        step(&run, "a", body).await?;
        effects.add("through");
        panic!("outside");
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!(report.error.unwrap().message, "outside");
    assert_eq!(world.effects.all().len(), 1);
}

/// The host may want a stack in the middle of a body. The same `Run` has counted `b` by then, so its code must not run again.
#[tokio::test]
async fn interrupted_run_is_replayed_by_a_new_one() {
    let mut world = World::new(|run, effects| async move {
        step(&run, "a", |attempt| {
            effects.add(&format!("a {attempt}"));
            async { Ok(bytes("a")) }
        })
        .await?;
        let interrupted = |attempt: u32| {
            let (run, effects) = (Arc::clone(&run), effects.clone());
            async move {
                if effects.add(&format!("b {attempt}")) == 1 {
                    run.ended(RunEnd::Interrupted { reason: "no stack is left".to_owned() });
                    std::future::pending::<()>().await;
                }
                Ok(bytes("b"))
            }
        };
        step(&run, "b", interrupted).await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(report.output.as_ref().map(text).as_deref(), Some("b"));
    // The second run takes what is recorded of `a`, and the interruption is no attempt of `b`.
    assert_eq!(world.effects.order(), "a 1, b 1, b 1");
    assert_eq!(world.recorded("one"), ["a", "b"]);
}
