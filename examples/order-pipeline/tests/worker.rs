//! The life of an order, without a payment service and without waiting for anybody.

use miniflow_test::{Error, Worker, http};
use serde_json::{Value, json};

#[tokio::test]
async fn an_approved_order_is_shipped() -> Result<(), Error> {
    let worker = Worker::here().var("PAYMENT_URL", "https://bank.example/charge").start().await?;
    worker.outbound("https://bank.example/charge", |request| async move {
        assert_eq!(request.headers()["idempotency-key"], "order-1");
        http::Response::new(json!({ "receipt": "paid" }))
    });
    let order = worker.introspect_instance("ORDERS", "order-1")?;
    order.modify(|m| m.mock_event("approval", json!({ "by": "Ada" }))).await?;
    worker.post_json("/orders", &json!({ "id": "order-1", "item": "lamp", "cents": 4200 })).await?.expect(201)?;

    order.wait_for_status("complete").await?;
    let output: Value = order.output().await?;
    assert_eq!(output, json!({ "outcome": "shipped", "receipt": "paid", "approved_by": "Ada" }));
    assert_eq!(worker.outbound_requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn nobody_there_is_an_answer_too() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let order = worker.introspect_instance("ORDERS", "order-2")?;
    order.modify(|m| m.mock_step_result("charge", "paid").force_event_timeout("approval")).await?;
    worker.post_json("/orders", &json!({ "id": "order-2", "item": "lamp", "cents": 4200 })).await?.expect(201)?;
    order.wait_for_status("complete").await?;
    assert_eq!(order.output::<Value>().await?["outcome"], "cancelled");
    Ok(())
}
