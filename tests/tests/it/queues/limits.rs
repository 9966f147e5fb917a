//! What may be sent, and what a configuration may say.

use miniflow_tests::{Answer, Dev, Server, Sink};
use serde_json::{Value, json};

use super::{count, producers, worker};

/// Sends messages; why that is refused.
#[track_caller]
fn refused(server: &Server, route: &str, body: Value) -> String {
    server.post(route, body).expect(400).json()["error"].as_str().unwrap().to_owned()
}

fn send_as(server: &Server, messages: &Value) -> Answer {
    server.post("/send-as?to=KEPT", json!({ "messages": messages }))
}

#[test]
fn what_a_producer_may_not_do_is_told() {
    let server = Dev::guest("queues").start();
    let refused = |to: &str, body: Value| refused(&server, &format!("/send?to={to}"), body);
    let one = |message: Value| json!({ "messages": [message] });
    // A text of JSON has two quotes.
    let large = refused("KEPT", one("a".repeat(127_999).into()));
    assert_eq!(large, "Queue send failed: message length of 128001 bytes exceeds limit of 128000");
    let many = refused("KEPT", json!({ "messages": vec![1; 101] }));
    assert_eq!(many, "Queue sendBatch failed: batch message count of 101 exceeds limit of 100");
    let none = refused("KEPT", json!({ "messages": [] }));
    assert_eq!(none, "Queue sendBatch failed: the batch has no messages");
    let late = refused("KEPT", json!({ "messages": [1], "delay": 86_401 }));
    assert_eq!(late, "Queue send failed: delay of 86401 seconds exceeds limit of 86400");
    assert_eq!(
        refused("kept", one(json!(1))),
        "no queue `kept` is bound: there is `KEPT`, `Q`",
        "the queue's own name"
    );
    assert_eq!(refused("ORDER", one(json!(1))), "`ORDER` is bound as a workflow, not as a queue");
    assert_eq!(count(&server, "KEPT"), 0);
}

// rules: A176
#[test]
fn as_much_is_sent_as_is_allowed_and_of_a_batch_with_more_nothing() {
    let server = Dev::guest("queues").start();
    let text = |length: usize| json!({ "type": "text", "body": "a".repeat(length) });
    send_as(&server, &json!([text(128_000)])).expect(200);
    send_as(&server, &json!([text(128_000), text(128_000)])).expect(200);
    send_as(&server, &json!(vec![text(1); 100])).expect(200);
    assert_eq!(count(&server, "KEPT"), 103);
    let refused = |messages: Value| refused(&server, "/send-as?to=KEPT", json!({ "messages": messages }));
    assert_eq!(
        refused(json!([text(128_000), text(127_999), text(2)])),
        "Queue sendBatch failed: batch size of 256001 bytes exceeds limit of 256000"
    );
    assert_eq!(
        refused(json!([text(1), text(128_001)])),
        "Queue sendBatch failed: message 1 of the batch has a length of 128001 bytes, which exceeds limit of 128000"
    );
    let late = json!([text(1), { "type": "text", "body": "b", "delay": 86_401 }]);
    assert_eq!(refused(late), "Queue send failed: delay of 86401 seconds exceeds limit of 86400");
    let longest = json!([{ "type": "text", "body": "b", "delay": 86_400 }]);
    send_as(&server, &longest).expect(200);
    assert_eq!(count(&server, "KEPT"), 104);
}

