//! Keys, pressed at a real terminal.

use std::os::unix::fs::PermissionsExt as _;

use miniflow_tests::{Dev, Modes, Reply, Server, Sink, Terminal, bound, eventually};
use serde_json::{Value, json};

/// How terminals are when nothing has changed them.
const USUAL: Modes = Modes { edits_lines: true, echoes: true, signals: true, returns: true };

fn behaviours(more: &Value) -> Dev {
    let mut config = json!({ "name": "shop", "workflows": [bound("OneStep"), bound("Sleeper")] });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    Dev::guest("behaviours").config(config).args(["--time", "manual"])
}

#[test]
fn keys_are_named_and_instances_are_listed() {
    let (server, mut terminal) = behaviours(&json!({})).start_on_terminal();
    server.wait_for_line("b browser · i instances · s cron · n next timer · r rebuild · c clear · q quit · ? help");
    terminal.press("i");
    server.wait_for_line("  no instances");
    let _ = server.workflow("ONE_STEP").create("a", ()).output();
    terminal.press("i");
    server.wait_for_line("  one-step/a  complete  for 0s");
    server.wait_for_line("  1 complete");
    terminal.press("?");
    server.wait_for_line("  i  list the newest instances");
    terminal.press("h");
    eventually("help", || (server.lines_with("list the newest instances").len() == 2).then_some(()));
    // Arrows are no letters.
    terminal.press("\x1b[q");
    terminal.press("s");
    server.wait_for_line("  no schedules and no cron triggers");
    terminal.press("c");
    terminal.press("\n");
    server.wait_for_line("\x1b[2J");
}

#[test]
fn the_clock_goes_to_the_next_timer() {
    let (server, mut terminal) = behaviours(&json!({})).start_on_terminal();
    terminal.press("n");
    server.wait_for_line("nothing is to come");
    let instance = server.workflow("SLEEPER").create("a", json!({ "ms": 86_400_000 }));
    instance.wait_for("waiting");
    terminal.press("n");
    server.wait_for_line("is the time now");
    instance.wait_for("complete");
}

#[test]
fn a_cron_is_fired_the_only_one_at_once_another_by_its_number() {
    let (server, mut terminal) = behaviours(&json!({ "triggers": { "crons": ["0 0 1 1 *"] } })).start_on_terminal();
    terminal.press("s");
    server.wait_for_line("cron `0 0 1 1 *` of shop: ok (");
    eventually("the key is among what has fired", || {
        let crons = server.get("/cdn-cgi/local/miniflow/cron").expect(200).json();
        crons["outcomes"].as_array()?.iter().any(|outcome| outcome["byHand"] == true).then_some(())
    });
    let schedule =
        json!({ "name": "one-step", "binding": "ONE_STEP", "class_name": "OneStep", "schedules": "0 0 1 2 *" });
    let both = json!({ "triggers": { "crons": ["0 0 1 1 *"] }, "workflows": [schedule] });
    let (server, mut terminal) = behaviours(&both).start_on_terminal();
    terminal.press("s");
    server.wait_for_line("which one? 1 to 2, any other key for none");
    let line =
        server.lines_with("0 0 1 2 *  workflow one-step").into_iter().find(|line| line.trim().len() < 40).unwrap();
    terminal.press(line.trim().split(' ').next().unwrap());
    let made = || server.lines_with("one-step/0 0 1 2 *-").iter().any(|line| line.ends_with(" complete")).then_some(());
    eventually("the instance", made);
    // Any other key is for none, and what it usually is.
    terminal.press("s");
    eventually("the choice", || (server.lines_with("which one?").len() == 2).then_some(()));
    terminal.press("i1");
    server.wait_for_line("  1 complete");
    assert!(server.lines_with(", by hand").is_empty(), "{}", server.log());
}

