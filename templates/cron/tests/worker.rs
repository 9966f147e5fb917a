//! The trigger, fired by the test and by the clock.

use miniflow_test::{Error, Timestamp, Worker};

#[tokio::test]
async fn it_stands_for_the_moment_it_was_fired_for() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    assert_eq!(worker.get("/").await?.expect(200)?.text(), "not done yet\n");
    assert_eq!(
        worker
            .scheduled("*/5 * * * *", Timestamp(1_800_000_000_000))
            .await?
            .outcome,
        "ok"
    );
    assert_eq!(
        worker.get("/").await?.expect(200)?.text(),
        "done for 2027-01-15T08:00:00.000Z\n"
    );
    Ok(())
}

#[tokio::test]
async fn it_is_fired_every_five_minutes() -> Result<(), Error> {
    let worker = Worker::here().with_crons().start().await?;
    worker.clock().advance("15 minutes").await?;
    let runs = worker
        .console()
        .into_iter()
        .filter(|line| line.message.starts_with("*/5 * * * * of "))
        .count();
    assert_eq!(runs, 3);
    Ok(())
}
