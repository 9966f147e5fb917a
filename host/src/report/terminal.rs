//! Writes to the terminal.
//!
//! Whether anybody reads it is not our problem: a closed pipe is not an error.

use std::io::Write;

/// What empties a terminal, and what it remembers.
pub const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Writes `text` to standard output: data that a command was asked for.
pub fn stdout(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes `text` to standard error: everything that is not data.
pub fn stderr(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
