//! New code under instances that are in flight: what runs is finished on the old code, the rest goes on with the new.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join;
use miniflow_runtime::dispatcher::Overview;
use miniflow_runtime::engine::Entry;
use miniflow_runtime::{Bytes, DurationSpec, ErrorInfo, Handle, InstanceStatus, Run, WorkflowDefinition};

use crate::guest::{Saga, note, retrying, step, step_with};
use crate::world::{Effects, Gate, World, boom, bytes, text, with_id};

/// The version of the code that a run begins on.
#[derive(Clone, Default)]
struct Version(Arc<AtomicU32>);

impl Version {
    fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    async fn release(&self, world: &World, handle: &Handle) -> miniflow_runtime::dispatcher::Reloaded {
        self.0.fetch_add(1, Ordering::SeqCst);
        world.reload(handle).await
    }
}

/// A world whose script is told the version it is, and has a gate for its bodies.
fn versioned<F, R>(script: F) -> (World, Version, Gate)
where
    F: Fn(u32, Arc<Run>, Effects, Gate) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
{
    let (version, gate) = (Version::default(), Gate::default());
    let (of_run, given) = (version.clone(), gate.clone());
    (World::new(move |run, effects| script(of_run.get(), run, effects, given.clone())), version, gate)
}

/// A body that says which version it is of, begins, and ends when the gate is open.
async fn held(version: u32, run: &Arc<Run>, effects: &Effects, gate: &Gate, name: &str) -> Result<Bytes, ErrorInfo> {
    step(run, name, |_| {
        effects.add(name);
        async {
            gate.pass().await;
            Ok(bytes(format!("{name} of {version}")))
        }
    })
    .await
}

async fn says(version: u32, run: &Arc<Run>, name: &str) -> Result<Bytes, ErrorInfo> {
    step(run, name, |_| async { Ok(bytes(format!("{name} of {version}"))) }).await
}

fn hour() -> DurationSpec {
    DurationSpec::Text("1 hour".into())
}

fn pauses(world: &World, id: &str) -> usize {
    let is_pause = |entry: &Entry| matches!(entry, Entry::PauseRequested | Entry::Paused | Entry::Resumed);
    world.storage.entries(id).iter().filter(|stamped| is_pause(&stamped.entry)).count()
}

