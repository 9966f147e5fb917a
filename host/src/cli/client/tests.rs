use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{call, get, post_json};

/// Answers one request with `answer`, and returns the port and what was asked.
async fn server(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("somebody connects");
        let mut asked = Vec::new();
        // A request of these tests ends with its head, or with the brace that closes its body.
        while !asked.ends_with(b"\r\n\r\n") && !asked.ends_with(b"}") {
            let read = stream.read_buf(&mut asked).await.expect("it can be read");
            assert_ne!(read, 0, "the request goes on");
        }
        stream.write_all(answer.as_bytes()).await.expect("it can be answered");
        String::from_utf8(asked).expect("requests are text")
    });
    (port, served)
}

#[tokio::test]
async fn an_answer_is_read_whole_also_in_pieces() {
    let (port, asked) =
        server("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n4\r\n:17}\r\n0\r\n\r\n").await;
    let answer = post_json(port, "/x?y=1", &json!({ "b": [2] })).await;
    assert_eq!(answer.expect("it is a success"), json!({ "a": 17 }));
    let asked = asked.await.expect("it was asked").to_ascii_lowercase();
    assert!(asked.starts_with("post /x?y=1 http/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("\r\nhost: localhost:{port}\r\n")), "the guard wants this machine: {asked}");
    assert!(asked.ends_with("\r\n\r\n{\"b\":[2]}"), "{asked}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_server() {
    for (body, expected) in [
        (r#"{"error":"there is no such thing","hint":"make one"}"#, "error: there is no such thing\n  hint: make one"),
        (
            r#"{"success":false,"errors":[{"code":10501,"message":"Workflow 'x' not found."}]}"#,
            "error: Workflow 'x' not found.",
        ),
        ("403 Forbidden: not you\n", "error: 403 Forbidden: not you"),
        ("", "error: the server answered 404 Not Found"),
    ] {
        let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (port, asked) = server(answer.leak()).await;
        assert_eq!(get(port, "/").await.expect_err("it is refused").to_string(), expected);
        asked.await.expect("it was asked");
    }
}

#[tokio::test]
async fn any_status_can_be_looked_at() {
    let (port, asked) = server("HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\nnull").await;
    let answer = call(port, http::Method::DELETE, "/", None).await.expect("there is an answer");
    assert_eq!((answer.status.as_u16(), answer.body), (409, serde_json::Value::Null));
    asked.await.expect("it was asked");
}

#[tokio::test]
async fn a_port_without_a_server_is_named() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    assert_eq!(
        get(port, "/").await.expect_err("nobody is there").to_string(),
        format!(
            "error: no server answers on port {port} of this machine\n  \
             hint: start one with `miniflow dev`, or name the port of one that runs with `--port`"
        )
    );
}

#[tokio::test]
async fn what_is_no_server_is_named() {
    let (port, asked) = server("220 mail.example.com ESMTP\r\n").await;
    let problem = get(port, "/").await.expect_err("that is not HTTP").to_string();
    assert!(problem.starts_with(&format!("error: the server on port {port} did not answer: ")), "{problem}");
    asked.await.expect("it was asked");
}
