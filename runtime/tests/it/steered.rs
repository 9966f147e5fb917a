//! The process dies before and after any commit while somebody steers instances: what was answered has come about, what was refused has
//! not, and what is recorded is not done again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt;
use miniflow_runtime::dispatcher::RestartFrom;
use miniflow_runtime::engine::{Entry, Instance, RollbackOutcome};
use miniflow_runtime::testing::Handlers;
use miniflow_runtime::{ApiError, Bytes, DurationSpec, ErrorInfo, Handle, InstanceStatus, Run, StatusReport, StepKind};

use crate::guest::Saga;
use crate::world::{Effects, World, boom, bytes, text, with_id};

/// Two steps with compensations around a wait, then the end that the id says.
async fn script(run: Arc<Run>, effects: Effects, handlers: Handlers) -> Result<Bytes, ErrorInfo> {
    let saga = Saga { run: Arc::clone(&run), effects, handlers };
    let id = run.instance_id().to_owned();
    let a = saga.step(&format!("{id} a")).await?;
    let event = run.wait_for_event("wait", "go", Some(DurationSpec::Text("1 day".into()))).await?;
    let b = saga.step(&format!("{id} b")).await?;
    run.sleep("nap", DurationSpec::Text("1 hour".into())).await?;
    if id.starts_with("fails") {
        return Err(boom());
    }
    Ok(bytes(format!("{} {} {}", text(&a), text(&event.payload), text(&b))))
}

