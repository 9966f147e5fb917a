//! What a CI runs: journals of one build replayed on another, workflows killed everywhere, and what does not go the same way twice.

mod determinism;
mod hosted;
mod matrix;
mod profiles;
mod replay;

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use miniflow_tests::program;

/// What a command said, and its exit code.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// Asserts the exit code.
    #[track_caller]
    fn code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// Asserts that both are one error with a hint, and have these parts.
    #[track_caller]
    fn one_error(&self, code: i32, parts: &[&str]) {
        self.code(code);
        let count = |label: &str| self.err.lines().filter(|line| line.trim_start().starts_with(label)).count();
        assert_eq!((count("error: "), count("hint: ")), (1, 1), "errors and hints in\n{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is missing in\n{}", self.err);
        }
    }
}

/// Runs the program to its end.
fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Said {
    let program = program();
    let output = Command::new(&program)
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("MINIFLOW_CACHE_DIR", program.with_file_name("miniflow-tests-cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
