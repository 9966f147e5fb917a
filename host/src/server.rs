//! One session: a Worker that is loaded, its instances, and the server in front of it.
//!
//! Everything is put together here and nowhere else: configuration → component → bindings → runtime → HTTP. [`Server::start`] makes
//! a session, [`Server::serve`] answers requests until it is told to stop, and then stops in order: no new requests, step bodies
//! get their grace, everything is committed, guests are dropped.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::Response;
use hyper::body::Incoming;
use miniflow_runtime::clock::Stopwatch;
use miniflow_runtime::dispatcher::Recovered;
use miniflow_runtime::engine::limits;
use miniflow_runtime::storage::{Durability, SqliteStorage, StateDirectory, StorageError};
use miniflow_runtime::{Clock, Dispatcher, Handle, Options, WorkflowDefinition};
use tokio::net::TcpListener;

use crate::bindings::logging::LogSink;
use crate::bindings::{Bindings, Bound};
use crate::config::{Problem, Problems, Project, Var, WorkflowEntry};
use crate::triggers::http::{Body, Fetch, GRACE, Service, serve};
use crate::triggers::local::Local;
use crate::wasm::limits::CPU_MAX;
use crate::wasm::{EngineOptions, Generation, Loader, Runner, Services, Slot};

/// What a session works with.
pub struct ServerOptions {
    /// Where the state is kept; none: in memory.
    pub state: Option<std::path::PathBuf>,
    /// What a commit survives.
    pub durability: Durability,
    /// Where compiled components are kept; none: nowhere.
    pub cache_dir: Option<std::path::PathBuf>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where Workers' lines go.
    pub logs: Arc<dyn LogSink>,
    /// `/__scheduled` fires a cron trigger.
    pub test_scheduled: bool,
}

/// A session.
pub struct Server {
    fetch: Fetch,
    local: Local,
    slot: Slot,
    dispatcher: Dispatcher,
    clock: Arc<dyn Clock>,
    workflows: Vec<WorkflowEntry>,
    warnings: Problems,
    _state: Option<StateDirectory>,
}

impl Server {
    /// Loads the Worker, and picks up the instances of earlier sessions.
    ///
    /// # Errors
    ///
    /// When the component is not a Worker or does not fit its configuration, or the state cannot be used.
    pub async fn start(project: &Project, component: &Path, options: ServerOptions) -> Result<Self, Problems> {
        let ServerOptions { state, durability, cache_dir, clock, logs, test_scheduled } = options;
        // Before anything that takes long: another process may have it.
        let state =
            state.map(|path| StateDirectory::lock(&path)).transpose().map_err(|error| storage_problem(&error))?;
        let storage = match &state {
            Some(state) => SqliteStorage::open(state.path(), durability),
            None => SqliteStorage::in_memory(),
        };
        let storage = storage.map_err(|error| storage_problem(&error))?;

        let services = Arc::new(Services::new(Arc::clone(&clock), logs));
        let loader = Loader::new(&EngineOptions { cache_dir }, Arc::clone(&services))
            .map_err(|error| Problem::error(error.to_string()))?;
        let (generation, workflows, warnings) = load(project, component, &loader).await?;

        let slot = Slot::default();
        let runner = Runner::new(tokio::runtime::Handle::current());
        runner.add_worker(&project.name, slot.clone());
        let reader = storage.reader().map_err(|error| storage_problem(&error))?;
        let dispatcher = Dispatcher::start(Options {
            account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
            storage,
            reader,
            clock: Arc::clone(&clock),
            runner: Arc::new(runner),
            workflows: definitions(project, &workflows),
        })
        .map_err(|error| storage_problem(&error))?;
        services.set_runtime(dispatcher.handle());
        slot.set(Arc::new(generation));
        let local = Local::new(slot.clone(), Arc::clone(&clock), test_scheduled);
        Ok(Self { fetch: Fetch::new(slot.clone()), local, slot, dispatcher, clock, workflows, warnings, _state: state })
    }

    /// The workflows that are served.
    #[must_use]
    pub fn workflows(&self) -> &[WorkflowEntry] {
        &self.workflows
    }

    /// What to point out although everything is served.
    #[must_use]
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// The instances, for whoever asks about them beside the Worker.
    #[must_use]
    pub fn instances(&self) -> Handle {
        self.dispatcher.handle()
    }

