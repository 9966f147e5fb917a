//! Prints records.
//!
//! Promises: lines come whole and in order, and printing never holds up who has something to say: a thread of its own writes, and
//! when a terminal is too slow lines are left out and counted. Never does: decide what is worth a line.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use miniflow_runtime::{Clock, SystemClock};
use serde_json::Value;

use super::{Format, Record};
use crate::bindings::logging::{Level, LogLine, LogSink};
use crate::report::terminal;

/// Lines that wait for the terminal: a second of a very talkative Worker.
const LINES_MAX: usize = 16 * 1024;

/// Bytes written at once at most.
const CHUNK_BYTES: usize = 64 * 1024;

/// Prints lines. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    lines: SyncSender<Said>,
    shared: Arc<Shared>,
    format: Format,
    /// What matters less is not printed; none: nothing is that need not be.
    pub(super) least: Option<Level>,
}

struct Shared {
    left_out: AtomicUsize,
    /// The clock of the session, as soon as it is known.
    clock: OnceLock<Arc<dyn Clock>>,
    /// Until then.
    system: SystemClock,
}

enum Said {
    Line(String),
    /// Everything before it is to be printed; then this is dropped.
    Finish(SyncSender<()>),
}

/// The printing thread.
pub struct Printer(SyncSender<Said>);

impl Printer {
    /// Waits until what was said before is printed.
    pub fn finish(self) {
        let (done, printed) = sync_channel(0);
        if self.0.send(Said::Finish(done)).is_ok() {
            // Ends with an error, when the other side is dropped.
            let _ = printed.recv();
        }
    }
}

impl Console {
    /// Starts the printing thread. Records less important than `least` are not printed; none of them is when there is none.
    ///
    /// # Errors
    ///
    /// When there can be no more threads.
    pub fn start(format: Format, least: Option<Level>) -> std::io::Result<(Self, Printer)> {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let shared =
            Arc::new(Shared { left_out: AtomicUsize::new(0), clock: OnceLock::new(), system: SystemClock::new() });
        let console = Self { lines: lines.clone(), shared, format, least };
        let printed = console.clone();
        std::thread::Builder::new().name("miniflow-print".into()).spawn(move || printed.print(&waiting))?;
        Ok((console, Printer(lines)))
    }

    /// How records are shown.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Prints `record`, if it matters enough.
    pub fn say(&self, record: &Record) {
        if self.least.is_some_and(|least| record.level >= least) {
            self.show(record);
        }
    }

    /// Prints `record`, however little it matters.
    pub fn show(&self, record: &Record) {
        self.send(self.format.line(record, self.now()));
    }

    /// Prints `text` as it is: for what only people read.
    pub fn send(&self, text: String) {
        if self.lines.try_send(Said::Line(text)).is_err() {
            self.shared.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn now(&self) -> miniflow_runtime::Timestamp {
        self.shared.clock.get().map_or_else(|| self.shared.system.now(), |clock| clock.now())
    }

    fn print(&self, waiting: &Receiver<Said>) {
        while let Ok(said) = waiting.recv() {
            let mut text = String::new();
            let mut next = Some(said);
            let mut finish = None;
            while let Some(said) = next.take() {
                match said {
                    Said::Line(line) => text.push_str(&line),
                    Said::Finish(done) => finish = Some(done),
                }
                if text.len() < CHUNK_BYTES && finish.is_none() {
                    next = waiting.try_recv().ok();
                }
            }
            let missing = self.shared.left_out.swap(0, Ordering::Relaxed);
            if missing > 0 {
                let message = format!("{missing} lines were left out: the terminal is too slow");
                let record = Record::new(Level::Warn, "server", message).with("left_out", missing);
                text.push_str(&self.format.line(&record, self.now()));
            }
            terminal::stderr(&text);
        }
    }
}

impl LogSink for Console {
    fn line(&self, line: LogLine) {
        if self.least.is_none_or(|least| line.level < least) {
            return;
        }
        let mut record = Record::new(line.level, "console", line.message).with("worker", line.worker);
        if let Some(instance) = line.instance {
            record = record.with("workflow", instance.workflow).with("instance", instance.id);
        }
        if let Some(step) = line.step {
            record =
                record.with("step", format!("{}-{}", step.name, step.count)).with("attempt", Value::from(step.attempt));
        }
        self.show(&record);
    }

    fn keep_time(&self, clock: Arc<dyn Clock>) {
        // One session, one clock.
        let _ = self.shared.clock.set(clock);
    }
}
