//! A Worker that runs for a test.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use miniflow::bindings::kv::Namespaces;
use miniflow::bindings::logging::{LogLine, LogSink};
use miniflow::bindings::queue::Queues;
use miniflow::config::WorkflowEntry;
use miniflow::introspect::{IntrospectError, Introspection};
use miniflow::server::{Server, ServerOptions};
use miniflow::session::{Built, Member, Session};
use miniflow::triggers::durable_object::Objects;
use miniflow::triggers::http::Fetch;
use miniflow::wasm::Generation;
use miniflow::wasm::outside::Outside;
use miniflow_runtime::Handle;
use miniflow_runtime::clock::TimeMode;
use miniflow_runtime::mover::{Mover, Skip};
use miniflow_runtime::script::Scripts;

use crate::body::{self, Body, Response};
use crate::clock::Clock;
use crate::console::Console;
use crate::error::Error;
use crate::introspect::{InstanceIntrospector, WorkflowIntrospector};
use crate::outbound::{Outbound, Shared};
use crate::process::Process;
use crate::secrets::Secrets;
use crate::workflow::Workflow;

/// Under which conditions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) time: TimeMode,
    pub(crate) fires: bool,
    pub(crate) patience: Duration,
}

/// A Worker that runs in this process, for one test. Cheap to clone; it ends with the last clone and the last handle that was made of it.
#[derive(Clone)]
pub struct TestWorker(pub(crate) Arc<Running>);

pub(crate) struct Running {
    pub(crate) process: &'static Process,
    /// There until this is dropped.
    server: Option<Server>,
    pub(crate) handle: Handle,
    pub(crate) mover: Mover,
    fetch: Fetch,
    pub(crate) queues: Queues,
    pub(crate) namespaces: Namespaces,
    pub(crate) objects: Objects,
    session: Session,
    members: Vec<Arc<Member>>,
    console: Arc<Console>,
    pub(crate) introspection: Introspection,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) patience: Duration,
}

impl TestWorker {
    pub(crate) async fn start(
        process: &'static Process,
        workers: Vec<Built>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let console = Arc::new(Console::default());
        let scripts = Arc::new(Scripts::default());
        let secrets = Secrets::of(workers.iter().map(|worker| &worker.project));
        let outbound = Arc::new(Outbound::new(secrets));
        let options = ServerOptions {
            compiler: Some(process.compiler.clone()),
            scripts: Some(Arc::clone(&scripts)),
            outside: Some(Arc::new(Shared(Arc::clone(&outbound))) as Arc<dyn Outside>),
            time: Some(settings.time),
            fires: settings.fires,
            ..ServerOptions::in_memory(Arc::clone(&console) as Arc<dyn LogSink>)
        };
        let server = Server::start(workers, options).await?;
        // It is set once, for it was made above.
        let _ = outbound.clock.set(server.mover().clock().clone());
        let introspection = Introspection::new(scripts, server.instances(), server.mover().clone());
        Ok(Self(Arc::new(Running {
            process,
            handle: server.instances(),
            mover: server.mover().clone(),
            fetch: server.fetch().clone(),
            queues: server.queues().clone(),
            namespaces: server.namespaces().clone(),
            objects: server.objects().clone(),
            session: server.session().clone(),
            members: server.session().members(),
            server: Some(server),
            console,
            introspection,
            outbound,
            patience: settings.patience,
        })))
    }

