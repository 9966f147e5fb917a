//! KV: values by their key, through restarts, kills and time.

use miniflow_tests::{Dev, Server, Sink, eventually};
use serde_json::{Value, json};

fn kv() -> Server {
    Dev::guest("kv").start()
}

/// Does operations; their results.
#[track_caller]
fn run(server: &Server, operations: Value) -> Value {
    server.post("/run", operations).expect(200).json()
}

/// What comes of one operation that is refused: its text and code.
#[track_caller]
fn refused(server: &Server, operation: &Value) -> (String, String) {
    let answer = server.post("/run", json!([operation])).expect(400).json();
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    (text("error"), text("code"))
}

fn put(key: &str, value: impl Into<Value>) -> Value {
    json!({ "op": "put", "key": key, "value": value.into() })
}

fn get(key: &str) -> Value {
    json!({ "op": "get", "key": key })
}

fn advance(server: &Server, minutes: u64) {
    let _ = server.post("/cdn-cgi/local/miniflow/time", json!({ "advance": minutes * 60_000 })).expect(200);
}

#[test]
fn a_value_is_read_in_every_way_with_its_metadata() {
    let server = kv();
    let read = |key: &str, way: &str| json!({ "op": "get", "key": key, "as": way });
    let results = run(
        &server,
        json!([
            put("text", "käse"),
            json!({ "op": "put", "key": "json", "value": { "n": [1, null] }, "metadata": { "by": "me" } }),
            json!({ "op": "put_bytes", "key": "bytes", "value": [0, 255] }),
            get("text"),
            read("text", "bytes"),
            read("json", "json"),
            read("json", "text"),
            read("json", "text_with_metadata"),
            read("json", "json_with_metadata"),
            read("bytes", "bytes_with_metadata"),
            read("none", "json"),
            read("none", "text_with_metadata"),
            json!({ "op": "get", "key": "text", "as": "number", "catch": true }),
        ]),
    );
    let expected = json!([
        null,
        null,
        null,
        "käse",
        "käse".as_bytes(),
        { "n": [1, null] },
        "{\"n\":[1,null]}",
        ["{\"n\":[1,null]}", { "by": "me" }],
        [{ "n": [1, null] }, { "by": "me" }],
        [[0, 255], null],
        null,
        [null, null],
        { "error": "expected value at line 1 column 1", "code": null },
    ]);
    assert_eq!(results, expected);
}

#[test]
fn several_are_read_together() {
    let server = kv();
    let bulk = |way: &str| json!({ "op": "get_bulk", "keys": ["a", "none", "b"], "as": way });
    let results = run(
        &server,
        json!([
            put("a", 1),
            json!({ "op": "put", "key": "b", "value": 2, "metadata": 3 }),
            bulk("text"),
            bulk("json"),
            bulk("text_with_metadata")
        ]),
    );
    let expected = json!([
        null,
        null,
        { "a": "1", "none": null, "b": "2" },
        { "a": 1, "none": null, "b": 2 },
        { "a": ["1", null], "none": [null, null], "b": ["2", 3] },
    ]);
    assert_eq!(results, expected);
}

