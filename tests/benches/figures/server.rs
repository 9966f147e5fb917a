//! A server to be measured.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use miniflow::dev::build::{Profile, build_blocking_with};

use super::client::Client;

/// When a commit counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Normal,
    Full,
}

impl Mode {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Full => "full",
        }
    }
}

/// A running server, killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
    pub(crate) host: String,
}

impl Server {
    /// Starts one on `state`. Its cron trigger and schedule would disturb a figure once a minute.
    pub(crate) fn start(mode: Mode, state: &Path) -> Self {
        Self::start_of(worker(), &["--no-cron"], mode, state)
    }

    /// Starts one that serves `path`, with further arguments.
    pub(crate) fn start_of(path: &Path, arguments: &[&str], mode: Mode, state: &Path) -> Self {
        Self::serve(path, arguments, mode, state, "warn", |_| {})
    }

    /// Starts one that serves `path`. `heard` gets the lines that it prints once it is ready.
    pub(crate) fn serve(
        path: &Path,
        arguments: &[&str],
        mode: Mode,
        state: &Path,
        level: &str,
        heard: impl Fn(String) + Send + 'static,
    ) -> Self {
        let mut command = program();
        command.arg("dev").arg(path).args(arguments).arg("--no-build");
        Self::spawn(command, mode, state, level, heard)
    }

    /// Starts one that builds `path` into `target`, and again after each edit.
    pub(crate) fn develop(
        path: &Path,
        target: &Path,
        mode: Mode,
        state: &Path,
        heard: impl Fn(String) + Send + 'static,
    ) -> Self {
        let mut command = program();
        command.arg("dev").arg(path).env("CARGO_TARGET_DIR", target);
        Self::spawn(command, mode, state, "info", heard)
    }

    fn spawn(
        mut command: Command,
        mode: Mode,
        state: &Path,
        level: &str,
        heard: impl Fn(String) + Send + 'static,
    ) -> Self {
        let mut child = command
            .args(["--port", "0", "--log-level", level, "--durability", mode.word()])
            .arg("--persist-to")
            .arg(state)
            // As in a shell of most people: with it the engine walks the stack for each guest that is put away.
            .env_remove("RUST_BACKTRACE")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                let ended = child.wait();
                panic!("the server ended, {ended:?}:\n{said}");
            };
            if let Some((_, host)) = line.split_once("ready on http://") {
                // Read on, so that it never waits for us.
                let host = host.trim().to_owned();
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(heard));
                return Self { child, host };
            }
            said.push_str(&line);
            said.push('\n');
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.host).expect("the server listens")
    }

    /// Resident memory, MB.
    pub(crate) fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(f64::NAN);
        kib * 1024.0 / 1e6
    }
}

/// The program that is measured.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_miniflow-under-test"))
}

impl Server {
    /// Processor time of all threads so far, in ms. The kernel counts it in ticks of 10 ms.
    pub(crate) fn processor_ms(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name of the program may have spaces; the fields after it are numbered from 3.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
        let ticks = |field: usize| fields.split(' ').nth(field - 3).and_then(|ticks| ticks.parse::<u32>().ok());
        match (ticks(14), ticks(15)) {
            (Some(user), Some(system)) => 10.0 * f64::from(user + system),
            _ => f64::NAN,
        }
    }
}

/// Runs a command on the Worker to its end, and returns the JSON that it prints.
pub(crate) fn run(arguments: &[&str]) -> serde_json::Value {
    let (command, arguments) = arguments.split_first().expect("a command has a name");
    let output =
        program().arg(command).arg(worker()).arg("--no-build").args(arguments).output().expect("the program starts");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the bench Worker, built.
pub(crate) fn worker() -> &'static Path {
    &built().0
}

/// The component of the bench Worker.
pub(crate) fn component() -> &'static Path {
    &built().1
}

fn built() -> &'static (PathBuf, PathBuf) {
    static BUILT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench-worker");
        let component = build_blocking_with(&folder, Profile::Release).expect("the bench Worker builds");
        (folder, component)
    })
}
