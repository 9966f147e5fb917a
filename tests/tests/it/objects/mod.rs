//! Durable Objects and service bindings.

mod callers;
mod life;
mod limits;
mod sql;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use miniflow_tests::{Dev, Reply, Server, Sink, eventually};
use serde_json::{Value, json};

fn objects() -> Server {
    Dev::guest("objects").start()
}

/// With time that passes only when it is told to.
fn manual() -> Dev {
    Dev::guest("objects").args(["--time", "manual"])
}

fn advance(server: &Server, ms: u64) -> Value {
    server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": ms })).expect(200).json()
}

/// Has an object do operations; the results.
#[track_caller]
fn run(server: &Server, name: &str, operations: Value) -> Value {
    server.post(&format!("/run/KEEPER/{name}"), operations).expect(200).json()
}

/// Has an object do operations that fail; the error.
#[track_caller]
fn fails(server: &Server, name: &str, operations: Value) -> String {
    let answer = server.post(&format!("/run/KEEPER/{name}"), operations).expect(500).json();
    answer["error"].as_str().unwrap().to_owned()
}

fn get(key: &str) -> Value {
    json!({ "op": "get", "key": key })
}

fn increment(key: &str) -> Value {
    json!({ "op": "increment", "key": key })
}

#[test]
fn objects_keep_what_they_were_told_each_for_itself() {
    let server = objects();
    assert_eq!(run(&server, "a", json!([increment("n")])), json!([1]));
    assert_eq!(run(&server, "a", json!([increment("n")])), json!([2]));
    assert_eq!(run(&server, "b", json!([increment("n")])), json!([1]));
}

#[test]
fn entries_are_written_read_listed_and_removed() {
    let server = objects();
    let results = run(
        &server,
        "a",
        json!([
            { "op": "put_multiple", "entries": { "b": 2, "a": { "x": [1] }, "c": null } },
            { "op": "get_multiple", "keys": ["b", "z", "a"] },
            { "op": "list", "reverse": true, "limit": 2 },
            { "op": "list", "start_after": "a", "end": "c" },
            { "op": "put", "key": "prefix:1", "value": 1 },
            { "op": "list", "prefix": "prefix:" },
            { "op": "delete", "key": "b" },
            { "op": "delete", "key": "b" },
            { "op": "delete_multiple", "keys": ["a", "b", "c"] },
            get("a"),
            { "op": "delete_all" },
            { "op": "list" },
        ]),
    );
    let expected = json!([
        null,
        [["a", { "x": [1] }], ["b", 2]],
        [["c", null], ["b", 2]],
        [["b", 2]],
        null,
        [["prefix:1", 1]],
        true,
        false,
        2,
        null,
        null,
        [],
    ]);
    assert_eq!(results, expected);
    let many: Vec<_> = (0..129).map(|n| n.to_string()).collect();
    assert!(fails(&server, "a", json!([{ "op": "get_multiple", "keys": many }])).starts_with("Maximum number of keys"));
    let key = "k".repeat(2049);
    assert!(fails(&server, "a", json!([get(&key)])).contains("A key of size 2049 was provided"));
    assert!(fails(&server, "a", json!([{ "op": "put_large", "key": "k", "size": 2 << 20 }])).contains("2097152 bytes"));
}

#[test]
fn ids_are_always_the_same_and_of_one_class() {
    let server = objects();
    let ids = |binding: &str| server.get(&format!("/ids/{binding}?name=a")).expect(200).json();
    let (first, second, other) = (ids("KEEPER"), ids("KEEPER"), ids("TABLED"));
    assert_eq!(first["named"], second["named"]);
    assert_eq!(first["named"], first["again"]);
    assert_ne!(first["unique"], second["unique"]);
    let named = first["named"].as_str().unwrap();
    assert_eq!(named.len(), 64);
    assert_eq!(run(&server, "a", json!([{ "op": "id" }])), json!([{ "id": named, "name": "a" }]));
    let by_id = |binding: &str, id: &str, status: u16| {
        server.post(&format!("/run-id/{binding}/{id}"), json!([increment("n")])).expect(status).json()
    };
    assert_eq!(run(&server, "a", json!([increment("n")])), json!([1]));
    assert_eq!(by_id("KEEPER", named, 200), json!([2]));
    assert_eq!(by_id("KEEPER", first["unique"].as_str().unwrap(), 200), json!([1]));
    let foreign = by_id("KEEPER", other["named"].as_str().unwrap(), 500);
    assert_eq!(foreign["code"], "object.invalid_id");
    assert_eq!(foreign["error"], "Durable Object ID is not valid for this namespace.");
    assert!(by_id("KEEPER", "abc", 500)["error"].as_str().unwrap().contains("must be 64 hex digits"));
}

