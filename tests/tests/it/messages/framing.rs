//! The framing of answers follows from their bodies, whatever the Worker says of it.

use miniflow_tests::Dev;

use super::wire::{Connection, Message};
use super::{query, server};

const METHODS: [&str; 2] = ["GET", "HEAD"];
const STATUSES: [u16; 15] = [200, 206, 403, 599, 204, 205, 304, 0, 100, 101, 103, 199, 600, 999, 65535];
const BODIES: [&str; 4] = ["none", "empty", "bytes", "stream"];
const LENGTHS: [Option<&str>; 7] = [None, Some("0"), Some("5"), Some("12"), Some("1234"), Some("-1"), Some("none")];

/// An answer that a Worker is asked for.
#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    by: &'a str,
    method: &'a str,
    status: u16,
    body: &'a str,
    length: Option<&'a str>,
}

/// Status, framing and content of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer(u16, String, String);

impl Case<'_> {
    fn target(self) -> String {
        let status = self.status.to_string();
        let mut pairs = vec![("status", status.as_str()), ("body", self.body)];
        let length = self.length.map(|length| format!("content-length:{length}"));
        pairs.extend(length.as_deref().map(|length| ("header", length)));
        let target = format!("/~/answer?{}", query(&pairs));
        if self.by == "direct" {
            return target;
        }
        let url = format!("http://inside.test{target}");
        format!("/~/ask?{}", query(&[("by", self.by), ("method", self.method), ("url", &url)]))
    }

    /// The answer on the wire; `None` when the Worker cannot make it.
    fn expected(self) -> Option<Answer> {
        let Self { method, status, body, length, .. } = self;
        let has_content = matches!(body, "bytes" | "stream");
        if !(200..=599).contains(&status) || matches!(status, 204 | 205 | 304) && has_content {
            return None;
        }
        // An answer to HEAD may say the length that GET would have.
        let said = length.filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
        let framing = match (status, body, method) {
            (204 | 304, ..) => "none".to_owned(),
            (205, ..) => "length 0".to_owned(),
            (_, "bytes", _) => "length 12".to_owned(),
            (_, "stream", "GET") => "chunked".to_owned(),
            (_, _, "GET") => "length 0".to_owned(),
            _ => said.map_or("none".to_owned(), |length| format!("length {length}")),
        };
        let content = if has_content && method == "GET" { "twelve bytes" } else { "" };
        Some(Answer(status, framing, content.to_owned()))
    }
}

fn seen(message: &Message) -> Answer {
    Answer(message.status(), message.framing(), message.text())
}

#[test]
fn every_answer_is_framed_by_its_body() {
    let server = server();
    let mut connection = Connection::open(&server);
    for by in ["direct", "service", "object"] {
        for method in METHODS {
            for status in STATUSES {
                for (body, length) in BODIES.into_iter().flat_map(|body| LENGTHS.map(|length| (body, length))) {
                    let case = Case { by, method, status, body, length };
                    let message = connection.ask(method, &case.target());
                    match case.expected() {
                        Some(expected) => assert_eq!(seen(&message), expected, "{case:?}"),
                        // The error of an object is the caller's, which answers with it.
                        None if by == "object" => assert_eq!(message.status(), 200, "{case:?}: {message:?}"),
                        None => assert_eq!(message.status(), 500, "{case:?}: {message:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn wrong_content_length_leaves_the_connection_usable() {
    let server = server();
    let mut connection = Connection::open(&server);
    for (method, query, expected) in [
        ("GET", "body=stream&header=content-length:1234", Answer(200, "chunked".to_owned(), "twelve bytes".to_owned())),
        ("GET", "body=stream&header=content-length:5", Answer(200, "chunked".to_owned(), "twelve bytes".to_owned())),
        ("GET", "status=403&header=content-length:1234", Answer(403, "length 0".to_owned(), String::new())),
        ("HEAD", "status=403&header=content-length:1234", Answer(403, "length 1234".to_owned(), String::new())),
        ("GET", "body=bytes", Answer(200, "length 12".to_owned(), "twelve bytes".to_owned())),
    ] {
        assert_eq!(seen(&connection.ask(method, &format!("/~/answer?{query}"))), expected, "{method} {query}");
    }
}

#[test]
fn impossible_status_is_an_error_that_names_it() {
    let server = server();
    let mut connection = Connection::open(&server);
    for (query, text) in [
        ("status=999", "999 is not the status of an answer"),
        ("status=103", "103 is not the status of an answer"),
        ("status=101", "101 is not the status of an answer"),
        ("status=204&body=bytes", "Response with null body status (101, 204, 205, or 304) cannot have a body."),
    ] {
        assert_eq!(connection.ask("GET", &format!("/~/answer?{query}")).status(), 500);
        server.wait_for_line(text);
    }
}

#[test]
fn headers_of_a_connection_are_not_the_workers() {
    let fields = [
        "connection:close, x-named",
        "keep-alive:timeout=1",
        "te:trailers",
        "trailer:x-later",
        "transfer-encoding:gzip",
        "upgrade:h2c",
        "proxy-connection:close",
        "http2-settings:AAMAAABkAAQAAP__",
        "proxy-authenticate:Basic",
        "x-named:stays",
    ];
    let mut pairs = vec![("body", "bytes")];
    pairs.extend(fields.map(|field| ("header", field)));
    let server = server();
    let mut connection = Connection::open(&server);
    for _ in 0..2 {
        let message = connection.ask("GET", &format!("/~/answer?{}", query(&pairs)));
        assert_eq!(seen(&message), Answer(200, "length 12".to_owned(), "twelve bytes".to_owned()));
        for field in &fields[..8] {
            let name = field.split(':').next().unwrap();
            assert_eq!(message.header(name), None, "{message:?}");
        }
        assert_eq!(message.header("proxy-authenticate").as_deref(), Some("Basic"), "it is for the client");
        assert_eq!(message.header("x-named").as_deref(), Some("stays"));
    }
}

#[test]
fn broken_answer_is_logged_as_broken_off() {
    let server = server();
    for target in ["/~/answer?body=broken", "/~/ask?by=service&url=http%3A%2F%2Fh.test%2F~%2Fanswer%3Fbody%3Dbroken"] {
        let message = Connection::open(&server).ask("GET", target);
        assert!(message.body.is_err(), "{message:?}");
        let line = server.wait_for_line(&format!("GET {target} 200: the answer broke off"));
        assert!(line.contains("asked to break off"), "{line}");
    }
    assert!(server.lines_with("went away").is_empty(), "{}", server.log());
}

/// `wasi:http` leaves framing to the component: what cannot be sent is an error that names it.
#[test]
fn component_of_wasi_0_2_is_held_to_http() {
    let server = Dev::guest("wasi02").start();
    let mut connection = Connection::open(&server);
    for status in [100, 103, 199] {
        let answer = connection.ask("GET", &format!("/status?{status}"));
        assert_eq!(answer.status(), 500);
        assert!(answer.text().contains(&format!("it answered with status {status}")), "{answer:?}");
    }
    assert_eq!(connection.ask("GET", "/status?204").framing(), "none");
    assert_eq!(connection.ask("GET", "/status?205").framing(), "length 0");
    assert!(connection.ask("GET", "/longer").body.is_err());
    server.wait_for_line("GET /longer 200: the answer broke off: ");
    assert_eq!(Connection::open(&server).ask("GET", "/").status(), 200);
}
