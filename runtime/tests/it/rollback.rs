//! Compensations: which, when, in which order, and how they end.

use std::sync::Arc;

use futures::future::join;
use miniflow_runtime::engine::{RetryDelay, RollbackOptions, RollbackOutcome};
use miniflow_runtime::testing::{Handlers, Undoing};
use miniflow_runtime::{
    Backoff, Bytes, DurationSpec, ErrorInfo, Handle, InstanceStatus, RetryOptions, Run, StatusReport, StepOptions,
};

use crate::guest::{Saga, retries, retrying, step};
use crate::world::{Effects, Gate, World, boom, bytes, text, with_id};

/// A world whose only workflow is this saga.
fn saga<F, R>(script: F) -> World
where
    F: Fn(Saga) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
{
    World::saga(move |run: Arc<Run>, effects: Effects, handlers: Handlers| script(Saga { run, effects, handlers }))
}

/// Runs the saga to this end, and returns what it left behind.
async fn ends<F, R>(script: F, end: InstanceStatus) -> (StatusReport, String)
where
    F: Fn(Saga) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
{
    let mut world = saga(script);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", end).await;
    (report, world.effects.order())
}

/// All compensations succeeded.
const COMPLETE: Option<RollbackOutcome> = Some(RollbackOutcome { error: None });

fn configured(retries: RetryOptions) -> RollbackOptions {
    RollbackOptions { retries: Some(retries), timeout: None }
}

// rules: C2.6-4, C2.6-11, A90, A95
#[tokio::test]
async fn an_error_that_nobody_handles_undoes_the_steps_last_begun_first() {
    let script = |saga: Saga| async move {
        saga.step("a").await?;
        saga.step("b").await?;
        saga.plain("c").await?;
        saga.step("d").await?;
        Err(boom())
    };
    let (report, order) = ends(script, InstanceStatus::Errored).await;
    assert_eq!(order, "a, b, c, d, undo d, undo b, undo a");
    assert_eq!((report.error, report.rollback, report.output), (Some(boom()), COMPLETE, None));
}

// rules: C2.6-4, A91
#[tokio::test]
async fn steps_side_by_side_are_undone_by_the_order_of_their_starts() {
    let script = |saga: Saga| async move {
        let gate = Gate::default();
        let early = async {
            let held = |_| {
                saga.effects.add("early");
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok(bytes("1"))
                }
            };
            let effects = saga.effects.clone();
            let undo = move |_| {
                effects.add("undo early");
                async { Ok(()) }
            };
            let options = StepOptions { rollback: Some(RollbackOptions::default()), ..StepOptions::default() };
            saga.perform("early", options, held, undo).await
        };
        let late = async {
            let late = saga.step("late").await;
            gate.open();
            late
        };
        let (early, late) = join(early, late).await;
        early?;
        late?;
        Err(boom())
    };
    let (_, order) = ends(script, InstanceStatus::Errored).await;
    assert_eq!(order, "early, late, undo late, undo early");
}

/// Leaves what the handler is told among the effects.
fn tell(effects: &Effects) -> impl Fn(Undoing) -> std::future::Ready<Result<(), ErrorInfo>> + Send + Sync + 'static {
    let effects = effects.clone();
    move |undoing: Undoing| {
        let Undoing { step, step_attempt, step_config, output, cause, attempt, config, .. } = undoing;
        effects.add(&format!(
            "{step} attempt {step_attempt} limit {} output {} cause {cause}; attempt {attempt} limit {} dynamic {}",
            step_config.retry_limit,
            output.map_or_else(|| "none".to_owned(), |output| text(&output)),
            config.retry_limit,
            config.dynamic_delay,
        ));
        std::future::ready(Ok(()))
    }
}

