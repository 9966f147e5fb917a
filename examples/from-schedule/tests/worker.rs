//! A schedule makes its instances while the clock is moved.

use miniflow_test::{Error, Worker};

#[tokio::test]
async fn there_is_a_report_of_every_hour() -> Result<(), Error> {
    let worker = Worker::here().with_crons().start().await?;
    let reports = worker.introspect("REPORTS")?;
    worker.clock().advance("3 hours").await?;
    let reports = reports.get()?;
    assert!(reports.len() >= 3, "{} reports", reports.len());
    for report in reports {
        report.wait_for_status("complete").await?;
        let text: String = report.output().await?;
        assert!(text.starts_with("report of "), "{text}");
    }
    Ok(())
}
