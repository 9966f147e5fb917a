//! Requests that make no sense: each is refused with the documented code, and changes nothing.

use std::io::Write;
use std::net::TcpStream;

use http::Method;
use miniflow_tests::{Api, Payload, Server};
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Value, json};

use super::behaviours;

/// What is there before and must be there after.
pub(super) fn state(server: &Server) -> Value {
    let v4 = server.v4();
    let workflows = v4.result("?per_page=100");
    let details = [v4.result("sleeper/instances/a"), v4.result("one-step/instances/done")];
    json!([workflows, details])
}

/// A server with a sleeping and a finished instance.
pub(super) fn settled() -> Server {
    let server = behaviours();
    let sleeping = server.v4().create("sleeper", "a", json!({ "duration": "1 day" }));
    server.v4().wait_for(&sleeping, "waiting");
    let done = server.v4().create("one-step", "done", json!({}));
    server.v4().wait_for(&done, "complete");
    server
}

/// Routes that take a body, and would change something.
const CHANGING: [(&str, &str); 6] = [
    ("POST", "one-step/instances"),
    ("POST", "one-step/instances/batch"),
    ("POST", "one-step/instances/batch/delete"),
    ("PATCH", "sleeper/instances/a/status"),
    ("POST", "sleeper/instances/a/events/go"),
    ("PUT", "one-step"),
];

fn bad_body(api: &Api, code: u32, method: &str, path: &str, body: impl Into<Payload>) {
    let answer = api.send(method.parse().unwrap(), path, body);
    let status = answer.status.as_u16();
    let text = answer.text();
    assert_eq!(status, 400, "{method} {path}: {text}");
    assert_eq!(answer.json()["errors"][0]["code"], code, "{method} {path}: {text}");
}

// rules: B22
#[test]
fn a_body_that_is_no_json_or_of_another_shape_is_refused() {
    let server = settled();
    let before = state(&server);
    let malformed = ["{", "[", "\"", "{\"instance_id\":}", "nul", "{}{}", "\u{0}", "[1,]", "{'a':1}", "\u{feff}{}"];
    let shapes = [
        "1",
        "\"x\"",
        "true",
        "[[]]",
        r#"{"instance_id":1}"#,
        r#"{"instances":"a"}"#,
        r#"{"instances":[1]}"#,
        r#"{"status":1}"#,
    ];
    for (method, path) in CHANGING {
        for body in malformed {
            bad_body(&server.v4(), 10002, method, path, body);
            if method != "PUT" {
                bad_body(&server.local_api(), 10001, method, path, body);
            }
        }
        bad_body(&server.v4(), 10002, method, path, b"\xff\xfe".to_vec());
        // Any JSON is an event's payload, and of fields that nobody knows nothing is said.
        let is_bad = |body: &&str| {
            !(path.ends_with("events/go")
                || path == "one-step/instances" && !body.contains("_id") && body.starts_with('{'))
        };
        for body in shapes.into_iter().filter(is_bad) {
            bad_body(&server.v4(), 10002, method, path, body);
        }
    }
    assert_eq!(state(&server), before);
}

