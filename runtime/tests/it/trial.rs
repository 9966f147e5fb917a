//! Trying new code on what is recorded, before it is used.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::select;
use miniflow_runtime::{Bytes, DurationSpec, ErrorInfo, Fit, InstanceStatus, Run, StepKey, StepKind};

use crate::guest::{note, step};
use crate::world::{Effects, Gate, World, boom, bytes, with_id};

fn hour() -> DurationSpec {
    DurationSpec::Text("1 hour".into())
}

fn key(kind: StepKind, name: &str, count: u32) -> StepKey {
    StepKey::new(kind, name, count)
}

fn of_do(name: &str) -> StepKey {
    key(StepKind::Do, name, 1)
}

/// The record: `a`, `b`, `item` three times, then a sleep that goes on.
async fn original(run: Arc<Run>, effects: Effects) -> Result<Bytes, ErrorInfo> {
    for name in ["a", "b", "item", "item", "item"] {
        note(&run, &effects, name).await?;
    }
    run.sleep("sleep", hour()).await?;
    note(&run, &effects, "end").await
}

/// What a trial of code that asks for `steps` one after the other says of the record of [`original`].
async fn tried(steps: &'static [&'static str]) -> Fit {
    let mut world = World::new(original);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    let before = (world.storage.entries("one"), handle.overview().await);
    let fits = world
        .try_out(&handle, move |run, effects, _| async move {
            for name in steps {
                match *name {
                    "sleep" | "nap" => run.sleep(name, hour()).await?,
                    "event" => drop(run.wait_for_event(name, "type", None).await?),
                    "panic" => panic!("ouch"),
                    "error" => return Err(boom()),
                    name => drop(note(&run, &effects, name).await?),
                }
            }
            Ok(bytes("done"))
        })
        .await;
    assert_eq!((world.storage.entries("one"), handle.overview().await), before, "a trial leaves nothing behind");
    fits.into_iter().next().unwrap()
}

#[tokio::test]
async fn code_that_only_goes_on_differently_fits() {
    let fits = Fit::Compatible { unasked: vec![] };
    assert_eq!(tried(&["a", "b", "item", "item", "item", "sleep", "end"]).await, fits);
    assert_eq!(tried(&["a", "b", "item", "item", "item", "sleep", "item", "new"]).await, fits);
    // A step that the record has and the code does not ask for is no obstacle.
    let unasked = vec![of_do("b")];
    assert_eq!(tried(&["a", "item", "item", "item", "sleep"]).await, Fit::Compatible { unasked });
}

#[tokio::test]
async fn code_that_asks_for_something_else_diverges_there() {
    let diverges = |at, recorded, asked| Fit::Diverges { at, recorded, asked };
    let renamed = tried(&["a", "b2", "item", "item", "item", "sleep"]).await;
    assert_eq!(renamed, diverges(2, of_do("b"), Some(of_do("b2"))));
    let inserted = tried(&["a", "b", "item", "item", "item", "new", "sleep"]).await;
    assert_eq!(inserted, diverges(6, key(StepKind::Sleep, "sleep", 1), Some(of_do("new"))));
    let of_another_kind = tried(&["a", "b", "item", "item", "item", "event"]).await;
    let asked = key(StepKind::Wait, "event", 1);
    assert_eq!(of_another_kind, diverges(6, key(StepKind::Sleep, "sleep", 1), Some(asked)));
    let ends = tried(&["a", "b", "item", "item", "item"]).await;
    assert_eq!(ends, diverges(6, key(StepKind::Sleep, "sleep", 1), None));
}

#[tokio::test]
async fn code_that_asks_for_a_finished_step_once_more_would_run_it_again() {
    let steps = vec![key(StepKind::Do, "item", 4)];
    assert_eq!(tried(&["a", "b", "item", "item", "item", "item", "sleep"]).await, Fit::Again { steps });
}

#[tokio::test]
async fn code_that_fails_on_the_record_is_told_with_its_words() {
    assert_eq!(tried(&["a", "panic"]).await, Fit::Fails { message: "ouch".into() });
    assert_eq!(tried(&["a", "b", "error"]).await, Fit::Fails { message: "Error: boom".into() });
}

#[tokio::test]
async fn code_that_waits_for_something_else_is_told() {
    let mut world = World::new(original);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    let blocked = world
        .try_out(&handle, |run, effects, _| async move {
            note(&run, &effects, "a").await?;
            run.blocks("sends a request").await;
            Ok(bytes("not reached"))
        })
        .await;
    assert_eq!(blocked, [Fit::Blocked { by: "sends a request" }]);
    let waits = world
        .try_out(&handle, |run, effects, _| async move {
            note(&run, &effects, "a").await?;
            std::future::pending().await
        })
        .await;
    assert_eq!(waits, [Fit::Blocked { by: "waits for something else than steps" }]);
}

#[tokio::test]
async fn a_trial_sees_a_race_as_it_was_decided() {
    async fn race(run: Arc<Run>, effects: Effects, winner: &str) -> Result<Bytes, ErrorInfo> {
        let quick = async {
            run.sleep("short", DurationSpec::Ms(100)).await?;
            Ok::<_, ErrorInfo>("quick")
        };
        let slow = async {
            run.sleep("long", DurationSpec::Ms(200)).await?;
            Ok("slow")
        };
        let won = select(slow.boxed(), quick.boxed()).await.factor_first().0?;
        if won == winner {
            note(&run, &effects, "won").await?;
        }
        run.sleep("sleep", hour()).await?;
        Ok(bytes(""))
    }
    let mut world = World::new(|run, effects| race(run, effects, "quick"));
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.clock.advance_ms(150);
    world.effects.until("won", 1).await;
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    let same = world.try_out(&handle, |run, effects, _| race(run, effects, "quick")).await;
    assert_eq!(same, [Fit::Compatible { unasked: vec![] }]);
    let other = world.try_out(&handle, |run, effects, _| race(run, effects, "slow")).await;
    assert_eq!(other, [Fit::Compatible { unasked: vec![of_do("won")] }]);
}

#[tokio::test]
async fn what_runs_and_what_is_inside_of_a_body_is_not_missed() {
    let gate = Gate::default();
    let given = gate.clone();
    let script = move |run: Arc<Run>, effects: Effects, gate: Gate, last: &'static str| async move {
        let inner = Arc::clone(&run);
        step(&run, "outer", |_| {
            let inner = Arc::clone(&inner);
            async move { step(&inner, "inner", |_| async { Ok(bytes("inner")) }).await }
        })
        .await?;
        step(&run, last, |_| {
            effects.add(last);
            async {
                gate.pass().await;
                Ok(bytes(last))
            }
        })
        .await
    };
    let mut world = World::new(move |run, effects| script(run, effects, given.clone(), "body"));
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("body", 1).await;
    // The beginning of the body is committed by now.
    world.watch(&handle, |overview| overview.timers > 0).await;
    handle.get("w", "one").await.unwrap();
    while world.storage.entries("one").iter().filter(|stamped| stamped.entry.starts_step()).count() < 3 {
        tokio::task::yield_now().await;
    }
    let given = gate.clone();
    let same = world.try_out(&handle, move |run, effects, _| script(run, effects, given.clone(), "body")).await;
    assert_eq!(same, [Fit::Compatible { unasked: vec![] }]);
    let given = gate.clone();
    let renamed = world.try_out(&handle, move |run, effects, _| script(run, effects, given.clone(), "other")).await;
    let diverges = Fit::Diverges { at: 3, recorded: of_do("body"), asked: Some(of_do("other")) };
    assert_eq!(renamed, [diverges]);
    gate.open();
}
