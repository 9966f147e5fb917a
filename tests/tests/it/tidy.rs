//! The rules of ARCHITECTURE.md that the compiler does not hold.

use std::path::{Path, PathBuf};

use miniflow_tests::repository;

/// Files below `folder` whose name ends so, without what is built or kept there.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with(".git") && name != ".miniflow" {
                found.extend(files(&path, ending));
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// Places below `folder` where one of `words` stands in code, except in files that `may`.
#[track_caller]
fn absent(folder: &str, words: &[&str], may: impl Fn(&str) -> bool) {
    let mut places = Vec::new();
    for file in files(&repository().join(folder), ".rs") {
        let name = file.strip_prefix(repository()).unwrap().to_string_lossy().replace('\\', "/");
        if may(&name) || name.ends_with("tidy.rs") {
            continue;
        }
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && words.iter().any(|word| code.contains(word)) {
                places.push(format!("{name}:{}: {code}", number + 1));
            }
        }
    }
    assert!(places.is_empty(), "{words:?}:\n{}", places.join("\n"));
}

#[test]
fn the_engine_is_a_value() {
    let words = [
        "tokio::",
        "rusqlite::",
        "std::fs",
        "std::thread",
        "std::time",
        "Instant",
        "SystemTime",
        "tracing::",
        "uuid::",
    ];
    absent("runtime/src/engine", &words, |_| false);
}

#[test]
fn sql_is_in_one_place() {
    let words = ["INSERT INTO", "SELECT ", "UPDATE instance", "DELETE FROM", "PRAGMA "];
    absent("runtime/src", &words, |name| name.starts_with("runtime/src/storage/sqlite/"));
    let store = |name: &str| name.starts_with("host/src/bindings/") && name.contains("/store");
    absent("host/src", &words, store);
}

#[test]
fn bindings_are_generated_in_one_place() {
    absent("host/src", &["bindgen!"], |name| name == "host/src/wasm/bindings.rs");
    let host_files = |name: &str| name.ends_with("/host.rs") || name.starts_with("host/src/wasm/");
    absent("host/src", &["wasm::bindings::"], |name| host_files(name) || name.starts_with("host/src/triggers/"));
}

#[test]
fn only_the_command_line_and_reports_write_to_the_terminal() {
    let words = ["println!", "eprintln!", "io::stdout()", "io::stderr()"];
    let may = |name: &str| name.starts_with("host/src/cli/") || name.starts_with("host/src/report/");
    // A build command's output is put where ours goes: that is a handle, not a line.
    absent("host/src", &words, |name| may(name) || name == "host/src/dev/build.rs");
    absent("runtime/src", &words, |_| false);
}

#[test]
fn only_the_clock_reads_time() {
    let words = ["Instant::now", "SystemTime::now", "tokio::time::"];
    absent("runtime/src", &words, |name| name.starts_with("runtime/src/clock/"));
    absent("host/src", &words, |_| false);
    absent("host/test-kit/src", &words, |_| false);
}

#[test]
fn no_file_is_longer_than_a_noun() {
    let root = repository();
    let long = |file: &PathBuf| std::fs::read_to_string(file).unwrap().lines().count() > 600;
    let folders = ["runtime", "host", "guest-sdk", "examples", "tests"];
    let long: Vec<_> = folders
        .iter()
        .flat_map(|folder| files(&root.join(folder), ".rs"))
        // Written by wit-bindgen, and compared by a test.
        .filter(|file| !file.starts_with(root.join("guest-sdk/bindings/src/generated")))
        .filter(long)
        .collect();
    assert!(long.is_empty(), "over 600 lines: {long:?}");
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    // Put together, or this file would name them.
    let folders = ["work", "root", "home/runner"].map(|folder| format!("/{folder}/"));
    let endings = [".rs", ".toml", ".md", ".json", ".jsonc", ".wit", ".sql", ".lock", "run", "smoke"];
    let files = endings.iter().flat_map(|ending| files(repository(), ending));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let named = folders.iter().find(|folder| text.contains(folder.as_str()));
        assert_eq!(named, None, "in {}", file.display());
    }
}

#[test]
fn every_guest_and_example_is_used_by_a_test() {
    let tests: String = files(&repository().join("tests/tests"), ".rs")
        .into_iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    assert!(tests.contains("tests/bench-worker\""), "the bench Worker is used by no test");
    for folder in ["examples", "tests/guests"] {
        for entry in std::fs::read_dir(repository().join(folder)).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().join("Cargo.toml").is_file() {
                assert!(tests.contains(&format!("\"{name}\"")), "{folder}/{name} is used by no test");
            }
        }
    }
}
