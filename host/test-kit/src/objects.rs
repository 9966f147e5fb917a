//! Durable Objects, for the test itself.

use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use miniflow::bindings::Bound;
use miniflow::bindings::durable_object::{Namespace, ObjectId, ObjectKey};
use miniflow_runtime::mover::Skip;

use crate::body::{self, Body, Response};
use crate::error::Error;
use crate::running::TestWorker;

/// The objects of a class, as the binding has them. Cheap to clone.
#[derive(Clone)]
pub struct DurableObjects {
    worker: TestWorker,
    namespace: Arc<Namespace>,
}

/// A Durable Object. Cheap to clone.
#[derive(Clone)]
pub struct DurableObject {
    worker: TestWorker,
    key: ObjectKey,
    name: Option<String>,
}

impl TestWorker {
    /// The Durable Objects that its configuration binds to this name.
    ///
    /// # Errors
    ///
    /// When there is no such binding.
    pub fn durable_object(&self, binding: &str) -> Result<DurableObjects, Error> {
        let namespace = self.0.bound("Durable Object", binding, |bound| match bound {
            Bound::DurableObject(namespace) => Some(Arc::clone(namespace)),
            _ => None,
        })?;
        Ok(DurableObjects { worker: self.clone(), namespace })
    }
}

impl DurableObjects {
    /// The object of this name.
    #[must_use]
    pub fn get_by_name(&self, name: &str) -> DurableObject {
        self.object(self.namespace.id_from_name(name), Some(name.to_owned()))
    }

    /// The object of this id.
    ///
    /// # Errors
    ///
    /// When it is no id of an object of this class.
    pub fn get_by_id(&self, id: &str) -> Result<DurableObject, Error> {
        let id = self.namespace.id_from_string(id).map_err(|error| Error::Data(error.to_string()))?;
        Ok(self.object(id, None))
    }

    fn object(&self, id: ObjectId, name: Option<String>) -> DurableObject {
        let key = ObjectKey { namespace: Arc::clone(&self.namespace), id };
        DurableObject { worker: self.worker.clone(), key, name }
    }
}

impl DurableObject {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        self.key.id.to_string()
    }

    /// Has its `fetch` handler answer `request`, and returns the whole answer. A URL without a host is one of `localhost`.
    ///
    /// # Errors
    ///
    /// The object's own error, what it died of, or why there is none.
    pub async fn fetch<B: Into<Body>>(&self, request: Request<B>) -> Result<Response, Error> {
        let request = absolute(request)?.map(|body| body.into().0);
        let request = request.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync());
        let (running, key, name) = (Arc::clone(&self.worker.0), self.key.clone(), self.name.clone());
        let answered = async move {
            let asked = running.objects.fetch(key, name, request, 0);
            let answer = running.skipping(Skip::Naps, asked).await.map_err(|error| Error::Data(error.0))?;
            let (head, body) = answer.into_parts();
            let body = running.skipping(Skip::Naps, body.collect()).await;
            let body = body.map_err(|error| Error::Data(format!("the answer broke off: {error}")))?;
            Ok(Response::new(http::Response::from_parts(head, body.to_bytes())))
        };
        self.worker.0.process.run(answered).await
    }

    /// Asks it for `path`.
    ///
    /// # Errors
    ///
    /// When `path` is not one; as [`Self::fetch`].
    pub async fn get(&self, path: &str) -> Result<Response, Error> {
        self.fetch(body::get(path)?).await
    }

    /// Posts `body` to `path`, as JSON.
    ///
    /// # Errors
    ///
    /// When `path` is not one; as [`Self::fetch`].
    pub async fn post_json(&self, path: &str, body: &impl serde::Serialize) -> Result<Response, Error> {
        self.fetch(body::post_json(path, body)?).await
    }
}

fn absolute<B>(mut request: Request<B>) -> Result<Request<B>, Error> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority.get_or_insert_with(|| Authority::from_static("localhost"));
    parts.scheme.get_or_insert(Scheme::HTTP);
    parts.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
    *request.uri_mut() =
        Uri::from_parts(parts).map_err(|error| Error::Data(format!("the URL of the request: {error}")))?;
    Ok(request)
}
