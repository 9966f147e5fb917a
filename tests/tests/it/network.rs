//! What Workers ask for over the network: how it goes, how it fails, and how it is denied.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use miniflow_tests::{Dev, Reply, Server, Sink};
use serde_json::{Value, json};

/// What comes of a request to `url` that is given up after `ms`.
pub(crate) fn fetch_for(server: &Server, url: &str, ms: u64) -> Value {
    server.get(&format!("/try-fetch?url={url}&ms={ms}")).expect(200).json()
}

pub(crate) fn fetch(server: &Server, url: &str) -> Value {
    fetch_for(server, url, 60_000)
}

pub(crate) fn error(server: &Server, url: &str) -> String {
    fetch(server, url)["error"].as_str().unwrap().to_owned()
}

fn port(sink: &Sink) -> &str {
    sink.url().trim_end_matches('/').rsplit(':').next().unwrap()
}

/// A server of one connection: what it does is `serve`.
pub(crate) fn listen<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

/// Reads the head of a request.
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn without_a_network_nothing_is_sent_and_the_worker_is_told_why() {
    let sink = Sink::start();
    for (args, env) in [(vec!["--deny-net"], None), (vec![], Some("true"))] {
        let mut dev = Dev::guest("behaviours").args(args);
        if let Some(value) = env {
            dev = dev.env("MINIFLOW_DENY_NET", value);
        }
        let server = dev.start();
        assert!(server.log().contains("network    none: Workers reach nothing outside"), "{}", server.log());
        let port = port(&sink);
        assert_eq!(
            error(&server, sink.url()),
            format!(
                "cannot fetch `{}`: the request to `127.0.0.1:{port}` was not sent: the session has no network (`--deny-net`); `--allow-host 127.0.0.1` allows it",
                sink.url()
            )
        );
        // No name is looked up: a look-up would say that there is no such host.
        let named = error(&server, "https://name.invalid/");
        assert!(named.contains("the request to `name.invalid:443` was not sent: "), "{named}");
    }
    assert!(sink.seen().is_empty());
}

#[test]
fn an_allowed_host_is_reached_and_no_other() {
    let (sink, other) = (Sink::start(), Sink::start());
    let allowed = format!("127.0.0.1:{}", port(&sink));
    let answer = json!({ "status": 200, "body": "" });
    let by_flag = Dev::guest("behaviours").args(["--deny-net", "--allow-host", &allowed, "--allow-host", "*.test"]);
    let by_variable = Dev::guest("behaviours").env("MINIFLOW_ALLOW_HOST", format!("{allowed},*.test"));
    for dev in [by_flag, by_variable] {
        let server = dev.start();
        assert!(server.log().contains(&format!("network    only {allowed}, *.test")), "{}", server.log());
        assert_eq!(fetch(&server, sink.url()), answer);
        let denied = error(&server, other.url());
        assert!(denied.contains(&format!("reaches only `{allowed}`, `*.test` (`--allow-host`)")), "{denied}");
        assert!(error(&server, "http://test/").contains("was not sent"), "a wildcard is what is below");
    }
    assert_eq!((sink.seen().len(), other.seen().len()), (2, 0));
}

#[test]
fn what_is_no_host_to_allow_is_one_error() {
    let refusal = Dev::guest("behaviours").args(["--allow-host", "https://api.test"]).refused();
    assert!(refusal.text.contains("name a host, such as `api.example.com`"), "{}", refusal.text);
}

#[test]
fn a_redirection_to_a_denied_host_is_not_followed() {
    let other = Sink::start();
    let location = other.url().to_owned();
    let (address, serving) = listen(move |mut stream| {
        read_head(&mut stream);
        write!(stream, "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let server = Dev::guest("behaviours").args(["--allow-host", &address]).start();
    let denied = error(&server, &format!("http://{address}/"));
    assert!(denied.contains("was not sent"), "{denied}");
    serving.join().unwrap();
    assert!(other.seen().is_empty());
}

#[test]
fn workers_and_objects_of_the_session_are_no_network() {
    let config = |name: &str, more: Value| {
        let mut config = json!({ "name": name, "vars": { "NAME": name } });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Dev::guest("objects").config(config)
    };
    let front = json!({
        "services": [{ "binding": "BACK", "service": "back" }],
        "durable_objects": { "bindings": [{ "name": "KEEPER", "class_name": "Keeper" }] },
        "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Keeper"] }],
    });
    let server = config("front", front).beside(config("back", json!({}))).args(["--deny-net"]).start();
    assert_eq!(server.get("/service/BACK/whoami").expect(200).json()["worker"], "back");
    let events = server.post("/run/KEEPER/a", json!([{ "op": "events" }])).expect(200).json();
    assert_eq!(events, json!([1]));
}

