//! The guest's side of the runtime: one [`Run`] is one activation of the code of an instance.
//!
//! Promises: steps are counted in the order they are asked for; what is recorded is handed out as it was seen then (`replay`);
//! the first attempt of a new step begins without a round trip to the dispatcher, its result is never reported before it is
//! durable. Every future here may be dropped at any await: a dropped step is recorded as abandoned, unless the run itself is over.
//!
//! Never does: run guest code, decide anything about the instance.

mod ask;
mod attempt;
mod call;
mod compensate;
mod drive;
mod hold;
mod replay;
mod scripted;
mod stream;
mod trial;
mod wait;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use tokio::sync::{Notify, mpsc, oneshot};

pub use attempt::{Attempt, Begun, Verdict};
pub use call::Busy;
use call::{Kind, Open};
pub use compensate::Compensating;
use compensate::Phase;
pub use drive::{Driven, drive};
use hold::Hold;
use replay::{Ask, Release, Replay, Ticket};
pub use stream::StreamReader;
pub use trial::{Fit, Trial};

use crate::clock::{Clock, Timestamp};
use crate::dispatcher::WorkflowDefinition;
use crate::dispatcher::message::{InstanceKey, Message, RunId, RunMessage};
use crate::engine::{
    Answer, Bytes, Command, ErrorInfo, Instance, InstanceStatus, Outcome, StepConfig, StepKey, StepKind, StepOptions,
    text, validate,
};
use crate::script::Script;

/// The input of `run`, the same in every run of an instance.
#[derive(Clone, Debug)]
pub struct RunEvent {
    /// JSON.
    pub payload: Bytes,
    /// When the instance was created.
    pub timestamp: Timestamp,
    /// Present when a schedule made the instance.
    pub schedule: Option<Schedule>,
}

/// The schedule that made an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The expression as configured.
    pub cron: String,
    /// The moment it stood for.
    pub scheduled_time: Timestamp,
}

/// How the guest's code ended, when it was not stopped.
#[derive(Clone, Debug)]
pub enum RunEnd {
    /// It returned, after [`Run::settle`] if all is well.
    Returned,
    /// It trapped, or could not be started.
    Trapped {
        /// What it died of, readable by its author.
        error: ErrorInfo,
    },
    /// The host could not give it what it needs, such as a stack. The guest is not to blame: its open attempts do not count, and a
    /// new run starts from the journal.
    Interrupted {
        /// Resource that was missing, for the log.
        reason: String,
    },
}

/// One activation of an instance's code.
pub struct Run {
    pub(crate) id: RunId,
    pub(crate) key: InstanceKey,
    definition: Arc<WorkflowDefinition>,
    instance_id: Arc<str>,
    event: RunEvent,
    clock: Arc<dyn Clock>,
    engine: mpsc::UnboundedSender<Message>,
    /// Calls of all runs whose answer is a commit away.
    committing: Arc<AtomicUsize>,
    /// What the guest drops now is no decision of its own: it is to be dropped, or `run` has ended.
    closed: AtomicBool,
    /// The guest is to be dropped.
    stopping: AtomicBool,
    stop: Notify,
    /// Every step that is to be compensated has been asked for.
    rollback_ready: Notify,
    /// Set in tests of workflows only.
    script: OnceLock<Arc<Script>>,
    /// Set in a trial of new code only.
    seen: OnceLock<Mutex<trial::Seen>>,
    inner: Mutex<Inner>,
}

struct Inner {
    replay: Replay,
    counts: HashMap<(StepKind, Arc<str>), u32>,
    waiting: HashMap<Ticket, oneshot::Sender<Option<Outcome>>>,
    /// Commands that need no answer, sent with the next that does or when the guest waits.
    told: Vec<Command>,
    /// Steps asked for and not over.
    open: usize,
    /// Calls whose answer is a commit away.
    committing: usize,
    /// Calls whose answer may take long.
    parked: usize,
    /// Bodies the guest runs.
    bodies: Vec<(StepKey, u32)>,
    /// Bodies the guest is in just now, outermost first.
    entered: Vec<(StepKey, u32)>,
    /// The guest says when it goes into a body.
    tells: bool,
    /// Things of the outside world the guest waits for.
    outside: usize,
    /// Of these, waits on the clock.
    napping: usize,
    /// The last poll left the guest waiting for others.
    at_rest: bool,
    /// Whoever polls the guest.
    driver: Option<Waker>,
    answers_seen: u64,
    /// How far an earlier run came, until this one is known to be further.
    came_until: Option<Timestamp>,
    do_steps: u32,
    idle_sent: Option<(u64, usize)>,
    /// The dispatcher knows that the guest waits for more than a commit, so that others may have their turn.
    yielded: bool,
    hold: Hold,
    phase: Phase,
    /// The outcome is handed in, and no compensation is left to run.
    over: bool,
}

