//! Messages start instances: handed in by the test, and on their way through the queue.

use miniflow_test::{Error, QueueMessage, Worker, http};
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_ordered_twice_is_done_once() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let message = |id: &str| QueueMessage::json(id, &json!({ "id": "7" }));
    let result = worker.queue("orders", vec![message("m1"), message("m2")]).await?;
    assert_eq!((result.outcome, result.explicit_acks), ("ok", vec!["m1".to_owned(), "m2".to_owned()]));
    let order = worker.introspect_instance("FULFILMENT", "7")?;
    order.wait_for_status("complete").await?;
    assert_eq!(order.output::<String>().await?, "7 is on its way");
    Ok(())
}

#[tokio::test]
async fn an_order_goes_through_the_queue_when_its_time_has_come() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    worker.fetch(http::Request::post("/orders/8?in=3600").body(()).expect("a request")).await?.expect(200)?;
    worker.get("/orders/8").await?.expect(404)?;
    worker.clock().advance("2 hours").await?;
    let shown: Value = worker.get("/orders/8").await?.expect(200)?.json()?;
    assert_eq!(shown["status"], "complete");
    Ok(())
}
