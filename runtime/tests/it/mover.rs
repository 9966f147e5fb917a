//! The clock is moved, and everything happens in between.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join};
use miniflow_runtime::clock::{Due, MovableClock, Stopwatch, TimeMode};
use miniflow_runtime::dispatcher::CronOptions;
use miniflow_runtime::engine::{RetryDelay, limits};
use miniflow_runtime::mover::{self, MoveError, Mover, Skip};
use miniflow_runtime::storage::{Durability, SqliteStorage};
use miniflow_runtime::testing::{MemoryStorage, ScriptedRunner};
use miniflow_runtime::{
    Busy, Bytes, Clock, Dispatcher, DurationSpec, ErrorInfo, Handle, InstanceStatus, Options, RetryOptions, Run,
    StepOptions, Timestamp, WorkflowDefinition,
};

use crate::guest::{step, step_with};
use crate::world::{Gate, boom, bytes, text, with_id};

const HOUR: u64 = 3_600_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Session {
    dispatcher: Dispatcher,
    handle: Handle,
    mover: Mover,
    start: Timestamp,
    /// What bodies said, with the hours since the start.
    said: Said,
}

#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<(String, f64)>>>);

impl Said {
    fn add(&self, run: &Run, what: &str) {
        self.0.lock().unwrap().push((what.to_owned(), run.clock().now().0 as f64));
    }
}

fn session<F, R>(mode: TimeMode, script: F) -> Session
where
    F: Fn(Arc<Run>, Said) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ErrorInfo>> + Send + 'static,
{
    let said = Said::default();
    let given = said.clone();
    let clock = MovableClock::new(mode, Duration::ZERO, Timestamp(0));
    let runner = ScriptedRunner::new().class("W", move |run, _| script(run, given.clone()));
    let dispatcher = Dispatcher::start(Options {
        storage: MemoryStorage::default(),
        reader: None,
        clock: Arc::new(clock.clone()),
        runner: Arc::new(runner),
        workflows: vec![WorkflowDefinition::new("w", "W", "worker")],
        account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
        crons: CronOptions::default(),
    })
    .unwrap();
    let (handle, start) = (dispatcher.handle(), clock.now());
    let mover = Mover::with_patience(clock, handle.clone(), None, Duration::from_millis(200));
    Session { dispatcher, handle, mover, start, said }
}

impl Session {
    async fn create(&self) {
        self.handle.create("w", with_id("one")).await.unwrap();
    }

    async fn status(&self) -> InstanceStatus {
        self.handle.status("w", "one").await.unwrap().status
    }

    fn hours(&self) -> Vec<(String, f64)> {
        let hours = |at: f64| (at - self.start.0 as f64) / HOUR as f64;
        self.said.0.lock().unwrap().iter().map(|(what, at)| (what.clone(), hours(*at))).collect()
    }

    async fn stop(self) {
        self.dispatcher.shutdown(Duration::ZERO).await;
    }
}

fn hours(hours: u64) -> DurationSpec {
    DurationSpec::Ms(hours * HOUR)
}

/// Says it in a step, which is not replayed.
async fn say(run: &Arc<Run>, said: &Said, what: &str) -> Result<Bytes, ErrorInfo> {
    step(run, what, |_| async {
        said.add(run, what);
        Ok(bytes(what))
    })
    .await
}

async fn days_of_sleep(run: Arc<Run>, said: Said) -> Result<Bytes, ErrorInfo> {
    for _ in 0..3 {
        run.sleep("night", DurationSpec::Text("1 day".into())).await?;
        say(&run, &said, "morning").await?;
    }
    Ok(bytes("awake"))
}

#[tokio::test]
async fn three_days_of_sleeps_pass_at_once_and_each_wakes_at_its_moment() {
    let session = session(TimeMode::Manual, days_of_sleep);
    session.create().await;
    let moved = session.mover.advance(3 * DAY).await.unwrap();
    assert_eq!((moved.from, moved.to), (session.start, session.start.plus_ms(72 * HOUR)));
    let due =
        |day: u64| Due { at: session.start.plus_ms(24 * day * HOUR), what: format!("w/one sleep night-{day} is over") };
    assert_eq!(moved.due, [due(1), due(2), due(3)]);
    assert_eq!(session.hours(), [24.0, 48.0, 72.0].map(|hour| ("morning".to_owned(), hour)));
    assert_eq!(session.status().await, InstanceStatus::Complete, "it is over before the move is");
    session.stop().await;
}

