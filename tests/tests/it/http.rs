//! Requests: what a Worker may do to them, and what it may not do to others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use miniflow_tests::{Dev, Reply, Server, Sink, bound, build, eventually, repository};
use serde_json::{Value, json};

const CPU_LIMIT: &str = "Worker exceeded CPU time limit.";

fn behaviours() -> Server {
    Dev::guest("behaviours").start()
}

#[test]
fn a_component_of_another_toolchain_is_served_through_wasi_0_2() {
    let server = Dev::guest("wasi02").start();
    assert!(server.get("/").expect(200).text().contains("hello from wasi 0.2"));
    assert_eq!(server.post("/echo", "across versions").expect(200).text(), "across versions");
}

#[test]
fn a_component_without_a_configuration_gets_a_binding_for_each_class() {
    let component = build(&repository().join("tests/guests/behaviours"));
    let server = Dev::path(&component).start();
    assert_eq!(server.workflow("MANY_STEPS").create("a", json!({ "n": 2 })).output(), json!({ "steps": 2 }));
}

#[test]
fn a_body_is_echoed_piece_by_piece_while_it_is_still_being_sent() {
    let server = Dev::guest("behaviours").start();
    let mut exchange = server.exchange("/echo");
    for piece in ["one", "two", "three"] {
        exchange.send(piece);
        assert_eq!(exchange.receive().as_deref(), Some(piece));
    }
    exchange.finish();
    assert_eq!(exchange.receive(), None);
}

#[test]
fn a_panic_is_an_answer_that_says_where_and_the_next_request_is_served() {
    let server = Dev::guest("behaviours").start();
    let answer = server.get("/panic").expect(500).text();
    assert!(answer.contains("panicked at src/probes.rs:"), "{answer}");
    server.get("/").expect(200);
    assert_eq!(server.lines_with("panicked at src/probes.rs:").len(), 1, "{}", server.log());
}

// rules: C3-29
#[test]
fn a_request_that_eats_all_memory_is_told_so_and_the_next_is_served() {
    let server = Dev::guest("behaviours").start();
    let answer = server.get("/oom").expect(500).text();
    assert!(answer.contains("memory"), "{answer}");
    server.get("/").expect(200);
}

/// A server on which a guest may compute for a fraction of a second only.
fn impatient(classes: &[&str]) -> Server {
    let workflows: Vec<_> = classes.iter().map(|class| bound(class)).collect();
    Dev::guest("behaviours").config(json!({ "limits": { "cpu_ms": 400 }, "workflows": workflows })).start()
}

// rules: C3-2
#[test]
fn a_request_that_never_ends_is_ended_and_the_others_are_served_meanwhile() {
    let server = impatient(&["OneStep"]);
    std::thread::scope(|scope| {
        let spinning = scope.spawn(|| server.get("/spin").expect(500).text());
        for id in ["a", "b", "c"] {
            server.workflow("ONE_STEP").create(id, ()).wait_for("complete");
        }
        let answer = spinning.join().unwrap();
        assert!(answer.contains("failed at GET /spin") && answer.contains(CPU_LIMIT), "{answer}");
    });
    server.get("/").expect(200);
}

// rules: C3-2
#[test]
fn a_workflow_that_never_ends_is_ended_too() {
    let server = impatient(&["SpinOutsideStep", "OneStep"]);
    let spinning = server.workflow("SPIN_OUTSIDE_STEP").create("a", ());
    server.workflow("ONE_STEP").create("b", ()).wait_for("complete");
    assert_eq!(spinning.error(), json!({ "name": "Error", "message": CPU_LIMIT }));
}

// rules: C3-2
#[test]
fn a_step_that_never_ends_is_a_failed_attempt() {
    let (server, sink) = (impatient(&["SpinInStep"]), Sink::start());
    let params = json!({ "sink": sink.url(), "fail": 1, "limit": 1 });
    assert_eq!(server.workflow("SPIN_IN_STEP").create("a", params).output(), json!({ "attempt": 2 }));
    assert_eq!((sink.count(&[("kind", "before")]), sink.count(&[("kind", "trap")])), (1, 2));
    let error = server.workflow("SPIN_IN_STEP").create("b", ()).error();
    assert_eq!(error, json!({ "name": "Error", "message": CPU_LIMIT }));
}

