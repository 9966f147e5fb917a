//! The model: what an instance of a program does, in the plainest way, with a clock of its own.
//!
//! Knows no journal, no replay and no process: an act is done when there is a record of it, and the next thing to do is found by
//! walking the program from its first line. Shares nothing with the engine but the words for a status.
//!
//! A change is made of the smallest facts that could be durable alone; after each a copy is put into the `trail`. A process that dies
//! in the middle of a change leaves one of these copies.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::program::{Act, Ms, No, Part, Program};

/// Name and message of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) name: String,
    pub(super) message: String,
}

pub(super) fn fault(name: &str, message: impl Into<String>) -> Fault {
    Fault { name: name.into(), message: message.into() }
}

/// What `status` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) status: String,
    pub(super) output: Option<String>,
    pub(super) error: Option<Fault>,
    /// How the compensations went.
    pub(super) rollback: Option<Option<Fault>>,
}

/// Where an act stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    Running {
        attempt: u32,
        ends: Ms,
    },
    /// Before this attempt.
    Delay {
        attempt: u32,
        at: Ms,
    },
    Asleep(Ms),
    Waits(Ms),
    /// The other branch failed, or was faster.
    Dropped(Box<Self>),
    /// How it ended, and as which of all.
    Done(Result<String, Fault>, u32),
}

/// An act that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) no: No,
    /// The last attempt that began.
    pub(super) attempt: u32,
    pub(super) at: At,
}

/// Compensations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undoing {
    cause: Fault,
    terminate: bool,
    /// Records from this one on are compensated.
    pub(super) left: usize,
    pub(super) at: Option<At>,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) program: Arc<Program>,
    pub(super) exists: bool,
    pub(super) status: &'static str,
    /// In the order they began.
    pub(super) records: Vec<Record>,
    /// Events nobody has received: type, payload, arrival.
    pub(super) events: VecDeque<(u8, String, Ms)>,
    pub(super) finished: u32,
    pub(super) paused_at: Option<Ms>,
    pub(super) output: Option<String>,
    pub(super) error: Option<Fault>,
    pub(super) rollback: Option<Option<Fault>>,
    pub(super) undoing: Option<Undoing>,
    /// What bodies did since it was last looked at.
    pub(super) effects: Vec<(Ms, String)>,
    /// What happened in a state where it mattered.
    pub(super) seen: BTreeSet<&'static str>,
}

/// What is to be done next.
enum Next {
    Start(Vec<No>),
    /// These are given up: the branch beside them was faster.
    Drop(Vec<No>),
    Return(String),
    Throw(Fault),
}

enum Line {
    /// With when it came to its end, as which of all acts.
    Said(Vec<String>, u32),
    Stuck(Option<No>),
    Threw(Fault, u32),
}

/// What is to be begun in a branch that has not come to its end.
fn stuck(line: &Line) -> Option<No> {
    if let Line::Stuck(no) = line { *no } else { None }
}

/// When a branch came to its end, if it has.
fn end(line: &Line) -> Option<u32> {
    match line {
        Line::Said(_, order) | Line::Threw(_, order) => Some(*order),
        Line::Stuck(_) => None,
    }
}

pub(super) fn is_final(status: &str) -> bool {
    matches!(status, "complete" | "errored" | "terminated")
}

pub(super) fn lost_attempt() -> Fault {
    fault("WorkflowInternalError", "The attempt was running when the process ended")
}

pub(super) fn terminated() -> Fault {
    fault("Terminated", "Instance terminated during rollback")
}

impl Model {
    pub(super) fn new(program: Arc<Program>) -> Self {
        Self {
            program,
            exists: true,
            status: "running",
            records: Vec::new(),
            events: VecDeque::new(),
            finished: 0,
            paused_at: None,
            output: None,
            error: None,
            rollback: None,
            undoing: None,
            effects: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn report(&self) -> Option<Report> {
        let Self { output, error, rollback, .. } = self.clone();
        self.exists.then(|| Report { status: self.status.to_owned(), output, error, rollback })
    }

    /// When something happens to it by itself.
    pub(super) fn next(&self) -> Option<Ms> {
        if !self.exists {
            return None;
        }
        match self.status {
            "rollingBack" => match self.undoing.as_ref()?.at.clone()? {
                At::Running { ends: at, .. } | At::Delay { at, .. } => Some(at),
                _ => None,
            },
            "running" | "waiting" | "waitingForPause" => {
                let held = self.status == "waitingForPause";
                let at = |record: &Record| match &record.at {
                    At::Running { ends: at, .. } | At::Asleep(at) | At::Waits(at) => Some(*at),
                    At::Delay { at, .. } if !held => Some(*at),
                    _ => None,
                };
                self.records.iter().filter_map(at).min()
            }
            _ => None,
        }
    }

    /// Whether nothing that will ever be seen tells the two apart.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let key = |model: &Self| {
            let Self { exists, status, records, events, paused_at, undoing, .. } = model.clone();
            (exists, status, records, events, paused_at, undoing)
        };
        self.report() == other.report() && key(self) == key(other)
    }

