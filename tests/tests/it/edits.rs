//! Edits of a Worker's sources from the editor to the answer: cargo builds what was saved, and that is served.

use std::path::PathBuf;
use std::time::Duration;

use miniflow_tests::{Dev, Patience, Server, repository};
use tempfile::TempDir;

/// Cargo may have to wait for the other Workers of these tests, which are built into the same folder.
const BUILDS_MAX: Duration = Duration::from_secs(900);

/// A package, and another one beside it that it depends on.
struct Sources(TempDir);

impl Sources {
    fn new() -> Self {
        let sources = Self(tempfile::tempdir().unwrap());
        let hello = repository().join("examples/hello");
        let sdk = repository().join("guest-sdk");
        // The profile and the versions of the examples: what all Workers need is compiled already, and nothing is asked of the registry.
        let profile = "[profile.release]\nopt-level = \"s\"\nlto = true\n\n[workspace]\n";
        let head = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n");
        let depends = format!("miniflow-sdk = {{ path = {sdk:?} }}\nwords = {{ path = \"../words\" }}\n\n");
        let manifest = format!("[lib]\ncrate-type = [\"cdylib\"]\n\n[dependencies]\n{depends}{profile}");
        sources.write("edited/Cargo.toml", &(head("edited") + &manifest));
        sources.write("words/Cargo.toml", &(head("words") + "[workspace]\n"));
        std::fs::copy(hello.join("Cargo.lock"), sources.path("edited/Cargo.lock")).unwrap();
        sources.code("words::WORD");
        sources.word("first");
        sources
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Has the Worker answer with what `expression` is.
    fn code(&self, expression: &str) {
        let text = format!(
            "use miniflow_sdk::*;\n\n#[event(fetch)]\nasync fn fetch(_req: Request, env: Env, _ctx: Context) -> Result<Response> {{\n    \
             let _ = &env;\n    Response::ok({expression})\n}}\n"
        );
        self.write("edited/src/lib.rs", &text);
    }

    fn word(&self, word: &str) {
        self.write("words/src/lib.rs", &format!("pub const WORD: &str = \"{word}\";\n"));
    }

    fn dev(&self) -> Dev {
        // Below it, in `workers`, is what the examples are built into.
        let target = repository().join("target");
        Dev::path(&self.path("edited")).env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true")
    }
}

/// Looks until `look` finds something.
#[track_caller]
fn in_time<T>(server: &Server, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let patience = Patience::of(BUILDS_MAX);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(patience.wait(), "{what}:\n{}", server.log());
    }
}

fn served(server: &Server) -> String {
    server.get("/").expect(200).text()
}

#[track_caller]
fn reloaded(server: &Server, n: usize) -> String {
    in_time(server, "a reload", || server.lines_with("reloaded edited in").into_iter().nth(n - 1))
}

#[test]
fn what_is_saved_is_built_and_served() {
    let sources = Sources::new();
    let server = sources.dev().start_within(BUILDS_MAX);
    assert_eq!(served(&server), "first");
    let builds = || server.lines_with("building edited for").len();
    assert_eq!(builds(), 1, "what the build wrote made no other");

    sources.code("\"of the code\"");
    let line = reloaded(&server, 1);
    assert!(line.contains("(build "), "{line}");
    assert_eq!(served(&server), "of the code");

    sources.code("words::WORD");
    reloaded(&server, 2);
    sources.word("second");
    reloaded(&server, 3);
    assert_eq!(served(&server), "second", "a package that it depends on by its path is watched too");

    std::fs::remove_file(sources.path("edited/src/lib.rs")).unwrap();
    let line = in_time(&server, "a complaint", || server.lines_with("kept edited: ").pop());
    assert!(line.contains("what was there before is served"), "{line}");
    assert_eq!(served(&server), "second");
}
