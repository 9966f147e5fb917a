//! The greeting, and whom it is for.

use miniflow_test::{Error, Worker};

#[tokio::test]
async fn it_greets_whom_the_path_names() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    assert_eq!(
        worker.get("/").await?.expect(200)?.text(),
        "Hello, world!\n"
    );
    assert_eq!(
        worker.get("/Ada").await?.expect(200)?.text(),
        "Hello, Ada!\n"
    );
    Ok(())
}

#[tokio::test]
async fn the_greeting_is_a_variable() -> Result<(), Error> {
    let worker = Worker::here().var("GREETING", "Moin").start().await?;
    assert_eq!(
        worker.get("/Ada").await?.expect(200)?.text(),
        "Moin, Ada!\n"
    );
    Ok(())
}
