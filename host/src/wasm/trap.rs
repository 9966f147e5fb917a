//! Why a guest died, in words for the person who wrote it.
//!
//! Promises: the message is the guest's own where it left one (a panic), names the limit where one was met, and never holds
//! anything of the host's insides; the backtrace has the user's functions only, when there are any. Never does: print.

use std::fmt::Write as _;
use std::sync::Arc;

use wasmtime::{Store, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::limits::{CpuExceeded, MEMORY_TEXT};
use super::state::GuestState;
use super::symbols::{self, Frame, Symbols};

/// What a guest died of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// One line, unless the guest's own message has several.
    pub message: String,
    /// The guest's functions, innermost first, one in a line with where it is. None when nothing is known.
    pub backtrace: Option<String>,
}

impl Death {
    /// Message and backtrace together.
    #[must_use]
    pub fn report(&self) -> String {
        match &self.backtrace {
            Some(backtrace) => format!("{}\n{backtrace}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Explains `error`, which ended the guest of `store`.
pub(crate) fn explain(
    store: &Store<GuestState>,
    error: &wasmtime::Error,
) -> impl Future<Output = Death> + Send + use<> {
    Trapped::of(store, error).report()
}

/// What is known of a guest that has ended, before its source lines are looked up. It does not need the store any more.
pub(crate) struct Trapped {
    message: String,
    frames: Vec<Frame>,
    symbols: Arc<Symbols>,
}

impl Trapped {
    /// Takes what `error`, which ended the guest of `store`, says.
    pub(crate) fn of(store: &Store<GuestState>, error: &wasmtime::Error) -> Self {
        let state = store.data();
        let panic = state.console().take_panic();
        Self {
            message: message(error, panic.as_deref(), state.memory.denied()),
            frames: error.downcast_ref::<WasmBacktrace>().map(symbols::frames).unwrap_or_default(),
            symbols: Arc::clone(state.symbols()),
        }
    }

    /// Looks up the source lines.
    pub(crate) async fn report(self) -> Death {
        let backtrace = lines(&self.symbols, self.frames).await;
        Death { message: self.message, backtrace }
    }
}

/// Returns the user's functions among `frames`, one a line. `None` if there are none.
pub(crate) async fn lines(symbols: &Arc<Symbols>, frames: Vec<Frame>) -> Option<String> {
    if frames.is_empty() { None } else { user_frames(&symbols::describe(symbols, frames).await) }
}

fn message(error: &wasmtime::Error, panic: Option<&str>, memory_denied: bool) -> String {
    if let Some(cpu) = error.downcast_ref::<CpuExceeded>() {
        return cpu.to_string();
    }
    if memory_denied {
        return MEMORY_TEXT.to_owned();
    }
    if let Some(panic) = panic.and_then(parse_panic) {
        return panic;
    }
    if error.is::<I32Exit>() {
        return "the Worker ended its own process (`exit`)".to_owned();
    }
    if overflowed(error) {
        return "stack overflow: a function calls itself too often".to_owned();
    }
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !is_backtrace(cause)) {
        let separator = if text.is_empty() { "" } else { ": " };
        let _ = write!(text, "{separator}{cause}");
    }
    if text.is_empty() { "the Worker trapped".to_owned() } else { text }
}

/// Rust keeps a second stack at the bottom of the memory: going below zero wraps to the last addresses.
fn overflowed(error: &wasmtime::Error) -> bool {
    const LAST_PAGES: u64 = 0xffff_0000;
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => true,
        Some(Trap::MemoryOutOfBounds) => error.chain().any(|cause| {
            let text = cause.to_string();
            let address = text.strip_prefix("memory fault at wasm address 0x").and_then(|rest| rest.split(' ').next());
            address.and_then(|hex| u64::from_str_radix(hex, 16).ok()).is_some_and(|address| address >= LAST_PAGES)
        }),
        _ => false,
    }
}

fn is_backtrace(text: &str) -> bool {
    text.starts_with("error while executing at wasm backtrace")
}

/// Whether `line` of standard error is the first of Rust's report of a panic, or of memory it did not get.
pub(super) fn begins_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains("panicked at ")
        || line.starts_with("memory allocation of ") && line.ends_with(" bytes failed")
}

/// Turns Rust's report of a panic into `boom (panicked at src/lib.rs:30:48)`.
fn parse_panic(report: &str) -> Option<String> {
    let (first, rest) = report.split_once('\n').unwrap_or((report, ""));
    let (_, place) = first.split_once("panicked at ")?;
    let place = place.trim_end_matches(':');
    let lines: Vec<&str> = rest.lines().take_while(|line| !is_note(line)).collect();
    let message = lines.join("\n");
    let message = message.trim();
    Some(if message.is_empty() {
        format!("panicked at {}", shorten(place))
    } else {
        format!("{message} (panicked at {})", shorten(place))
    })
}

fn is_note(line: &str) -> bool {
    line.starts_with("note: run with `RUST_BACKTRACE") || line.starts_with("stack backtrace:")
}

/// Functions of the standard library and of the glue between guest and host: true, and of no use to anybody.
const GLUE: [&str; 18] = [
    "std::",
    "core::",
    "alloc::",
    "__rust",
    "rust_begin_unwind",
    "rust_panic",
    "wit_bindgen::",
    "wasip2::",
    "wasip3::",
    "miniflow_sdk::",
    "miniflow_sdk_bindings::",
    "abort",
    "export_",
    "_callback_",
    "[task-return]",
    "[async-lift]",
    "[callback]",
    "wasm function ",
];

/// Sources of the same, wherever they lie on the machine that built the guest.
const GLUE_SOURCES: [&str; 9] = [
    "/rustc/",
    "/library/std/",
    "/library/core/",
    "/library/alloc/",
    "/registry/src/",
    "/guest-sdk/",
    "/miniflow-sdk",
    "/wasi-libc/",
    "/musl/",
];

/// Lines of a backtrace that are shown; a recursion has thousands.
const FRAMES_MAX: usize = 12;

/// A function of a backtrace.
#[derive(PartialEq)]
struct UserFrame<'a> {
    name: String,
    place: Option<&'a str>,
}

