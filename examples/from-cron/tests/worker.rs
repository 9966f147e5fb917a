//! Cron triggers are fired by the test, for the times it says.

use miniflow_test::{Error, Timestamp, Worker};
use serde_json::Value;

#[tokio::test]
async fn each_trigger_starts_its_own_kind_and_each_moment_once() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    for cron in ["0 0 * * *", "*/15 * * * *", "*/15 * * * *"] {
        assert_eq!(worker.scheduled(cron, Timestamp(900_000)).await?.outcome, "ok");
    }
    for kind in ["small", "large"] {
        worker.introspect_instance("CLEAN_UP", &format!("{kind}-900000"))?.wait_for_status("complete").await?;
        let shown: Value = worker.get(&format!("/{kind}?at=900000")).await?.expect(200)?.json()?;
        assert_eq!(shown["status"], "complete");
    }
    let lines: Vec<_> = worker.console().into_iter().map(|line| line.message).collect();
    assert!(lines.contains(&"small-900000 was started before".to_owned()), "{lines:?}");
    Ok(())
}
