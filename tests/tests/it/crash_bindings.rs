//! The process is killed while objects, queues and KV are at work, at moments chosen by a seed that is printed (see `crash.rs`).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use miniflow_tests::{Client, Dev, Sink, eventually};
use rand::RngExt;
use serde_json::{Value, json};

use crate::crash::random;

const KILLS: usize = 4;

/// What was asked of an object, and how much of it was answered.
#[derive(Default)]
struct Asked {
    asked: AtomicUsize,
    answered: AtomicUsize,
}

impl Asked {
    /// Asks the object again and again, until there is nobody to ask.
    fn keep_asking(&self, client: &Client, object: usize) {
        let operations = json!([
            { "op": "sql", "query": "CREATE TABLE IF NOT EXISTS t (x)" },
            { "op": "increment", "key": "n" },
            { "op": "sql", "query": "INSERT INTO t VALUES (1)" },
        ]);
        loop {
            self.asked.fetch_add(1, SeqCst);
            let Ok(answer) = client.post(&format!("/run/KEEPER/{object}"), operations.clone()) else { return };
            let _ = answer.expect(200);
            self.answered.fetch_add(1, SeqCst);
        }
    }
}

#[test]
fn after_kills_at_any_moment_an_object_has_what_it_answered_and_each_event_whole() {
    const OBJECTS: usize = 3;
    let (mut random, dev) = (random(), Dev::guest("objects"));
    let objects: [Asked; OBJECTS] = Default::default();
    let answered = || objects.iter().map(|object| object.answered.load(SeqCst)).sum::<usize>();
    for _ in 0..KILLS {
        let server = dev.start();
        let client = server.client();
        let enough = answered() + random.random_range(1..80);
        std::thread::scope(|scope| {
            for (number, object) in objects.iter().enumerate().chain(objects.iter().enumerate()) {
                let client = &client;
                scope.spawn(move || object.keep_asking(client, number));
            }
            eventually("so many answers", || (answered() >= enough).then_some(()));
            server.kill();
        });
    }
    let server = dev.start();
    for (number, object) in objects.iter().enumerate() {
        let look = json!([{ "op": "get", "key": "n" }, { "op": "sql_one", "query": "SELECT count(*) AS n FROM t" }]);
        let found = server.post(&format!("/run/KEEPER/{number}"), look).expect(200).json();
        let n = usize::try_from(found[0].as_u64().unwrap()).unwrap();
        let (asked, answered) = (object.asked.load(SeqCst), object.answered.load(SeqCst));
        assert!((answered..=asked).contains(&n), "{answered} of {asked} were answered, {n} are kept");
        assert_eq!(found[1]["n"], found[0], "the entry and the table are of the same events");
    }
}

#[test]
fn after_kills_at_any_moment_no_message_is_lost_and_none_comes_again_that_was_acknowledged() {
    let mut random = random();
    let sink = Sink::start();
    let queues = json!({
        "producers": [{ "binding": "Q", "queue": "q" }, { "binding": "KEPT", "queue": "kept" }],
        "consumers": [{ "queue": "q", "max_batch_size": 4, "max_batch_timeout": 0, "max_retries": 100 }],
    });
    let dev = Dev::guest("queues").config(json!({ "queues": queues }));
    let (number, sent) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // What is acknowledged is durable when `left` is told.
    let left = || sink.seen().iter().filter(|seen| seen.query.contains_key("left")).count();
    let keep_sending = |client: &Client| loop {
        let name = number.fetch_add(1, SeqCst).to_string();
        let task = json!({ "name": name, "sink": sink.url(), "then": ["ack", "leave"] });
        let Ok(answer) = client.post("/send?to=Q", json!({ "messages": [task] })) else { return };
        let _ = answer.expect(200);
        sent.lock().unwrap().push(name);
    };
    for _ in 0..KILLS {
        let server = dev.start();
        let client = server.client();
        let enough = left() + random.random_range(1..60);
        std::thread::scope(|scope| {
            scope.spawn(|| keep_sending(&client));
            scope.spawn(|| keep_sending(&client));
            eventually("so many messages are done", || (left() >= enough).then_some(()));
            server.kill();
        });
    }
    let server = dev.start();
    let count = || server.get("/metrics?to=Q").expect(200).json()["count"].clone();
    eventually("the queue is empty", || (count() == json!(0)).then_some(()));
    let seen = sink.seen();
    let at = |param: &str, name: &str| -> Vec<usize> {
        seen.iter().enumerate().filter(|(_, seen)| seen.param(param) == name).map(|(at, _)| at).collect()
    };
    for name in sent.into_inner().unwrap() {
        let (came, done) = (at("name", &name), at("left", &name));
        assert!(!came.is_empty(), "message {name} is lost");
        assert!(done.len() <= 1, "message {name} is done {} times", done.len());
        assert!(
            done.iter().all(|done| came.iter().all(|came| came < done)),
            "message {name} comes again: {came:?} {done:?}"
        );
    }
}

