//! Source lines of a component's code, from its debug information.
//!
//! wasmtime would parse the debug information anew for each frame of each backtrace, also of errors that nobody reads. Here a backtrace
//! is captured as offsets ([`Frame`]), and turned into text when the text is wanted. Each core module is parsed once.
//!
//! **Guarantees.** A component without usable debug information gives the names of its functions. **Non-goals.** Choosing the
//! frames that are shown ([`super::trap`] does).

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, LittleEndian, SectionId};
use wasmparser::{Parser, Payload};
use wasmtime::WasmBacktrace;

type Reader = EndianArcSlice<LittleEndian>;

/// One frame of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Index of the function in its core module.
    index: u32,
    /// Mangled name of the function. `None` if the component has no name section.
    function: Option<String>,
    /// Offset of the instruction in the component, in bytes.
    offset: Option<usize>,
}

/// Returns the frames of `backtrace`, innermost first.
pub(crate) fn frames(backtrace: &WasmBacktrace) -> Vec<Frame> {
    let frame = |frame: &wasmtime::FrameInfo| Frame {
        index: frame.func_index(),
        function: frame.func_name().map(ToOwned::to_owned),
        offset: frame.module_offset(),
    };
    backtrace.frames().iter().map(frame).collect()
}

/// The debug information of one component.
pub(crate) struct Symbols {
    component: Vec<u8>,
    modules: OnceLock<Vec<Module>>,
}

/// A core module that has debug information.
struct Module {
    /// Its code section in the component.
    code: Range<usize>,
    /// A context caches what it has parsed, so it is not `Sync`.
    context: Mutex<Context<Reader>>,
}

impl Symbols {
    /// Returns the symbols of `component`. Nothing is parsed yet.
    pub(crate) fn new(component: Vec<u8>) -> Self {
        Self { component, modules: OnceLock::new() }
    }

    /// Returns the functions and source lines of `frames`, inlined functions included, in the form of wasmtime's own backtraces. The
    /// first call parses the debug information, which takes about 10 ms a MB.
    pub(crate) fn describe(&self, frames: &[Frame]) -> String {
        let modules = self.modules.get_or_init(|| modules(&self.component));
        let mut text = "error while executing at wasm backtrace:".to_owned();
        for (number, frame) in frames.iter().enumerate() {
            let offset = frame.offset.unwrap_or_default();
            let mut located = modules
                .iter()
                .find(|module| module.code.contains(&offset))
                .map(|module| module.locate(offset))
                .unwrap_or_default();
            if located.is_empty() {
                located.push((None, None));
            }
            for (inlined, (function, place)) in located.into_iter().enumerate() {
                let function = function.or_else(|| frame.function.clone());
                let function = function.unwrap_or_else(|| format!("<wasm function {}>", frame.index));
                let function = rustc_demangle::demangle(&function);
                // Writing to a string cannot fail.
                let _ = match inlined {
                    0 => write!(text, "\n{number:>5}: {offset:>#8x} - {function:#}"),
                    _ => write!(text, "\n                - {function:#}"),
                };
                if let Some(place) = place {
                    let _ = write!(text, "\n                    at {place}");
                }
            }
        }
        text
    }

    /// Whether the debug information is parsed, so that [`Self::describe`] takes microseconds.
    pub(crate) fn is_parsed(&self) -> bool {
        self.modules.get().is_some()
    }
}

/// The text of `frames`. The debug information is parsed on a thread that may block.
pub(crate) async fn describe(symbols: &Arc<Symbols>, frames: Vec<Frame>) -> String {
    if symbols.is_parsed() {
        return symbols.describe(&frames);
    }
    let symbols = Arc::clone(symbols);
    // It is not aborted, and does not panic.
    tokio::task::spawn_blocking(move || symbols.describe(&frames)).await.unwrap_or_default()
}

impl Module {
    /// Returns the functions at `offset`, innermost first, each with its source line.
    fn locate(&self, offset: usize) -> Vec<(Option<String>, Option<String>)> {
        let context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        // Addresses of debug information count from the beginning of the code section.
        let probe = u64::try_from(offset - self.code.start).unwrap_or(u64::MAX);
        let Ok(mut frames) = context.find_frames(probe).skip_all_loads() else { return Vec::new() };
        let mut located = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.and_then(|name| name.raw_name().ok().map(|name| name.into_owned()));
            let place = frame.location.and_then(|location| {
                let (file, line) = (location.file?, location.line?);
                Some(match location.column {
                    Some(column) => format!("{file}:{line}:{column}"),
                    None => format!("{file}:{line}"),
                })
            });
            located.push((function, place));
        }
        located
    }
}

/// Returns the core modules of `component` that have debug information.
fn modules(component: &[u8]) -> Vec<Module> {
    let mut found = Vec::new();
    // Code and debug sections of the modules that are open, innermost last.
    let mut open: Vec<(Option<Range<usize>>, Sections)> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        // Broken: wasmtime would not have compiled it.
        let Ok(payload) = payload else { break };
        match payload {
            Payload::Version { .. } => open.push((None, Sections::default())),
            Payload::CodeSectionStart { range, .. } => {
                if let Some((code, _)) = open.last_mut() {
                    *code = Some(range);
                }
            }
            Payload::CustomSection(section) => {
                if let Some((_, sections)) = open.last_mut() {
                    sections.add(section.name(), section.data());
                }
            }
            Payload::End(_) => {
                if let Some((Some(code), sections)) = open.pop()
                    && let Some(context) = sections.context()
                {
                    found.push(Module { code, context: Mutex::new(context) });
                }
            }
            _ => {}
        }
    }
    found
}

/// Debug sections of a module by name.
#[derive(Default)]
struct Sections(Vec<(String, Arc<[u8]>)>);

impl Sections {
    fn add(&mut self, name: &str, data: &[u8]) {
        if name.starts_with(".debug_") {
            self.0.push((name.to_owned(), data.into()));
        }
    }

    /// Returns what looks addresses up. `None` without debug information.
    fn context(&self) -> Option<Context<Reader>> {
        if self.0.is_empty() {
            return None;
        }
        let section = |id: SectionId| {
            let data = self.0.iter().find(|(name, _)| name == id.name()).map(|(_, data)| Arc::clone(data));
            Ok::<_, gimli::Error>(Reader::new(data.unwrap_or_default(), LittleEndian))
        };
        Context::from_dwarf(Dwarf::load(section).ok()?).ok()
    }
}
