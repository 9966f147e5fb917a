//! What stands between a client and a Worker: headers of the edge, and requests that a Worker sends to itself.

use std::thread;

use http::Request;
use http_body_util::{BodyExt as _, Empty};
use miniflow_tests::{Answer, Dev, Reply, Server, Sink};
use serde_json::Value;

fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.client().request(path, request.body(Empty::new().boxed()).unwrap()).unwrap()
}

/// Values of the header `name` in what `/request` answers.
fn header(seen: &Value, name: &str) -> Vec<String> {
    let pairs = seen["headers"].as_array().unwrap().iter().filter(|pair| pair[0] == name);
    pairs.map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn request_has_the_address_of_its_client() {
    let server = Dev::guest("behaviours").start();
    let chosen = [("cf-connecting-ip", "192.0.2.7"), ("x-real-ip", "192.0.2.7"), ("x-forwarded-for", "192.0.2.7")];
    for (headers, forwarded) in [(&[][..], "127.0.0.1"), (&chosen[..], "192.0.2.7, 127.0.0.1")] {
        let seen = get(&server, "/request", headers).expect(200).json();
        assert_eq!(header(&seen, "cf-connecting-ip"), ["127.0.0.1"]);
        assert_eq!(header(&seen, "x-real-ip"), ["127.0.0.1"]);
        assert_eq!(header(&seen, "x-forwarded-for"), [forwarded]);
        assert_eq!(header(&seen, "x-forwarded-proto"), ["http"]);
        assert_eq!(header(&seen, "cf-visitor"), [r#"{"scheme":"http"}"#]);
        assert_eq!(header(&seen, "cf-ipcountry"), ["XX"]);
        assert_eq!(header(&seen, "cf-ray").len(), 1);
    }
}

#[test]
fn headers_of_the_edge_do_not_leave() {
    let server = Dev::guest("behaviours").start();
    let other = Sink::answering(|seen| {
        let names = seen.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("cf-"));
        Reply::Answer(200, names.collect::<Vec<_>>().join(" "))
    });
    assert_eq!(get(&server, &format!("/proxy?url={}", other.url()), &[]).expect(200).text(), "");
}

#[test]
fn worker_that_asks_itself_is_told_and_serves_on() {
    let server = Dev::guest("http").start();
    let port = server.url().rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost"] {
        // The request goes where it was sent to.
        let asking = thread::spawn({
            let (client, host) = (server.client(), format!("{host}:{port}"));
            move || {
                let request = Request::get("/").header("host", host).body(Empty::new().boxed()).unwrap();
                client.request("/~/front", request).unwrap()
            }
        });
        assert_eq!(server.get("/other").expect(200).text(), "path() /other url() /other");
        let answer = asking.join().unwrap();
        assert_eq!(answer.status, 500, "{}", answer.text());
    }
    let line = server.wait_for_line("the Worker asks itself");
    assert!(line.contains("Subrequest depth limit exceeded") && line.contains("32 deep"), "{line}");
}

#[test]
fn worker_may_ask_itself_a_few_times() {
    let server = Dev::guest("http").start();
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let mut url = format!("{}/end", server.url());
    for _ in 0..3 {
        url = format!("{}/~/ask?url={}", server.url(), encode(&url));
    }
    let path = url.trim_start_matches(server.url()).to_owned();
    assert_eq!(server.get(&path).expect(200).text(), "path() /end url() /end");
}

#[test]
fn depth_cannot_be_chosen_by_a_client() {
    let server = Dev::guest("behaviours").start();
    let seen = get(&server, "/request", &[("miniflow-depth", "0 31")]).expect(200).json();
    assert_eq!(header(&seen, "miniflow-depth"), [""; 0]);
}