impl Inner {
    fn current(&self) -> Option<(StepKey, u32)> {
        match (self.entered.last(), self.bodies.as_slice()) {
            (Some(innermost), _) => Some(innermost.clone()),
            (None, [only]) => Some(only.clone()),
            _ => None,
        }
    }
}

impl Inner {
    fn hand_out(&mut self, releases: Vec<Release>) {
        for release in releases {
            let (ticket, outcome) = match release {
                Release::Outcome(ticket, outcome) => (ticket, Some(outcome)),
                Release::Live(ticket) => (ticket, None),
            };
            if let Some(call) = self.waiting.remove(&ticket) {
                // The receiver is gone when the guest dropped the call: then nobody wants it.
                let _ = call.send(outcome);
            }
        }
    }
}

impl Run {
    pub(crate) fn new(
        (id, key): (RunId, InstanceKey),
        definition: Arc<WorkflowDefinition>,
        instance_id: Arc<str>,
        event: RunEvent,
        instance: &mut Instance,
        (clock, engine, committing): (Arc<dyn Clock>, mpsc::UnboundedSender<Message>, Arc<AtomicUsize>),
    ) -> Arc<Self> {
        let rolls_back = instance.status() == InstanceStatus::RollingBack;
        let came_until = Some(instance.came_until());
        let inner = Inner {
            replay: Replay::take(instance),
            counts: HashMap::new(),
            waiting: HashMap::new(),
            told: Vec::new(),
            open: 0,
            committing: 0,
            parked: 0,
            bodies: Vec::new(),
            entered: Vec::new(),
            tells: false,
            outside: 0,
            napping: 0,
            at_rest: false,
            driver: None,
            answers_seen: 0,
            came_until,
            do_steps: 0,
            idle_sent: None,
            yielded: false,
            hold: Hold::default(),
            phase: if rolls_back { Phase::Collecting } else { Phase::Running },
            over: false,
        };
        Arc::new(Self {
            id,
            key,
            definition,
            instance_id,
            event,
            clock,
            engine,
            committing,
            closed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            rollback_ready: Notify::new(),
            script: OnceLock::new(),
            seen: OnceLock::new(),
            inner: Mutex::new(inner),
        })
    }

    /// Name of the workflow.
    #[must_use]
    pub fn workflow_name(&self) -> &str {
        &self.definition.name
    }

    /// The class that implements the workflow.
    #[must_use]
    pub fn class_name(&self) -> &str {
        &self.definition.class_name
    }

    /// The Worker that has the class.
    #[must_use]
    pub fn worker(&self) -> &str {
        &self.definition.worker
    }

    /// Id of the instance.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// The input of `run`.
    #[must_use]
    pub fn event(&self) -> &RunEvent {
        &self.event
    }