// rules: C3-3
#[test]
fn a_guest_that_waits_may_take_longer_than_it_may_compute() {
    let server = impatient(&["StepTimeout"]);
    let waited = server.get("/clock?ms=1200").expect(200).json();
    assert!(waited["after"].as_u64() >= waited["before"].as_u64().map(|before| before + 1200), "{waited}");
    let output = server.workflow("STEP_TIMEOUT").create("a", json!({ "ms": 1200 })).output();
    assert_eq!(output, json!({ "attempt": 1 }));
}

#[test]
fn a_guest_sees_what_is_bound_and_nothing_of_the_machine() {
    let server = Dev::guest("behaviours").env("SECRET_OF_THE_MACHINE", "42").start();
    assert!(server.get("/env?name=GREETING").expect(200).text().contains("hello"));
    let answer = server.get("/env?name=SECRET_OF_THE_MACHINE").text();
    assert!(!answer.contains("42"), "{answer}");
}

#[test]
fn a_worker_sees_no_environment_and_no_arguments_of_the_machine() {
    let server = Dev::guest("behaviours").env("SECRET_OF_THE_MACHINE", "42").start();
    assert_eq!(server.get("/env").expect(200).json(), json!([]));
}

#[test]
fn a_variable_that_is_not_text_is_json() {
    let server = behaviours();
    let settings: Value = serde_json::from_str(&server.get("/env?name=SETTINGS").expect(200).text()).unwrap();
    assert_eq!(settings, json!({ "retries": 3, "regions": ["eu", "us"] }));
}

// rules: C2.10-8
#[test]
fn a_request_arrives_as_it_was_sent() {
    let server = behaviours();
    let request = Request::builder()
        .method(Method::PATCH)
        .header("x-one", "1")
        .header("x-two", "a")
        .header("x-two", "b")
        .header(header::HOST, "shop.test:81")
        .body(Full::from("the body").boxed());
    let seen = server.client().request("/request?q=%C3%BC&empty=", request.unwrap()).unwrap().expect(200).json();
    assert_eq!((&seen["method"], &seen["body"]), (&json!("PATCH"), &json!("the body")));
    assert_eq!(seen["url"], "http://shop.test:81/request?q=%C3%BC&empty=");
    let headers: Vec<_> = seen["headers"].as_array().unwrap().iter().collect();
    for header in [json!(["x-one", "1"]), json!(["x-two", "a"]), json!(["x-two", "b"])] {
        assert!(headers.contains(&&header), "{header} is not among {headers:?}");
    }
}

// rules: C2.10-8
#[test]
fn an_answer_arrives_as_it_was_given() {
    let answer = behaviours().get("/answer?status=418").expect(418);
    assert_eq!(answer.text(), "answer");
    let cookies: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[test]
fn a_body_of_megabytes_is_read_to_its_end() {
    let length = 8 << 20;
    assert_eq!(behaviours().post("/length", vec![b'x'; length]).expect(200).text(), length.to_string());
}

#[test]
fn a_body_that_passes_through_the_worker_goes_piece_by_piece_too() {
    let server = behaviours();
    let mut exchange = server.exchange("/echo-chunks");
    for piece in ["one", "two"] {
        exchange.send(piece);
        assert_eq!(exchange.receive().as_deref(), Some(piece));
    }
    exchange.finish();
    assert_eq!(exchange.receive(), None);
}

#[test]
fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let server = behaviours();
    assert!(server.client().get("/broken-stream?ms=50").is_err());
    server.get("/").expect(200);
}

#[test]
fn a_client_that_goes_away_takes_nobody_with_it() {
    let server = behaviours();
    let mut stream = server.exchange("/stream?n=1000000&ms=10");
    stream.finish();
    assert!(stream.receive().is_some());
    assert!(server.lines_with("the stream is dropped").is_empty(), "{}", server.log());
    drop(stream);
    // The Worker is told, and the developer.
    server.wait_for_line("the stream is dropped");
    let line = server.wait_for_line("the client went away");
    assert!(line.contains("/stream?n=1000000&ms=10 200: the client went away before the end of the answer"), "{line}");
    server.get("/").expect(200);
}

