//! What has failed too often.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use miniflow_tests::{Dev, Reply, Sink};
use serde_json::{Value, json};

use super::{count, producers, send, task, wait_until_empty, worker};

fn consumer(queue: &str, retries: u32, dead_letter_queue: Option<&str>) -> Value {
    let mut consumer = json!({ "queue": queue, "max_batch_size": 1, "max_retries": retries });
    if let Some(dead) = dead_letter_queue {
        consumer["dead_letter_queue"] = json!(dead);
    }
    consumer
}

fn consuming(consumers: &[Value]) -> Dev {
    worker("w", &json!({ "producers": producers(), "consumers": consumers }))
}

// rules: A176
#[test]
fn a_dead_letter_comes_to_its_queues_consumer_as_new_but_for_its_id_and_time() {
    let server = consuming(&[consumer("q", 1, Some("dead")), consumer("dead", 0, None)]).start();
    let sink = Sink::start();
    send(&server, "Q", &[task("a", &sink, &["fail-on:q"])]).expect(200);
    sink.wait_for(1, &[("queue", "dead")]);
    let seen = sink.seen();
    let deliveries: Vec<_> = seen.iter().map(|seen| (seen.param("queue"), seen.param("attempt"))).collect();
    assert_eq!(deliveries, [("q", "1"), ("q", "2"), ("dead", "1")]);
    for delivery in &seen {
        assert_eq!(delivery.param("id"), seen[0].param("id"));
        assert_eq!(delivery.param("sent"), seen[0].param("sent"));
    }
}

#[test]
fn two_queues_may_be_each_others_dead_letter_queue() {
    let deliveries = AtomicUsize::new(0);
    let sink = Sink::answering(move |_| {
        let fails = deliveries.fetch_add(1, SeqCst) < 5;
        Reply::Answer(200, if fails { "fail" } else { "" }.to_owned())
    });
    let server = consuming(&[consumer("q", 0, Some("dead")), consumer("dead", 0, Some("q"))]).start();
    send(&server, "Q", &[task("a", &sink, &["obey"])]).expect(200);
    wait_until_empty(&server, "Q");
    sink.wait_for(6, &[]);
    let seen = sink.seen();
    let queues: Vec<_> = seen.iter().map(|seen| seen.param("queue")).collect();
    assert_eq!(queues, ["q", "dead", "q", "dead", "q", "dead"]);
    assert_eq!(sink.count(&[("attempt", "1")]), 6);
}

// rules: A176
#[test]
fn a_dead_letter_that_nobody_consumes_is_kept_and_delivered_to_who_does_so_later() {
    let sink = Sink::start();
    let dev = consuming(&[consumer("q", 0, Some("kept"))]);
    let server = dev.start();
    send(&server, "Q", &[task("a", &sink, &["fail-on:q"])]).expect(200);
    server.wait_for_line("to dead letter queue \"kept\" after 1 failed attempts");
    assert_eq!(count(&server, "KEPT"), 1);
    server.kill();
    let server = consuming(&[consumer("kept", 0, None)]).persist(&dev.state()).start();
    sink.wait_for(1, &[("queue", "kept"), ("attempt", "1")]);
    wait_until_empty(&server, "KEPT");
}

#[test]
fn without_a_dead_letter_queue_it_is_dropped_and_the_console_says_so() {
    let server = consuming(&[consumer("q", 1, None)]).start();
    let sink = Sink::start();
    send(&server, "Q", &[task("a", &sink, &["panic"])]).expect(200);
    let line = server.wait_for_line("dropped message");
    assert!(line.contains("of queue \"q\" after 2 failed attempts"), "{line}");
    assert_eq!((sink.count(&[]), count(&server, "Q")), (2, 0));
}

#[test]
fn a_queue_is_not_its_own_dead_letter_queue() {
    let refused = consuming(&[consumer("q", 0, Some("q"))]).refused();
    refused.assert_one_error(&["Dead letter queue for queue \"q\" cannot be itself"]);
}