// rules: C2.6-1, C2.6-5, C2.5-37, A93, A94, A102
#[tokio::test]
async fn a_handler_gets_the_step_the_cause_and_the_output() {
    let script = |saga: Saga| async move {
        let rollback = Some(configured(retries(7, 1)));
        let options = StepOptions { rollback: rollback.clone(), ..retrying(3, 0) };
        let flaky = |attempt: u32| async move { if attempt < 3 { Err(boom()) } else { Ok(bytes("out")) } };
        saga.perform("flaky", options, flaky, tell(&saga.effects)).await?;
        let dynamic = RetryOptions { limit: 2, delay: RetryDelay::Dynamic, backoff: None };
        let options = StepOptions { retries: Some(dynamic), rollback, ..StepOptions::default() };
        saga.perform("same", options.clone(), |_| async { Ok(bytes("1")) }, tell(&saga.effects)).await?;
        let fails = |_| async { Err(ErrorInfo::new("NonRetryableError", "no")) };
        saga.perform("same", options, fails, tell(&saga.effects)).await
    };
    let (report, order) = ends(script, InstanceStatus::Errored).await;
    let cause = "cause NonRetryableError: no; attempt 1 limit 7 dynamic false";
    let expected = [
        format!("same-2 attempt 1 limit 2 output none {cause}"),
        format!("same-1 attempt 1 limit 2 output 1 {cause}"),
        format!("flaky-1 attempt 3 limit 3 output out {cause}"),
    ];
    assert_eq!(order, expected.join(", "));
    assert_eq!(report.rollback, COMPLETE);
}

// rules: C2.6-2, A104
#[tokio::test]
async fn nothing_is_undone_after_a_success_or_an_error_that_is_handled() {
    let script = |saga: Saga| async move {
        saga.step("a").await?;
        saga.fail("b").await.unwrap_err();
        saga.step("c").await
    };
    let (report, order) = ends(script, InstanceStatus::Complete).await;
    assert_eq!((order.as_str(), report.rollback), ("a, b, c", None));
    let script = |saga: Saga| async move {
        saga.plain("a").await?;
        Err(boom())
    };
    let (report, order) = ends(script, InstanceStatus::Errored).await;
    assert_eq!((order.as_str(), report.rollback), ("a", None), "nothing to undo");
}

/// A step whose compensation fails this often, leaving the seconds since the instance began.
async fn flaky_undo(
    saga: &Saga,
    name: &'static str,
    options: RollbackOptions,
    fails: u32,
    error: ErrorInfo,
) -> Result<Bytes, ErrorInfo> {
    let effects = saga.effects.clone();
    let undo = move |undoing: Undoing| {
        let seconds = undoing.run.clock().now().since(undoing.run.event().timestamp).as_secs();
        effects.add(&format!("{name} {} at {seconds}", undoing.attempt));
        let error = error.clone();
        async move { if undoing.attempt <= fails { Err(error) } else { Ok(()) } }
    };
    saga.step_undone_by(name, options, undo).await
}

// rules: C2.6-6, C2.6-7, C2.6-8, C2.6-11
#[tokio::test]
async fn a_compensation_has_retries_of_its_own() {
    let script = |saga: Saga| async move {
        let no = ErrorInfo::new("NonRetryableError", "never");
        flaky_undo(&saga, "never", configured(retries(9, 1000)), 9, no).await?;
        flaky_undo(&saga, "own", configured(retries(1, 5000)), 1, boom()).await?;
        flaky_undo(&saga, "default", RollbackOptions::default(), 3, boom()).await?;
        Err(boom())
    };
    let (report, order) = ends(script, InstanceStatus::Errored).await;
    let expected = "never, own, default, default 1 at 0, default 2 at 10, default 3 at 30, default 4 at 70, own 1 at 70, \
                    own 2 at 75, never 1 at 75";
    assert_eq!(order, expected);
    let error = Some(ErrorInfo::new("NonRetryableError", "never"));
    assert_eq!((report.error, report.rollback), (Some(boom()), Some(RollbackOutcome { error })));
}

#[tokio::test]
async fn a_long_delay_of_a_compensation_leaves_memory_and_outlives_the_process() {
    for kill in [false, true] {
        let mut world = saga(|saga: Saga| async move {
            saga.effects.add("run");
            let day = RetryOptions {
                limit: 2,
                delay: RetryDelay::Fixed(DurationSpec::Text("1 day".into())),
                backoff: Some(Backoff::Linear),
            };
            saga.step("first").await?;
            flaky_undo(&saga, "flaky", configured(day), 2, boom()).await?;
            Err(boom())
        });
        let mut handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        for attempt in ["flaky 1 at 0", "flaky 2 at 86400"] {
            world.effects.until(attempt, 1).await;
            world.watch(&handle, |overview| overview.resident == 0 && overview.timers == 1).await;
            assert_eq!(handle.status("w", "one").await.unwrap().status, InstanceStatus::RollingBack);
            if kill {
                world.kill().await;
                handle = world.start();
                world.settle(&handle).await;
                assert_eq!(world.recovered().unfinished, 1);
            }
            world.clock.advance_ms(if attempt.ends_with(" 0") { 86_400_000 } else { 2 * 86_400_000 });
        }
        let report = world.drive_to(&handle, "one", InstanceStatus::Errored).await;
        assert_eq!(report.rollback, COMPLETE);
        let expected = "run, first, flaky, flaky 1 at 0, run, flaky 2 at 86400, run, flaky 3 at 259200, undo first";
        assert_eq!(world.effects.order(), expected);
        world.kill().await;
    }
}

