//! Writing: [`PutOptionsBuilder`].

use serde::Serialize;
use serde_json::Value;

use crate::bindings::miniflow::worker::kv as wit;
use crate::{Result, host};

/// Keeps a value under a key.
#[derive(Clone, Debug)]
#[must_use = "nothing is written until it is executed"]
pub struct PutOptionsBuilder {
    binding: String,
    name: String,
    value: Vec<u8>,
    options: wit::PutOptions,
}

impl PutOptionsBuilder {
    pub(super) fn new(binding: &str, name: &str, value: Vec<u8>) -> Self {
        let options = wit::PutOptions { expiration: None, expiration_ttl: None, metadata: None };
        Self { binding: binding.to_owned(), name: name.to_owned(), value, options }
    }

    /// Sets when the entry goes, in seconds since 1970: at least 60 from now.
    pub fn expiration(mut self, expiration: u64) -> Self {
        self.options.expiration = Some(expiration);
        self
    }

    /// Sets after how many seconds the entry goes: at least 60. It counts more than an [`expiration`](Self::expiration).
    pub fn expiration_ttl(mut self, expiration_ttl: u64) -> Self {
        self.options.expiration_ttl = Some(expiration_ttl);
        self
    }

    /// Sets what is kept with the value, and listed with its key: at most 1,024 bytes of JSON. `null` is nothing.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn metadata<T: Serialize>(mut self, metadata: T) -> Result<Self> {
        let metadata = serde_json::to_value(metadata)?;
        self.options.metadata = if metadata.is_null() { None } else { Some(metadata.to_string().into_bytes()) };
        Ok(self)
    }

    /// Writes it, in the place of what is there. When this returns it survives a crash.
    ///
    /// # Errors
    ///
    /// When the name cannot be a key, the value or its metadata is too large, or it would expire too soon.
    pub async fn execute(self) -> Result<()> {
        host::required("`KvStore::put`");
        Ok(wit::put(self.binding, self.name, self.value, self.options).await?)
    }
}

/// What [`KvStore::put`](super::KvStore::put) takes: anything that can be serialised. A text is kept without quotes, anything else as JSON.
pub trait ToRawKvValue {
    /// Returns the bytes that are kept.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    fn raw_kv_value(&self) -> Result<Vec<u8>>;
}

impl<T: Serialize> ToRawKvValue for T {
    fn raw_kv_value(&self) -> Result<Vec<u8>> {
        match serde_json::to_value(self)? {
            Value::String(text) => Ok(text.into_bytes()),
            value => Ok(value.to_string().into_bytes()),
        }
    }
}

impl ToRawKvValue for str {
    fn raw_kv_value(&self) -> Result<Vec<u8>> {
        Ok(self.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_without_quotes_and_the_rest_as_json() {
        assert_eq!("käse".raw_kv_value().unwrap(), "käse".as_bytes());
        assert_eq!("a".to_owned().raw_kv_value().unwrap(), b"a");
        assert_eq!((7).raw_kv_value().unwrap(), b"7");
        assert_eq!(true.raw_kv_value().unwrap(), b"true");
        assert_eq!(vec![Some("a"), None].raw_kv_value().unwrap(), br#"["a",null]"#);
    }

    #[test]
    fn a_builder_says_how_it_is_kept() {
        let put = PutOptionsBuilder::new("KV", "k", b"v".to_vec()).expiration(9).expiration_ttl(60);
        let put = put.metadata(vec![1, 2]).unwrap();
        assert_eq!((put.options.expiration, put.options.expiration_ttl), (Some(9), Some(60)));
        assert_eq!(put.options.metadata.as_deref(), Some(&b"[1,2]"[..]));
        assert_eq!(put.metadata(None::<u32>).unwrap().options.metadata, None);
    }
}
