//! A running `miniflow dev`.

#[cfg(target_os = "linux")]
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use crate::client::{Answer, Client, Exchange, Payload};
use crate::log::Log;
use crate::wait::Patience;
use crate::workflow::Workflow;

/// The process. Killed when dropped; a test that panics shows what it has said.
pub struct Server {
    child: Child,
    log: Log,
    url: String,
    client: Client,
    _folders: Vec<Arc<TempDir>>,
}

impl Server {
    #[track_caller]
    pub(crate) fn start(mut command: Command, folders: Vec<Arc<TempDir>>, before_url: &str) -> Self {
        let mut child = command.spawn().expect("the program under test can be started");
        let log = Log::of(child.stderr.take().expect("standard error is piped, and taken once"));
        Self::of(child, log, folders, (before_url, Patience::default()))
    }

    /// As [`Self::start`], for what is ready after a build.
    #[track_caller]
    pub(crate) fn start_within(mut command: Command, folders: Vec<Arc<TempDir>>, patience: Patience) -> Self {
        let mut child = command.spawn().expect("the program under test can be started");
        let log = Log::of(child.stderr.take().expect("standard error is piped, and taken once"));
        Self::of(child, log, folders, ("ready on ", patience))
    }

    /// The process `child`, whose output is `log`, once it has said its address.
    #[track_caller]
    pub(crate) fn of(
        child: Child,
        log: Log,
        folders: Vec<Arc<TempDir>>,
        (before_url, patience): (&str, Patience),
    ) -> Self {
        // In a log of JSON more follows it.
        let url = |line: &str| line.split_once(before_url)?.1.split([' ', '"']).next().map(ToOwned::to_owned);
        let url = log.wait_within(patience, url);
        let client = Client::new(url.as_deref().unwrap_or_default());
        let server = Self { child, log, url: url.unwrap_or_default(), client, _folders: folders };
        // Dropped, it shows its log.
        assert!(!server.url.is_empty(), "the server is not ready");
        server
    }

    /// Returns its address, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for `path`.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.client.get(path).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Posts `body` to `path`.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post(&self, path: &str, body: impl Into<Payload>) -> Answer {
        self.client.post(path, body).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs a command of the program, such as `time`, on this server.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn command(&self, name: &str, arguments: &[&str]) -> Output {
        let port = self.url.rsplit(':').next().unwrap_or_default();
        let mut command = Command::new(crate::program());
        command.arg(name).args(arguments).args(["--port", port]).env("NO_COLOR", "1").stdin(Stdio::null());
        command.output().expect("the program under test can be started")
    }

    /// Begins a POST to `path`, both ways piece by piece.
    #[must_use]
    pub fn exchange(&self, path: &str) -> Exchange {
        self.client.exchange(path)
    }

    /// Returns a client, for requests that may fail and for other threads.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns a workflow of the guest `behaviours`.
    #[must_use]
    pub fn workflow<'a>(&'a self, binding: &'a str) -> Workflow<'a> {
        Workflow::new(self, binding)
    }

    /// Returns what it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Returns the lines that contain `text`.
    #[must_use]
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        self.log.lines().into_iter().filter(|line| line.contains(text)).collect()
    }

    /// Waits for a line that contains `text`, and returns it.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn wait_for_line(&self, text: &str) -> String {
        let line = self.log.wait_for(|line| line.contains(text).then(|| line.to_owned()));
        line.unwrap_or_else(|| panic!("no line with `{text}`"))
    }

    /// Ends it at once, as a crash does, and returns what it has said.
    pub fn kill(mut self) -> String {
        self.end();
        self.log.wait_for_end();
        self.log.text()
    }

    /// Asks it to stop, and does not wait for that.
    ///
    /// # Panics
    ///
    /// When it is gone already.
    #[cfg(unix)]
    #[track_caller]
    pub fn terminate(&self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(asked.expect("there is a `kill`").success(), "the server is there to be told");
    }

    /// Asks it to stop, and returns how it did and what it has said.
    ///
    /// # Panics
    ///
    /// When it does not stop.
    #[cfg(unix)]
    #[must_use]
    #[track_caller]
    pub fn stop(self) -> (ExitStatus, String) {
        self.terminate();
        self.wait()
    }

    /// Waits until it has ended, and returns how it did and what it has said.
    ///
    /// # Panics
    ///
    /// When it goes on.
    #[must_use]
    #[track_caller]
    pub fn wait(mut self) -> (ExitStatus, String) {
        let patience = Patience::default();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            assert!(patience.wait(), "the server does not stop");
        };
        self.log.wait_for_end();
        (status, self.log.text())
    }

    /// Returns the memory that it uses at present.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[cfg(target_os = "linux")]
    #[must_use]
    #[track_caller]
    pub fn memory_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Returns the most memory that it has used at a time.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[cfg(target_os = "linux")]
    #[must_use]
    #[track_caller]
    pub fn peak_memory_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    #[cfg(target_os = "linux")]
    #[track_caller]
    fn memory(&self, which: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server is there");
        let found = status.lines().find_map(|line| line.strip_prefix(which)).expect("Linux tells it");
        let kib: u64 = found.trim().trim_end_matches(" kB").parse().expect("Linux tells it in kB");
        kib * 1024
    }

    /// Returns the files that it has open at present.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[cfg(target_os = "linux")]
    #[must_use]
    #[track_caller]
    pub fn open_files(&self) -> Vec<PathBuf> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let files = std::fs::read_dir(folder).expect("the server is there");
        // One may be closed meanwhile.
        files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).collect()
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            self.log.wait_for_end();
            #[expect(clippy::print_stderr, reason = "a test that fails shows what the server said")]
            {
                eprintln!("--- the server said:\n{}\n---", self.log.text());
            }
        }
    }
}