/// Picks the user's functions from the text of a wasmtime backtrace, which has names demangled and inlined functions
/// unfolded.
pub(super) fn user_frames(backtrace: &str) -> Option<String> {
    let mut frames: Vec<UserFrame<'_>> = Vec::new();
    for line in backtrace.lines().skip(1) {
        if let Some(place) = line.trim_start().strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                frame.place = Some(place);
            }
        } else if let Some(name) = function(line) {
            frames.push(UserFrame { name, place: None });
        }
    }
    frames.retain(is_users);
    frames.dedup();
    let mut lines: Vec<_> = frames.iter().take(FRAMES_MAX).map(shown).collect();
    if frames.len() > FRAMES_MAX {
        lines.push("    …".to_owned());
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn shown(frame: &UserFrame<'_>) -> String {
    // Without full debug information a closure or an async function is called `{async_fn#0}`.
    match (frame.place, frame.name.starts_with('{')) {
        (Some(place), true) => format!("    at {}", shorten(place)),
        (Some(place), false) => format!("    at {} ({})", frame.name, shorten(place)),
        (None, _) => format!("    at {}", frame.name),
    }
}

/// The function of a line such as `    3:   0x1f2e - guest.wasm!guest::run` or `               - guest::run`.
fn function(line: &str) -> Option<String> {
    let (head, name) =
        line.split_once(" - ").or_else(|| line.trim_start().strip_prefix("- ").map(|name| ("", name)))?;
    let numbered = head.trim_start().split(':').next().is_some_and(|n| n.parse::<u32>().is_ok());
    if !numbered && !head.trim().is_empty() {
        return None;
    }
    let name = name.split_once(".wasm!").map_or(name, |(_, name)| name);
    Some(without_hashes(name.strip_prefix("<unknown>!").unwrap_or(name)))
}

/// Cuts out what the compiler adds to names to keep crates apart: `shop[0123456789abcdef]::run`, and in older manglings
/// `shop::run::h0123456789abcdef`.
fn without_hashes(name: &str) -> String {
    let is_hash = |text: &str| text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = match name.rsplit_once("::h") {
        Some((rest, hash)) if is_hash(hash) => rest,
        _ => name,
    };
    let mut pieces = name.split('[');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(']') {
            Some((hash, rest)) if is_hash(hash) => text.push_str(rest),
            _ => {
                text.push('[');
                text.push_str(piece);
            }
        }
    }
    text
}

fn is_users(frame: &UserFrame<'_>) -> bool {
    let name = frame.name.trim_start_matches('<').trim_start_matches("dyn ");
    let glue = GLUE.iter().any(|glue| name.starts_with(glue));
    let source = frame.place.is_some_and(|place| GLUE_SOURCES.iter().any(|glue| place.contains(glue)));
    // What an attribute of the SDK expands to has the attribute's place: the first column.
    let expanded = frame.name.starts_with('{') && frame.place.is_some_and(|place| place.ends_with(":1"));
    !glue && !source && !expanded
}

/// Cuts a path of the machine that built the guest down to what a reader knows it by: from the last `src` on, with the
/// folder before it when there is one.
fn shorten(place: &str) -> &str {
    let Some(at) = place.rfind("/src/") else { return place };
    match place[..at].rfind('/') {
        Some(folder) => &place[folder + 1..],
        None => place,
    }
}

#[cfg(test)]
mod tests;