    pub(super) fn executes(&self) -> bool {
        self.records.iter().any(|record| matches!(record.at, At::Running { .. }))
    }

    pub(super) fn see(&mut self, what: &'static str) {
        self.seen.insert(what);
    }

    // ---- time -----------------------------------------------------------------------------------------------------

    /// Does what is due, and all that follows from it at the same moment; says whether things happen at that moment in an order that nobody
    /// promises.
    pub(super) fn go_on(&mut self, now: Ms, tie: &mut bool, trail: &mut Vec<Self>) {
        loop {
            if !self.exists || is_final(self.status) || self.status == "paused" {
                return;
            }
            if self.status == "rollingBack" {
                if !self.undo(now) {
                    return;
                }
                trail.push(self.clone());
                continue;
            }
            self.fire(now, tie, trail);
            let held = self.status == "waitingForPause";
            match self.walk(now) {
                Next::Start(acts) if !held && !acts.is_empty() => self.begin(&acts, now, tie, trail),
                Next::Drop(acts) => {
                    self.drop_all(|no| acts.contains(&no));
                    self.see("branch that loses");
                    trail.push(self.clone());
                }
                Next::Return(output) if !held => {
                    (self.status, self.output) = ("complete", Some(output));
                    trail.push(self.clone());
                }
                Next::Throw(fault) => {
                    self.drop_all(|_| true);
                    if held {
                        return self.rest(now, trail);
                    }
                    self.fail(fault);
                    trail.push(self.clone());
                }
                _ => return self.rest(now, trail),
            }
        }
    }

    /// Nothing can be done before a timer or somebody from outside.
    fn rest(&mut self, now: Ms, trail: &mut Vec<Self>) {
        match (self.status, self.executes()) {
            ("waitingForPause", true) => {}
            ("waitingForPause", false) => {
                self.see("pause after the last body");
                (self.status, self.paused_at) = ("paused", Some(now));
                trail.push(self.clone());
            }
            (_, executes) => self.status = if executes { "running" } else { "waiting" },
        }
    }

    /// These begin, in the order of the code.
    fn begin(&mut self, acts: &[No], now: Ms, tie: &mut bool, trail: &mut Vec<Self>) {
        let known: Vec<_> = acts.iter().map(|no| self.record(*no).is_some()).collect();
        for no in acts {
            self.start(*no, now);
            trail.push(self.clone());
        }
        // One goes on at once, beside another one that is asked about as well, which may be answered sooner or later. What is new and does not
        // go on at once is begun in any case.
        let goes_on: Vec<_> = acts.iter().map(|no| self.goes_on(*no, now)).collect();
        let asks =
            |index: usize| goes_on[index] || known[index] && matches!(self.program.acts[acts[index]], Act::Do(_));
        *tie |= acts.len() == 2 && (goes_on[0] && asks(1) || goes_on[1] && asks(0));
    }

    /// Whether an act that has just begun is over without anything having to happen.
    fn goes_on(&self, no: No, now: Ms) -> bool {
        self.record(no).is_some_and(|record| match record.at {
            At::Done(..) => true,
            At::Asleep(at) | At::Waits(at) => at <= now,
            _ => false,
        })
    }

    /// What is due happens, the earliest first.
    fn fire(&mut self, now: Ms, tie: &mut bool, trail: &mut Vec<Self>) {
        let due = |(index, record): (usize, &Record)| match &record.at {
            At::Running { ends: at, .. } | At::Asleep(at) | At::Waits(at) if *at <= now => Some((*at, index)),
            _ => None,
        };
        let mut due: Vec<_> = self.records.iter().enumerate().filter_map(due).collect();
        due.sort_unstable();
        *tie |= due.windows(2).any(|pair| pair[0].0 == pair[1].0);
        // The end of a delay is one of these moments as well.
        let delay_ends =
            |when: Ms| self.records.iter().any(|record| matches!(record.at, At::Delay { at, .. } if at == when));
        *tie |= due.iter().any(|(at, _)| delay_ends(*at));
        for (_, index) in due {
            let Record { no, ref at, .. } = self.records[index];
            let at = match (at.clone(), self.program.acts[no].clone()) {
                (At::Running { attempt, .. }, Act::Do(step)) => {
                    let said = format!("s{no}#{attempt}@{now}");
                    if attempt > step.fails {
                        self.see(if attempt > 1 { "step that succeeds later" } else { "step" });
                        self.done(Ok(said))
                    } else if step.fatal {
                        self.see("step that is not to be retried");
                        self.done(Err(fault("NonRetryableError", said)))
                    } else if attempt <= step.retries.limit {
                        self.see(if self.status == "waitingForPause" { "retry while a pause comes" } else { "retry" });
                        At::Delay { attempt: attempt + 1, at: now + step.retries.delay_after(attempt) }
                    } else {
                        self.see("step that fails for good");
                        self.done(Err(fault("Error", said)))
                    }
                }
                (_, Act::Wait { timeout, .. }) => {
                    self.see("wait that times out");
                    self.done(Err(fault("WorkflowTimeoutError", format!("Execution timed out after {timeout}ms"))))
                }
                _ => {
                    self.see("sleep");
                    self.done(Ok("slept".into()))
                }
            };
            self.records[index].at = at;
            trail.push(self.clone());
        }
    }