    /// The clock the instance lives by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn definition(&self) -> &WorkflowDefinition {
        &self.definition
    }

    // ---- what the guest asks --------------------------------------------------------------------------------------

    /// Asks for the `do` step `name`. Cancel-safe.
    pub async fn begin_step(self: &Arc<Self>, name: &str, options: StepOptions) -> Begun {
        let limit = self.definition.step_limit;
        let over = {
            let mut inner = self.lock();
            if inner.phase == Phase::Compensating {
                return Begun::Failed(ErrorInfo::new(text::FATAL, text::STEP_IN_ROLLBACK));
            }
            inner.do_steps += 1;
            inner.do_steps > limit
        };
        if over {
            return Begun::Failed(text::step_limit(limit));
        }
        if !validate::step_name(name) {
            return Begun::Failed(text::invalid_step_name(name));
        }
        let config = match StepConfig::resolve(name, &options) {
            Ok(config) => Arc::new(config),
            Err(error) => return Begun::Failed(error),
        };
        let rollback = options.rollback.as_ref().map(|options| StepConfig::resolve_rollback(name, options));
        let rollback = match rollback.transpose() {
            Ok(rollback) => rollback.map(Arc::new),
            Err(error) => return Begun::Failed(error),
        };
        let mut open = self.ask_for(StepKind::Do, name);
        let (recorded, known) = open.recorded().await;
        let (key, alone, nested) = (open.key.clone(), open.alone, open.nested);
        let command = Command::BeginStep { key, config: Arc::clone(&config), rollback, nested, alone };
        let answer = match recorded {
            Some(outcome) => Answer::Settled(outcome),
            None if known => self.ask(command, Kind::Parked).await,
            None => return self.hand_over(Attempt::begin(open, config, command).await).await,
        };
        match answer {
            Answer::Execute { attempt, config } => self.hand_over(Attempt::of_step(open, attempt, config)).await,
            Answer::Settled(outcome) => {
                open.over = true;
                match outcome {
                    Outcome::Output(bytes) => Begun::Recorded(bytes),
                    Outcome::Stream(step, stream) => {
                        Begun::RecordedStream(StreamReader::new(self, &open.key, step, stream))
                    }
                    Outcome::Failed(error) => Begun::Failed(error),
                    _ => Begun::Failed(mixed_up(&open.key)),
                }
            }
            // Said to a success only, and to compensations.
            Answer::Later | Answer::Compensate(_) | Answer::RollBack => std::future::pending().await,
        }
    }

    /// Hands in how `run` ended. Returns when it is durable; true: compensations are to be run, see [`Self::next_rollback`].
    pub async fn settle(self: &Arc<Self>, outcome: Result<Bytes, ErrorInfo>) -> bool {
        // Steps the guest still holds are dropped with it, not by its decision.
        self.closed.store(true, Ordering::Release);
        self.ends(outcome.as_ref().err()).await;
        self.pass().await;
        let phase = {
            let mut inner = self.lock();
            std::mem::replace(&mut inner.phase, Phase::Compensating)
        };
        if phase != Phase::Running {
            // It rolls back already.
            return true;
        }
        match self.ask(Command::Settle { outcome }, Kind::Commit).await {
            Answer::RollBack => true,
            _ => {
                self.lock().over = true;
                false
            }
        }
    }

    // ---- what the runner tells ------------------------------------------------------------------------------------

    /// Says who is to poll the guest when there is something to look at.
    fn driven_by(&self, waker: &Waker) {
        let mut inner = self.lock();
        inner.at_rest = false;
        match &mut inner.driver {
            Some(driver) => driver.clone_from(waker),
            driver => *driver = Some(waker.clone()),
        }
    }

    /// Called after every poll of the guest that returned pending; `woken` tells whether its waker was called meanwhile.
    pub fn after_poll(&self, woken: bool) {
        let mut inner = self.lock();
        self.tell_held(&mut inner);
        if !woken {
            let outside = inner.outside > 0 || !inner.bodies.is_empty();
            let releases = inner.replay.quiescent(outside);
            // Every handler is there, or the code does not come to the rest any more.
            let collected = inner.replay.is_collected() || (releases.is_empty() && inner.open > 0);
            if inner.phase == Phase::Collecting && !outside && collected {
                self.rollback_ready.notify_one();
                return;
            }
            if !releases.is_empty() {
                inner.hand_out(releases);
                self.flush(&mut inner);
                return;
            }
            inner.at_rest = true;
            let idle = inner.parked > 0
                && inner.committing == 0
                && inner.bodies.is_empty()
                && inner.outside == 0
                && inner.waiting.is_empty();
            let mark = (inner.answers_seen, inner.parked);
            if idle && inner.idle_sent != Some(mark) {
                inner.idle_sent = Some(mark);
                inner.yielded = true;
                self.flush(&mut inner);
                let _ = self.engine.send(Message::Idle { run: self.id, key: self.key, answers_seen: mark.0 });
                return;
            }
        }
        self.flush(&mut inner);
        let waits = !woken && inner.committing == 0 && inner.waiting.is_empty();
        if waits && !std::mem::replace(&mut inner.yielded, true) {
            let _ = self.engine.send(Message::Yielded { run: self.id, key: self.key });
        }
    }

    /// Marks that the guest waits for something of the outside world, as long as the guard lives.
    #[must_use]
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.lock().outside += 1;
        Busy { run: Arc::clone(self), naps: false }
    }

    /// As [`Self::busy`], for a guest that waits on the clock by itself: time may pass meanwhile.
    #[must_use]
    pub fn napping(self: &Arc<Self>) -> Busy {
        let mut inner = self.lock();
        inner.outside += 1;
        inner.napping += 1;
        drop(inner);
        Busy { run: Arc::clone(self), naps: true }
    }

    /// Whether the guest waits on the clock by itself, and is to be dropped before it wakes.
    pub(crate) fn naps_in_vain(&self) -> bool {
        self.stopping.load(Ordering::Acquire) && self.lock().napping > 0
    }

    /// Tells whether the guest waits to be started: for its code, or for a slot of the pool. The clock may move meanwhile.
    pub fn waits_to_start(&self, waits: bool) {
        self.lock().at_rest = waits;
    }

    /// Whether nothing can happen in the guest before a moment comes or somebody acts. `answers_sent`: by the dispatcher.
    pub(crate) fn is_at_rest(&self, answers_sent: u64) -> bool {
        let inner = self.lock();
        // A body that neither naps nor waits for a step inside of it does something that is not seen here.
        let bodies_wait = inner.bodies.is_empty() || inner.napping > 0 || inner.parked > 0;
        inner.at_rest
            && inner.answers_seen == answers_sent
            && inner.committing == 0
            && inner.waiting.is_empty()
            && inner.told.is_empty()
            && inner.outside == inner.napping
            && bodies_wait
    }

    /// Resolves when the guest must be dropped: hibernation, reload, shutdown. Its journal has all that is needed.
    pub async fn stopped(&self) {
        loop {
            let stopped = self.stop.notified();
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            stopped.await;
        }
    }

    /// Tells how the guest ended. Call it before the guest's futures are dropped, exactly once, unless it was stopped.
    pub fn ended(&self, how: RunEnd) {
        self.closed.store(true, Ordering::Release);
        let mut inner = self.lock();
        let over = inner.over;
        self.flush(&mut inner);
        let replaying = inner.replay.is_replaying() && inner.phase != Phase::Compensating;
        let culprit = inner.current();
        drop(inner);
        let error = match how {
            RunEnd::Trapped { error } => error,
            RunEnd::Interrupted { reason } => {
                let _ = self.engine.send(Message::Interrupted { run: self.id, key: self.key, reason });
                return;
            }
            RunEnd::Returned if over => return,
            RunEnd::Returned => {
                ErrorInfo::new(text::INTERNAL, "The workflow's code ended without handing in an outcome")
            }
        };
        let _ = self.engine.send(Message::Trapped { run: self.id, key: self.key, error, culprit, replaying });
    }

    /// Whether the guest is still where an earlier run has been: what it prints outside of steps was printed then.
    #[must_use]
    pub fn replaying(&self) -> bool {
        self.lock().replay.is_replaying()
    }

    /// The step and the number of the attempt whose body the guest is in; of a guest that does not tell, the only one that is
    /// running.
    #[must_use]
    pub fn current_step(&self) -> Option<(StepKey, u32)> {
        self.lock().current()
    }

    /// Whether the guest is in the body of a step just now, as far as it tells.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        let inner = self.lock();
        if inner.tells { !inner.entered.is_empty() } else { !inner.bodies.is_empty() }
    }

    /// Whether any step body is running.
    #[must_use]
    pub fn in_step(&self) -> bool {
        !self.lock().bodies.is_empty()
    }

    /// Recorded steps that this run did not ask for, as `<name>-<count>`.
    #[must_use]
    pub fn unasked_steps(&self) -> Vec<String> {
        let mut names: Vec<_> = self.lock().replay.unasked().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    // ---- what the dispatcher does ---------------------------------------------------------------------------------

    /// Makes [`Run::stopped`] resolve. What the guest drops from now on means nothing.
    pub(crate) fn stop(&self) {
        self.closed.store(true, Ordering::Release);
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_waiters();
        // For a runner that has not begun to wait.
        self.stop.notify_one();
    }

    // ---- inside ---------------------------------------------------------------------------------------------------

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask_for(self: &Arc<Self>, kind: StepKind, name: &str) -> Open {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let name: Arc<str> = Arc::from(name);
        let nested = !inner.entered.is_empty();
        let count = inner.counts.entry((kind, Arc::clone(&name))).or_default();
        let key = loop {
            *count += 1;
            let key = StepKey::new(kind, Arc::clone(&name), *count);
            if !inner.replay.is_of_others(&key, nested) {
                break key;
            }
        };
        self.note_asked(&key);
        let alone = inner.open == 0;
        inner.open += 1;
        let ask = inner.replay.ask(&key);
        let (ask, receiver) = match ask {
            Ask::Held(ticket) | Ask::HeldLive { ticket, .. } => {
                let (sender, receiver) = oneshot::channel();
                inner.waiting.insert(ticket, sender);
                (ask, Some((ticket, receiver)))
            }
            _ => (ask, None),
        };
        drop(guard);
        let begun = matches!(ask, Ask::Live { known: true } | Ask::HeldLive { known: true, .. });
        Open { run: Arc::clone(self), key, alone, nested, ask: Some(ask), receiver, begun, over: false }
    }

    fn flush(&self, inner: &mut Inner) {
        if !inner.told.is_empty() {
            let told = std::mem::take(&mut inner.told);
            let _ = self.engine.send(Message::Run(RunMessage { run: self.id, key: self.key, told, ask: None }));
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Cannot happen as kinds are part of a step's key; an error rather than a panic, because the record comes from a file.
fn mixed_up(key: &StepKey) -> ErrorInfo {
    ErrorInfo::new(text::INTERNAL, format!("Stored output for {key} is corrupt or incomplete."))
}