#[test]
fn it_is_built_again_on_demand() {
    let (server, mut terminal) = behaviours(&json!({})).start_on_terminal();
    terminal.press("r");
    server.wait_for_line("unchanged shop: what is there is served already");
    let component = miniflow_tests::build(&miniflow_tests::repository().join("examples/hello"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(component, folder.path().join("built.wasm")).unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    let build = json!({ "command": "cp built.wasm out.wasm", "watch_dir": "src" });
    let config = json!({ "name": "site", "main": "out.wasm", "build": build });
    std::fs::write(folder.path().join("wrangler.json"), config.to_string()).unwrap();
    let (server, mut terminal) = Dev::path(folder.path()).start_on_terminal();
    terminal.press("r");
    server.wait_for_line("unchanged site: the build (");
    assert_eq!(server.lines_with("running `cp built.wasm out.wasm`").len(), 2, "{}", server.log());
}

#[test]
fn the_browser_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (browser, asked) = (folder.path().join("browser"), folder.path().join("asked"));
    std::fs::write(&browser, format!("#!/bin/sh\necho \"$@\" > {0}.part && mv {0}.part {0}\n", asked.display()))
        .unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (server, mut terminal) = behaviours(&json!({})).env("BROWSER", &browser).start_on_terminal();
    terminal.press("b");
    let url = eventually("the browser", || std::fs::read_to_string(&asked).ok());
    assert_eq!(url.trim(), server.url());
}

/// Starts it, and looks whether the keyboard is taken and nothing else changed.
fn taken(dev: &Dev) -> (Server, Terminal) {
    let (server, terminal) = dev.start_on_terminal();
    server.wait_for_line("q quit");
    assert_eq!(terminal.modes(), Modes { edits_lines: false, echoes: false, ..USUAL });
    (server, terminal)
}

#[test]
fn the_terminal_is_as_it_was_when_the_server_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ports.json");
    let dev = behaviours(&json!({})).args(["--ports-file".as_ref(), file.as_os_str()]);
    let (server, mut terminal) = taken(&dev);
    terminal.press("q");
    assert_eq!(Modes::in_the_end(&server.wait().1), (0, USUAL), "after a key");
    let (server, _terminal) = taken(&dev);
    let ports: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let told = std::process::Command::new("kill").args(["-TERM", &ports["pid"].to_string()]).status();
    assert!(told.unwrap().success());
    assert_eq!(Modes::in_the_end(&server.wait().1), (0, USUAL), "after a signal");
}

#[test]
fn ctrl_c_goes_on_working() {
    let dev = behaviours(&json!({}));
    for (key, status) in [("\x03", 0), ("\x1c", 131)] {
        let (server, mut terminal) = taken(&dev);
        terminal.press(key);
        assert_eq!(Modes::in_the_end(&server.wait().1), (status, USUAL), "after {key:?}");
    }
    // Twice while a request goes on: it is not waited for.
    let silent = Sink::answering(|_| Reply::Never);
    let (server, mut terminal) = taken(&dev);
    let _asking = server.exchange(&format!("/fetch?url={}", silent.url()));
    silent.wait_for(1, &[]);
    terminal.press("\x03");
    eventually("that it does not listen any more", || server.client().get("/").is_err().then_some(()));
    terminal.press("\x03");
    let (status, modes) = Modes::in_the_end(&server.wait().1);
    // Two seconds may have been over by then.
    assert!([0, 130].contains(&status), "{status}");
    assert_eq!(modes, USUAL);
}

#[test]
fn without_a_terminal_or_with_json_there_are_no_keys() {
    let server = behaviours(&json!({})).start();
    server.get("/").expect(200);
    server.wait_for_line("GET / 200");
    assert!(server.lines_with("q quit").is_empty(), "{}", server.log());
    let (server, terminal) = behaviours(&json!({})).args(["--log-format", "json"]).start_on_terminal();
    server.get("/").expect(200);
    server.wait_for_line("GET / 200");
    assert!(server.lines_with("q quit").is_empty(), "{}", server.log());
    assert_eq!(terminal.modes(), USUAL);
}
