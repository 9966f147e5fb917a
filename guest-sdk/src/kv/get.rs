//! Reading: one key ([`GetOptionsBuilder`]) or several together ([`GetBulkOptionsBuilder`]).

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use crate::bindings::miniflow::worker::kv as wit;
use crate::{Result, host};

/// What [`KvStore::get`](super::KvStore::get) takes: a key, or a list of them.
pub trait IntoGetRequest<'a> {
    /// What reads them.
    type Builder;

    /// Begins to read.
    #[doc(hidden)]
    fn into_get_request(self, binding: &str) -> Self::Builder;
}

impl<'a> IntoGetRequest<'a> for &'a str {
    type Builder = GetOptionsBuilder;

    fn into_get_request(self, binding: &str) -> GetOptionsBuilder {
        GetOptionsBuilder { binding: binding.to_owned(), name: self.to_owned(), cache_ttl: None }
    }
}

impl<'a> IntoGetRequest<'a> for &'a String {
    type Builder = GetOptionsBuilder;

    fn into_get_request(self, binding: &str) -> GetOptionsBuilder {
        self.as_str().into_get_request(binding)
    }
}

impl<'a, N: AsRef<str>> IntoGetRequest<'a> for &'a [N] {
    type Builder = GetBulkOptionsBuilder;

    fn into_get_request(self, binding: &str) -> GetBulkOptionsBuilder {
        GetBulkOptionsBuilder::new(binding, self.iter().map(|name| name.as_ref().to_owned()).collect())
    }
}

impl<'a, N: AsRef<str>, const COUNT: usize> IntoGetRequest<'a> for &'a [N; COUNT] {
    type Builder = GetBulkOptionsBuilder;

    fn into_get_request(self, binding: &str) -> GetBulkOptionsBuilder {
        self.as_slice().into_get_request(binding)
    }
}

impl<'a, N: AsRef<str>> IntoGetRequest<'a> for &'a Vec<N> {
    type Builder = GetBulkOptionsBuilder;

    fn into_get_request(self, binding: &str) -> GetBulkOptionsBuilder {
        self.as_slice().into_get_request(binding)
    }
}

/// Reads what is kept under a key.
#[derive(Clone, Debug)]
#[must_use = "nothing is read until it is said how, such as with `text`"]
pub struct GetOptionsBuilder {
    binding: String,
    name: String,
    cache_ttl: Option<u64>,
}

impl GetOptionsBuilder {
    /// Sets for how many seconds the value may be cached: at least 30. It is checked, and changes nothing: here a read finds what is there.
    pub fn cache_ttl(mut self, cache_ttl: u64) -> Self {
        self.cache_ttl = Some(cache_ttl);
        self
    }

    async fn get(self) -> Result<Option<wit::Entry>> {
        host::required("`KvStore::get`");
        Ok(wit::get(self.binding, self.name, self.cache_ttl).await?)
    }

    /// Reads the value as a text. Bytes that are not UTF-8 become `�`.
    ///
    /// # Errors
    ///
    /// When the name cannot be a key.
    pub async fn text(self) -> Result<Option<String>> {
        Ok(self.get().await?.map(|entry| text(entry.value)))
    }

    /// Reads the value as JSON.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text), and when it is not JSON, or not a `T`.
    pub async fn json<T: DeserializeOwned>(self) -> Result<Option<T>> {
        self.get().await?.map(|entry| json(&entry.value)).transpose()
    }

    /// Reads the value as it is.
    ///
    /// # Errors
    ///
    /// When the name cannot be a key.
    pub async fn bytes(self) -> Result<Option<Vec<u8>>> {
        Ok(self.get().await?.map(|entry| entry.value))
    }

    /// As [`text`](Self::text), with the metadata.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text), and when the metadata is not an `M`.
    pub async fn text_with_metadata<M: DeserializeOwned>(self) -> Result<(Option<String>, Option<M>)> {
        with_metadata(self.get().await?, |value| Ok(text(value)))
    }

    /// As [`json`](Self::json), with the metadata.
    ///
    /// # Errors
    ///
    /// As [`json`](Self::json), and when the metadata is not an `M`.
    pub async fn json_with_metadata<T: DeserializeOwned, M: DeserializeOwned>(self) -> Result<(Option<T>, Option<M>)> {
        with_metadata(self.get().await?, |value| json(&value))
    }

