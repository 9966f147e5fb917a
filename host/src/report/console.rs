//! The lines that a running server prints: what happens to instances, and what Workers log.
//!
//! Promises: lines come whole and in order, and printing never holds up who has something to say: a thread of its own writes, and
//! when a terminal is too slow lines are left out and counted. Never does: decide what is worth a line.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::{Style, terminal};
use crate::bindings::logging::{Level, LogLine, LogSink};

/// Lines that wait for the terminal: a second of a very talkative Worker.
const LINES_MAX: usize = 16 * 1024;

/// Bytes written at once at most.
const CHUNK_BYTES: usize = 64 * 1024;

/// Prints lines. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    lines: SyncSender<Said>,
    left_out: Arc<AtomicUsize>,
    style: Style,
    least: Level,
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
    /// Starts the printing thread. Lines less important than `least` are not printed.
    ///
    /// # Errors
    ///
    /// When there can be no more threads.
    pub fn start(style: Style, least: Level) -> std::io::Result<(Self, Printer)> {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let left_out = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&left_out);
        std::thread::Builder::new().name("miniflow-print".into()).spawn(move || print(&waiting, &count))?;
        let printer = Printer(lines.clone());
        Ok((Self { lines, left_out, style, least }, printer))
    }

    fn say(&self, level: Level, label: &str, message: &str) {
        let (word, code) = match level {
            Level::Debug => ("debug", "2"),
            Level::Info => ("info", "36"),
            Level::Log => ("log", "32"),
            Level::Warn => ("warn", "33"),
            Level::Error => ("error", "31"),
        };
        let mut line = self.style.word(code, &format!("{word:<5}"));
        if !label.is_empty() {
            line.push(' ');
            line.push_str(&self.style.word("2", label));
        }
        // A message of several lines stays readable as one.
        for (index, part) in message.lines().enumerate() {
            line.push_str(if index == 0 { " " } else { "\n      " });
            line.push_str(part);
        }
        line.push('\n');
        if self.lines.try_send(Said::Line(line)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn print(waiting: &Receiver<Said>, left_out: &AtomicUsize) {
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
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "warn  {missing} lines were left out: the terminal is too slow");
        }
        terminal::stderr(&text);
    }
}

impl LogSink for Console {
    fn line(&self, line: LogLine) {
        if line.level < self.least {
            return;
        }
        let mut label =
            line.instance.map_or_else(String::new, |instance| format!("{}/{}", instance.workflow, instance.id));
        if let Some(step) = line.step {
            let _ = write!(label, " {}-{} attempt {}", step.name, step.count, step.attempt);
        }
        self.say(line.level, &label, &line.message);
    }
}

/// Events of the program itself.
impl<S: Subscriber> Layer<S> for Console {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut label = String::new();
        if let Some(workflow) = fields.workflow {
            let _ = write!(label, "{workflow}/{}", fields.instance.unwrap_or_default());
        }
        if let Some(step) = fields.step {
            let _ = write!(label, " {step}");
        }
        if let Some(attempt) = fields.attempt {
            let _ = write!(label, " attempt {attempt}");
        }
        self.say(level, &label, &format!("{}{}", fields.message, fields.rest));
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = metadata.target().starts_with("miniflow");
        let least = match self.least {
            Level::Debug => tracing::Level::DEBUG,
            Level::Info | Level::Log => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        ours && *metadata.level() <= least
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(match self.least {
            Level::Debug => tracing::level_filters::LevelFilter::DEBUG,
            Level::Info | Level::Log => tracing::level_filters::LevelFilter::INFO,
            Level::Warn => tracing::level_filters::LevelFilter::WARN,
            Level::Error => tracing::level_filters::LevelFilter::ERROR,
        })
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    workflow: Option<String>,
    instance: Option<String>,
    step: Option<String>,
    attempt: Option<String>,
    rest: String,
}

impl Fields {
    fn take(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            "workflow" => self.workflow = Some(value),
            "instance" => self.instance = Some(value),
            "step" if !value.is_empty() => self.step = Some(value),
            "step" => {}
            "attempt" => self.attempt = Some(value),
            "error" => {
                let _ = write!(self.rest, ": {value}");
            }
            name => {
                let _ = write!(self.rest, " {name}={value}");
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }
}