    pub(super) fn done(&mut self, outcome: Result<String, Fault>) -> At {
        self.finished += 1;
        At::Done(outcome, self.finished)
    }

    // ---- the program ----------------------------------------------------------------------------------------------

    fn record(&self, no: No) -> Option<&Record> {
        self.records.iter().find(|record| record.no == no)
    }

    fn walk(&self, now: Ms) -> Next {
        let mut said = Vec::new();
        for part in &self.program.parts {
            match part {
                Part::One(no) => match self.line(&[*no], now) {
                    Line::Said(more, _) => said.extend(more),
                    Line::Stuck(no) => return Next::Start(no.into_iter().collect()),
                    Line::Threw(fault, _) => return Next::Throw(fault),
                },
                Part::Two(a, b) => match (self.line(a, now), self.line(b, now)) {
                    (Line::Said(a, _), Line::Said(b, _)) => {
                        said.extend(a);
                        said.extend(b);
                    }
                    (Line::Threw(fault, first), Line::Threw(_, second)) if first < second => {
                        return Next::Throw(fault);
                    }
                    (_, Line::Threw(fault, _)) | (Line::Threw(fault, _), _) => return Next::Throw(fault),
                    (a, b) => return Next::Start(stuck(&a).into_iter().chain(stuck(&b)).collect()),
                },
                Part::Race(a, b) => {
                    let (one, other) = (self.line(a, now), self.line(b, now));
                    let (first, loser) = match (end(&one), end(&other)) {
                        (None, None) => {
                            return Next::Start(stuck(&one).into_iter().chain(stuck(&other)).collect());
                        }
                        (Some(first), second) if second.is_none_or(|second| first < second) => (one, b),
                        _ => (other, a),
                    };
                    let open: Vec<_> = loser.iter().copied().filter(|no| self.is_open(*no)).collect();
                    if !open.is_empty() {
                        return Next::Drop(open);
                    }
                    match first {
                        Line::Threw(fault, _) => return Next::Throw(fault),
                        Line::Said(more, _) => said.extend(more),
                        Line::Stuck(_) => unreachable!("it has come to its end"),
                    }
                }
            }
        }
        Next::Return(said.join(","))
    }

    fn line(&self, acts: &[No], now: Ms) -> Line {
        let (mut said, mut last) = (Vec::new(), 0);
        for no in acts {
            let Some(record) = self.record(*no) else { return Line::Stuck(Some(*no)) };
            let caught = match &self.program.acts[*no] {
                Act::Do(step) => step.caught,
                Act::Wait { caught, .. } => *caught,
                Act::Sleep(_) => false,
            };
            match &record.at {
                At::Done(Ok(text), order) => {
                    last = *order;
                    said.push(text.clone());
                }
                At::Done(Err(Fault { name, message }), order) if caught => {
                    last = *order;
                    said.push(format!("!{name}: {message}"));
                }
                At::Done(Err(fault), order) => return Line::Threw(fault.clone(), *order),
                At::Delay { at, .. } => return Line::Stuck((*at <= now).then_some(*no)),
                At::Dropped(_) => return Line::Stuck(Some(*no)),
                At::Running { .. } | At::Asleep(_) | At::Waits(_) => return Line::Stuck(None),
            }
        }
        Line::Said(said, last)
    }

