//! What guests log: kept for the test, and shown when it fails.

use std::sync::{Mutex, MutexGuard, PoisonError};

use miniflow::bindings::logging::{LogLine, LogSink};

/// Lines that are kept, at most.
const LINES_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct Console(Mutex<Vec<LogLine>>);

impl Console {
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.lock().clone()
    }

    /// Shows what was logged, and why requests were `refused`, where the test shows why it has failed.
    pub(crate) fn show(&self, refused: &[String]) {
        let lines = self.lock();
        if lines.is_empty() && refused.is_empty() {
            return;
        }
        let mut text = String::new();
        for why in refused {
            text.push_str(&format!("--- {why}\n"));
        }
        if !lines.is_empty() {
            text.push_str("--- the Worker logged:\n");
        }
        for line in lines.iter() {
            if let Some(instance) = &line.instance {
                text.push_str(&format!("{}/{} ", instance.workflow, instance.id));
            }
            if let Some(step) = &line.step {
                text.push_str(&format!("{}-{}#{} ", step.name, step.count, step.attempt));
            }
            text.push_str(&line.message);
            text.push('\n');
        }
        #[expect(clippy::print_stderr, reason = "a test that fails shows what its Worker said")]
        {
            eprintln!("{text}---");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LogLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSink for Console {
    fn line(&self, line: LogLine) {
        let mut lines = self.lock();
        if lines.len() < LINES_MAX {
            lines.push(line);
        }
    }
}
