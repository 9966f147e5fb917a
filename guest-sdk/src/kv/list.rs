//! Listing keys: [`ListOptionsBuilder`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bindings::miniflow::worker::kv as wit;
use crate::{Result, host};

/// Lists keys, a page at a time.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is executed"]
pub struct ListOptionsBuilder {
    binding: String,
    options: wit::ListOptions,
}

impl ListOptionsBuilder {
    pub(super) fn new(binding: &str) -> Self {
        let options = wit::ListOptions { prefix: None, limit: None, cursor: None };
        Self { binding: binding.to_owned(), options }
    }

    /// Sets how many keys there are at most: up to 1,000, which is also what there is without it.
    pub fn limit(mut self, limit: u64) -> Self {
        self.options.limit = Some(limit);
        self
    }

    /// Goes on behind an earlier page.
    pub fn cursor(mut self, cursor: String) -> Self {
        self.options.cursor = Some(cursor);
        self
    }

    /// Sets how the keys begin.
    pub fn prefix(mut self, prefix: String) -> Self {
        self.options.prefix = Some(prefix);
        self
    }

    /// Lists the keys.
    ///
    /// # Errors
    ///
    /// When the limit is over 1,000, the prefix is longer than a key, or the cursor is not of an earlier page.
    pub async fn execute(self) -> Result<ListResponse> {
        host::required("`KvStore::list`");
        let page = wit::list(self.binding, self.options).await?;
        let keys = page.keys.into_iter().map(key).collect::<Result<_>>()?;
        Ok(ListResponse { keys, list_complete: page.cursor.is_none(), cursor: page.cursor })
    }
}

fn key(key: wit::Key) -> Result<Key> {
    let metadata = key.metadata.map(|metadata| serde_json::from_slice(&metadata)).transpose()?;
    Ok(Key { name: key.name, expiration: key.expiration, metadata })
}

/// A page of keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListResponse {
    /// The keys, in the order of their bytes.
    pub keys: Vec<Key>,
    /// Whether there are no more behind them.
    pub list_complete: bool,
    /// Where to go on, if there are.
    pub cursor: Option<String>,
}

/// A key, without its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The key.
    pub name: String,
    /// When the entry goes, in seconds since 1970.
    pub expiration: Option<u64>,
    /// What is kept with the value.
    pub metadata: Option<Value>,
}
