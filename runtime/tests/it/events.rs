//! The events that subscribers see, with all they say.

use std::sync::Arc;

use miniflow_runtime::dispatcher::{RestartFrom, SubscribeOptions};
use miniflow_runtime::engine::events::{EventKind, InstanceEvent, StepEvent, StepOutput};
use miniflow_runtime::engine::{Retry, RetryDelay};
use miniflow_runtime::{
    Backoff, Bytes, CreateOptions, DurationSpec, ErrorInfo, Handle, InstanceStatus, RetryOptions, Run, StepKind,
    StepOptions,
};

use crate::guest::{note, retrying, step_that_decides, step_with};
use crate::world::{Effects, Gate, World, boom, bytes, text, with_id};

/// What an event says, in a line.
fn line(event: &InstanceEvent) -> String {
    let name = event.kind.name();
    match &event.kind {
        EventKind::WorkflowStarted { params: json } | EventKind::WorkflowCompleted { output: json } => {
            format!("{name} {}", text(json))
        }
        EventKind::WorkflowErrored { error } => format!("{name} {error}"),
        EventKind::Step { step, what, .. } => {
            let rest = match what {
                StepEvent::Started { config } => format!(
                    "{} retries after {} ms, {:?}, {} ms each",
                    config.retry_limit, config.retry_delay_ms, config.backoff, config.timeout_ms
                ),
                StepEvent::AttemptStarted { attempt } | StepEvent::AttemptCompleted { attempt } => attempt.to_string(),
                StepEvent::AttemptErrored { attempt, error, retry_delay_ms } => {
                    format!("{attempt} {error}, then {retry_delay_ms:?}")
                }
                StepEvent::Completed { output: StepOutput::Json(json) } => text(json),
                StepEvent::Completed { output } => format!("{output:?}"),
                StepEvent::Errored { error } => error.to_string(),
                StepEvent::SleepStarted { duration_ms } => duration_ms.to_string(),
                StepEvent::WaitStarted { event_type } => event_type.to_string(),
                StepEvent::SleepCompleted | StepEvent::WaitCompleted | StepEvent::WaitTimedOut => String::new(),
            };
            format!("{name} {step} {rest}").trim_end().to_owned()
        }
        _ => name.to_owned(),
    }
}

/// All that is said of an instance up to its end.
async fn told(handle: &Handle, id: &str) -> Vec<String> {
    let mut subscription = handle.subscribe("w", id, SubscribeOptions::default()).await.unwrap();
    let mut lines = Vec::new();
    while let Some(event) = subscription.next().await {
        lines.push(line(&event));
    }
    lines
}

/// What is said of an instance of `script` up to its end.
async fn of<F, R>(script: F, end: InstanceStatus) -> Vec<String>
where
    F: Fn(Arc<Run>, Effects) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
{
    let mut world = World::new(script);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.drive_to(&handle, "one", end).await;
    told(&handle, "one").await
}

/// Without those of the workflow.
fn steps(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).filter(|line| !line.starts_with("workflow_")).collect()
}

