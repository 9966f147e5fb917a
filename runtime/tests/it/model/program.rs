//! What is tried: a workflow as a list of acts, and what is done to its instance meanwhile.

use proptest::prelude::*;

/// Milliseconds.
pub(super) type Ms = u64;

/// A step with a body that takes time.
#[derive(Clone, Debug)]
pub(super) struct Do {
    pub(super) takes: Ms,
    /// Attempts that fail, from the first.
    pub(super) fails: u32,
    /// They fail with a `NonRetryableError`.
    pub(super) fatal: bool,
    pub(super) retries: Retries,
    /// The workflow handles its failure.
    pub(super) caught: bool,
    pub(super) undo: Option<Undo>,
}

/// A rollback handler.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    pub(super) takes: Ms,
    pub(super) fails: u32,
    pub(super) retries: Retries,
}

#[derive(Clone, Debug)]
pub(super) struct Retries {
    pub(super) limit: u32,
    pub(super) delay: Ms,
    pub(super) growth: Growth,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Growth {
    Constant,
    Linear,
    Exponential,
}

/// One thing a workflow does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Do(Do),
    Sleep(Ms),
    Wait { kind: u8, timeout: Ms, caught: bool },
}

/// Acts one after the other, or two branches side by side: both to their ends, or until the first comes to its end.
#[derive(Clone, Debug)]
pub(super) enum Item {
    One(Act),
    Two(Vec<Act>, Vec<Act>),
    Race(Vec<Act>, Vec<Act>),
}

/// Where an act stands in the program. Its step is called `s<number>`.
pub(super) type No = usize;

#[derive(Clone, Debug)]
pub(super) enum Part {
    One(No),
    Two(Vec<No>, Vec<No>),
    Race(Vec<No>, Vec<No>),
}

/// A workflow.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) acts: Vec<Act>,
    pub(super) parts: Vec<Part>,
}

impl Program {
    fn new(items: Vec<Item>) -> Self {
        let mut acts = Vec::new();
        let mut add = |act: Act| {
            acts.push(act);
            acts.len() - 1
        };
        let mut parts = Vec::new();
        for item in items {
            let mut line = |acts: Vec<Act>| acts.into_iter().map(&mut add).collect();
            parts.push(match item {
                Item::One(act) => Part::One(add(act)),
                Item::Two(a, b) => Part::Two(line(a), line(b)),
                Item::Race(a, b) => Part::Race(line(a), line(b)),
            });
        }
        let mut program = Self { acts, parts };
        program.tell_apart();
        program
    }

    /// Gives no two acts the same times, so that side by side they seldom end at the same moment.
    fn tell_apart(&mut self) {
        for (no, act) in (1..).zip(&mut self.acts) {
            match act {
                Act::Do(step) => {
                    step.takes += no;
                    step.retries.delay += 13 * no;
                    if let Some(undo) = &mut step.undo {
                        undo.retries.delay += 13 * no;
                    }
                }
                Act::Sleep(ms) => *ms += 29 * no,
                Act::Wait { timeout, .. } => *timeout += 31 * no,
            }
        }
    }

    pub(super) fn undo(&self, no: No) -> Option<&Undo> {
        match &self.acts[no] {
            Act::Do(step) => step.undo.as_ref(),
            _ => None,
        }
    }
}

impl Retries {
    /// Between the failure of this attempt and the next.
    pub(super) fn delay_after(&self, attempt: u32) -> Ms {
        match self.growth {
            Growth::Constant => self.delay,
            Growth::Linear => self.delay * u64::from(attempt),
            Growth::Exponential => self.delay << (attempt - 1),
        }
    }
}

/// What is done from outside.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Pause,
    Resume,
    Event(u8),
    Terminate {
        rollback: bool,
    },
    Restart,
    /// From one of the acts, counted modulo their number; it may not have begun.
    RestartFrom(No),
    /// The process ends now, and starts again after this time.
    Kill(Ms),
    /// The process ends after this many more commits, and starts again at once.
    KillAfter(u64),
    /// The process is stopped, and starts again after this time.
    Stop(Ms),
    /// Deletes the instance and creates it again.
    Recreate,
}

/// An operation, this long after the one before.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) after: Ms,
    pub(super) op: Op,
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) program: Program,
    pub(super) moves: Vec<Move>,
}

fn retries() -> impl Strategy<Value = Retries> {
    let growth = prop_oneof![Just(Growth::Constant), Just(Growth::Linear), Just(Growth::Exponential)];
    (0..4_u32, 0..3000_u64, growth).prop_map(|(limit, delay, growth)| Retries { limit, delay, growth })
}

fn undo() -> impl Strategy<Value = Option<Undo>> {
    let undo = (1..900_u64, prop_oneof![3 => Just(0), 2 => 1..4_u32], retries())
        .prop_map(|(takes, fails, retries)| Undo { takes, fails, retries });
    proptest::option::of(undo)
}

fn step() -> impl Strategy<Value = Act> {
    let fails = prop_oneof![3 => Just(0), 2 => 1..3_u32, 1 => Just(9)];
    let shape = (1..2500_u64, fails, prop::bool::weighted(0.15), retries(), prop::bool::weighted(0.6), undo());
    shape.prop_map(|(takes, fails, fatal, retries, caught, undo)| {
        Act::Do(Do { takes, fails, fatal: fatal && fails > 0, retries, caught, undo })
    })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => step(),
        2 => (1..6000_u64).prop_map(Act::Sleep),
        2 => (0..2_u8, 1000..8000_u64, prop::bool::weighted(0.8))
            .prop_map(|(kind, timeout, caught)| Act::Wait { kind, timeout, caught }),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    let branch = || proptest::collection::vec(act(), 1..4);
    let item = prop_oneof![
        3 => act().prop_map(Item::One),
        1 => (branch(), branch()).prop_map(|(a, b)| Item::Two(a, b)),
        1 => (branch(), branch()).prop_map(|(a, b)| Item::Race(a, b)),
    ];
    proptest::collection::vec(item, 1..6).prop_map(Program::new)
}

fn op() -> impl Strategy<Value = Op> {
    let down = || prop_oneof![Just(0), 1..4000_u64];
    prop_oneof![
        4 => Just(Op::Pause),
        4 => Just(Op::Resume),
        5 => (0..2_u8).prop_map(Op::Event),
        1 => any::<bool>().prop_map(|rollback| Op::Terminate { rollback }),
        1 => Just(Op::Restart),
        2 => (0..12_usize).prop_map(Op::RestartFrom),
        2 => down().prop_map(Op::Kill),
        3 => (0..5_u64).prop_map(Op::KillAfter),
        2 => down().prop_map(Op::Stop),
        1 => Just(Op::Recreate),
    ]
}

/// A workflow and what happens to it.
pub(super) fn case() -> impl Strategy<Value = Case> {
    let after = prop_oneof![1 => Just(0), 6 => 1..2500_u64];
    let moves = proptest::collection::vec((after, op()).prop_map(|(after, op)| Move { after, op }), 0..9);
    (program(), moves).prop_map(|(program, moves)| Case { program, moves })
}
