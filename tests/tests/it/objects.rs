//! Durable Objects.

use miniflow_tests::{Dev, Server};
use serde_json::{Value, json};

fn objects() -> Server {
    Dev::guest("objects").start()
}

/// Has an object do operations; the results.
#[track_caller]
fn run(server: &Server, name: &str, operations: Value) -> Value {
    server.post(&format!("/run/KEEPER/{name}"), operations).expect(200).json()
}

#[test]
fn an_object_keeps_what_it_was_told() {
    let server = objects();
    let increment = json!([{ "op": "increment", "key": "n" }]);
    assert_eq!(run(&server, "a", increment.clone()), json!([1]));
    assert_eq!(run(&server, "a", increment.clone()), json!([2]));
    assert_eq!(run(&server, "b", increment), json!([1]));
}
