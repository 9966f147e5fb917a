//! Deliveries and their moments, on a clock that is moved.

use miniflow_tests::{Server, Sink};
use serde_json::{Value, json};

use super::{advance, count, manual, producers, send, task, worker};

/// One that delivers each message by itself and at once, and retries it once, after 30 seconds unless told.
fn one_by_one(retries: u32) -> Server {
    let consumer = json!({ "queue": "q", "max_batch_size": 1, "max_retries": retries, "retry_delay": 30 });
    manual(worker("w", &json!({ "producers": producers(), "consumers": [consumer] })))
}

/// Asserts that the next delivery of `name` is the `n`-th, and comes in `ms`.
#[track_caller]
fn comes_in(server: &Server, sink: &Sink, name: &str, n: usize, ms: u64) {
    advance(server, ms - 1);
    assert_eq!(sink.count(&[("name", name)]), n - 1, "{name}: too early");
    advance(server, 1);
    assert_eq!(sink.count(&[("name", name)]), n, "{name}: too late");
}

// rules: A176
#[test]
fn a_batch_that_is_not_full_comes_after_its_timeout_and_a_full_one_at_once() {
    let consumer = json!({ "queue": "q", "max_batch_size": 2, "max_batch_timeout": 60 });
    let server = manual(worker("w", &json!({ "producers": producers(), "consumers": [consumer] })));
    let sink = Sink::start();
    send(&server, "Q", &[task("a", &sink, &[])]).expect(200);
    advance(&server, 59_000);
    send(&server, "Q", &[task("b", &sink, &[]), task("c", &sink, &[])]).expect(200);
    advance(&server, 0);
    assert_eq!(sink.count(&[("of", "2")]), 2, "full");
    comes_in(&server, &sink, "c", 1, 60_000);
    send(&server, "Q", &[task("d", &sink, &[])]).expect(200);
    let moved = advance(&server, 60_000);
    assert_eq!(moved["moved"]["due"][0]["what"], "queue q delivers 1 message", "{moved}");
    assert_eq!(count(&server, "Q"), 0);
}

// rules: A176
#[test]
fn a_message_waits_as_its_own_delay_says_else_its_batchs_else_its_queues() {
    let sink = Sink::start();
    let mut producers = producers();
    producers[0]["delivery_delay"] = json!(10);
    let consumer = json!({ "queue": "q", "max_batch_size": 1 });
    let server = manual(worker("w", &json!({ "producers": producers, "consumers": [consumer] })));
    let typed = |name: &str, delay: Option<u32>| {
        let mut message = json!({ "type": "json", "body": task(name, &sink, &[]) });
        if let Some(delay) = delay {
            message["delay"] = json!(delay);
        }
        message
    };
    let send_as = |messages: Value, delay: Option<u32>| {
        let mut body = json!({ "messages": messages });
        if let Some(delay) = delay {
            body["delay"] = json!(delay);
        }
        server.post("/send-as?to=Q", body).expect(200)
    };
    let _ = send_as(json!([typed("by its queue", None)]), None);
    comes_in(&server, &sink, "by its queue", 1, 10_000);
    let _ = send_as(json!([typed("at once", Some(0))]), None);
    advance(&server, 0);
    assert_eq!(sink.count(&[("name", "at once")]), 1);
    let _ = send_as(json!([typed("by its batch", None), typed("by itself", Some(5))]), Some(20));
    comes_in(&server, &sink, "by itself", 1, 5_000);
    comes_in(&server, &sink, "by its batch", 1, 15_000);
    let _ = send_as(json!([typed("the longest", Some(86_400))]), None);
    comes_in(&server, &sink, "the longest", 1, 86_400_000);
}

// rules: A176
#[test]
fn a_message_is_retried_after_its_own_delay_else_its_batchs_else_its_consumers() {
    let server = one_by_one(1);
    let sink = Sink::start();
    for (then, seconds) in [
        (&["fail"][..], 30),
        (&["retry"], 30),
        (&["retry:5"], 5),
        (&["retry-all"], 30),
        (&["retry-all:7"], 7),
        (&["retry:5", "retry-all:7"], 5),
        (&["retry", "retry-all:7"], 7),
        (&["retry-all:7", "fail"], 7),
    ] {
        let name = then.join(" ");
        send(&server, "Q", &[task(&name, &sink, then)]).expect(200);
        advance(&server, 0);
        assert_eq!(sink.count(&[("name", &name)]), 1, "{name}");
        comes_in(&server, &sink, &name, 2, seconds * 1000);
        assert_eq!(sink.count(&[("name", &name), ("attempt", "2")]), 1, "{name}");
        server.wait_for_line("after 2 failed attempts");
        assert_eq!(count(&server, "Q"), 0, "{name}: it has failed too often");
    }
    // 0 is a delay as well.
    send(&server, "Q", &[task("again", &sink, &["retry:0"])]).expect(200);
    advance(&server, 0);
    assert_eq!(sink.count(&[("name", "again")]), 2);
}

#[test]
fn a_retry_waits_for_a_day_at_most() {
    let server = one_by_one(1);
    let sink = Sink::start();
    send(&server, "Q", &[task("a", &sink, &["retry:86401"])]).expect(200);
    server.wait_for_line("a retry delay of 86401 seconds exceeds limit of 86400: it is cut to that");
    comes_in(&server, &sink, "a", 2, 86_400_000);
}

// rules: A176
#[test]
fn what_is_said_first_counts_and_of_one_more_than_of_all() {
    let server = one_by_one(9);
    let sink = Sink::start();
    for (then, comes_again) in [
        (&["ack", "retry"][..], false),
        (&["retry", "ack"], true),
        (&["ack-all", "retry-all"], false),
        (&["retry-all", "ack-all"], true),
        (&["ack-all", "retry"], true),
        (&["retry-all", "ack"], false),
        (&["ack-all", "fail"], false),
        (&["ack-all", "panic"], false),
    ] {
        let name = then.join(" ");
        send(&server, "Q", &[task(&name, &sink, then)]).expect(200);
        advance(&server, 0);
        advance(&server, 30_000);
        assert_eq!(sink.count(&[("name", &name)]), 1 + usize::from(comes_again), "{name}");
    }
}

#[test]
fn a_message_keeps_its_id_and_the_time_it_was_sent() {
    let server = one_by_one(2);
    let sink = Sink::start();
    let metrics = || server.get("/metrics?to=Q").expect(200).json();
    let sent = metrics()["now"].clone();
    assert_eq!(metrics()["oldest"], Value::Null);
    send(&server, "Q", &[task("a", &sink, &["retry"])]).expect(200);
    advance(&server, 0);
    advance(&server, 30_000);
    let waiting = metrics();
    assert_eq!((&waiting["count"], &waiting["oldest"]), (&json!(1), &sent));
    assert_eq!(waiting["bytes"].as_u64(), Some(task("a", &sink, &["retry"]).to_string().len() as u64));
    let seen = sink.seen();
    assert_eq!(seen.len(), 2);
    for delivery in &seen {
        assert_eq!((delivery.param("id"), delivery.param("sent")), (seen[0].param("id"), sent.to_string().as_str()));
    }
}
