//! Drives the engine and the model side by side, from moment to moment, and compares what can be seen of them.
//!
//! Deterministic, because nothing is done before the engine has come to rest. Where it dies with some of what it did durable, the model is
//! taken in every shape that is allowed; those that do not agree with what is seen are dropped, and one has to be left.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::dispatcher::{CronOptions, RestartFrom};
use miniflow_runtime::engine::limits;
use miniflow_runtime::testing::{MemoryStorage, SimClock};
use miniflow_runtime::{
    ApiError, Bytes, CreateOptions, Dispatcher, ErrorInfo, Handle, Options, StepKind, Timestamp, WorkflowDefinition,
};

use super::guest::{Effect, Guests, Told, kind_name, text};
use super::plain::{Fault, Model, Report, fault, is_final};
use super::program::{Act, Case, Ms, Op, Program};

const START: Ms = 1_000_000;
const WORKFLOW: &str = "w";
const ID: &str = "one";
/// Moments of one case, at most.
const MOMENTS_MAX: usize = 1000;

/// What became of a case.
pub(super) enum End {
    /// The engine did as the model, and these were seen.
    Agreed(BTreeSet<&'static str>),
    /// Things happened at the same moment, in an order that nobody promises.
    Tied,
}

/// What is done to a model. It appends to the trail what it makes of it on the way, and says up to where that is durable.
type Change<'a> = dyn FnMut(&mut Model, &mut Vec<Model>) -> usize + 'a;

struct Trial {
    program: Arc<Program>,
    storage: MemoryStorage,
    clock: SimClock,
    told: Arc<Told>,
    dispatcher: Option<Dispatcher>,
    now: Ms,
    models: Vec<Model>,
    tied: bool,
    /// What happened, for whoever reads a failure.
    story: String,
}

/// Tries `case`. The error tells how the engine differs.
pub(super) async fn check(case: &Case) -> Result<End, String> {
    let program = Arc::new(case.program.clone());
    let mut trial = Trial {
        models: vec![Model::new(Arc::clone(&program))],
        program,
        storage: MemoryStorage::default(),
        clock: SimClock::at(Timestamp(START)),
        told: Arc::default(),
        dispatcher: None,
        now: START,
        tied: false,
        story: String::new(),
    };
    trial.start();
    let outcome = trial.run(case).await;
    trial.storage.die_after(0);
    trial.end().await;
    match outcome {
        _ if trial.tied => Ok(End::Tied),
        Ok(()) => Ok(End::Agreed(trial.models[0].seen.clone())),
        Err(difference) => Err(format!("{difference}\n{}", trial.story)),
    }
}

impl Trial {
    async fn run(&mut self, case: &Case) -> Result<(), String> {
        self.handle().create(WORKFLOW, options()).await.map_err(|error| error.to_string())?;
        self.change(&mut |_, _| 0).await?;
        let mut at = START;
        for (index, step) in case.moves.iter().enumerate() {
            at += step.after;
            self.pass_to(at).await?;
            if self.tied {
                return Ok(());
            }
            // Ends of processes take time as well.
            at = self.now;
            self.operate(&step.op, &format!("e{index}")).await?;
            at = at.max(self.now);
        }
        self.storage.revive();
        for _ in 0..MOMENTS_MAX {
            if self.tied || self.models.iter().all(|model| !model.exists || is_final(model.status)) {
                return Ok(());
            }
            match self.next_moment().await {
                Some(next) => self.move_to(next).await?,
                None => self.operate(&Op::Resume, "").await?,
            }
        }
        Err("it does not come to an end".to_owned())
    }

    // ---- time -----------------------------------------------------------------------------------------------------

    async fn pass_to(&mut self, at: Ms) -> Result<(), String> {
        for _ in 0..MOMENTS_MAX {
            match self.next_moment().await {
                _ if self.tied => return Ok(()),
                Some(next) if next <= at => self.move_to(next).await?,
                _ if at > self.now => return self.move_to(at).await,
                _ => return Ok(()),
            }
        }
        Err("time does not pass".to_owned())
    }

    /// When the engine, a body or the model does something next.
    async fn next_moment(&self) -> Option<Ms> {
        let timer = self.handle().overview().await.and_then(|overview| overview.next_timer).map(|at| at.0);
        let models = self.models.iter().filter_map(Model::next);
        models.chain(timer).chain(self.told.next_end()).filter(|at| *at > self.now).min()
    }