    /// Has its `fetch` handler answer `request`, and returns the whole answer. Time is skipped when all that the handler does is to wait for
    /// it. A URL without a host is one of `localhost`.
    ///
    /// # Errors
    ///
    /// When the answer breaks off. A handler that fails answers with status 500, as it does when it is served.
    pub async fn fetch<B: Into<Body>>(&self, request: Request<B>) -> Result<Response, Error> {
        let mut request = request.map(|body| Full::new(body.into().0));
        if request.uri().authority().is_none() && !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        }
        let running = Arc::clone(&self.0);
        let answered = async move {
            let answer = running.fetch.handle(request, ([127, 0, 0, 1], 80).into());
            let (head, body) = running.skipping(Skip::Naps, answer).await.into_parts();
            let body = running.skipping(Skip::Naps, body.collect()).await;
            let body = body.map_err(|error| Error::Data(format!("the answer broke off: {error}")))?;
            Ok(Response::new(http::Response::from_parts(head, body.to_bytes())))
        };
        self.0.process.run(answered).await
    }

    /// Asks it for `path`.
    ///
    /// # Errors
    ///
    /// When `path` is not one, or the answer breaks off.
    pub async fn get(&self, path: &str) -> Result<Response, Error> {
        self.fetch(body::get(path)?).await
    }

    /// Posts `body` to `path`, as JSON.
    ///
    /// # Errors
    ///
    /// When `path` is not one, or the answer breaks off.
    pub async fn post_json(&self, path: &str, body: &impl serde::Serialize) -> Result<Response, Error> {
        self.fetch(body::post_json(path, body)?).await
    }

    /// The workflow that its configuration binds to this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn workflow(&self, binding: &str) -> Result<Workflow, Error> {
        let entry = self.0.entry(binding)?;
        Ok(Workflow::new(self.clone(), entry.name.clone()))
    }

    /// Looks into the instance of this id, which need not exist yet, of the workflow that is bound to this name.
    ///
    /// # Errors
    ///
    /// When there is no such binding.
    pub fn introspect_instance(&self, binding: &str, id: &str) -> Result<InstanceIntrospector, Error> {
        if binding.is_empty() || id.is_empty() {
            return Err(misuse("[WorkflowIntrospector] Workflow binding and instance id are required."));
        }
        let entry = self.0.entry(binding)?;
        Ok(InstanceIntrospector::new(self.clone(), &entry.name, id))
    }

    /// Looks into all instances that are made from now on of the workflow that is bound to this name. One at a time of each workflow.
    ///
    /// # Errors
    ///
    /// When there is no such binding, or somebody does it already.
    pub fn introspect(&self, binding: &str) -> Result<WorkflowIntrospector, Error> {
        if binding.is_empty() {
            return Err(misuse("[WorkflowIntrospector] Workflow binding is required."));
        }
        let entry = self.0.entry(binding)?;
        WorkflowIntrospector::begin(self.clone(), binding, entry.name.clone())
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::new(self.clone())
    }

    /// What its guests have logged so far, oldest first.
    #[must_use]
    pub fn console(&self) -> Vec<LogLine> {
        self.0.console.lines()
    }
}

impl Running {
    /// The workflow that its configuration binds to this name.
    pub(crate) fn entry(&self, binding: &str) -> Result<&WorkflowEntry, Error> {
        let member = self.first()?;
        let is_it = |entry: &&WorkflowEntry| entry.binding.as_deref() == Some(binding);
        member.workflows.iter().find(is_it).ok_or_else(|| {
            let has: Vec<_> = member.workflows.iter().filter_map(|entry| entry.binding.as_deref()).collect();
            self.no_binding("Workflow", binding, &has)
        })
    }

    pub(crate) fn no_binding(&self, kind: &'static str, binding: &str, has: &[&str]) -> Error {
        Error::NoBinding {
            kind,
            binding: binding.to_owned(),
            worker: self.first().map_or_else(|_| String::new(), |member| member.name().to_owned()),
            has: if has.is_empty() { "none".to_owned() } else { has.join(", ") },
        }
    }

    /// The Worker's code.
    pub(crate) fn generation(&self) -> Result<Arc<Generation>, Error> {
        let name = self.first()?.name();
        let generation = self.session.slot(name).get();
        generation.ok_or_else(|| Error::NoHandler(format!("the Worker `{name}` is not loaded")))
    }

    pub(crate) fn no_handler(&self, attribute: &str) -> Error {
        let name = self.first().map_or("", |member| member.name());
        Error::NoHandler(format!("the Worker `{name}` has no such handler: add one with `{attribute}`"))
    }

    fn first(&self) -> Result<&Arc<Member>, Error> {
        self.members.first().ok_or_else(|| Error::NoHandler("the session has no Worker".to_owned()))
    }

    /// Awaits `work`, and skips idle time meanwhile if that is how the clock goes.
    pub(crate) async fn skipping<F: Future>(&self, what: Skip, work: F) -> F::Output {
        self.mover.skipping(what, work).await
    }
}

fn misuse(text: &str) -> Error {
    IntrospectError::Misuse(text.to_owned()).into()
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.console.show(&self.outbound.refused());
        }
        if let Some(server) = self.server.take() {
            self.process.spawn(server.stop(Duration::ZERO));
        }
    }
}
