//! Redirects as the Fetch standard has them.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use miniflow_tests::Server;
use serde_json::{Value, json};

use super::wire::{Connection, Message, read_request};
use super::{query, server};

/// A server that redirects each path to another, with a status; `/end` and all other paths answer `ok`.
struct Redirecting {
    url: String,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Redirecting {
    fn start(locations: &[(&str, u16, &str)]) -> Self {
        let locations: BTreeMap<String, (u16, String)> =
            locations.iter().map(|(path, status, to)| ((*path).to_owned(), (*status, (*to).to_owned()))).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        // Ends with the process: it waits for the next connection.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let request = read_request(&mut stream);
                let path = request.start.split(' ').nth(1).unwrap_or_default().to_owned();
                noted.lock().unwrap().push(request);
                let head = match locations.get(&path) {
                    Some((status, to)) => format!("{status} Redirect\r\nlocation: {to}"),
                    None => "200 OK".to_owned(),
                };
                write!(stream.get_mut(), "HTTP/1.1 {head}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                    .unwrap();
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Message> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The request lines, without the version.
    fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|request| request.start.trim_end_matches(" HTTP/1.1").to_owned()).collect()
    }
}

fn ask(server: &Server, url: &str, pairs: &[(&str, &str)]) -> Value {
    let pairs: Vec<_> = [("url", url), ("then", "text")].into_iter().chain(pairs.iter().copied()).collect();
    let answer = Connection::open(server).ask("GET", &format!("/~/ask?{}", query(&pairs)));
    serde_json::from_str(&answer.text()).unwrap()
}

#[test]
fn method_and_body_follow_the_status() {
    let server = server();
    for status in [301, 302, 303, 307, 308] {
        let other = Redirecting::start(&[("/a", status, "/end")]);
        let url = format!("{}/a", other.url);
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            let body = if matches!(method, "GET" | "HEAD") { "none" } else { "bytes" };
            let pairs =
                [("method", method), ("body", body), ("header", "content-type:text/x"), ("header", "x-kept:yes")];
            assert_eq!(ask(&server, &url, &pairs)["status"], 200, "{status} {method}");
            let seen = other.seen();
            let second = &seen[1];
            let is_get = match status {
                303 => method != "HEAD",
                301 | 302 => method == "POST",
                _ => false,
            };
            let expected = if is_get { "GET" } else { method };
            assert_eq!(second.start, format!("{expected} /end HTTP/1.1"), "{status} {method}");
            let has_body = body == "bytes" && !is_get;
            assert_eq!(second.text(), if has_body { "twelve bytes" } else { "" }, "{status} {method}");
            let is_changed = is_get && method != "GET";
            assert_eq!(second.header("content-type").is_some(), !is_changed, "{status} {method}");
            assert_eq!(second.header("x-kept").as_deref(), Some("yes"));
        }
    }
}

#[test]
fn stream_is_not_sent_twice() {
    let server = server();
    for (status, is_followed) in [(301, false), (302, false), (303, true), (307, false), (308, false)] {
        let other = Redirecting::start(&[("/a", status, "/end")]);
        let answer = ask(&server, &format!("{}/a", other.url), &[("method", "POST"), ("body", "stream")]);
        assert_eq!(answer["status"] == 200, is_followed, "{answer}");
        if !is_followed {
            let error = answer["error"].as_str().unwrap();
            assert!(error.contains("A request with a one-time-use body"), "{error}");
        }
    }
}

#[test]
fn twenty_redirects_are_followed_and_no_more() {
    let server = server();
    let paths: Vec<_> = (0..=21).map(|n| format!("/{n}")).collect();
    let steps: Vec<_> = paths.windows(2).map(|pair| (pair[0].as_str(), 302, pair[1].as_str())).collect();
    let other = Redirecting::start(&steps);
    assert_eq!(ask(&server, &format!("{}/1", other.url), &[])["status"], 200);
    assert_eq!(other.seen().len(), 21);
    let error = ask(&server, &format!("{}/0", other.url), &[])["error"].to_string();
    assert!(error.contains("20 redirect"), "{error}");
    assert_eq!(other.seen().len(), 21);
}

#[test]
fn modes_follow_return_or_refuse_a_redirect() {
    let server = server();
    let other = Redirecting::start(&[("/a", 302, "/end"), ("/nowhere", 302, "http://"), ("/ftp", 302, "ftp://h/")]);
    let url = format!("{}/a", other.url);
    assert_eq!(ask(&server, &url, &[("redirect", "manual")])["status"], 302);
    assert!(ask(&server, &url, &[("redirect", "error")])["error"].to_string().contains("redirects to"));
    assert_eq!(other.lines(), ["GET /a", "GET /a"]);
    for path in ["/nowhere", "/ftp"] {
        let answer = ask(&server, &format!("{}{path}", other.url), &[]);
        assert!(answer["error"].is_string(), "{answer}");
    }
}

#[test]
fn authorization_stays_with_its_origin() {
    let server = server();
    let other = Redirecting::start(&[]);
    let first = Redirecting::start(&[("/same", 302, "/end"), ("/other", 302, &format!("{}/end", other.url))]);
    let pairs = [("header", "authorization:Bearer t"), ("header", "x-kept:yes")];
    ask(&server, &format!("{}/same", first.url), &pairs);
    assert_eq!(first.seen()[1].header("authorization").as_deref(), Some("Bearer t"));
    ask(&server, &format!("{}/other", first.url), &pairs);
    let seen = other.seen();
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[0].header("x-kept").as_deref(), Some("yes"));
}

/// As the platform does: user and password of a URL are left out, also of one that is redirected to.
#[test]
fn credentials_and_fragments_of_urls_are_not_sent() {
    let server = server();
    let other = Redirecting::start(&[]);
    let with_user = other.url.replace("http://", "http://me:secret@");
    let first = Redirecting::start(&[("/a", 302, &format!("{with_user}/end#there"))]);
    let url = format!("{}/a?b#c", first.url.replace("http://", "http://me:secret@"));
    assert_eq!(ask(&server, &url, &[])["status"], 200);
    assert_eq!(ask(&server, &url.replace("?b", ""), &[])["body"], json!("ok"));
    for server in [&first, &other] {
        for request in server.seen() {
            assert!(request.header("host").unwrap().starts_with("127.0.0.1:"), "{request:?}");
            assert_eq!(request.header("authorization"), None);
            assert!(!request.start.contains(['#', '@']), "{request:?}");
        }
    }
}
