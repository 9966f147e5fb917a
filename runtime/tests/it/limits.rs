//! How long, how large, how many: what is accepted, and what is refused with which words.

use std::sync::Arc;

use miniflow_runtime::engine::{Entry, limits, text};
use miniflow_runtime::storage::Storage;
use miniflow_runtime::{
    Bytes, CreateOptions, DurationSpec, ErrorInfo, InstanceStatus, Run, StepOptions, WorkflowDefinition,
};

use crate::guest::{Saga, note, retries, retrying, step, step_with, stream};
use crate::world::{Effects, World, bytes, text as string, with_id};

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

/// What a workflow of `script` comes to that cannot wait: its output or its error, and what is in its journal.
async fn ends<F, R>(script: F) -> (Result<String, ErrorInfo>, Vec<Entry>)
where
    F: Fn(Arc<Run>, Effects) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
{
    let mut world = World::new(script);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.watch_end(&handle, "one").await;
    let entries = world.storage.entries("one").into_iter().map(|stamped| stamped.entry).collect();
    let end = match report.error {
        Some(error) => Err(error),
        None => Ok(string(&report.output.unwrap_or_default())),
    };
    (end, entries)
}

/// Whether nothing is in the journal but that the run began and failed.
fn nothing_else(entries: &[Entry]) -> bool {
    matches!(entries, [Entry::Running, Entry::Errored { .. }])
}

// ---- durations ------------------------------------------------------------------------------------------------------

