//! What guests share: the clock, the console's sink, the other Workers and the runtime that keeps instances.

use std::sync::{Arc, OnceLock};

use miniflow_runtime::{Clock, Handle};
use tokio::sync::SetOnce;

use super::determinism::Determinism;
use super::inward::Inward;
use super::network::Network;
use super::outside::Outside;
use super::own_address::OwnAddresses;
use super::tls::{Authorities, Tls};
use super::workers::Workers;
use crate::bindings::kv::Namespaces;
use crate::bindings::logging::LogSink;
use crate::bindings::queue::Queues;

/// What is behind the host functions. One for the session.
pub struct Services {
    /// Time for guests.
    pub clock: Arc<dyn Clock>,
    /// Where guests' lines go.
    pub logs: Arc<dyn LogSink>,
    /// The Workers of the session.
    pub workers: Workers,
    /// Where their requests may go.
    pub(super) network: Network,
    /// Whom they believe there.
    pub(super) tls: Tls,
    runtime: SetOnce<Handle>,
    inward: SetOnce<Arc<dyn Inward>>,
    own: OnceLock<OwnAddresses>,
    queues: OnceLock<Queues>,
    namespaces: OnceLock<Namespaces>,
    outside: OnceLock<Arc<dyn Outside>>,
    determinism: OnceLock<Arc<Determinism>>,
}

impl Services {
    /// Returns services without a runtime yet: that one needs the runner, which needs these.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, logs: Arc<dyn LogSink>) -> Self {
        let (runtime, inward) = (SetOnce::new(), SetOnce::new());
        let (queues, namespaces) = (OnceLock::new(), OnceLock::new());
        let (outside, determinism, own) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let (workers, network, tls) = (Workers::default(), Network::default(), Tls::default());
        Self { clock, logs, workers, network, tls, runtime, inward, own, queues, namespaces, outside, determinism }
    }

    /// Says where Workers' requests may go: anywhere, unless this is said.
    #[must_use]
    pub fn with_network(self, network: Network) -> Self {
        Self { network, ..self }
    }

    /// Says whom Workers' requests believe besides the web's authorities.
    #[must_use]
    pub fn with_authorities(self, authorities: Authorities) -> Self {
        Self { tls: Tls::new(authorities), ..self }
    }

    /// Sets the addresses that the server of the session listens on. Only the first call counts.
    pub fn set_own_addresses(&self, own: OwnAddresses) {
        if self.own.set(own).is_err() {
            tracing::debug!("the addresses of the server were set already");
        }
    }

    /// Returns the addresses that the server of the session listens on; none before it is served.
    pub(super) fn own_addresses(&self) -> OwnAddresses {
        self.own.get().cloned().unwrap_or_default()
    }

    /// Says which runtime it is. Guests that ask for it wait until then. Only the first call counts.
    pub fn set_runtime(&self, handle: Handle) {
        if self.runtime.set(handle).is_err() {
            tracing::debug!("the runtime was set already");
        }
    }

    /// Says where messages are sent to. Only the first call counts.
    pub fn set_queues(&self, queues: Queues) {
        if self.queues.set(queues).is_err() {
            tracing::debug!("the queues were set already");
        }
    }

    /// The queues of the session, if it has any.
    #[must_use]
    pub fn queues(&self) -> Option<Queues> {
        self.queues.get().cloned()
    }

    /// Says where keys and values are. Only the first call counts.
    pub fn set_namespaces(&self, namespaces: Namespaces) {
        if self.namespaces.set(namespaces).is_err() {
            tracing::debug!("the KV namespaces were set already");
        }
    }

    /// The KV namespaces of the session, if it has any.
    #[must_use]
    pub fn namespaces(&self) -> Option<Namespaces> {
        self.namespaces.get().cloned()
    }

    /// Puts somebody between guests and what is outside of them. Only the first call counts.
    pub fn set_outside(&self, outside: Arc<dyn Outside>) {
        if self.outside.set(outside).is_err() {
            tracing::debug!("somebody stands outside already");
        }
    }

    /// Whoever stands between guests and what is outside of them.
    #[must_use]
    pub fn outside(&self) -> Option<Arc<dyn Outside>> {
        self.outside.get().cloned()
    }

    /// Has it noted what runs read between their steps. Only the first call counts.
    pub fn set_determinism(&self, determinism: Arc<Determinism>) {
        if self.determinism.set(determinism).is_err() {
            tracing::debug!("it is noted already");
        }
    }

    /// Where it is noted what runs read between their steps, if it is.
    #[must_use]
    pub fn determinism(&self) -> Option<&Determinism> {
        self.determinism.get().map(|determinism| &**determinism)
    }

    /// The runtime, as soon as there is one. Cancel-safe.
    pub async fn runtime(&self) -> &Handle {
        self.runtime.wait().await
    }

    /// Says who passes requests on to Workers and objects. Only the first call counts.
    pub fn set_inward(&self, inward: Arc<dyn Inward>) {
        if self.inward.set(inward).is_err() {
            tracing::debug!("who passes requests on was set already");
        }
    }

    /// Passes requests on to Workers and objects, as soon as there is somebody. Cancel-safe.
    pub async fn inward(&self) -> &Arc<dyn Inward> {
        self.inward.wait().await
    }
}