    /// What was found of earlier sessions.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.dispatcher.recovered()
    }

    /// How long until the next instance of an earlier session wakes.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        self.recovered().next_wake.map(|at| at.since(self.clock.now()))
    }

    /// Answers requests until `shutdown`; then stops in order.
    ///
    /// # Errors
    ///
    /// When the listener cannot be used.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> std::io::Result<()> {
        let mut stop_began = None;
        let shutdown = async {
            shutdown.await;
            stop_began = Some(Stopwatch::start());
        };
        let served = serve(listener, Front { fetch: self.fetch.clone(), local: self.local.clone() }, shutdown).await;
        if let Some(generation) = self.slot.get() {
            generation.retire();
        }
        // Bodies went on while requests were finished: both have the same two seconds.
        let spent = stop_began.map_or(Duration::ZERO, Stopwatch::elapsed);
        self.dispatcher.shutdown(GRACE.saturating_sub(spent)).await;
        served
    }
}

/// What stands in front of the Worker.
#[derive(Clone)]
struct Front {
    fetch: Fetch,
    local: Local,
}

impl Service for Front {
    async fn call(&self, request: Request<Incoming>, local: SocketAddr) -> Response<Body> {
        match self.local.answer(&request).await {
            Some(answer) => answer,
            None => self.fetch.handle(request, local).await,
        }
    }
}

async fn load(
    project: &Project,
    component: &Path,
    loader: &Loader,
) -> Result<(Generation, Vec<WorkflowEntry>, Problems), Problems> {
    let shown = component.display();
    let artifact = std::fs::read(component).map_err(|error| {
        Problem::error(format!("could not read `{shown}`: {error}"))
            .with_hint("build the Worker first, or name the file that its build makes")
    })?;
    let generation = loader
        .load(&project.name, artifact, Bindings::default())
        .await
        .map_err(|error| Problem::error(format!("`{shown}`: {error}")).with_hint(error.hint()))?;
    let mut warnings = Problems::default();
    if let Some(death) = generation.describe_failure() {
        let message = format!("the Worker failed when it was asked for its workflow classes: {}", death.report());
        if project.workflows.as_ref().is_some_and(|workflows| !workflows.is_empty()) {
            return Err(Problem::error(message).into());
        }
        warnings.push(Problem::warning(message));
    }
    let classes: Vec<_> = generation.classes().iter().map(|class| class.name.as_str()).collect();
    let bound = project.bind_classes(&classes)?;
    warnings.extend(bound.warnings);
    let cpu_max = project.cpu_ms.map_or(CPU_MAX, |ms| Duration::from_millis(ms.get().into()));
    let generation = generation.configured(bindings(project, &bound.workflows), cpu_max);
    Ok((generation, bound.workflows, warnings))
}

fn bindings(project: &Project, workflows: &[WorkflowEntry]) -> Bindings {
    let vars = project.vars.iter().map(|(name, var)| {
        let bound = match var {
            Var::Text(text) => Bound::Text(text.clone()),
            Var::Json(json) => Bound::Json(json.clone()),
        };
        (name.clone(), bound)
    });
    let workflows = workflows.iter().map(|entry| (entry.binding.clone(), Bound::Workflow(entry.name.clone())));
    vars.chain(workflows).collect()
}

fn definitions(project: &Project, workflows: &[WorkflowEntry]) -> Vec<WorkflowDefinition> {
    let own = workflows.iter().filter(|entry| entry.script_name.is_none());
    own.map(|entry| {
        let mut definition = WorkflowDefinition::new(&entry.name, &entry.class_name, &project.name);
        if let Some(limit) = entry.step_limit {
            definition.step_limit = limit.get();
        }
        definition.retention = entry.retention;
        definition.concurrency = entry.concurrency_limit.map(|limit| limit.get() as usize);
        definition
    })
    .collect()
}

/// What is wrong with the state, and what to do about it.
fn storage_problem(error: &StorageError) -> Problems {
    let hint = match error {
        StorageError::Locked { .. } => {
            "stop the other one, or give this one another folder with `--persist-to` (or `--ephemeral` to keep nothing)"
        }
        StorageError::Newer { .. } => {
            "use that version, or give this one another folder with `--persist-to` (or `--ephemeral` to keep nothing)"
        }
        StorageError::Corrupt { .. } => {
            "move the file away to begin anew, or put a copy of it back; `--persist-to` names another folder"
        }
        _ => "pass another folder with `--persist-to`, or `--ephemeral` to keep nothing",
    };
    Problem::from_error(error).with_hint(hint).into()
}
