//! Schedules and triggers: each boundary fires once, whatever happens to the process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use miniflow_runtime::clock::{Hold, MovableClock, TimeMode};
use miniflow_runtime::dispatcher::{CatchUp, CronOptions, CronRunner, CronTrigger, Firing, Missed};
use miniflow_runtime::engine::limits;
use miniflow_runtime::mover::Mover;
use miniflow_runtime::storage::{CronTarget, Filter, Order, Retention, Trigger};
use miniflow_runtime::testing::{MemoryStorage, ScriptedRunner, SimClock};
use miniflow_runtime::{
    Bytes, Clock, CreateOptions, Dispatcher, ErrorInfo, Handle, InstanceStatus, Options, Run, Schedule, Timestamp,
    WorkflowDefinition,
};

use crate::world::{Effects, START, World, bytes, text};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// What an instance is told of its beginning.
async fn script(run: Arc<Run>, effects: Effects) -> Result<Bytes, ErrorInfo> {
    let event = run.event();
    effects.add(run.instance_id());
    let schedule = event.schedule.as_ref().map(|s| format!("{} at {}", s.cron, s.scheduled_time.as_millis()));
    Ok(bytes(format!("{} {schedule:?} {}", text(&event.payload), event.timestamp.as_millis())))
}

/// Ids of the instances that there are, oldest first.
async fn ids(world: &World, handle: &Handle) -> Vec<String> {
    world.settle(handle).await;
    let filter = Filter { workflow: "w".to_owned(), ..Filter::default() };
    let listed = handle.read(move |archive| archive.list(&filter, Order::OldestFirst, None, 0, 100_000)).await.unwrap();
    assert!(listed.iter().all(|listed| listed.trigger == Trigger::Cron));
    listed.into_iter().map(|listed| listed.id).collect()
}

fn expected(cron: &str, boundaries: impl IntoIterator<Item = u64>) -> Vec<String> {
    boundaries.into_iter().map(|minute| format!("{cron}-{}", minute * MINUTE)).collect()
}

/// Moves time to `until`, as whoever moves it does: from one thing that happens by itself to the next.
async fn pass(world: &World, handle: &Handle, until: Timestamp) {
    loop {
        let overview = handle.overview().await.unwrap();
        let next = [overview.next_timer, overview.next_cron].into_iter().flatten().min();
        let is_calm = overview.runs == overview.parked && overview.starting == 0;
        match next.filter(|next| *next <= until) {
            // The process has died here.
            _ if world.storage.is_dead() => return,
            Some(next) if is_calm && next > world.clock.now() => world.clock.advance_to(next),
            None if is_calm => break,
            _ => tokio::task::yield_now().await,
        }
    }
    world.clock.advance_to(until);
    world.settle(handle).await;
}

fn minute(minute: u64) -> Timestamp {
    Timestamp(minute * MINUTE)
}

// rules: S5, S12, S14, C4.6-4
#[tokio::test]
async fn a_schedule_makes_an_instance_of_each_boundary() {
    let mut world = World::new(script).schedules(&["*/5 * * * *"]);
    let handle = world.start();
    assert_eq!(ids(&world, &handle).await, [""; 0]);
    pass(&world, &handle, minute(31)).await;
    assert_eq!(ids(&world, &handle).await, expected("*/5 * * * *", [20, 25, 30]));
    let report = world.reach(&handle, "*/5 * * * *-1500000", InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), r#"{} Some("*/5 * * * * at 1500000") 1500000"#);
    world.stop().await;
}

