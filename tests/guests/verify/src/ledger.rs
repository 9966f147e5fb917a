//! An object that keeps a number and a text.

use miniflow_sdk::*;

/// `/add` adds one, `/set?value=` sets the text.
#[durable_object]
pub struct Ledger {
    state: State,
}

impl DurableObject for Ledger {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        let storage = self.state.storage();
        if req.path() == "/add" {
            let count = storage.get::<u64>("count").await?.unwrap_or_default() + 1;
            storage.put("count", count).await?;
        } else {
            let url = req.url()?;
            let value = url.query_pairs().next().map(|(_, value)| value.into_owned());
            storage.put("state", value.unwrap_or_default()).await?;
        }
        Response::ok("done")
    }
}
