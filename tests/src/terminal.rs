//! A terminal with somebody at it: `script`, which every Unix has, makes it, and a shell starts the program in it.

use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};

use crate::dev::Dev;
use crate::log::Log;
use crate::server::Server;
use crate::wait::Patience;

/// What the shell says before and after.
const ON: &str = "on terminal ";
const ENDED: &str = "ended with ";

/// The side of the terminal that the person has.
pub struct Terminal {
    keys: ChildStdin,
    /// Its other side, such as `/dev/pts/3`.
    device: String,
}

/// How a terminal treats what is typed and printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Lines are edited, and handed over whole.
    pub edits_lines: bool,
    /// What is typed is shown.
    pub echoes: bool,
    /// Ctrl-C interrupts.
    pub signals: bool,
    /// A line end also goes back to the first column.
    pub returns: bool,
}

impl Dev {
    /// Starts it on a terminal, and waits until it is ready. When it has ended, the log says how, and how the terminal was then: see
    /// [`Modes::in_the_end`].
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    #[must_use]
    #[track_caller]
    pub fn start_on_terminal(&self) -> (Server, Terminal) {
        let program = self.command();
        let words: Vec<String> = std::iter::once(program.get_program())
            .chain(program.get_args())
            .map(|word| quoted(&word.to_string_lossy()))
            .collect();
        // The shell outlives what is meant for the program.
        let line = format!(
            "trap : INT QUIT; echo {ON}$(tty); stty sane; {} > {}; echo {ENDED}$?; stty -a",
            words.join(" "),
            "/dev/null"
        );
        let mut command = Command::new("script");
        command.arg("-q");
        if cfg!(target_os = "linux") {
            command.args(["-c", &line, "/dev/null"]);
        } else {
            command.args(["/dev/null", "sh", "-c", &line]);
        }
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("there is a `script`");
        let keys = child.stdin.take().expect("standard input is piped, and taken once");
        let log = Log::of(child.stdout.take().expect("standard output is piped, and taken once"));
        let device = log.wait_for(|line| Some(line.split_once(ON)?.1.trim().to_owned()));
        let server = Server::of(child, log, self.folders(), ("ready on ", Patience::default()));
        (server, Terminal { keys, device: device.expect("the shell says it first") })
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Terminal {
    /// Types `keys`.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    #[track_caller]
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("a terminal can be typed at");
    }

    /// Returns how it is set.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    #[must_use]
    #[track_caller]
    pub fn modes(&self) -> Modes {
        let flag = if cfg!(target_os = "linux") { "-F" } else { "-f" };
        let output = Command::new("stty").args([flag, &self.device, "-a"]).output().expect("there is an `stty`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Modes::of(&String::from_utf8_lossy(&output.stdout))
    }
}

impl Modes {
    /// Returns the status that the program has ended with, as shells have it, and how the terminal was then.
    ///
    /// # Panics
    ///
    /// When the log does not say it.
    #[must_use]
    #[track_caller]
    pub fn in_the_end(log: &str) -> (i32, Self) {
        let (_, end) = log.split_once(ENDED).unwrap_or_else(|| panic!("it has not ended:\n{log}"));
        let (status, modes) = end.split_once('\n').unwrap_or((end, ""));
        (status.trim().parse().expect("a shell says a number"), Self::of(modes))
    }

    /// Reads what `stty -a` says: a mode that is off has a dash.
    fn of(text: &str) -> Self {
        let is_on = |mode: &str| text.split(|c: char| c.is_whitespace() || c == ';').any(|word| word == mode);
        Self {
            edits_lines: is_on("icanon"),
            echoes: is_on("echo"),
            signals: is_on("isig"),
            returns: is_on("opost") && is_on("onlcr"),
        }
    }
}