#[test]
fn a_huge_body_is_refused_before_it_is_kept() {
    let server = settled();
    let before = (state(&server), server.memory_bytes());
    let huge = format!(r#"{{"params":"{}"}}"#, "x".repeat(40 << 20));
    for (method, path) in CHANGING {
        let path = format!("/client/v4/accounts/a/workflows/{path}");
        // The answer may come before all is sent, which a client may take for a broken connection.
        if let Ok(answer) = server.client().send(method.parse().unwrap(), &path, huge.as_str()) {
            answer.refused(413, 10002, "(body) The body is larger than 8388608 bytes");
        }
    }
    // A body without a length that does not end: the server reads 100 MB of it at most, so that the refusal arrives.
    let mut endless = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    let head = "POST /client/v4/accounts/a/workflows/one-step/instances HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    endless.write_all(head.as_bytes()).unwrap();
    let piece = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let taken = (0..256).take_while(|_| endless.write_all(piece.as_bytes()).is_ok()).count();
    assert!(taken < 256, "the server takes all of it");
    // Under the bound, but more than params may have.
    let large = format!(r#"{{"params":"{}"}}"#, "x".repeat(2 << 20));
    let refused = server.v4().post("one-step/instances", large.as_str()).expect(400).json();
    assert_eq!(refused["errors"][0]["code"], 10002);
    // Many small things in a body of allowed size.
    let many = format!("[{}{{}}]", "{},".repeat(2 << 20));
    bad_body(&server.v4(), 10002, "POST", "one-step/instances/batch", many.as_str());
    assert_eq!(state(&server), before.0);
    let grown = server.memory_bytes().saturating_sub(before.1);
    assert!(grown < 100 << 20, "{grown} bytes more than before");
}

#[test]
fn deep_json_is_no_danger() {
    let server = settled();
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let before = state(&server);
    for (method, path) in CHANGING.into_iter().filter(|(_, path)| !path.ends_with("events/go")) {
        bad_body(&server.v4(), 10002, method, path, deep.as_str());
    }
    assert_eq!(state(&server), before);
    // As a payload it is as good as any.
    for odd in [deep.as_str(), "1e999", r#""\ud800""#] {
        let _ = server.v4().post("sleeper/instances/a/events/odd", odd).result();
    }
    for api in [server.v4(), server.local_api()] {
        assert!(api.get("sleeper/instances/a").expect(200).text().contains(&deep));
    }
}

#[test]
fn strange_ids_and_names_lead_nowhere() {
    let server = settled();
    let before = state(&server);
    let long = "x".repeat(10_000);
    for id in ["%00", "%F0%9F%A6%80", "a%2Fb%2F..", "%ff", "a%20b", "a;b", "a.b", "'", "%22", "-1", &long] {
        for api in [server.v4(), server.local_api()] {
            let path = format!("sleeper/instances/{id}");
            for (method, path, body) in [
                (Method::GET, path.clone(), Value::Null),
                (Method::PATCH, format!("{path}/status"), json!({ "status": "terminate" })),
                (Method::POST, format!("{path}/events/go"), json!({})),
                (Method::GET, format!("{path}/subscribe"), Value::Null),
                (Method::GET, id.to_owned(), Value::Null),
                (Method::DELETE, id.to_owned(), Value::Null),
                (Method::POST, format!("{id}/instances"), json!({})),
            ] {
                let answer = api.send(method.clone(), &path, body);
                let status = answer.status.as_u16();
                assert!([400, 404].contains(&status), "{method} {path}: {status} {}", answer.text());
            }
        }
    }
    assert_eq!(state(&server), before);
    // A dot segment is no id: the URL Standard resolves it before anything else sees the path.
    for path in ["sleeper/instances/..", "sleeper/instances/%2e%2E"] {
        assert_eq!(server.v4().get(path).expect(200).json()["result"]["name"], "sleeper");
    }
}

/// Requests made of random pieces of good ones.
#[test]
fn no_random_request_is_the_servers_fault() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let server = settled();
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "X"];
    let pieces = [
        "one-step",
        "nothing",
        "instances",
        "batch",
        "delete",
        "a",
        "done",
        "status",
        "events",
        "go",
        "step",
        "versions",
        "subscribe",
        "terminate",
        "graph",
        "",
        "%",
        "%zz",
        "%00",
        // Not `..`: dot segments lead out of the API, to the Worker.
        "...",
        "*/5 * * * *-1",
        "é",
    ];
    let queries = [
        "",
        "?page=0",
        "?page=18446744073709551615&per_page=100",
        "?cursor=zz.zz",
        "?status=x",
        "?name=a&type=step",
        "?order=desc&simple=true",
        "?date_start=9999-12-31&date_end=9999-12-31",
        "?%",
        "?cursor=-1",
        "?attempt=4294967296",
    ];
    let bodies = [
        "",
        "{}",
        "[]",
        "null",
        "{\"status\":\"pause\"}",
        "{\"instances\":[\"a\"]}",
        "{\"params\":1e999}",
        "[{}]",
        "{\"x\":",
        "{\"instance_id\":\"\\ud800\"}",
        "{\"instance_retention\":{\"success_retention\":-1}}",
    ];
    let prefixes = [
        "/client/v4/accounts/x/workflows",
        "/client/v4",
        "/cdn-cgi/local/explorer/api/workflows",
        "/cdn-cgi/explorer/api",
    ];
    for _ in 0..1500 {
        let mut pick = |from: &[&str]| from[random.random_range(0..from.len())].to_owned();
        let (method, mut path) = (pick(&methods), pick(&prefixes));
        let (query, body) = (pick(&queries), pick(&bodies));
        for _ in 0..random.random_range(0..6) {
            path = format!("{path}/{}", pieces[random.random_range(0..pieces.len())].replace(' ', "%20"));
        }
        let Ok(uri) = format!("{path}{query}").parse::<http::Uri>() else { continue };
        let label = format!("{method} {uri} {body}");
        // Following an instance that waits goes on as long as it waits.
        if path.contains("subscribe") {
            continue;
        }
        let answer = server.client().send(method.parse().unwrap(), &uri.to_string(), body.as_str());
        let answer = answer.unwrap_or_else(|error| panic!("{label}: {error}"));
        assert!(answer.status.as_u16() < 500, "{label}: {} {}", answer.status, answer.text());
        if path.starts_with("/client/v4")
            && !["HEAD", "OPTIONS"].contains(&method.as_str())
            && uri.path() != "/client/v4"
        {
            let json = answer.json();
            assert!(json["success"].is_boolean() || json["openapi"].is_string(), "{label}: {json}");
            assert_eq!(
                json["success"] == true,
                answer.status.is_success() && json["openapi"].is_null(),
                "{label}: {json}"
            );
        }
    }
    let path = server.v4().create("one-step", "after", json!({}));
    server.v4().wait_for(&path, "complete");
}
