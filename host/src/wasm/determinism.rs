//! What `run` of a workflow reads between its steps that is another thing each time: the clock, random numbers, the environment of the process.
//!
//! A replay of the code reads something else there, and may go another way than is recorded. In the body of a step it may read what it likes:
//! what comes of it is recorded. The seed of hash maps is no such thing: it is the same in every run of an instance (`seed`), so that
//! their order is too. Neither is what the configuration gives to the Worker.
//!
//! Promises: each place in the code is told once, with its line where the component has lines. Never does: change what the guest reads.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use miniflow_runtime::Run;
use wasmtime::component::Linker;
use wasmtime::{StoreContextMut, WasmBacktrace};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;

use super::state::GuestState;
use super::{loader, symbols, trap};
use crate::bindings::logging::Level;

/// Something that is another thing each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The time.
    Clock,
    /// A random number.
    Random,
    /// Variables or arguments of the process, of which there are none here, and maybe elsewhere.
    Environment,
}

impl Source {
    /// What code does that uses it.
    #[must_use]
    pub fn deed(self) -> &'static str {
        match self {
            Self::Clock => "reads the clock",
            Self::Random => "draws a random number",
            Self::Environment => "reads the environment of the process",
        }
    }

    fn consequence(self) -> &'static str {
        match self {
            Self::Clock => "a replay reads another time",
            Self::Random => "a replay draws another one",
            Self::Environment => "a replay may find another one",
        }
    }
}

/// A place in a Worker's code that reads such a thing outside of steps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The Worker.
    pub worker: String,
    /// The workflow that was run.
    pub workflow: String,
    /// What it reads.
    pub source: Source,
    /// The user's functions, innermost first, one in a line; none when nothing is known of them.
    pub trace: Option<String>,
}

impl Place {
    /// The innermost of the user's functions, such as `draw (src/order.rs:12:5)`.
    #[must_use]
    pub fn innermost(&self) -> Option<&str> {
        let line = self.trace.as_deref()?.lines().next()?.trim_start();
        Some(line.strip_prefix("at ").unwrap_or(line))
    }

    /// All of it in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let at = self.innermost().map(|at| format!(", at {at}")).unwrap_or_default();
        format!("`run` {} outside of a step{at}: {}; do it in a step", self.source.deed(), self.source.consequence())
    }
}

/// Reads of a run that are told from each other.
const TOLD_APART: u32 = 32;

/// Notes such places. One for a session.
#[derive(Debug, Default)]
pub struct Determinism {
    strict: bool,
    /// How often runs of each workflow of a Worker have read each source as their first read, their second one, and so on.
    reads: Mutex<HashMap<u64, u64>>,
    places: Mutex<Vec<Place>>,
}

/// Raised in a guest that reads such a thing where that is an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Undetermined(String);

