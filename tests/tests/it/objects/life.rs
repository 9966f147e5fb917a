//! How objects end, and what they find when they are there again.

#[cfg(target_os = "linux")]
use miniflow_tests::{Server, eventually};
use serde_json::json;

use super::{advance, fails, get, increment, manual, objects, run};

/// The databases of objects that are open.
#[cfg(target_os = "linux")]
fn open_databases(server: &Server) -> usize {
    let is_database = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "sqlite");
    let of_objects = |path: &std::path::PathBuf| path.components().any(|part| part.as_os_str() == "Keeper");
    server.open_files().iter().filter(|path| is_database(path) && of_objects(path)).count()
}

#[cfg(target_os = "linux")]
#[test]
fn an_object_without_events_is_put_away_and_made_anew_from_its_storage() {
    let server = objects();
    let made = || server.get("/at/TABLED/a/").expect(200).json()["made"].clone();
    let sql = |query: &str| json!({ "op": "sql", "query": query });
    let first = run(&server, "a", json!([increment("n"), sql("CREATE TABLE t (x)"), sql("INSERT INTO t VALUES (7)")]));
    assert_eq!((first[0].clone(), made()), (json!(1), json!(1)));
    eventually("it lives", || {
        let _ = run(&server, "a", json!([get("n")]));
        (open_databases(&server) == 1).then_some(())
    });
    // Ten seconds of the machine's: what lives costs memory, however the session's clock is moved.
    eventually("it is put away", || (open_databases(&server) == 0).then_some(()));
    let after =
        run(&server, "a", json!([{ "op": "events" }, increment("n"), { "op": "sql_one", "query": "SELECT x FROM t" }]));
    assert_eq!(after, json!([1, 2, { "x": 7 }]), "memory is gone, storage is not");
    assert_eq!(made(), 2, "the constructor has run again");
}

#[test]
fn what_is_deleted_whole_is_gone_with_its_tables_and_its_alarm() {
    let server = manual().start();
    let sql = |query: &str| json!({ "op": "sql", "query": query });
    let on_alarm = json!({ "op": "put", "key": "on alarm", "value": [increment("alarms")] });
    let full = json!([on_alarm, increment("n"), sql("CREATE TABLE t (x)"), { "op": "set_alarm", "ms": 1_000 }]);
    let _ = run(&server, "a", full.clone());
    let emptied = run(
        &server,
        "a",
        json!([
            { "op": "delete_all" },
            { "op": "list" },
            { "op": "get_alarm" },
            { "op": "sql", "query": "SELECT * FROM t", "catch": true },
        ]),
    );
    assert_eq!((&emptied[1], &emptied[2]), (&json!([]), &json!(null)));
    assert_eq!(emptied[3]["error"], "no such table: t: SQLITE_ERROR");
    advance(&server, 60_000);
    assert_eq!(run(&server, "a", json!([{ "op": "list" }])), json!([[]]), "its alarm has not gone off");
    // Taken back with the transaction that it is part of.
    let _ = run(&server, "a", full);
    let undone = json!([{ "op": "transaction", "do": [{ "op": "delete_all" }, { "op": "list" }], "rollback": true }]);
    assert_eq!(run(&server, "a", undone), json!([[null, []]]));
    advance(&server, 1_000);
    assert_eq!(run(&server, "a", json!([get("n"), get("alarms")])), json!([1, 1]));
}

#[test]
fn a_transaction_that_fails_takes_back_tables_and_the_alarm_too() {
    let server = manual().start();
    let sql = |query: &str| json!({ "op": "sql", "query": query });
    let on_alarm = json!({ "op": "put", "key": "on alarm", "value": [increment("alarms")] });
    let _ = run(&server, "a", json!([on_alarm, { "op": "set_alarm", "ms": 5_000 }]));
    let cut = json!([
        { "op": "set_alarm", "ms": 1_000 }, sql("CREATE TABLE t (x)"), { "op": "fail", "message": "no luck" },
    ]);
    assert_eq!(fails(&server, "a", json!([{ "op": "transaction", "do": cut }])), "no luck");
    assert!(fails(&server, "a", json!([sql("SELECT * FROM t")])).starts_with("no such table: t"));
    advance(&server, 4_999);
    assert_eq!(run(&server, "a", json!([get("alarms")])), json!([null]));
    advance(&server, 1);
    assert_eq!(run(&server, "a", json!([get("alarms")])), json!([1]), "the one before is set again");
}
