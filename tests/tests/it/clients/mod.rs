//! The real clients, pinned, against a real server: wrangler, both SDKs, and schemathesis against the OpenAPI documents.
//!
//! They are installed by `tests/clients/setup` into `target/clients`. Where that is not possible (no npm, no Python, no network) these tests
//! say so and do nothing, unless MINIFLOW_CLIENTS is `required`, as in CI.

mod schemathesis;
mod sdks;
mod wrangler;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use miniflow_tests::repository;

/// Where the clients are; none when they cannot be had here.
fn installed() -> Option<&'static Path> {
    static INSTALLED: LazyLock<Result<PathBuf, String>> = LazyLock::new(install);
    match &*INSTALLED {
        Ok(folder) => Some(folder),
        Err(why) if std::env::var("MINIFLOW_CLIENTS").as_deref() == Ok("required") => panic!("no clients: {why}"),
        Err(why) => {
            println!("skipped, the clients cannot be had: {why}");
            None
        }
    }
}

fn install() -> Result<PathBuf, String> {
    for (tool, argument) in [("bash", "--version"), ("npm", "--version"), ("python3", "--version")] {
        let found = Command::new(tool).arg(argument).output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("there is no `{tool}`"));
        }
    }
    let setup = Command::new("bash").arg(repository().join("tests/clients/setup")).output();
    let setup = setup.map_err(|error| error.to_string())?;
    if setup.status.success() { Ok(repository().join("target/clients")) } else { Err(text(&setup)) }
}

/// Everything a program said.
fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// The Node that is installed there.
fn node(clients: &Path) -> Command {
    Command::new(clients.join("node_modules/.bin/node"))
}
