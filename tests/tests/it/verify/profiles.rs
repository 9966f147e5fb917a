//! Source lines in every report, whichever profile the Worker was built with.

use std::path::{Path, PathBuf};

use miniflow::dev::build::{Profile, build_blocking_with};
use miniflow_tests::{Dev, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Said, run};

const SOURCE: &str = "tests/guests/verify/src/moods.rs";

/// `moods.rs:12:` for the line of the guest with this text.
fn line_of(text: &str) -> String {
    let source = std::fs::read_to_string(repository().join(SOURCE)).unwrap();
    let index = source.lines().position(|line| line.contains(text)).unwrap();
    format!("moods.rs:{}:", index + 1)
}

/// A folder with a Worker of `component` whose workflow `moody` is `class`.
fn site(component: &Path, class: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let workflow = json!({ "name": "moody", "binding": "MOODY", "class_name": class });
    let config = json!({ "name": "verify", "main": component, "workflows": [workflow] });
    std::fs::write(folder.path().join("wrangler.jsonc"), config.to_string()).unwrap();
    folder
}

fn exported(dev: &Dev, folder: &TempDir) -> PathBuf {
    let (file, state) = (folder.path().join("journal.json"), dev.state());
    let arguments = [Path::new("journal"), Path::new("export"), Path::new("a"), Path::new("--workflow")];
    let more = [Path::new("moody"), Path::new("--persist-to"), &state, Path::new("-o"), &file];
    run(arguments.iter().chain(&more)).code(0);
    file
}

fn tested(site: &TempDir, arguments: &[&str]) -> Said {
    run(["test", &site.path().to_string_lossy()].iter().chain(arguments))
}

#[test]
fn reports_name_source_lines_with_both_profiles() {
    let (read, gave_up) = (line_of("Date::now().as_millis()"), line_of("panic!(\"asked to give up\")"));
    for profile in [Profile::Development, Profile::Release] {
        let component = build_blocking_with(&repository().join("tests/guests/verify"), profile).unwrap();

        let reads = site(&component, "ReadsAround");
        let dev = Dev::path(reads.path());
        let server = dev.start();
        server.workflow("MOODY").create("a", json!({})).wait_for("complete");
        let told = server.wait_for_line("`run` reads the clock outside of a step, at ");
        assert!(told.contains(&read), "{profile:?}: {told}");
        let _ = server.stop();
        let journal = exported(&dev, &reads);

        let matrix = tested(&reads, &["--crash-matrix", "--json"]);
        let matrix: Value = serde_json::from_str(&matrix.code(0).out).unwrap();
        let places = matrix["workflows"][0]["undetermined"].to_string();
        assert!(places.contains(&read), "{profile:?}: {places}");

        let gives_up = site(&component, "GivesUp");
        let server = Dev::path(gives_up.path()).start();
        let error = server.workflow("MOODY").create("a", json!({})).error();
        assert!(error["message"].as_str().unwrap().contains(&gave_up), "{profile:?}: {error}");
        let frame = server.wait_for_line("give_up (");
        assert!(frame.contains(&gave_up), "{profile:?}: {frame}");
        // Functions of the standard library and of the SDK are left out.
        assert_eq!(server.lines_with("poll<"), Vec::<String>::new(), "{profile:?}");

        // The journal of the one is replayed on the code of the other, which panics.
        let against = [Path::new("replay"), Path::new("--against"), gives_up.path(), &journal];
        let replayed = run(against);
        assert!(replayed.code(1).out.contains(&gave_up), "{profile:?}: {}", replayed.out);
    }
}
