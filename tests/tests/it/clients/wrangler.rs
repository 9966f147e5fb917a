//! `wrangler workflows …`: every command, against Cloudflare's API and with `--local`.

use std::path::Path;

use miniflow_tests::{Dev, Server, eventually};
use serde_json::{Value, json};

use super::{installed, node, text};

/// wrangler, as it talks to a server.
struct Wrangler<'a> {
    clients: &'a Path,
    server: &'a Server,
    is_local: bool,
    folder: tempfile::TempDir,
}

impl<'a> Wrangler<'a> {
    fn new(clients: &'a Path, server: &'a Server, is_local: bool) -> Self {
        Self { clients, server, is_local, folder: tempfile::tempdir().unwrap() }
    }

    /// Runs `wrangler workflows COMMAND`, and returns whether it succeeded and what it said.
    fn run(&self, command: &[&str], set: &[(&str, &str)]) -> (bool, String) {
        let mut wrangler = node(self.clients);
        wrangler.arg(self.clients.join("node_modules/wrangler/bin/wrangler.js")).args(command);
        if self.is_local {
            let port = self.server.url().rsplit(':').next().unwrap();
            wrangler.args(["--local", "--port", port]);
        }
        // It looks for a configuration in its folder and above it, and keeps things in its home.
        wrangler.current_dir(self.folder.path()).env("HOME", self.folder.path());
        let api = format!("{}/client/v4", self.server.url());
        wrangler
            .env("CLOUDFLARE_API_BASE_URL", api)
            .env("CLOUDFLARE_API_TOKEN", "dummy")
            .env("CLOUDFLARE_ACCOUNT_ID", "local")
            .envs([
                ("CI", "1"),
                ("NO_COLOR", "1"),
                ("WRANGLER_SEND_METRICS", "false"),
                ("WRANGLER_HIDE_BANNER", "true"),
            ]);
        for (name, value) in set {
            if value.is_empty() {
                wrangler.env_remove(name);
            } else {
                wrangler.env(name, value);
            }
        }
        let output = wrangler.output().unwrap();
        (output.status.success(), text(&output))
    }

    /// Runs a command of `workflows` that succeeds and says all of `parts`.
    #[track_caller]
    fn says(&self, command: &[&str], parts: &[&str]) -> String {
        let (succeeded, said) = self.run(&[&["workflows"], command].concat(), &[]);
        assert!(succeeded, "{command:?} fails:\n{said}");
        for part in parts {
            assert!(said.contains(part), "{command:?} does not say `{part}`:\n{said}");
        }
        said
    }

    /// Runs a command of `workflows` that fails and says all of `parts`.
    #[track_caller]
    fn fails(&self, command: &[&str], parts: &[&str]) {
        let (succeeded, said) = self.run(&[&["workflows"], command].concat(), &[]);
        assert!(!succeeded, "{command:?} succeeds:\n{said}");
        for part in parts {
            assert!(said.contains(part), "{command:?} does not say `{part}`:\n{said}");
        }
    }

    /// Runs a command and returns the JSON that it writes.
    #[track_caller]
    fn json(&self, command: &[&str]) -> Value {
        let said = self.says(&[command, &["--json"]].concat(), &[]);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{command:?} {error}:\n{said}"))
    }

    fn status(&self, path: &str) -> Value {
        self.server.v4().result(path)["status"].take()
    }
}

const DAY: &str = r#"{"duration":"1 day"}"#;

