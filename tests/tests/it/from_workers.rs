//! `docs/from-workers-rs.md`, held to a Worker that is written as it says: it has each of its lines, compiles, and does what it should.

use std::fs;

use http::Request;
use http_body_util::{BodyExt as _, Full};
use miniflow_tests::{Dev, Server, eventually, repository};
use serde_json::{Value, json};

/// A row of a table of two columns: what is written for `worker`, and what is written here.
struct Row {
    worker: String,
    here: String,
}

fn rows(document: &str) -> Vec<Row> {
    let (_, tables) = document.split_once("## Handlers").unwrap();
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("| ---") && !line.starts_with("| `worker` |");
    let row = |line: &str| {
        let cells = line.replace("\\|", "\u{1}");
        let cells: Vec<_> = cells.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
        let [_, worker, here, _] = &cells[..] else { panic!("not two columns: {line}") };
        Row { worker: worker.clone(), here: here.clone() }
    };
    tables.lines().filter(is_row).map(row).collect()
}

/// What is between backticks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

/// Whether `line`, in which `…` and a generic argument stand for anything on one line, is in `source`.
fn has(source: &str, line: &str) -> bool {
    let line = line.replace("<T>", "<…>").replace("<M>", "<…>");
    let parts: Vec<&str> = line.split('…').collect();
    let fits = |line: &str| {
        parts.iter().try_fold(0, |from, part| line[from..].find(part).map(|at| from + at + part.len())).is_some()
    };
    source.lines().any(fits)
}

fn source() -> String {
    let folder = repository().join("tests/guests/from-workers/src");
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    // What is said about the code is none.
    files
        .flat_map(|text| {
            text.lines()
                .filter(|line| !line.trim().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_line_of_the_document_is_one_that_compiles() {
    let document = fs::read_to_string(repository().join("docs/from-workers-rs.md")).unwrap();
    let source = source();
    let known: std::collections::BTreeSet<&str> = words(&source).collect();
    let (mut lines, mut names) = (0, 0);
    for Row { worker, here } in rows(&document) {
        // A word alone is no line.
        for line in code(&here).filter(|line| line.contains(['(', ':']) && !line.starts_with("#[")) {
            assert!(has(&source, line), "`{line}` is nowhere in the Worker");
            lines += 1;
        }
        if here.starts_with("the same") || here.starts_with("as in") {
            for name in code(&worker).flat_map(words).filter(|name| name.len() > 1 && !name.starts_with('_')) {
                assert!(known.contains(name), "`{name}`, which is to be the same, is nowhere in the Worker");
                names += 1;
            }
        }
    }
    assert!(lines > 20 && names > 150, "{lines} lines and {names} names were found");
}

#[test]
fn lines_that_are_not_there_are_missed() {
    assert!(has("let a = x.get::<u32>(k)?;", "x.get::<T>(k)?"));
    assert!(has("a(b, c(1))", "a(b, c(…))"));
    assert!(!has("a(c, b)\nb(c)", "a(b)"));
    assert_eq!(code("a `b` c `d`").collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(rows("## Handlers\n| `worker` | here |\n| --- | --- |\n| `f(\\|x\\| 1)` | y |")[0].worker, "`f(|x| 1)`");
}

fn get(server: &Server, path: &str) -> Value {
    server.get(path).expect(200).json()
}

fn echoed(server: &Server, content_type: &str, body: &str) -> String {
    let request = Request::post("/").header("content-type", content_type);
    let request = request.body(Full::from(body.to_owned()).map_err(|never| match never {}).boxed()).unwrap();
    server.client().request("/echo/a", request).unwrap().expect(200).text()
}

// rules: C2.10-9
#[test]
fn a_worker_written_as_the_document_says_does_what_it_did() {
    let server = Dev::guest("from-workers").start();
    let http = get(&server, "/http?x=7");
    assert_eq!(
        (&http["x"], &http["fetched"], &http["twice"]),
        (&json!(7), &json!([false, false, true]), &json!(["1", "2"]))
    );
    assert_eq!(http["seen"], json!(["POST", "/a", "http://name.invalid/a"]));
    let bodies = [
        "204 ",
        "500 no",
        "302 ",
        "307 ",
        "200 x",
        "200 y",
        "200 built",
        "200 1",
        "200 <p>",
        "200 z",
        "200 ab",
        "400 no",
        "200 f",
        "200 s",
        "200 ",
        "7",
        "2",
        "streamed",
    ];
    assert_eq!(http["bodies"], json!(bodies));
    assert_eq!(echoed(&server, "application/x-www-form-urlencoded", "name=Ada+L"), "Ada L");
    assert_eq!(echoed(&server, "application/json", "{\"a\":1}"), "{\"a\":1}");
    assert_eq!(echoed(&server, "application/octet-stream", "bytes"), "bytes");
    assert_eq!(echoed(&server, "text/plain", "text"), "true text");
    assert_eq!(server.get("/echo/a").expect(200).text(), "Some(\"a\") data");
    assert_eq!(server.get("/nowhere").expect(404).text(), "/nowhere");

    let kv = json!({
        "json": { "a": 1 }, "note": "note", "text": "text", "bytes": [1, 2], "several": [2, 2], "page": 1, "next": 2, "code": "kv.invalid_key",
    });
    assert_eq!(get(&server, "/kv"), kv);
    let object = get(&server, "/object");
    assert_eq!((&object["unique"], &object["status"]), (&json!(true), &json!(200)));
    let sql =
        json!({ "row": { "x": 1 }, "first": { "x": 1 }, "raw": 1, "rows": 1, "large": true, "counts": [1, 1, ["x"]] });
    assert_eq!(
        object["said"],
        json!({ "n": 2, "one": 1, "listed": 3, "pairs": 3, "alarm": true, "sql": sql, "id": 64 })
    );
    let env = get(&server, "/env");
    assert_eq!(
        (&env["text"], &env["key"], &env["list"], &env["kv"]),
        (&json!("text"), &json!("hidden"), &json!([1, 2]), &json!(true))
    );
    assert_eq!(env["bound"].as_array().unwrap().len(), 4);
    assert_eq!(server.get("/service").expect(200).text(), "Some(\"a\") data");
    assert_eq!(server.get("/router").expect(200).text(), "data text hidden");
    assert_eq!(
        get(&server, "/rest"),
        json!({ "same": true, "passed": true, "kinds": ["text", "used", "json", "another"] })
    );

    assert_eq!(get(&server, "/queue"), json!({ "came": true }));
    eventually("every message has come", || {
        let came = ["sent", "first", "second", "built", "batch", "raw"]
            .iter()
            .all(|name| server.get(&format!("/came/{name}")).text() == "true");
        came.then_some(())
    });
    assert_eq!(server.get("/cdn-cgi/local/scheduled?cron=x&time=5").expect(200).text(), "ok");
    server.wait_for_line("begins");
    server.wait_for_line("x at 5");
    server.wait_for_line("an object is asked");
}
