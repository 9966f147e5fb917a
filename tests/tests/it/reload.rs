//! Edits while a Worker is served: it is built and reloaded, nothing in flight is lost, and what cannot be served leaves what is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use miniflow_tests::{Dev, Reply, Server, Sink, build, eventually, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A Worker in a folder of its own, whose component is exchanged.
pub(crate) struct Site {
    folder: TempDir,
    state: TempDir,
}

/// The component of a version.
fn version(guest: &str) -> PathBuf {
    build(&repository().join("tests/guests").join(guest))
}

fn first() -> PathBuf {
    version("reload-a")
}

pub(crate) fn second() -> PathBuf {
    version("reload-b")
}

impl Site {
    /// Serves the first version as `worker.wasm`.
    pub(crate) fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() };
        std::fs::copy(first(), site.path("worker.wasm")).unwrap();
        site.configure(&json!({}));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn configure(&self, more: &Value) {
        let mut config = json!({
            "name": "site",
            "main": "worker.wasm",
            "workflows": [
                { "name": "steady", "binding": "STEADY", "class_name": "Steady" },
                { "name": "renamed", "binding": "RENAMED", "class_name": "Renamed" },
                { "name": "busy", "binding": "BUSY", "class_name": "Busy" },
                { "name": "counted", "binding": "COUNTED", "class_name": "Counted" },
            ],
            "kv_namespaces": [{ "binding": "KV" }],
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        self.write("wrangler.json", &config.to_string());
    }

    pub(crate) fn dev(&self) -> Dev {
        Dev::path(self.folder.path()).persist(self.state.path())
    }

    /// Puts a version in place, as tools do that write a file anew.
    pub(crate) fn put(&self, component: &Path) {
        std::fs::copy(component, self.path("new.part")).unwrap();
        std::fs::rename(self.path("new.part"), self.path("worker.wasm")).unwrap();
    }
}

fn reloads(server: &Server) -> usize {
    server.lines_with("reloaded site in").len()
}

/// Waits until the `n`-th reload is done.
#[track_caller]
pub(crate) fn reloaded(server: &Server, n: usize) -> String {
    eventually("a reload", || server.lines_with("reloaded site in").into_iter().nth(n - 1))
}

pub(crate) fn served(server: &Server) -> String {
    server.get("/").expect(200).text()
}

/// Requests without a pause, each of which has to be answered by one of the versions.
struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u32>>,
}

impl Load {
    fn on(server: &Server) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let threads = (0..4).map(|_| {
            let (client, over) = (server.client(), Arc::clone(&over));
            std::thread::spawn(move || {
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    let answer = client.get("/").unwrap().expect(200);
                    assert!(["a", "b"].contains(&answer.text().as_str()));
                    count += 1;
                }
                count
            })
        });
        Self { threads: threads.collect(), over }
    }

    /// Returns how many were answered.
    fn stop(self) -> u32 {
        self.over.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}

#[test]
fn a_new_component_is_served_and_no_request_fails_meanwhile() {
    let site = Site::new();
    let server = site.dev().start();
    assert_eq!(served(&server), "a");
    let load = Load::on(&server);
    for n in 1..=6 {
        let (component, says) = if n % 2 == 1 { (second(), "b") } else { (first(), "a") };
        site.put(&component);
        reloaded(&server, n);
        assert_eq!(served(&server), says);
    }
    let answered = load.stop();
    assert!(answered > 100, "{answered}");
}

#[test]
fn the_same_component_again_is_no_reload() {
    let site = Site::new();
    let server = site.dev().start();
    site.put(&first());
    site.write("notes.txt", "not a source");
    site.put(&second());
    reloaded(&server, 1);
    assert_eq!(reloads(&server), 1);
}

#[test]
fn instances_go_on_with_the_new_code() {
    let site = Site::new();
    let server = site.dev().start();
    let instance = server.workflow("STEADY").create("one", "");
    instance.wait_for("waiting");
    site.put(&second());
    let line = reloaded(&server, 1);
    assert!(line.contains("1 compatible"), "{line}");
    instance.send_event("go", "");
    instance.wait_for("complete");
    assert_eq!(instance.output(), "a b");
}

#[test]
fn new_code_is_tried_without_a_trace() {
    let site = Site::new();
    let server = site.dev().start();
    let instance = server.workflow("COUNTED").create("one", "");
    instance.wait_for("waiting");
    site.put(&second());
    reloaded(&server, 1);
    server.wait_for_line("not checked to the end: the code uses a KV namespace outside of a step (one)");
    instance.send_event("go", "");
    instance.wait_for("complete");
    assert_eq!(instance.output(), 2, "the first run, and the one after the reload");
}