// rules: A170, C4.6-2
#[test]
fn wrangler_lists_triggers_and_describes() {
    let Some(clients) = installed() else { return };
    for is_local in [false, true] {
        let server = Dev::guest("behaviours").start();
        let wrangler = Wrangler::new(clients, &server, is_local);
        wrangler.says(&["list"], &["one-step", "behaviours", "OneStep"]);
        if !is_local {
            wrangler.says(
                &["list", "--page", "2", "--per-page", "5"],
                &["Showing 5 workflows from page 2", "nested-retry"],
            );
        }
        wrangler.says(&["describe", "many-steps"], &["many-steps", "ManySteps", "behaviours"]);
        wrangler.fails(&["describe", "nothing"], &[if is_local { "'nothing' not found" } else { "[code: 10200]" }]);

        let triggered = if is_local { "has been triggered successfully" } else { "has been queued successfully" };
        wrangler.says(&["trigger", "many-steps", r#"{"n":2}"#, "--id", "my-id"], &["\"my-id\"", triggered]);
        wrangler.says(&["trigger", "event-echo"], &[triggered]);
        server.v4().wait_for("many-steps/instances/my-id", "complete");
        let echo = server.v4().result("event-echo/instances")[0]["id"].as_str().unwrap().to_owned();
        let echoed = server.v4().wait_for(&format!("event-echo/instances/{echo}"), "complete");
        assert_eq!(echoed["output"]["payload"], json!({}), "no params are an empty object");
        let taken = if is_local { "already exists" } else { "[code: 10405]" };
        wrangler.fails(&["trigger", "many-steps", "--id", "my-id"], &[taken]);

        wrangler.says(&["instances", "list", "many-steps"], &["Showing 1 instance from page 1", "my-id", "Completed"]);
        let described = ["step-1-1", "step-2-1", "Completed", "API", "Output:"];
        wrangler.says(&["instances", "describe", "many-steps", "my-id"], &described);
        wrangler.says(&["instances", "describe", "many-steps"], &described);
        let details = wrangler.json(&["instances", "describe", "many-steps", "my-id"]);
        assert_eq!(details["params"], json!({ "n": 2 }));

        // All that a step can be.
        wrangler.says(&["trigger", "flaky", r#"{"fail":1,"limit":1,"delay":1}"#, "--id", "f"], &[]);
        server.v4().wait_for("flaky/instances/f", "complete");
        wrangler.says(&["instances", "describe", "flaky", "f"], &["attempt 1 fails", "Error", "Success"]);
        wrangler.says(&["trigger", "rollback-order", "--id", "r"], &[]);
        server.v4().wait_for("rollback-order/instances/r", "errored");
        wrangler.says(&["instances", "describe", "rollback-order", "r"], &["Errored"]);
        wrangler.says(&["trigger", "event-waiter", "--id", "w"], &[]);
        server.v4().wait_for("event-waiter/instances/w", "waiting");
        wrangler.says(&["instances", "describe", "event-waiter", "w"], &["Waiting", "wait-1"]);
        wrangler.says(
            &["instances", "send-event", "event-waiter", "w", "--type", "go", "--payload", r#"{"x":1}"#],
            &["\"go\"", "was sent"],
        );
        assert_eq!(
            server.v4().wait_for("event-waiter/instances/w", "complete")["output"]["payload"],
            json!({ "x": 1 })
        );
        wrangler.says(&["instances", "describe", "event-waiter", "w"], &["Waiting for event", "Completed"]);
        wrangler.fails(
            &["instances", "send-event", "event-waiter", "w", "--type", "a/b c"],
            &["workflow.invalid_event_type"],
        );
        wrangler.fails(
            &["instances", "describe", "event-waiter", "none"],
            &[if is_local { "not found" } else { "[code: 10400]" }],
        );
    }
}

// rules: A170, C4.6-2, A145
#[test]
fn wrangler_steers_and_deletes() {
    let Some(clients) = installed() else { return };
    for is_local in [false, true] {
        let server = Dev::guest("behaviours").start();
        let wrangler = Wrangler::new(clients, &server, is_local);
        wrangler.says(&["trigger", "sleeper", DAY, "--id", "a"], &[]);
        let a = "sleeper/instances/a";
        server.v4().wait_for(a, "waiting");
        wrangler.says(&["instances", "pause", "sleeper", "a"], &["\"a\" from sleeper was paused successfully"]);
        assert_eq!(wrangler.status(a), "paused");
        wrangler.says(&["instances", "list", "sleeper", "--status", "paused"], &["Showing 1 instance"]);
        wrangler.says(&["instances", "resume", "sleeper", "a"], &["was resumed successfully"]);
        server.v4().wait_for(a, "waiting");
        wrangler.says(
            &[
                "instances",
                "restart",
                "sleeper",
                "a",
                "--from-step-name",
                "before",
                "--from-step-count",
                "1",
                "--from-step-type",
                "do",
            ],
            &["was restarted successfully"],
        );
        server.v4().wait_for(a, "waiting");
        wrangler.fails(
            &["instances", "restart", "sleeper", "a", "--from-step-name", "none"],
            &["not found in execution history"],
        );
        wrangler.says(&["instances", "restart", "sleeper", "latest"], &["was restarted successfully"]);
        server.v4().wait_for(a, "waiting");
        wrangler.says(&["instances", "terminate", "sleeper", "latest"], &["was terminated successfully"]);
        assert_eq!(wrangler.status(a), "terminated");
        wrangler.fails(&["instances", "terminate", "sleeper", "a"], &["finite state"]);
        wrangler.says(&["trigger", "rollback-sleeps", DAY, "--id", "r"], &[]);
        server.v4().wait_for("rollback-sleeps/instances/r", "waiting");
        wrangler
            .says(&["instances", "terminate", "rollback-sleeps", "r", "--rollback"], &["was terminated successfully"]);
        let details = server.v4().wait_for("rollback-sleeps/instances/r", "terminated");
        assert_eq!(details["rollback"]["outcome"], "complete");

        for id in ["b", "c", "d"] {
            server.v4().create("sleeper", id, json!({ "duration": "1 day" }));
        }
        // Pages that end: by cursor over version 4, by number with --local.
        let page = |n| ["instances", "list", "sleeper", "--per-page", "3", "--page", n];
        wrangler.says(&page("1"), &["Showing 3 instances from page 1"]);
        wrangler.says(&page("2"), &["Showing 1 instance from page 2"]);
        let (_, beyond) = wrangler.run(&[&["workflows"][..], &page("3")].concat(), &[]);
        assert!(beyond.contains("No instances found on page 3"), "{beyond}");
        wrangler.says(&["instances", "list", "sleeper", "--date-end", "2020-01-01"], &["No instances in workflow"]);
        wrangler.says(
            &["instances", "list", "sleeper", "--reverse", "--date-start", "2020-01-01"],
            &["Showing 4 instances"],
        );

        if !is_local {
            wrangler.says(&["instances", "terminate-all", "sleeper", "--status", "waiting"], &["has been started"]);
            eventually("all are terminated", || (wrangler.status("sleeper/instances/d") == "terminated").then_some(()));
        }
        wrangler.says(&["instances", "delete", "sleeper", "b", "c"], &["\"b\", \"c\""]);
        wrangler.fails(&["instances", "delete", "sleeper", "d", "gone"], &["gone", "not_found"]);
        std::fs::write(wrangler.folder.path().join("ids.json"), r#"["a"]"#).unwrap();
        wrangler.says(&["instances", "delete", "sleeper", "--filename", "ids.json"], &["\"a\""]);
        assert_eq!(server.v4().result("sleeper/instances"), json!([]));
        server.v4().create("sleeper", "e", json!({ "duration": "1 day" }));
        wrangler.says(&["delete", "sleeper"], &["removed successfully"]);
        assert_eq!(server.v4().result("sleeper/instances"), json!([]));
    }
}

#[test]
fn wrangler_finds_the_account_by_itself_and_tells_of_a_wrong_token() {
    let Some(clients) = installed() else { return };
    let server = Dev::guest("behaviours").args(["--api-token", "dummy"]).start();
    let wrangler = Wrangler::new(clients, &server, false);
    let (succeeded, said) = wrangler.run(&["workflows", "describe", "one-step"], &[("CLOUDFLARE_ACCOUNT_ID", "")]);
    assert!(succeeded && said.contains("OneStep"), "{said}");
    let (succeeded, said) = wrangler.run(&["whoami"], &[]);
    assert!(succeeded && said.contains("miniflow"), "{said}");
    let wrong = [("CLOUDFLARE_API_TOKEN", "wrong")];
    let (succeeded, said) = wrangler.run(&["workflows", "describe", "one-step"], &wrong);
    assert!(!succeeded && said.contains("[code: 10000]"), "{said}");
}
