//! The life of messages, with a closure in the place of a guest.

use std::sync::Mutex;

use miniflow_runtime::storage::Durability;
use miniflow_runtime::testing::SimClock;
use miniflow_runtime::{Clock, Timestamp};
use tokio::sync::mpsc;

use super::*;
use crate::bindings::queue::{BoundQueue, ContentType, Mark, Marks, Outgoing};

/// A batch that is being handled; the test says how that ends.
struct Handled {
    queue: String,
    bodies: Vec<String>,
    attempts: Vec<u32>,
    marks: Arc<Marks>,
    end: tokio::sync::oneshot::Sender<bool>,
}

impl Handled {
    fn succeed(self) {
        self.end.send(false).unwrap();
    }

    fn fail(self) {
        self.end.send(true).unwrap();
    }
}

struct Scripted(mpsc::UnboundedSender<Handled>);

impl Handle for Scripted {
    fn ready(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }

    fn handle<'a>(&'a self, queues: &'a Queues, queue: &'a str, messages: Vec<Received>) -> BoxFuture<'a, Consumed> {
        async move {
            let (_, marks) = queues.open_batch(&messages);
            let (end, ended) = tokio::sync::oneshot::channel();
            let handled = Handled {
                queue: queue.to_owned(),
                bodies: messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect(),
                attempts: messages.iter().map(|message| message.attempts).collect(),
                marks: Arc::clone(&marks),
                end,
            };
            self.0.send(handled).unwrap();
            Consumed { marks, failed: ended.await.unwrap() }
        }
        .boxed()
    }
}

struct World {
    clock: SimClock,
    queues: Queues,
    consumers: Consumers,
    batches: mpsc::UnboundedReceiver<Handled>,
    handler: Arc<Scripted>,
}

fn options(queue: &str) -> ConsumerOptions {
    ConsumerOptions {
        queue: queue.to_owned(),
        batch: BatchRule { size_max: 5, timeout_ms: 1000 },
        retries_max: 2,
        retry_delay_s: 0,
        dead_letter_queue: None,
        concurrency_max: None,
    }
}

impl World {
    fn new(options: Vec<ConsumerOptions>) -> Self {
        Self::on(None, options)
    }

    fn on(directory: Option<&std::path::Path>, options: Vec<ConsumerOptions>) -> Self {
        let clock = SimClock::at(Timestamp(1_000_000));
        let queues = Queues::new(directory, Durability::Normal, Arc::new(clock.clone()));
        queues.open().unwrap();
        let (sender, batches) = mpsc::unbounded_channel();
        let consumers = Consumers::new(queues.clone());
        let world = Self { clock, queues, consumers, batches, handler: Arc::new(Scripted(sender)) };
        world.consume(options);
        world
    }

    fn consume(&self, options: Vec<ConsumerOptions>) {
        let of = |options| Consumption { worker: "w".to_owned(), options };
        let handler = Arc::clone(&self.handler);
        self.consumers.set(options.into_iter().map(of).collect(), |_| Arc::clone(&handler) as Arc<dyn Handle>);
    }

    async fn send(&self, bodies: std::ops::Range<u32>) {
        for body in bodies {
            self.send_delayed(&body.to_string(), None).await;
        }
    }

    async fn send_delayed(&self, body: &str, delay_s: Option<u32>) {
        let to = BoundQueue { queue: "q".to_owned(), delay_s: 0 };
        let message = Outgoing { body: body.to_owned().into(), content_type: ContentType::Text, delay_s };
        self.queues.send(&to, message).await.unwrap().unwrap();
    }

    async fn batch(&mut self) -> Handled {
        self.batches.recv().await.unwrap()
    }