#[test]
fn clients_that_go_away_in_the_middle_of_an_answer_leave_nothing_behind() {
    // More than requests may be in flight at a time.
    const CLIENTS: usize = 300;
    let server = behaviours();
    for _ in 0..CLIENTS {
        let mut stream = asked_for(&server, "/stream?n=1000000&ms=1");
        // The head, and perhaps more.
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
    }
    eventually("every stream to be dropped", || {
        (server.lines_with("the stream is dropped").len() == CLIENTS).then_some(())
    });
    assert_eq!(server.lines_with("the client went away before the end of the answer").len(), CLIENTS);
    server.get("/").expect(200);
}

#[test]
fn whole_answers_are_told_of_once() {
    let server = behaviours();
    for (method, path) in [
        (Method::GET, "/"),
        (Method::HEAD, "/"),
        (Method::GET, "/answer?status=204"),
        (Method::GET, "/stream?n=3&ms=1"),
        (Method::GET, "/stream?n=0"),
        (Method::POST, "/echo"),
        (Method::POST, "/length"),
    ] {
        let _ = server.client().send(method, path, "a body").unwrap();
    }
    assert!(server.client().get("/broken-stream?ms=1").is_err());
    let (_, log) = server.stop();
    assert!(!log.contains("went away"), "{log}");
}

#[test]
fn an_answer_arrives_though_the_handler_leaves_a_large_body_unread() {
    let server = behaviours();
    let piece = vec![b'x'; 1 << 20];
    for more in ["", "Connection: close\r\n"] {
        let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
        let length = 32 * piece.len();
        write!(stream, "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n{more}\r\n").unwrap();
        // A client that reads nothing before it has sent everything.
        for _ in 0..32 {
            stream.write_all(&piece).unwrap();
        }
        if more.is_empty() {
            // The connection can be used again.
            write!(stream, "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        }
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        let expected = if more.is_empty() { 2 } else { 1 };
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), expected, "{answers}");
        assert!(answers.ends_with("behaviours"), "{answers}");
    }
}

/// A connection on which `path` was asked for.
fn asked_for(server: &Server, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    stream
}

#[test]
fn a_request_that_computes_for_a_client_that_has_gone_is_ended_soon() {
    let server = behaviours();
    let stream = asked_for(&server, "/spin");
    server.wait_for_line("spins");
    drop(stream);
    server.wait_for_line("GET /spin: stopped, it went on computing when its client had gone");
    server.get("/").expect(200);
}