    /// Begins an act, or an attempt of it, or goes back to one that was dropped.
    fn start(&mut self, no: No, now: Ms) {
        let Some(index) = self.records.iter().position(|record| record.no == no) else {
            let at = match &self.program.acts[no] {
                Act::Do(step) => {
                    let ends = now + step.takes;
                    self.effects.push((now, format!("s{no}#1")));
                    At::Running { attempt: 1, ends }
                }
                Act::Sleep(ms) => At::Asleep(now + ms),
                Act::Wait { kind, timeout, .. } => {
                    let (kind, waits) = (*kind, At::Waits(now + timeout));
                    self.receive(kind).unwrap_or(waits)
                }
            };
            return self.records.push(Record { no, attempt: 1, at });
        };
        let attempt = match self.records[index].at.clone() {
            At::Delay { attempt, .. } => attempt,
            At::Dropped(was) => match (*was, &self.program.acts[no]) {
                (At::Running { attempt, .. }, _) => attempt + 1,
                (At::Waits(at), Act::Wait { kind, .. }) => {
                    self.records[index].at = self.receive(*kind).unwrap_or(At::Waits(at));
                    return;
                }
                (was, _) => return self.records[index].at = was,
            },
            _ => return,
        };
        if let Act::Do(step) = &self.program.acts[no] {
            self.effects.push((now, format!("s{no}#{attempt}")));
            self.records[index] = Record { no, attempt, at: At::Running { attempt, ends: now + step.takes } };
        }
    }

    /// The oldest event of this type.
    fn receive(&mut self, kind: u8) -> Option<At> {
        let index = self.events.iter().position(|(of, ..)| *of == kind)?;
        let (_, payload, at) = self.events.remove(index)?;
        self.see(if self.events.iter().any(|(of, ..)| *of == kind) { "first of several events" } else { "kept event" });
        Some(self.done(Ok(format!("{payload}@{at}"))))
    }

    fn is_open(&self, no: No) -> bool {
        self.record(no).is_some_and(|record| !matches!(record.at, At::Done(..) | At::Dropped(_)))
    }

    /// Drops the acts among these that are not over.
    fn drop_all(&mut self, which: impl Fn(No) -> bool) {
        for record in &mut self.records {
            if which(record.no) && !matches!(record.at, At::Done(..) | At::Dropped(_)) {
                self.seen.insert("branch that is dropped");
                record.at = At::Dropped(Box::new(record.at.clone()));
            }
        }
    }

    // ---- compensations --------------------------------------------------------------------------------------------

    pub(super) fn can_undo(&self) -> bool {
        self.records.iter().any(|record| self.program.undo(record.no).is_some())
    }

    fn fail(&mut self, cause: Fault) {
        if self.can_undo() {
            self.see("failure that is rolled back");
            self.roll_back(cause, false);
        } else {
            self.see("failure");
            (self.status, self.error) = ("errored", Some(cause));
        }
    }

    pub(super) fn roll_back(&mut self, cause: Fault, terminate: bool) {
        self.status = "rollingBack";
        self.undoing = Some(Undoing { cause, terminate, left: self.records.len(), at: None });
    }

    /// The smallest next thing of the compensations; false when there is none now.
    fn undo(&mut self, now: Ms) -> bool {
        let Some(undoing) = self.undoing.clone() else { return false };
        let next = self.records[..undoing.left].iter().rposition(|record| self.program.undo(record.no).is_some());
        let Some(index) = next else {
            self.see("rollback that completes");
            self.undone(None);
            return true;
        };
        let Record { no, attempt: last, ref at } = self.records[index];
        let undo = self.program.undo(no).expect("it was looked for").clone();
        let output = if let At::Done(Ok(output), _) = at { output } else { "nothing" };
        let cause = &undoing.cause.message;
        let begin = |attempt| (now, format!("undo s{no}#{attempt} after #{last}: {output}; {cause}"));
        let (at, left) = match undoing.at {
            None => {
                self.effects.push(begin(1));
                (Some(At::Running { attempt: 1, ends: now + undo.takes }), undoing.left)
            }
            Some(At::Delay { attempt, at }) if at <= now => {
                self.effects.push(begin(attempt));
                (Some(At::Running { attempt, ends: now + undo.takes }), undoing.left)
            }
            Some(At::Running { attempt, ends }) if ends <= now => {
                if attempt > undo.fails {
                    self.see("compensation");
                    (None, index)
                } else if attempt <= undo.retries.limit {
                    self.see("compensation that is retried");
                    let at = now + undo.retries.delay_after(attempt);
                    (Some(At::Delay { attempt: attempt + 1, at }), undoing.left)
                } else {
                    self.see("rollback that fails");
                    self.undone(Some(fault("Error", format!("undo s{no}#{attempt}@{now}"))));
                    return true;
                }
            }
            _ => return false,
        };
        self.undoing = Some(Undoing { at, left, ..undoing });
        true
    }

    pub(super) fn undone(&mut self, error: Option<Fault>) {
        let Some(Undoing { cause, terminate, .. }) = self.undoing.take() else { return };
        self.rollback = Some(error);
        if terminate {
            self.status = "terminated";
        } else {
            (self.status, self.error) = ("errored", Some(cause));
        }
    }
}
