//! Commands when no server runs: what is kept can be read, nothing can be changed.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{behaviours, cli, in_2090, run};

#[test]
fn what_is_kept_is_shown_as_a_server_shows_it() {
    let dev = behaviours(&["OneStep", "Sleeper"]).persist_by_default();
    let server = in_2090(&dev);
    server.v4().create("sleeper", "a", json!({ "duration": "1 day" }));
    server.v4().wait_for("sleeper/instances/a", "waiting");
    for id in ["b", "c"] {
        let path = server.v4().create("one-step", id, json!({}));
        server.v4().wait_for(&path, "complete");
    }
    let commands: [&[&str]; 5] = [
        &["list"],
        &["describe", "one-step"],
        &["instances", "list", "one-step", "--per-page", "1"],
        &["instances", "describe", "sleeper", "a", "--no-step-output"],
        &["instances", "describe", "one-step", "latest"],
    ];
    let served: Vec<String> = commands.iter().map(|command| cli(&server, command).printed()).collect();
    let folder = dev.served().to_owned();
    let kept = |arguments: &[&str]| {
        // Nobody is there; another server of this machine must not be asked.
        let mut arguments = arguments.to_vec();
        arguments.extend(["--persist-to", ".miniflow/state"]);
        run(&folder, &arguments)
    };
    // Beside the server, and after it.
    let stable = |text: &str| -> String {
        let own = |line: &&str| !line.starts_with("version ") && !line.starts_with("seen since");
        text.lines().filter(own).map(|line| line.replace(" (in 1d)", "") + "\n").collect()
    };
    for (command, served) in commands.iter().zip(&served) {
        assert_eq!(stable(&kept(command).printed()), stable(served), "{command:?}");
    }
    server.kill();
    for (command, served) in commands.iter().zip(&served) {
        assert_eq!(stable(&kept(command).printed()), stable(served), "{command:?}");
    }
    let listed: Value = serde_json::from_str(&kept(&["instances", "list", "one-step", "--json"]).printed()).unwrap();
    assert_eq!(listed[0]["id"], "c");
    assert_snapshot!(kept(&["instances", "describe", "sleepr", "a"]).refused(), @r#"
    error: there is no workflow "sleepr"
      hint: did you mean "sleeper"?
    "#);
}
