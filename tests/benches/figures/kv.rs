//! Keys and values: how many of each operation in a second.

use std::thread;

use miniflow_runtime::clock::Stopwatch;

use super::sections::{Figure, MODES, figure, folder, ms};
use super::server::Server;

const ENTRIES: usize = 2_000;

/// How many clients ask at a time, where it is not one.
const CLIENTS: usize = 8;

/// Everything, with what is waited for at a commit and what is not.
pub(crate) fn all() -> Vec<Figure> {
    let mut figures = Vec::new();
    for mode in MODES {
        let state = folder();
        let server = Server::start(mode, state.path());
        // The first opens the database.
        rate(&server, "put", ENTRIES, 1);
        let runs = |what: &str, n: usize, clients: usize| (0..5).map(|_| rate(&server, what, n, clients)).collect();
        figures.push(figure("put, one after the other", mode, "puts/s", runs("put", ENTRIES, 1)));
        let name = format!("put, {CLIENTS} requests at a time");
        figures.push(figure(name, mode, "puts/s", runs("put", ENTRIES / CLIENTS, CLIENTS)));
        figures.push(figure("get, one after the other", mode, "gets/s", runs("get", ENTRIES, 1)));
        figures.push(figure("list, by pages of 1,000", mode, "keys/s", runs("list", 20, 1)));
    }
    figures
}

/// Has clients do `n` of something each, in one request; how many there were in a second.
fn rate(server: &Server, what: &str, n: usize, clients: usize) -> f64 {
    let stopwatch = Stopwatch::start();
    let done: u64 = thread::scope(|scope| {
        let asking: Vec<_> = (0..clients)
            .map(|_| {
                let mut client = server.client();
                scope.spawn(move || client.json("POST", &format!("/kv?what={what}&n={n}"), "")["n"].as_u64())
            })
            .collect();
        asking.into_iter().filter_map(|client| client.join().ok().flatten()).sum()
    });
    let expected = if what == "list" { n * clients * 1_000 } else { n * clients };
    assert_eq!(usize::try_from(done).ok(), Some(expected), "{what}");
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let done = done as f64;
    done / (ms(stopwatch) / 1_000.0)
}
