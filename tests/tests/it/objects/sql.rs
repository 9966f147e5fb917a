//! SQL of an object: values of every type, and what a cursor is.

use serde_json::{Value, json};

use super::{fails, objects, run};

fn sql(query: &str, bindings: impl Into<Value>) -> Value {
    let bindings: Value = bindings.into();
    json!({ "op": "sql", "query": query, "bindings": bindings })
}

#[test]
fn a_value_of_each_type_comes_back_as_it_was() {
    let server = objects();
    let large = 0x8000_0000_0000_0000_u64;
    for (value, kind, back) in [
        (json!(null), "null", json!(null)),
        (json!(true), "integer", json!(1)),
        (json!(false), "integer", json!(0)),
        (json!(0), "integer", json!(0)),
        (json!(i64::MAX), "integer", json!(i64::MAX)),
        (json!(i64::MIN), "integer", json!(i64::MIN)),
        (json!(9_007_199_254_740_993_i64), "integer", json!(9_007_199_254_740_993_i64)),
        // No integer of SQLite's.
        (json!(large), "real", json!(9.223_372_036_854_776e18)),
        (json!(0.1), "real", json!(0.1)),
        (json!(f64::MAX), "real", json!(f64::MAX)),
        (json!(f64::MIN_POSITIVE), "real", json!(f64::MIN_POSITIVE)),
        (json!(""), "text", json!("")),
        (json!("ä\u{0}\u{1F600}'\""), "text", json!("ä\u{0}\u{1F600}'\"")),
        (json!([]), "blob", json!([])),
        (json!([0, 255]), "blob", json!([0, 255])),
    ] {
        let stored = run(
            &server,
            "a",
            json!([
                sql("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v)", json!([])),
                sql("INSERT INTO t (v) VALUES (?)", json!([value])),
                sql("SELECT typeof(v) AS kind, v, ? AS same FROM t ORDER BY id DESC LIMIT 1", json!([value])),
            ]),
        );
        let row = &stored[2]["rows"][0];
        assert_eq!((&row["kind"], &row["v"], &row["same"]), (&json!(kind), &back, &back), "{value}");
    }
}

#[test]
fn a_cursor_is_read_once_and_knows_what_the_query_found() {
    let server = objects();
    let fill = "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3), (4)";
    let cursor = json!({
        "op": "cursor", "query": "SELECT x FROM t ORDER BY x", "between": "DELETE FROM t",
    });
    let read = run(&server, "a", json!([sql(fill, json!([])), cursor, sql("SELECT count(*) AS n FROM t", json!([]))]));
    let expected = json!({
        "first": { "x": 1 },
        "raw": "[Integer(2)]",
        // Of the moment of the query, whatever is written after it.
        "rest": [{ "x": 3 }, { "x": 4 }],
        "again": [],
        "one": "Expected exactly one result from SQL query, but got no results.",
        "read": 4,
    });
    assert_eq!((&read[1], &read[2]["rows"]), (&expected, &json!([{ "n": 0 }])));
}

#[test]
fn of_several_statements_the_last_one_answers_and_takes_the_parameters() {
    let server = objects();
    let many = "CREATE TABLE t (x, y); INSERT INTO t VALUES (1, 2); INSERT INTO t VALUES (?, ?) RETURNING x, y AS z";
    let answer =
        run(&server, "a", json!([sql(many, json!(["a", null])), sql("SELECT count(*) AS n FROM t", json!([]))]));
    assert_eq!((&answer[0]["columns"], &answer[0]["rows"]), (&json!(["x", "z"]), &json!([{ "x": "a", "z": null }])));
    assert_eq!(answer[1]["rows"], json!([{ "n": 2 }]));
    // Each stands by itself: one that fails takes nothing back.
    let half = "INSERT INTO t VALUES (5, 6); INSERT INTO nowhere VALUES (1)";
    assert!(fails(&server, "a", json!([sql(half, json!([]))])).starts_with("no such table: nowhere"));
    assert_eq!(
        run(&server, "a", json!([sql("SELECT count(*) AS n FROM t", json!([]))]))[0]["rows"],
        json!([{ "n": 3 }])
    );
}
