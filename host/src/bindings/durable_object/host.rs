//! `durable-object`, `object-storage` and `object-sql` of the WIT contract.

use std::sync::Arc;

use miniflow_runtime::Timestamp;
use rusqlite::types::Value as SqlValue;

use super::range::Listing;
use super::{IdError, Namespace, ObjectStorage, StorageError};
use crate::bindings::{Bindings, Bound};
use crate::wasm::GuestState;
use crate::wasm::bindings::miniflow::worker::durable_object::Host as IdsHost;
use crate::wasm::bindings::miniflow::worker::object_sql::{Host as SqlHost, Rows, Value};
use crate::wasm::bindings::miniflow::worker::object_storage::{Entry, Host as StorageHost, ListOptions};
use crate::wasm::bindings::miniflow::worker::types::ApiError;

type Asked<T> = wasmtime::Result<Result<T, ApiError>>;

impl IdsHost for GuestState {
    fn id_from_name(&mut self, binding: String, name: String) -> Asked<String> {
        Ok(namespace(self.bound(), &binding).map(|namespace| namespace.id_from_name(&name).to_string()))
    }

    fn id_from_string(&mut self, binding: String, id: String) -> Asked<String> {
        Ok(namespace(self.bound(), &binding).and_then(|namespace| {
            let id = namespace.id_from_string(&id);
            id.map(|id| id.to_string()).map_err(|error: IdError| api_error("object.invalid_id", error.to_string()))
        }))
    }

    fn unique_id(&mut self, binding: String) -> Asked<String> {
        Ok(namespace(self.bound(), &binding).map(|namespace| namespace.unique_id(rand::random()).to_string()))
    }
}

/// The class that `binding` stands for.
pub(crate) fn namespace(bindings: &Bindings, binding: &str) -> Result<Arc<Namespace>, ApiError> {
    const KIND: &str = "durable object";
    let problem = match bindings.get(binding) {
        Some(Bound::DurableObject(namespace)) => return Ok(Arc::clone(namespace)),
        Some(Bound::Absent { kind: KIND, why }) => return Err(api_error("object.not_found", why.clone())),
        Some(other) => format!("binding `{binding}` is a {}, not a {KIND}", other.kind()),
        None => format!("there is no binding `{binding}`"),
    };
    let bound = match bindings.list(KIND) {
        Some(names) => format!("bound durable objects: {names}"),
        None => "no durable object is bound; add it to `durable_objects` in the configuration".to_owned(),
    };
    Err(api_error("binding.not_found", format!("{problem} ({bound})")))
}

fn api_error(code: &str, message: String) -> ApiError {
    ApiError { code: code.to_owned(), message }
}

/// Has the storage of the object answer. The guest stands still until it does.
fn ask<T, Q, A>(state: &GuestState, question: Q) -> impl Future<Output = Asked<T>> + Send + use<T, Q, A>
where
    Q: FnOnce(Arc<ObjectStorage>) -> A + Send,
    A: Future<Output = Result<T, StorageError>> + Send,
    T: Send,
{
    let storage = state.object().cloned();
    async move {
        let answer = match storage {
            Some(storage) => question(storage).await,
            None => Err(StorageError::OutsideObject),
        };
        Ok(answer.map_err(|error| api_error(error.code(), error.to_string())))
    }
}

impl StorageHost for GuestState {
    async fn get(&mut self, keys: Vec<String>) -> Asked<Vec<Entry>> {
        ask(self, |storage| async move { Ok(entries(storage.get(keys).await?)) }).await
    }

    async fn put(&mut self, entries: Vec<Entry>) -> Asked<()> {
        let entries = entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        ask(self, |storage| async move { storage.put(entries).await }).await
    }

    async fn delete(&mut self, keys: Vec<String>) -> Asked<u32> {
        ask(self, |storage| async move { Ok(u32::try_from(storage.delete(keys).await?).unwrap_or(u32::MAX)) }).await
    }

