//! Answers of others in a content coding: decoded when they are read, unchanged when they are passed on.

use std::io::{BufReader, Write};
use std::thread::JoinHandle;

use miniflow_tests::{Dev, Server};
use serde_json::{Value, json};

use super::wire::{Connection, Message, read_request};
use super::{query, server};
use crate::network::listen;

const TEXT: &str = "hello, hello, hello";

const GZIP: &[u8] =
    &[31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 203, 72, 205, 201, 201, 215, 81, 200, 64, 162, 0, 159, 161, 202, 9, 19, 0, 0, 0];
const TWICE: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 147, 239, 230, 96, 0, 3, 230, 211, 30, 103, 79, 158, 188, 30, 120, 194, 97, 17,
    195, 252, 133, 167, 56, 133, 129, 130, 0, 143, 95, 101, 193, 29, 0, 0, 0,
];
const ZLIB: &[u8] = &[120, 156, 203, 72, 205, 201, 201, 215, 81, 200, 64, 162, 0, 68, 40, 6, 213];
const BARE: &[u8] = &[203, 72, 205, 201, 201, 215, 81, 200, 64, 162, 0];
const BROTLI: &[u8] = &[27, 18, 0, 248, 141, 148, 110, 222, 68, 9, 82, 134, 150, 108, 44, 111, 17, 79, 36, 208, 113, 0];
/// A frame with one block that is stored as it is.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x20\x13\x99\0\0hello, hello, hello";

const CODINGS: [(&str, &[u8]); 6] =
    [("gzip", GZIP), ("gzip, gzip", TWICE), ("deflate", ZLIB), ("deflate", BARE), ("br", BROTLI), ("zstd", ZSTD)];

/// A server that gives one encoded answer; its thread returns the request.
fn origin(coding: &str, body: &[u8]) -> (String, JoinHandle<Message>) {
    let (coding, body) = (coding.to_owned(), body.to_vec());
    let (address, serving) = listen(move |stream| {
        let mut stream = BufReader::new(stream);
        let request = read_request(&mut stream);
        let length = body.len();
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {length}\r\n\r\n")
            .unwrap();
        if !request.start.starts_with("HEAD") {
            stream.get_mut().write_all(&body).unwrap();
        }
        request
    });
    (format!("http://{address}/"), serving)
}

/// Has the Worker ask another, or an object, for `body` in `coding`; `then` says what it does with the answer, `more` are header lines.
fn inside(server: &Server, by: &str, coding: &str, body: &[u8], then: &str, more: &str) -> Message {
    let header = format!("content-encoding:{coding}");
    let url = format!("http://inside.test/~/answer?{}", query(&[("body", "request"), ("header", &header)]));
    let pairs = [("by", by), ("method", "POST"), ("body", "request"), ("url", &url), ("then", then)];
    let length = body.len();
    let mut request =
        format!("POST /~/ask?{} HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n{more}\r\n", query(&pairs))
            .into_bytes();
    request.extend_from_slice(body);
    Connection::open(server).send("POST", &request)
}

/// Has the Worker ask the server at `url`.
fn outside(server: &Server, url: &str, pairs: &[(&str, &str)], more: &str) -> Message {
    let pairs: Vec<_> = [("url", url)].into_iter().chain(pairs.iter().copied()).collect();
    Connection::open(server).ask_with("GET", &format!("/~/ask?{}", query(&pairs)), more)
}

fn json(message: &Message) -> Value {
    serde_json::from_str(&message.text()).unwrap_or_else(|error| panic!("{error}: {message:?}"))
}

#[test]
fn encoded_answer_is_decoded_when_it_is_read() {
    let server = server();
    for (coding, body) in CODINGS {
        for then in ["text", "stream", "bytes"] {
            let (url, serving) = origin(coding, body);
            let answers = [
                inside(&server, "service", coding, body, then, ""),
                inside(&server, "object", coding, body, then, ""),
                outside(&server, &url, &[("then", then)], ""),
            ];
            serving.join().unwrap();
            for answer in answers {
                let seen = json(&answer);
                let expected = if then == "bytes" { json!(TEXT.as_bytes()) } else { json!(TEXT) };
                assert_eq!(seen["body"], expected, "{coding} {then}: {seen}");
                let headers = seen["headers"].as_array().unwrap();
                assert!(headers.contains(&json!(["content-encoding", coding])), "{seen}");
            }
        }
    }
}