#[test]
fn a_body_comes_as_its_content_type_says() {
    let sink = Sink::start();
    let consumers = json!([{ "queue": "q", "max_batch_size": 7 }]);
    let server = Dev::guest("queues")
        .config(json!({
            "vars": { "SINK": sink.url() },
            "queues": { "producers": producers(), "consumers": consumers },
        }))
        .start();
    let sent = json!([
        { "type": "json", "body": { "a": [1, null] } },
        { "type": "json", "body": "text" },
        { "type": "text", "body": "käse" },
        { "type": "bytes", "body": [0, 255, 128] },
        { "type": "v8", "body": [true] },
        // Written by somebody else: what a structured clone looks like, and JSON with blanks.
        { "type": "bytes", "raw": true, "body": [255, 15, 84] },
        { "type": "json", "raw": true, "body": [32, 55, 32] },
    ]);
    let _ = server.post("/send-as?to=Q", json!({ "messages": sent })).expect(200);
    sink.wait_for(7, &[]);
    let mut came: Vec<_> = sink.seen();
    came.sort_by_key(|seen| seen.param("raw").to_owned());
    let shown: Vec<_> = came.iter().map(|seen| (seen.param("type"), seen.param("raw"), seen.param("read"))).collect();
    let mut expected = vec![
        ("json", "7b2261223a5b312c6e756c6c5d7d", r#"{"a":[1,null]}"#),
        ("json", "227465787422", r#""text""#),
        ("text", "6bc3a47365", r#""käse""#),
        ("bytes", "00ff80", "[0,255,128]"),
        ("v8", "5b747275655d", "[true]"),
        ("bytes", "ff0f54", "[255,15,84]"),
        ("json", "203720", "7"),
    ];
    expected.sort_by_key(|(_, raw, _)| (*raw).to_owned());
    assert_eq!(shown, expected);
    for seen in &came {
        assert!(seen.param("id").len() == 32 && seen.param("id").bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!((seen.param("queue"), seen.param("attempt"), seen.param("of")), ("q", "1", "7"));
    }
}

#[test]
fn a_body_that_is_not_of_its_content_type_is_refused() {
    let server = Dev::guest("queues").start();
    for (message, why) in [
        (json!({ "type": "text", "body": 7 }), "a message of content type `text` must be a text, such as a `String`"),
        (
            json!({ "type": "bytes", "body": "text" }),
            "a message of content type `bytes` must be a sequence of bytes, such as a `Vec<u8>`",
        ),
        (
            json!({ "type": "text", "raw": true, "body": [255] }),
            "Queue send failed: the body is not of content type `text`: invalid utf-8",
        ),
        (
            json!({ "type": "json", "raw": true, "body": [123] }),
            "Queue send failed: the body is not of content type `json`: EOF while parsing",
        ),
    ] {
        let body = json!({ "messages": [{ "type": "json", "body": 1 }, message] });
        let refused = refused(&server, "/send-as?to=KEPT", body);
        assert!(refused.starts_with(why), "{refused}");
    }
    assert_eq!(count(&server, "KEPT"), 0, "the others of the batch are not sent either");
}

/// Each number of a consumer, what it may be at least and at most.
const BOUNDS: [(&str, i64, i64); 5] = [
    ("max_batch_size", 1, 100),
    ("max_batch_timeout", 0, 60),
    ("max_retries", 0, 100),
    ("max_concurrency", 1, 250),
    ("retry_delay", 0, 86_400),
];

/// The guest with all numbers of its consumer a little beside their `bound`.
fn beside(bound: impl Fn(i64, i64) -> i64) -> Dev {
    let mut consumer = json!({ "queue": "q" });
    for (key, least, most) in BOUNDS {
        consumer[key] = json!(bound(least, most));
    }
    worker("w", &json!({ "producers": producers(), "consumers": [consumer] }))
}

#[test]
fn numbers_of_a_consumer_are_taken_up_to_their_bounds_and_not_beyond() {
    for dev in [beside(|least, _| least), beside(|_, most| most)] {
        drop(dev.start());
    }
    for dev in [beside(|least, _| least - 1), beside(|_, most| most + 1)] {
        let refusal = dev.refused();
        assert_eq!(refusal.code, Some(1));
        for (key, least, most) in BOUNDS {
            let problem = format!(
                "error: \"queues.consumers[0]\" \"{key}\" field must be a whole number from {least} to {most} but got"
            );
            assert!(refusal.text.contains(&problem), "`{problem}` is missing in\n{}", refusal.text);
        }
    }
}