#[test]
fn keys_are_listed_in_order_page_by_page() {
    let server = kv();
    let puts: Vec<_> = ["b/2", "a", "b/1", "c", "b/3"].iter().map(|key| put(key, *key)).collect();
    run(&server, puts.into());
    let list = |more: Value| {
        let mut list = json!({ "op": "list" });
        list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run(&server, json!([list]))[0].clone()
    };
    let names =
        |page: &Value| page["keys"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect::<Vec<_>>();
    let all = list(json!({}));
    assert_eq!(
        (names(&all), &all["list_complete"], &all["cursor"]),
        (vec![json!("a"), json!("b/1"), json!("b/2"), json!("b/3"), json!("c")], &json!(true), &Value::Null)
    );
    let first = list(json!({ "prefix": "b/", "limit": 2 }));
    assert_eq!((names(&first), &first["list_complete"]), (vec![json!("b/1"), json!("b/2")], &json!(false)));
    let rest = list(json!({ "prefix": "b/", "limit": 2, "cursor": first["cursor"] }));
    assert_eq!((names(&rest), &rest["list_complete"]), (vec![json!("b/3")], &json!(true)));
    assert_eq!(rest["keys"][0], json!({ "name": "b/3", "expiration": null, "metadata": null }));
}

#[test]
fn an_entry_expires_by_the_clock_and_no_sooner_after_a_restart() {
    let dev = Dev::guest("kv").args(["--time", "manual"]);
    let server = dev.start();
    run(
        &server,
        json!([json!({ "op": "put", "key": "k", "value": "v", "ttl": 3600, "metadata": 1 }), put("stays", 1)]),
    );
    let listed = run(&server, json!([json!({ "op": "list" })]))[0]["keys"].clone();
    assert!(listed[0]["expiration"].as_u64().unwrap() > 3600, "{listed}");
    assert_eq!(listed[0]["metadata"], 1);
    advance(&server, 59);
    drop(server);
    let server = dev.start();
    assert_eq!(run(&server, json!([get("k")])), json!(["v"]));
    advance(&server, 1);
    assert_eq!(run(&server, json!([get("k"), get("stays")])), json!([null, "1"]));
    assert_eq!(run(&server, json!([json!({ "op": "list" })]))[0]["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn what_was_answered_is_there_after_a_kill() {
    let dev = Dev::guest("kv");
    let server = dev.start();
    run(&server, json!([put("gone", 1), put("changed", 1)]));
    for n in 0..50 {
        run(&server, json!([put(&format!("k{n}"), n), put("changed", n)]));
    }
    run(&server, json!([json!({ "op": "delete", "key": "gone" })]));
    server.kill();
    let server = dev.start();
    let listed = run(&server, json!([json!({ "op": "list", "prefix": "k" }), get("changed"), get("gone")]));
    assert_eq!(listed[0]["keys"].as_array().unwrap().len(), 50);
    assert_eq!((&listed[1], &listed[2]), (&json!("49"), &Value::Null));
}

#[test]
fn in_memory_nothing_is_kept() {
    let dev = Dev::guest("kv").args(["--ephemeral"]);
    let server = dev.start();
    assert_eq!(run(&server, json!([put("k", 1), get("k")])), json!([null, "1"]));
    drop(server);
    assert!(!dev.state().join("kv.sqlite").exists());
    assert_eq!(run(&dev.start(), json!([get("k")])), json!([null]));
}

#[test]
fn what_may_not_be_asked_is_told_in_the_platforms_words() {
    let server = kv();
    let key = |op: &str, key: &str| json!({ "op": op, "key": key });
    let long = |op: &str| json!({ "op": op, "key_size": 513 });
    let with = |name: &str, value: u64| json!({ "op": "put", "key": "k", "value": 1, name: value });
    let bulk = |keys: Vec<&str>| json!({ "op": "get_bulk", "keys": keys });
    for (operation, code, text) in [
        (key("get", ""), "kv.invalid_key", "Key name cannot be empty."),
        (key("put", "."), "kv.invalid_key", "\".\" is not allowed as a key name."),
        (key("delete", ".."), "kv.invalid_key", "\"..\" is not allowed as a key name."),
        (
            long("get"),
            "kv.invalid_key",
            "KV GET failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.",
        ),
        (
            long("put"),
            "kv.invalid_key",
            "KV PUT failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.",
        ),
        (
            long("delete"),
            "kv.invalid_key",
            "KV DELETE failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.",
        ),
        (
            json!({ "op": "put", "key": "k", "value_size": 25 * 1024 * 1024 + 1 }),
            "kv.value_too_large",
            "KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.",
        ),
        (
            // With its quotes.
            with("metadata_size", 1023),
            "kv.invalid_metadata",
            "KV PUT failed: 413 Metadata length of 1025 exceeds limit of 1024.",
        ),
        (
            with("ttl", 0),
            "kv.invalid_expiration",
            "KV PUT failed: 400 Invalid expiration_ttl of 0. Please specify integer greater than 0.",
        ),
        (
            with("ttl", 59),
            "kv.invalid_expiration",
            "KV PUT failed: 400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60.",
        ),
        (
            with("expiration", 1000),
            "kv.invalid_expiration",
            "KV PUT failed: 400 Invalid expiration of 1000. Please specify integer greater than the current number of seconds since the UNIX epoch.",
        ),
        (
            json!({ "op": "get", "key": "k", "cache_ttl": 29 }),
            "kv.invalid_cache_ttl",
            "KV GET failed: 400 Invalid cache_ttl of 29. Cache TTL must be at least 30.",
        ),
        (
            json!({ "op": "list", "limit": 1001 }),
            "kv.invalid_limit",
            "KV GET failed: 400 Invalid key_count_limit of 1001. Please specify an integer less than 1000.",
        ),
        (
            json!({ "op": "list", "prefix_size": 513 }),
            "kv.invalid_key",
            "KV GET failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.",
        ),
        (
            json!({ "op": "list", "cursor": "mine" }),
            "kv.invalid_cursor",
            "KV GET failed: 400 Invalid cursor. Please pass the one that an earlier list gave.",
        ),
        (bulk(vec![]), "kv.invalid_bulk", "KV GET_BULK failed: 400 You must request a minimum of 1 key"),
        (bulk(vec!["k"; 101]), "kv.invalid_bulk", "KV GET_BULK failed: 400 You can request a maximum of 100 keys"),
        (bulk(vec!["k", "."]), "kv.invalid_key", "KV GET_BULK failed: 400 Key name . is not legal"),
    ] {
        assert_eq!(refused(&server, &operation), (text.to_owned(), code.to_owned()));
    }
    assert_eq!(run(&server, json!([json!({ "op": "list" })]))[0]["keys"], json!([]), "nothing was written");
}

#[test]
fn a_value_of_25_mib_is_kept() {
    let server = kv();
    let size = 25 * 1024 * 1024;
    let results = run(
        &server,
        json!([{ "op": "put", "key": "k", "value_size": size }, { "op": "get", "key": "k", "as": "size" }]),
    );
    assert_eq!(results, json!([null, size]));
}

#[test]
fn a_worker_reaches_the_namespaces_that_it_binds_and_no_other() {
    let server = kv();
    let from = |name: &str| refused(&server, &json!({ "op": "get", "in": name, "key": "k" })).0;
    assert_eq!(from("first"), "no KV namespace `first` is bound: there is `KV`, `OTHER`", "its id");
    assert_eq!(from("Q"), "`Q` is bound as a queue, not as a KV namespace");
    let results = run(&server, json!([put("k", 1), { "op": "get", "in": "OTHER", "key": "k" }]));
    assert_eq!(results, json!([null, null]), "another namespace");
    let server = Dev::guest("kv").config(json!({})).start();
    let none = refused(&server, &get("k")).0;
    assert_eq!(none, "no KV namespace `KV` is bound: the configuration binds no KV namespace at all");
}

#[test]
fn workers_that_bind_one_id_share_what_is_in_it() {
    let namespaces = |id: &str| json!({ "kv_namespaces": [{ "binding": "KV", "id": id, "preview_id": "shared" }] });
    let with = |name: &str, mut config: Value| {
        config["name"] = json!(name);
        Dev::guest("kv").config(config)
    };
    let front = {
        let mut config = namespaces("mine");
        config["services"] = json!([{ "binding": "BACK", "service": "back" }]);
        with("front", config)
    };
    let server = front.beside(with("back", namespaces("yours"))).start();
    assert!(server.log().contains("KV namespace  shared"), "{}", server.log());
    run(&server, json!([put("k", "from the front")]));
    let answer = server.post("/service/BACK", json!([get("k")])).expect(200).json();
    assert_eq!(answer, json!(["from the front"]));
}

#[test]
fn a_step_uses_it_and_what_it_did_is_not_done_again() {
    let dev = Dev::guest("kv");
    let (server, sink) = (dev.start(), Sink::start());
    let operations = json!([put("from a step", 7), get("from a step"), { "op": "tell", "url": sink.url() }]);
    let _ = server.post("/workflow?id=a", operations).expect(200);
    let output = |server: &Server| {
        eventually("the instance is complete", || {
            let status = server.get("/status?id=a").expect(200).json();
            (status["status"] == "complete").then(|| status["output"].clone())
        })
    };
    assert_eq!(output(&server), json!([null, "7", null]));
    run(&server, json!([put("from a step", 8)]));
    server.kill();
    let server = dev.start();
    assert_eq!(output(&server), json!([null, "7", null]));
    assert_eq!(run(&server, json!([get("from a step")])), json!(["8"]));
    assert_eq!(sink.seen().len(), 1);
}

#[test]
fn a_cron_handler_uses_it() {
    let server = kv();
    let _ = server.get("/cdn-cgi/local/scheduled?cron=put+k&time=1786599900000").expect(200);
    assert_eq!(run(&server, json!([{ "op": "get", "key": "k", "as": "json" }])), json!([1_786_599_900_000.0]));
}

/// The object writes what cannot be kept, which shows when it is to be: before anything comes of it.
#[test]
fn nothing_comes_of_an_object_before_what_it_wrote_is_kept() {
    let server = kv();
    let sql = |query: &str| json!({ "op": "sql", "query": query });
    let object = |operations: Value| server.post("/object/a", operations);
    let tables = json!([
        sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)"),
        sql("CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"),
    ]);
    let _ = object(tables).expect(200);
    let effects = [put("k", 1), json!({ "op": "send", "value": 1 })];
    let seen = || run(&server, json!([get("k"), { "op": "queued" }]));
    for effect in &effects {
        let _ = object(json!([sql("INSERT INTO child VALUES (7)"), effect])).expect(400);
        assert_eq!(seen(), json!([null, 0]), "{effect}");
    }
    let _ = object(json!([sql("INSERT INTO child VALUES (NULL)"), effects[0], effects[1]])).expect(200);
    assert_eq!(seen(), json!(["1", 1]));
}
