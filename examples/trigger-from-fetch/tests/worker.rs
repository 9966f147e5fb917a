//! A request starts an instance, which takes a second that the test does not wait for.

use miniflow_test::{Error, Worker};
use serde_json::Value;

#[tokio::test]
async fn a_request_starts_an_instance() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let created: Value = worker.get("/").await?.json()?;
    let id = created["id"].as_str().unwrap_or_default();
    worker.introspect_instance("MY_WORKFLOW", id)?.wait_for_status("complete").await?;
    let shown: Value = worker.get(&format!("/?instanceId={id}")).await?.json()?;
    assert_eq!(shown["status"]["status"], "complete");
    Ok(())
}