#[test]
fn encoded_answer_is_passed_on_as_it_is() {
    let server = server();
    for (coding, body) in CODINGS {
        for more in ["", "Accept-Encoding: gzip\r\n", "Accept-Encoding: identity\r\n"] {
            let (url, serving) = origin(coding, body);
            let own = outside(&server, &url, &[("header", "accept-encoding:gzip, br, zstd, deflate")], more);
            serving.join().unwrap();
            for answer in [
                inside(&server, "service", coding, body, "pass", more),
                inside(&server, "object", coding, body, "pass", more),
                own,
            ] {
                assert_eq!(answer.body.as_deref(), Ok(body), "{coding}: {answer:?}");
                assert_eq!(answer.header("content-encoding").as_deref(), Some(coding));
                assert_eq!(answer.framing(), format!("length {}", body.len()));
            }
        }
    }
}

#[test]
fn codings_are_asked_for_by_default() {
    let server = server();
    let asked = |pairs: &[(&str, &str)]| {
        let (url, serving) = origin("gzip", GZIP);
        outside(&server, &url, pairs, "");
        let request = serving.join().unwrap();
        assert_eq!(request.header("miniflow-coded"), None);
        request.header("accept-encoding")
    };
    assert_eq!(asked(&[]).as_deref(), Some("gzip, br"));
    assert_eq!(asked(&[("header", "accept-encoding:zstd")]).as_deref(), Some("zstd"));
}

/// Neither the Worker nor the client asked for a coding: a plain client can read the answer.
#[test]
fn default_coding_is_undone_for_a_client_that_does_not_accept_it() {
    let server = server();
    for (accepted, is_coded) in [
        ("", false),
        ("Accept-Encoding: gzip, br\r\n", true),
        ("Accept-Encoding: br\r\n", false),
        ("Accept-Encoding: gzip;q=0, *\r\n", false),
    ] {
        let (url, serving) = origin("gzip", GZIP);
        let answer = outside(&server, &url, &[], accepted);
        serving.join().unwrap();
        assert_eq!(answer.body.as_deref(), Ok(if is_coded { GZIP } else { TEXT.as_bytes() }), "{accepted}: {answer:?}");
        assert_eq!(answer.header("content-encoding").is_some(), is_coded);
        assert_eq!(answer.header("miniflow-coded"), None);
    }
}

/// A body that was read, or goes out without the header of its coding, is plain; so is what a Worker makes of it.
#[test]
fn header_names_the_coding_that_the_body_has() {
    let server = server();
    for then in ["copy", "map"] {
        let (url, serving) = origin("gzip", GZIP);
        let answers =
            [inside(&server, "service", "gzip", GZIP, then, ""), outside(&server, &url, &[("then", then)], "")];
        serving.join().unwrap();
        for answer in answers {
            assert_eq!((answer.text().as_str(), answer.header("content-encoding")), (TEXT, None), "{then}: {answer:?}");
        }
    }
}

#[test]
fn body_that_does_not_decode_is_an_error_of_the_reader() {
    let server = server();
    for (coding, body) in CODINGS {
        let cut = &body[..body.len() - 1];
        let error = json(&inside(&server, "service", coding, cut, "text", ""))["error"].to_string();
        assert!(error.contains("is not valid"), "{coding}: {error}");
        let passed = inside(&server, "service", coding, cut, "pass", "");
        assert_eq!(passed.body.as_deref(), Ok(cut));
    }
    let unknown = json(&inside(&server, "service", "of-its-own", TEXT.as_bytes(), "text", ""));
    assert_eq!(unknown["body"], TEXT, "a coding that is not known stays: {unknown}");
    let empty = json(&inside(&server, "service", "gzip", b"", "text", ""));
    assert_eq!(empty["body"], "", "{empty}");
}

#[test]
fn answer_to_head_keeps_its_coding() {
    let server = server();
    let (url, serving) = origin("gzip", GZIP);
    let target = format!("/~/ask?{}", query(&[("url", &url), ("method", "HEAD")]));
    let answer = Connection::open(&server).ask("HEAD", &target);
    serving.join().unwrap();
    assert_eq!(answer.header("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(answer.framing(), format!("length {}", GZIP.len()));
}

/// Components of other toolchains get the bytes as they came, as `wasi:http` has it.
#[test]
fn component_of_wasi_0_2_gets_the_encoded_bytes() {
    let (url, serving) = origin("gzip", GZIP);
    let told = Dev::guest("wasi02").start().get(&format!("/?{url}")).expect(200).text();
    assert_eq!(serving.join().unwrap().header("accept-encoding"), None);
    assert!(!told.contains(TEXT), "{told}");
}
