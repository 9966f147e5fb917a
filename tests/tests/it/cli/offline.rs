//! Commands when no server runs: what is kept can be read, nothing can be changed.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

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

#[test]
fn without_a_server_nothing_is_changed_and_it_is_said_how_to_start_one() {
    let dev = behaviours(&["Sleeper"]).persist_by_default();
    let server = in_2090(&dev);
    let path = server.v4().create("sleeper", "a", json!({ "duration": "1 day" }));
    server.v4().wait_for(&path, "waiting");
    server.kill();
    let (_taken, port) = silent_port();
    // The configuration says where the server would be.
    let config = dev.served().join("wrangler.jsonc");
    let mut configured: Value = serde_json::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap();
    configured["dev"] = json!({ "port": port });
    std::fs::write(&config, configured.to_string()).unwrap();
    let ran = |arguments: &[&str]| {
        let mut ran = run(dev.served(), arguments);
        ran.stderr = ran.stderr.replace(&format!("port {port}"), "port PORT");
        let state = dev.served().join(".miniflow");
        ran.stderr = ran.stderr.replace(&state.display().to_string(), ".miniflow");
        ran
    };
    let instances = ran(&["instances", "list", "sleeper"]);
    assert_eq!(instances.code, Some(0));
    assert_snapshot!(instances.stderr + &instances.stdout, @"
    note: no server answers on port PORT of this machine: this is what is kept in `.miniflow/state`
    INSTANCE ID  STATUS   CREATED                   STARTED                   ENDED  TRIGGER
    a            waiting  2090-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z  -      api
    in all 1: 1 waiting
    ");
    let refused = ran(&["trigger", "sleeper"]).refused();
    assert_snapshot!(refused, @"
    error: no server answers on port PORT of this machine, and only a server can do that
      hint: start one with `miniflow dev`, or name the port of one that runs with `--port`
    ");
    for changing in [
        &["delete", "sleeper"][..],
        &["instances", "pause", "sleeper", "a"],
        &["instances", "resume", "sleeper", "latest"],
        &["instances", "restart", "sleeper", "a"],
        &["instances", "terminate", "sleeper", "a"],
        &["instances", "terminate-all", "sleeper"],
        &["instances", "delete", "sleeper", "a"],
        &["instances", "send-event", "sleeper", "a", "--type", "go"],
        &["instances", "follow", "sleeper", "a"],
    ] {
        assert_eq!(ran(changing).refused(), refused, "{changing:?}");
    }
    // A server that was named is meant, whatever is kept here.
    assert_snapshot!(ran(&["list", "--port", &port.to_string()]).refused(), @"
    error: no server answers on port PORT of this machine
      hint: start one with `miniflow dev`, or leave out `--port` to read what is kept in this folder
    ");
    assert!(ran(&["instances", "describe", "sleeper", "a"]).stdout.contains("status        waiting\n"));
}

#[test]
fn where_nothing_is_kept_it_is_said_where_that_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (_taken, port) = silent_port();
    let config = json!({ "name": "shop", "main": "worker.wasm", "dev": { "port": port } });
    std::fs::write(folder.path().join("wrangler.jsonc"), config.to_string()).unwrap();
    std::fs::write(folder.path().join("worker.wasm"), "").unwrap();
    let here = folder.path().join(".miniflow").display().to_string();
    let refused = run(folder.path(), &["list"]).refused();
    assert_snapshot!(refused.replace(&here, ".miniflow").replace(&format!("port {port}"), "port PORT"), @"
    error: no server answers on port PORT of this machine, and no state is kept in `.miniflow/state`
      hint: start one with `miniflow dev`, name the port of one that runs with `--port`, or the folder of a state with `--persist-to`
    ");
    assert_snapshot!(run(folder.path(), &["list", "--persist-to", "elsewhere"]).refused(), @"
    error: no state is kept in `elsewhere`
      hint: pass the folder that `miniflow dev` keeps its state in
    ");
    // What is there and is no state is named too.
    std::fs::create_dir(folder.path().join("broken")).unwrap();
    std::fs::write(folder.path().join("broken/miniflow.db"), "this is no database, and long enough to be looked at")
        .unwrap();
    assert_snapshot!(run(folder.path(), &["list", "--persist-to", "broken"]).refused(), @"error: the database `broken/miniflow.db` is damaged or not a database; it was left untouched: file is not a database");
    assert_eq!(run(folder.path(), &["list", "--persist-to", "broken", "--port", "1"]).code, Some(2));
}

/// A port that is taken, and on which nobody listens.
fn silent_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}
