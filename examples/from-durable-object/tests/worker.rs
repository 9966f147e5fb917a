//! Votes are counted by an object, and the third decides.

use miniflow_test::{Error, Worker, http};
use serde_json::Value;

#[tokio::test]
async fn the_third_vote_decides() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let decisions = worker.introspect("DECISIONS")?;
    for votes in 1..=3 {
        let vote = http::Request::post("/lunch").body(()).expect("a request");
        let shown: Value = worker.fetch(vote).await?.expect(200)?.json()?;
        assert_eq!(shown["votes"], votes);
    }
    let made = decisions.get()?;
    assert_eq!(made.len(), 1);
    made[0].wait_for_status("complete").await?;
    assert_eq!(made[0].output::<String>().await?, "decided with 3 votes");
    Ok(())
}