// rules: C2.8-2, C2.8-3
#[tokio::test]
async fn a_subscription_goes_on_from_its_cursor_and_over_the_end_of_an_earlier_life() {
    let mut world = World::new(|run, effects| async move {
        note(&run, &effects, "a").await?;
        note(&run, &effects, "b").await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    let from = RestartFrom { name: "b".to_owned(), count: 1, kind: StepKind::Do };
    handle.restart("w", "one", Some(from)).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    world.settle(&handle).await;
    let all = events(&handle, SubscribeOptions::default()).await;
    let ends: Vec<_> = all.iter().filter(|event| event.kind.is_end()).collect();
    assert!(ends.len() == 2 && all.last().unwrap().kind.is_end(), "{all:?}");
    for (n, event) in all.iter().enumerate() {
        let cursor = Some(event.id);
        assert_eq!(events(&handle, SubscribeOptions { cursor, filter: None }).await, all[n + 1..]);
        let filter = Some(vec!["workflow_completed".to_owned()]);
        let left = all[n + 1..].iter().filter(|event| event.kind.is_end()).count();
        assert_eq!(events(&handle, SubscribeOptions { cursor, filter }).await.len(), left);
    }
    let beyond = SubscribeOptions { cursor: Some(u64::MAX), filter: None };
    assert_eq!(events(&handle, beyond).await, []);
}

async fn events(handle: &Handle, options: SubscribeOptions) -> Vec<InstanceEvent> {
    let mut subscription = handle.subscribe("w", "one", options).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = subscription.next().await {
        events.push(event);
    }
    events
}

// rules: C2.8-6
#[tokio::test]
async fn each_change_of_status_is_an_event() {
    let gate = Gate::default();
    let given = gate.clone();
    let mut world = World::new(move |run, effects| {
        let gate = given.clone();
        async move {
            if run.instance_id() == "first" {
                return Ok(run.wait_for_event("w", "end", None).await?.payload);
            }
            let body = |_| {
                effects.add("body");
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok(bytes("1"))
                }
            };
            step_with(&run, "body", StepOptions::default(), body).await?;
            run.wait_for_event("w", "go", None).await?;
            if run.instance_id() == "fails" { Err(boom()) } else { Ok(bytes(r#"{"all":"well"}"#)) }
        }
    })
    .limit(1);
    let handle = world.start();
    let options = CreateOptions { params: Some(bytes(r#"{"x":1}"#)), ..with_id("one") };
    handle.create("w", options).await.unwrap();
    world.effects.until("body", 1).await;
    handle.pause("w", "one").await.unwrap();
    world.reach(&handle, "one", InstanceStatus::WaitingForPause).await;
    gate.open();
    world.reach(&handle, "one", InstanceStatus::Paused).await;
    handle.resume("w", "one").await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Complete).await;
    let all = told(&handle, "one").await;
    let of_the_workflow: Vec<_> = all.iter().filter(|line| line.starts_with("workflow_")).collect();
    assert_eq!(
        of_the_workflow,
        [
            "workflow_queued",
            r#"workflow_started {"x":1}"#,
            "workflow_running",
            "workflow_waiting_for_pause",
            "workflow_paused",
            "workflow_queued",
            "workflow_running",
            "workflow_waiting",
            "workflow_running",
            r#"workflow_completed {"all":"well"}"#,
        ]
    );
    for (id, end) in [("fails", "workflow_errored Error: boom"), ("ends", "workflow_terminated")] {
        handle.create("w", with_id(id)).await.unwrap();
        world.reach(&handle, id, InstanceStatus::Waiting).await;
        if id == "fails" {
            handle.send_event("w", id, "go", bytes("1")).await.unwrap();
            world.reach(&handle, id, InstanceStatus::Errored).await;
        } else {
            handle.terminate("w", id, false).await.unwrap();
        }
        assert_eq!(told(&handle, id).await.last().unwrap(), end);
    }
}

// rules: C2.8-7
#[tokio::test]
async fn steps_and_their_attempts_are_events() {
    let script = |run: Arc<Run>, _| async move {
        let flaky = |attempt: u32| async move { if attempt == 1 { Err(boom()) } else { Ok(bytes(r#""good""#)) } };
        step_with(&run, "a", retrying(2, 50), flaky).await?;
        let options = StepOptions { timeout: Some(DurationSpec::Ms(1500)), ..retrying(0, 7) };
        let failed = step_with(&run, "a", options, |_| async { Err(boom()) }).await;
        assert!(failed.is_err());
        Ok(bytes("1"))
    };
    let all = of(script, InstanceStatus::Complete).await;
    assert_eq!(
        steps(&all),
        [
            "step_started a-1 2 retries after 50 ms, Constant, 600000 ms each",
            "attempt_started a-1 1",
            "attempt_errored a-1 1 Error: boom, then Some(50)",
            "attempt_started a-1 2",
            "attempt_completed a-1 2",
            r#"step_completed a-1 "good""#,
            "step_started a-2 0 retries after 7 ms, Constant, 1500 ms each",
            "attempt_started a-2 1",
            "attempt_errored a-2 1 Error: boom, then None",
            "step_errored a-2 Error: boom",
        ]
    );
}

// rules: C2.8-8
#[tokio::test]
async fn sleeps_and_waits_are_events() {
    let script = |run: Arc<Run>, _| async move {
        run.sleep("nap", DurationSpec::Text("5 seconds".into())).await?;
        let until = run.clock().now().plus_ms(70_000);
        run.sleep_until("nap", until).await?;
        let timeout = Some(DurationSpec::Text("1 minute".into()));
        assert!(run.wait_for_event("in vain", "never", timeout).await.is_err());
        run.wait_for_event("w", "go", None).await?;
        Ok(bytes("1"))
    };
    let mut world = World::new(script);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    handle.send_event("w", "one", "go", bytes("1")).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    let all = told(&handle, "one").await;
    assert_eq!(
        steps(&all),
        [
            "sleep_started nap-1 5000",
            "sleep_completed nap-1",
            "sleep_started nap-2 70000",
            "sleep_completed nap-2",
            "wait_started in vain-1 never",
            "wait_timed_out in vain-1",
            "wait_started w-1 go",
            "wait_completed w-1",
        ]
    );
}

// rules: A62
#[tokio::test]
async fn errors_of_a_sensitive_step_are_shown_as_they_are() {
    let script = |run: Arc<Run>, _| async move {
        let options = StepOptions { sensitive_output: true, ..retrying(1, 5) };
        let body = |attempt: u32| async move { if attempt == 1 { Err(boom()) } else { Ok(bytes("42")) } };
        step_with(&run, "secret", options, body).await?;
        let options = StepOptions { sensitive_output: true, ..retrying(0, 5) };
        step_with(&run, "secret", options, |_| async { Err(boom()) }).await
    };
    let all = of(script, InstanceStatus::Errored).await;
    for shown in [
        "attempt_errored secret-1 1 Error: boom, then Some(5)",
        "step_completed secret-1 Redacted",
        "step_errored secret-2 Error: boom",
        "workflow_errored Error: boom",
    ] {
        assert!(all.iter().any(|line| line == shown), "{shown} is not in {all:#?}");
    }
}

/// A step whose delay is said after each failed attempt, and that fails three times. What is said of its attempts.
async fn with_delays(backoff: Backoff, delays: [DurationSpec; 3]) -> Vec<String> {
    let script = move |run: Arc<Run>, _| {
        let delays = delays.clone();
        async move {
            let retries = RetryOptions { limit: 3, delay: RetryDelay::Dynamic, backoff: Some(backoff) };
            let options = StepOptions { retries: Some(retries), ..StepOptions::default() };
            let body = |attempt: u32| async move { if attempt < 4 { Err(boom()) } else { Ok(bytes("1")) } };
            let retry = |attempt: u32, _: &ErrorInfo| Retry::After(delays[attempt as usize - 1].clone());
            step_that_decides(&run, "a", options, body, retry).await
        }
    };
    let all = of(script, InstanceStatus::Complete).await;
    all.into_iter().filter(|line| line.starts_with("attempt_errored")).collect()
}

// rules: C2.5-28, A67
#[tokio::test]
async fn a_delay_that_is_said_anew_is_scaled_by_the_back_off_and_shown() {
    let constant = [DurationSpec::Ms(50), DurationSpec::Text("70".into()), DurationSpec::Text("1 second".into())];
    for (backoff, delays, expected) in [
        (Backoff::Constant, constant, [50, 70, 1000]),
        (Backoff::Linear, [50, 50, 50].map(DurationSpec::Ms), [50, 100, 150]),
        (Backoff::Exponential, [50, 50, 70].map(DurationSpec::Ms), [50, 100, 280]),
    ] {
        let expected: Vec<_> = (1..)
            .zip(expected)
            .map(|(attempt, delay)| format!("attempt_errored a-1 {attempt} Error: boom, then Some({delay})"))
            .collect();
        assert_eq!(with_delays(backoff, delays).await, expected);
    }
}
