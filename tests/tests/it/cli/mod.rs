//! `miniflow workflows …`: what is printed, what it exits with, and what it has done.

mod follow;
mod gone;
mod offline;
mod reading;
mod steering;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use miniflow_tests::{Dev, Server, program};

/// What a command came to.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// What it printed, if all is well and nothing was said beside it.
    #[track_caller]
    fn printed(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// What it said, if it failed and printed nothing.
    #[track_caller]
    fn refused(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        self.stderr
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let output = command(folder, arguments).output().unwrap();
    ran(&output)
}

fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MINIFLOW_")) {
        command.env_remove(name);
    }
    command
        .arg("workflows")
        .args(arguments)
        .env("NO_COLOR", "1")
        .env_remove("CLOUDFLARE_ENV")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// Runs `miniflow workflows` against a server, from a folder that has nothing to do with it. Its port is `PORT` in what is said.
fn cli(server: &Server, arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let mut ran = run(folder.path(), &[arguments, &["--port", &port]].concat());
    for text in [&mut ran.stdout, &mut ran.stderr] {
        *text = text.replace(&format!("port {port}"), "port PORT");
    }
    ran
}

/// A server at the beginning of 2090, where time stands still.
fn in_2090(dev: &Dev) -> Server {
    let server = dev.start();
    let time = serde_json::json!({ "set": 3_786_912_000_000_u64 });
    let said = server.post("/cdn-cgi/local/miniflow/time", time).expect(200).json();
    assert_eq!(said["now"]["iso"], "2090-01-01T00:00:00.000Z");
    server
}

/// The guest `behaviours` with these of its workflows, as the Worker `shop`.
fn behaviours(classes: &[&str]) -> Dev {
    let workflows: Vec<_> = classes.iter().map(|class| miniflow_tests::bound(class)).collect();
    let config = serde_json::json!({ "name": "shop", "workflows": workflows });
    Dev::guest("behaviours").config(config).args(["--time", "manual"])
}

/// The text without what is another each time: the version of the code, and when the session began.
fn without_version(text: &str) -> String {
    let line = |line: &str| match line.get(..14) {
        Some(label @ ("version       " | "seen since    ")) => format!("{label}…\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