// rules: C2.6-6
#[tokio::test]
async fn a_compensation_that_takes_too_long_is_tried_again() {
    let mut world = saga(|saga: Saga| async move {
        let options = RollbackOptions { retries: Some(retries(1, 0)), timeout: Some(DurationSpec::Ms(5000)) };
        let effects = saga.effects.clone();
        let undo = move |undoing: Undoing| {
            effects.add("undo");
            async move {
                if undoing.attempt == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        };
        saga.step_undone_by("a", options, undo).await?;
        Err(boom())
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("undo", 1).await;
    world.clock.advance_ms(5000);
    let report = world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!((report.rollback, world.effects.of("undo")), (COMPLETE, 2));
}

// rules: C2.6-8, C2.6-11, A96
#[tokio::test]
async fn the_first_compensation_that_fails_for_good_ends_the_chain() {
    let script = |saga: Saga| async move {
        saga.step("a").await?;
        flaky_undo(&saga, "b", configured(retries(1, 0)), 9, ErrorInfo::new("Error", "stuck")).await?;
        saga.step("c").await?;
        saga.fail("d").await
    };
    let (report, order) = ends(script, InstanceStatus::Errored).await;
    assert_eq!(order, "a, b, c, d, undo d, undo c, b 1 at 0, b 2 at 0");
    assert_eq!(report.error, Some(ErrorInfo::new("NonRetryableError", "no")));
    assert_eq!(report.rollback, Some(RollbackOutcome { error: Some(ErrorInfo::new("Error", "stuck")) }));
}

// rules: C2.6-9, B26
#[tokio::test]
async fn steps_are_refused_while_compensations_run() {
    let script = |saga: Saga| async move {
        let effects = saga.effects.clone();
        let undo = move |undoing: Undoing| {
            let effects = effects.clone();
            async move {
                let run = &undoing.run;
                let ms = DurationSpec::Ms(1);
                for error in [
                    step(run, "s", |_| async { Ok(bytes("1")) }).await.unwrap_err(),
                    run.sleep("s", ms.clone()).await.unwrap_err(),
                    run.sleep_until("s", miniflow_runtime::Timestamp(u64::MAX)).await.unwrap_err(),
                    run.wait_for_event("s", "go", None).await.unwrap_err(),
                ] {
                    effects.add(&error.message);
                }
                Ok(())
            }
        };
        saga.step_undone_by("a", RollbackOptions::default(), undo).await?;
        Err(boom())
    };
    let (report, order) = ends(script, InstanceStatus::Errored).await;
    assert_eq!(order, format!("a{}", ", Cannot execute steps during rollback phase".repeat(4)));
    assert_eq!(report.rollback, COMPLETE);
}

// rules: C2.6-12
#[tokio::test]
async fn options_of_a_compensation_that_are_not_valid_fail_the_step_without_an_attempt() {
    let bad_delay =
        RetryOptions { limit: 1, delay: RetryDelay::Fixed(DurationSpec::Text("10 foo".into())), backoff: None };
    let bad = [
        configured(bad_delay),
        configured(retries(10_001, 0)),
        RollbackOptions { retries: None, timeout: Some(DurationSpec::Ms(0)) },
    ];
    for options in bad {
        let script = move |saga: Saga| {
            let options = options.clone();
            async move { saga.step_undone_by("a", options, |_| async { Ok(()) }).await }
        };
        let (report, order) = ends(script, InstanceStatus::Errored).await;
        let expected = r#"Rollback config for "a" is in a invalid format. See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/"#;
        assert_eq!((report.error.unwrap().message.as_str(), order.as_str()), (expected, ""));
        assert_eq!(report.rollback, None);
    }
}

// rules: B25
#[tokio::test]
async fn a_step_with_the_longest_name_can_be_undone() {
    let script = |saga: Saga| async move {
        saga.step(&"x".repeat(256)).await?;
        Err(boom())
    };
    let (report, order) = ends(script, InstanceStatus::Errored).await;
    assert_eq!((report.rollback, order.len()), (COMPLETE, 256 + 2 + 5 + 256));
}

// ---- terminate with rollback ----------------------------------------------------------------------------------------

async fn terminate(handle: &Handle) {
    handle.terminate("w", "one", true).await.unwrap();
}

fn cause(world: &World) -> String {
    let started = world.storage.entries("one").into_iter().find_map(|stamped| match stamped.entry {
        miniflow_runtime::engine::Entry::RollbackStarted { cause, .. } => Some(cause.to_string()),
        _ => None,
    });
    started.unwrap()
}

/// Two steps with a compensation; then what the params say.
async fn terminable(saga: Saga) -> Result<Bytes, ErrorInfo> {
    saga.step("a").await?;
    saga.fail("failed").await.unwrap_err();
    saga.step("b").await?;
    if text(&saga.run.event().payload) == "running" {
        let undo = saga.effects.clone();
        let body = |_| {
            saga.effects.add("body");
            std::future::pending::<Result<Bytes, ErrorInfo>>()
        };
        let undo = move |undoing: Undoing| {
            undo.add(&format!("undo body, {:?}", undoing.output));
            async { Ok(()) }
        };
        let options = StepOptions { rollback: Some(RollbackOptions::default()), ..StepOptions::default() };
        saga.perform("body", options, body, undo).await?;
    }
    saga.run.sleep("nap", DurationSpec::Text("1 hour".into())).await?;
    saga.run.wait_for_event("w", "go", None).await?;
    saga.step("never").await
}

// rules: C2.2-12, C2.6-3, A97, A98, A99, A101, A103
#[tokio::test]
async fn terminate_with_rollback_undoes_whatever_has_begun() {
    let steps = "a, failed, b";
    let undone = "undo b, undo failed, undo a";
    for (status, killed) in [
        ("running", false),
        ("running", true),
        ("waiting", false),
        ("waiting", true),
        ("paused", false),
        ("paused", true),
        ("queued", false),
    ] {
        let mut world = saga(terminable).limit(1);
        let mut handle = world.start();
        let options = miniflow_runtime::CreateOptions { params: Some(bytes(status)), ..with_id("one") };
        handle.create("w", options).await.unwrap();
        match status {
            "running" => world.effects.until("body", 1).await,
            _ => drop(world.reach(&handle, "one", InstanceStatus::Waiting).await),
        }
        if status == "paused" || status == "queued" {
            handle.pause("w", "one").await.unwrap();
        }
        if killed {
            // A body that runs cannot be caught again without a pause that is to come.
            if status == "running" {
                handle.pause("w", "one").await.unwrap();
            }
            world.kill().await;
            handle = world.start();
        }
        if status == "queued" {
            let options = miniflow_runtime::CreateOptions { params: Some(bytes("running")), ..with_id("other") };
            handle.create("w", options).await.unwrap();
            world.effects.until("body", 1).await;
            handle.resume("w", "one").await.unwrap();
            assert_eq!(handle.status("w", "one").await.unwrap().status, InstanceStatus::Queued);
        }
        terminate(&handle).await;
        if status == "queued" {
            handle.delete("w", "other").await.unwrap();
        }
        let report = world.drive_to(&handle, "one", InstanceStatus::Terminated).await;
        assert_eq!((report.rollback, report.error), (COMPLETE, None), "{status}");
        assert_eq!(cause(&world), "Terminated: Instance terminated during rollback");
        let order = world.effects.order();
        let expected = match status {
            "running" => format!("undo body, None, {undone}"),
            _ => undone.to_owned(),
        };
        assert!(order.starts_with(steps) && order.ends_with(&expected), "{status}, {killed}: {order}");
        assert_eq!(world.effects.of("never"), 0);
        world.kill().await;
    }
}

// rules: A100
#[tokio::test]
async fn a_handler_that_the_code_does_not_come_by_any_more_fails_the_rollback_and_not_the_termination() {
    let mut world = saga(|saga: Saga| async move {
        saga.step("a").await?;
        if saga.effects.add("run") == 1 {
            saga.step("gone").await?;
        }
        saga.step("b").await?;
        saga.run.sleep("nap", DurationSpec::Text("1 hour".into())).await?;
        Ok(bytes("1"))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    terminate(&handle).await;
    let report = world.drive_to(&handle, "one", InstanceStatus::Terminated).await;
    let error = ErrorInfo::new("RollbackMissing", "Rollback function not available in registry");
    assert_eq!(report.rollback, Some(RollbackOutcome { error: Some(error) }));
    assert_eq!(world.effects.order(), "a, run, gone, b, run, undo b");
}

#[tokio::test]
async fn code_that_waits_for_something_else_is_given_up_after_a_while() {
    let mut world = saga(|saga: Saga| async move {
        if saga.effects.add("run") > 1 {
            // Not a step: nobody but the outside knows when it ends.
            let _busy = saga.run.busy();
            std::future::pending::<()>().await;
        }
        saga.step("a").await?;
        saga.run.sleep("nap", DurationSpec::Text("1 hour".into())).await?;
        Ok(bytes("1"))
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.reach(&handle, "one", InstanceStatus::Waiting).await;
    terminate(&handle).await;
    world.effects.until("run", 2).await;
    world.settle(&handle).await;
    assert_eq!(handle.status("w", "one").await.unwrap().status, InstanceStatus::RollingBack);
    world.clock.advance_ms(30_000);
    let report = world.drive_to(&handle, "one", InstanceStatus::Terminated).await;
    assert_eq!(report.rollback.unwrap().error.unwrap().name, "RollbackMissing");
}

#[tokio::test]
async fn a_terminate_of_an_instance_that_rolls_back_cuts_its_compensations() {
    let mut world = saga(|saga: Saga| async move {
        saga.step("a").await?;
        let effects = saga.effects.clone();
        let undo = move |_| {
            effects.add("held");
            std::future::pending()
        };
        saga.step_undone_by("b", RollbackOptions::default(), undo).await?;
        Err(boom())
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.effects.until("held", 1).await;
    handle.terminate("w", "one", false).await.unwrap();
    let report = handle.status("w", "one").await.unwrap();
    assert_eq!(report.status, InstanceStatus::Terminated);
    let error = ErrorInfo::new("Terminated", "Instance terminated during rollback");
    assert_eq!(report.rollback, Some(RollbackOutcome { error: Some(error) }));
    world.settle(&handle).await;
    assert_eq!(world.effects.order(), "a, b, held");
}

// ---- traps, restarts ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_trap_after_the_last_step_undoes_and_does_not_stop_the_handlers() {
    let script = |saga: Saga| async move {
        saga.step("a").await?;
        saga.step("b").await?;
        saga.effects.add("traps");
        panic!("outside of a step")
    };
    let (report, order) = ends(script, InstanceStatus::Errored).await;
    assert_eq!(report.error.unwrap().message, "outside of a step");
    assert_eq!((report.rollback, order.as_str()), (COMPLETE, "a, b, traps, undo b, undo a"));
}

#[tokio::test]
async fn a_trap_in_a_handler_is_the_failure_of_its_attempt() {
    for (limit, outcome) in [(1, None), (0, Some(ErrorInfo::new("Error", "in a handler")))] {
        let script = move |saga: Saga| async move {
            saga.step("a").await?;
            let effects = saga.effects.clone();
            let undo = move |undoing: Undoing| {
                effects.add(&format!("undo b {}", undoing.attempt));
                async move {
                    assert!(undoing.attempt > 1, "in a handler");
                    Ok(())
                }
            };
            saga.step_undone_by("b", configured(retries(limit, 60_000)), undo).await?;
            Err(boom())
        };
        let (report, order) = ends(script, InstanceStatus::Errored).await;
        assert_eq!(report.error, Some(boom()));
        assert_eq!(report.rollback, Some(RollbackOutcome { error: outcome }));
        let expected = if limit == 1 { "a, b, undo b 1, undo b 2, undo a" } else { "a, b, undo b 1" };
        assert_eq!(order, expected);
    }
}

// rules: B14
#[tokio::test]
async fn steps_that_ran_again_after_a_restart_are_undone_again() {
    let mut world = saga(|saga: Saga| async move {
        saga.step("a").await?;
        saga.step("b").await?;
        saga.fail("c").await
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    let from =
        miniflow_runtime::dispatcher::RestartFrom { name: "b".into(), count: 1, kind: miniflow_runtime::StepKind::Do };
    handle.restart("w", "one", Some(from)).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!(report.rollback, COMPLETE);
    let once = "b, c, undo c, undo b, undo a";
    assert_eq!(world.effects.order(), format!("a, {once}, {once}"));
    handle.restart("w", "one", None).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Errored).await;
    assert_eq!(world.effects.order(), format!("a, {once}, {once}, a, {once}"));
}
