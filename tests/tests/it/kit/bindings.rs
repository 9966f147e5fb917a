//! What a Worker binds, used by the test itself.

use http::Request;
use miniflow_test::{ListOptions, Message, PutOptions, Worker};
use serde_json::{Value, json};

use super::guest;

async fn run(worker: &miniflow_test::TestWorker, operations: Value) -> Value {
    worker.post_json("/run", &operations).await.unwrap().expect(200).unwrap().json().unwrap()
}

#[tokio::test]
async fn a_namespace_is_the_one_that_the_worker_has() {
    let worker = guest("kv").start().await.unwrap();
    let kv = worker.kv("KV").unwrap();
    kv.put("greeting", "hello").await.unwrap();
    kv.put("settings", json!({ "on": true })).await.unwrap();
    let read =
        run(&worker, json!([{ "op": "get", "key": "greeting" }, { "op": "get", "key": "settings", "as": "json" }]))
            .await;
    assert_eq!(read, json!(["hello", { "on": true }]));

    run(&worker, json!([{ "op": "put", "key": "left", "value": "behind" }])).await;
    assert_eq!(kv.text("left").await.unwrap().as_deref(), Some("behind"));
    assert_eq!(kv.json::<Value>("settings").await.unwrap(), Some(json!({ "on": true })));
    assert_eq!(kv.keys("").await.unwrap(), ["greeting", "left", "settings"]);
    // Another binding is another namespace, and another Worker has its own.
    assert!(worker.kv("OTHER").unwrap().keys("").await.unwrap().is_empty());
    assert!(guest("kv").start().await.unwrap().kv("KV").unwrap().keys("").await.unwrap().is_empty());

    kv.delete("left").await.unwrap();
    assert_eq!(kv.get("left").await.unwrap(), None);
    let error = kv.get("").await.unwrap_err();
    assert_eq!(error.to_string(), "Key name cannot be empty.");
    let error = worker.kv("SHELF").err().unwrap();
    assert_eq!(error.to_string(), r#"No KV namespace binding named "SHELF" found in "kv" worker. It has: KV, OTHER"#);
}

#[tokio::test]
async fn an_entry_expires_by_the_clock_of_the_test() {
    let worker = guest("kv").start().await.unwrap();
    let kv = worker.kv("KV").unwrap();
    let options = PutOptions {
        expiration_ttl: Some(3600),
        metadata: Some(b"{\"by\":\"Ada\"}".to_vec()),
        ..PutOptions::default()
    };
    kv.put_with("code", "1234", options).await.unwrap();
    assert_eq!(kv.entry("code").await.unwrap().unwrap().metadata.as_deref(), Some(&b"{\"by\":\"Ada\"}"[..]));
    worker.clock().advance("59 minutes").await.unwrap();
    assert_eq!(kv.list(ListOptions::default()).await.unwrap().keys.len(), 1);
    worker.clock().advance("61 seconds").await.unwrap();
    assert_eq!(kv.get("code").await.unwrap(), None);
}

#[tokio::test]
async fn what_the_test_sends_is_delivered_to_the_consumer() {
    let worker = guest("queues").var("SINK", "https://sink.example/").start().await.unwrap();
    worker.outbound("https://sink.example", |_| async { http::Response::new(()) });
    let queue = worker.queue_producer("Q").unwrap();
    let told = |name: &str| json!({ "name": name, "then": ["ack"], "sink": "https://sink.example/" });
    queue.send(&told("first")).await.unwrap();
    queue.send_message(Message::json(&told("late")).delay_seconds(600)).await.unwrap();
    queue.send_batch([Message::json(&told("second")), Message::json(&told("third"))]).await.unwrap();
    assert_eq!(queue.metrics().await.unwrap().count, 4);

    let names = || -> Vec<String> {
        let name = |request: &Request<_>| {
            let query = request.uri().query().unwrap();
            url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "name").unwrap().1.into_owned()
        };
        worker.outbound_requests().iter().map(name).collect()
    };
    worker.clock().advance("1 minute").await.unwrap();
    assert_eq!(names(), ["first", "second", "third"]);
    worker.clock().advance("10 minutes").await.unwrap();
    assert_eq!(names(), ["first", "second", "third", "late"]);
    assert_eq!(queue.metrics().await.unwrap().count, 0);

    let error = queue.send_batch([]).await.unwrap_err().to_string();
    assert!(error.starts_with("Queue sendBatch failed"), "{error}");
    let error = worker.queue_producer("MAIL").err().unwrap();
    assert_eq!(error.to_string(), r#"No queue binding named "MAIL" found in "queues" worker. It has: KEPT, Q"#);
}

// rules: C4.7-2
#[tokio::test]
async fn an_object_is_asked_by_its_name_and_by_its_id() {
    let worker = guest("objects").start().await.unwrap();
    let keepers = worker.durable_object("KEEPER").unwrap();
    let ada = keepers.get_by_name("ada");
    let put = json!([{ "op": "put", "key": "age", "value": 36 }, { "op": "increment", "key": "age" }]);
    let answer: Value = ada.post_json("/", &put).await.unwrap().expect(200).unwrap().json().unwrap();
    assert_eq!(answer, json!([null, 37]));
    // It is the object that the Worker has.
    let get = json!([{ "op": "get", "key": "age" }]);
    let seen: Value = worker.post_json("/run/KEEPER/ada", &get).await.unwrap().json().unwrap();
    assert_eq!(seen, json!([37]));
    let again = keepers.get_by_id(&ada.id()).unwrap();
    assert_eq!(again.post_json("/", &get).await.unwrap().json::<Value>().unwrap(), json!([37]));
    assert_eq!(keepers.get_by_name("bob").post_json("/", &get).await.unwrap().text(), "[null]");

    let asked = Request::put("/url?a=b").header("x-test", "1").body(()).unwrap();
    assert_eq!(ada.fetch(asked).await.unwrap().text(), r#"PUT http://localhost/url?a=b Some("1")"#);
    let error = keepers.get_by_id("ada").err().unwrap();
    assert_eq!(error.to_string(), "Invalid Durable Object ID: must be 64 hex digits");
    let error = worker.durable_object("NOBODY").err().unwrap().to_string();
    assert!(error.ends_with("It has: KEEPER, TABLED, UNMADE"), "{error}");
}

#[tokio::test]
async fn an_alarm_goes_off_when_the_clock_comes_to_it() {
    let worker: Worker = guest("objects");
    let worker = worker.start().await.unwrap();
    let ada = worker.durable_object("KEEPER").unwrap().get_by_name("ada");
    let at = worker.clock().now().plus_ms(3_600_000).as_millis();
    let on_alarm = json!([{ "op": "put", "key": "rang", "value": true }]);
    let script = json!([{ "op": "put", "key": "on alarm", "value": on_alarm }, { "op": "set_alarm", "ms": at }]);
    ada.post_json("/", &script).await.unwrap().expect(200).unwrap();
    worker.clock().advance_to_next().await.unwrap();
    let rang: Value = ada.post_json("/", &json!([{ "op": "get", "key": "rang" }])).await.unwrap().json().unwrap();
    assert_eq!(rang, json!([true]));
}