#[test]
fn a_transaction_that_a_kill_cuts_has_written_nothing_whatever_its_moment() {
    let (mut random, dev) = (random(), Dev::guest("objects"));
    let put = |key: &str, value: usize| json!({ "op": "put", "key": key, "value": value });
    for round in 1..=KILLS {
        let server = dev.start();
        let look = json!([{ "op": "get", "key": "a" }, { "op": "get", "key": "b" }]);
        let found = server.post("/run/KEEPER/x", look).expect(200).json();
        assert_eq!(found[0], found[1], "both are of one transaction");
        let client = server.client();
        let done = AtomicUsize::new(0);
        let enough = random.random_range(1..20);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in (round * 1000).. {
                    // The guest waits in between, so that what it wrote could be committed.
                    let wait = json!({ "op": "delay", "ms": 1 });
                    let operations: Value =
                        json!([{ "op": "transaction", "do": [put("a", value), wait, put("b", value)] }]);
                    if client.post("/run/KEEPER/x", operations).is_err() {
                        return;
                    }
                    done.fetch_add(1, SeqCst);
                }
            });
            eventually("so many transactions", || (done.load(SeqCst) >= enough).then_some(()));
            server.kill();
        });
    }
}

#[test]
fn after_kills_at_any_moment_a_key_has_what_was_answered_or_what_was_asked_after_it() {
    const WRITERS: usize = 3;
    let (mut random, dev) = (random(), Dev::guest("kv"));
    let writers: [Asked; WRITERS] = Default::default();
    let answered = || writers.iter().map(|writer| writer.answered.load(SeqCst)).sum::<usize>();
    // Each writes a number, and the next when that was answered.
    let keep_writing = |client: &Client, number: usize, writer: &Asked| loop {
        let n = writer.asked.fetch_add(1, SeqCst) + 1;
        let put = json!({ "op": "put", "key": format!("writer-{number}"), "value": n, "metadata": n });
        let Ok(answer) = client.post("/run", json!([put])) else { return };
        let _ = answer.expect(200);
        writer.answered.store(n, SeqCst);
    };
    for _ in 0..KILLS {
        let server = dev.start();
        let client = server.client();
        let enough = answered() + random.random_range(1..80);
        std::thread::scope(|scope| {
            for (number, writer) in writers.iter().enumerate() {
                let (client, keep_writing) = (&client, &keep_writing);
                scope.spawn(move || keep_writing(client, number, writer));
            }
            eventually("so many answers", || (answered() >= enough).then_some(()));
            server.kill();
        });
        let server = dev.start();
        for (number, writer) in writers.iter().enumerate() {
            let get = json!({ "op": "get", "key": format!("writer-{number}"), "as": "json_with_metadata" });
            let found = server.post("/run", json!([get])).expect(200).json()[0].clone();
            let n = usize::try_from(found[0].as_u64().unwrap_or_default()).unwrap();
            let (asked, answered) = (writer.asked.load(SeqCst), writer.answered.load(SeqCst));
            assert!((answered..=asked).contains(&n), "{answered} of {asked} were answered, {n} is kept");
            assert_eq!(found[1], found[0], "the value and its metadata are of one deed");
        }
        server.kill();
    }
}
