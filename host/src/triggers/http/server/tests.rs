//! Connections over a pipe in memory, with short limits.

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::Semaphore;

use super::*;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(3_600);

/// Answers with the body of the request, or with 500 when it cannot be read, as a Worker does. `/slow` waits for a permit.
#[derive(Clone)]
struct Echo {
    slow: &'static Semaphore,
}

impl Service for Echo {
    async fn call(&self, request: Request<WasiBody>, _local: SocketAddr) -> Response<WasiBody> {
        let is_slow = request.uri().path() == "/slow";
        let Ok(body) = request.into_body().collect().await else {
            return answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the Worker failed".to_owned());
        };
        if is_slow {
            let _ = self.slow.acquire().await;
        }
        answer::text(StatusCode::OK, String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }
}

/// A client's end of a connection.
fn connect(limits: Limits, slow: &'static Semaphore) -> DuplexStream {
    let (client, server) = tokio::io::duplex(1 << 16);
    let local = SocketAddr::from(([127, 0, 0, 1], 80));
    let connection = Connection { peer: Peer(local), local, service: Echo { slow }, limits, slow: Flood::default() };
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        connection.run(server, stopping).await;
        drop(stop);
    });
    client
}

fn never() -> &'static Semaphore {
    Box::leak(Box::new(Semaphore::new(0)))
}

/// Everything that the server sends after `request`, until it closes the connection.
async fn answers(limits: Limits, request: &str) -> String {
    let mut client = connect(limits, never());
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    answers
}

#[tokio::test]
async fn connection_without_a_whole_head_is_closed() {
    let limits = Limits { head: SHORT, body: LONG };
    assert_eq!(answers(limits, "").await, "");
    assert_eq!(answers(limits, "GET / HTTP/1.1\r\nHost: ").await, "");
}

#[tokio::test]
async fn connection_that_is_idle_after_an_answer_is_closed() {
    let answers = answers(Limits { head: SHORT, body: LONG }, "GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
    assert!(answers.starts_with("HTTP/1.1 200 ") && !answers.contains("connection: close"), "{answers}");
}

#[tokio::test]
async fn body_that_stops_arriving_is_a_408() {
    let request = "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx";
    let answers = answers(Limits { head: LONG, body: SHORT }, request).await;
    assert!(answers.starts_with("HTTP/1.1 408 "), "{answers}");
    assert!(answers.ends_with("nothing of it arrived for 0.05 s\n"), "{answers}");
}

#[tokio::test]
async fn body_that_cannot_be_read_is_a_400() {
    let chunked = "POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n";
    for broken in ["zz\r\nx\r\n0\r\n\r\n", "1\r\nxx\r\n0\r\n\r\n", "ffffffffffffffffff\r\n"] {
        let answers = answers(Limits { head: LONG, body: LONG }, &format!("{chunked}{broken}")).await;
        assert!(answers.starts_with("HTTP/1.1 400 "), "{broken:?}: {answers}");
        assert!(answers.contains("the body of the request could not be read"), "{answers}");
    }
}

#[tokio::test]
async fn body_that_ends_early_is_a_400() {
    let mut client = connect(Limits { head: LONG, body: LONG }, never());
    client.write_all(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn client_that_closes_its_sending_side_is_answered() {
    let slow = never();
    let mut client = connect(Limits { head: LONG, body: LONG }, slow);
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    slow.add_permits(1);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn client_that_is_gone_ends_its_request() {
    let mut client = connect(Limits { head: LONG, body: LONG }, never());
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "");
}
