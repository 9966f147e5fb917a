//! From an edit to its first answer: of a source, with cargo, and of a component on the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use miniflow::bindings::Bindings;
use miniflow::bindings::logging::{LogLine, LogSink};
use miniflow::dev::build::{Profile, build_blocking_with};
use miniflow::wasm::{EngineOptions, Loader, Services, runtime};
use miniflow_runtime::clock::{Stopwatch, SystemClock};

use super::saves::saves;
use super::sections::{Figure, figure, folder, ms};
use super::server::{Mode, Server};

/// What stands in the component, and is replaced: an edit without a compiler.
const MARKER: &[u8] = b"edit-000000000000";

/// How often the server is asked meanwhile: every millisecond takes the compiler a tenth of the two cores.
const POLL: Duration = Duration::from_millis(4);

/// Edits that are measured.
const EDITS: usize = 9;

/// Saved sources first, then components.
pub(super) fn edits() -> Vec<Figure> {
    let mut figures = saves();
    figures.extend(components());
    figures
}

/// The Worker is the guest `reload-a`. Each edit is another component for the compiler of the host, as one of the code would be.
fn components() -> Vec<Figure> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/reload-a");
    let built = build_blocking_with(&guest, Profile::Release).expect("the guest builds");
    let component = std::fs::read(built).expect("the component can be read");
    let compiler = Alone::new();
    // Another run of this has left what it compiled in the cache.
    let salt = std::process::id() % 1_000_000;
    let mut figures = Vec::new();
    // What the compiler of the host has made before is not made again: the rest is what is added to its time.
    for (instances, first) in [(0, 1), (1000, 1 + EDITS), (1000, 1)] {
        let (mut served, mut all, mut check) = (Vec::new(), Vec::new(), Vec::new());
        let (mut alone, mut beyond) = (Vec::new(), Vec::new());
        let (site, state) = (folder(), folder());
        let file = site.path().join("worker.wasm");
        std::fs::write(&file, &component).expect("a temporary folder can be written to");
        let (sender, reloads) = channel();
        let server = Server::serve(&file, &[], Mode::Normal, state.path(), "info", move |line| {
            if line.starts_with("reloaded ") {
                // The other side may have gone.
                let _ = sender.send(line);
            }
        });
        let mut client = server.client();
        for n in 0..instances {
            client.json("POST", &format!("/create?wf=STEADY&id=waits-{n}"), "");
        }
        for n in 0..instances {
            while client.json("GET", &format!("/status?wf=STEADY&id=waits-{n}"), "")["status"] != "waiting" {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        for edit in first..first + EDITS {
            let marker = format!("edit-{salt:06}{edit:06}");
            let part = site.path().join("new.part");
            let edited = edited(&component, marker.as_bytes());
            std::fs::write(&part, &edited).expect("a temporary folder can be written to");
            let stopwatch = Stopwatch::start();
            std::fs::rename(&part, &file).expect("a file can be renamed");
            while client.request("GET", "/marker", "").expect("the server answers").1 != marker.as_bytes() {
                std::thread::sleep(POLL);
            }
            let took = ms(stopwatch);
            served.push(took);
            let line = reloads.recv_timeout(Duration::from_secs(60)).expect("a reload is told");
            all.push(number_after(&line, " in "));
            check.push(number_after(&line, "check "));
            let compiling = compiler.compile(edited);
            alone.push(compiling);
            beyond.push(took - compiling);
        }
        let is_known = first == 1 && instances > 0;
        let known = if is_known { ", compiled before" } else { "" };
        let label = |what: &str| format!("{what}, {instances} in flight{known}");
        figures.push(figure(label("new component on disk to its first answer"), Mode::Normal, "ms", served));
        figures.push(figure(label("of which loading and putting in place"), Mode::Normal, "ms", all));
        figures.push(figure(label("of which the check"), Mode::Normal, "ms", check));
        if !is_known {
            figures.push(figure(label("the compiler alone, each time after that"), Mode::Normal, "ms", alone));
            figures.push(figure(label("what the first answer took beyond the compiler"), Mode::Normal, "ms", beyond));
        }
    }
    figures
}

/// The compiler of the host in this process, which keeps nothing.
struct Alone {
    loader: Loader,
    tokio: tokio::runtime::Runtime,
}

impl Alone {
    fn new() -> Self {
        struct Nowhere;
        impl LogSink for Nowhere {
            fn line(&self, _: LogLine) {}
        }
        let services = Arc::new(Services::new(SystemClock::shared(), Arc::new(Nowhere)));
        let loader = Loader::new(&EngineOptions::default(), services).expect("the engine starts");
        Self { loader, tokio: runtime().expect("there can be threads") }
    }

    fn compile(&self, component: Vec<u8>) -> f64 {
        let stopwatch = Stopwatch::start();
        let loaded = self.tokio.block_on(self.loader.load("reload-a", component, Bindings::default()));
        let took = ms(stopwatch);
        drop(loaded.expect("it is a Worker"));
        took
    }
}

/// The component with another text in it, of the same length.
fn edited(component: &[u8], marker: &[u8]) -> Vec<u8> {
    let place = component.windows(MARKER.len()).position(|bytes| bytes == MARKER).expect("the marker is in it");
    let mut edited = component.to_vec();
    edited[place..place + marker.len()].copy_from_slice(marker);
    edited
}

pub(super) fn number_after(line: &str, word: &str) -> f64 {
    let number = line.split(word).nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}
