//! What a binding asks: create, get, status, events, and what is refused.

use std::sync::Arc;

use miniflow_runtime::{Bytes, CreateOptions, DurationSpec, ErrorInfo, InstanceStatus, StepOptions};

use crate::guest::{step, step_with};
use crate::world::{World, boom, bytes, text, with_id};

fn echo() -> World {
    World::new(|run, _| async move { Ok(run.event().payload.clone()) })
}

// rules: S24, A1, A20, C4.5-1
#[tokio::test]
async fn an_instance_completes_with_its_output() {
    let mut world = echo();
    let handle = world.start();
    let options = CreateOptions { params: Some(bytes(r#"{"x":1}"#)), ..with_id("one") };
    assert_eq!(handle.create("w", options).await.unwrap(), "one");
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), r#"{"x":1}"#);
    assert_eq!(report.error, None);
}

// rules: S20, C2.1-4, C2.1-9, A3
#[tokio::test]
async fn omitted_params_are_an_empty_object_and_an_omitted_id_is_a_uuid() {
    let mut world = echo();
    let handle = world.start();
    let id = handle.create("w", CreateOptions::default()).await.unwrap();
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{id}");
    let report = world.drive_to(&handle, &id, InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), "{}");
}

// rules: C2.1-5, C2.1-6
#[tokio::test]
async fn an_id_can_be_used_once() {
    let mut world = echo();
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    for _ in 0..2 {
        let error = handle.create("w", with_id("one")).await.unwrap_err();
        assert_eq!(error.code, "instance.already_exists");
        assert_eq!(error.message, "(instance.already_exists) Instance already exists");
        world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    }
}

// rules: B11
#[tokio::test]
async fn two_creates_of_one_id_in_one_commit_make_one_instance() {
    let mut world = echo();
    let handle = world.start();
    let creates = (0..50).map(|_| handle.create("w", with_id("one")));
    let made = futures::future::join_all(creates).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(made, 1);
}

// rules: C2.1-16, C2.1-17, C2.1-18, C2.1-19, A17, B32
#[tokio::test]
async fn a_batch_skips_what_exists_or_repeats_and_refuses_what_is_invalid() {
    let mut world = echo();
    let handle = world.start();
    handle.create("w", with_id("b")).await.unwrap();
    let batch = ["a", "b", "c", "a"].map(with_id).to_vec();
    assert_eq!(handle.create_batch("w", batch).await.unwrap(), ["a", "c"]);
    let error = handle.create_batch("w", ["x", "not valid"].map(with_id).to_vec()).await.unwrap_err();
    assert_eq!(error.message, "Workflow instance has invalid id");
    assert_eq!(handle.get("w", "x").await.unwrap_err().code, "instance.not_found", "nothing was created");
    let error = handle.create_batch("w", Vec::new()).await.unwrap_err();
    assert_eq!(error.message, "batchCreate should have at least 1 instance");
    for (count, fits) in [(100, true), (101, false)] {
        let batch = handle.create_batch("w", vec![CreateOptions::default(); count]).await;
        assert_eq!(batch.map(|ids| ids.len()).ok(), fits.then_some(count));
    }
}

// rules: C2.1-1, C2.1-2, A139
#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let mut world = echo();
    let handle = world.start();
    let text = "(instance.not_found) Instance not found";
    assert_eq!(handle.get("w", "nobody").await.unwrap_err().message, text);
    assert_eq!(handle.status("w", "nobody").await.unwrap_err().message, text);
    assert_eq!(handle.send_event("w", "nobody", "go", bytes("1")).await.unwrap_err().message, text);
    assert_eq!(handle.get("w", "not!valid").await.unwrap_err().message, "(instance.invalid_id) Instance ID is invalid");
    let error = handle.get("other", "x").await.unwrap_err();
    assert_eq!(error.message, "Workflow 'other' not found. Workflows here: w");
}

// rules: C3-5, B16
#[tokio::test]
async fn sizes_on_both_sides_of_the_limit() {
    let mut world = echo();
    let handle = world.start();
    let payload = |len: usize| Bytes::from(vec![b'1'; len]);
    for (len, fits) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let created =
            handle.create("w", CreateOptions { params: Some(payload(len)), ..CreateOptions::default() }).await;
        assert_eq!(created.is_ok(), fits, "{len}");
    }
    let mut world = World::new(|run, _| async move {
        run.wait_for_event("w", "go", None).await?;
        Ok(bytes("1"))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let error = handle.send_event("w", "one", "go", payload((1 << 20) + 1)).await.unwrap_err();
    assert_eq!(error.code, "body");
    assert!(error.message.contains("1MiB") && error.message.contains("1048577"), "{error}");
    handle.send_event("w", "one", "go", payload(1 << 20)).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
}

// rules: C2.2-14, C3-16
#[tokio::test]
async fn an_event_type_is_checked() {
    let mut world = echo();
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    for event_type in ["a.b", "", &"x".repeat(101)] {
        let error = handle.send_event("w", "one", event_type, bytes("1")).await.unwrap_err();
        assert_eq!(error.message, "workflow.invalid_event_type");
    }
}

// rules: C2.2-15, B15
#[tokio::test]
async fn a_finished_instance_takes_no_events() {
    let mut world = echo();
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    let error = handle.send_event("w", "one", "go", bytes("1")).await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        ("instance.cannot_send_event", "(instance.cannot_send_event) Instance is complete",)
    );
}

