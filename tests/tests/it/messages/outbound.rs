//! Requests of Workers on the wire.

use std::io::{BufReader, Write};

use serde_json::Value;

use super::wire::{Connection, Message, read_request};
use super::{query, server};
use crate::network::listen;

/// Has the Worker send a request to a server of one connection; returns what arrived there, and what the Worker made of the answer.
fn sent(connection: &mut Connection, path: &str, pairs: &[(&str, &str)]) -> (Message, Value) {
    let (address, serving) = listen(|stream| {
        let mut stream = BufReader::new(stream);
        let request = read_request(&mut stream);
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").unwrap();
        request
    });
    let url = format!("http://{address}{path}");
    let pairs: Vec<_> = [("url", url.as_str()), ("then", "text")].into_iter().chain(pairs.iter().copied()).collect();
    let answer: Value =
        serde_json::from_str(&connection.ask("GET", &format!("/~/ask?{}", query(&pairs))).text()).unwrap();
    assert_eq!(answer["error"], Value::Null, "{pairs:?}");
    (serving.join().unwrap(), answer)
}

#[test]
fn every_request_is_framed_by_its_body() {
    let server = server();
    let mut connection = Connection::open(&server);
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let is_bodyless = matches!(method, "GET" | "HEAD");
        for body in ["none", "empty", "bytes", "stream"] {
            let has_content = matches!(body, "bytes" | "stream");
            if is_bodyless && has_content {
                let target = query(&[("url", "http://name.invalid/"), ("method", method), ("body", body)]);
                let refused = connection.ask("GET", &format!("/~/ask?{target}")).text();
                assert!(refused.contains("Request with a GET or HEAD method cannot have a body."), "{refused}");
                continue;
            }
            for length in ["content-length:0", "content-length:5", "content-length:1234", "content-length:x", "x-a:b"] {
                let (seen, _) =
                    sent(&mut connection, "/a?b", &[("method", method), ("body", body), ("header", length)]);
                let (framing, content) = match body {
                    "bytes" => ("length 12", "twelve bytes"),
                    "stream" => ("chunked", "twelve bytes"),
                    _ if is_bodyless => ("none", ""),
                    _ => ("length 0", ""),
                };
                let case = format!("{method} {body} {length}");
                assert_eq!((seen.framing().as_str(), seen.text().as_str()), (framing, content), "{case}");
                assert_eq!(seen.start, format!("{method} /a?b HTTP/1.1"));
            }
        }
    }
}

#[test]
fn headers_of_a_connection_are_not_sent() {
    let fields =
        ["connection:close", "keep-alive:timeout=1", "te:trailers", "trailer:x", "upgrade:h2c", "host:other.test"];
    let pairs: Vec<_> = fields.map(|field| ("header", field)).into();
    let server = server();
    let (seen, _) = sent(&mut Connection::open(&server), "/", &pairs);
    for field in &fields[..5] {
        assert_eq!(seen.header(field.split(':').next().unwrap()), None, "{seen:?}");
    }
    assert!(seen.header("host").unwrap().starts_with("127.0.0.1:"), "{seen:?}");
}
