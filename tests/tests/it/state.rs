//! `miniflow state`: where it is, a copy of it, and the end of it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use insta::assert_snapshot;
use miniflow_tests::{Dev, Server, program};
use serde_json::{Value, json};

fn state(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MINIFLOW_")) {
        command.env_remove(name);
    }
    command.arg("state").args(arguments).env("NO_COLOR", "1").current_dir(folder).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command printed and said, and that all is well.
#[track_caller]
fn done(output: &Output) -> (String, String) {
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// What a command said, if it failed and printed nothing. `folder` is `FOLDER` in it.
#[track_caller]
fn refused(output: &Output, folder: &Path) -> String {
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{}", text(&output.stderr));
    text(&output.stderr).replace(&folder.display().to_string(), "FOLDER")
}

/// A session that keeps instances, values and messages.
fn keeper() -> Dev {
    Dev::guest("kv").beside(Dev::guest("queues"))
}

/// Puts `value` where values and instances are.
fn write(server: &Server, value: &str) {
    let put = json!([{ "op": "put", "key": "k", "value": value }]);
    let _ = server.post("/run", put.clone()).expect(200);
    let _ = server.post(&format!("/workflow?id={value}"), put).expect(200);
    server.v4().wait_for(&format!("script/instances/{value}"), "complete");
}

/// The value, and which instances there are.
fn read(server: &Server) -> (Value, Vec<Value>) {
    let value = server.post("/run", json!([{ "op": "get", "key": "k" }])).expect(200).json();
    let listed = server.get("/cdn-cgi/local/explorer/api/workflows/script/instances").expect(200).json();
    let ids = listed["result"].as_array().unwrap().iter().map(|instance| instance["id"].clone()).collect();
    (value, ids)
}

/// Names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_copy_is_a_state_with_everything_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let dev = keeper().persist(&folder.path().join("state"));
    let server = dev.start();
    write(&server, "first");
    let used = state(folder.path(), &["export", "copy", "--persist-to", "state"]);
    assert_snapshot!(refused(&used, folder.path()), @r"
    error: a server uses the state in `FOLDER/state`
      hint: stop it first
    ");
    let _ = server.stop();
    assert_eq!(done(&state(folder.path(), &["export", "copy", "--persist-to", "state"])), ("copy\n".into(), "".into()));

    // What is beside the databases is not part of a copy.
    assert_eq!(names(&folder.path().join("copy")), ["clock", "kv.sqlite", "miniflow.db", "queues.sqlite"]);
    write(&dev.start(), "second");
    let copy = keeper().persist(&folder.path().join("copy")).start();
    assert_eq!(read(&copy), (json!(["first"]), vec![json!("first")]));
    drop(copy);
    // Nothing is written over.
    let again = state(folder.path(), &["export", "copy", "--persist-to", "state"]);
    assert_snapshot!(refused(&again, folder.path()), @r"
    error: there is something at `copy` already
      hint: name a folder that is not there yet
    ");
    let nothing = state(folder.path(), &["export", "new", "--persist-to", "nowhere"]);
    assert_snapshot!(refused(&nothing, folder.path()), @r"
    error: no state is kept in `FOLDER/nowhere`
      hint: `miniflow dev` begins one; `--persist-to` names another folder
    ");
    assert!(!folder.path().join("new").exists());
    let inside = state(folder.path(), &["export", "state/objects/copy", "--persist-to", "state"]);
    assert_snapshot!(refused(&inside, folder.path()), @r"
    error: `state/objects/copy` is in the state that is to be copied
      hint: name a folder elsewhere
    ");
}

#[test]
fn a_state_is_removed_when_nobody_uses_it_and_somebody_means_it() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("state");
    let dev = keeper().persist(&kept);
    let server = dev.start();
    write(&server, "first");
    let used = state(folder.path(), &["reset", "--yes", "--persist-to", "state"]);
    assert_snapshot!(refused(&used, folder.path()), @r"
    error: a server uses the state in `FOLDER/state`
      hint: stop it first
    ");
    let _ = server.stop();

    for mine in ["clockwork.txt", "miniflow.txt", "notes.txt"] {
        std::fs::write(kept.join(mine), "mine").unwrap();
    }
    let unasked = state(folder.path(), &["reset", "--persist-to", "state"]);
    assert_snapshot!(refused(&unasked, folder.path()), @r"
    error: nobody is there to be asked
      hint: pass `--yes`
    ");
    assert!(names(&kept).len() > 4, "it is all there still");

    let (printed, said) = done(&state(folder.path(), &["reset", "--yes", "--persist-to", "state"]));
    assert_eq!((printed.as_str(), said.as_str()), (&*format!("removed what was kept in `{}`\n", kept.display()), ""));
    assert_eq!(names(&kept), ["clockwork.txt", "lock", "miniflow.txt", "notes.txt"]);
    let (printed, _) = done(&state(folder.path(), &["reset", "--persist-to", "state"]));
    assert_eq!(printed, format!("nothing is kept in `{}`\n", kept.display()));
    assert_eq!(read(&dev.start()), (json!([null]), Vec::new()));
}

#[test]
fn objects_are_copied_and_removed_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::guest("objects").persist(&folder.path().join("state"));
    let count = |server: &Server| {
        let counted = json!([{ "op": "increment", "key": "n" }]);
        server.post("/run/KEEPER/a", counted).expect(200).json()
    };
    let server = dev.start();
    assert_eq!(count(&server), json!([1]));
    // It is killed: what it has written is partly beside the databases still.
    server.kill();
    done(&state(folder.path(), &["export", "copy", "--persist-to", "state"]));
    assert_eq!(count(&dev.start()), json!([2]));
    let copy = Dev::guest("objects").persist(&folder.path().join("copy"));
    assert_eq!(count(&copy.start()), json!([2]));
    done(&state(folder.path(), &["reset", "--yes", "--persist-to", "state"]));
    assert_eq!(names(&folder.path().join("state")), ["lock"]);
    assert_eq!(count(&dev.start()), json!([1]));
}

#[test]
fn the_folder_of_a_state_is_that_of_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let printed = |arguments: &[&str]| done(&state(&folder, &[&["path"], arguments].concat())).0;
    std::fs::create_dir(folder.join("shop")).unwrap();
    std::fs::write(folder.join("shop/worker.wasm"), "").unwrap();
    std::fs::write(folder.join("shop/wrangler.jsonc"), r#"{ "name": "w", "main": "worker.wasm" }"#).unwrap();
    let expected = format!("{}\n", folder.join("shop/.miniflow/state").display());
    assert_eq!(printed(&["shop"]), expected);
    assert_eq!(printed(&["shop/wrangler.jsonc"]), expected);
    assert_eq!(printed(&["--cwd", "shop"]), expected);
    assert_eq!(printed(&["shop", "--persist-to", "kept"]), format!("{}\n", folder.join("kept").display()));
    assert!(refused(&state(&folder, &["path", "nowhere"]), &folder).contains("`nowhere`"));

    // A configuration that is wrong by now does not keep anybody from what was kept.
    std::fs::create_dir_all(folder.join("shop/.miniflow/state")).unwrap();
    std::fs::write(folder.join("shop/wrangler.jsonc"), "{ nothing").unwrap();
    assert_eq!(
        printed(&["shop"]),
        "shop/.miniflow/state\n".replace("shop", &folder.join("shop").display().to_string())
    );
}
