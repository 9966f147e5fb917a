//! The life of an order, without waiting for anybody.

use http::Request;
use miniflow_test::{Error, Worker};

#[tokio::test]
async fn an_approved_order_is_shipped() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let order = worker.introspect_instance("ORDERS", "order-1")?;
    worker
        .fetch(
            Request::post("/orders/order-1")
                .body(())
                .expect("a request"),
        )
        .await?
        .expect(200)?;
    // The sleep takes no time: the test awaits what comes after it.
    order.wait_for_status("waiting").await?;
    worker
        .fetch(
            Request::post("/orders/order-1/approve")
                .body(())
                .expect("a request"),
        )
        .await?
        .expect(200)?;
    order.wait_for_status("complete").await?;
    assert_eq!(
        order.output::<String>().await?,
        "lamp, receipt of order-1, approved by Ada"
    );
    Ok(())
}

#[tokio::test]
async fn a_charge_that_fails_is_tried_again() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let order = worker.introspect_instance("ORDERS", "order-2")?;
    order
        .modify(|m| m.mock_step_error("charge", "the bank is closed", 2))
        .await?;
    worker
        .fetch(
            Request::post("/orders/order-2")
                .body(())
                .expect("a request"),
        )
        .await?
        .expect(200)?;
    assert_eq!(
        order.wait_for_step_result::<String>("charge").await?,
        "receipt of order-2"
    );
    Ok(())
}

#[tokio::test]
async fn an_order_that_nobody_approves_fails_after_a_day() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let order = worker.introspect_instance("ORDERS", "order-3")?;
    worker
        .fetch(
            Request::post("/orders/order-3")
                .body(())
                .expect("a request"),
        )
        .await?
        .expect(200)?;
    worker.clock().advance("25 hours").await?;
    order.wait_for_status("errored").await?;
    assert_eq!(order.error().await?.name, "WorkflowTimeoutError");
    Ok(())
}
