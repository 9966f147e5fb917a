//! Messages: handed to the consumer by the test, and on their way through the queue.

use http::Request;
use miniflow_test::{Error, QueueMessage, Worker};
use serde_json::json;

#[tokio::test]
async fn the_consumer_acknowledges_what_it_has_done() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let message = |id: &str| QueueMessage::json(id, &json!({ "id": "7" }));
    let result = worker
        .queue("messages", vec![message("m1"), message("m2")])
        .await?;
    assert_eq!(
        (result.outcome, result.explicit_acks),
        ("ok", vec!["m1".to_owned(), "m2".to_owned()])
    );
    assert_eq!(
        worker.get("/jobs/7").await?.expect(200)?.text(),
        "7 is done"
    );
    Ok(())
}

#[tokio::test]
async fn a_job_goes_through_the_queue() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    worker
        .fetch(Request::post("/jobs/8").body(()).expect("a request"))
        .await?
        .expect(200)?;
    // The second that a batch waits for more, and no real time.
    worker.clock().advance("1 second").await?;
    assert_eq!(
        worker.get("/jobs/8").await?.expect(200)?.text(),
        "8 is done"
    );
    worker.get("/jobs/9").await?.expect(404)?;
    Ok(())
}