    /// Asserts that nothing is delivered: everything that could be was asked for and answered.
    async fn nothing(&mut self) {
        for _ in 0..4 {
            // The consumer's own questions are answered before ours.
            self.queues.backlogs().await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(self.batches.try_recv().is_err(), "nothing is to be delivered");
    }

    async fn empty(&self) {
        while !self.queues.backlogs().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

// rules: A176
#[tokio::test]
async fn a_full_batch_is_delivered_at_once_and_the_rest_after_the_timeout() {
    let mut world = World::new(vec![options("q")]);
    world.send(0..7).await;
    let first = world.batch().await;
    assert_eq!(
        (first.queue.as_str(), first.bodies.as_slice()),
        ("q", &["0", "1", "2", "3", "4"].map(String::from)[..])
    );
    first.succeed();
    world.nothing().await;
    world.clock.advance_ms(999);
    world.nothing().await;
    world.clock.advance_ms(1);
    let rest = world.batch().await;
    assert_eq!(rest.bodies, ["5", "6"]);
    rest.succeed();
    world.empty().await;
}

// rules: A176
#[tokio::test]
async fn a_batch_that_fills_up_while_it_waits_is_delivered_at_once() {
    let mut world = World::new(vec![options("q")]);
    world.send(0..2).await;
    world.nothing().await;
    world.clock.advance_ms(500);
    world.send(2..5).await;
    assert_eq!(world.batch().await.bodies.len(), 5);
}

// rules: A176
#[tokio::test]
async fn a_failure_delivers_again_what_is_not_acknowledged_until_it_has_failed_too_often() {
    let mut world = World::new(vec![options("q")]);
    world.send(0..2).await;
    world.clock.advance_ms(1000);
    let first = world.batch().await;
    assert!(first.marks.mark(0, Mark::Ack));
    first.fail();
    for attempt in 2..=3 {
        while world.batches.is_empty() {
            world.clock.advance_ms(1000);
            tokio::task::yield_now().await;
        }
        let again = world.batch().await;
        assert_eq!((again.bodies.as_slice(), again.attempts.as_slice()), (&["1".to_owned()][..], &[attempt][..]));
        again.fail();
    }
    world.empty().await;
}

// rules: A176
#[tokio::test]
async fn dead_letters_go_to_their_queue_and_back_if_that_is_configured_so() {
    let to = |queue: &str, other: &str| ConsumerOptions {
        retries_max: 0,
        batch: BatchRule { size_max: 1, timeout_ms: 0 },
        dead_letter_queue: Some(other.to_owned()),
        ..options(queue)
    };
    let mut world = World::new(vec![to("q", "dead"), to("dead", "q")]);
    world.send(0..1).await;
    for queue in ["q", "dead", "q", "dead"] {
        let batch = world.batch().await;
        assert_eq!((batch.queue.as_str(), batch.attempts.as_slice()), (queue, &[1][..]));
        batch.fail();
    }
    world.batch().await.succeed();
    world.empty().await;
}

// rules: A176
#[tokio::test]
async fn a_delay_holds_a_message_back_and_a_retry_has_its_own() {
    let mut world =
        World::new(vec![ConsumerOptions { batch: BatchRule { size_max: 1, timeout_ms: 0 }, ..options("q") }]);
    world.send_delayed("a", Some(3)).await;
    world.nothing().await;
    world.clock.advance_ms(2999);
    world.nothing().await;
    world.clock.advance_ms(1);
    let first = world.batch().await;
    first.marks.mark(0, Mark::Retry(Some(5)));
    first.succeed();
    world.nothing().await;
    world.clock.advance_ms(4999);
    world.nothing().await;
    world.clock.advance_ms(1);
    let second = world.batch().await;
    assert_eq!(second.attempts, [2]);
    second.succeed();
    world.empty().await;
}

#[tokio::test]
async fn as_many_batches_are_handled_at_a_time_as_configured() {
    let one = BatchRule { size_max: 1, timeout_ms: 0 };
    let mut world = World::new(vec![ConsumerOptions { batch: one, concurrency_max: Some(2), ..options("q") }]);
    world.send(0..3).await;
    let (first, second) = (world.batch().await, world.batch().await);
    world.nothing().await;
    first.succeed();
    assert_eq!(world.batch().await.bodies, ["2"]);
    second.succeed();
}

#[tokio::test]
async fn without_a_consumer_messages_stay_and_go_to_one_that_comes() {
    let mut world = World::new(Vec::new());
    world.send(0..5).await;
    world.nothing().await;
    world.consume(vec![options("q")]);
    assert_eq!(world.batch().await.bodies.len(), 5);
}

#[tokio::test]
async fn a_consumer_that_changes_finishes_what_it_handles_and_goes_on_as_it_is_now() {
    let mut world = World::new(vec![options("q")]);
    world.send(0..5).await;
    let first = world.batch().await;
    world.consume(vec![ConsumerOptions { batch: BatchRule { size_max: 1, timeout_ms: 0 }, ..options("q") }]);
    world.send(5..6).await;
    let next = world.batch().await;
    assert_eq!(next.bodies, ["5"]);
    next.succeed();
    first.succeed();
    world.empty().await;
    world.consume(Vec::new());
    world.send(6..7).await;
    world.nothing().await;
}

#[tokio::test]
async fn a_stop_takes_back_what_is_being_handled_as_if_it_had_not_been_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::on(Some(directory.path()), vec![options("q")]);
    world.send(0..5).await;
    let batch = world.batch().await;
    world.consumers.stop(Duration::ZERO).await;
    assert!(batch.end.is_closed(), "the handler is gone");
    drop(world.queues);
    let mut world = World::on(Some(directory.path()), vec![options("q")]);
    assert_eq!(world.batch().await.attempts, [1; 5]);
}

// rules: A176
#[tokio::test]
async fn what_is_4_days_old_is_dropped() {
    let mut world = World::new(Vec::new());
    world.send(0..3).await;
    world.nothing().await;
    world.clock.advance_ms(4 * 24 * 3600 * 1000 - 1);
    world.nothing().await;
    assert_eq!(world.queues.metrics("q").await.unwrap().count, 3);
    world.clock.advance_ms(1);
    world.empty().await;
}

/// A clock that counts who holds it.
struct Counting(SimClock, Arc<Mutex<usize>>);

struct Held(Arc<Mutex<usize>>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.lock().unwrap() -= 1;
    }
}

impl Clock for Counting {
    fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }

    fn sleep_until_ns(&self, when_ns: u64) -> BoxFuture<'static, ()> {
        self.0.sleep_until_ns(when_ns)
    }

    fn hold(&self) -> miniflow_runtime::clock::Hold {
        *self.1.lock().unwrap() += 1;
        miniflow_runtime::clock::Hold::new(Held(Arc::clone(&self.1)))
    }
}

#[tokio::test]
async fn the_clock_is_held_from_the_sending_until_the_batch_is_settled() {
    let (clock, holds) = (SimClock::at(Timestamp(0)), Arc::new(Mutex::new(0)));
    let queues = Queues::new(None, Durability::Normal, Arc::new(Counting(clock, Arc::clone(&holds))));
    queues.open().unwrap();
    let (sender, mut batches) = mpsc::unbounded_channel();
    let consumers = Consumers::new(queues.clone());
    let handler: Arc<dyn Handle> = Arc::new(Scripted(sender));
    let now = ConsumerOptions { batch: BatchRule { size_max: 1, timeout_ms: 0 }, ..options("q") };
    let consumption = Consumption { worker: "w".to_owned(), options: now };
    consumers.set(vec![consumption], |_| Arc::clone(&handler));
    // Until the consumer is there.
    for _ in 0..4 {
        queues.backlogs().await.unwrap();
        tokio::task::yield_now().await;
    }
    let held = || *holds.lock().unwrap();
    let to = BoundQueue { queue: "q".to_owned(), delay_s: 0 };
    let message = Outgoing { body: "1".into(), content_type: ContentType::Json, delay_s: None };
    queues.send(&to, message).await.unwrap().unwrap();
    assert!(held() > 0, "nobody has looked yet");
    let batch = batches.recv().await.unwrap();
    assert!(held() > 0, "it is being handled");
    batch.succeed();
    while held() > 0 {
        queues.backlogs().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(queues.metrics("q").await.unwrap().count, 0, "settled before the clock was let go");
    // What nobody fetches does not hold it.
    let elsewhere = BoundQueue { queue: "kept".to_owned(), delay_s: 0 };
    let message = Outgoing { body: "1".into(), content_type: ContentType::Json, delay_s: None };
    queues.send(&elsewhere, message).await.unwrap().unwrap();
    assert_eq!(held(), 0);
}
