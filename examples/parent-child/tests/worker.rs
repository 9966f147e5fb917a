//! An audit starts an instance for each page; one of them takes a day, which the test does not.

use miniflow_test::{Error, Worker};
use serde_json::json;

#[tokio::test]
async fn every_page_of_a_site_is_an_instance_of_its_own() -> Result<(), Error> {
    let worker = Worker::here().start().await?;
    let pages = worker.introspect("PAGES")?;
    worker.post_json("/shop", &json!(["start", "slow"])).await?.expect(200)?;
    worker.introspect_instance("AUDITS", "shop")?.wait_for_status("complete").await?;
    let pages = pages.get()?;
    assert_eq!(pages.len(), 2);
    for page in pages {
        page.wait_for_status("complete").await?;
    }
    Ok(())
}