    async fn move_to(&mut self, at: Ms) -> Result<(), String> {
        self.now = at;
        self.clock.advance_to(Timestamp(at));
        self.change(&mut |_, _| 0).await
    }

    // ---- changes --------------------------------------------------------------------------------------------------

    /// Takes a change into the models, waits for the engine to come to rest, and compares. `change` is told what it did is durable
    /// up to which copy of the trail.
    async fn change(&mut self, change: &mut Change<'_>) -> Result<(), String> {
        let mut ends = Vec::new();
        let mut trails = Vec::new();
        for mut model in std::mem::take(&mut self.models) {
            let mut trail = vec![model.clone()];
            let durable = change(&mut model, &mut trail);
            model.go_on(self.now, &mut self.tied, &mut trail);
            trail.drain(..durable);
            trails.extend(trail);
            ends.push(model);
        }
        if self.rest().await? {
            self.models = ends;
            return self.compare().await;
        }
        let _ = writeln!(self.story, "{}: the process dies", self.now);
        self.end().await;
        self.storage.revive();
        let effects = self.told.take();
        if !ends.iter().any(|end| is_part(&effects, &end.effects)) {
            return Err(format!("at its end the process had done {effects:?}"));
        }
        for model in &mut trails {
            model.effects.clear();
            model.see("process that dies after a commit");
            self.tied |= model.wakes_to_a_tie(self.now);
            model.wake(self.now);
        }
        self.models = trails;
        self.start();
        Box::pin(self.change(&mut |_, _| 0)).await
    }

    async fn operate(&mut self, op: &Op, payload: &str) -> Result<(), String> {
        let _ = writeln!(self.story, "{}: {op:?}", self.now);
        match op {
            Op::Kill(down) => {
                self.storage.die_after(0);
                return self.restart_process(*down, false).await;
            }
            Op::Stop(down) => {
                self.storage.revive();
                return self.restart_process(*down, true).await;
            }
            Op::KillAfter(commits) => {
                self.storage.die_after(*commits);
                return Ok(());
            }
            _ => {}
        }
        let done = self.ask(op, payload).await.map_err(|error| error.message);
        let died = self.storage.is_dead();
        let now = self.now;
        let mut expected = Vec::new();
        self.change(&mut |model, trail| {
            let before = trail.len();
            expected.push(model.operate(op, payload, now, trail));
            // What was answered is durable, whatever dies later.
            if done.is_ok() && trail.len() > before { trail.len() - 1 } else { 0 }
        })
        .await?;
        if !died && !expected.contains(&done) {
            return Err(format!("{op:?} at {now}: {done:?} instead of {expected:?}"));
        }
        Ok(())
    }

    async fn ask(&self, op: &Op, payload: &str) -> Result<(), ApiError> {
        let handle = self.handle();
        match op {
            Op::Pause => handle.pause(WORKFLOW, ID).await,
            Op::Resume => handle.resume(WORKFLOW, ID).await,
            Op::Event(kind) => {
                handle.send_event(WORKFLOW, ID, &kind_name(*kind), Bytes::from(payload.to_owned())).await
            }
            Op::Terminate { rollback } => handle.terminate(WORKFLOW, ID, *rollback).await,
            Op::Restart => handle.restart(WORKFLOW, ID, None).await,
            Op::RestartFrom(no) => {
                let no = no % self.program.acts.len();
                let kind = match self.program.acts[no] {
                    Act::Do(_) => StepKind::Do,
                    Act::Sleep(_) => StepKind::Sleep,
                    Act::Wait { .. } => StepKind::Wait,
                };
                handle.restart(WORKFLOW, ID, Some(RestartFrom { name: format!("s{no}"), count: 1, kind })).await
            }
            Op::Recreate => {
                let deleted = handle.delete(WORKFLOW, ID).await;
                handle.create(WORKFLOW, options()).await.and(deleted)
            }
            Op::Kill(_) | Op::KillAfter(_) | Op::Stop(_) => Ok(()),
        }
    }