#[test]
fn a_body_that_runs_is_finished_on_the_old_code() {
    let go = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&go);
    let sink = Sink::answering(move |_| {
        Reply::Answer(200, if told.load(Ordering::SeqCst) { "go".to_owned() } else { "wait".to_owned() })
    });
    let site = Site::new();
    let server = site.dev().start();
    let instance = server.workflow("BUSY").create("one", json!({ "url": sink.url() }));
    sink.wait_for(1, &[]);
    site.put(&second());
    let line = reloaded(&server, 1);
    assert!(line.contains("1 finishing a step on the old code"), "{line}");
    assert_eq!(served(&server), "b", "nobody waits for it");
    assert_eq!(instance.status()["status"], "running");
    go.store(true, Ordering::SeqCst);
    instance.wait_for("complete");
    assert_eq!(instance.output(), "a b");
}

#[test]
fn an_instance_whose_step_was_renamed_is_paused_and_goes_on_with_code_that_fits() {
    let site = Site::new();
    let server = site.dev().start();
    let instance = server.workflow("RENAMED").create("one", "");
    instance.wait_for("waiting");
    site.put(&second());
    let line = reloaded(&server, 1);
    assert!(line.contains("1 paused"), "{line}");
    let table =
        server.lines_with("diverges at step 1: recorded do `charge`, the code asks for do `charge-card`: paused (one)");
    assert_eq!(table.len(), 1, "{}", server.log());
    instance.wait_for("paused");
    site.put(&first());
    reloaded(&server, 2);
    instance.wait_for("waiting");
    instance.send_event("go", "");
    instance.wait_for("complete");
    assert_eq!(instance.output(), "a", "it was not charged again");
}

#[test]
fn an_instance_whose_step_was_renamed_begins_again_or_goes_on_if_that_is_wanted() {
    for (policy, said) in [("restart", "1 restarted"), ("continue", "1 going on though they diverge")] {
        let site = Site::new();
        let server = site.dev().args(["--on-divergence", policy]).start();
        let instance = server.workflow("RENAMED").create("one", "");
        instance.wait_for("waiting");
        site.put(&second());
        let line = reloaded(&server, 1);
        assert!(line.contains(said), "{line}");
        if policy == "restart" {
            instance.wait_for("waiting");
        }
        instance.send_event("go", "");
        instance.wait_for("complete");
        assert_eq!(instance.output(), "b", "{policy}: the new step has run");
    }
}

#[test]
fn a_configuration_that_changes_is_served_and_an_invalid_one_is_not() {
    let site = Site::new();
    let server = site.dev().start();
    let greeting = || server.get("/greeting").expect(200).text();
    assert_eq!(greeting(), "");
    site.configure(&json!({ "vars": { "GREETING": "hello" } }));
    reloaded(&server, 1);
    assert_eq!(greeting(), "hello");
    site.write("wrangler.json", "{ \"name\": ");
    server.wait_for_line("kept site: it cannot be served like this");
    assert_eq!(greeting(), "hello");
    std::fs::remove_file(site.path("wrangler.json")).unwrap();
    eventually("the second complaint", || (server.lines_with("kept site:").len() == 2).then_some(()));
    assert_eq!(greeting(), "hello");
    site.configure(&json!({ "vars": { "GREETING": "again" } }));
    reloaded(&server, 2);
    assert_eq!(greeting(), "again");
    // Secrets, in a file that was not there before.
    site.write(".dev.vars", "GREETING=secret\n");
    reloaded(&server, 3);
    assert_eq!(greeting(), "secret");
}

#[test]
fn a_component_that_is_broken_or_gone_leaves_the_one_before() {
    let site = Site::new();
    let server = site.dev().start();
    site.write("worker.wasm", "not wasm");
    server.wait_for_line("kept site: it cannot be served like this");
    assert_eq!(served(&server), "a");
    std::fs::remove_file(site.path("worker.wasm")).unwrap();
    eventually("the second complaint", || (server.lines_with("kept site:").len() == 2).then_some(()));
    assert_eq!(served(&server), "a");
    site.put(&second());
    reloaded(&server, 1);
    assert_eq!(served(&server), "b");
}

/// A site whose component is made by a command of the file `src/version`.
fn built() -> Site {
    let site = Site::new();
    std::fs::create_dir(site.path("src")).unwrap();
    std::fs::copy(first(), site.path("a.wasm")).unwrap();
    std::fs::copy(second(), site.path("b.wasm")).unwrap();
    site.write("src/version", "a");
    let command = "echo build >> builds.log && cp $(cat src/version).wasm out.wasm";
    site.configure(&json!({ "main": "out.wasm", "build": { "command": command, "watch_dir": "src" } }));
    site
}

fn builds(site: &Site) -> usize {
    std::fs::read_to_string(site.path("builds.log")).map_or(0, |log| log.lines().count())
}

#[test]
fn a_build_that_fails_leaves_the_old_version_until_it_is_repaired() {
    let site = built();
    let server = site.dev().start();
    site.write("src/version", "nothing");
    let line = server.wait_for_line("kept site:");
    assert!(line.contains("what was there before is served"), "{line}");
    assert_eq!(served(&server), "a");
    site.write("src/version", "b");
    reloaded(&server, 1);
    assert_eq!(served(&server), "b");
}

