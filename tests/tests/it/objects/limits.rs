//! What an object, and whoever asks for one, may not do: refused in words, and nothing else is lost with it.

use http::Request;
use http_body_util::{BodyExt as _, Empty};
use miniflow_tests::Server;
use serde_json::{Value, json};

use super::{fails, get, increment, objects, run};

#[test]
fn an_id_that_is_none_is_refused_and_a_good_one_may_be_written_large() {
    let server = objects();
    let id = server.get("/ids/KEEPER?name=a").expect(200).json()["named"].as_str().unwrap().to_owned();
    let by_id = |id: &str| server.post(&format!("/run-id/KEEPER/{id}"), json!([increment("n")]));
    assert_eq!(by_id(&id).expect(200).json(), json!([1]));
    assert_eq!(by_id(&id.to_uppercase()).expect(200).json(), json!([2]));
    let (not_hex, foreign) =
        ("Invalid Durable Object ID: must be 64 hex digits", "Durable Object ID is not valid for this namespace.");
    let other = if id.ends_with('0') { "1" } else { "0" };
    for (wrong, why) in [
        (String::new(), not_hex),
        ("a".to_owned(), not_hex),
        (id[..63].to_owned(), not_hex),
        (format!("{id}0"), not_hex),
        (format!("{}g", &id[..63]), not_hex),
        (format!("{}%C3%A4", &id[..62]), not_hex),
        (format!("{}{other}", &id[..63]), foreign),
        ("0".repeat(64), foreign),
    ] {
        let error = by_id(&wrong).expect(500).json();
        assert_eq!((&error["error"], &error["code"]), (&json!(why), &json!("object.invalid_id")), "`{wrong}`");
    }
}

#[test]
fn entries_have_sizes_and_calls_have_numbers() {
    let server = objects();
    let key = |length: usize| "k".repeat(length);
    let put = |length: usize| json!({ "op": "put", "key": key(length), "value": 1 });
    let delete = |length: usize| json!({ "op": "delete", "key": key(length) });
    let kept = run(&server, "a", json!([put(2048), get(&key(2048)), delete(2048), put(0), get("")]));
    assert_eq!(kept, json!([null, 1, true, null, 1]), "an empty key is one too");
    let too_long = "Keys cannot be larger than 2048 bytes. A key of size 2049 was provided.";
    for operation in [put(2049), get(&key(2049)), delete(2049), get(&"ä".repeat(1025).replacen('ä', "k", 1))] {
        assert_eq!(fails(&server, "a", json!([operation])), too_long);
    }

    // A text of JSON has two quotes, and its key has one byte.
    let large = |size: usize| json!({ "op": "put_large", "key": "k", "size": size });
    let _ = run(&server, "a", json!([large(2_097_149)]));
    let error = fails(&server, "a", json!([large(2_097_150)]));
    assert_eq!(
        error,
        "Keys and values cannot be larger than 2097152 bytes together. `k` and its value are 2097153 bytes."
    );

    let keys = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let entries = |count: usize| Value::from_iter(keys(count).into_iter().map(|key| (key, json!(1))));
    let many = |count: usize| {
        [
            json!({ "op": "put_multiple", "entries": entries(count) }),
            json!({ "op": "get_multiple", "keys": keys(count) }),
            json!({ "op": "delete_multiple", "keys": keys(count) }),
        ]
    };
    let results = run(&server, "a", json!(many(128)));
    assert_eq!((results[1].as_array().map(Vec::len), &results[2]), (Some(128), &json!(128)));
    for operation in many(129) {
        let error = fails(&server, "a", json!([operation]));
        assert_eq!(error, "Maximum number of keys is 128. 129 were provided.");
    }
}