    async fn delete_all(&mut self) -> Asked<()> {
        ask(self, |storage| async move { storage.delete_all().await }).await
    }

    async fn list(&mut self, options: ListOptions) -> Asked<Vec<Entry>> {
        let ListOptions { start, start_after, end, prefix, reverse, limit } = options;
        let listing = Listing { start, start_after, end, prefix, reverse, limit };
        ask(self, |storage| async move { Ok(entries(storage.list(listing.range()?).await?)) }).await
    }

    async fn begin(&mut self) -> Asked<()> {
        ask(self, |storage| async move { storage.begin().await }).await
    }

    async fn commit(&mut self) -> Asked<()> {
        ask(self, |storage| async move { storage.end().await }).await
    }

    async fn rollback(&mut self) -> Asked<()> {
        ask(self, |storage| async move { storage.rollback().await }).await
    }

    async fn sync(&mut self) -> Asked<()> {
        ask(self, |storage| async move { storage.flush().await }).await
    }

    async fn get_alarm(&mut self) -> Asked<Option<u64>> {
        ask(self, |storage| async move { Ok(storage.alarm().await?.map(Timestamp::as_millis)) }).await
    }

    async fn set_alarm(&mut self, at: u64) -> Asked<()> {
        ask(self, |storage| async move { storage.set_alarm(Some(Timestamp(at))).await }).await
    }

    async fn delete_alarm(&mut self) -> Asked<()> {
        ask(self, |storage| async move { storage.set_alarm(None).await }).await
    }
}

fn entries(found: Vec<(String, Vec<u8>)>) -> Vec<Entry> {
    found.into_iter().map(|(key, value)| Entry { key, value }).collect()
}

impl SqlHost for GuestState {
    async fn exec(&mut self, query: String, bindings: Vec<Value>) -> Asked<Rows> {
        let bindings = bindings.into_iter().map(bound_value).collect();
        let exec = |storage: Arc<ObjectStorage>| async move {
            let found = storage.exec(query, bindings).await?;
            let rows_read = found.rows.len() as u64;
            let rows = found.rows.into_iter().map(|row| row.into_iter().map(found_value).collect()).collect();
            Ok(Rows { columns: found.columns, rows, rows_read, rows_written: found.written })
        };
        ask(self, exec).await
    }

    async fn database_size(&mut self) -> Asked<u64> {
        ask(self, |storage| async move { storage.size_bytes().await }).await
    }
}

fn bound_value(value: Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Integer(value) => SqlValue::Integer(value),
        Value::Real(value) => SqlValue::Real(value),
        Value::Text(value) => SqlValue::Text(value),
        Value::Blob(value) => SqlValue::Blob(value),
    }
}

fn found_value(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(value) => Value::Integer(value),
        SqlValue::Real(value) => Value::Real(value),
        SqlValue::Text(value) => Value::Text(value),
        SqlValue::Blob(value) => Value::Blob(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_bound_is_found_and_the_error_lists_it() {
        let counter = Arc::new(Namespace { worker: "shop".to_owned(), class: "Counter".to_owned() });
        let bindings: Bindings = [
            ("COUNTER".to_owned(), Bound::DurableObject(Arc::clone(&counter))),
            ("ORDERS".to_owned(), Bound::Workflow("orders".to_owned())),
            ("FAR".to_owned(), Bound::Absent { kind: "durable object", why: "not here".to_owned() }),
        ]
        .into_iter()
        .collect();
        assert_eq!(namespace(&bindings, "COUNTER").unwrap(), counter);
        let error = |binding: &str| {
            let error = namespace(&bindings, binding).unwrap_err();
            format!("{}: {}", error.code, error.message)
        };
        assert_eq!(
            error("COUNT"),
            "binding.not_found: there is no binding `COUNT` (bound durable objects: `COUNTER` and `FAR`)"
        );
        assert!(error("ORDERS").contains("is a workflow, not a durable object"));
        assert_eq!(error("FAR"), "object.not_found: not here");
    }
}
