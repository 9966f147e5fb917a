//! `kv` of the WIT contract.

use std::sync::Arc;

use wasmtime::component::Accessor;

use super::{Entry, KvError, ListOptions, Listed, Namespaces, PutOptions};
use crate::bindings::{Bindings, Bound};
use crate::wasm::GuestState;
use crate::wasm::bindings::Guest;
use crate::wasm::bindings::miniflow::worker::kv::{
    Entry as WitEntry, Host, HostWithStore, Key, ListOptions as WitList, Page, PutOptions as WitPut,
};
use crate::wasm::bindings::miniflow::worker::types::ApiError;
use crate::wasm::outside::Deed;

type Asked<T> = wasmtime::Result<Result<T, ApiError>>;

type Store = Accessor<GuestState, Guest>;

impl Host for GuestState {}

// Every question goes to the thread of the database: dropping the future here drops the answer, not the deed.
impl HostWithStore<GuestState> for Guest {
    async fn get(store: &Store, binding: String, key: String, cache_ttl: Option<u64>) -> Asked<Option<WitEntry>> {
        let get = async |namespaces: Namespaces, id: String| {
            let entry = namespaces.get(&id, key, cache_ttl).await?;
            Ok(entry.map(|entry| entry.map(Into::into)))
        };
        ask(store, &binding, None, get).await
    }

    async fn get_many(
        store: &Store,
        binding: String,
        keys: Vec<String>,
        cache_ttl: Option<u64>,
    ) -> Asked<Vec<Option<WitEntry>>> {
        let get = async |namespaces: Namespaces, id: String| {
            let entries = namespaces.get_many(&id, keys, cache_ttl).await?;
            Ok(entries.map(|entries| entries.into_iter().map(|entry| entry.map(Into::into)).collect()))
        };
        ask(store, &binding, None, get).await
    }

    async fn put(store: &Store, binding: String, key: String, value: Vec<u8>, options: WitPut) -> Asked<()> {
        let WitPut { expiration, expiration_ttl, metadata } = options;
        let options = PutOptions { expiration, expiration_ttl, metadata };
        let written = Some(key.clone());
        let put = async |namespaces: Namespaces, id: String| namespaces.put(&id, key, value.into(), options).await;
        ask(store, &binding, written, put).await
    }

    async fn delete(store: &Store, binding: String, key: String) -> Asked<()> {
        let written = Some(key.clone());
        let delete = async |namespaces: Namespaces, id: String| namespaces.delete(&id, key).await;
        ask(store, &binding, written, delete).await
    }

    async fn list(store: &Store, binding: String, options: WitList) -> Asked<Page> {
        let WitList { prefix, limit, cursor } = options;
        let options = ListOptions { prefix, limit, cursor };
        let list = async |namespaces: Namespaces, id: String| {
            let page = namespaces.list(&id, options).await?;
            Ok(page.map(|page| Page { keys: page.keys.into_iter().map(Into::into).collect(), cursor: page.cursor }))
        };
        ask(store, &binding, None, list).await
    }
}

impl From<Entry> for WitEntry {
    fn from(Entry { value, metadata }: Entry) -> Self {
        Self { value, metadata }
    }
}

impl From<Listed> for Key {
    fn from(Listed { key, expires_at, metadata }: Listed) -> Self {
        Self { name: key, expiration: expires_at, metadata }
    }
}

/// Asks for something of the namespace that `binding` stands for, by which a key may be written.
async fn ask<T>(
    store: &Store,
    binding: &str,
    written: Option<String>,
    question: impl AsyncFnOnce(Namespaces, String) -> Result<Result<T, KvError>, super::WriterError>,
) -> Asked<T> {
    let (gate, namespaces, id) = store.with(|mut access| {
        let state = access.get();
        (state.gate(), state.services().namespaces(), bound(state.bound(), binding))
    });
    let busy = gate.pass("uses a KV namespace outside of a step").await?;
    let id = match id {
        Ok(id) => id,
        Err(error) => return Ok(Err(error)),
    };
    let Some(namespaces) = namespaces else { wasmtime::bail!("the session has no KV namespaces") };
    if let Some(key) = written {
        let (services, run) = store.with(|mut access| {
            let state = access.get();
            (Arc::clone(state.services()), state.run().cloned())
        });
        services.show(run.as_ref(), || Deed::Touch { place: super::place(&id, &key) }).await;
    }
    let answer = question(namespaces, id).await;
    drop(busy);
    Ok(answer?.map_err(|error| ApiError { code: error.code().to_owned(), message: error.to_string() }))
}

/// The id of the namespace that `binding` stands for.
fn bound(bindings: &Bindings, binding: &str) -> Result<String, ApiError> {
    let problem = match bindings.get(binding) {
        Some(Bound::Kv(id)) => return Ok(id.clone()),
        Some(other) => format!("binding `{binding}` is a {}, not a KV namespace", other.kind()),
        None => format!("there is no binding `{binding}`"),
    };
    let bound = match bindings.list("KV namespace") {
        Some(names) => format!("bound KV namespaces: {names}"),
        None => "no KV namespace is bound; add it to `kv_namespaces` in the configuration".to_owned(),
    };
    Err(ApiError { code: "binding.not_found".to_owned(), message: format!("{problem} ({bound})") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_reaches_the_namespaces_that_are_bound_by_the_names_they_have_here() {
        let bindings: Bindings =
            [("CACHE".to_owned(), Bound::Kv("id-1".to_owned())), ("GREETING".to_owned(), Bound::Text("hi".to_owned()))]
                .into_iter()
                .collect();
        assert_eq!(bound(&bindings, "CACHE").ok().as_deref(), Some("id-1"));
        // The id of a namespace, its own or another Worker's, is not the name of a binding.
        let error = bound(&bindings, "id-1").unwrap_err();
        assert_eq!(error.code, "binding.not_found");
        assert_eq!(error.message, "there is no binding `id-1` (bound KV namespaces: `CACHE`)");
        let error = bound(&bindings, "GREETING").unwrap_err();
        assert_eq!(
            error.message,
            "binding `GREETING` is a variable, not a KV namespace (bound KV namespaces: `CACHE`)"
        );
        let error = bound(&Bindings::default(), "CACHE").unwrap_err();
        assert!(error.message.ends_with("(no KV namespace is bound; add it to `kv_namespaces` in the configuration)"));
    }
}