#[test]
fn what_is_not_bound_is_not_reached() {
    let server = objects();
    let error = server.post("/run/KEEP/a", json!([])).expect(500).json()["error"].clone();
    assert_eq!(error, "no durable object `KEEP` is bound: there is `KEEPER`, `TABLED`, `UNMADE`");
    let error = server.post("/run/ECHO/a", json!([])).expect(500).json()["error"].clone();
    assert_eq!(error, "`ECHO` is bound as a workflow, not as a durable object");
    // The header that leads to an object comes from neither a client nor an ordinary request.
    let id = server.get("/ids/KEEPER?name=a").expect(200).json()["named"].clone();
    let route = format!("object%20KEEPER%20{}", id.as_str().unwrap());
    let plain = server.get(&format!("/plain?route={route}&url={}/whoami", server.url())).expect(200).json();
    assert_eq!((&plain["worker"], &plain["route"]), (&json!("objects"), &Value::Null));
}

#[test]
fn a_request_reaches_an_object_as_it_was_sent_and_bodies_stream() {
    let server = objects();
    let url = server.get("/at/KEEPER/a/url?x=1").expect(200).text();
    assert_eq!(url, "GET https://inside.test/url?x=1 None");
    let mut exchange = server.exchange("/at/KEEPER/a/echo");
    for piece in ["one", "two"] {
        exchange.send(piece);
        assert_eq!(exchange.receive().as_deref(), Some(piece));
    }
    exchange.finish();
    assert_eq!(exchange.receive(), None);
    let large = vec![7; 5 << 20];
    assert_eq!(server.post("/at/KEEPER/a/echo", large.clone()).expect(200).body, large);
}

#[test]
fn sql_is_the_objects_own_database() {
    let server = objects();
    let sql = |query: &str, bindings: Value| json!({ "op": "sql", "query": query, "bindings": bindings });
    let results = run(
        &server,
        "a",
        json!([
            sql("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, ratio REAL, bytes BLOB)", json!([])),
            sql("INSERT INTO t (text, ratio, bytes) VALUES (?, ?, ?)", json!(["a", 0.5, [1, 2]])),
            sql("INSERT INTO t (text) VALUES (?)", json!([null])),
            sql("SELECT * FROM t ORDER BY id", json!([])),
            { "op": "sql_one", "query": "SELECT count(*) AS n FROM t" },
            { "op": "sql_one", "query": "SELECT * FROM t", "catch": true },
            { "op": "sql", "query": "SELECT * FROM missing", "catch": true },
            { "op": "sql", "query": "ATTACH 'x' AS y", "catch": true },
        ]),
    );
    assert_eq!((&results[1]["written"], &results[3]["read"]), (&json!(1), &json!(2)));
    assert_eq!(results[3]["columns"], json!(["id", "text", "ratio", "bytes"]));
    let rows = json!([
        { "id": 1, "text": "a", "ratio": 0.5, "bytes": [1, 2] },
        { "id": 2, "text": null, "ratio": null, "bytes": null },
    ]);
    assert_eq!(results[3]["rows"], rows);
    assert_eq!(results[4], json!({ "n": 2 }));
    assert!(results[5]["error"].as_str().unwrap().ends_with("multiple results."));
    assert_eq!(results[6], json!({ "error": "no such table: missing: SQLITE_ERROR", "code": "sql.error" }));
    assert!(results[7]["error"].as_str().unwrap().ends_with("SQLITE_AUTH"));
    assert!(run(&server, "a", json!([{ "op": "size" }]))[0].as_u64().unwrap() > 0);
    assert!(fails(&server, "b", json!([sql("SELECT * FROM t", json!([]))])).starts_with("no such table: t"));
}

