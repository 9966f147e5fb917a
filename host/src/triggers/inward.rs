//! Passes the requests of guests on to Workers and objects of the session.
//!
//! Promises: a Worker is asked on its present generation, in this process; all Workers together share the permits of the session.
//! Never does: look at a request.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use http::Response;

use super::durable_object::Objects;
use super::http::{Body, Fetch, Permits};
use crate::bindings::durable_object::ObjectKey;
use crate::wasm::Workers;
use crate::wasm::inward::{Call, CallError, Inward, Target};

/// See the module.
pub struct Passing {
    workers: Workers,
    objects: Objects,
    permits: Permits,
    fetches: Mutex<BTreeMap<String, Fetch>>,
}

impl Passing {
    /// Passes requests on to `workers` and `objects`.
    #[must_use]
    pub fn new(workers: Workers, objects: Objects) -> Self {
        Self { workers, objects, permits: Permits::default(), fetches: Mutex::default() }
    }

    /// The handler of `worker` for requests, which need not be there yet.
    #[must_use]
    pub fn fetch(&self, worker: &str) -> Fetch {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        let fetch = || Fetch::new(self.workers.slot(worker), self.permits.clone());
        fetches.entry(worker.to_owned()).or_insert_with(fetch).clone()
    }
}

impl Inward for Passing {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Response<Body>, CallError>> {
        let Call { target, request, depth } = call;
        match target {
            Target::Worker(worker) => {
                let fetch = self.fetch(&worker);
                Box::pin(async move { fetch.call(request, depth).await })
            }
            Target::Object { namespace, id, name } => {
                let objects = self.objects.clone();
                Box::pin(async move { objects.fetch(ObjectKey { namespace, id }, name, request, depth).await })
            }
        }
    }
}
