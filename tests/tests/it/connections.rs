//! Connections of clients that do not do what clients do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use miniflow_tests::{Dev, Server};

fn behaviours() -> Server {
    Dev::guest("behaviours").start()
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url().trim_start_matches("http://")).unwrap()
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn half_sent_bodies_leave_the_worker_to_others() {
    // More than requests are served at a time.
    const CLIENTS: usize = 300;
    let server = behaviours();
    let slow: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"POST /length HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx").unwrap();
            stream
        })
        .collect();
    // Served while the others wait for the rest of their bodies; 503 after 30 seconds otherwise.
    server.get("/").expect(200);
    assert_eq!(server.post("/length", "whole").expect(200).text(), "5");
    // Each of them is served as soon as it is whole.
    for mut stream in slow {
        stream.write_all(&[b'x'; 99]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = answer(stream);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("100"), "{answer}");
    }
}

#[test]
fn client_that_closes_its_sending_side_is_answered() {
    let server = behaviours();
    for path in ["/", "/clock?ms=300", "/stream?n=3&ms=100"] {
        let mut stream = connect(&server);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = answer(stream);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(!path.starts_with("/stream") || answer.ends_with("0\r\n\r\n"), "{answer}");
    }
    assert!(server.lines_with("went away").is_empty(), "{}", server.log());
}

#[test]
fn malformed_body_is_the_clients_fault() {
    let server = behaviours();
    for path in ["/length", "/cdn-cgi/local/miniflow/time", "/client/v4/accounts/a/workflows/one-step/instances"] {
        let mut stream = connect(&server);
        write!(stream, "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n")
            .unwrap();
        let answer = answer(stream);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    server.get("/").expect(200);
}

#[test]
fn refusal_of_a_large_body_arrives_at_its_sender() {
    let server = behaviours();
    let piece = vec![b'x'; 1 << 20];
    for (path, status) in [
        ("/client/v4/accounts/a/workflows/one-step/instances", "413"),
        ("/cdn-cgi/local/miniflow/time", "413"),
        ("/cdn-cgi/local/miniflow/cron", "413"),
        ("/cdn-cgi/local/scheduled", "200"),
        ("/cdn-cgi/none", "404"),
    ] {
        let mut stream = connect(&server);
        let length = 20 * piece.len();
        write!(stream, "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n").unwrap();
        // A client that reads nothing before it has sent everything.
        for _ in 0..20 {
            stream.write_all(&piece).unwrap();
        }
        // The connection is of use afterwards.
        write!(stream, "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let answers = answer(stream);
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answers}");
        assert!(answers.ends_with("behaviours"), "{path}: {answers}");
    }
}