#[tokio::test]
async fn a_move_goes_from_moment_to_moment_however_many_come_up_on_the_way() {
    let session = session(TimeMode::Manual, |run, said| async move {
        let slow = async {
            run.sleep("slow", hours(3)).await?;
            say(&run, &said, "slow").await
        };
        let quick = async {
            // Known only when the clock gets there.
            for _ in 0..2 {
                run.sleep("quick", hours(1)).await?;
                say(&run, &said, "quick").await?;
            }
            // Guests may wait by themselves, too.
            step(&run, "nap", |_| async {
                let nap = run.clock().nap_until_ns((run.clock().now().0 + HOUR / 8) * 1_000_000);
                let napping = run.napping();
                nap.await;
                drop(napping);
                said.add(&run, "napped");
                Ok(bytes("napped"))
            })
            .await
        };
        let (slow, quick) = join(slow, quick).await;
        slow.and(quick)
    });
    session.create().await;
    session.mover.advance(DAY).await.unwrap();
    let expected = [("quick", 1.0), ("quick", 2.0), ("napped", 2.125), ("slow", 3.0)];
    assert_eq!(session.hours(), expected.map(|(what, hour)| (what.to_owned(), hour)));
    assert_eq!(session.status().await, InstanceStatus::Complete);
    session.stop().await;
}

#[tokio::test]
async fn retries_and_timeouts_come_in_their_order() {
    let session = session(TimeMode::Manual, |run, said| async move {
        let failing = step(&run, "fails", |attempt| {
            said.add(&run, &format!("attempt {attempt}"));
            async { Err(boom()) }
        });
        failing.await.unwrap_err();
        run.wait_for_event("wait", "go", Some(hours(5))).await.unwrap_err();
        Ok(bytes("done"))
    });
    session.create().await;
    let moved = session.mover.advance(DAY).await.unwrap();
    let what: Vec<_> = moved.due.iter().map(|due| due.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "w/one step fails-1 begins attempt 2",
            "w/one step fails-1 begins attempt 3",
            "w/one step fails-1 begins attempt 4",
            "w/one step fails-1 begins attempt 5",
            "w/one step fails-1 begins attempt 6",
            "w/one wait wait-1 for an event `go` has timed out",
        ]
    );
    // 10 s, doubled each time.
    let ten: f64 = 10_000.0 / HOUR as f64;
    let at = [0.0, 1.0, 3.0, 7.0, 15.0, 31.0].map(|tens| tens * ten);
    for ((_, hour), expected) in session.hours().into_iter().zip(at) {
        assert!((hour - expected).abs() < 1e-9, "{hour} is not {expected}");
    }
    assert_eq!(session.status().await, InstanceStatus::Complete);
    session.stop().await;
}

#[tokio::test]
async fn the_next_moment_is_the_next_at_which_something_happens() {
    let session = session(TimeMode::Manual, days_of_sleep);
    assert_eq!(session.mover.next().await, Err(MoveError::NothingToCome));
    session.create().await;
    for day in 1..=3 {
        let moved = session.mover.next().await.unwrap();
        assert_eq!(moved.to, session.start.plus_ms(24 * day * HOUR));
    }
    assert_eq!(session.status().await, InstanceStatus::Complete);
    // What is finished is removed after a week.
    let moved = session.mover.next().await.unwrap();
    assert_eq!(moved.due[0].what, "w/one is removed: its retention has ended");
    session.stop().await;
}

#[tokio::test]
async fn time_is_set_forward_only() {
    let session = session(TimeMode::Manual, days_of_sleep);
    let noon = session.start.plus_ms(12 * HOUR);
    assert_eq!(session.mover.set(noon).await.unwrap().to, noon);
    assert_eq!(session.mover.set(session.start).await, Err(MoveError::Past { now: noon }));
    assert_eq!(session.mover.set(Timestamp(mover::LATEST.0 + 1)).await, Err(MoveError::TooFar));
    assert_eq!(session.mover.advance(Duration::MAX).await, Err(MoveError::TooFar));
    assert_eq!(session.mover.clock().now(), noon);
    session.stop().await;
}

#[tokio::test]
async fn the_clock_goes_as_far_as_it_is_said_to_and_a_guest_that_waits_for_ever_does_not_make_it() {
    let session = session(TimeMode::Skip, |run, said| async move {
        let body = |_| async {
            said.add(&run, "waits");
            let nap = run.napping();
            run.clock().nap_until_ns(u64::MAX).await;
            drop(nap);
            Ok(bytes("woken"))
        };
        step(&run, "forever", body).await
    });
    let skipping = skip(&session);
    session.create().await;
    while session.hours().is_empty() {
        tokio::task::yield_now().await;
    }
    // Several looks at whether there is something to skip to.
    let looked = Stopwatch::start();
    while looked.elapsed() < Duration::from_millis(50) {
        tokio::task::yield_now().await;
    }
    assert!(session.mover.clock().now().since(session.start) < DAY);
    skipping.abort();
    session.mover.set_mode(TimeMode::Manual);
    assert_eq!(session.mover.set(mover::LATEST).await.map(|moved| moved.to), Ok(mover::LATEST));
    assert_eq!(session.mover.advance(Duration::from_millis(1)).await, Err(MoveError::TooFar));
    session.stop().await;
}