#[test]
fn an_answer_that_has_begun_is_computed_no_longer_than_somebody_reads_it() {
    let server = behaviours();
    let mut stream = asked_for(&server, "/begin-and-spin");
    let mut answer = String::new();
    while !answer.contains("begun") {
        let mut piece = [0; 1000];
        let read = stream.read(&mut piece).unwrap();
        answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    server.wait_for_line("spins");
    drop(stream);
    server.wait_for_line("GET /begin-and-spin: stopped, it went on computing when its client had gone");
    server.get("/").expect(200);
}

#[test]
fn what_outlives_a_request_may_compute_though_the_client_has_gone() {
    let has_gone = Arc::new(AtomicBool::new(false));
    let sink = Sink::answering({
        let has_gone = Arc::clone(&has_gone);
        move |_| Reply::Answer(if has_gone.load(Relaxed) { 200 } else { 503 }, String::new())
    });
    let server = behaviours();
    let stream = asked_for(&server, &format!("/busy-later?ms=3000&url={}", sink.url()));
    server.wait_for_line("begins");
    drop(stream);
    server.wait_for_line("the client went away");
    has_gone.store(true, Relaxed);
    server.wait_for_line("is done");
}

#[test]
fn an_answer_without_content_by_its_status_has_no_length() {
    let server = behaviours();
    for status in [204, 304] {
        let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
        let request = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: here\r\n{more}\r\n");
        // The second on the same connection is read right after the first.
        let both = request(&format!("/answer?status={status}"), "") + &request("/", "Connection: close\r\n");
        stream.write_all(both.as_bytes()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        let (first, rest) = answers.split_once("\r\n\r\n").unwrap();
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{answers}");
        assert!(!first.to_lowercase().contains("content-length"), "{first}");
        assert!(!first.to_lowercase().contains("transfer-encoding"), "{first}");
        assert!(rest.starts_with("HTTP/1.1 200 ") && rest.ends_with("behaviours"), "{rest}");
    }
}

// rules: C2.10-8
#[test]
fn what_a_worker_asks_elsewhere_arrives_there_and_the_answer_comes_back() {
    let other = Sink::answering(|seen| {
        let key = seen.headers.get("x-key").map(|key| key.to_str().unwrap());
        Reply::Answer(
            207,
            format!("{} {} with {key:?}: {}", seen.method, seen.path, String::from_utf8_lossy(&seen.body)),
        )
    });
    let server = behaviours();
    let fetched = server.get(&format!("/fetch?url={}a", other.url())).expect(200).json();
    assert_eq!(fetched, json!({ "status": 207, "body": "GET /a with None: " }));
    let request = Request::put("/").header("x-key", "k").body(Full::from("data").boxed()).unwrap();
    let proxied = server.client().request(&format!("/proxy?url={}b", other.url()), request).unwrap();
    assert_eq!(proxied.expect(207).text(), "PUT /b with Some(\"k\"): data");
}

#[test]
fn a_refused_connection_is_an_error_of_the_worker() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = behaviours();
    server.get(&format!("/fetch?url=http://{closed}/")).expect(500);
    let line = server.wait_for_line("error").to_lowercase();
    assert!(line.contains("refused"), "{line}");
    server.get("/").expect(200);
}

#[test]
fn an_error_of_the_handler_is_a_500_whose_reason_only_the_developer_sees() {
    let server = behaviours();
    assert_eq!(server.get("/error").expect(500).text(), "Internal Server Error");
    server.wait_for_line("the text of the error");
}

#[test]
fn what_outlives_the_answer_is_done_after_it() {
    let server = behaviours();
    assert_eq!(server.get("/wait-until?ms=200&msg=done-later").expect(200).text(), "answered");
    assert!(server.lines_with("log   done-later").is_empty());
    server.wait_for_line("log   done-later");
}

#[test]
fn what_outlives_the_answer_may_panic_and_the_next_request_is_served() {
    let server = behaviours();
    assert_eq!(server.get("/wait-until?ms=1&level=panic").expect(200).text(), "answered");
    server.wait_for_line("asked to panic after the answer");
    assert_eq!(server.get("/wait-until?ms=1&msg=done").expect(200).text(), "answered");
    server.wait_for_line("log   done");
}

#[test]
fn an_instance_serves_one_request_after_the_other_and_starts_once() {
    let server = behaviours();
    for requests in 1..=3 {
        assert_eq!(server.get("/starts").expect(200).json(), json!({ "starts": 1, "requests": requests }));
    }
}

#[test]
fn a_hundred_requests_at_a_time_are_all_answered() {
    let server = behaviours();
    let client = server.client();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| client.get("/clock?ms=100").unwrap().expect(200));
        }
    });
}

#[test]
fn what_is_no_request_is_answered_400_and_the_next_is_served() {
    let server = behaviours();
    for bytes in ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nHost: not a host\r\nConnection: close\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer}");
    }
    server.get("/").expect(200);
}

#[test]
fn lines_below_the_log_level_are_not_printed() {
    let said = |level: &str| {
        let server = Dev::guest("behaviours").args(["--log-level", level]).start();
        for line in ["debug", "info", "log", "warn", "error"] {
            server.get(&format!("/log?level={line}&msg=a-{line}")).expect(200);
        }
        let mut instance = server.workflow("ONE_STEP").create("a", ()).wait_for("complete");
        assert_eq!(instance["status"].take(), "complete");
        // Printed in order and to the end before the process has stopped.
        let (_, log) = server.stop();
        let words = ["a-debug", "a-info", "a-log", "a-warn", "a-error", "one-step/a complete", "step begins"];
        words.into_iter().filter(|word| log.contains(&format!(" {word}"))).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(said("none"), "");
    assert_eq!(said("error"), "a-error");
    assert_eq!(said("warn"), "a-warn a-error");
    assert_eq!(said("info"), "a-info a-log a-warn a-error one-step/a complete");
    assert_eq!(said("debug"), "a-debug a-info a-log a-warn a-error one-step/a complete step begins");
}

#[test]
fn port_0_is_any_that_is_free() {
    let first = Dev::example("hello").args(["--port", "0"]).start();
    let second = Dev::example("hello").args(["--port", "0", "--ip", "127.0.0.1"]).start();
    assert_ne!(first.url(), second.url());
    assert_eq!(first.get("/").expect(200).text(), second.get("/").expect(200).text());
}