// rules: C2.4-3, C2.5-19, C2.5-22
#[tokio::test]
async fn retries_follow_their_delays_on_the_clock() {
    let mut world = World::new(|run, effects| async move {
        let begun = run.event().timestamp;
        let body = |attempt: u32| {
            effects.add("a");
            async move { if attempt < 4 { Err(boom()) } else { Ok(bytes(attempt.to_string())) } }
        };
        step(&run, "a", body).await?;
        Ok(bytes(run.clock().now().since(begun).as_secs().to_string()))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    // 10 + 20 + 40 seconds: the documented defaults.
    assert_eq!(text(&report.output.unwrap()), "70");
    assert_eq!(world.effects.of("a"), 4);
}

// rules: C2.5-21, C4.2-1, C4.2-3
#[tokio::test]
async fn a_step_that_uses_up_its_attempts_fails_the_instance_and_can_be_caught() {
    let mut world = World::new(|run, effects| async move {
        let body = |_| {
            effects.add("a");
            async { Err(boom()) }
        };
        let caught = step(&run, "a", body).await.unwrap_err();
        step(&run, "clean up", |_| async { Ok(bytes("1")) }).await?;
        Err(ErrorInfo::new("Error", format!("after {}", caught.message)))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!(report.error.unwrap(), ErrorInfo::new("Error", "after boom"));
    assert_eq!(world.effects.of("a"), 6, "limit 5: six attempts");
}

// rules: C2.5-23
#[tokio::test]
async fn a_body_that_takes_too_long_times_out_and_is_tried_again() {
    let mut world = World::new(|run, effects| async move {
        let options = StepOptions { timeout: Some(DurationSpec::Text("5 seconds".into())), ..StepOptions::default() };
        let body = |attempt| {
            effects.add("a");
            let run = Arc::clone(&run);
            async move {
                if attempt == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(bytes(run.clock().now().as_millis().to_string()))
            }
        };
        step_with(&run, "a", options, body).await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Running).await;
    while world.effects.of("a") == 0 {
        tokio::task::yield_now().await;
    }
    world.clock.advance_ms(5000);
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), (crate::world::START.0 + 5_000 + 10_000).to_string());
}

// rules: C2.5-8, C3-8, A76, A77
#[tokio::test]
async fn the_step_limit_counts_every_do_and_names_itself() {
    for (steps, fits) in [(3, true), (4, false)] {
        let mut world = World::new(move |run, _| async move {
            for n in 0..steps {
                run.sleep("nap", DurationSpec::Ms(1)).await?;
                step(&run, &format!("s{n}"), |_| async { Ok(bytes("1")) }).await?;
            }
            Ok(bytes("1"))
        })
        .step_limit(3);
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        let wanted = if fits { InstanceStatus::Complete } else { InstanceStatus::Errored };
        let report = world.drive_to(&handle, "one", wanted).await;
        if let Some(error) = report.error {
            let text = "The limit of 3 steps has been reached. This limit can be changed in your worker configuration.";
            assert_eq!(error.message, text);
        }
    }
}

// rules: C3-27
#[tokio::test]
async fn a_limit_of_two_runs_two_at_a_time_and_the_rest_is_queued() {
    let mut world = World::new(|run, effects| async move {
        run.wait_for_event("gate", "go", None).await?;
        let body = |_| {
            effects.add("a");
            async { Ok(bytes("1")) }
        };
        step(&run, "a", body).await
    })
    .limit(2);
    let handle = world.start();
    let ids: Vec<_> = (0..5).map(|n| format!("i{n}")).collect();
    for id in &ids {
        handle.create("w", with_id(id)).await.unwrap();
    }
    // Waiting instances hold no slot: all five come to their wait.
    for id in &ids {
        world.reach(&handle, id, InstanceStatus::Waiting).await;
    }
    for id in &ids {
        handle.send_event("w", id, "go", bytes("1")).await.unwrap();
    }
    for id in &ids {
        world.drive_to(&handle, id, InstanceStatus::Complete).await;
    }
    assert_eq!(world.effects.of("a"), 5);
}

// rules: S21, C2.1-8, C3-31
#[tokio::test]
async fn no_slot_means_queued() {
    let mut world = World::new(|_, _| async { std::future::pending().await }).limit(1);
    let handle = world.start();
    handle.create("w", with_id("first")).await.unwrap();
    handle.create("w", with_id("second")).await.unwrap();
    world.reach(&handle, "first", InstanceStatus::Running).await;
    assert_eq!(handle.status("w", "second").await.unwrap().status, InstanceStatus::Queued);
}

// rules: C2.5-3, C4.4-1
#[tokio::test]
async fn an_output_that_is_too_large_is_tried_again_and_the_instance_waits_meanwhile() {
    let mut world = World::new(|run, effects| async move {
        step(&run, "a", |attempt| {
            effects.add("a");
            async move { Ok(if attempt == 1 { Bytes::from(vec![b'1'; 2 << 20]) } else { bytes("1") }) }
        })
        .await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.effects.of("a"), 2);
}
