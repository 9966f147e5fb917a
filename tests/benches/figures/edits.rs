//! From a new component on the disk to its first answer.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use miniflow_runtime::clock::Stopwatch;

use super::sections::{Figure, figure, folder, ms};
use super::server::{Mode, Server};

/// What stands in the component, and is replaced: an edit without a compiler.
const MARKER: &[u8] = b"edit-000000000000";

/// Edits that are measured.
const EDITS: usize = 9;

/// The Worker is the guest `reload-a`. Each edit is another component for the compiler of the host, as one of the code would be.
pub(super) fn edits() -> Vec<Figure> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/reload-a");
    let built = miniflow::dev::build::build_blocking(&guest).expect("the guest builds");
    let component = std::fs::read(built).expect("the component can be read");
    // Another run of this has left what it compiled in the cache.
    let salt = std::process::id() % 1_000_000;
    let mut figures = Vec::new();
    // What the compiler of the host has made before is not made again: the rest is what is added to its time.
    for (instances, first) in [(0, 1), (1000, 1 + EDITS), (1000, 1)] {
        let (mut served, mut all, mut check) = (Vec::new(), Vec::new(), Vec::new());
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
            std::fs::write(&part, edited(&component, marker.as_bytes())).expect("a temporary folder can be written to");
            let stopwatch = Stopwatch::start();
            std::fs::rename(&part, &file).expect("a file can be renamed");
            while client.request("GET", "/marker", "").expect("the server answers").1 != marker.as_bytes() {
                std::thread::sleep(Duration::from_millis(1));
            }
            served.push(ms(stopwatch));
            let line = reloads.recv_timeout(Duration::from_secs(60)).expect("a reload is told");
            all.push(number_after(&line, " in "));
            check.push(number_after(&line, "check "));
        }
        let known = if first == 1 && instances > 0 { ", compiled before" } else { "" };
        let label = |what: &str| format!("{what}, {instances} in flight{known}");
        figures.push(figure(label("new component on disk to its first answer"), Mode::Normal, "ms", served));
        figures.push(figure(label("of which loading and putting in place"), Mode::Normal, "ms", all));
        figures.push(figure(label("of which the check"), Mode::Normal, "ms", check));
    }
    figures
}

/// The component with another text in it, of the same length.
fn edited(component: &[u8], marker: &[u8]) -> Vec<u8> {
    let place = component.windows(MARKER.len()).position(|bytes| bytes == MARKER).expect("the marker is in it");
    let mut edited = component.to_vec();
    edited[place..place + marker.len()].copy_from_slice(marker);
    edited
}

fn number_after(line: &str, word: &str) -> f64 {
    let number = line.split(word).nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}
