//! A build of a Worker that can be run, and the place where the present one is found.
//!
//! Promises: whoever took a generation can use it to the end; a newer one never changes what is running. Never does: load.

use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::Run;
use tokio::sync::{SetOnce, watch};
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::handler::{Proxy, ProxyPre};

use super::bindings::exports::miniflow::worker::durable_objects::{
    Guest as ObjectGuest, GuestIndices as ObjectsIndices,
};
use super::bindings::exports::miniflow::worker::queue_consumer::GuestIndices as QueueIndices;
use super::bindings::exports::miniflow::worker::scheduled::GuestIndices as ScheduledIndices;
use super::bindings::exports::miniflow::worker::workflows::GuestIndices;
use super::pool::{GuestKind, GuestPermit, GuestPool};
use super::services::Services;
use super::state::{Guest, GuestState};
use super::symbols::Symbols;
use super::trap::Death;
use crate::bindings::Bindings;
use crate::bindings::durable_object::ObjectStorage;

/// A workflow class, or a Durable Object class, of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Where it is defined, such as `src/lib.rs:12`.
    pub source: Option<String>,
}

/// A compiled component and what was found in it. Several generations may share one.
pub(super) struct Code {
    pub(super) engine: Engine,
    pub(super) pool: GuestPool,
    pub(super) symbols: Arc<Symbols>,
    pub(super) pre: InstancePre<GuestState>,
    pub(super) fetch: Option<ProxyPre<GuestState>>,
    pub(super) workflows: Option<GuestIndices>,
    pub(super) scheduled: Option<ScheduledIndices>,
    pub(super) objects: Option<ObjectsIndices>,
    pub(super) queue: Option<QueueIndices>,
    pub(super) classes: Vec<Class>,
    pub(super) object_classes: Vec<Class>,
    pub(super) describe_failure: Option<Death>,
    pub(super) digest: String,
}

/// One build of a Worker with the configuration it runs under.
pub struct Generation {
    pub(super) code: Arc<Code>,
    pub(super) worker: Arc<str>,
    pub(super) bindings: Bindings,
    /// Processor time between two waits.
    pub(super) cpu_max: Duration,
    pub(super) services: Arc<Services>,
    pub(super) retired: SetOnce<()>,
}

impl Generation {
    /// Name of the Worker.
    #[must_use]
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// Whether the component handles HTTP requests.
    #[must_use]
    pub fn has_fetch(&self) -> bool {
        self.code.fetch.is_some()
    }

    /// Whether the component handles cron triggers.
    #[must_use]
    pub fn has_scheduled(&self) -> bool {
        self.code.scheduled.is_some()
    }

    /// Whether the component handles messages of queues.
    #[must_use]
    pub fn has_queue(&self) -> bool {
        self.code.queue.is_some()
    }

