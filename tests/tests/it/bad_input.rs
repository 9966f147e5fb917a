//! What cannot be served: one clear error with a hint each, and nothing is touched.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use miniflow_tests::{Dev, Refusal, build, repository};
use serde_json::json;

/// A component that can be served.
fn hello() -> PathBuf {
    build(&repository().join("examples/hello"))
}

/// What is said about a folder with this `wrangler.jsonc`, the folder's own path left out.
#[track_caller]
fn refused(config: &str) -> Refusal {
    said(&Dev::configured(config))
}

#[track_caller]
fn said(dev: &Dev) -> Refusal {
    let refusal = dev.refused();
    let folder = format!("{}{}", dev.served().display(), std::path::MAIN_SEPARATOR);
    Refusal { text: refusal.text.replace(&folder, ""), ..refusal }
}

mod path {
    use super::*;

    /// A file with these bytes.
    fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[track_caller]
    fn check(name: &str, bytes: &[u8], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        Dev::path(&file(folder.path(), name, bytes)).refused().assert_one_error(expected);
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = Dev::path(&folder.path().join("worker.wasm")).refused();
        refusal.assert_one_error(&["worker.wasm` does not exist", "PATH is a folder with a `wrangler.jsonc`"]);
    }

    #[test]
    fn an_empty_folder_is_told_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = Dev::path(folder.path()).refused();
        refusal.assert_one_error(&["has no `wrangler.jsonc` and no `Cargo.toml`"]);
    }

    #[test]
    fn a_file_of_another_kind_cannot_be_run() {
        check("notes.txt", b"notes", &["notes.txt` cannot be run", "or a `.wasm` file"]);
    }

    #[test]
    fn a_wasm_file_that_is_none_is_told_so() {
        check("a.wasm", b"not wasm at all", &["the file is not WebAssembly", "must name the `.wasm` file"]);
        check("empty.wasm", b"", &["the file is not WebAssembly"]);
    }

    #[test]
    fn a_module_is_not_a_component() {
        let module = b"\0asm\x01\0\0\0";
        check("module.wasm", module, &["a core WebAssembly module", "--target wasm32-wasip2"]);
    }

    #[test]
    fn half_a_component_is_not_valid() {
        let whole = std::fs::read(hello()).unwrap();
        check("half.wasm", &whole[..whole.len() / 2], &["the component is not valid", "build it again"]);
    }

    #[test]
    fn a_component_without_handlers_is_told_what_a_worker_exports() {
        let refusal = Dev::guest("no-exports").refused();
        refusal
            .assert_one_error(&["the component has nothing a Worker has: it exports nothing", "use `#[event(fetch)]`"]);
    }

    #[test]
    fn a_package_that_was_not_built_is_told_how() {
        let folder = tempfile::tempdir().unwrap();
        package(folder.path(), "");
        let refusal = Dev::path(folder.path()).args(["--no-build"]).refused();
        refusal.assert_one_error(&["never-built.wasm` yet", "start once without `--no-build`"]);
    }

    #[test]
    fn a_package_that_does_not_compile_is_waited_for_after_the_compiler_has_said_why() {
        let folder = tempfile::tempdir().unwrap();
        package(folder.path(), "not_a_function();");
        let server = Dev::path(folder.path()).start_unbuilt();
        let text = server.log();
        let compiler = text.find("not_a_function").expect(&text);
        let ours = text.find("error: cargo could not build").expect(&text);
        assert!(compiler < ours, "{text}");
        assert!(text.contains("hint: see what the compiler says above"), "{text}");
        let answer = server.get("/").expect(503);
        assert!(answer.text().contains("has not been built yet"), "{}", answer.text());
    }

    #[test]
    fn a_machine_without_cargo_is_told_where_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        package(folder.path(), "");
        let refusal = Dev::path(folder.path()).env("CARGO", folder.path().join("no-cargo")).refused();
        refusal.assert_one_error(&["no-cargo`", "install Rust from https://rustup.rs"]);
    }

    /// A package without dependencies whose body is `code`.
    fn package(folder: &Path, code: &str) {
        let manifest = "[package]\nname = \"never-built\"\nedition = \"2024\"\n[[bin]]\nname = \"never-built\"\npath = \"main.rs\"\n[workspace]\n";
        file(folder, "Cargo.toml", manifest.as_bytes());
        file(folder, "main.rs", format!("fn main() {{ {code} }}").as_bytes());
    }
}

mod config {
    use super::*;

    // rules: S11
    #[test]
    fn comments_and_trailing_commas_are_fine() {
        let config = format!(
            "{{\n  // A comment.\n  \"name\": \"commented\", /* another */\n  \"main\": {},\n  \"vars\": {{ \"GREETING\": \"Hi\", }},\n}}",
            json!(hello())
        );
        let server = Dev::configured(&config).start();
        assert_eq!(server.get("/Ada").expect(200).text(), "Hi, Ada!\n");
    }

    #[test]
    fn a_syntax_error_has_line_and_column() {
        let refusal = refused("{\n  \"name\": \"p\",\n  \"main\": \"worker.wasm\"\n  \"vars\": {}\n}");
        refusal.assert_one_error(&[
            "invalid JSON: expected comma",
            "--> wrangler.jsonc:3:24",
            "trailing commas are fine",
        ]);
    }

    #[test]
    fn typescript_and_javascript_are_refused_with_what_is_supported() {
        for main in ["src/index.ts", "worker.js", "worker.mjs"] {
            let refusal = refused(&format!("{{\n  \"main\": \"{main}\"\n}}"));
            refusal.assert_one_error(&[
                &format!("`main` is `{main}`, which is not WebAssembly"),
                "--> wrangler.jsonc:2:11",
                "`main` can be a `.wasm` file, a `.rs` file or a `Cargo.toml`",
            ]);
        }
    }

