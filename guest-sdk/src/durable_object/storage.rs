//! [`Storage`]: what an object keeps.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Entries, ListOptions, SqlStorage, Transaction};
use crate::bindings::miniflow::worker::object_storage as wit;
use crate::{Date, Error, Result, host};

/// The storage of an object: keys and values, SQL, and one alarm.
///
/// What was written is seen at once, and is durable before anything leaves the object: its answer, a request, the start of a workflow.
/// Everything written between two waits becomes durable together. A value is kept as JSON.
///
/// ```no_run
/// # use miniflow_sdk::*;
/// # async fn f(state: State) -> Result<()> {
/// let storage = state.storage();
/// let visits = storage.get::<u32>("visits").await?.unwrap_or_default() + 1;
/// storage.put("visits", visits).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Storage {}

impl Storage {
    pub(super) fn new() -> Self {
        Self {}
    }

    /// Returns the value of `key`; none when there is none.
    ///
    /// # Errors
    ///
    /// When the value is not a `T`.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        host::required("`Storage::get`");
        match wit::get(&[key.to_owned()])?.first() {
            Some(entry) => Ok(Some(serde_json::from_slice(&entry.value)?)),
            None => Ok(None),
        }
    }

    /// Returns the entries of these keys that are there, sorted by key.
    ///
    /// # Errors
    ///
    /// When there are more than 128.
    pub async fn get_multiple(&self, keys: Vec<impl Deref<Target = str>>) -> Result<Entries> {
        host::required("`Storage::get_multiple`");
        Ok(Entries::of(wit::get(&owned(&keys))?))
    }

    /// Writes an entry.
    ///
    /// # Errors
    ///
    /// When the key is longer than 2,048 bytes, key and value are longer than 2 MiB, or the value cannot be written as JSON.
    pub async fn put<T: Serialize>(&self, key: &str, value: T) -> Result<()> {
        host::required("`Storage::put`");
        Ok(wit::put(&[wit::Entry { key: key.to_owned(), value: serde_json::to_vec(&value)? }])?)
    }

    /// Writes each field of a struct, or entry of a map, all of them or none.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put); when there are more than 128, or `values` is neither.
    pub async fn put_multiple<T: Serialize>(&self, values: T) -> Result<()> {
        host::required("`Storage::put_multiple`");
        Ok(wit::put(&entries(values)?)?)
    }

    /// Removes a key. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// When the key is not allowed.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        host::required("`Storage::delete`");
        Ok(wit::delete(&[key.to_owned()])? > 0)
    }

    /// Removes keys. Returns how many were there.
    ///
    /// # Errors
    ///
    /// When there are more than 128.
    pub async fn delete_multiple(&self, keys: Vec<impl Deref<Target = str>>) -> Result<usize> {
        host::required("`Storage::delete_multiple`");
        Ok(wit::delete(&owned(&keys))? as usize)
    }

    /// Removes everything: entries, tables and the alarm.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    pub async fn delete_all(&self) -> Result<()> {
        host::required("`Storage::delete_all`");
        Ok(wit::delete_all()?)
    }

    /// Returns all entries, sorted by key.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    pub async fn list(&self) -> Result<Entries> {
        self.list_with_options(ListOptions::new()).await
    }

    /// Returns the entries that `options` say.
    ///
    /// # Errors
    ///
    /// When `start` and `start_after` are given both.
    pub async fn list_with_options(&self, options: ListOptions<'_>) -> Result<Entries> {
        host::required("`Storage::list`");
        Ok(Entries::of(wit::list(&options.to_wit())?))
    }

    /// Runs `closure` as one transaction: when it returns an error, or calls [`Transaction::rollback`], it is as if nothing had been
    /// written. Until it is over no new event is delivered to the object. What another event that has begun already writes meanwhile
    /// belongs to the transaction.
    ///
    /// # Errors
    ///
    /// The error of `closure`; when a transaction is open already.
    pub async fn transaction<F, Fut>(&self, closure: F) -> Result<()>
    where
        F: FnOnce(Transaction) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        host::required("`Storage::transaction`");
        let transaction = Transaction::begin()?;
        let done = closure(transaction.handle()).await;
        transaction.end(done)
    }

    /// Returns when everything written so far is durable.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    pub async fn sync(&self) -> Result<()> {
        host::required("`Storage::sync`");
        Ok(wit::sync()?)
    }

    /// Returns when the alarm goes off, in milliseconds since 1970. None while its handler runs, unless it was set again there.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    pub async fn get_alarm(&self) -> Result<Option<i64>> {
        host::required("`Storage::get_alarm`");
        Ok(wit::get_alarm()?.map(|at| i64::try_from(at).unwrap_or(i64::MAX)))
    }

    /// Sets the alarm, in the place of the one that was set before. Its handler is called once the time has come, and again, 2 seconds later
    /// and each time after twice as long, up to 6 times, when it fails.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    pub async fn set_alarm(&self, scheduled_time: impl Into<ScheduledTime>) -> Result<()> {
        host::required("`Storage::set_alarm`");
        Ok(wit::set_alarm(scheduled_time.into().after(Date::now().as_millis()))?)
    }

    /// Removes the alarm. A handler that runs already goes on.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    pub async fn delete_alarm(&self) -> Result<()> {
        host::required("`Storage::delete_alarm`");
        Ok(wit::delete_alarm()?)
    }

    /// Returns the SQL side of the storage.
    #[must_use]
    pub fn sql(&self) -> SqlStorage {
        SqlStorage::new()
    }
}

