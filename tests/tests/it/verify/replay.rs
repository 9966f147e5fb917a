//! `miniflow journal export` and `miniflow replay`.

use std::path::{Path, PathBuf};

use miniflow_tests::{Dev, Server, build, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Said, run};

fn guest(name: &str) -> PathBuf {
    build(&repository().join("tests/guests").join(name))
}

fn export(server: &Server, id: &str, more: &[&str]) -> Said {
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    run(["journal", "export", id, "--port", &port].iter().chain(more))
}

fn replay(against: &Path, files: &[&Path], more: &[&str]) -> Said {
    let mut arguments = vec![Path::new("replay"), Path::new("--against"), against, Path::new("--no-build")];
    arguments.extend(files);
    arguments.extend(more.iter().map(Path::new));
    run(arguments)
}

/// Exports an instance into a file.
fn kept(server: &Server, id: &str, folder: &TempDir) -> PathBuf {
    let file = folder.path().join(format!("{id}.json"));
    export(server, id, &["-o", &file.to_string_lossy()]).code(0);
    file
}

#[test]
fn a_journal_fits_the_code_that_left_it_and_other_code_says_where_it_parts() {
    let (server, folder) = (Dev::guest("reload-a").start(), tempfile::tempdir().unwrap());
    for (binding, id) in [("STEADY", "steady"), ("RENAMED", "waiting"), ("RENAMED", "ended")] {
        server.workflow(binding).create(id, json!({})).wait_for("waiting");
    }
    let ended = server.workflow("RENAMED").instance("ended");
    ended.send_event("go", json!(null));
    ended.wait_for("complete");
    let files = ["steady", "waiting", "ended"].map(|id| kept(&server, id, &folder));
    let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();

    let same = replay(&guest("reload-a"), &files, &[]);
    assert!(same.code(0).out.ends_with("\n3 journals: 3 fit\n"), "{}", same.out);

    let other = replay(&guest("reload-b"), &files, &[]);
    let expected = "
          at step 1 of the record
          expected:         do `charge`
          the code:         do `charge-card`
          last common step: none
";
    assert_eq!(other.code(1).out.matches(expected).count(), 2, "{}", other.out);
    assert!(other.out.starts_with("fits      steady/steady  "), "{}", other.out);
    assert!(other.out.ends_with("\n3 journals: 1 fit, 2 diverge\n"), "{}", other.out);

    let said: Value = serde_json::from_str(&replay(&guest("reload-b"), &files, &["--json"]).code(1).out).unwrap();
    assert_eq!(said[0]["result"], "fits");
    assert_eq!(said[1]["result"], "diverges");
    assert_eq!(said[2]["actual"], "do `charge-card`");
}

#[test]
fn a_journal_is_read_beside_a_server_and_without_one_and_leaves_the_state_as_it_is() {
    let (dev, folder) = (Dev::guest("reload-a"), tempfile::tempdir().unwrap());
    let server = dev.start();
    server.workflow("STEADY").create("a", json!({ "n": 1 })).wait_for("waiting");
    let of_server: Value = serde_json::from_str(&export(&server, "a", &[]).code(0).out).unwrap();
    assert_eq!(of_server["workflow"]["class_name"], "Steady");
    assert_eq!(of_server["component"]["digest"].as_str().unwrap().len(), 32);
    let _ = server.stop();
    let before = files_of(&dev.state());
    let state = dev.state().to_string_lossy().into_owned();
    let of_folder = run(["journal", "export", "a", "--workflow", "steady", "--persist-to", &state]);
    let said: Value = serde_json::from_str(&of_folder.code(0).out).unwrap();
    for part in ["journal", "instance", "version", "format"] {
        assert_eq!(said[part], of_server[part], "{part}");
    }
    assert_eq!(files_of(&dev.state()), before);
    // Nobody says which class it is of: the code's configuration does.
    let file = folder.path().join("a.json");
    std::fs::write(&file, of_folder.out).unwrap();
    replay(&guest("reload-a"), &[&file], &[]).code(0);
    replay(&repository().join("tests/guests/reload-a"), &[&file], &[]).code(0);
}

fn files_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let file = |name: &str| (folder.join(name), std::fs::read(folder.join(name)).unwrap());
    ["miniflow.db", "clock"].map(file).to_vec()
}

#[test]
fn code_whose_order_is_drawn_parts_from_its_own_journal() {
    let (server, folder) = (Dev::guest("verify").start(), tempfile::tempdir().unwrap());
    server.workflow("SHUFFLED").create("dice", json!({})).wait_for("waiting");
    let file = kept(&server, "dice", &folder);
    // Eight steps come in the same order once in 40,320 times.
    let said = replay(&guest("verify"), &[&file], &[]);
    assert!(said.code(1).out.starts_with("diverges  shuffled/dice"), "{}", said.out);
    assert!(said.out.contains("\n          expected:         do `step "), "{}", said.out);
}