    /// As [`bytes`](Self::bytes), with the metadata.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and when the metadata is not an `M`.
    pub async fn bytes_with_metadata<M: DeserializeOwned>(self) -> Result<(Option<Vec<u8>>, Option<M>)> {
        with_metadata(self.get().await?, Ok)
    }
}

/// Reads what is kept under several keys: from 1 to 100 of them, and at most 25 MiB.
#[derive(Clone, Debug)]
#[must_use = "nothing is read until it is said how, such as with `text`"]
pub struct GetBulkOptionsBuilder {
    binding: String,
    names: Vec<String>,
    cache_ttl: Option<u64>,
}

impl GetBulkOptionsBuilder {
    pub(super) fn new(binding: &str, names: Vec<String>) -> Self {
        Self { binding: binding.to_owned(), names, cache_ttl: None }
    }

    /// As [`GetOptionsBuilder::cache_ttl`].
    pub fn cache_ttl(mut self, cache_ttl: u64) -> Self {
        self.cache_ttl = Some(cache_ttl);
        self
    }

    async fn get<V>(self, read: impl Fn(Option<wit::Entry>) -> Result<V>) -> Result<HashMap<String, V>> {
        host::required("`KvStore::get`");
        let entries = wit::get_many(self.binding, self.names.clone(), self.cache_ttl).await?;
        self.names.into_iter().zip(entries).map(|(name, entry)| Ok((name, read(entry)?))).collect()
    }

    /// Reads the values as texts: none under a key that has none.
    ///
    /// # Errors
    ///
    /// When a name cannot be a key, they are too many, or their values too large together.
    pub async fn text(self) -> Result<HashMap<String, Option<String>>> {
        self.get(|entry| Ok(entry.map(|entry| text(entry.value)))).await
    }

    /// Reads the values as JSON.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text), and when one is not JSON, or not a `T`.
    pub async fn json<T: DeserializeOwned>(self) -> Result<HashMap<String, Option<T>>> {
        self.get(|entry| entry.map(|entry| json(&entry.value)).transpose()).await
    }

    /// As [`text`](Self::text), with their metadata.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text), and when metadata is not an `M`.
    pub async fn text_with_metadata<M: DeserializeOwned>(self) -> Result<HashMap<String, (Option<String>, Option<M>)>> {
        self.get(|entry| with_metadata(entry, |value| Ok(text(value)))).await
    }

    /// As [`json`](Self::json), with their metadata.
    ///
    /// # Errors
    ///
    /// As [`json`](Self::json), and when metadata is not an `M`.
    pub async fn json_with_metadata<T: DeserializeOwned, M: DeserializeOwned>(
        self,
    ) -> Result<HashMap<String, (Option<T>, Option<M>)>> {
        self.get(|entry| with_metadata(entry, |value| json(&value))).await
    }
}

fn text(value: Vec<u8>) -> String {
    String::from_utf8(value).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn json<T: DeserializeOwned>(value: &[u8]) -> Result<T> {
    Ok(serde_json::from_slice(value)?)
}

fn with_metadata<V, M: DeserializeOwned>(
    entry: Option<wit::Entry>,
    read: impl FnOnce(Vec<u8>) -> Result<V>,
) -> Result<(Option<V>, Option<M>)> {
    let Some(wit::Entry { value, metadata }) = entry else { return Ok((None, None)) };
    let metadata = metadata.map(|metadata| serde_json::from_slice(&metadata)).transpose()?;
    Ok((Some(read(value)?), metadata.flatten()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_what_they_are_asked_for() {
        assert_eq!(text("käse".into()), "käse");
        assert_eq!(text(vec![b'a', 0xff]), "a\u{fffd}");
        assert_eq!(json::<Vec<u8>>(b"[1,2]").unwrap(), [1, 2]);
        assert!(json::<u8>(b"\"a\"").is_err());
    }

    #[test]
    fn metadata_may_be_missing_or_null() {
        let entry = |metadata: Option<&str>| {
            let metadata = metadata.map(|metadata| metadata.as_bytes().to_vec());
            with_metadata::<_, u32>(Some(wit::Entry { value: vec![1], metadata }), Ok).unwrap()
        };
        assert_eq!(entry(None), (Some(vec![1]), None));
        assert_eq!(entry(Some("null")), (Some(vec![1]), None));
        assert_eq!(entry(Some("7")), (Some(vec![1]), Some(7)));
        assert_eq!(with_metadata::<Vec<u8>, u32>(None, Ok).unwrap(), (None, None));
    }
}
