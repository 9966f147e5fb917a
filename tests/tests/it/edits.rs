//! Edits of a Worker's sources from the editor to the answer: cargo builds what was saved, and that is served.

use std::path::{Path, PathBuf};
use std::time::Duration;

use miniflow_tests::{Dev, Patience, Server, repository};
use tempfile::TempDir;

/// Cargo may have to wait for the other Workers of these tests, which are built into the same folder.
const BUILDS_MAX: Duration = Duration::from_secs(900);

/// A package, and another one beside it that it depends on.
struct Sources {
    folder: PathBuf,
    name: &'static str,
    /// As long as it is there, the folder is.
    _temporary: Option<TempDir>,
}

impl Sources {
    /// Of a package of this name, which is the name of what is built too: each test has its own.
    fn new(name: &'static str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self { folder: temporary.path().to_owned(), name, _temporary: Some(temporary) }.written()
    }

    /// In a folder that stays between runs of the tests: what is built in it is.
    fn that_stay(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        Self { folder, name, _temporary: None }.written()
    }

    fn written(self) -> Self {
        let sources = self;
        let hello = repository().join("examples/hello");
        let sdk = repository().join("guest-sdk");
        // The profile and the versions of the examples: what all Workers need is compiled already, and nothing is asked of the registry.
        let profile = "[profile.release]\nopt-level = \"s\"\nlto = true\n\n[workspace]\n";
        let head = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n");
        let depends = format!("miniflow-sdk = {{ path = {sdk:?} }}\nwords = {{ path = \"../words\" }}\n\n");
        let manifest = format!("[lib]\ncrate-type = [\"cdylib\"]\n\n[dependencies]\n{depends}{profile}");
        sources.write("worker/Cargo.toml", &(head(sources.name) + &manifest));
        sources.write("words/Cargo.toml", &(head("words") + "[workspace]\n"));
        std::fs::copy(hello.join("Cargo.lock"), sources.path("worker/Cargo.lock")).unwrap();
        sources.code("words::WORD");
        sources.word("first");
        sources
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Has the Worker answer with what `expression` is.
    fn code(&self, expression: &str) {
        self.write("worker/src/lib.rs", &code(expression));
    }

    /// As [`Self::code`], as editors do it that keep the file under another name until the new one is written.
    fn code_beside_a_backup(&self, expression: &str) {
        std::fs::rename(self.path("worker/src/lib.rs"), self.path("worker/src/lib.rs~")).unwrap();
        self.code(expression);
        std::fs::remove_file(self.path("worker/src/lib.rs~")).unwrap();
    }

    /// As [`Self::code`], as editors do it that write a new file, and then put it in the place of the old one.
    fn code_in_place_of(&self, expression: &str) {
        self.write("worker/src/lib.rs___jb_tmp___", &code(expression));
        std::fs::rename(self.path("worker/src/lib.rs___jb_tmp___"), self.path("worker/src/lib.rs")).unwrap();
    }

    fn word(&self, word: &str) {
        self.write("words/src/lib.rs", &format!("pub const WORD: &str = \"{word}\";\n"));
    }

    /// Builds where the examples are built: in `workers` below this.
    fn dev(&self) -> Dev {
        self.dev_into(&repository().join("target"))
    }

    fn dev_into(&self, target: &Path) -> Dev {
        Dev::path(&self.path("worker")).env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true")
    }

    fn start(&self) -> Served<'_> {
        self.served(&self.dev())
    }

    fn served(&self, dev: &Dev) -> Served<'_> {
        Served { server: dev.start_within(BUILDS_MAX), name: self.name }
    }
}

/// A Worker that answers with what `expression` is.
fn code(expression: &str) -> String {
    format!(
        "use miniflow_sdk::*;\n\n#[event(fetch)]\nasync fn fetch(_req: Request, env: Env, _ctx: Context) -> Result<Response> {{\n    \
         let _ = &env;\n    Response::ok({expression})\n}}\n"
    )
}

/// The server of a package.
struct Served<'a> {
    server: Server,
    name: &'a str,
}

