//! [`KvStore`]: a binding to a namespace.

use super::get::{GetBulkOptionsBuilder, IntoGetRequest};
use super::list::ListOptionsBuilder;
use super::put::{PutOptionsBuilder, ToRawKvValue};
use crate::bindings::miniflow::worker::kv as wit;
use crate::{Result, host};

/// A KV namespace that the configuration binds; see [`Env::kv`](crate::Env::kv).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvStore {
    binding: String,
}

impl KvStore {
    pub(crate) fn bound_as(binding: &str) -> Self {
        Self { binding: binding.to_owned() }
    }

    /// Begins to read: one key, or up to 100 of a list together. What is asked of the result says how the values are read.
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn f(env: Env) -> Result<()> {
    /// let kv = env.kv("SESSIONS")?;
    /// let user: Option<String> = kv.get("user").text().await?;
    /// let (age, note) = kv.get("age").json_with_metadata::<u32, String>().await?;
    /// let both = kv.get(&["user", "age"]).text().await?;
    /// # Ok(()) }
    /// ```
    pub fn get<'a, N: IntoGetRequest<'a>>(&self, name: N) -> N::Builder {
        name.into_get_request(&self.binding)
    }

    /// Begins to read up to 100 keys together: the same as [`get`](Self::get) of a list.
    pub fn get_bulk<N: AsRef<str>>(&self, names: &[N]) -> GetBulkOptionsBuilder {
        GetBulkOptionsBuilder::new(&self.binding, names.iter().map(|name| name.as_ref().to_owned()).collect())
    }

    /// Begins to write: a text as it is, anything else as JSON, at most 25 MiB.
    ///
    /// ```no_run
    /// # use miniflow_sdk::*;
    /// # async fn f(env: Env) -> Result<()> {
    /// let kv = env.kv("SESSIONS")?;
    /// kv.put("user", "ada")?.expiration_ttl(600).execute().await?;
    /// kv.put("age", 36)?.metadata("at least")?.execute().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the value is not JSON. What the platform refuses is an error of `execute`.
    #[expect(clippy::needless_pass_by_value, reason = "as in the `worker` crate")]
    pub fn put<T: ToRawKvValue>(&self, name: &str, value: T) -> Result<PutOptionsBuilder> {
        Ok(PutOptionsBuilder::new(&self.binding, name, value.raw_kv_value()?))
    }

    /// Begins to write bytes.
    ///
    /// # Errors
    ///
    /// None here; those of `execute`.
    pub fn put_bytes(&self, name: &str, value: &[u8]) -> Result<PutOptionsBuilder> {
        Ok(PutOptionsBuilder::new(&self.binding, name, value.to_vec()))
    }

    /// Begins to list keys, in the order of their bytes.
    pub fn list(&self) -> ListOptionsBuilder {
        ListOptionsBuilder::new(&self.binding)
    }

    /// Removes what is kept under `name`, if there is something. It is gone for good when this returns.
    ///
    /// # Errors
    ///
    /// When `name` cannot be a key.
    pub async fn delete(&self, name: &str) -> Result<()> {
        host::required("`KvStore::delete`");
        Ok(wit::delete(self.binding.clone(), name.to_owned()).await?)
    }
}
