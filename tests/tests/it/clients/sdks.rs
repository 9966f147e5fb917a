//! The official SDKs of npm and PyPI: every method about workflows, by the scripts in `tests/clients`.

use std::process::Command;

use miniflow_tests::{Dev, repository};

use super::{installed, node, text};

/// Runs a script that asserts everything itself and says so in its last line.
#[track_caller]
fn check(mut script: Command) {
    let server = Dev::guest("behaviours").args(["--api-token", "t0ken"]).start();
    script.env("BASE_URL", format!("{}/client/v4", server.url())).env("TOKEN", "t0ken");
    let output = script.output().unwrap();
    let said = text(&output);
    assert!(output.status.success() && said.trim_end().ends_with("every method works"), "{said}");
}

#[test]
fn every_method_of_the_sdk_of_npm_works() {
    let Some(clients) = installed() else { return };
    let mut script = node(clients);
    script.arg(repository().join("tests/clients/sdk.cjs")).env("NODE_PATH", clients.join("node_modules"));
    check(script);
}

#[test]
fn every_method_of_the_sdk_of_pypi_works() {
    let Some(clients) = installed() else { return };
    let mut script = Command::new(clients.join("venv/bin/python"));
    script.arg(repository().join("tests/clients/sdk.py"));
    check(script);
}
