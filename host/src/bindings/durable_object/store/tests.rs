mod laws;

use super::*;

fn database() -> Database {
    Database::open(None, Durability::Normal).unwrap()
}

fn nobody(_: Option<Timestamp>) -> Result<(), StorageError> {
    Ok(())
}

fn entry(key: &str, value: &str) -> (String, Vec<u8>) {
    (key.to_owned(), value.into())
}

fn keys(database: &Database, range: &Range) -> Vec<String> {
    database.list(range).unwrap().into_iter().map(|(key, _)| key).collect()
}

fn all(database: &Database) -> Vec<String> {
    keys(database, &Range::default())
}

fn error(database: &mut Database, query: &str) -> String {
    database.exec(query, &[]).unwrap_err().to_string()
}

fn number(database: &mut Database, query: &str) -> i64 {
    match database.exec(query, &[]).unwrap().rows[0][0] {
        Value::Integer(value) => value,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn entries_are_found_in_the_order_of_their_keys() {
    let mut database = database();
    database.put(&[entry("b", "2"), entry("a", "1"), entry("\u{e9}", "3"), entry("b", "4")]).unwrap();
    assert_eq!(all(&database), ["a", "b", "\u{e9}"]);
    let found = database.get(&["z".to_owned(), "b".to_owned(), "a".to_owned(), "a".to_owned()]).unwrap();
    assert_eq!(found, [entry("a", "1"), entry("b", "4")]);
    assert_eq!(database.delete(&["a".to_owned(), "z".to_owned()]).unwrap(), 1);
    assert_eq!(all(&database), ["b", "\u{e9}"]);
}

#[test]
fn a_range_has_a_beginning_an_end_a_direction_and_a_limit() {
    let mut database = database();
    let entries: Vec<_> = ["a", "b", "c", "d"].iter().map(|key| entry(key, "")).collect();
    database.put(&entries).unwrap();
    let range = |from: &str, to: Option<&str>, reverse, limit| Range {
        from: from.to_owned(),
        to: to.map(ToOwned::to_owned),
        reverse,
        limit,
    };
    assert_eq!(keys(&database, &range("b", Some("d"), false, None)), ["b", "c"]);
    assert_eq!(keys(&database, &range("b", None, true, Some(2))), ["d", "c"]);
    assert_eq!(keys(&database, &range("", Some("c"), true, None)), ["b", "a"]);
    assert_eq!(keys(&database, &range("a\0", None, false, Some(1))), ["b"]);
}

#[test]
fn what_is_not_committed_is_not_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    let open = || Database::open(Some(&path), Durability::Normal).unwrap();
    let mut database = open();
    database.put(&[entry("a", "1")]).unwrap();
    database.exec("CREATE TABLE t (x); INSERT INTO t VALUES (1)", &[]).unwrap();
    database.commit(nobody).unwrap();
    database.put(&[entry("b", "2")]).unwrap();
    database.exec("INSERT INTO t VALUES (2)", &[]).unwrap();
    database.set_alarm(Some(Timestamp(5))).unwrap();
    drop(database);
    let mut database = open();
    assert_eq!(all(&database), ["a"]);
    assert_eq!(number(&mut database, "SELECT count(*) FROM t"), 1);
    assert_eq!(database.alarm().unwrap(), None);
}

#[test]
fn a_transaction_of_the_guests_is_taken_back_whole() {
    let mut database = database();
    database.put(&[entry("before", "")]).unwrap();
    database.begin(nobody).unwrap();
    assert_eq!(database.begin(nobody), Err(StorageError::NestedTransaction));
    database.put(&[entry("in it", "")]).unwrap();
    database.exec("CREATE TABLE t (x)", &[]).unwrap();
    database.set_alarm(Some(Timestamp(5))).unwrap();
    // Nothing is committed before its end.
    database.commit(nobody).unwrap();
    assert!(database.is_open());
    database.rollback().unwrap();
    assert_eq!((all(&database), database.alarm().unwrap()), (vec!["before".to_owned()], None));
    assert_eq!(error(&mut database, "SELECT * FROM t"), "no such table: t: SQLITE_ERROR");
    assert_eq!(database.rollback(), Err(StorageError::NoTransaction));
    assert_eq!(database.end(), Err(StorageError::NoTransaction));
}

#[test]
fn an_alarm_is_published_so_that_it_is_never_known_too_late() {
    let mut database = database();
    let mut commit = |at: Option<u64>| {
        database.set_alarm(at.map(Timestamp)).unwrap();
        let mut told = Vec::new();
        database
            .commit(|at| {
                told.push(at);
                Ok(())
            })
            .unwrap();
        told
    };
    assert_eq!(commit(Some(10)), [Some(Timestamp(10))]);
    assert_eq!(commit(Some(10)), []);
    assert_eq!(commit(Some(20)), [Some(Timestamp(20))]);
    assert_eq!(commit(None), [None]);
    // An earlier one that cannot be published is not committed.
    database.set_alarm(Some(Timestamp(7))).unwrap();
    let failed = StorageError::Failed("full".to_owned());
    assert_eq!(database.commit(|_| Err(failed.clone())), Err(failed.clone()));
    assert!(database.is_open());
    database.commit(nobody).unwrap();
    // A later one is committed by then.
    database.set_alarm(Some(Timestamp(9))).unwrap();
    assert!(database.commit(|_| Err(failed.clone())).is_err());
    assert!(!database.is_open());
}

#[test]
fn sql_takes_parameters_and_returns_the_rows_of_the_last_statement() {
    let mut database = database();
    let query = "CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB); INSERT INTO t (b) VALUES (?), (?)";
    let rows = database.exec(query, &[Value::Blob(vec![1]), Value::Null]).unwrap();
    assert_eq!((rows.rows.len(), rows.written), (0, 2));
    let rows =
        database.exec("SELECT id, b, 'x' AS text, 0.5 AS half FROM t WHERE id = ?", &[Value::Integer(1)]).unwrap();
    assert_eq!(rows.columns, ["id", "b", "text", "half"]);
    let expected = vec![Value::Integer(1), Value::Blob(vec![1]), Value::Text("x".into()), Value::Real(0.5)];
    assert_eq!((rows.rows, rows.written), (vec![expected], 0));
    let wrong = database.exec("SELECT ?", &[]).unwrap_err();
    assert_eq!(wrong, StorageError::Bindings { expected: 1, given: 0 });
    assert!(database.exec("SELECT 1", &[Value::Null]).is_err());
    assert_eq!(error(&mut database, " -- nothing"), "SQL code did not contain a statement.");
}

#[test]
fn sql_errors_are_sqlites() {
    let mut database = database();
    database.exec("CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)", &[]).unwrap();
    assert_eq!(error(&mut database, "INSERT INTO t VALUES (1)"), "UNIQUE constraint failed: t.x: SQLITE_CONSTRAINT");
    assert!(error(&mut database, "SELEC 1").starts_with("near \"SELEC\": syntax error"));
    // Nothing else is lost with it.
    assert_eq!(number(&mut database, "SELECT count(*) FROM t"), 1);
}

#[test]
fn sql_has_the_limits_of_the_platform() {
    let mut database = database();
    let list = |count: usize, each: &str| vec![each; count].join(", ");
    let columns = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
    let select = |count: usize| vec!["SELECT 1"; count].join(" UNION ALL ");
    for (allowed, refused, why) in [
        (
            format!("CREATE TABLE wide ({})", columns(100)),
            format!("CREATE TABLE wider ({})", columns(101)),
            "too many columns on wider",
        ),
        (
            format!("SELECT max({})", list(127, "1")),
            format!("SELECT max({})", list(128, "1")),
            "too many arguments on function max",
        ),
        (select(5), select(6), "too many terms in compound SELECT"),
        (
            format!("SELECT 1{}", "+1".repeat(99)),
            format!("SELECT 1{}", "+1".repeat(100)),
            "Expression tree is too large (maximum depth 100)",
        ),
        (
            format!("SELECT 'a' LIKE '{}'", "a".repeat(50)),
            format!("SELECT 'a' LIKE '{}'", "a".repeat(51)),
            "LIKE or GLOB pattern too complex",
        ),
        ("SELECT zeroblob(2200000)".to_owned(), "SELECT zeroblob(2200001)".to_owned(), "string or blob too big"),
    ] {
        database.exec(&allowed, &[]).unwrap_or_else(|error| panic!("{allowed}: {error}"));
        let error = error(&mut database, &refused);
        assert!(error.starts_with(why), "{refused}: {error}");
    }
    let parameters = |count: usize| vec![Value::Null; count];
    database.exec(&format!("SELECT max({})", list(100, "?")), &parameters(100)).unwrap();
    let error = database.exec(&format!("SELECT max({})", list(101, "?")), &parameters(101)).unwrap_err();
    assert!(error.to_string().starts_with("too many SQL variables"), "{error}");
}

#[test]
fn sql_does_not_leave_the_object() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside.sqlite");
    let mut database = database();
    let attach = format!("ATTACH '{}' AS other", outside.display());
    for query in [
        attach.as_str(),
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA writable_schema = ON",
        "SELECT load_extension('x')",
        "CREATE TEMP TABLE t (x)",
        "CREATE VIRTUAL TABLE t USING dbstat",
        "SELECT * FROM _cf_KV",
        "INSERT INTO _cf_METADATA VALUES (1, 1)",
        "DROP TABLE _cf_KV",
        "CREATE TABLE _cf_mine (x)",
        "CREATE VIEW v AS SELECT * FROM _CF_KV; SELECT * FROM v",
    ] {
        let error = error(&mut database, query);
        assert!(error.ends_with(": SQLITE_AUTH"), "{query}: {error}");
    }
    assert!(error(&mut database, "VACUUM").contains("cannot VACUUM"));
    assert!(error(&mut database, &format!("VACUUM INTO '{}'", outside.display())).contains("cannot VACUUM"));
    assert!(!outside.exists());
    for query in [
        "PRAGMA table_list",
        "PRAGMA defer_foreign_keys = ON",
        "CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('a b'); SELECT * FROM words('b')",
        "SELECT * FROM json_each('[1]')",
    ] {
        database.exec(query, &[]).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn foreign_keys_hold() {
    let mut database = database();
    database.exec("CREATE TABLE a (x PRIMARY KEY); CREATE TABLE b (y REFERENCES a)", &[]).unwrap();
    assert!(error(&mut database, "INSERT INTO b VALUES (1)").contains("FOREIGN KEY"));
}

#[test]
fn everything_can_be_removed_and_that_taken_back() {
    let mut database = database();
    database.put(&[entry("a", "")]).unwrap();
    let tables = "CREATE TABLE a (x PRIMARY KEY); CREATE TABLE b (y REFERENCES a); INSERT INTO a VALUES (1);
        INSERT INTO b VALUES (1); CREATE VIEW v AS SELECT * FROM a; CREATE VIRTUAL TABLE words USING fts5(word);
        CREATE TABLE \"odd \"\" name\" (id INTEGER PRIMARY KEY AUTOINCREMENT)";
    database.exec(tables, &[]).unwrap();
    database.set_alarm(Some(Timestamp(5))).unwrap();
    database.commit(nobody).unwrap();
    let user = "SELECT count(*) FROM sqlite_schema WHERE name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*'";
    let before = number(&mut database, user);
    database.delete_all().unwrap();
    assert_eq!((all(&database), number(&mut database, user)), (Vec::new(), 0));
    assert_eq!(database.alarm().unwrap(), None);
    database.discard().unwrap();
    assert_eq!((all(&database).len(), number(&mut database, user)), (1, before));
}

#[test]
fn a_result_that_is_too_large_is_refused() {
    let mut database = database();
    let query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let refused = database.exec(query, &[]).unwrap_err();
    assert_eq!(refused, StorageError::ResultTooLarge { max: RESULT_MAX_BYTES });
    assert_eq!(number(&mut database, "SELECT 1"), 1);
}