#[tokio::test]
async fn a_boundary_that_is_seen_late_is_the_boundary_all_the_same() {
    let mut world = World::new(script).schedules(&["20 0 * * *", "20\t0 * * 5"]);
    let handle = world.start();
    world.clock.advance_to(Timestamp(20 * MINUTE + 59_999));
    let made = ids(&world, &handle).await;
    assert_eq!(made, ["20 0 * * *-1200000", "20 0 * * 5-1200000"], "an id has blanks for tabs");
    let report = world.reach(&handle, &made[1], InstanceStatus::Complete).await;
    assert_eq!(text(&report.output.unwrap()), r#"{} Some("20\t0 * * 5 at 1200000") 1259999"#);
    world.stop().await;
}

// rules: S16
#[tokio::test]
async fn several_schedules_each_make_their_own_and_one_that_repeats_makes_one() {
    let mut world = World::new(script).schedules(&["*/10 * * * *", "0/10 * * * *", "*/10 * * * *"]);
    let handle = world.start();
    pass(&world, &handle, minute(21)).await;
    assert_eq!(ids(&world, &handle).await, ["*/10 * * * *-1200000", "0/10 * * * *-1200000"]);
    assert_eq!(world.effects.order(), "*/10 * * * *-1200000, 0/10 * * * *-1200000");
    world.stop().await;
}

#[tokio::test]
async fn an_instance_that_is_there_already_is_no_error() {
    let mut world = World::new(script).schedules(&["* * * * *"]);
    let handle = world.start();
    let schedule = |at| Schedule { cron: "* * * * *".to_owned(), scheduled_time: minute(at) };
    let id = handle.create_scheduled("w", schedule(18)).await.unwrap();
    assert_eq!(id, "* * * * *-1080000");
    let again = handle.create_scheduled("w", schedule(18)).await.unwrap_err();
    assert_eq!(again.code, "instance.already_exists");
    pass(&world, &handle, minute(19)).await;
    assert_eq!(ids(&world, &handle).await, expected("* * * * *", [18, 17, 19]));
    assert_eq!(world.effects.of(&id), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_restart_between_two_boundaries_fires_neither_twice_nor_not_at_all() {
    for ends_by_kill in [false, true] {
        let retention = Retention { success_ms: Some(1), error_ms: None };
        let mut world = World::new(script).schedules(&["*/5 * * * *"]).retention(retention);
        // Many restarts between two boundaries, one a millisecond after a boundary, one a millisecond before it.
        for stop_at in [17, 18, 19].map(minute).into_iter().chain([
            Timestamp(20 * MINUTE + 1),
            Timestamp(25 * MINUTE - 1),
            minute(26),
            minute(30),
            Timestamp(30 * MINUTE + 1),
            minute(36),
        ]) {
            let handle = world.start();
            assert_eq!(world.recovered().missed, []);
            pass(&world, &handle, stop_at).await;
            if ends_by_kill {
                world.kill().await;
            } else {
                world.stop().await;
            }
        }
        let handle = world.start();
        assert_eq!(ids(&world, &handle).await, [""; 0], "the instances have been removed again by their retention");
        world.stop().await;
        assert_eq!(world.effects.order().replace("*/5 * * * *-", ""), "1200000, 1500000, 1800000, 2100000");
    }
}

/// Handlers that only note that they were called.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<(String, Timestamp)>>>);

impl CronRunner for Noted {
    fn fire(&self, firing: Firing) {
        assert_eq!(firing.worker, "worker");
        self.0.lock().unwrap().push((firing.cron, firing.time));
    }
}

impl Noted {
    fn options(&self, crons: &[&str]) -> CronOptions {
        CronOptions { triggers: triggers(crons), runner: Some(Arc::new(self.clone())), ..CronOptions::default() }
    }

    fn minutes(&self, cron: &str) -> Vec<u64> {
        let noted = self.0.lock().unwrap();
        noted.iter().filter(|(of, _)| of == cron).map(|(_, at)| at.as_millis() / MINUTE).collect()
    }
}

fn triggers(crons: &[&str]) -> Vec<CronTrigger> {
    crons.iter().map(|cron| CronTrigger { worker: "worker".to_owned(), cron: cron.parse().unwrap() }).collect()
}

#[tokio::test]
async fn killed_after_every_commit_each_boundary_fires_once() {
    let world = |noted: &Noted| {
        let mut world = World::new(script).schedules(&["*/2 * * * *", "*/3 * * * *"]);
        world.crons = CronOptions { catch_up: CatchUp::All, ..noted.options(&["*/4 * * * *"]) };
        world
    };
    let whole = async |world: &World, handle: &Handle, noted: &Noted| {
        let mut instances = expected("*/2 * * * *", [18, 20, 22, 24]);
        instances.extend(expected("*/3 * * * *", [18, 21, 24]));
        instances.sort();
        let mut made = ids(world, handle).await;
        made.sort();
        assert_eq!(made, instances);
        assert_eq!(noted.minutes("*/4 * * * *"), [20, 24]);
    };
    let noted = Noted::default();
    let mut undisturbed = world(&noted);
    let handle = undisturbed.start();
    pass(&undisturbed, &handle, minute(25)).await;
    whole(&undisturbed, &handle, &noted).await;
    undisturbed.stop().await;
    for commits in 0..undisturbed.storage.commits() {
        let noted = Noted::default();
        let mut world = world(&noted);
        world.storage.die_after(commits);
        let handle = world.start();
        world.settle(&handle).await;
        pass(&world, &handle, minute(25)).await;
        drop(handle);
        world.kill().await;
        let handle = world.start();
        pass(&world, &handle, minute(25)).await;
        whole(&world, &handle, &noted).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn what_could_not_be_committed_fires_again_and_once() {
    let noted = Noted::default();
    let mut world = World::new(script).schedules(&["*/5 * * * *"]);
    world.crons = noted.options(&["*/5 * * * *"]);
    let handle = world.start();
    world.settle(&handle).await;
    world.storage.die_after(0);
    world.clock.advance_to(minute(20));
    // For minutes: that is no reason to take it for missed.
    for second in 1..200 {
        world.settle(&handle).await;
        assert!(world.storage.is_dead() && noted.minutes("*/5 * * * *").is_empty());
        world.clock.advance_to(Timestamp(20 * MINUTE + second * 1000));
    }
    world.storage.revive();
    pass(&world, &handle, minute(31)).await;
    assert_eq!(ids(&world, &handle).await, expected("*/5 * * * *", [20, 25, 30]));
    assert_eq!(noted.minutes("*/5 * * * *"), [20, 25, 30]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_five_minutes_makes_exactly_the_right_instances() {
    let mut world =
        World::new(script).schedules(&["*/5 * * * *"]).retention(Retention { success_ms: Some(DAY), error_ms: None });
    // The 1st of January 2027.
    let begin = Timestamp(1_798_761_600_000);
    world.clock.advance_to(Timestamp(begin.as_millis() - 1));
    let handle = world.start();
    let end = Timestamp(begin.as_millis() + 31 * DAY - 1);
    pass(&world, &handle, end).await;
    let made = world.effects.all();
    let ids: Vec<_> = (0..31 * 288).map(|n| format!("*/5 * * * *-{}", begin.as_millis() + n * 5 * MINUTE)).collect();
    assert!(made.keys().eq(&ids), "{} instances", made.len());
    assert!(made.values().all(|count| *count == 1));
    world.stop().await;
}

#[tokio::test]
async fn whoever_moves_the_clock_passes_no_boundary_over_and_is_told_of_each() {
    let clock = MovableClock::new(TimeMode::Manual, Duration::ZERO, Timestamp(0));
    let noted = Noted::default();
    let made = Effects::default();
    let effects = made.clone();
    let mut workflow = WorkflowDefinition::new("w", "W", "worker");
    workflow.schedules = vec!["0 */6 * * *".parse().unwrap()];
    let dispatcher = Dispatcher::start(Options {
        storage: MemoryStorage::default(),
        reader: None,
        clock: Arc::new(clock.clone()),
        runner: Arc::new(ScriptedRunner::new().class("W", move |run, _| script(run, effects.clone()))),
        workflows: vec![workflow],
        account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
        crons: noted.options(&["*/30 * * * *"]),
    })
    .unwrap();
    let mover = Mover::new(clock, dispatcher.handle(), None);
    let moved = mover.advance(Duration::from_secs(3 * 24 * 3600)).await.unwrap();
    assert_eq!((made.all().len(), noted.minutes("*/30 * * * *").len()), (3 * 4, 3 * 48));
    let due: Vec<_> = moved.due.iter().filter(|due| due.at.as_millis() % (6 * 60 * MINUTE) == 0).collect();
    assert_eq!(due.len(), 2 * 12);
    let at = due[0].at.as_millis();
    assert_eq!(due[0].what, format!("w/0 */6 * * *-{at} is made by its schedule"));
    assert_eq!(due[1].what, "trigger `*/30 * * * *` of the Worker worker fires");
    dispatcher.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn schedules_can_be_exchanged_by_a_reload() {
    let mut world = World::new(script).schedules(&["*/10 * * * *", "*/7 * * * *"]);
    let handle = world.start();
    pass(&world, &handle, minute(22)).await;
    world.set_schedules(&["*/10 * * * *", "*/2 * * * *"]);
    world.reload(&handle).await;
    pass(&world, &handle, minute(31)).await;
    let made = ids(&world, &handle).await.join(", ").replace(" * * * *-", " ").replace("0000", "");
    assert_eq!(made, "*/10 120, */7 126, */2 144, */2 156, */2 168, */10 180, */2 180");
    world.stop().await;
}

/// A process that ended at minute 17, and one that begins at minute 41.
async fn after_a_break(catch_up: CatchUp) -> (Vec<Missed>, Vec<String>, Vec<u64>) {
    let noted = Noted::default();
    let mut world = World::new(script).schedules(&["*/10 * * * *", "59 * * * *"]);
    world.crons = CronOptions { catch_up, ..noted.options(&["*/5 * * * *"]) };
    let handle = world.start();
    pass(&world, &handle, minute(17)).await;
    world.stop().await;
    world.clock.advance_to(minute(40));
    let handle = world.start();
    let missed = world.recovered().missed;
    pass(&world, &handle, minute(51)).await;
    let made = ids(&world, &handle).await;
    world.stop().await;
    // Nothing of it is missed by the next process.
    let _ = world.start();
    assert_eq!(world.recovered().missed, []);
    world.stop().await;
    (missed, made, noted.minutes("*/5 * * * *"))
}

#[tokio::test]
async fn what_was_missed_while_no_process_was_there_is_told_and_caught_up_as_wanted() {
    let told = |runs: [u64; 2]| {
        [
            (CronTarget::Workflow("w".to_owned()), "*/10 * * * *", 3, runs[0]),
            (CronTarget::Worker("worker".to_owned()), "*/5 * * * *", 5, runs[1]),
        ]
        .map(|(target, cron, count, runs)| Missed {
            target,
            cron: cron.to_owned(),
            count,
            latest: minute(40),
            runs,
        })
    };
    for (catch_up, runs, made, fired) in [
        (CatchUp::None, [0, 0], vec![50], vec![45, 50]),
        (CatchUp::Latest, [1, 1], vec![40, 50], vec![40, 45, 50]),
        (CatchUp::All, [3, 5], vec![20, 30, 40, 50], vec![20, 25, 30, 35, 40, 45, 50]),
    ] {
        let (missed, instances, called) = after_a_break(catch_up).await;
        assert_eq!(missed, told(runs), "{catch_up:?}");
        assert_eq!(instances, expected("*/10 * * * *", made), "{catch_up:?}");
        assert_eq!(called, fired, "{catch_up:?}");
    }
}

#[tokio::test]
async fn a_leap_of_time_is_time_that_was_missed() {
    for (catch_up, fired) in [
        (CatchUp::None, vec![20, 40, 45]),
        (CatchUp::Latest, vec![20, 40, 45]),
        (CatchUp::All, vec![20, 25, 30, 35, 40, 45]),
    ] {
        let noted = Noted::default();
        let mut world = World::new(script).schedules(&["*/20 * * * *"]);
        world.crons = CronOptions { catch_up, ..noted.options(&["*/5 * * * *"]) };
        let handle = world.start();
        pass(&world, &handle, minute(21)).await;
        // The machine slept until just after a boundary, which is not late.
        world.clock.advance_to(Timestamp(40 * MINUTE + 59_000));
        pass(&world, &handle, minute(46)).await;
        assert_eq!(noted.minutes("*/5 * * * *"), fired, "{catch_up:?}");
        assert_eq!(ids(&world, &handle).await, expected("*/20 * * * *", [20, 40]), "{catch_up:?}");
        // Another time until long after the last one.
        world.clock.advance_to(minute(52));
        pass(&world, &handle, minute(53)).await;
        let more = if catch_up == CatchUp::None { vec![] } else { vec![50] };
        assert_eq!(noted.minutes("*/5 * * * *")[fired.len()..], more, "{catch_up:?}");
        world.stop().await;
        let _ = world.start();
        assert_eq!(world.recovered().missed, [], "what was skipped is not missed again");
        world.stop().await;
    }
}

#[tokio::test]
async fn what_is_new_fires_from_now_on_and_what_was_removed_is_forgotten() {
    let mut world = World::new(script).schedules(&["*/10 * * * *"]);
    world.crons.catch_up = CatchUp::All;
    let handle = world.start();
    pass(&world, &handle, minute(21)).await;
    world.stop().await;
    world.set_schedules(&["*/15 * * * *"]);
    world.clock.advance_to(minute(42));
    let handle = world.start();
    assert_eq!(world.recovered().missed, []);
    pass(&world, &handle, minute(46)).await;
    world.stop().await;
    world.set_schedules(&["*/10 * * * *", "*/15 * * * *"]);
    world.clock.advance_to(minute(61));
    let handle = world.start();
    let missed: Vec<_> = world.recovered().missed.iter().map(|missed| (missed.cron.clone(), missed.count)).collect();
    assert_eq!(missed, [("*/15 * * * *".to_owned(), 1)]);
    pass(&world, &handle, minute(71)).await;
    let made = ids(&world, &handle).await.join(", ").replace("* * * *-", "").replace("00000", "");
    assert_eq!(made, "*/10 12, */15 27, */15 36, */10 42");
    world.stop().await;
}

#[tokio::test]
async fn triggers_can_be_exchanged_while_the_others_go_on() {
    let noted = Noted::default();
    let mut world = World::new(script);
    world.crons = noted.options(&["*/10 * * * *", "*/7 * * * *"]);
    let handle = world.start();
    pass(&world, &handle, minute(22)).await;
    handle.set_triggers(triggers(&["*/10 * * * *", "*/2 * * * *"]));
    world.settle(&handle).await;
    pass(&world, &handle, minute(31)).await;
    let [tens, sevens, twos] = ["*/10 * * * *", "*/7 * * * *", "*/2 * * * *"].map(|cron| noted.minutes(cron));
    assert_eq!((tens, sevens, twos), (vec![20, 30], vec![21], vec![24, 26, 28, 30]));
    let crons = handle.crons().await.unwrap();
    let crons: Vec<_> = crons.iter().map(|state| (state.cron.as_str(), state.last)).collect();
    assert_eq!(crons, [("*/10 * * * *", Some(minute(30))), ("*/2 * * * *", Some(minute(30)))]);
    world.stop().await;
}

#[tokio::test]
async fn nothing_fires_by_itself_when_that_is_turned_off() {
    let noted = Noted::default();
    let mut world = World::new(script).schedules(&["* * * * *"]);
    world.crons = noted.options(&["* * * * *"]);
    let handle = world.start();
    pass(&world, &handle, minute(18)).await;
    world.stop().await;
    world.crons.fires = false;
    let handle = world.start();
    assert_eq!(handle.overview().await.unwrap().next_cron, None);
    world.clock.advance_to(minute(30));
    assert_eq!(ids(&world, &handle).await, expected("* * * * *", [17, 18]));
    let by_hand = Schedule { cron: "* * * * *".to_owned(), scheduled_time: minute(25) };
    handle.create_scheduled("w", by_hand).await.unwrap();
    world.stop().await;
    world.crons.fires = true;
    let handle = world.start();
    let missed: Vec<_> = world.recovered().missed.iter().map(|missed| missed.count).collect();
    assert_eq!(missed, [12, 12]);
    pass(&world, &handle, minute(31)).await;
    assert_eq!(ids(&world, &handle).await, expected("* * * * *", [17, 18, 25, 31]));
    assert_eq!(noted.minutes("* * * * *"), [17, 18, 31]);
    world.stop().await;
}

// rules: S15
#[tokio::test]
async fn an_instance_that_a_schedule_made_holds_no_slot_in_its_first_hour() {
    let waits = |run: Arc<Run>, effects: Effects| async move {
        run.wait_for_event("w", "go", None).await?;
        effects.add("on");
        std::future::pending::<()>().await;
        Ok(bytes("1"))
    };
    for (after, expected) in
        [(limits::CRON_FREE_MS - 1, InstanceStatus::Running), (limits::CRON_FREE_MS, InstanceStatus::Queued)]
    {
        let mut world = World::new(waits).schedules(&["0 1 * * *"]).limit(1);
        let handle = world.start();
        // Takes the only slot.
        handle.create("w", CreateOptions { id: Some("other".to_owned()), ..CreateOptions::default() }).await.unwrap();
        world.reach(&handle, "other", InstanceStatus::Waiting).await;
        handle.send_event("w", "other", "go", bytes("1")).await.unwrap();
        world.reach(&handle, "other", InstanceStatus::Running).await;
        world.clock.advance_to(minute(60));
        world.settle(&handle).await;
        let made = "0 1 * * *-3600000";
        world.reach(&handle, made, InstanceStatus::Waiting).await;
        world.clock.advance_to(Timestamp(60 * MINUTE + after));
        handle.send_event("w", made, "go", bytes("1")).await.unwrap();
        world.reach(&handle, made, expected).await;
        world.kill().await;
    }
}

/// A clock that knows whether somebody holds it.
#[derive(Clone)]
struct Watched {
    clock: SimClock,
    holds: Arc<AtomicUsize>,
}

struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Clock for Watched {
    fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    fn sleep_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()> {
        self.clock.sleep_until_ns(when_ns)
    }

    fn hold(&self) -> Hold {
        self.holds.fetch_add(1, Ordering::SeqCst);
        Hold::new(Held(Arc::clone(&self.holds)))
    }
}

/// Handlers that do not end before they are told to.
#[derive(Default)]
struct Kept(Mutex<Vec<Firing>>);

impl CronRunner for Kept {
    fn fire(&self, firing: Firing) {
        self.0.lock().unwrap().push(firing);
    }
}

#[tokio::test]
async fn the_clock_is_held_until_a_handler_has_ended() {
    let clock = Watched { clock: SimClock::at(START), holds: Arc::default() };
    let kept = Arc::new(Kept::default());
    let dispatcher = Dispatcher::start(Options {
        storage: MemoryStorage::default(),
        reader: None,
        clock: Arc::new(clock.clone()),
        runner: Arc::new(ScriptedRunner::new()),
        workflows: vec![WorkflowDefinition::new("w", "W", "worker")],
        account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
        crons: CronOptions { triggers: triggers(&["* * * * *"]), runner: Some(kept.clone()), ..CronOptions::default() },
    })
    .unwrap();
    for running in 1..3 {
        clock.clock.advance_ms(MINUTE);
        while kept.0.lock().unwrap().len() < running {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.holds.load(Ordering::SeqCst), running, "the next handler runs beside the one before");
    }
    kept.0.lock().unwrap().clear();
    assert_eq!(clock.holds.load(Ordering::SeqCst), 0);
    dispatcher.shutdown(Duration::ZERO).await;
}