impl Determinism {
    /// `strict`: reading such a thing is an error of the run.
    #[must_use]
    pub fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// The places so far, in the order in which they were found.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        lock(&self.places).clone()
    }

    /// Begins anew: there is other code.
    pub fn forget(&self) {
        lock(&self.reads).clear();
        lock(&self.places).clear();
    }

    /// Whether it is worth looking where this read comes from, which is the `nth` of its run: finding a line takes longer than a short run. Most
    /// runs of a workflow read in one order, so that the first that has such a read is looked at, and the others less and less.
    fn is_looked_at(&self, worker: &str, workflow: &str, source: Source, nth: u32) -> bool {
        let mut key = DefaultHasher::new();
        (worker, workflow, source, nth.min(TOLD_APART)).hash(&mut key);
        let mut reads = lock(&self.reads);
        let count = reads.entry(key.finish()).or_default();
        *count += 1;
        // The 1st, 8th, 64th …: a power of two with an exponent that can be divided by three.
        count.is_power_of_two() && count.trailing_zeros().is_multiple_of(3)
    }

    /// Notes a place. False: it is on the same line as another.
    fn note(&self, place: &Place) -> bool {
        let mut places = lock(&self.places);
        let same = |known: &Place| {
            (&known.worker, known.source, known.innermost()) == (&place.worker, place.source, place.innermost())
        };
        let is_new = place.trace.is_none() || !places.iter().any(same);
        if is_new {
            places.push(place.clone());
        }
        is_new
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever was being done, what is in it is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The seed of the hash maps of a run: the same in every run of an instance.
pub(super) fn seed(run: &Run) -> u128 {
    let name = [run.workflow_name(), run.instance_id()].join("/");
    loader::hash(name.as_bytes())
}

/// To be called when a guest reads `source`.
fn reads(store: &StoreContextMut<'_, GuestState>, source: Source) -> wasmtime::Result<()> {
    let state = store.data();
    let (Some(run), Some(determinism)) = (state.run(), state.services().determinism()) else { return Ok(()) };
    if run.is_inside() {
        return Ok(());
    }
    let nth = state.next_read();
    if !determinism.is_looked_at(state.console().worker(), run.workflow_name(), source, nth) && !determinism.strict {
        return Ok(());
    }
    let frames = symbols::frames(&WasmBacktrace::force_capture(store));
    let text = state.symbols().describe(&frames);
    // A panic looks whether it is to print a backtrace.
    if source == Source::Environment && text.contains("panicking") {
        return Ok(());
    }
    let place = Place {
        worker: state.console().worker().to_owned(),
        workflow: run.workflow_name().to_owned(),
        source,
        trace: trap::user_frames(&text),
    };
    let is_new = determinism.note(&place);
    if determinism.strict {
        return Err(Undetermined(place.sentence()).into());
    }
    if is_new {
        state.console().tell(Level::Warn, place.sentence());
    }
    Ok(())
}

/// Bytes that a guest may ask for at once, as in wasmtime's own.
const RANDOM_BYTES_MAX: u64 = 64 << 20;

fn random(length: u64) -> wasmtime::Result<Vec<u8>> {
    if length > RANDOM_BYTES_MAX {
        wasmtime::bail!("{length} random bytes are asked for at once, {RANDOM_BYTES_MAX} is the most");
    }
    let mut bytes = vec![0; usize::try_from(length)?];
    rand::fill(&mut bytes[..]);
    Ok(bytes)
}

/// Puts what is noted here over what wasmtime offers. The linker must allow shadowing.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    // The versions that wasmtime has: guests of others are linked to these.
    for version in ["0.2.12", "0.3.0"] {
        let name = |interface: &str| format!("wasi:{interface}@{version}");
        for (interface, bytes, number) in [
            ("random/random", "get-random-bytes", "get-random-u64"),
            ("random/insecure", "get-insecure-random-bytes", "get-insecure-random-u64"),
        ] {
            let mut instance = linker.instance(&name(interface))?;
            instance.func_wrap(bytes, |store: StoreContextMut<'_, GuestState>, (length,): (u64,)| {
                reads(&store, Source::Random)?;
                Ok((random(length)?,))
            })?;
            instance.func_wrap(number, |store: StoreContextMut<'_, GuestState>, (): ()| {
                reads(&store, Source::Random)?;
                Ok((rand::random::<u64>(),))
            })?;
        }
        let mut instance = linker.instance(&name("cli/environment"))?;
        instance.func_wrap("get-environment", |store: StoreContextMut<'_, GuestState>, (): ()| {
            reads(&store, Source::Environment)?;
            Ok((Vec::<(String, String)>::new(),))
        })?;
        instance.func_wrap("get-arguments", |store: StoreContextMut<'_, GuestState>, (): ()| {
            reads(&store, Source::Environment)?;
            Ok((Vec::<String>::new(),))
        })?;
        let mut instance = linker.instance(&name("clocks/monotonic-clock"))?;
        instance.func_wrap("now", |store: StoreContextMut<'_, GuestState>, (): ()| {
            reads(&store, Source::Clock)?;
            Ok((store.data().services().clock.now_ns(),))
        })?;
    }
    const SECOND_NS: u64 = 1_000_000_000;
    let mut instance = linker.instance("wasi:clocks/wall-clock@0.2.12")?;
    instance.func_wrap("now", |store: StoreContextMut<'_, GuestState>, (): ()| {
        reads(&store, Source::Clock)?;
        let now_ns = store.data().services().clock.now_ns();
        let nanoseconds = u32::try_from(now_ns % SECOND_NS)?;
        Ok((Datetime { seconds: now_ns / SECOND_NS, nanoseconds },))
    })?;
    let mut instance = linker.instance("wasi:clocks/system-clock@0.3.0")?;
    instance.func_wrap("now", |store: StoreContextMut<'_, GuestState>, (): ()| {
        reads(&store, Source::Clock)?;
        let now_ns = store.data().services().clock.now_ns();
        let nanoseconds = u32::try_from(now_ns % SECOND_NS)?;
        Ok((Instant { seconds: i64::try_from(now_ns / SECOND_NS)?, nanoseconds },))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: Source, trace: &str) -> Place {
        let (worker, workflow) = ("shop".to_owned(), "orders".to_owned());
        Place { worker, workflow, source, trace: Some(trace.to_owned()) }
    }

    #[test]
    fn a_place_is_a_line() {
        let determinism = Determinism::new(false);
        let first = place(Source::Clock, "    at shop::price (src/order.rs:12:5)\n    at src/order.rs:3:1");
        assert!(determinism.note(&first));
        // Reached on another way.
        assert!(!determinism.note(&place(Source::Clock, "    at shop::price (src/order.rs:12:5)")));
        assert!(determinism.note(&place(Source::Random, "    at shop::price (src/order.rs:12:5)")));
        assert_eq!(determinism.places().len(), 2);
        assert_eq!(
            first.sentence(),
            "`run` reads the clock outside of a step, at shop::price (src/order.rs:12:5): a replay reads another time; do it in a step"
        );
        determinism.forget();
        assert!(determinism.note(&first));
    }

    #[test]
    fn who_reads_again_and_again_is_looked_at_less_and_less() {
        let determinism = Determinism::new(false);
        let looked = |workflow, runs: u32, reads: u32| {
            let reads = (0..runs).flat_map(|_| 0..reads);
            reads.filter(|nth| determinism.is_looked_at("shop", workflow, Source::Clock, *nth)).count()
        };
        assert_eq!(looked("orders", 1, 3), 3, "each read of the first run");
        assert_eq!(looked("orders", 1, 4), 1, "the second run: the one that is new");
        // The 8th of each.
        assert_eq!(looked("orders", 8, 4), 4);
        // 32 and, of all the others together, the 1st, 8th, 64th and 512th.
        assert_eq!(looked("long", 1, 1000), 36);
    }
}