#[test]
fn a_step_that_is_denied_fails_like_any_other() {
    let sink = Sink::start();
    let server = Dev::guest("behaviours").args(["--deny-net"]).start();
    let params = json!({ "sink": sink.url(), "limit": 0 });
    let error = server.workflow("FLAKY").create("a", params).error();
    assert!(error["message"].as_str().unwrap().contains("(`--deny-net`)"), "{error}");
    assert!(sink.seen().is_empty());
}

#[test]
fn a_component_of_wasi_0_2_is_denied_too() {
    let sink = Sink::answering(|_| Reply::Answer(200, "the answer".to_owned()));
    let path = format!("/?{}", sink.url());
    assert_eq!(Dev::guest("wasi02").start().get(&path).expect(200).text(), "the answer");
    let denied = Dev::guest("wasi02").args(["--deny-net"]).start().get(&path).expect(200).text();
    assert!(denied.contains("was not sent: the session has no network (`--deny-net`)"), "{denied}");
    assert_eq!(sink.seen().len(), 1);
}

/// WASI sockets are there to be linked, and do nothing.
#[test]
fn a_guest_has_no_sockets_no_files_and_no_programs() {
    let (address, _listening) = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap(), listener)
    };
    let server = Dev::guest("behaviours").start();
    let seen = server.get(&format!("/machine?name={address}")).expect(200).json();
    for (what, outcome) in seen.as_object().unwrap() {
        assert!(outcome.is_string(), "{what}: {seen}");
    }
    assert_eq!(seen.as_object().unwrap().len(), 9);
}

#[test]
fn why_there_is_no_answer_is_told() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Dev::guest("behaviours").start();
    assert_eq!(
        error(&server, &format!("http://{closed}/")),
        format!("cannot fetch `http://{closed}/`: connection refused")
    );
    assert_eq!(error(&server, "http://name.invalid/"), "cannot fetch `http://name.invalid/`: no such host");
    let (silent, serving) = listen(|mut stream| {
        read_head(&mut stream);
    });
    let cut = error(&server, &format!("http://{silent}/"));
    assert!(cut.starts_with(&format!("cannot fetch `http://{silent}/`: ")), "{cut}");
    serving.join().unwrap();
}

/// Who gives up closes the connection: the other side need not go on.
#[test]
fn a_request_that_is_given_up_is_closed() {
    let (address, serving) = listen(|mut stream| {
        read_head(&mut stream);
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "closed");
    });
    let server = Dev::guest("behaviours").start();
    assert_eq!(fetch_for(&server, &format!("http://{address}/"), 50), json!({ "error": "gave up" }));
    serving.join().unwrap();
}

#[test]
fn a_guest_of_wasi_0_2_can_limit_its_waiting() {
    let sink = Sink::answering(|_| Reply::Never);
    let told = Dev::guest("wasi02").start().get(&format!("/?{}", sink.url())).expect(200).text();
    assert!(told.contains("HttpResponseTimeout") || told.contains("ConnectionReadTimeout"), "{told}");
}

/// Each piece is there before the next is sent, in both directions.
#[test]
fn bodies_stream_through_to_another_server_and_back() {
    let (address, serving) = listen(|mut stream| {
        read_head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        // Chunks come as a length in hexadecimal digits and that many bytes.
        let mut seen = Vec::new();
        for piece in ["one", "two", "three"] {
            while !String::from_utf8_lossy(&seen).contains(piece) {
                let mut buffer = [0; 256];
                let count = stream.read(&mut buffer).unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
                seen.extend_from_slice(&buffer[..count]);
            }
            write!(stream, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
        }
        write!(stream, "0\r\n\r\n").unwrap();
    });
    let server = Dev::guest("behaviours").start();
    let mut exchange = server.exchange(&format!("/proxy?url=http://{address}/"));
    for piece in ["one", "two", "three"] {
        exchange.send(piece);
        assert_eq!(exchange.receive().as_deref(), Some(piece));
    }
    exchange.finish();
    assert_eq!(exchange.receive(), None);
    serving.join().unwrap();
}