    #[test]
    fn a_main_that_is_missing_is_named_with_its_place() {
        let refusal = refused("{ \"main\": \"out/worker.wasm\" }");
        refusal.assert_one_error(&["`main` is `out/worker.wasm`, which does not exist", "--> wrangler.jsonc:1:11"]);
    }

    #[test]
    fn an_unknown_class_lists_what_exists() {
        let config = json!({ "workflows": [{ "name": "trigger", "binding": "T", "class_name": "MyWorkflows" }] });
        let refusal = said(&Dev::example("trigger-from-fetch").config(config));
        assert_eq!(refusal.code, Some(1));
        let error = "error: workflow `trigger` is of class `MyWorkflows`, which the Worker does not export\n  --> wrangler.jsonc:1:";
        assert!(refusal.text.contains(error), "{}", refusal.text);
        assert!(refusal.text.contains("hint: did you mean `MyWorkflow`? It exports `MyWorkflow`"), "{}", refusal.text);
    }

    #[test]
    fn a_binding_name_that_is_used_twice_is_shown_in_both_places() {
        let config = json!({ "main": hello(), "vars": { "ORDERS": "x" }, "workflows": [
            { "name": "orders", "binding": "ORDERS", "class_name": "Orders" },
        ] });
        let refusal = refused(&config.to_string());
        refusal.assert_one_error(&[
            "ORDERS assigned to Environment Variable and Workflow bindings.",
            "also: wrangler.jsonc:1:",
            "Bindings must have unique names",
        ]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let refusal = refused(r#"{ "name": "No Spaces", "main": "a.ts", "vars": 1, "workflows": [{}] }"#);
        assert_eq!(refusal.code, Some(1));
        for part in ["Expected \"name\"", "`main` is `a.ts`", "The field \"vars\"", "string \"class_name\" field"] {
            assert!(refusal.text.contains(part), "`{part}` is missing in\n{}", refusal.text);
        }
    }
}

mod place {
    use miniflow_runtime::storage::{Durability, SqliteStorage};

    use super::*;

    #[test]
    fn a_port_that_is_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let refusal = Dev::path(&hello()).args(["--port", &port.to_string()]).refused();
        refusal
            .assert_one_error(&[&format!("port {port} on 127.0.0.1 is in use"), "`--port 0` takes any that is free"]);
    }

    #[test]
    fn a_port_that_is_none_is_an_error_of_the_command_line() {
        let refusal = Dev::path(&hello()).args(["--port", "99999"]).refused();
        assert_eq!(refusal.code, Some(2));
        assert!(refusal.text.contains("99999 is not in 0..=65535"), "{}", refusal.text);
    }

    #[test]
    fn a_file_in_the_place_of_the_state_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state");
        std::fs::write(&file, "a file").unwrap();
        let refusal = Dev::path(&hello()).persist(&file).refused();
        refusal.assert_one_error(&["state`, which is not a folder", "--persist-to"]);
        assert_eq!(std::fs::read(&file).unwrap(), b"a file");
    }

    #[test]
    fn a_second_server_on_the_same_state_is_refused_and_the_first_goes_on() {
        let dev = Dev::guest("behaviours");
        let server = dev.start();
        let refusal = dev.refused();
        refusal.assert_one_error(&["is in use by another miniflow", "stop the other one", "--persist-to"]);
        server.workflow("ONE_STEP").create("a", ()).wait_for("complete");
    }

    /// Starts on a state folder whose database is `bytes`, and asserts that it is left as it is.
    #[track_caller]
    fn check_database(bytes: &[u8], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("miniflow.db");
        std::fs::write(&database, bytes).unwrap();
        Dev::path(&hello()).persist(folder.path()).refused().assert_one_error(expected);
        assert!(std::fs::read(&database).unwrap() == bytes, "the database was changed");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.filter(|name| name != "lock").collect();
        names.sort();
        assert_eq!(names, ["miniflow.db"], "nothing is added");
    }

    #[test]
    fn a_database_that_is_none_is_left_untouched() {
        check_database(
            &[0x5a; 8192],
            &["miniflow.db` is damaged or not a database; it was left untouched", "move the file away"],
        );
    }

    #[test]
    fn a_damaged_database_is_left_untouched() {
        let mut bytes = database();
        // The first page has the schema; its header stays as it is.
        bytes[100..4096].fill(0x5a);
        check_database(&bytes, &["is damaged or not a database; it was left untouched"]);
    }

    #[test]
    fn a_database_with_damaged_tables_is_left_untouched() {
        let mut bytes = database();
        bytes[4096..].fill(0);
        check_database(&bytes, &["miniflow.db` is damaged or not a database; it was left untouched"]);
    }

    #[test]
    fn a_database_of_a_newer_version_is_left_untouched() {
        let mut bytes = database();
        // `user_version` of the header (sqlite.org/fileformat.html).
        bytes[60..64].copy_from_slice(&4711_u32.to_be_bytes());
        check_database(&bytes, &["was made by a newer version of miniflow (schema 4711,", "use that version"]);
    }

    /// A database as a server leaves it.
    fn database() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        drop(SqliteStorage::open(folder.path(), Durability::Normal).unwrap());
        let bytes = std::fs::read(folder.path().join("miniflow.db")).unwrap();
        assert!(bytes.len() > 4096, "{} bytes", bytes.len());
        bytes
    }
}
