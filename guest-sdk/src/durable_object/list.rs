//! Several entries of a storage at once: [`ListOptions`] says which, [`Entries`] has them.

use serde::de::DeserializeOwned;

use crate::Result;
use crate::bindings::miniflow::worker::object_storage as wit;

/// Which entries of a storage.
///
/// ```
/// # use miniflow_sdk::ListOptions;
/// let newest = ListOptions::new().prefix("message:").reverse(true).limit(10);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions<'a> {
    start: Option<&'a str>,
    start_after: Option<&'a str>,
    end: Option<&'a str>,
    prefix: Option<&'a str>,
    reverse: Option<bool>,
    limit: Option<usize>,
}

impl<'a> ListOptions<'a> {
    /// Makes options for all entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From this key on.
    #[must_use]
    pub fn start(mut self, key: &'a str) -> Self {
        self.start = Some(key);
        self
    }

    /// From the first key behind this one on.
    #[must_use]
    pub fn start_after(mut self, key: &'a str) -> Self {
        self.start_after = Some(key);
        self
    }

    /// Up to this key, without it.
    #[must_use]
    pub fn end(mut self, key: &'a str) -> Self {
        self.end = Some(key);
        self
    }

    /// Only keys that begin so.
    #[must_use]
    pub fn prefix(mut self, prefix: &'a str) -> Self {
        self.prefix = Some(prefix);
        self
    }

    /// The last keys first.
    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = Some(reverse);
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(super) fn to_wit(&self) -> wit::ListOptions {
        wit::ListOptions {
            start: self.start.map(ToOwned::to_owned),
            start_after: self.start_after.map(ToOwned::to_owned),
            end: self.end.map(ToOwned::to_owned),
            prefix: self.prefix.map(ToOwned::to_owned),
            reverse: self.reverse.unwrap_or_default(),
            limit: self.limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        }
    }
}

/// Entries of a storage, in the order they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(Vec<(String, Vec<u8>)>);

impl Entries {
    pub(super) fn of(entries: Vec<wit::Entry>) -> Self {
        Self(entries.into_iter().map(|entry| (entry.key, entry.value)).collect())
    }

    /// Returns the value of `key`, if it is among them.
    ///
    /// # Errors
    ///
    /// When the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.0.iter().find(|(known, _)| known == key) {
            Some((_, value)) => Ok(Some(serde_json::from_slice(value)?)),
            None => Ok(None),
        }
    }

    /// Returns the keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Returns keys and values.
    ///
    /// # Errors
    ///
    /// When a value is not a `T`.
    pub fn to_vec<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>> {
        self.0.iter().map(|(key, value)| Ok((key.clone(), serde_json::from_slice(value)?))).collect()
    }

    /// Returns how many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order_and_are_read_as_any_type() {
        let entry = |key: &str, value: &str| wit::Entry { key: key.into(), value: value.into() };
        let entries = Entries::of(vec![entry("b", "2"), entry("a", "\"x\"")]);
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(entries.get::<u8>("b").unwrap(), Some(2));
        assert_eq!(entries.get::<u8>("c").unwrap(), None);
        assert!(entries.get::<u8>("a").is_err() && entries.to_vec::<u8>().is_err());
        assert_eq!((entries.len(), entries.is_empty()), (2, false));
    }
}
