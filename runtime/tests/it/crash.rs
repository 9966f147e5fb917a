//! The process dies after any commit: nothing recorded is lost, nothing recorded runs again, and what the code has seen stays so.

use std::sync::Arc;

use futures::future::join3;
use miniflow_runtime::{Bytes, DurationSpec, ErrorInfo, InstanceStatus, Run};
use proptest::prelude::*;

use crate::guest::step;
use crate::world::{Effects, World, boom, bytes, cases, text, with_id};

/// One thing a workflow does.
#[derive(Clone, Debug)]
enum Act {
    Step,
    /// Fails this often before it succeeds.
    Flaky(u32),
    /// Fails for good, and is caught.
    Fails,
    Sleep(u64),
    /// Waits for an event that nobody sends.
    WaitInVain,
    /// Three branches side by side.
    Join,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Step),
        1 => (1..3_u32).prop_map(Act::Flaky),
        1 => Just(Act::Fails),
        1 => (0..5000_u64).prop_map(Act::Sleep),
        1 => Just(Act::WaitInVain),
        2 => Just(Act::Join),
    ]
}

static LOST: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| miniflow_runtime::engine::text::attempt_lost().to_string());

/// Before an output among the effects: the code has seen it.
const SAW: &str = "saw ";

async fn perform(run: Arc<Run>, effects: Effects, acts: Arc<Vec<Act>>) -> Result<Bytes, ErrorInfo> {
    let mut said = Vec::new();
    for (index, act) in acts.iter().enumerate() {
        let name = format!("s{index}");
        // Twice the same name: the occurrence tells them apart.
        let shared = step(&run, "shared", |_| async { Ok(bytes(index.to_string())) }).await?;
        said.push(text(&shared));
        let body = |fail: u32| {
            let (effects, name) = (effects.clone(), name.clone());
            move |attempt: u32| {
                // Another output each time that it runs.
                let output = format!("{name} {}", effects.add(&name));
                async move { if attempt <= fail { Err(boom()) } else { Ok(bytes(output)) } }
            }
        };
        let see = |output: &Bytes| {
            effects.add(&format!("{SAW}{}", text(output)));
            name.clone()
        };
        match act {
            Act::Step => said.push(see(&step(&run, &name, body(0)).await?)),
            Act::Flaky(fail) => said.push(see(&step(&run, &name, body(*fail)).await?)),
            // Not the message: a last attempt that ended with the process is the reason then.
            Act::Fails => said.push(
                step(&run, &name, body(1000)).await.unwrap_err().to_string().replace(LOST.as_str(), "Error: boom"),
            ),
            Act::Sleep(ms) => run.sleep("nap", DurationSpec::Ms(*ms)).await?,
            Act::WaitInVain => {
                let timeout = Some(DurationSpec::Ms(1000));
                said.push(run.wait_for_event("w", "go", timeout).await.unwrap_err().message);
            }
            Act::Join => {
                let nap = async {
                    run.sleep("nap", DurationSpec::Ms(700)).await?;
                    step(&run, "side", |_| async { Ok(bytes("after the nap")) }).await
                };
                let other = step(&run, "side", |_| async { Ok(bytes("at once")) });
                let (a, b, c) = join3(step(&run, &name, body(1)), nap, other).await;
                said.extend([see(&a?), text(&b?), text(&c?)]);
            }
        }
    }
    Ok(bytes(said.join(",")))
}

fn world(acts: &Arc<Vec<Act>>) -> World {
    let acts = Arc::clone(acts);
    World::new(move |run, effects| perform(run, effects, Arc::clone(&acts)))
}

async fn undisturbed(acts: &Arc<Vec<Act>>) -> (String, u64) {
    let mut world = world(acts);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    world.stop().await;
    (text(&report.output.unwrap()), world.storage.commits())
}

async fn killed_after(acts: &Arc<Vec<Act>>, commits: u64, again: Option<u64>, expected: &str) {
    let mut world = world(acts);
    world.storage.die_after(commits);
    let handle = world.start();
    let created = handle.create("w", with_id("one")).await;
    if created.is_ok() {
        world.drive(&handle, |overview| overview.resident + overview.timers + overview.starting == 0).await;
    }
    drop(handle);
    world.kill().await;
    if let Some(commits) = again {
        world.storage.die_after(commits);
        let handle = world.start();
        world.drive(&handle, |overview| overview.resident + overview.timers + overview.starting == 0).await;
        drop(handle);
        world.kill().await;
    }
    let recorded = world.recorded("one");
    let before: Vec<_> = recorded.iter().map(|name| (name.clone(), world.effects.of(name))).collect();
    let handle = world.start();
    if created.is_err() {
        // Nobody was told that it exists.
        handle.create("w", with_id("one")).await.unwrap();
    }
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), expected, "killed after {commits} commits, then {again:?}");
    for (name, count) in before {
        if name != "shared" && name != "side" {
            assert_eq!(world.effects.of(&name), count, "{name} was recorded and ran again, killed after {commits}");
        }
    }
    let all = world.effects.all();
    let mut seen: Vec<_> = all.keys().filter_map(|effect| effect.strip_prefix(SAW)?.split(' ').next()).collect();
    let steps = seen.len();
    seen.dedup();
    assert_eq!(
        seen.len(),
        steps,
        "an output that the code had seen was another one later, killed after {commits}: {all:?}"
    );
    world.stop().await;
}

async fn check(acts: Vec<Act>) {
    let acts = Arc::new(acts);
    let (expected, commits) = undisturbed(&acts).await;
    for commit in 0..commits {
        killed_after(&acts, commit, None, &expected).await;
        killed_after(&acts, commit, Some(commit % 3), &expected).await;
    }
}

// rules: C2.1-8, C4.1-1, B1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_commit_the_output_is_the_same() {
    let acts = vec![Act::Step, Act::Join, Act::Fails, Act::Sleep(3000), Act::Flaky(2), Act::WaitInVain, Act::Join];
    check(acts).await;
}

#[tokio::test]
async fn an_attempt_that_was_lost_with_its_process_is_followed_by_the_next_at_once() {
    lost(0).await;
    // It has not taken too long: it was not there.
    lost(miniflow_runtime::engine::limits::STEP_TIMEOUT_MS_DEFAULT + 1).await;
}

/// Loses an attempt with its process, which begins again after this time.
async fn lost(down_ms: u64) {
    let mut world = World::new(|run, effects| async move {
        let first = effects.add("body") == 1;
        step(&run, "a", |attempt| async move {
            if first { std::future::pending().await } else { Ok(bytes(attempt.to_string())) }
        })
        .await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("body", 1).await;
    // The start of an attempt is committed with what comes next.
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    world.kill().await;
    world.clock.advance_ms(down_ms);
    let handle = world.start();
    // The clock stands still.
    let report = world.reach(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "2");
}

proptest! {
    #![proptest_config(cases(12))]

    // rules: C2.1-8, C4.1-1, B1
    #[test]
    fn any_workflow_killed_after_every_commit_has_the_same_output(acts in proptest::collection::vec(act(), 1..5)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(check(acts));
    }
}