#[tokio::test]
async fn a_sleeping_instance_wakes_on_the_new_code() {
    for sleep in [DurationSpec::Ms(1500), hour()] {
        // One that stays parked, and one that hibernates.
        let (mut world, version, _) = versioned(move |version, run, _, _| {
            let sleep = sleep.clone();
            async move {
                let before = says(version, &run, "before").await?;
                run.sleep("sleep", sleep).await?;
                Ok(bytes(format!("{}, {}", text(&before), text(&says(version, &run, "after").await?))))
            }
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        version.release(&world, &handle).await;
        world.settle(&handle).await;
        assert_eq!(handle.status("w", "one").await.unwrap().status, InstanceStatus::Waiting);
        assert_eq!(handle.overview().await.unwrap().runs, 0, "nothing of the old code is left");
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "before of 0, after of 1");
        assert_eq!(pauses(&world, "one"), 0);
    }
}

#[tokio::test]
async fn a_body_is_finished_on_the_old_code_and_the_next_step_is_of_the_new() {
    let (mut world, version, gate) = versioned(|version, run, effects, gate| async move {
        let first = held(version, &run, &effects, &gate, "first").await?;
        Ok(bytes(format!("{}, {}", text(&first), text(&says(version, &run, "second").await?))))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("first", 1).await;
    let reloaded = version.release(&world, &handle).await;
    assert_eq!((reloaded.moved, reloaded.finishing), (1, 1));
    // Others need not wait for it, and the code may change again meanwhile.
    version.release(&world, &handle).await;
    assert_eq!(handle.status("w", "one").await.unwrap().status, InstanceStatus::Running);
    gate.open();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "first of 0, second of 2");
    assert_eq!(world.effects.of("first"), 1);
    assert_eq!(pauses(&world, "one"), 0, "nobody sees that it was held");
}

#[tokio::test]
async fn a_branch_that_wakes_while_another_is_finished_begins_nothing_on_the_old_code() {
    let (mut world, version, gate) = versioned(|version, run, effects, gate| async move {
        let slow = held(version, &run, &effects, &gate, "slow");
        let other = async {
            run.sleep("nap", DurationSpec::Ms(100)).await?;
            says(version, &run, "other").await
        };
        let (slow, other) = join(slow, other).await;
        Ok(bytes(format!("{}, {}", text(&slow?), text(&other?))))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("slow", 1).await;
    world.watch(&handle, |overview| overview.timers >= 2).await;
    version.release(&world, &handle).await;
    world.clock.advance_ms(100);
    world.settle(&handle).await;
    assert!(world.recorded("one").is_empty(), "{:?}", world.recorded("one"));
    gate.open();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "slow of 0, other of 1");
}

#[tokio::test]
async fn a_retry_that_comes_due_while_another_body_is_finished_is_of_the_new_code() {
    let (mut world, version, gate) = versioned(|version, run, effects, gate| async move {
        let slow = held(version, &run, &effects, &gate, "slow");
        let again = step_with(&run, "again", retrying(1, 100), |attempt| {
            effects.add("again");
            async move { if attempt == 1 { Err(boom()) } else { Ok(bytes(format!("again of {version}"))) } }
        });
        let (slow, again) = join(slow, again).await;
        Ok(bytes(format!("{}, {}", text(&slow?), text(&again?))))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("slow", 1).await;
    world.effects.until("again", 1).await;
    world.watch(&handle, |overview| overview.timers >= 2).await;
    version.release(&world, &handle).await;
    world.clock.advance_ms(100);
    world.settle(&handle).await;
    assert_eq!(world.effects.of("again"), 1, "no attempt begins on the old code");
    gate.open();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "slow of 0, again of 1");
}

#[tokio::test]
async fn a_pause_and_a_move_that_meet_both_come_about() {
    for resumes_before_the_end in [false, true] {
        let (mut world, version, gate) = versioned(|version, run, effects, gate| async move {
            let first = held(version, &run, &effects, &gate, "first").await?;
            Ok(bytes(format!("{}, {}", text(&first), text(&says(version, &run, "second").await?))))
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.effects.until("first", 1).await;
        handle.pause("w", "one").await.unwrap();
        version.release(&world, &handle).await;
        if resumes_before_the_end {
            handle.resume("w", "one").await.unwrap();
            gate.open();
        } else {
            gate.open();
            world.reach(&handle, "one", InstanceStatus::Paused).await;
            handle.resume("w", "one").await.unwrap();
        }
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(text(&report.output.unwrap()), "first of 0, second of 1");
    }
}

#[tokio::test]
async fn an_instance_that_rolls_back_is_compensated_by_the_new_code() {
    let (version, gate) = (Version::default(), Gate::default());
    let (of_run, given) = (version.clone(), gate.clone());
    let mut world = World::saga(move |run, effects, handlers| {
        let (version, gate) = (of_run.get(), given.clone());
        async move {
            let saga = Saga { run, effects: effects.clone(), handlers };
            for name in ["a", "b"] {
                let (effects, gate) = (effects.clone(), gate.clone());
                let undo = move |undoing: miniflow_runtime::testing::Undoing| {
                    effects.add(&format!("undo {} of {version}", undoing.step.name));
                    let (gate, waits) = (gate.clone(), undoing.step.name.as_ref() == "b");
                    async move {
                        if waits {
                            gate.pass().await;
                        }
                        Ok(())
                    }
                };
                saga.step_undone_by(name, Default::default(), undo).await?;
            }
            Err(boom())
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("undo b of 0", 1).await;
    version.release(&world, &handle).await;
    gate.open();
    world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!(world.effects.order(), "a, b, undo b of 0, undo a of 1");
}

#[tokio::test]
async fn thousands_of_reloads_lose_nothing() {
    let (mut world, version, _) = versioned(|version, run, _, _| async move {
        for turn in 0..20 {
            says(version, &run, &format!("step {turn}")).await?;
            run.sleep(&format!("nap {turn}"), DurationSpec::Ms(10)).await?;
        }
        Ok(bytes("done"))
    });
    let handle = world.start();
    for id in 0..20 {
        handle.create("w", with_id(&id.to_string())).await.unwrap();
    }
    let mut reloads = 0;
    let lives = |overview: Overview| overview.timers + overview.runs + overview.starting > 0;
    while lives(handle.overview().await.unwrap()) {
        version.release(&world, &handle).await;
        reloads += 1;
        world.clock.advance_ms(1);
        tokio::task::yield_now().await;
        assert!(reloads < 100_000, "{:?}", handle.overview().await);
    }
    for id in 0..20 {
        let id = id.to_string();
        world.drive_to(&handle, &id, InstanceStatus::Complete).await;
        assert_eq!(world.recorded(&id).len(), 20, "each step ran once");
    }
    assert!(reloads > 20, "{reloads}");
}

fn definition() -> WorkflowDefinition {
    WorkflowDefinition::new("w", "W", "worker")
}

// A workflow that is gone from code or configuration: its instances are kept, and go on when it returns.
#[tokio::test]
async fn instances_of_a_workflow_that_is_gone_go_on_when_it_returns() {
    let (mut world, _, gate) = versioned(|version, run, effects, gate| async move {
        if run.instance_id() == "runs" {
            held(version, &run, &effects, &gate, "body").await?;
        }
        run.sleep("sleep", hour()).await?;
        note(&run, &effects, &format!("after of {}", run.instance_id())).await
    });
    let handle = world.start();
    for id in ["sleeps", "runs"] {
        handle.create("w", with_id(id)).await.unwrap();
    }
    world.reach(&handle, "sleeps", InstanceStatus::Waiting).await;
    world.effects.until("body", 1).await;
    let other = WorkflowDefinition::new("other", "W", "worker");
    let gone = handle.reload(&[], vec![other]).await.unwrap();
    assert_eq!((gone.orphaned, gone.picked_up, gone.moved), (2, 0, 1));
    let refused = handle.create("w", with_id("new")).await.unwrap_err();
    assert_eq!(refused.to_string(), "Workflow 'w' not found. Workflows here: other");
    gate.open();
    world.watch(&handle, |overview| overview.resident == 0).await;
    world.clock.advance_ms(10_000_000);
    world.settle(&handle).await;
    assert_eq!(world.effects.order(), "body", "nothing begins");
    assert_eq!(world.recorded("runs"), ["body"], "what ran was finished");
    let back = handle.reload(&[], vec![definition()]).await.unwrap();
    assert_eq!((back.orphaned, back.picked_up), (0, 2));
    for id in ["sleeps", "runs"] {
        world.drive_to(&handle, id, InstanceStatus::Complete).await;
        assert_eq!(world.effects.of(&format!("after of {id}")), 1);
    }
    handle.create("w", with_id("new")).await.unwrap();
}

#[tokio::test]
async fn a_limit_that_is_raised_lets_those_who_wait_begin() {
    let (world, _, gate) =
        versioned(|version, run, effects, gate| async move { held(version, &run, &effects, &gate, "body").await });
    let mut world = world.limit(1);
    let handle = world.start();
    for id in ["a", "b", "c"] {
        handle.create("w", with_id(id)).await.unwrap();
    }
    world.effects.until("body", 1).await;
    world.settle(&handle).await;
    assert_eq!(world.effects.of("body"), 1);
    let definition = WorkflowDefinition { concurrency: Some(2), ..definition() };
    let reloaded = handle.reload(&[], vec![definition]).await.unwrap();
    assert_eq!(reloaded.moved, 0, "a run need not be moved for that");
    world.effects.until("body", 2).await;
    world.settle(&handle).await;
    assert_eq!(world.effects.of("body"), 2);
    gate.open();
}

#[tokio::test]
async fn a_move_survives_a_process_that_is_killed_in_it() {
    let (mut world, version, gate) = versioned(|version, run, effects, gate| async move {
        says(version, &run, "first").await?;
        held(version, &run, &effects, &gate, "second").await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("second", 1).await;
    version.release(&world, &handle).await;
    world.kill().await;
    gate.open();
    let handle = world.start();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "second of 1");
    assert_eq!(world.recorded("one").iter().filter(|name| *name == "first").count(), 1);
}