#[test]
fn a_list_that_contradicts_itself_is_refused() {
    let server = objects();
    let list = |options: Value| {
        let mut operation = options;
        operation["op"] = json!("list");
        json!([operation])
    };
    let _ = run(&server, "a", json!([{ "op": "put_multiple", "entries": { "a": 1, "ab": 2, "b": 3, "c": 4 } }]));
    for (options, why) in [
        (json!({ "start": "a", "start_after": "a" }), "list() cannot be called with both start and startAfter values."),
        (json!({ "limit": 0 }), "List limit must be positive."),
    ] {
        assert_eq!(fails(&server, "a", list(options)), why);
    }
    for (options, keys) in [
        (json!({ "prefix": "a", "reverse": true }), &["ab", "a"][..]),
        (json!({ "prefix": "a", "start_after": "a" }), &["ab"]),
        (json!({ "prefix": "a", "start": "b" }), &[]),
        (json!({ "start": "b", "end": "a" }), &[]),
        (json!({ "end": "b", "reverse": true, "limit": 1 }), &["ab"]),
        (json!({ "start": "ab", "end": "c", "limit": 9 }), &["ab", "b"]),
    ] {
        let found = run(&server, "a", list(options.clone()));
        let found: Vec<_> = found[0].as_array().unwrap().iter().map(|entry| entry[0].as_str().unwrap()).collect();
        assert_eq!(found, keys, "{options}");
    }
}

#[test]
fn sql_that_cannot_be_done_is_an_error_in_sqlites_words() {
    let server = objects();
    let sql = |query: &str, bindings: Value| json!({ "op": "sql", "query": query, "bindings": bindings });
    let _ = run(
        &server,
        "a",
        json!([sql("CREATE TABLE t (x UNIQUE)", json!([])), sql("INSERT INTO t VALUES (1)", json!([]))]),
    );
    let long = |length: usize| format!("SELECT 1 --{}", "x".repeat(length - 11));
    let marks = vec!["?"; 101].join(",");
    for (query, bindings, why) in [
        ("SELEC 1", json!([]), "near \"SELEC\": syntax error"),
        ("SELECT * FROM nowhere", json!([]), "no such table: nowhere: SQLITE_ERROR"),
        ("INSERT INTO t VALUES (1)", json!([]), "UNIQUE constraint failed: t.x: SQLITE_CONSTRAINT"),
        ("", json!([]), "SQL code did not contain a statement."),
        ("SELECT ?", json!([]), "Wrong number of parameter bindings for SQL query"),
        ("SELECT 1", json!([1]), "Wrong number of parameter bindings for SQL query"),
        ("PRAGMA journal_mode = DELETE", json!([]), "not authorized"),
        ("BEGIN TRANSACTION", json!([]), "To execute a transaction"),
        (
            "SELECT 'a' LIKE 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
            json!([]),
            "LIKE or GLOB pattern too complex",
        ),
        (&format!("SELECT max({marks})"), json!(vec![1; 101]), "too many SQL variables"),
        (&long(100_001), json!([]), "A query cannot be larger than 100000 bytes. A query of size 100001 was provided."),
    ] {
        let error = fails(&server, "a", json!([sql(query, bindings)]));
        assert!(error.starts_with(why), "{query}: {error}");
    }
    let fine = run(&server, "a", json!([sql(&long(100_000), json!([])), sql("SELECT x FROM t", json!([]))]));
    assert_eq!(fine[1]["rows"], json!([{ "x": 1 }]), "nothing else is lost with it");
}

/// A request that a client makes for a WebSocket.
fn ask_for_websocket(server: &Server, path: &str) -> miniflow_tests::Answer {
    let request = Request::builder()
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    server.client().request(path, request.body(Empty::new().boxed()).unwrap()).unwrap()
}

#[test]
fn a_websocket_is_refused_by_name_from_a_client_and_from_a_worker() {
    let server = objects();
    let answer = ask_for_websocket(&server, "/at/KEEPER/a/chat").expect(501).text();
    assert!(
        answer.starts_with("`/at/KEEPER/a/chat` was asked for a WebSocket.\nWebSockets are not run by"),
        "{answer}"
    );
    server.wait_for_line("`/at/KEEPER/a/chat` was asked for a WebSocket, which is not run yet");
    let refused = server.get("/websocket/KEEPER/a").expect(500).json()["error"].clone();
    assert_eq!(refused, "cannot fetch `http://inside.test/`: WebSockets are not run yet");
    assert_eq!(run(&server, "a", json!([{ "op": "events" }])), json!([1]), "the object was not asked");
}