/// What somebody does, one after the other.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Create(&'static str),
    /// Ten instances with ids that begin so.
    CreateBatch(&'static str),
    Pause(&'static str),
    Resume(&'static str),
    Send(&'static str, &'static str),
    /// The same, and whoever sends it is gone before the answer.
    Throw(&'static str, &'static str),
    /// From the step `b`.
    RestartFrom(&'static str),
    Terminate(&'static str),
    /// Waits until it has this status, while time passes.
    Reach(&'static str, InstanceStatus),
}

use Deed::{Create, CreateBatch, Pause, Reach, RestartFrom as From, Resume, Send, Terminate, Throw};
use InstanceStatus::{Complete, Errored, Paused, Terminated, Waiting};

const BATCH: usize = 10;

fn ids(prefix: &str) -> Vec<String> {
    (0..BATCH).map(|n| format!("{prefix}{n}")).collect()
}

struct Steered {
    world: World,
    handle: Handle,
    deaths: u32,
}

impl Steered {
    /// Of a process that dies after this many commits, if it is told.
    fn start(dies_after: Option<u64>) -> Self {
        let mut world = World::saga(script);
        if let Some(commits) = dies_after {
            world.storage.die_after(commits);
        }
        let handle = world.start();
        Self { world, handle, deaths: 0 }
    }

    async fn perform(&mut self, deed: Deed) {
        while !self.attempt(deed).await {
            self.deaths += 1;
            assert_eq!(self.deaths, 1, "a process that is alive refuses {deed:?}");
            let recorded: BTreeMap<_, _> =
                self.recorded().into_iter().map(|name| (name.clone(), self.world.effects.of(&name))).collect();
            self.world.kill().await;
            self.handle = self.world.start();
            self.did_not_happen(deed).await;
            self.world.settle(&self.handle).await;
            for (name, count) in recorded {
                assert_eq!(self.world.effects.of(&name), count, "{name} was recorded and ran again");
            }
        }
    }

    /// No death is to come any more; a process that has died and that nobody has noticed begins again.
    async fn live_on(&mut self) {
        let died = self.world.storage.is_dead();
        self.world.storage.revive();
        if died {
            self.deaths += 1;
            self.world.kill().await;
            self.handle = self.world.start();
            self.world.settle(&self.handle).await;
        }
    }

    /// Names of all the `do` steps that are done by what the journals say now: a restart from a step takes it back.
    fn recorded(&self) -> Vec<String> {
        let done = |id| {
            let instance = Instance::replay(self.world.storage.entries(id));
            let done = instance.done_order().iter().filter_map(|no| instance.step(*no));
            done.filter(|step| step.key.kind == StepKind::Do).map(|step| step.key.name.to_string()).collect::<Vec<_>>()
        };
        ["one", "fails", "ends"].into_iter().flat_map(done).collect()
    }

    /// False: the process is dead.
    async fn attempt(&self, deed: Deed) -> bool {
        let handle = &self.handle;
        let done: Result<(), ApiError> = match deed {
            Create(id) => handle.create("w", with_id(id)).await.map(drop),
            CreateBatch(prefix) => {
                let batch = ids(prefix).iter().map(|id| with_id(id)).collect();
                handle.create_batch("w", batch).await.map(|created| assert_eq!(created.len(), BATCH))
            }
            Pause(id) => handle.pause("w", id).await,
            Resume(id) => handle.resume("w", id).await,
            Send(id, payload) => handle.send_event("w", id, "go", bytes(payload)).await,
            // Nobody waits for the answer. One that is there at once is of a process that is dead.
            Throw(id, payload) => handle.send_event("w", id, "go", bytes(payload)).now_or_never().unwrap_or(Ok(())),
            From(id) => {
                let from = RestartFrom { name: format!("{id} b"), count: 1, kind: StepKind::Do };
                handle.restart("w", id, Some(from)).await
            }
            Terminate(id) => handle.terminate("w", id, true).await,
            Reach(id, wanted) => return self.reach(id, wanted).await,
        };
        match done {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.code, "internal", "{deed:?}: {error}");
                false
            }
        }
    }

    async fn reach(&self, id: &str, wanted: InstanceStatus) -> bool {
        for _ in 0..200_000 {
            let Ok(report) = self.handle.status("w", id).await else { return false };
            if report.status == wanted {
                return true;
            }
            if self.world.storage.is_dead() {
                return false;
            }
            let Some(overview) = self.handle.overview().await else { return false };
            if overview.runs == overview.parked
                && overview.starting == 0
                && report.status != InstanceStatus::Running
                && let Some(next) = overview.next_timer
            {
                self.world.clock.advance_to(next);
            }
            tokio::task::yield_now().await;
        }
        panic!("{id} is never {wanted}: {:?}", self.handle.status("w", id).await);
    }

    /// How often this is among the events that the journal has.
    fn received(&self, id: &str, wanted: &str) -> usize {
        let is_it = |entry: &Entry| matches!(entry, Entry::EventReceived { payload, .. } if text(payload) == wanted);
        self.world.storage.entries(id).iter().filter(|stamped| is_it(&stamped.entry)).count()
    }

    /// What was refused has left nothing behind.
    async fn did_not_happen(&self, deed: Deed) {
        let status = async |id: &str| self.handle.status("w", id).await.map(|report| report.status);
        match deed {
            Create(id) => assert_eq!(status(id).await.unwrap_err().code, "instance.not_found"),
            CreateBatch(prefix) => {
                for id in ids(prefix) {
                    assert_eq!(status(&id).await.unwrap_err().code, "instance.not_found", "of a batch all or none");
                }
            }
            Pause(id) => assert_ne!(status(id).await.unwrap(), Paused),
            Resume(id) => assert_eq!(status(id).await.unwrap(), Paused),
            From(id) => assert_eq!(status(id).await.unwrap(), Complete),
            Terminate(id) => assert_eq!(status(id).await.unwrap(), Waiting),
            Send(id, payload) => assert_eq!(self.received(id, payload), 0, "`{payload}` was refused"),
            Throw(..) | Reach(..) => {}
        }
    }
}

/// Does these deeds in a process that dies after each of its commits, and looks at what has come of it.
async fn check(deeds: &[Deed], look: impl AsyncFn(&Steered)) {
    let mut undisturbed = Steered::start(None);
    for deed in deeds {
        undisturbed.perform(*deed).await;
    }
    look(&undisturbed).await;
    let commits = undisturbed.world.storage.commits();
    undisturbed.world.stop().await;
    assert!(commits > deeds.len() as u64 / 2, "{commits}");
    let mut deaths = 0;
    for commits in 0..commits {
        let mut steered = Steered::start(Some(commits));
        for deed in deeds {
            steered.perform(*deed).await;
        }
        // A busy machine makes larger groups, and fewer commits: it may be that none has been the last.
        steered.live_on().await;
        look(&steered).await;
        deaths += steered.deaths;
        steered.world.stop().await;
    }
    assert!(u64::from(deaths) * 4 > commits, "it died {deaths} times in {commits} tries");
}

async fn report(steered: &Steered, id: &str) -> StatusReport {
    steered.handle.status("w", id).await.unwrap()
}

/// Bodies that were not recorded may have run twice, once in each process.
fn once_or_twice(steered: &Steered, name: &str) {
    let count = steered.world.effects.of(name);
    assert!((1..=1 + steered.deaths).contains(&count), "{count} times {name}");
}

// rules: C4.1-1, B1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_resumes_and_restarts_from_a_step_survive_a_death_at_any_commit() {
    let deeds = [
        Create("one"),
        Reach("one", Waiting),
        Pause("one"),
        Reach("one", Paused),
        Send("one", "first"),
        Resume("one"),
        Reach("one", Complete),
        From("one"),
        Reach("one", Complete),
    ];
    check(&deeds, async |steered| {
        let output = report(steered, "one").await.output.unwrap();
        assert_eq!(text(&output), "one a first one b");
        once_or_twice(steered, "one a");
        let again = steered.world.effects.of("one b");
        assert!((2..=2 + steered.deaths).contains(&again), "{again} times b, which was done anew");
    })
    .await;
}

// rules: C4.3-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_refused_never_was_and_one_without_an_answer_was_once_or_never() {
    let deeds = [
        Create("one"),
        Reach("one", Waiting),
        Throw("one", "thrown"),
        Send("one", "sent"),
        Pause("one"),
        Reach("one", Paused),
        Throw("one", "thrown at a pause"),
        Send("one", "sent to a pause"),
        Resume("one"),
        Reach("one", Complete),
    ];
    let lost = AtomicU32::new(0);
    check(&deeds, async |steered| {
        for payload in ["sent", "sent to a pause"] {
            assert_eq!(steered.received("one", payload), 1, "{payload}");
        }
        let thrown = ["thrown", "thrown at a pause"].map(|payload| steered.received("one", payload));
        assert!(thrown.iter().all(|times| *times <= 1), "{thrown:?}");
        assert!(steered.deaths > 0 || thrown == [1, 1], "they are lost by a death only");
        lost.fetch_add(2 - thrown.iter().sum::<usize>() as u32, Ordering::Relaxed);
        let first = if thrown[0] == 1 { "thrown" } else { "sent" };
        assert_eq!(text(&report(steered, "one").await.output.unwrap()), format!("one a {first} one b"));
    })
    .await;
    assert!(lost.into_inner() > 0, "no death came in between");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_does_not_come_about_when_the_disk_takes_it_again() {
    for refused in [Create("fails"), CreateBatch("x"), Pause("one"), Send("one", "refused"), Terminate("one")] {
        let mut steered = Steered::start(None);
        steered.perform(Create("one")).await;
        steered.perform(Reach("one", Waiting)).await;
        steered.world.settle(&steered.handle).await;
        steered.world.storage.die_after(0);
        assert!(!steered.attempt(refused).await, "{refused:?}");
        steered.world.storage.revive();
        steered.did_not_happen(refused).await;
        // By then what could not be committed has been looked at again.
        steered.world.clock.advance_ms(1000);
        steered.world.settle(&steered.handle).await;
        steered.did_not_happen(refused).await;
        steered.perform(Send("one", "sent")).await;
        steered.perform(Reach("one", Complete)).await;
        assert_eq!(text(&report(&steered, "one").await.output.unwrap()), "one a sent one b");
        assert_eq!(steered.world.effects.order(), "one a, one b");
        steered.world.stop().await;
    }
}

// rules: C2.6-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollbacks_survive_a_death_at_any_commit() {
    let deeds = [
        Create("fails"),
        Reach("fails", Waiting),
        Send("fails", "go on"),
        Reach("fails", Errored),
        Create("ends"),
        Reach("ends", Waiting),
        Terminate("ends"),
        Reach("ends", Terminated),
    ];
    check(&deeds, async |steered| {
        let complete = Some(RollbackOutcome { error: None });
        let failed = report(steered, "fails").await;
        assert_eq!((failed.error, failed.rollback), (Some(boom()), complete.clone()));
        assert_eq!(report(steered, "ends").await.rollback, complete);
        for name in ["fails a", "fails b", "undo fails b", "undo fails a", "ends a", "undo ends a"] {
            once_or_twice(steered, name);
        }
        let order = steered.world.effects.order();
        assert!(order.rfind("undo fails b") < order.find("undo fails a"), "{order}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_created_as_a_whole_or_not_at_all_whenever_the_process_dies() {
    let deeds = [CreateBatch("x"), Reach("x9", Waiting), CreateBatch("y"), Reach("y9", Waiting)];
    check(&deeds, async |steered| {
        for id in ids("x").iter().chain(&ids("y")) {
            assert!(steered.reach(id, Waiting).await);
        }
        assert_eq!(steered.world.storage.journals(), 2 * BATCH);
    })
    .await;
}
