//! What a process writes to standard error, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::wait::Patience;

/// The lines so far. Cheap to clone; all clones are the same log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    written: Mutex<Written>,
    changed: Condvar,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    is_over: bool,
}

impl Log {
    /// Reads `source` to its end, on a thread of its own.
    pub(crate) fn of(source: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let reader = log.clone();
        std::thread::spawn(move || reader.read(source));
        log
    }

    fn read(&self, source: impl Read) {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            self.lock().lines.push(line);
            self.0.changed.notify_all();
        }
        self.lock().is_over = true;
        self.0.changed.notify_all();
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lock().lines.join("\n")
    }

    /// Waits for what `find` finds in a line. None when the process has closed its end, or patience has.
    pub(crate) fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.wait_within(Patience::default(), find)
    }

    /// As [`Self::wait_for`], with other patience.
    pub(crate) fn wait_within<T>(&self, patience: Patience, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut seen = 0;
        let mut written = self.lock();
        loop {
            if let Some(found) = written.lines[seen..].iter().find_map(|line| find(line)) {
                return Some(found);
            }
            seen = written.lines.len();
            let left = patience.left();
            if written.is_over || left.is_zero() {
                return None;
            }
            written = self.0.changed.wait_timeout(written, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything is read that the process wrote; it has ended, or is about to.
    pub(crate) fn wait_for_end(&self) -> bool {
        self.wait_for(|_| None::<()>);
        self.lock().is_over
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
