//! Several Workers, and several batches at a time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use miniflow_tests::{Reply, Seen, Sink};
use serde_json::{Value, json};

use super::{count, producers, send, task, wait_until_empty, worker};

#[test]
fn one_worker_sends_and_another_of_the_session_consumes() {
    let sink = Sink::start();
    let shop = worker("shop", &json!({ "producers": producers() }));
    let post = worker("post", &json!({ "consumers": [{ "queue": "q", "max_batch_size": 1 }] }));
    let dev = shop.beside(post);
    let server = dev.start();
    send(&server, "Q", &[task("a", &sink, &[])]).expect(200);
    wait_until_empty(&server, "Q");
    assert_eq!(sink.count(&[("name", "a")]), 1);
    drop(server);
    // What is sent while the other is not there waits for it.
    let alone = worker("shop", &json!({ "producers": producers() })).persist(&dev.state()).start();
    send(&alone, "Q", &[task("b", &sink, &[])]).expect(200);
    assert_eq!(count(&alone, "Q"), 1);
    drop(alone);
    let server = dev.start();
    sink.wait_for(1, &[("name", "b"), ("attempt", "1")]);
    wait_until_empty(&server, "Q");
}

#[test]
fn a_queue_with_two_consumers_is_one_error_that_says_where_they_are() {
    let consumer = json!({ "queue": "q" });
    let twice = worker("shop", &json!({ "consumers": [consumer, consumer] })).refused();
    twice.assert_one_error(&["queue `q` has more than one consumer", "  also: "]);
    let one = json!({ "consumers": [consumer] });
    let both = worker("shop", &one).beside(worker("post", &one)).refused();
    both.assert_one_error(&["the Workers `shop` and `post` both consume the queue `q`"]);
}

/// What the handlers of a test are at: a delivery begins with `name`, waits with `waits` until told to go, and ends with `left`.
#[derive(Default)]
struct Handlers {
    now: AtomicUsize,
    most: AtomicUsize,
    /// So many are waited for before any may go.
    wanted: AtomicUsize,
    order: Mutex<Vec<String>>,
}

impl Handlers {
    fn wanted(count: usize) -> Arc<Self> {
        let handlers = Self::default();
        handlers.wanted.store(count, SeqCst);
        Arc::new(handlers)
    }

    fn answer(&self, seen: &Seen) -> Reply {
        if seen.query.contains_key("name") {
            let now = self.now.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(now, SeqCst);
            self.order.lock().unwrap().push(seen.param("name").to_owned());
        } else if seen.query.contains_key("left") {
            self.now.fetch_sub(1, SeqCst);
        } else if self.most.load(SeqCst) >= self.wanted.load(SeqCst) {
            return Reply::Answer(200, "go".to_owned());
        }
        Reply::ok()
    }

    fn sink(self: &Arc<Self>) -> Sink {
        let handlers = Arc::clone(self);
        Sink::answering(move |seen| handlers.answer(seen))
    }
}

/// Handles `messages` batches of one message, of which `wanted` have to run at the same time; what the handlers were at.
fn handle(messages: usize, max_concurrency: Option<u32>, wanted: usize) -> Arc<Handlers> {
    let handlers = Handlers::wanted(wanted);
    let sink = handlers.sink();
    let mut consumer = json!({ "queue": "q", "max_batch_size": 1 });
    if let Some(most) = max_concurrency {
        consumer["max_concurrency"] = json!(most);
    }
    let server = worker("w", &json!({ "producers": producers(), "consumers": [consumer] })).start();
    let tasks: Vec<Value> = (0..messages).map(|n| task(&n.to_string(), &sink, &["wait", "leave"])).collect();
    send(&server, "Q", &tasks).expect(200);
    wait_until_empty(&server, "Q");
    handlers
}

#[test]
fn as_many_batches_are_handled_at_a_time_as_the_configuration_allows() {
    assert_eq!(handle(12, Some(3), 3).most.load(SeqCst), 3);
    // By default more than that, or they would wait for each other for ever.
    assert!(handle(12, None, 5).most.load(SeqCst) >= 5);
}

#[test]
fn one_batch_at_a_time_is_in_the_order_of_sending() {
    let handlers = handle(20, Some(1), 1);
    assert_eq!(handlers.most.load(SeqCst), 1);
    let expected: Vec<_> = (0..20).map(|n: u32| n.to_string()).collect();
    assert_eq!(*handlers.order.lock().unwrap(), expected);
}
