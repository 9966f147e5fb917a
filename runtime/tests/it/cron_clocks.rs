//! Schedules and triggers on a clock that goes by itself: faster than the machine's, and over a sleep of the machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use miniflow_runtime::clock::{MovableClock, TimeMode};
use miniflow_runtime::dispatcher::{CatchUp, CronOptions, CronRunner, CronTrigger, Firing, Made};
use miniflow_runtime::engine::limits;
use miniflow_runtime::testing::{MemoryStorage, ScriptedRunner};
use miniflow_runtime::{Clock, Dispatcher, Options, Timestamp, WorkflowDefinition};

use crate::world::bytes;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// Notes the boundaries of a trigger, and those of a schedule.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<[Vec<u64>; 2]>>);

impl Noted {
    fn add(&self, of: usize, at: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[of].push(at.as_millis() / MINUTE);
    }

    fn minutes(&self) -> [Vec<u64>; 2] {
        self.0.lock().unwrap().clone()
    }

    /// Waits until each has fired `count` times.
    async fn reach(&self, count: usize) -> [Vec<u64>; 2] {
        loop {
            let minutes = self.minutes();
            if minutes.iter().all(|of| of.len() >= count) {
                return minutes;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl CronRunner for Noted {
    fn fire(&self, firing: Firing) {
        self.add(0, firing.time);
    }

    fn made(&self, made: Made) {
        assert_eq!(made.id, format!("{}-{}", made.cron, made.time.as_millis()));
        assert!(made.is_new);
        self.add(1, made.time);
    }
}

/// A trigger and a schedule of `cron`, on `clock`.
fn start(clock: &MovableClock, cron: &str, catch_up: CatchUp) -> (Dispatcher, Noted) {
    let noted = Noted::default();
    let mut workflow = WorkflowDefinition::new("w", "W", "worker");
    workflow.schedules = vec![cron.parse().unwrap()];
    let dispatcher = Dispatcher::start(Options {
        storage: MemoryStorage::default(),
        reader: None,
        clock: Arc::new(clock.clone()),
        runner: Arc::new(ScriptedRunner::new().class("W", |_, _| async { Ok(bytes("1")) })),
        workflows: vec![workflow],
        account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
        crons: CronOptions {
            triggers: vec![CronTrigger { worker: "worker".to_owned(), cron: cron.parse().unwrap() }],
            runner: Some(Arc::new(noted.clone())),
            catch_up,
            ..CronOptions::default()
        },
    })
    .unwrap();
    (dispatcher, noted)
}

fn stands_still() -> MovableClock {
    let clock = MovableClock::new(TimeMode::Manual, Duration::ZERO, Timestamp(0));
    // To the middle of a day, away from boundaries.
    let noon = (clock.now().as_millis() / DAY + 1) * DAY + DAY / 2 + 1;
    clock.jump_to(Timestamp(noon));
    clock
}

fn is_without_a_gap(minutes: &[u64], step: u64) -> bool {
    minutes.windows(2).all(|pair| pair[1] == pair[0] + step)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_clock_leaves_no_boundary_out() {
    for (speed, cron, step, count) in [
        ("x60", "* * * * *", 1, 1),
        ("x3600", "* * * * *", 1, 10),
        ("x86400", "* * * * *", 1, 500),
        ("x86400", "*/5 * * * *", 5, 100),
        ("x1000000", "* * * * *", 1, 3000),
        ("x1000000", "0 * * * *", 60, 100),
    ] {
        let clock = stands_still();
        let (dispatcher, noted) = start(&clock, cron, CatchUp::None);
        let first = (clock.now().as_millis() / MINUTE / step + 1) * step;
        clock.set_mode(speed.parse().unwrap());
        for minutes in noted.reach(count).await {
            assert_eq!(minutes[0], first, "{speed} {cron}");
            assert!(is_without_a_gap(&minutes, step), "{speed} {cron}: {minutes:?}");
        }
        dispatcher.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_becomes_slow_again_leaves_no_boundary_out() {
    let clock = stands_still();
    let (dispatcher, noted) = start(&clock, "* * * * *", CatchUp::None);
    for count in [100, 200, 300] {
        clock.set_mode("x86400".parse().unwrap());
        noted.reach(count).await;
        clock.set_mode(TimeMode::Manual);
    }
    let now = clock.now().as_millis() / MINUTE;
    let all = loop {
        let minutes = noted.minutes();
        if minutes.iter().all(|of| of.last() == Some(&now)) {
            break minutes;
        }
        tokio::task::yield_now().await;
    };
    assert!(all.iter().all(|minutes| is_without_a_gap(minutes, 1)), "{all:?}");
    dispatcher.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleep_of_the_machine_is_missed_at_any_speed() {
    for speed in ["manual", "real", "x60", "x3600"] {
        for (catch_up, made_up) in
            [(CatchUp::None, vec![]), (CatchUp::Latest, vec![10]), (CatchUp::All, (1..=10).collect())]
        {
            let clock = stands_still();
            // From noon to noon, so that a busy machine makes no difference.
            let (dispatcher, noted) = start(&clock, "0 0 * * *", catch_up);
            let fell_asleep = clock.now().as_millis() / DAY;
            clock.set_mode(speed.parse().unwrap());
            clock.leap(Duration::from_secs(10 * 24 * 3600));
            clock.set_mode("x1000000".parse().unwrap());
            let later = fell_asleep + 13;
            let fired = loop {
                let fired = noted.minutes();
                if fired.iter().all(|of| of.last().is_some_and(|last| last * MINUTE / DAY >= later)) {
                    break fired;
                }
                tokio::task::yield_now().await;
            };
            for minutes in fired {
                let days: Vec<_> = minutes.iter().map(|minute| minute * MINUTE / DAY - fell_asleep).collect();
                // Seen so late by a busy machine that the next one was due already: that is the latest then, and none is made up for.
                let overtaken = catch_up == CatchUp::Latest && days[0] == 11;
                let made_up = made_up.iter().copied().filter(|_| !overtaken);
                let expected: Vec<_> = made_up.chain(11..).take(days.len()).collect();
                assert_eq!(days, expected, "{speed} {catch_up:?}");
            }
            dispatcher.shutdown(Duration::ZERO).await;
        }
    }
}
