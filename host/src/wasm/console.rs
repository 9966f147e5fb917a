//! What a guest prints: its own log lines, and standard output and error taken line by line.
//!
//! Promises: each line says which instance and step it came from; what a replay would print again is left out; a panic's text
//! is kept apart for the error it becomes. Never does: print.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use miniflow_runtime::Run;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::trap;
use crate::bindings::logging::{InstanceLabel, Level, LogLine, LogSink, StepLabel};

/// A line without end is cut here.
const LINE_MAX_BYTES: usize = 64 * 1024;

/// Of a panic's text.
const PANIC_MAX_BYTES: usize = 16 * 1024;

/// The console of one store. Cheap to clone; all clones are the same console.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

struct Shared {
    sink: Arc<dyn LogSink>,
    worker: Arc<str>,
    run: Option<Arc<Run>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    out: Vec<u8>,
    err: Vec<u8>,
    panic: Option<String>,
}

#[derive(Clone, Copy)]
enum Source {
    Out,
    Err,
}

impl Console {
    /// Returns the console of a guest of `worker`, in `run` when it runs an instance.
    #[must_use]
    pub fn new(sink: Arc<dyn LogSink>, worker: Arc<str>, run: Option<Arc<Run>>) -> Self {
        Self(Arc::new(Shared { sink, worker, run, state: Mutex::default() }))
    }

    /// Name of the Worker.
    #[must_use]
    pub fn worker(&self) -> &str {
        &self.0.worker
    }

    /// Prints `message`, unless an earlier run has printed it.
    pub fn log(&self, level: Level, message: String) {
        let seen = self.0.run.as_ref().is_some_and(|run| !run.in_step() && run.replaying());
        if !seen {
            self.tell(level, message);
        }
    }

    /// Prints `message`, which is about the run and not of it.
    pub fn tell(&self, level: Level, message: String) {
        let run = self.0.run.as_ref();
        if run.is_some_and(|run| run.is_trial()) {
            return;
        }
        let instance =
            run.map(|run| InstanceLabel { workflow: run.workflow_name().to_owned(), id: run.instance_id().to_owned() });
        let step = run.and_then(|run| run.current_step()).map(|(key, attempt)| StepLabel {
            name: key.name.to_string(),
            count: key.count,
            attempt,
        });
        self.0.sink.line(LogLine { level, message, worker: self.0.worker.to_string(), instance, step });
    }

    /// Takes the text of the panic that the guest reported last.
    #[must_use]
    pub fn take_panic(&self) -> Option<String> {
        self.finish(Source::Err);
        self.0.state().panic.take()
    }

    /// Prints what was written last without a line end. To be called when the guest is gone.
    pub fn flush(&self) {
        self.finish(Source::Out);
        self.finish(Source::Err);
    }

    /// Standard output for the guest.
    pub(super) fn stdout(&self) -> Stream {
        Stream { console: self.clone(), source: Source::Out }
    }

    /// Standard error for the guest.
    pub(super) fn stderr(&self) -> Stream {
        Stream { console: self.clone(), source: Source::Err }
    }

    fn write(&self, source: Source, bytes: &[u8]) {
        let lines = self.0.state().take_lines(source, bytes);
        self.print(source, lines);
    }

    fn finish(&self, source: Source) {
        let lines = self.0.state().take_rest(source);
        self.print(source, lines);
    }

    fn print(&self, source: Source, lines: Vec<String>) {
        let level = match source {
            Source::Out => Level::Log,
            Source::Err => Level::Error,
        };
        for line in lines {
            self.log(level, line);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held left at worst a line too few.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_lines(&mut self, source: Source, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let buffer = self.buffer(source);
            let room = LINE_MAX_BYTES.saturating_sub(buffer.len());
            buffer.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(buffer);
                lines.extend(self.line(source, &line));
            }
        }
        lines
    }

    fn take_rest(&mut self, source: Source) -> Vec<String> {
        let rest = std::mem::take(self.buffer(source));
        if rest.is_empty() { Vec::new() } else { self.line(source, &rest).into_iter().collect() }
    }

    fn buffer(&mut self, source: Source) -> &mut Vec<u8> {
        match source {
            Source::Out => &mut self.out,
            Source::Err => &mut self.err,
        }
    }

    /// The text of a line to be printed; none when it belongs to a panic, which is told with the error it leads to.
    fn line(&mut self, source: Source, bytes: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if matches!(source, Source::Out) {
            return Some(text.to_owned());
        }
        if trap::begins_panic(text) {
            self.panic = Some(text.to_owned());
            return None;
        }
        let Some(panic) = &mut self.panic else {
            // Rust begins the report of a panic with an empty line.
            return (!text.is_empty()).then(|| text.to_owned());
        };
        if panic.len() + text.len() < PANIC_MAX_BYTES {
            panic.push('\n');
            panic.push_str(text);
        }
        None
    }
}

/// Standard output or error of a guest. Never full.
#[derive(Clone)]
pub(super) struct Stream {
    console: Console,
    source: Source,
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.console.write(self.source, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.console.write(self.source, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_MAX_BYTES)
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<(Level, String)>>);

    impl LogSink for Kept {
        fn line(&self, line: LogLine) {
            assert_eq!((line.worker.as_str(), line.instance, line.step), ("shop", None, None));
            self.0.lock().unwrap().push((line.level, line.message));
        }
    }

    fn console() -> (Console, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        (Console::new(Arc::clone(&kept) as Arc<dyn LogSink>, "shop".into(), None), kept)
    }

    fn lines(kept: &Kept) -> Vec<(Level, String)> {
        std::mem::take(&mut kept.0.lock().unwrap())
    }

    #[test]
    fn output_is_printed_line_by_line_whatever_it_is_written_in() {
        let (console, kept) = console();
        let mut out = console.stdout();
        for piece in ["on", "e\ntw", "o\r\n\nthree"] {
            OutputStream::write(&mut out, Bytes::from(piece)).unwrap();
        }
        let log = |text: &str| (Level::Log, text.to_owned());
        assert_eq!(lines(&kept), [log("one"), log("two"), log("")]);
        console.flush();
        assert_eq!(lines(&kept), [log("three")]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let (console, kept) = console();
        for _ in 0..3 {
            console.write(Source::Out, &vec![b'x'; LINE_MAX_BYTES]);
        }
        console.write(Source::Out, b"\nnext\n");
        let lines = lines(&kept);
        assert_eq!(lines[0].1.len(), LINE_MAX_BYTES);
        assert_eq!(lines[1].1, "next");
    }

    #[test]
    fn a_panic_is_kept_for_the_error_and_not_printed() {
        let (console, kept) = console();
        console.write(Source::Err, b"before\n\nthread 'main' (1) panicked at src/lib.rs:1:2:\nbo");
        console.write(Source::Err, b"om\nnote: run with");
        assert_eq!(lines(&kept), [(Level::Error, "before".to_owned())]);
        let panic = console.take_panic().unwrap();
        assert_eq!(panic, "thread 'main' (1) panicked at src/lib.rs:1:2:\nboom\nnote: run with");
        assert_eq!(console.take_panic(), None);
        assert_eq!(lines(&kept), []);
    }
}
