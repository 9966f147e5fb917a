//! Requests of guests in a test.

use std::time::Duration;

use miniflow_test::TestWorker;
use serde_json::{Value, json};

use super::introspection;

async fn relayed(worker: &TestWorker, url: &str) -> Value {
    worker.get(&format!("/relay?url={url}")).await.unwrap().json().unwrap()
}

#[tokio::test]
async fn a_request_to_the_network_is_denied_and_named() {
    let worker = introspection().await;
    let error = relayed(&worker, "https://bank.example/charge").await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("GET https://bank.example/charge was not sent: tests have no network"), "{error}");
    assert!(error.contains(r#"`worker.outbound("https://bank.example", …)`"#), "{error}");
    assert_eq!(worker.outbound_requests().len(), 1);
}

#[tokio::test]
async fn the_test_answers_in_the_place_of_the_network() {
    let worker = introspection().await;
    worker.outbound("bank.example", |_| async { http::Response::new("the front door") });
    worker.outbound("https://bank.example/charge", |request| async move {
        let answer = json!({ "asked": request.uri().path() });
        http::Response::builder().status(402).body(answer).unwrap()
    });
    let charged = relayed(&worker, "https://bank.example/charge/7").await;
    assert_eq!(charged, json!({ "status": 402, "body": r#"{"asked":"/charge/7"}"# }));
    assert_eq!(relayed(&worker, "https://bank.example/").await["body"], "the front door");
    assert_eq!(worker.outbound_requests().len(), 2);
}

#[tokio::test]
async fn no_time_is_skipped_while_the_test_answers() {
    let worker = introspection().await;
    let clock = worker.clock();
    worker.outbound("slow.example", move |_| {
        let clock = clock.clone();
        async move {
            let before = clock.now();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            http::Response::new(clock.now().since(before).as_secs().to_string())
        }
    });
    // The nap of another request would have the clock jump.
    let (nap, slow) = tokio::join!(worker.get("/nap?ms=600000"), relayed(&worker, "http://slow.example/"));
    assert!(nap.unwrap().json::<u64>().unwrap() >= 600_000);
    assert!(Duration::from_secs(slow["body"].as_str().unwrap().parse().unwrap()) < Duration::from_secs(300), "{slow}");
}