#[test]
fn a_transaction_that_fails_has_written_nothing() {
    let server = objects();
    let put = |key: &str| json!({ "op": "put", "key": key, "value": 1 });
    let transaction = |operations: Value| json!({ "op": "transaction", "do": operations, "catch": true });
    let results = run(
        &server,
        "a",
        json!([
            put("before"),
            transaction(json!([put("kept"), { "op": "delay", "ms": 5 }, get("kept")])),
            transaction(json!([put("lost"), get("lost"), { "op": "fail", "message": "no luck" }])),
            { "op": "transaction", "do": [put("back")], "rollback": true },
            transaction(json!([transaction(json!([])), put("outer")])),
            { "op": "list" },
        ]),
    );
    assert_eq!(results[1], json!([null, null, 1]));
    assert_eq!(results[2]["error"], "no luck");
    assert_eq!(results[4][0]["code"], "storage.nested_transaction");
    assert_eq!(results[5], json!([["before", 1], ["kept", 1], ["outer", 1]]));
}

#[test]
fn no_event_comes_in_while_a_transaction_is_open() {
    let (server, sink) = (objects(), Sink::start());
    let client = server.client();
    let operations = json!([{ "op": "transaction", "do": [
        { "op": "put", "key": "in", "value": true }, { "op": "fetch", "url": sink.url() },
        { "op": "delay", "ms": 300 }, { "op": "delete", "key": "in" },
    ] }]);
    let first = std::thread::spawn(move || client.post("/run/KEEPER/a", operations).unwrap().expect(200));
    // An event that had come in before would go on in the middle of it.
    sink.wait_for(1, &[]);
    while !first.is_finished() {
        assert_eq!(run(&server, "a", json!([get("in")])), json!([null]));
    }
    first.join().unwrap();
}

#[test]
fn events_enter_while_another_waits_for_something_outside() {
    let waits = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&waits);
    let sink = Sink::answering(move |_| {
        seen.fetch_add(1, SeqCst);
        Reply::Never
    });
    let server = objects();
    let (client, url) = (server.client(), sink.url().to_owned());
    // Its answer never comes.
    std::thread::spawn(move || {
        let operations = json!([{ "op": "put", "key": "before", "value": 1 }, { "op": "fetch", "url": url }]);
        client.post("/run/KEEPER/a", operations).map(drop)
    });
    eventually("the request leaves the object", || (waits.load(SeqCst) == 1).then_some(()));
    assert_eq!(run(&server, "a", json!([get("before"), { "op": "events" }])), json!([1, 2]));
}

