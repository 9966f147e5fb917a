//! What is served, and how: `miniflow dev` with its arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::log::Log;
use crate::server::Server;
use crate::worker::{build, repository};

/// A Worker to be served, and the folder of its state. May be started as often as wanted, once at a time.
pub struct Dev {
    path: PathBuf,
    /// The component, when it was built here.
    component: Option<PathBuf>,
    state: State,
    args: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: Option<Arc<TempDir>>,
    /// Workers of the same session, after the one that takes the requests.
    beside: Vec<Self>,
}

enum State {
    Temporary(Arc<TempDir>),
    Given(PathBuf),
    Default,
}

impl Dev {
    /// The Worker `examples/NAME`, built.
    #[must_use]
    #[track_caller]
    pub fn example(name: &str) -> Self {
        Self::package(&repository().join("examples").join(name))
    }

    /// The Worker `tests/guests/NAME`, built.
    #[must_use]
    #[track_caller]
    pub fn guest(name: &str) -> Self {
        Self::package(&repository().join("tests/guests").join(name))
    }

    /// The package in `folder`, built.
    #[must_use]
    #[track_caller]
    pub fn package(folder: &Path) -> Self {
        let component = build(folder);
        Self { component: Some(component), ..Self::path(folder) }
    }

    /// Whatever `path` is: it is passed on, and nothing is built before.
    #[must_use]
    pub fn path(path: &Path) -> Self {
        let state = tempfile::tempdir().expect("a temporary folder can be made");
        Self {
            path: path.to_owned(),
            component: None,
            state: State::Temporary(Arc::new(state)),
            args: Vec::new(),
            variables: Vec::new(),
            folder: None,
            beside: Vec::new(),
        }
    }

    /// A temporary folder whose `wrangler.jsonc` is `text`, and nothing else.
    #[must_use]
    pub fn configured(text: &str) -> Self {
        Self::path(Path::new("")).in_own_folder(text)
    }

    /// Serves the component that was built under another configuration, which need not say `name` and `main`.
    #[must_use]
    pub fn config(self, mut config: Value) -> Self {
        let component = self.component.as_ref().expect("only what was built can be configured anew");
        for (key, value) in [("name", json!("worker")), ("main", json!(component))] {
            if config.get(key).is_none() {
                config[key] = value;
            }
        }
        self.in_own_folder(&config.to_string())
    }