#[tokio::test]
async fn a_body_that_is_at_work_is_waited_for_and_then_named() {
    let gate = Gate::default();
    let held = gate.clone();
    let session = session(TimeMode::Manual, move |run, said| {
        let gate = held.clone();
        async move {
            run.sleep("first", hours(1)).await?;
            step(&run, "work", |_| async {
                let busy = run.busy();
                gate.pass().await;
                drop(busy);
                Ok(bytes("worked"))
            })
            .await?;
            run.sleep("second", hours(1)).await?;
            say(&run, &said, "done").await
        }
    });
    session.create().await;
    match session.mover.advance(DAY).await {
        Err(MoveError::AtWork { names, moved }) => {
            assert_eq!(names, ["w/one in step work-1"]);
            assert_eq!(moved.to, session.start.plus_ms(HOUR), "time does not run away from it");
            assert_eq!(moved.due.len(), 1);
        }
        other => panic!("{other:?}"),
    }
    gate.open();
    session.mover.advance(DAY).await.unwrap();
    assert_eq!(session.hours(), [("done".to_owned(), 2.0)]);
    session.stop().await;
}

#[tokio::test]
async fn what_holds_the_clock_is_waited_for() {
    let session = session(TimeMode::Manual, days_of_sleep);
    let clock = session.mover.clock().clone();
    let due = clock.due(session.start.plus_ms(HOUR));
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let handler = tokio::spawn(async move {
        let hold = due.await;
        released.await.unwrap();
        drop(hold);
    });
    // The handler has begun to sleep.
    while clock.next_sleeper() != Some(session.start.plus_ms(HOUR)) {
        tokio::task::yield_now().await;
    }
    match session.mover.advance(DAY).await {
        Err(MoveError::AtWork { moved, .. }) => assert_eq!(moved.to, session.start.plus_ms(HOUR)),
        other => panic!("{other:?}"),
    }
    release.send(()).unwrap();
    session.mover.advance(DAY).await.unwrap();
    handler.await.unwrap();
    session.stop().await;
}

/// Skips on a task of its own until the test ends.
fn skip(session: &Session) -> tokio::task::JoinHandle<std::convert::Infallible> {
    let mover = session.mover.clone();
    tokio::spawn(async move { mover.skip(|_| ()).await })
}

#[tokio::test]
async fn idle_time_is_skipped_for_sleeps_and_not_for_time_outs() {
    let session = session(TimeMode::Skip, |run, said| async move {
        days_of_sleep(Arc::clone(&run), said).await?;
        let event = run.wait_for_event("wait", "go", Some(hours(24))).await?;
        Ok(Bytes::from(event.payload.to_vec()))
    });
    let skipping = skip(&session);
    session.create().await;
    while session.hours().len() < 3 || session.status().await != InstanceStatus::Waiting {
        tokio::task::yield_now().await;
    }
    // Days have passed, and the wait's day has not: that would be the end of the instance.
    let passed = session.mover.clock().now().since(session.start);
    assert!((3 * DAY..4 * DAY).contains(&passed), "{passed:?}");
    session.handle.send_event("w", "one", "go", bytes("\"here\"")).await.unwrap();
    while session.status().await != InstanceStatus::Complete {
        tokio::task::yield_now().await;
    }
    assert_eq!(text(&session.handle.status("w", "one").await.unwrap().output.unwrap()), "\"here\"");
    skipping.abort();
    session.stop().await;
}

#[tokio::test]
async fn a_skip_ends_where_the_wait_ends_that_it_was_for() {
    let session = session(TimeMode::Skip, |run, said| async move {
        let retries = RetryOptions { limit: 0, delay: RetryDelay::Fixed(hours(0)), backoff: None };
        let options = StepOptions { retries: Some(retries), timeout: Some(hours(1)), ..StepOptions::default() };
        // It would wake after a day, if it were given that long.
        let body = |_| async {
            let nap = run.clock().nap_until_ns(a_day_on(&run));
            let napping = run.napping();
            nap.await;
            drop(napping);
            said.add(&run, "woken");
            Ok(bytes("woken"))
        };
        step_with(&run, "naps", options, body).await
    });
    session.create().await;
    while session.status().await != InstanceStatus::Errored {
        let _ = session.mover.skip_once(Skip::All).await;
    }
    assert_eq!(session.mover.skip_once(Skip::All).await, None, "nobody is there to be woken");
    let passed = session.mover.clock().now().since(session.start);
    assert!((DAY / 24..DAY / 12).contains(&passed), "{passed:?}");
    assert_eq!(session.hours(), []);
    session.stop().await;
}