    async fn restart_process(&mut self, down: Ms, in_order: bool) -> Result<(), String> {
        self.end().await;
        let now = self.now;
        self.now += down;
        self.clock.advance_to(Timestamp(self.now));
        self.storage.revive();
        for model in &mut self.models {
            model.see(match (in_order, model.status, model.executes()) {
                (false, "waitingForPause", _) => "process that dies while a pause comes",
                (false, "waiting", _) => "process that dies while it waits",
                (false, "paused", _) => "process that dies while it is paused",
                (true, "running", _) => "process that is stopped while a body runs",
                (true, "rollingBack", _) => "process that is stopped during a rollback",
                _ => "process that ends otherwise",
            });
            if in_order {
                model.stop(now);
            }
            self.tied |= model.wakes_to_a_tie(self.now);
            model.wake(self.now);
        }
        self.start();
        self.change(&mut |_, _| 0).await
    }

    // ---- the engine -----------------------------------------------------------------------------------------------

    fn start(&mut self) {
        let runner = Guests {
            program: Arc::clone(&self.program),
            told: Arc::clone(&self.told),
            runtime: tokio::runtime::Handle::current(),
        };
        let dispatcher = Dispatcher::start(Options {
            storage: self.storage.clone(),
            reader: None,
            clock: Arc::new(self.clock.clone()),
            runner: Arc::new(runner),
            workflows: vec![WorkflowDefinition::new(WORKFLOW, "W", "worker")],
            account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
            crons: CronOptions::default(),
        });
        self.dispatcher = Some(dispatcher.unwrap());
    }

    async fn end(&mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.shutdown(Duration::ZERO).await;
        }
        // Guests that were stopped are dropped when they are polled again.
        while self.told.next_end().is_some() {
            tokio::task::yield_now().await;
        }
    }

    fn handle(&self) -> Handle {
        self.dispatcher.as_ref().expect("a process runs").handle()
    }

    /// Waits until the engine can do nothing before a timer fires. False: it died.
    async fn rest(&self) -> Result<bool, String> {
        let handle = self.handle();
        let mut calm = 0;
        for _ in 0..100_000 {
            let polls = self.told.polls();
            // Answered after timers that are due have fired, and after the commit.
            let _ = handle.get(WORKFLOW, ID).await;
            // What waits for a commit to ride with is committed now.
            let _ = handle.status(WORKFLOW, ID).await;
            let starting = handle.overview().await.map_or(0, |overview| overview.starting);
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            if self.storage.is_dead() {
                return Ok(false);
            }
            calm = if starting == 0 && polls == self.told.polls() { calm + 1 } else { 0 };
            if calm == 2 {
                return Ok(true);
            }
        }
        Err(format!("it does not come to rest: {:?} {}", handle.overview().await, self.told.polls()))
    }

    // ---- comparing ------------------------------------------------------------------------------------------------

    async fn compare(&mut self) -> Result<(), String> {
        let report = match self.handle().status(WORKFLOW, ID).await {
            Ok(report) => Some(Report {
                status: report.status.to_string(),
                output: report.output.as_ref().map(text),
                error: report.error.map(told),
                rollback: report.rollback.map(|outcome| outcome.error.map(told)),
            }),
            Err(error) if error.code == "instance.not_found" => None,
            Err(error) => return Err(error.to_string()),
        };
        let effects = self.told.take();
        let next = self.handle().overview().await.and_then(|overview| overview.next_timer);
        let _ = writeln!(
            self.story,
            "{}: {report:?} {effects:?}, next {next:?}, {} commits",
            self.now,
            self.storage.commits()
        );
        let agrees = |model: &Model| {
            model.report() == report && model.effects.len() == effects.len() && is_part(&effects, &model.effects)
        };
        let (agree, differ): (Vec<_>, Vec<_>) = std::mem::take(&mut self.models).into_iter().partition(agrees);
        if agree.is_empty() && !self.tied {
            let mut text = format!("at {} the engine says {report:?} {effects:?}, the model", self.now);
            for model in differ {
                let _ = write!(text, "\n  {:?} {:?}", model.report(), model.effects);
            }
            return Err(text);
        }
        for mut model in agree {
            model.effects.clear();
            if !self.models.iter().any(|known| known.is_like(&model)) {
                self.models.push(model);
            }
        }
        Ok(())
    }
}

/// Whether all of `some` is in `all`. What happens at one moment has no order.
fn is_part(some: &[Effect], all: &[Effect]) -> bool {
    let mut left = all.to_vec();
    some.iter()
        .all(|effect| left.iter().position(|known| known == effect).map(|index| left.swap_remove(index)).is_some())
}

fn options() -> CreateOptions {
    CreateOptions { id: Some(ID.to_owned()), ..CreateOptions::default() }
}

fn told(error: ErrorInfo) -> Fault {
    fault(&error.name, error.message)
}
