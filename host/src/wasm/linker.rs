//! What a component may import.
//!
//! Promises: everything that is offered is listed here; versions are matched semver-wise by wasmtime.

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::bindings::Guest;
use super::bindings::miniflow::worker::{
    durable_object, environment, kv, logging, object_sql, object_storage, queue, steps, types, workflow,
};
use super::clock;
use super::determinism;
use super::state::GuestState;

/// Returns the linker for every Worker.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    // A Rust guest imports WASI 0.2 for its standard library and 0.3 for its async side, in one component.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    linker.allow_shadowing(true);
    clock::add_to_linker(&mut linker)?;
    determinism::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    types::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    environment::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    logging::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    workflow::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    queue::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    kv::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    steps::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    durable_object::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    object_storage::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    object_sql::add_to_linker::<_, Guest>(&mut linker, |state| state)?;
    Ok(linker)
}