/// A day after `run` began.
fn a_day_on(run: &Run) -> u64 {
    (run.clock().now().0 + 24 * HOUR) * 1_000_000
}

/// A wait on the clock, and the mark that the guest waits.
type Kept = Arc<Mutex<Option<(BoxFuture<'static, ()>, Busy)>>>;

#[tokio::test]
async fn nothing_is_skipped_for_a_guest_that_is_gone() {
    // Kept as a store is kept for a moment after its run was stopped.
    let kept: Kept = Arc::default();
    let keeps = Arc::clone(&kept);
    let session = session(TimeMode::Manual, move |run, said| {
        let keeps = Arc::clone(&keeps);
        async move {
            let mut nap = run.clock().nap_until_ns(a_day_on(&run));
            assert!((&mut nap).now_or_never().is_none());
            *keeps.lock().unwrap() = Some((nap, run.napping()));
            said.add(&run, "waits");
            std::future::pending().await
        }
    });
    session.create().await;
    while session.hours().is_empty() {
        tokio::task::yield_now().await;
    }
    session.mover.still().await.unwrap();
    session.handle.terminate("w", "one", false).await.unwrap();
    session.mover.set_mode(TimeMode::Skip);
    assert!(session.mover.clock().next_nap().is_some(), "it looks as if somebody waited");
    assert_eq!(session.mover.skip_once(Skip::All).await, None);
    drop(kept.lock().unwrap().take());
    assert_eq!(session.mover.skip_once(Skip::All).await, None);
    assert!(session.mover.clock().now().since(session.start) < DAY);
    session.stop().await;
}

#[tokio::test]
async fn the_mode_can_be_changed_on_the_way() {
    let session = session(TimeMode::Manual, days_of_sleep);
    let skipping = skip(&session);
    session.create().await;
    while session.status().await != InstanceStatus::Waiting {
        tokio::task::yield_now().await;
    }
    assert_eq!(session.mover.clock().now(), session.start);
    session.mover.set_mode(TimeMode::Skip);
    while session.status().await != InstanceStatus::Complete {
        tokio::task::yield_now().await;
    }
    skipping.abort();
    session.stop().await;
}

#[tokio::test]
async fn the_next_process_goes_on_where_the_clock_was() {
    let folder = tempfile::tempdir().unwrap();
    let clock = mover::restore(Some(folder.path()), Some(TimeMode::Manual), Timestamp(0));
    let storage = SqliteStorage::open(folder.path(), Durability::Normal).unwrap();
    assert_eq!(storage.last_moment().unwrap(), Timestamp(0));
    let dispatcher = Dispatcher::start(Options {
        storage,
        reader: None,
        clock: Arc::new(clock.clone()),
        runner: Arc::new(ScriptedRunner::new().class("W", |run, _| days_of_sleep(run, Said::default()))),
        workflows: vec![WorkflowDefinition::new("w", "W", "worker")],
        account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
        crons: CronOptions::default(),
    })
    .unwrap();
    let handle = dispatcher.handle();
    let mover = Mover::new(clock.clone(), handle.clone(), Some(folder.path()));
    handle.create("w", with_id("one")).await.unwrap();
    let moved = mover.advance(DAY).await.unwrap();
    dispatcher.shutdown(Duration::ZERO).await;

    let next = mover::restore(Some(folder.path()), None, Timestamp(0));
    assert_eq!(next.mode(), TimeMode::Manual);
    // As much later than the machine's, which has gone on meanwhile.
    assert!(next.now() >= moved.to, "{:?} is before {:?}", next.now(), moved.to);
    assert!(next.now().since(moved.to) < DAY);

    // Without the file the journals have the last word.
    std::fs::remove_file(folder.path().join("clock")).unwrap();
    let storage = SqliteStorage::open(folder.path(), Durability::Normal).unwrap();
    let recorded = storage.last_moment().unwrap();
    assert_eq!(recorded, moved.to);
    assert!(mover::restore(Some(folder.path()), None, recorded).now() >= moved.to);
}
