//! Requests that guests send to each other: which they are, and who passes them on.
//!
//! A guest sends such a request as any other, with a header that names one of its bindings. The header is taken off here, and means nothing but
//! what the guest's own configuration binds: a name that is not bound leads nowhere.
//!
//! Promises: what comes in from outside has no such header any more. Never does: answer a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, Request, Response};
use wasmtime_wasi_http::WasiBody;

use crate::bindings::durable_object::{Namespace, ObjectId};
use crate::bindings::{Bindings, Bound};

/// The header. `object BINDING ID`, and the name of the object, URL-encoded, when it is known; or `service BINDING`; or `decode CODINGS`
/// ([`super::decoding`]).
pub(super) const HEADER: HeaderName = HeaderName::from_static("miniflow-route");

/// Workers and objects that ask each other for one event (documented: 32 invocations of Workers for a request).
pub const DEPTH_MAX: u32 = 32;

/// Takes the header off a request that comes from outside.
pub(crate) fn forget(headers: &mut HeaderMap) {
    headers.remove(HEADER);
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a Worker.
    Worker(String),
    /// To an object.
    Object {
        /// Its class.
        namespace: Arc<Namespace>,
        /// Its id.
        id: ObjectId,
        /// What the id was made of, when that is known.
        name: Option<String>,
    },
}

/// A request to a Worker or an object.
pub struct Call {
    /// To whom.
    pub target: Target,
    /// What is asked.
    pub request: Request<WasiBody>,
    /// How many Workers are asked before this one.
    pub depth: u32,
}

/// There is no answer: why, for the guest that asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

/// Passes requests on.
pub trait Inward: Send + Sync + 'static {
    /// Answers `call`. Dropped when the guest that asked is gone, or does not wait any more.
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Response<WasiBody>, CallError>>;
}

/// How many Workers and objects are asked for what a guest does, itself included. All clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Depth(Arc<AtomicU32>);

impl Depth {
    /// Says how many.
    pub fn set(&self, depth: u32) {
        self.0.store(depth, Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// The target of a request that names one of `bindings`; none when it goes to the network. Takes the header off.
pub(super) fn route(headers: &mut HeaderMap, bindings: &Bindings) -> Option<Result<Target, CallError>> {
    let header = headers.remove(HEADER)?;
    Some(target(header.to_str().unwrap_or_default(), bindings))
}

fn target(text: &str, bindings: &Bindings) -> Result<Target, CallError> {
    let mut words = text.split(' ');
    let kind = words.next().unwrap_or_default();
    let binding = words.next().unwrap_or_default();
    match (kind, bindings.get(binding)) {
        ("service", Some(Bound::Service(worker))) => Ok(Target::Worker(worker.clone())),
        ("object", Some(Bound::DurableObject(namespace))) => {
            let id = namespace.id_from_string(words.next().unwrap_or_default());
            let id = id.map_err(|error| CallError(error.to_string()))?;
            let name = words.next().and_then(|name| form_urlencoded::parse(name.as_bytes()).next());
            let name = name.map(|(name, _)| name.into_owned());
            Ok(Target::Object { namespace: Arc::clone(namespace), id, name })
        }
        (_, Some(Bound::Absent { why, .. })) => Err(CallError(why.clone())),
        (_, Some(other)) => Err(CallError(format!("binding `{binding}` is a {}", other.kind()))),
        (_, None) => Err(CallError(format!("there is no binding `{binding}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings() -> Bindings {
        let namespace = Namespace { worker: "shop".to_owned(), class: "Counter".to_owned() };
        [
            ("AUTH".to_owned(), Bound::Service("auth".to_owned())),
            ("COUNTER".to_owned(), Bound::DurableObject(namespace.into())),
            ("FAR".to_owned(), Bound::Absent { kind: "service", why: "not here".to_owned() }),
        ]
        .into_iter()
        .collect()
    }

    fn routed(header: &str) -> Result<Target, String> {
        let mut headers = HeaderMap::from_iter([(HEADER, header.parse().unwrap())]);
        let target = route(&mut headers, &bindings()).expect("it has the header").map_err(|error| error.0);
        assert!(headers.is_empty());
        target
    }

    #[test]
    fn a_header_leads_to_what_is_bound() {
        assert_eq!(routed("service AUTH"), Ok(Target::Worker("auth".to_owned())));
        let namespace = Arc::new(Namespace { worker: "shop".to_owned(), class: "Counter".to_owned() });
        let id = namespace.id_from_name("room 7");
        let object = |name: Option<&str>| {
            Ok(Target::Object { namespace: Arc::clone(&namespace), id, name: name.map(ToOwned::to_owned) })
        };
        assert_eq!(routed(&format!("object COUNTER {id} room+7")), object(Some("room 7")));
        assert_eq!(routed(&format!("object COUNTER {id}")), object(None));
        assert!(route(&mut HeaderMap::new(), &bindings()).is_none());
    }

    #[test]
    fn what_is_not_bound_leads_nowhere() {
        assert_eq!(routed("service auth"), Err("there is no binding `auth`".to_owned()));
        assert_eq!(routed("object AUTH 00"), Err("binding `AUTH` is a service".to_owned()));
        assert_eq!(routed("service FAR"), Err("not here".to_owned()));
        let foreign = Namespace { worker: "other".to_owned(), class: "Counter".to_owned() }.id_from_name("a");
        assert_eq!(
            routed(&format!("object COUNTER {foreign}")),
            Err("Durable Object ID is not valid for this namespace.".to_owned())
        );
    }
}
