//! From a saved source file to the first answer of the new code, cargo included.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use miniflow_runtime::clock::Stopwatch;
use serde_json::json;
use tempfile::TempDir;

use super::client::Client;
use super::edits::number_after;
use super::sections::{Figure, figure, folder, ms};
use super::server::{Mode, Server};

/// Pause between two polls: polling takes cores from the compilers.
const POLL: Duration = Duration::from_millis(4);

/// Saves that are measured.
const SAVES: usize = 9;

/// A Worker whose source is saved again and again.
struct Example {
    name: &'static str,
    /// Text of `src/lib.rs`, and its replacement with `edit-0` in an answer.
    change: [&'static str; 2],
    /// A path whose answer has that text.
    path: &'static str,
    instances: usize,
}

const EXAMPLES: [Example; 2] = [
    Example { name: "hello", change: ["{name}!\\n", "{name} edit-0!\\n"], path: "/", instances: 0 },
    Example {
        name: "order-pipeline",
        change: ["Router::new()\n", "Router::new()\n        .get(\"/edit\", |_, _| Response::ok(\"edit-0\"))\n"],
        path: "/edit",
        instances: 1000,
    },
];

/// Each edit changes a text in the source of an example.
pub(super) fn saves() -> Vec<Figure> {
    // Both share what they depend on, as two projects of a workspace do.
    let target = folder();
    EXAMPLES.iter().flat_map(|example| measured(example, target.path())).collect()
}

fn measured(example: &Example, target: &Path) -> Vec<Figure> {
    let (site, state) = (copied(example.name), folder());
    let source = site.path().join("src/lib.rs");
    let text = std::fs::read_to_string(&source).expect("the source can be read");
    let [before, after] = example.change;
    assert!(text.contains(before), "`{before}` is in src/lib.rs of {}", example.name);
    let text = text.replacen(before, after, 1);
    let save =
        |n: usize| std::fs::write(&source, text.replace("edit-0", &format!("edit-{n}"))).expect("it can be saved");
    save(0);

    let (sender, reloads) = channel();
    let server = Server::develop(site.path(), target, Mode::Normal, state.path(), move |line| {
        if line.starts_with("reloaded ") {
            // The other side may have gone.
            let _ = sender.send(line);
        }
    });
    let mut client = server.client();
    for n in 0..example.instances {
        let order = json!({ "id": format!("order-{n}"), "item": "book", "cents": 4200 });
        client.json("POST", "/orders", &order.to_string());
    }
    for n in 0..example.instances {
        while client.json("GET", &format!("/orders/order-{n}"), "")["status"] != "waiting" {
            std::thread::sleep(POLL);
        }
    }
    let (mut served, mut cargo, mut beyond, mut check) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for n in 1..=SAVES {
        let stopwatch = Stopwatch::start();
        save(n);
        wait_for(&mut client, example.path, &format!("edit-{n}"));
        let took = ms(stopwatch);
        let line = reloads.recv_timeout(Duration::from_secs(60)).expect("a reload is told");
        let build = duration_after(&line, "(build ");
        served.push(took);
        cargo.push(build);
        beyond.push(took - build);
        check.push(number_after(&line, "check "));
    }
    let label = |what: &str| format!("{}, {} in flight: {what}", example.name, example.instances);
    vec![
        figure(label("source saved to the first answer of the new code"), Mode::Normal, "ms", served),
        figure(label("of which cargo"), Mode::Normal, "ms", cargo),
        figure(label("of which everything else"), Mode::Normal, "ms", beyond),
        figure(label("of that, the check"), Mode::Normal, "ms", check),
    ]
}

fn wait_for(client: &mut Client, path: &str, text: &str) {
    loop {
        let answer = client.request("GET", path, "").expect("the server answers").1;
        // `edit-1` begins `edit-10`, which comes later.
        if String::from_utf8_lossy(&answer).contains(text) {
            return;
        }
        std::thread::sleep(POLL);
    }
}

/// A copy of the example that depends on the SDK of this repository.
pub(super) fn copied(name: &str) -> TempDir {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository is there");
    let (example, site) = (root.join("examples").join(name), folder());
    std::fs::create_dir(site.path().join("src")).expect("a temporary folder can be written to");
    let sources = std::fs::read_dir(example.join("src")).expect("the example has sources");
    let sources = sources.map(|entry| Path::new("src").join(entry.expect("it can be listed").file_name()));
    for file in sources.chain(["Cargo.toml", "Cargo.lock", "wrangler.jsonc"].map(PathBuf::from)) {
        let text = std::fs::read_to_string(example.join(&file)).expect("the example can be read");
        let text = text.replace("../../guest-sdk", &root.join("guest-sdk").to_string_lossy().replace('\\', "/"));
        std::fs::write(site.path().join(&file), text).expect("a temporary folder can be written to");
    }
    site
}

/// Milliseconds of `355 ms` or `1.2 s` after `word`.
fn duration_after(line: &str, word: &str) -> f64 {
    let mut words = line.split(word).nth(1).unwrap_or_default().split([' ', ',']);
    let number: f64 = words.next().and_then(|number| number.parse().ok()).unwrap_or(f64::NAN);
    if words.next() == Some("s") { number * 1000.0 } else { number }
}