#[test]
fn read_and_write_without_a_wait_in_between_lose_nothing() {
    let server = objects();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let client = server.client();
            std::thread::spawn(move || {
                for _ in 0..20 {
                    let _ = client.post("/run/KEEPER/a", json!([increment("n")])).unwrap().expect(200);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(run(&server, "a", json!([get("n"), { "op": "events" }])), json!([160, 161]));
}

#[test]
fn a_failure_is_the_callers_and_a_trap_ends_one_object_only() {
    let server = objects();
    let _ = run(&server, "b", json!([increment("n")]));
    assert_eq!(fails(&server, "a", json!([increment("n"), { "op": "fail", "message": "no luck" }])), "no luck");
    let died = fails(&server, "a", json!([increment("n"), { "op": "panic" }]));
    assert!(died.starts_with("asked to panic (panicked at src/script.rs:"), "{died}");
    server.wait_for_line("an object of `Keeper` of Worker `objects` died: asked to panic");
    // What the error left is kept, what the trap left is not; the object is a new one, its neighbour is not.
    assert_eq!(run(&server, "a", json!([get("n"), { "op": "events" }])), json!([1, 1]));
    assert_eq!(run(&server, "b", json!([{ "op": "events" }])), json!([2]));
    let unmade = server.post("/run/UNMADE/a", json!([])).expect(500).json()["error"].clone();
    assert!(unmade.as_str().unwrap().starts_with("asked to panic in a constructor"), "{unmade}");
    let itself = fails(&server, "a", json!([{ "op": "stub_of_itself" }]));
    assert_eq!(itself, "Cannot get stub from within a Durable Object");
}

#[test]
fn a_constructor_runs_once_in_a_life_and_has_a_storage() {
    let dev = Dev::guest("objects");
    let server = dev.start();
    let made = |server: &Server| server.get("/at/TABLED/a/").expect(200).json();
    assert_eq!(made(&server), json!({ "made": 1, "name": "a" }));
    assert_eq!(made(&server)["made"], 1);
    drop(server);
    assert_eq!(made(&dev.start())["made"], 2);
}

#[test]
fn what_was_answered_is_there_after_a_kill_and_what_was_not_is_not() {
    let waits = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&waits);
    let sink = Sink::answering(move |_| {
        seen.fetch_add(1, SeqCst);
        Reply::Never
    });
    let dev = Dev::guest("objects");
    let server = dev.start();
    let sql = |query: &str| json!({ "op": "sql", "query": query });
    let answered = json!([
        increment("answered"), sql("CREATE TABLE t (x)"), sql("INSERT INTO t VALUES (1)"), { "op": "set_alarm", "ms": 3_600_000 },
    ]);
    let answered = run(&server, "a", answered);
    let (client, url) = (server.client(), sink.url().to_owned());
    std::thread::spawn(move || {
        let operations = json!([{ "op": "transaction", "do": [
            increment("cut"), { "op": "sql", "query": "INSERT INTO t VALUES (2)" }, { "op": "fetch", "url": url },
        ] }]);
        client.post("/run/KEEPER/a", operations).map(drop)
    });
    eventually("the transaction is open", || (waits.load(SeqCst) == 1).then_some(()));
    server.kill();
    let server = dev.start();
    let after = run(
        &server,
        "a",
        json!([get("answered"), get("cut"), { "op": "sql_one", "query": "SELECT count(*) AS n FROM t" }, { "op": "get_alarm" }]),
    );
    assert_eq!(after, json!([1, null, { "n": 1 }, answered[3]]));
}

#[test]
fn an_alarm_goes_off_at_its_time_and_is_over_then() {
    let server = manual().start();
    let on_alarm = json!([increment("alarms"), { "op": "get_alarm" }]);
    let set = json!([{ "op": "put", "key": "on alarm", "value": on_alarm }, { "op": "set_alarm", "ms": 60_000 }]);
    let at = run(&server, "a", set)[1].clone();
    let look = json!([get("alarms"), { "op": "get_alarm" }]);
    advance(&server, 59_000);
    assert_eq!(run(&server, "a", look.clone()), json!([null, at]));
    let moved = advance(&server, 1_000);
    let due = moved["moved"]["due"][0]["what"].as_str().unwrap();
    assert!(due.starts_with("the alarm of the object ") && due.ends_with(" goes off"), "{moved}");
    // Nobody waits for it: what was due has happened before the clock was moved.
    assert_eq!(run(&server, "a", look.clone()), json!([1, null]));
    // A later one takes the place of the earlier, and one that is removed does not go off.
    let _ = run(&server, "a", json!([{ "op": "set_alarm", "ms": 1_000 }, { "op": "set_alarm", "ms": 5_000 }]));
    advance(&server, 2_000);
    assert_eq!(run(&server, "a", json!([get("alarms")])), json!([1]));
    advance(&server, 3_000);
    assert_eq!(run(&server, "a", json!([get("alarms")])), json!([2]));
    let _ = run(&server, "a", json!([{ "op": "set_alarm", "ms": 1_000 }, { "op": "delete_alarm" }]));
    advance(&server, 2_000);
    assert_eq!(run(&server, "a", look), json!([2, null]));
}

#[test]
fn an_alarm_can_set_the_next_and_is_not_set_while_it_runs() {
    let server = manual().start();
    let on_alarm = json!([
        { "op": "transaction", "do": [{ "op": "get_alarm" }] }, increment("alarms"), { "op": "set_alarm", "ms": 1_000 },
    ]);
    let _ = run(
        &server,
        "a",
        json!([{ "op": "put", "key": "on alarm", "value": on_alarm }, { "op": "set_alarm", "ms": 0 }]),
    );
    advance(&server, 3_500);
    assert_eq!(run(&server, "a", json!([get("alarms")])), json!([4]));
}

#[test]
fn an_alarm_that_fails_is_tried_again_six_times_each_after_twice_the_time() {
    let server = manual().start();
    let sink = Sink::start();
    let on_alarm = json!([{ "op": "fetch", "url": sink.url() }, { "op": "fail", "message": "no luck" }]);
    let _ = run(
        &server,
        "a",
        json!([{ "op": "put", "key": "on alarm", "value": on_alarm }, { "op": "set_alarm", "ms": 0 }]),
    );
    advance(&server, 1);
    for (tries, seconds) in (1..).zip([2, 4, 8, 16, 32, 64]) {
        assert_eq!(sink.seen().len(), tries);
        advance(&server, seconds * 1_000 - 100);
        assert_eq!(sink.seen().len(), tries, "before {seconds} s");
        advance(&server, 100);
    }
    assert_eq!(sink.seen().len(), 7);
    server.wait_for_line("Error: no luck (alarm, is given up after 6 retries)");
    advance(&server, 3_600_000);
    assert_eq!((sink.seen().len(), run(&server, "a", json!([{ "op": "get_alarm" }]))), (7, json!([null])));
}

#[test]
fn an_alarm_that_traps_is_tried_again_on_a_new_object() {
    let server = manual().start();
    let sink = Sink::start();
    let on_alarm = json!([increment("lost"), { "op": "panic" }]);
    let _ = run(
        &server,
        "a",
        json!([{ "op": "put", "key": "on alarm", "value": on_alarm }, { "op": "set_alarm", "ms": 0 }]),
    );
    advance(&server, 1);
    server.wait_for_line("died: asked to panic");
    let mended = json!([{ "op": "fetch", "url": sink.url() }]);
    assert_eq!(
        run(&server, "a", json!([get("lost"), { "op": "put", "key": "on alarm", "value": mended }]))[0],
        json!(null)
    );
    advance(&server, 2_000);
    assert_eq!(sink.seen().len(), 1);
}

#[test]
fn an_alarm_cut_by_a_kill_goes_off_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let sink = Sink::answering(move |_| if seen.fetch_add(1, SeqCst) == 0 { Reply::Never } else { Reply::ok() });
    let dev = Dev::guest("objects");
    let server = dev.start();
    let on_alarm = json!([increment("before"), { "op": "fetch", "url": sink.url() }, increment("done")]);
    let _ = run(
        &server,
        "a",
        json!([{ "op": "put", "key": "on alarm", "value": on_alarm }, { "op": "set_alarm", "ms": 0 }]),
    );
    eventually("the handler runs", || (asked.load(SeqCst) == 1).then_some(()));
    server.kill();
    let server = dev.start();
    let done = || run(&server, "a", json!([get("before"), get("done"), { "op": "get_alarm" }]));
    eventually("the alarm goes off again", || (done()[1] == 1).then_some(()));
    assert_eq!(done(), json!([2, 1, null]));
}

#[test]
fn alarms_of_a_thousand_objects_go_off_in_one_second() {
    let dev = manual();
    let server = dev.start();
    let on_alarm = json!([increment("alarms")]);
    let set = json!([{ "op": "put", "key": "on alarm", "value": on_alarm }, { "op": "set_alarm", "ms": 60_000 }]);
    let threads: Vec<_> = (0..4)
        .map(|part| {
            let (client, set) = (server.client(), set.clone());
            std::thread::spawn(move || {
                for n in 0..250 {
                    let _ = client.post(&format!("/run/KEEPER/{part}-{n}"), set.clone()).unwrap().expect(200);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    advance(&server, 61_000);
    for object in ["0-0", "1-100", "3-249"] {
        assert_eq!(run(&server, object, json!([get("alarms")])), json!([1]), "{object}");
    }
    assert_eq!(server.lines_with("alarm of ").len(), 1000);
}

#[test]
fn what_an_object_lets_run_on_keeps_it_alive() {
    let server = objects();
    let sink = Sink::start();
    let later = json!([{ "op": "later", "ms": 50, "url": sink.url() }]);
    let _ = run(&server, "a", later);
    server.wait_for_line("later: Ok(())");
    eventually("the request leaves", || (sink.seen().len() == 1).then_some(()));
    assert_eq!(run(&server, "a", json!([get("later"), { "op": "events" }])), json!([true, 2]));
}

#[test]
fn an_object_that_has_nothing_to_do_goes_and_comes_back() {
    let server = objects();
    let _ = run(&server, "a", json!([increment("n")]));
    // More objects than live at a time: the one that was idle for longest goes.
    for n in 0..300 {
        let _ = run(&server, &format!("other-{n}"), json!([increment("n")]));
    }
    assert_eq!(run(&server, "a", json!([increment("n"), { "op": "events" }])), json!([2, 1]));
}

// rules: S7, S37
#[test]
fn an_object_starts_and_steers_instances() {
    let server = objects();
    let started = run(&server, "a", json!([{ "op": "workflow", "id": "w", "params": { "n": 7 } }]));
    assert_eq!(started, json!(["w"]));
    let status = json!([{ "op": "workflow_status", "id": "w" }]);
    eventually("the instance ends", || {
        (run(&server, "a", status.clone()) == json!([{ "output": { "n": 7 } }])).then_some(())
    });
    let again = run(&server, "a", json!([{ "op": "workflow", "id": "w", "catch": true }]));
    assert_eq!(again[0]["code"], "instance.already_exists");
}

#[test]
fn objects_ask_each_other_and_an_endless_chain_ends() {
    let server = objects();
    let ask = |name: &str, operations: Value| json!([{ "op": "object", "binding": "KEEPER", "name": name, "do": operations }]);
    assert_eq!(run(&server, "a", ask("b", ask("c", json!([increment("n")])))), json!([[[1]]]));
    let mut chain = json!([increment("n")]);
    for n in 0..40 {
        chain = ask(&format!("link-{n}"), chain);
    }
    assert!(fails(&server, "a", chain).starts_with("Subrequest depth limit exceeded"));
}

#[test]
fn a_class_that_is_not_there_is_one_error_that_lists_what_is() {
    let bindings = json!({ "bindings": [{ "name": "K", "class_name": "Kepper" }] });
    let migrations = json!([{ "tag": "v1", "new_sqlite_classes": ["Kepper"] }]);
    let dev = Dev::guest("objects").config(json!({ "durable_objects": bindings, "migrations": migrations }));
    dev.refused().assert_one_error(&[
        "binding `K` is of the Durable Object class `Kepper`, which the Worker does not export",
        "did you mean `Keeper`? It exports `Keeper`, `Tabled`, `Unmade`",
    ]);
}

fn worker(name: &str, config: &Value) -> Dev {
    let mut config = config.clone();
    config["name"] = json!(name);
    config["vars"] = json!({ "NAME": name });
    config["workflows"] = json!([]);
    Dev::guest("objects").config(config)
}

#[test]
fn a_worker_asks_another_through_a_service_binding() {
    let shop = worker("shop", &json!({ "services": [{ "binding": "AUTH", "service": "auth" }] }));
    let auth = worker("auth", &json!({ "services": [{ "binding": "AUTH", "service": "auth" }] }));
    let server = shop.beside(auth).start();
    let answer = server.get("/service/AUTH/whoami?x=1").expect(200).json();
    assert_eq!(answer, json!({ "worker": "auth", "url": "https://inside.test/whoami?x=1", "route": null }));
    let _ = server.get("/service/AUTH/nothing").expect(404);
}

#[test]
fn a_worker_reaches_anothers_objects() {
    let binding = |script: Option<&str>| {
        let mut binding = json!({ "name": "KEEPER", "class_name": "Keeper" });
        if let Some(script) = script {
            binding["script_name"] = json!(script);
        }
        json!({ "durable_objects": { "bindings": [binding] } })
    };
    let rooms = worker("rooms", &binding(None));
    let server = worker("shop", &binding(Some("rooms"))).beside(rooms).start();
    assert_eq!(run(&server, "a", json!([increment("n")])), json!([1]));
    drop(server);
    let server = worker("shop", &binding(Some("rooms"))).start();
    server.wait_for_line("which is not in this session: add it with `-c`");
    let error = server.post("/run/KEEPER/a", json!([])).expect(500).json()["error"].clone();
    assert!(error.as_str().unwrap().contains("is of the Worker `rooms`, which is not in this session"), "{error}");
}

#[test]
fn objects_in_memory_are_kept_while_the_server_runs() {
    let server = Dev::guest("objects").args(["--ephemeral"]).start();
    for n in 0..300 {
        let _ = run(&server, &format!("{n}"), json!([increment("n")]));
    }
    assert_eq!(run(&server, "0", json!([increment("n"), { "op": "events" }])), json!([2, 1]));
    assert!(!Path::new("objects").exists());
}