pub(super) fn owned(keys: &[impl Deref<Target = str>]) -> Vec<String> {
    keys.iter().map(|key| key.deref().to_owned()).collect()
}

pub(super) fn entries(values: impl Serialize) -> Result<Vec<wit::Entry>> {
    let serde_json::Value::Object(map) = serde_json::to_value(values)? else {
        return Err("Must pass in a struct type".into());
    };
    let entry = |(key, value): (String, serde_json::Value)| Ok(wit::Entry { key, value: serde_json::to_vec(&value)? });
    map.into_iter().map(entry).collect::<Result<_, Error>>()
}

/// When an alarm goes off: a [`Date`], or, as a number of milliseconds or a [`Duration`], a time from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduledTime(Init);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Init {
    At(u64),
    OffsetMs(i64),
}

impl ScheduledTime {
    /// At `date`.
    #[must_use]
    pub fn new(date: Date) -> Self {
        Self(Init::At(date.as_millis()))
    }

    fn after(self, now: u64) -> u64 {
        match self.0 {
            Init::At(at) => at,
            Init::OffsetMs(offset) => now.saturating_add_signed(offset),
        }
    }
}

impl From<i64> for ScheduledTime {
    fn from(offset_ms: i64) -> Self {
        Self(Init::OffsetMs(offset_ms))
    }
}

impl From<Duration> for ScheduledTime {
    fn from(offset: Duration) -> Self {
        Self(Init::OffsetMs(i64::try_from(offset.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl From<Date> for ScheduledTime {
    fn from(date: Date) -> Self {
        Self::new(date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_time_from_now_and_a_date_is_not() {
        assert_eq!(ScheduledTime::from(2_000_i64).after(1_000), 3_000);
        assert_eq!(ScheduledTime(Init::OffsetMs(-2_000)).after(1_000), 0);
        let of = |time: ScheduledTime| time.after(1_000);
        assert_eq!(of(Duration::from_secs(1).into()), 2_000);
        assert_eq!(of(ScheduledTime(Init::At(7))), 7);
    }

    #[test]
    fn the_fields_of_a_struct_are_entries() {
        #[derive(Serialize)]
        struct Values {
            b: u8,
            a: Option<u8>,
        }
        let entries = entries(Values { b: 1, a: None }).unwrap();
        let shown: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_slice())).collect();
        assert_eq!(shown, [("b", b"1".as_slice()), ("a", b"null")]);
        assert_eq!(super::entries(7).unwrap_err().to_string(), "Must pass in a struct type");
    }
}