    fn in_own_folder(self, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("wrangler.jsonc"), config).expect("a temporary folder can be written to");
        Self { path: folder.path().to_owned(), component: None, folder: Some(Arc::new(folder)), ..self }
    }

    /// Keeps the state in `folder`.
    #[must_use]
    pub fn persist(self, folder: &Path) -> Self {
        Self { state: State::Given(folder.to_owned()), ..self }
    }

    /// Keeps the state where it is kept unless something else is said.
    #[must_use]
    pub fn persist_by_default(self) -> Self {
        Self { state: State::Default, ..self }
    }

    /// Serves `other` in the same session. Its requests, state and arguments are not used.
    #[must_use]
    pub fn beside(mut self, other: Self) -> Self {
        self.beside.push(other);
        self
    }

    /// Passes further arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the process's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Returns PATH, as it is passed.
    #[must_use]
    pub fn served(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of the state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        match &self.state {
            State::Temporary(folder) => folder.path().to_owned(),
            State::Given(folder) => folder.clone(),
            State::Default => self.path.join(".miniflow").join("state"),
        }
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    #[must_use]
    #[track_caller]
    pub fn start(&self) -> Server {
        Server::start(self.command(), self.folders(), "ready on ")
    }

    /// Starts it, and waits until it is ready, for at most `limit`: it is to be built first.
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    #[must_use]
    #[track_caller]
    pub fn start_within(&self, limit: std::time::Duration) -> Server {
        Server::start_within(self.command(), self.folders(), crate::wait::Patience::of(limit))
    }

    /// Starts it, and waits until it says that there is nothing to serve yet.
    ///
    /// # Panics
    ///
    /// When it does not say that.
    #[must_use]
    #[track_caller]
    pub fn start_unbuilt(&self) -> Server {
        Server::start(self.command(), self.folders(), "answered with 503: ")
    }

    /// Starts it, and waits until it has given up.
    ///
    /// # Panics
    ///
    /// When it serves instead.
    #[must_use]
    #[track_caller]
    pub fn refused(&self) -> Refusal {
        let mut child = self.command().spawn().expect("the program under test can be started");
        let log = Log::of(child.stderr.take().expect("standard error is piped, and taken once"));
        let is_ready = log.wait_for(|line| line.contains("ready on ").then_some(())).is_some();
        if is_ready || !log.wait_for_end() {
            // It may have ended by itself in the meantime.
            let _ = child.kill();
            let _ = child.wait();
            panic!("it serves instead of refusing to:\n{}", log.text());
        }
        let status = child.wait().expect("a child can be waited for");
        Refusal { code: status.code(), text: log.text() }
    }

    /// Runs `miniflow check` on it, and returns what it says.
    #[must_use]
    #[track_caller]
    pub fn checked(&self) -> Refusal {
        let output = self.command_of("check").args(&self.args).output().expect("the program under test can be started");
        Refusal { code: output.status.code(), text: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    /// What has to be there as long as the process is, also when this is gone.
    pub(crate) fn folders(&self) -> Vec<Arc<TempDir>> {
        let state = match &self.state {
            State::Temporary(folder) => Some(folder),
            State::Given(_) | State::Default => None,
        };
        let others = self.beside.iter().filter_map(|other| other.folder.as_ref());
        self.folder.iter().chain(state).chain(others).cloned().collect()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.command_of("dev");
        match &self.state {
            State::Default => {}
            State::Temporary(_) | State::Given(_) => {
                command.arg("--persist-to").arg(self.state());
            }
        }
        command.args(&self.args).env("MINIFLOW_PORT", "0");
        command
    }

    /// The command `name` on the Workers, without further arguments.
    fn command_of(&self, name: &str) -> Command {
        let program = program();
        let mut command = Command::new(&program);
        let ours = ["CLOUDFLARE_ENV", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];
        let is_ours = |name: &str| name.starts_with("MINIFLOW_") || ours.contains(&name);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.arg(name);
        if self.beside.is_empty() {
            command.arg(&self.path);
        } else {
            for worker in std::iter::once(self).chain(&self.beside) {
                command.arg("-c").arg(&worker.path);
            }
        }
        if self.component.is_some() {
            command.arg("--no-build");
        }
        command
            .env("NO_COLOR", "1")
            // Kept between runs of the tests, and apart from the developer's.
            .env("MINIFLOW_CACHE_DIR", program.with_file_name("miniflow-tests-cache"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// How a start went wrong, as the developer sees it.
#[derive(Debug)]
pub struct Refusal {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard error.
    pub text: String,
}

impl Refusal {
    /// Asserts that this is one error with a hint: exit code 1, and a line of `parts` each.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[track_caller]
    pub fn assert_one_error(&self, parts: &[&str]) {
        let count = |label: &str| self.text.lines().filter(|line| line.trim_start().starts_with(label)).count();
        assert_eq!(self.code, Some(1), "exit code of\n{}", self.text);
        assert_eq!((count("error: "), count("hint: ")), (1, 1), "errors and hints in\n{}", self.text);
        for part in parts {
            assert!(self.text.contains(part), "`{part}` is missing in\n{}", self.text);
        }
    }
}

/// Returns the program under test. cargo says where it is; a debugger does not.
///
/// # Panics
///
/// When the test does not know its own path.
#[must_use]
pub fn program() -> PathBuf {
    const NAME: &str = "miniflow-under-test";
    if let Some(path) = std::env::var_os(format!("CARGO_BIN_EXE_{NAME}")) {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test knows its own path");
    let folder = test.ancestors().nth(2).expect("tests are in `deps`, beside which programs are");
    folder.join(format!("{NAME}{}", std::env::consts::EXE_SUFFIX))
}