// rules: C2.5-7, C3-7
#[tokio::test]
async fn a_sleep_lasts_a_year_at_most() {
    for longest in [DurationSpec::Ms(YEAR_MS), DurationSpec::Text("365 days".into())] {
        let mut world = World::new(move |run, _| {
            let longest = longest.clone();
            async move {
                run.sleep("long", longest).await?;
                Ok(bytes(run.clock().now().as_millis().to_string()))
            }
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        assert_eq!(string(&report.output.unwrap()), (crate::world::START.0 + YEAR_MS).to_string());
    }
    let too_long =
        [DurationSpec::Ms(YEAR_MS + 1), DurationSpec::Text("31536000001".into()), DurationSpec::Ms(u64::MAX)];
    for length in too_long {
        let ms = length.to_ms().unwrap();
        let (end, entries) = ends(move |run, _| {
            let length = length.clone();
            async move { run.sleep("long", length).await.map(|()| bytes("slept")) }
        })
        .await;
        let why = format!("a sleep lasts at most 365 days ({YEAR_MS} ms), this one {ms} ms");
        let message = format!(r#"Duration of step "long" is invalid: {why}"#);
        assert_eq!(end, Err(ErrorInfo::new("WorkflowFatalError", message)));
        assert!(nothing_else(&entries), "{entries:?}");
    }
}

// rules: C2.5-7, C3-7
#[tokio::test]
async fn nobody_sleeps_until_a_moment_more_than_a_year_away() {
    for (away, fits) in [(YEAR_MS, true), (YEAR_MS + 1, false), (u64::MAX, false)] {
        let mut world = World::new(move |run, _| async move {
            let until = run.clock().now().plus_ms(away);
            run.sleep_until("until", until).await.map(|()| bytes("slept"))
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        if fits {
            world.reach(&handle, "one", InstanceStatus::Waiting).await;
            world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        } else {
            let error = world.reach(&handle, "one", InstanceStatus::Errored).await.error.unwrap();
            assert!(error.message.contains("365 days (31536000000 ms), this one "), "{error}");
        }
    }
}

// rules: C2.5-13, C3-20
#[tokio::test]
async fn a_wait_lasts_from_a_second_to_a_year() {
    for timeout in [1000, YEAR_MS] {
        let mut world = World::new(move |run, _| async move {
            run.wait_for_event("w", "go", Some(DurationSpec::Ms(timeout))).await.map(|_| bytes("came"))
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        let report = world.drive_to(&handle, "one", InstanceStatus::Errored).await;
        assert_eq!(report.error, Some(text::timed_out(timeout)));
        assert_eq!(miniflow_runtime::Clock::now(&world.clock), crate::world::START.plus_ms(timeout));
    }
    for timeout in [0, 999, YEAR_MS + 1, u64::MAX] {
        let (end, entries) = ends(move |run, _| async move {
            run.wait_for_event("w", "go", Some(DurationSpec::Ms(timeout))).await.map(|_| bytes("came"))
        })
        .await;
        let why = format!("a wait lasts from 1 second to 365 days, this one {timeout} ms");
        let message = format!(r#"Duration of step "w" is invalid: {why}"#);
        assert_eq!(end, Err(ErrorInfo::new("WorkflowFatalError", message)));
        assert!(nothing_else(&entries), "{entries:?}");
    }
}

// rules: C2.5-12
#[tokio::test]
async fn a_wait_that_says_nothing_lasts_a_day() {
    let mut world =
        World::new(|run, _| async move { run.wait_for_event("w", "go", None).await.map(|_| bytes("came")) });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!(miniflow_runtime::Clock::now(&world.clock), crate::world::START.plus_ms(24 * 3600 * 1000));
}

// rules: C2.5-39, B17
#[tokio::test]
async fn a_length_that_is_none_is_an_error_with_a_reason_and_records_nothing() {
    for length in ["10 foo", "soon", "", "-1 second", "5m"] {
        let spec = DurationSpec::Text(length.into());
        let why = format!(
            "`{length}` is not a duration: expected `<number> <unit>` with unit second, minute, hour, day, week, month or year"
        );
        let expected = Err(ErrorInfo::new("WorkflowFatalError", format!(r#"Duration of step "s" is invalid: {why}"#)));
        let given = spec.clone();
        let (end, entries) = ends(move |run, _| {
            let length = given.clone();
            async move { run.sleep("s", length).await.map(|()| bytes("slept")) }
        })
        .await;
        assert_eq!(end, expected);
        assert!(nothing_else(&entries), "{entries:?}");
        let (end, entries) = ends(move |run, _| {
            let length = Some(spec.clone());
            async move { run.wait_for_event("s", "go", length).await.map(|_| bytes("came")) }
        })
        .await;
        assert_eq!(end, expected);
        assert!(nothing_else(&entries), "{entries:?}");
    }
}

// ---- options and names ----------------------------------------------------------------------------------------------

// rules: C2.5-26, B17
#[tokio::test]
async fn options_that_are_not_valid_fail_the_step_without_an_attempt() {
    let of_timeout = |timeout| StepOptions { timeout: Some(timeout), ..StepOptions::default() };
    let of_delay = |delay: &str| {
        let delay = miniflow_runtime::engine::RetryDelay::Fixed(DurationSpec::Text(delay.into()));
        let retries = miniflow_runtime::RetryOptions { delay, ..retries(1, 0) };
        StepOptions { retries: Some(retries), ..StepOptions::default() }
    };
    let invalid = [
        of_timeout(DurationSpec::Ms(0)),
        of_timeout(DurationSpec::Text("10 foo".into())),
        of_delay("a moment"),
        retrying(limits::RETRIES_MAX + 1, 0),
    ];
    for options in invalid {
        let (end, entries) = ends(move |run, effects| {
            let options = options.clone();
            async move {
                let body = |_| {
                    effects.add("body");
                    async { Ok(bytes("ran")) }
                };
                let failed = step_with(&run, "pay", options, body).await.unwrap_err();
                // It counts as no step of its name, and the run can go on.
                assert_eq!(effects.of("body"), 0);
                note(&run, &effects, "pay").await?;
                Err(failed)
            }
        })
        .await;
        let message = "Step config for \"pay\" is in a invalid format. \
                       See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/";
        assert_eq!(end, Err(ErrorInfo::new("WorkflowFatalError", message)));
        let began = |entry: &&Entry| matches!(entry, Entry::StepStarted { key, .. } if key.count == 1);
        assert_eq!(entries.iter().filter(began).count(), 1, "{entries:?}");
    }
}

// rules: C2.5-20
#[tokio::test]
async fn a_step_is_tried_ten_thousand_times_more_and_an_attempt_lasts_as_long_as_it_is_told() {
    let of = |limit, timeout| StepOptions { timeout: Some(DurationSpec::Ms(timeout)), ..retrying(limit, 1) };
    // Nobody holds anybody to the advice of at most 30 minutes.
    for timeout in [1, limits::STEP_TIMEOUT_MS_ADVISED + 1] {
        let (end, _) = ends(move |run, _| async move {
            step_with(&run, "pay", of(limits::RETRIES_MAX, timeout), |_| std::future::ready(Ok(bytes("paid")))).await
        })
        .await;
        assert_eq!(end, Ok("paid".to_owned()));
    }
    // The same without waiting, so that all of them are made.
    let mut world = World::new(move |run, effects| async move {
        let options = retrying(10_000, 0);
        step_with(&run, "pay", options, |attempt| {
            effects.add("pay");
            std::future::ready(if attempt > 10_000 { Ok(bytes("paid")) } else { Err(crate::world::boom()) })
        })
        .await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.of("pay"), 10_001);
}

// rules: C2.5-38
#[tokio::test]
async fn the_type_that_is_waited_for_is_checked() {
    for event_type in ["a.b", "", "-go", "with space", &"x".repeat(101)] {
        let event_type = event_type.to_owned();
        let (end, entries) = ends(move |run, _| {
            let event_type = event_type.clone();
            async move { run.wait_for_event("w", &event_type, None).await.map(|_| bytes("came")) }
        })
        .await;
        assert_eq!(end, Err(ErrorInfo::new("Error", "workflow.invalid_event_type")));
        assert!(nothing_else(&entries), "{entries:?}");
    }
    let mut world =
        World::new(
            |run, _| async move { run.wait_for_event("w", &"x".repeat(100), None).await.map(|event| event.payload) },
        );
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    handle.send_event("w", "one", &"x".repeat(100), bytes("7")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(string(&report.output.unwrap()), "7");
}

// ---- steps ----------------------------------------------------------------------------------------------------------

// rules: A78
#[tokio::test]
async fn an_instance_has_ten_thousand_steps_at_most_unless_told() {
    for (steps, fits) in [(10_000, true), (10_001, false)] {
        let mut world = World::new(move |run, effects| async move {
            for _ in 0..steps {
                note(&run, &effects, "s").await?;
            }
            Ok(bytes("done"))
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        let report = world.watch_end(&handle, "one").await;
        assert_eq!(report.status == InstanceStatus::Complete, fits, "{report:?}");
        assert_eq!(world.effects.of("s"), 10_000);
        if let Some(error) = report.error {
            assert!(error.message.starts_with("The limit of 10000 steps has been reached."), "{error}");
        }
    }
}

// ---- what is kept of an instance ------------------------------------------------------------------------------------

/// A gibibyte is too much for a test.
const ROOM: u64 = 1000;

fn small<F, R>(script: F) -> World
where
    F: Fn(Arc<Run>, Effects) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
{
    World::new(script).room(ROOM)
}

fn exceeded() -> ErrorInfo {
    ErrorInfo::new("WorkflowFatalError", "The instance has exceeded the 1GiB storage limit")
}

#[test]
fn what_is_kept_of_an_instance_is_a_gibibyte_unless_told() {
    assert_eq!(WorkflowDefinition::new("w", "W", "worker").bytes_max, 1 << 30);
}

// rules: C3-6
#[tokio::test]
async fn outputs_events_and_errors_together_fill_the_room_of_an_instance() {
    // Names of steps and types of events count as well.
    for (left, fits) in [(0, true), (1, false)] {
        let mut world = small(move |run, effects| async move {
            let first = run.wait_for_event("wait", "go", None).await?;
            run.sleep("nap", DurationSpec::Ms(0)).await?;
            let output = Bytes::from(vec![b'1'; 600]);
            step(&run, "a", |_| std::future::ready(Ok(output.clone()))).await?;
            effects.add("a is done");
            let known = ("waitnap".len() + "go".len() * 2 + first.payload.len() + "a".len() + 600 + "b".len()) as u64;
            let rest = (ROOM - known) as usize + left;
            let caught = step(&run, "b", |_| {
                let name = ErrorInfo::new("NonRetryableError", "x".repeat(rest - "NonRetryableError".len()));
                async { Err(name) }
            })
            .await;
            effects.add("b is handled");
            assert!(caught.is_err());
            Ok(Bytes::new())
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        world.reach(&handle, "one", InstanceStatus::Waiting).await;
        handle.send_event("w", "one", "go", Bytes::from(vec![b'1'; 100])).await.unwrap();
        let report = world.watch_end(&handle, "one").await;
        assert_eq!(world.effects.of("a is done"), 1);
        assert_eq!(world.effects.of("b is handled"), u32::from(fits), "{report:?}");
        assert_eq!(report.error, (!fits).then(exceeded));
        world.watch(&handle, |overview| overview.resident == 0 && overview.starting == 0).await;
        world.kill().await;
        let handle = world.start();
        assert_eq!(handle.status("w", "one").await.unwrap(), report, "the journal says the same");
    }
}

// rules: C3-6
#[tokio::test]
async fn streams_fill_the_room_of_an_instance_as_they_are_written() {
    let chunk = limits::STREAM_CHUNK_BYTES;
    for (room, fits) in [(3 * chunk + 2, true), (3 * chunk + 1, false)] {
        let mut world = World::new(move |run, effects| async move {
            stream(&run, "a", || async { vec![chunk] }).await?;
            effects.add("a is done");
            stream(&run, "b", || async { vec![chunk, chunk] }).await?;
            effects.add("b is done");
            Ok(Bytes::new())
        })
        .room(room as u64);
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        let report = world.watch_end(&handle, "one").await;
        assert_eq!((world.effects.of("a is done"), world.effects.of("b is done")), (1, u32::from(fits)));
        assert_eq!(report.error, (!fits).then(exceeded));
        // What the step wrote that did not come to its end is not kept.
        assert_eq!(world.storage.chunks(), if fits { 3 } else { 1 });
    }
}

// rules: C3-6
#[tokio::test]
async fn an_instance_without_room_undoes_its_steps_and_can_begin_again() {
    let mut world = World::saga(|run, effects, handlers| async move {
        let saga = Saga { run, effects, handlers };
        saga.step("a").await?;
        saga.run.wait_for_event("wait", "go", None).await?;
        Ok(Bytes::new())
    })
    .room(ROOM);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    let event = Bytes::from(vec![b'1'; ROOM as usize]);
    handle.send_event("w", "one", "go", event.clone()).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!((report.error, world.effects.order()), (Some(exceeded()), "a, undo a".to_owned()));
    assert_eq!(report.rollback.unwrap().error, None);
    handle.restart("w", "one", None).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    handle.pause("w", "one").await.unwrap();
    handle.send_event("w", "one", "go", event).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    let key = world.storage.clone().find("w", "one").unwrap().unwrap();
    let (_, summary) = world.storage.clone().load(key).unwrap().unwrap();
    assert_eq!(summary.error, Some(exceeded()));
}

// rules: C3-6
#[tokio::test]
async fn what_undoes_a_step_needs_no_room() {
    let mut world = World::saga(|run, effects, handlers| async move {
        let saga = Saga { run, effects, handlers };
        saga.step("a").await?;
        saga.run.wait_for_event("wait", "go", None).await?;
        Ok(Bytes::new())
    })
    .room(("a".len() * 2 + "wait".len() + "go".len()) as u64);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    handle.terminate("w", "one", true).await.unwrap();
    let report = world.watch_end(&handle, "one").await;
    assert_eq!((report.status, world.effects.order()), (InstanceStatus::Terminated, "a, undo a".to_owned()));
    assert_eq!(report.rollback.unwrap().error, None);
}

// rules: C3-6
#[tokio::test]
async fn that_an_attempt_was_lost_needs_no_room() {
    let mut world = World::new(|run, effects| async move {
        step(&run, "a", |attempt| {
            effects.add("a");
            async move {
                if attempt == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(Bytes::new())
            }
        })
        .await
    })
    .room("a".len() as u64);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let begun = |entries: Vec<miniflow_runtime::engine::Stamped>| {
        entries.iter().any(|stamped| matches!(stamped.entry, Entry::StepStarted { .. }))
    };
    while !begun(world.storage.entries("one")) {
        handle.status("w", "one").await.unwrap();
        tokio::task::yield_now().await;
    }
    world.kill().await;
    let handle = world.start();
    assert_eq!(world.watch_end(&handle, "one").await.error, None);
    assert_eq!(world.effects.of("a"), 2);
}

// rules: C3-6
#[tokio::test]
async fn an_output_without_room_is_the_end_too() {
    for (bytes, fits) in [(ROOM, true), (ROOM + 1, false)] {
        let mut world = small(move |_, _| async move { Ok(Bytes::from(vec![b'1'; bytes as usize])) });
        let handle = world.start();
        let options = CreateOptions { params: Some(Bytes::from(vec![b'1'; 5000])), ..with_id("one") };
        handle.create("w", options).await.unwrap();
        let report = world.watch_end(&handle, "one").await;
        assert_eq!(report.error, (!fits).then(exceeded), "{bytes}");
    }
}