/// As [`built`], by builds that last until [`Gated::go`].
struct Gated(Site);

impl Gated {
    fn new() -> Self {
        let site = built();
        let command =
            "touch begun && while ! test -e go; do sleep 0.02; done && rm go && cp $(cat src/version).wasm out.wasm";
        site.configure(&json!({ "main": "out.wasm", "build": { "command": command, "watch_dir": "src" } }));
        Self(site)
    }

    fn begun(&self) {
        eventually("a build", || std::fs::remove_file(self.0.path("begun")).ok());
    }

    fn go(&self) {
        self.0.write("go", "");
    }

    /// Starts it, with the first version.
    fn start(&self) -> Server {
        self.go();
        let server = self.0.dev().start();
        self.begun();
        server
    }
}

/// Waits until a build has made what is served already, for the `n`-th time.
#[track_caller]
fn unchanged(server: &Server, n: usize) {
    eventually("a build", || server.lines_with("unchanged site: the build").into_iter().nth(n - 1));
}

#[test]
fn while_it_is_built_the_version_before_is_served_and_no_request_fails() {
    let gated = Gated::new();
    let server = gated.start();
    let load = Load::on(&server);
    for (n, version) in ["b", "a", "b"].into_iter().enumerate() {
        let before = served(&server);
        gated.0.write("src/version", version);
        gated.begun();
        for _ in 0..10 {
            assert_eq!(served(&server), before);
        }
        // What is saved now is built next.
        gated.0.write("src/notes", version);
        gated.go();
        reloaded(&server, n + 1);
        assert_eq!(served(&server), version);
        gated.begun();
        gated.go();
        unchanged(&server, n + 1);
    }
    assert!(load.stop() > 30);
}

#[test]
fn what_is_saved_again_and_again_while_it_is_built_is_a_source_all_the_same() {
    let gated = Gated::new();
    let server = gated.start();
    gated.0.write("src/notes", "1");
    for n in 1..=2 {
        gated.begun();
        gated.0.write("src/notes", &format!("{n} and more"));
        gated.go();
        unchanged(&server, n);
    }
    // It looks as if the build did it.
    server.wait_for_line("changed by every build, which is no reason for another one: ");
    for n in 3..=4 {
        gated.0.write("src/notes", &n.to_string());
        gated.begun();
        gated.go();
        unchanged(&server, n);
    }
}

#[test]
fn many_saves_are_few_builds() {
    let gated = Gated::new();
    let server = gated.start();
    gated.0.write("src/version", "b");
    gated.begun();
    for n in 0..20 {
        gated.0.write("src/other", &n.to_string());
    }
    gated.go();
    reloaded(&server, 1);
    // All of them are one.
    gated.begun();
    gated.go();
    unchanged(&server, 1);
    for (n, version) in ["a", "b", "a"].into_iter().enumerate() {
        // The next is for what is saved next, and not for what is left of them.
        gated.0.write("src/version", version);
        gated.begun();
        gated.go();
        reloaded(&server, n + 2);
    }
    assert_eq!(served(&server), "a");
    assert_eq!(server.lines_with("running `touch begun").len(), 1 + 2 + 3);
    assert_eq!(server.lines_with("unchanged site: the build").len(), 1);
}

#[test]
fn what_is_built_into_the_watched_folder_makes_no_further_build() {
    let site = built();
    let command = "echo build >> builds.log && cp $(cat src/version).wasm out.wasm && mkdir -p target && cp out.wasm target/x \
                   && date +%s%N > target/stamp";
    site.write("Cargo.toml", "");
    site.configure(&json!({ "main": "out.wasm", "build": { "command": command } }));
    // The log of the builds is among what is watched, and changes with each of them.
    let server = site.dev().start();
    server.wait_for_line("changed by every build, which is no reason for another one: ");
    let before = builds(&site);
    site.write("src/version", "b");
    reloaded(&server, 1);
    assert_eq!(served(&server), "b");
    assert_eq!(builds(&site), before + 1);
}

#[test]
fn a_first_build_that_fails_is_waited_for() {
    let site = built();
    site.write("src/version", "nothing");
    let server = site.dev().start_unbuilt();
    assert!(server.get("/").expect(503).text().contains("has not been built yet"));
    site.write("src/version", "b");
    server.wait_for_line("ready on ");
    assert_eq!(served(&server), "b");
}

#[test]
fn a_restart_of_the_program_picks_up_what_waits_on_the_code_that_is_there_then() {
    let site = Site::new();
    let server = site.dev().start();
    server.workflow("STEADY").create("one", "").wait_for("waiting");
    server.kill();
    site.put(&second());
    let server = site.dev().start();
    let workflow = server.workflow("STEADY");
    let instance = workflow.instance("one");
    instance.send_event("go", "");
    instance.wait_for("complete");
    assert_eq!(instance.output(), "a b");
}