impl Served<'_> {
    /// Waits until it has said `count` lines with `text`, and returns the last of them.
    #[track_caller]
    fn said(&self, text: &str, count: usize) -> String {
        let patience = Patience::of(BUILDS_MAX);
        loop {
            if let Some(line) = self.server.lines_with(text).into_iter().nth(count - 1) {
                return line;
            }
            assert!(patience.wait(), "`{text}`:\n{}", self.server.log());
        }
    }

    #[track_caller]
    fn reloaded(&self, n: usize) -> String {
        self.said(&format!("reloaded {} in", self.name), n)
    }

    /// How many builds it has begun.
    fn builds(&self) -> usize {
        self.server.lines_with(&format!("building {} for", self.name)).len()
    }

    fn answer(&self) -> String {
        self.server.get("/").expect(200).text()
    }
}

#[test]
fn what_is_saved_is_built_and_served_however_editors_do_it() {
    let sources = Sources::new("edited");
    let served = sources.start();
    assert_eq!(served.answer(), "first");
    assert_eq!(served.builds(), 1, "what the build wrote made no other");

    sources.code_beside_a_backup("\"of the code\"");
    let line = served.reloaded(1);
    assert!(line.contains("(build "), "{line}");
    assert_eq!(served.answer(), "of the code");

    sources.code_in_place_of("words::WORD");
    served.reloaded(2);
    sources.word("second");
    served.reloaded(3);
    assert_eq!(served.answer(), "second", "a package that it depends on by its path is watched too");
}

#[test]
fn a_source_that_is_deleted_leaves_what_is_served_until_it_is_there_again() {
    let sources = Sources::new("deleted");
    let served = sources.start();
    std::fs::remove_file(sources.path("worker/src/lib.rs")).unwrap();
    let line = served.said("kept deleted: ", 1);
    assert!(line.contains("what was there before is served"), "{line}");
    assert_eq!(served.answer(), "first");
    // What is wrong with a source is told in the compiler's words.
    sources.code("no_such_name");
    served.said("kept deleted: ", 2);
    assert!(!served.server.lines_with("cannot find value `no_such_name`").is_empty(), "{}", served.server.log());
    assert_eq!(served.answer(), "first");
    sources.code("\"repaired\"");
    served.reloaded(1);
    assert_eq!(served.answer(), "repaired");
}

#[test]
fn variables_of_a_package_are_served_without_a_build() {
    let sources = Sources::new("configured");
    sources.code("env.var(\"WORD\").map(|word| word.to_string()).unwrap_or_default()");
    let served = sources.start();
    assert_eq!(served.answer(), "");
    // Neither this nor the configuration was there before.
    for (n, (file, text, answer)) in [
        (".dev.vars", "WORD=secret\n", "secret"),
        (".dev.vars", "WORD=other\n", "other"),
        ("wrangler.json", "{ \"name\": \"configured\", \"vars\": { \"MORE\": \"x\" } }", "other"),
    ]
    .into_iter()
    .enumerate()
    {
        sources.write(&format!("worker/{file}"), text);
        let line = served.reloaded(n + 1);
        assert!(!line.contains("build "), "{line}");
        assert_eq!(served.answer(), answer);
    }
    assert_eq!(served.builds(), 1);
}

#[test]
fn a_target_folder_among_the_sources_makes_no_further_build() {
    let sources = Sources::that_stay("in-place");
    let target = sources.path("worker/target");
    let served = sources.served(&sources.dev_into(&target));
    assert!(target.join("workers/wasm32-wasip2/miniflow-dev/in_place.wasm").is_file(), "it was built there");
    assert_eq!(served.answer(), "first");
    std::fs::write(target.join("notes.rs"), "// made by another tool").unwrap();
    for (n, word) in ["second", "third"].iter().enumerate() {
        sources.word(word);
        served.reloaded(n + 1);
        assert_eq!(served.answer(), *word);
        // One that went on by itself would have begun others by now.
        assert_eq!(served.builds(), n + 2, "{}", served.server.log());
    }
}
