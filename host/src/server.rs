//! One session: its Workers, their instances, and the server in front of them.
//!
//! Everything is put together here and nowhere else: configuration → component → bindings → runtime → HTTP. [`Server::start`] makes
//! a session, [`Server::serve`] answers requests until it is told to stop, and then stops in order: no new requests, step bodies
//! get their grace, everything is committed, guests are dropped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::Response;
use hyper::body::Incoming;
use miniflow_runtime::clock::Stopwatch;
use miniflow_runtime::dispatcher::Recovered;
use miniflow_runtime::engine::limits;
use miniflow_runtime::storage::{Durability, SqliteStorage, StateDirectory, StorageError};
use miniflow_runtime::{Clock, Dispatcher, Handle, Options};
use tokio::net::TcpListener;

use crate::api::{Api, ApiOptions};
use crate::bindings::logging::LogSink;
use crate::config::{Problem, Problems, Project};
use crate::session::{Member, Session};
use crate::triggers::http::{Body, Fetch, GRACE, Peer, Service, serve};
use crate::triggers::local::Local;
use crate::wasm::{EngineOptions, Loader, Runner, Services};

/// What a session works with.
pub struct ServerOptions {
    /// Where the state is kept; none: in memory.
    pub state: Option<PathBuf>,
    /// What a commit survives.
    pub durability: Durability,
    /// Where compiled components are kept; none: nowhere.
    pub cache_dir: Option<PathBuf>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where Workers' lines go.
    pub logs: Arc<dyn LogSink>,
    /// `/__scheduled` fires a cron trigger.
    pub test_scheduled: bool,
    /// What requests to the REST API have to bring; none: nothing.
    pub api_token: Option<String>,
    /// Others on the network reach the server.
    pub is_shared: bool,
}

/// A Worker that was built.
pub struct Built {
    /// What it was built from.
    pub project: Project,
    /// Its component.
    pub component: PathBuf,
}

/// A session.
pub struct Server {
    fetch: Fetch,
    local: Local,
    api: Api,
    session: Session,
    dispatcher: Dispatcher,
    clock: Arc<dyn Clock>,
    warnings: Problems,
    _state: Option<StateDirectory>,
}

impl Server {
    /// Loads the Workers, and picks up the instances of earlier sessions. The first Worker takes the requests.
    ///
    /// # Errors
    ///
    /// When a component is not a Worker or does not fit its configuration, the Workers do not fit together, or the state cannot be
    /// used.
    pub async fn start(workers: Vec<Built>, options: ServerOptions) -> Result<Self, Problems> {
        let ServerOptions { state, durability, cache_dir, clock, logs, test_scheduled, api_token, is_shared } = options;
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
        let session = Session::new(loader, services.workers.clone());
        let (members, mut warnings) = load_all(&session, workers).await?;
        let connected = session.connect(members)?;
        warnings.extend(connected.warnings.iter().cloned());

        let reader = storage.reader().map_err(|error| storage_problem(&error))?;
        let dispatcher = Dispatcher::start(Options {
            account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
            storage,
            reader,
            clock: Arc::clone(&clock),
            runner: Arc::new(Runner::new(services.workers.clone(), tokio::runtime::Handle::current())),
            workflows: connected.definitions.clone(),
        })
        .map_err(|error| storage_problem(&error))?;
        services.set_runtime(dispatcher.handle());
        session.put(&connected);
        let members = session.members();
        let first = members.first().map_or("", |member| member.name());
        let local = Local::new(session.slot(first), Arc::clone(&clock), test_scheduled);
        let fetch = Fetch::new(session.slot(first));
        let api = Api::new(ApiOptions {
            handle: dispatcher.handle(),
            session: session.clone(),
            clock: Arc::clone(&clock),
            token: api_token,
            is_shared,
        });
        Ok(Self { fetch, local, api, session, dispatcher, clock, warnings, _state: state })
    }

    /// The Workers that are served.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
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
        let served = serve(
            listener,
            Front { fetch: self.fetch.clone(), local: self.local.clone(), api: self.api.clone() },
            shutdown,
        )
        .await;
        self.session.retire();
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
    api: Api,
}

impl Service for Front {
    async fn call(&self, request: Request<Incoming>, local: SocketAddr) -> Response<Body> {
        let peer = request.extensions().get().map(|Peer(peer)| *peer);
        let request = match self.api.answer(request, peer).await {
            Ok(answer) => return answer,
            Err(request) => request,
        };
        match self.local.answer(&request).await {
            Some(answer) => answer,
            None => self.fetch.handle(request, local).await,
        }
    }
}

/// Loads every Worker, and tells of all that cannot be.
async fn load_all(session: &Session, workers: Vec<Built>) -> Result<(Vec<Arc<Member>>, Problems), Problems> {
    let (mut members, mut problems) = (Vec::new(), Problems::default());
    for Built { project, component } in workers {
        match session.load(project, &component).await {
            Ok(member) => {
                problems.extend(member.warnings.iter().cloned());
                members.push(Arc::new(member));
            }
            Err(errors) => problems.extend(errors),
        }
    }
    problems.or(members)
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