    /// The workflow classes, sorted by name.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.code.classes
    }

    /// Why the component could not say which classes it has, when it exports workflows.
    #[must_use]
    pub fn describe_failure(&self) -> Option<&Death> {
        self.code.describe_failure.as_ref()
    }

    /// Whether an instance of `class` can be run. Benefit of the doubt when the component could not say.
    #[must_use]
    pub fn has_class(&self, class: &str) -> bool {
        self.code.workflows.is_some()
            && (self.describe_failure().is_some() || self.classes().iter().any(|has| has.name == class))
    }

    /// The Durable Object classes, sorted by name.
    #[must_use]
    pub fn object_classes(&self) -> &[Class] {
        &self.code.object_classes
    }

    /// Whether there can be objects of `class`. Benefit of the doubt when the component could not say.
    #[must_use]
    pub fn has_object_class(&self, class: &str) -> bool {
        self.code.objects.is_some()
            && (self.describe_failure().is_some() || self.object_classes().iter().any(|has| has.name == class))
    }

    /// The artifact's content address: equal for equal artifacts. 32 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.code.digest
    }

    /// What it can use.
    #[must_use]
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Returns the same code under another configuration.
    #[must_use]
    pub fn configured(&self, bindings: Bindings, cpu_max: Duration) -> Self {
        Self {
            code: Arc::clone(&self.code),
            worker: Arc::clone(&self.worker),
            bindings,
            cpu_max,
            services: Arc::clone(&self.services),
            retired: SetOnce::new(),
        }
    }

    /// Returns the same code under another configuration, among others that share `services`.
    #[must_use]
    pub(crate) fn among(&self, services: &Arc<Services>, bindings: Bindings, cpu_max: Duration) -> Self {
        Self { services: Arc::clone(services), ..self.configured(bindings, cpu_max) }
    }

    /// Whether it is the code of `other`, with these bindings and this limit.
    #[must_use]
    pub fn is_same(&self, other: &Self, bindings: &Bindings, cpu_max: Duration) -> bool {
        self.digest() == other.digest() && self.bindings == *bindings && self.cpu_max == cpu_max
    }

    /// What guests share.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Says that nothing new is to begin on it: a newer one is there, or the server stops.
    pub(crate) fn retire(&self) {
        // Set already is as good.
        let _ = self.retired.set(());
    }

    /// Returns when a newer generation has taken the place of this one.
    pub async fn retired(&self) {
        self.retired.wait().await;
    }

    /// Whether a newer generation has taken the place of this one.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.initialized()
    }

    /// The permits of the engine's instance pool.
    pub(crate) fn pool(&self) -> &GuestPool {
        &self.code.pool
    }

    /// Takes a permit for a guest of this kind and creates its store.
    pub(crate) async fn store(&self, kind: GuestKind) -> Store<GuestState> {
        self.store_of(self.pool().reserve(kind).await, None, None)
    }

    /// Creates the store of a run.
    pub(crate) fn run_store(&self, permit: GuestPermit, run: Arc<Run>) -> Store<GuestState> {
        self.store_of(permit, Some(run), None)
    }

    /// Takes a permit for a Durable Object and creates its store.
    pub(crate) async fn object_store(&self, storage: Arc<ObjectStorage>) -> Store<GuestState> {
        self.store_of(self.pool().reserve(GuestKind::Object).await, None, Some(storage))
    }

    fn store_of(
        &self,
        permit: GuestPermit,
        run: Option<Arc<Run>>,
        object: Option<Arc<ObjectStorage>>,
    ) -> Store<GuestState> {
        let (worker, bindings) = (Arc::clone(&self.worker), self.bindings.clone());
        let symbols = Arc::clone(&self.code.symbols);
        let guest = Guest { permit, symbols, worker, bindings, run, object, cpu: self.cpu_max };
        GuestState::store(&self.code.engine, &self.services, guest)
    }

    /// None when the component has no Durable Objects.
    pub(crate) async fn instantiate_object(
        &self,
        store: &mut Store<GuestState>,
    ) -> Option<wasmtime::Result<ObjectGuest>> {
        let indices = self.code.objects.as_ref()?;
        let instantiate = async {
            let instance = self.instantiate(store).await?;
            indices.load(&mut *store, &instance)
        };
        Some(instantiate.await)
    }

    pub(super) async fn instantiate(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Instance> {
        self.code.pre.instantiate_async(store).await
    }

    /// None when the component does not handle requests.
    pub(crate) async fn instantiate_fetch(&self, store: &mut Store<GuestState>) -> Option<wasmtime::Result<Proxy>> {
        Some(self.code.fetch.as_ref()?.instantiate_async(store).await)
    }
}

/// Where the present generation of a Worker is found. Cheap to clone; all clones are the same place.
#[derive(Clone)]
pub struct Slot(watch::Sender<Option<Arc<Generation>>>);

impl Default for Slot {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Slot {
    /// The present generation; none before the first build.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Generation>> {
        self.0.borrow().clone()
    }

    /// Makes `generation` the present one. What runs on the one before goes on; its idle instances end.
    pub fn set(&self, generation: Arc<Generation>) {
        if let Some(before) = self.0.send_replace(Some(generation)) {
            before.retire();
        }
    }

    /// Leaves the place empty, as before the first build: its idle instances end.
    pub(crate) fn clear(&self) {
        if let Some(before) = self.0.send_replace(None) {
            before.retire();
        }
    }

    /// Returns the present generation as soon as there is one that `fits`. Cancel-safe.
    pub async fn wait_for(&self, fits: impl Fn(&Generation) -> bool) -> Arc<Generation> {
        let mut changes = self.0.subscribe();
        let found = changes.wait_for(|now| now.as_deref().is_some_and(&fits)).await;
        match found.ok().and_then(|now| now.clone()) {
            Some(generation) => generation,
            // The sender is `self`, so it is still there.
            None => std::future::pending().await,
        }
    }
}