#[test]
fn what_code_was_given_goes_with_the_journal_and_secrets_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::guest("verify").args(["--env-file"]).args([write(&folder, "secrets", "KEY=very secret\n")]);
    let server = dev.start();
    // `run` reads the variable `BANK` before its first step, and a stream after it.
    let careful = server.workflow("STREAMS").create("pages", json!({}));
    careful.wait_for("complete");
    let file = kept(&server, "pages", &folder);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("http://bank.example/") && text.contains("\"KEY\"") && !text.contains("very secret"),
        "{text}"
    );
    let said = replay(&guest("verify"), &[&file], &[]);
    assert!(said.code(0).err.contains("had a secret `KEY`, whose value is not in them"), "{}", said.err);
    assert!(!replay(&guest("verify"), &[&file], &["--var", "KEY:other"]).code(0).err.contains("had a secret"));
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn what_cannot_be_exported_is_one_error() {
    let server = Dev::guest("reload-a").start();
    for binding in ["STEADY", "RENAMED"] {
        server.workflow(binding).create("twin", json!({})).wait_for("waiting");
    }
    export(&server, "nobody", &[]).one_error(1, &["error: there is no instance `nobody`\n"]);
    let several =
        ["instances of several workflows are called `twin`: `renamed`, `steady`", "hint: name the one that is meant"];
    export(&server, "twin", &[]).one_error(1, &several);
    export(&server, "twin", &["--workflow", "renamed"]).code(0);
    let unknown = export(&server, "twin", &["--workflow", "elsewhere"]);
    unknown.one_error(1, &["there is no instance `twin` of the workflow `elsewhere`"]);
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_string_lossy().into_owned();
    run(["journal", "export", "a", "--persist-to", &empty]).one_error(1, &["error: no state is kept in `"]);
    std::fs::write(folder.path().join("miniflow.db"), "not a database, but long enough to have a header of one")
        .unwrap();
    let broken = run(["journal", "export", "a", "--persist-to", &empty]);
    assert!(broken.code(1).err.contains("is damaged or not a database"), "{}", broken.err);
    run(["journal", "export"]).code(2);
    let answer = server.get("/cdn-cgi/local/miniflow/journal").expect(400).json();
    assert_eq!(answer["error"], "`id` is missing");
}

#[test]
fn files_that_are_no_journals_are_one_error_each() {
    let folder = tempfile::tempdir().unwrap();
    let code = guest("reload-a");
    let refused = |text: &str, part: &str| {
        let file = write(&folder, "journal.json", text);
        replay(&code, &[&file], &[]).one_error(2, &["journal.json` cannot be replayed: ", part, "hint: write it anew"]);
    };
    refused("", "it is not a journal");
    refused("{\"log\": {}}", "it is not a journal");
    refused(
        "{\"format\": \"miniflow-journal\", \"version\": 99}",
        "a newer miniflow has written it (version 99 of the format",
    );
    refused("{\"format\": \"miniflow-journal\", \"ver", "it is damaged: EOF while parsing");
    let absent = folder.path().join("absent.json");
    replay(&code, &[&absent], &[]).one_error(2, &["error: could not read `"]);
    // Everything that is wrong is told at once.
    let file = write(&folder, "journal.json", "");
    let both = replay(&code, &[&file, &absent], &[]);
    assert_eq!(both.code(2).err.matches("error: ").count(), 2, "{}", both.err);
    run(["replay", "--against", "x.wasm"]).code(2);
    let file = write(&folder, "journal.json", "{\"format\": \"miniflow-journal\", \"version\": 1}");
    replay(Path::new("absent.wasm"), &[&file], &[]).one_error(2, &["it is damaged: missing field `workflow`"]);
}

#[test]
fn code_without_the_workflow_does_not_fit() {
    let (server, folder) = (Dev::guest("reload-a").start(), tempfile::tempdir().unwrap());
    server.workflow("STEADY").create("a", json!({})).wait_for("waiting");
    let file = kept(&server, "a", &folder);
    let said = replay(&guest("verify"), &[&file], &[]);
    assert!(said.code(1).out.contains("the code has no such workflow, and none of that class"), "{}", said.out);
    replay(Path::new("absent.wasm"), &[&file], &[]).one_error(2, &["error: `absent.wasm` does not exist"]);
}
