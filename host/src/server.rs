//! One session: its Workers, their instances, and the server in front of them.
//!
//! Everything is put together here and nowhere else: configuration → component → bindings → runtime → HTTP. [`Server::start`] makes
//! a session, [`Server::serve`] answers requests until it is told to stop, and then stops in order: no new requests, step bodies
//! get their grace, everything is committed, guests are dropped. A session need not be served: tests ask it in the process.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{self, Either};
use http::Request;
use http::Response;
use miniflow_runtime::clock::{Stopwatch, TimeMode, real};
use miniflow_runtime::dispatcher::{CatchUp, CronOptions, CronTrigger, Recovered};
use miniflow_runtime::engine::limits;
use miniflow_runtime::mover::{self, Mover};
use miniflow_runtime::script::Scripts;
use miniflow_runtime::storage::{Durability, SqliteStorage, StateDirectory, StorageError};
use miniflow_runtime::{Clock, Dispatcher, Handle, Options, WorkflowDefinition};
use tokio::net::TcpListener;

use crate::api::{Api, ApiOptions, instant};
use crate::bindings::kv::Namespaces;
use crate::bindings::logging::LogSink;
use crate::bindings::queue::Queues;
use crate::config::{Problem, Problems};
use crate::introspect::Introspection;
use crate::report;
use crate::session::{Built, Connected, Reloader, Session};
use crate::triggers::cron::Crons;
use crate::triggers::durable_object::Objects;
use crate::triggers::http::{Body, Fetch, GRACE, Peer, Service, Told, serve};
use crate::triggers::inward::Passing;
use crate::triggers::local::{CronControl, Introspect, Journals, Local};
use crate::triggers::queue::Consumers;
use crate::wasm::determinism::Determinism;
use crate::wasm::network::Network;
use crate::wasm::outside::Outside;
use crate::wasm::own_address::OwnAddresses;
use crate::wasm::tls::Authorities;
use crate::wasm::{Compiler, EngineOptions, Loader, Runner, Services};

/// What a session works with.
pub struct ServerOptions {
    /// Where the state is kept; none: in memory.
    pub state: Option<PathBuf>,
    /// What a commit survives.
    pub durability: Durability,
    /// Where compiled components are kept; none: nowhere.
    pub cache_dir: Option<PathBuf>,
    /// What compiles them, when other sessions of this process use it as well; none: one of its own.
    pub compiler: Option<Compiler>,
    /// Live runs of workflow instances at a time. `None` means the maximum, 1,700. Without effect on a shared `compiler`.
    pub live_runs_max: Option<usize>,
    /// What a test says about instances.
    pub scripts: Option<Arc<Scripts>>,
    /// Who stands between guests and the network, if somebody does.
    pub outside: Option<Arc<dyn Outside>>,
    /// How time passes; none: as in the last session of this state, at first as the machine's.
    pub time: Option<TimeMode>,
    /// Where Workers' requests may go.
    pub network: Network,
    /// Whom they believe there, besides the web's authorities.
    pub authorities: Authorities,
    /// Where Workers' lines go.
    pub logs: Arc<dyn LogSink>,
    /// `/__scheduled` fires a cron trigger.
    pub test_scheduled: bool,
    /// What requests to the REST API have to bring; none: nothing.
    pub api_token: Option<String>,
    /// Others on the network reach the server.
    pub is_shared: bool,
    /// What becomes of what should have fired while no session was there.
    pub catch_up: CatchUp,
    /// Cron triggers and schedules fire by themselves.
    pub fires: bool,
    /// It is an error of a run to read between its steps what is another thing each time.
    pub strict_determinism: bool,
}

impl ServerOptions {
    /// A session that keeps nothing, with nothing about it that was chosen; Workers' lines go to `logs`.
    #[must_use]
    pub fn in_memory(logs: Arc<dyn LogSink>) -> Self {
        Self {
            state: None,
            durability: Durability::Normal,
            cache_dir: None,
            compiler: None,
            live_runs_max: None,
            scripts: None,
            outside: None,
            time: None,
            network: Network::default(),
            authorities: Authorities::default(),
            logs,
            test_scheduled: false,
            api_token: None,
            is_shared: false,
            catch_up: CatchUp::None,
            fires: true,
            strict_determinism: false,
        }
    }
}

/// A session.
pub struct Server {
    fetch: Fetch,
    local: Local,
    crons: Crons,
    api: Api,
    determinism: Arc<Determinism>,
    session: Session,
    objects: Objects,
    stores: Stores,
    services: Arc<Services>,
    dispatcher: Dispatcher,
    mover: Mover,
    definitions: Vec<WorkflowDefinition>,
    triggers: Vec<CronTrigger>,
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
        let ServerOptions {
            state,
            durability,
            cache_dir,
            compiler,
            live_runs_max,
            scripts,
            outside,
            time,
            network,
            authorities,
            logs,
            test_scheduled,
            api_token,
            is_shared,
            catch_up,
            fires,
            strict_determinism,
        } = options;
        // Before anything that takes long: another process may have it.
        let state =
            state.map(|path| StateDirectory::lock(&path)).transpose().map_err(|error| storage_problem(&error))?;
        let storage = match &state {
            Some(state) => SqliteStorage::open(state.path(), durability),
            None => SqliteStorage::in_memory(),
        };
        let storage = storage.map_err(|error| storage_problem(&error))?;

        let recorded = storage.last_moment().map_err(|error| storage_problem(&error))?;
        let moved = mover::restore(state.as_ref().map(StateDirectory::path), time, recorded);
        let clock: Arc<dyn Clock> = Arc::new(moved.clone());
        logs.keep_time(Arc::clone(&clock));
        let services = Services::new(Arc::clone(&clock), logs).with_network(network).with_authorities(authorities);
        let services = Arc::new(services);
        let determinism = Arc::new(Determinism::new(strict_determinism));
        services.set_determinism(Arc::clone(&determinism));
        if let Some(outside) = outside {
            services.set_outside(outside);
        }
        let compiler = compiler.map_or_else(|| Compiler::new(&EngineOptions { cache_dir, live_runs_max }), Ok);
        let compiler = compiler.map_err(|error| Problem::error(error.to_string()))?;
        let loader = Loader::with(compiler, Arc::clone(&services));
        let session = Session::new(loader, services.workers.clone());
        let (members, mut warnings) = session.load_all(workers).await?;
        let connected = session.connect(members)?;
        warnings.extend(connected.warnings.iter().cloned());

        let crons = Crons::new(services.workers.clone(), Arc::clone(&clock), tokio::runtime::Handle::current());
        let reader = storage.reader().map_err(|error| storage_problem(&error))?;
        let options = Options {
            account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
            storage,
            reader,
            clock: Arc::clone(&clock),
            runner: Arc::new(Runner::new(services.workers.clone(), tokio::runtime::Handle::current())),
            workflows: connected.definitions.clone(),
            crons: CronOptions {
                triggers: connected.triggers.clone(),
                runner: Some(Arc::new(crons.clone())),
                catch_up,
                fires,
            },
        };
        let dispatcher =
            Dispatcher::start_scripted(options, scripts.clone()).map_err(|error| storage_problem(&error))?;
        services.set_runtime(dispatcher.handle());
        let objects = Objects::open(state.as_ref().map(StateDirectory::path), durability, &services)
            .map_err(|error| Problem::error(error.to_string()))?;
        let passing = Arc::new(Passing::new(services.workers.clone(), objects.clone()));
        services.set_inward(Arc::clone(&passing) as _);
        let queues = Queues::new(state.as_ref().map(StateDirectory::path), durability, Arc::clone(&services.clock));
        services.set_queues(queues.clone());
        let namespaces = Namespaces::new(state.as_ref().map(StateDirectory::path), durability, Arc::clone(&clock));
        services.set_namespaces(namespaces.clone());
        session.put(&connected);
        objects.ring();
        let stores = Stores { consumers: Arc::new(Consumers::new(queues)), namespaces };
        stores.follow(&session).map_err(|error| storage_problem(&error))?;
        let members = session.members();
        let first = members.first().map_or("", |member| member.name());
        let mover = Mover::new(moved, dispatcher.handle(), state.as_ref().map(StateDirectory::path));
        mover.save();
        let journals = Journals::new(dispatcher.handle(), session.clone());
        let cron = CronControl { crons: crons.clone(), handle: dispatcher.handle(), fires };
        let introspection = scripts.map(|scripts| Introspection::new(scripts, dispatcher.handle(), mover.clone()));
        let introspect = introspection.map(|introspection| Introspect::new(introspection, session.clone()));
        let local = Local::new(first, mover.clone(), cron, journals, test_scheduled).with_introspection(introspect);
        let fetch = passing.fetch(first);
        let api = Api::new(ApiOptions {
            handle: dispatcher.handle(),
            session: session.clone(),
            clock,
            token: api_token,
            is_shared,
        });
        let Connected { definitions, triggers, .. } = connected;
        Ok(Self {
            fetch,
            local,
            api,
            crons,
            determinism,
            session,
            objects,
            stores,
            services,
            dispatcher,
            mover,
            definitions,
            triggers,
            warnings,
            _state: state,
        })
    }

    /// The Workers that are served.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The handler of its first Worker for requests, for whoever asks it without a connection.
    #[must_use]
    pub fn fetch(&self) -> &Fetch {
        &self.fetch
    }

    /// What calls the cron handlers of its Workers, and keeps what came of it.
    #[must_use]
    pub fn crons(&self) -> &Crons {
        &self.crons
    }

    /// The Durable Objects of its Workers.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The queues of its Workers.
    #[must_use]
    pub fn queues(&self) -> &Queues {
        self.stores.consumers.queues()
    }

    /// The KV namespaces of its Workers.
    #[must_use]
    pub fn namespaces(&self) -> &Namespaces {
        &self.stores.namespaces
    }

    /// What puts new builds and configurations in place while it is served.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        let (stores, session) = (self.stores.clone(), self.session.clone());
        let determinism = Arc::clone(&self.determinism);
        let put = move || {
            determinism.forget();
            if let Err(error) = stores.follow(&session) {
                tracing::error!("queues and KV namespaces cannot be used: {error}");
            }
        };
        let clock = Arc::new(self.mover.clock().clone());
        Reloader::new(self.session.clone(), self.dispatcher.handle(), clock, put)
    }

    /// What runs have read between their steps that is another thing each time.
    #[must_use]
    pub fn determinism(&self) -> &Determinism {
        &self.determinism
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
    pub fn recovered(&self) -> &Recovered {
        self.dispatcher.recovered()
    }

    /// The workflows, as they were at the start.
    #[must_use]
    pub fn definitions(&self) -> &[WorkflowDefinition] {
        &self.definitions
    }

    /// The cron triggers, as they were at the start.
    #[must_use]
    pub fn triggers(&self) -> &[CronTrigger] {
        &self.triggers
    }

    /// What moves its clock.
    #[must_use]
    pub fn mover(&self) -> &Mover {
        &self.mover
    }

    /// How long until the next instance of an earlier session wakes.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        self.recovered().next_wake.map(|at| at.since(self.mover.clock().now()))
    }

    /// Answers requests until `shutdown`; then stops in order.
    ///
    /// # Errors
    ///
    /// When the listener cannot be used.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> std::io::Result<()> {
        self.services.set_own_addresses(OwnAddresses::new(vec![listener.local_addr()?]));
        let mut stop_began = None;
        let shutdown = async {
            shutdown.await;
            stop_began = Some(Stopwatch::start());
        };
        let front = Front { fetch: self.fetch.clone(), local: self.local.clone(), api: self.api.clone() };
        let members = self.session.members();
        let worker = members.first().map_or("", |member| member.name());
        let front = Told::new(front, worker, members.len() > 1);
        let served = {
            let serving = std::pin::pin!(serve(listener, front, shutdown));
            let keeping_time = std::pin::pin!(keep_time(&self.mover));
            match future::select(serving, keeping_time).await {
                Either::Left((served, _)) => served,
                Either::Right((never, _)) => match never {},
            }
        };
        // Bodies went on while requests were finished: both have the same two seconds.
        let spent = stop_began.map_or(Duration::ZERO, Stopwatch::elapsed);
        self.stop(GRACE.saturating_sub(spent)).await;
        served
    }

    /// Stops without having been served, or after that: what runs may finish for at most `grace`, everything is committed, guests are dropped.
    pub async fn stop(self, grace: Duration) {
        self.mover.save();
        self.session.retire();
        futures::join!(self.objects.stop(grace), self.stores.consumers.stop(grace), self.dispatcher.shutdown(grace));
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
    async fn call(&self, request: Request<Body>, local: SocketAddr) -> Response<Body> {
        let peer = request.extensions().get().map(|Peer(peer)| *peer);
        let request = match self.api.answer(request, peer).await {
            Ok(answer) => return answer,
            Err(request) => request,
        };
        match self.local.answer(request).await {
            Ok(answer) => answer,
            Err(request) => self.fetch.handle(request, local).await,
        }
    }
}

/// What the clock needs while there is a session: idle time is skipped if that is wanted, its reading is kept, and time that the machine slept
/// through is made up for.
async fn keep_time(mover: &Mover) -> Infallible {
    /// How often to look, real time.
    const LOOK: Duration = Duration::from_secs(1);
    /// Less is a correction of the machine's clock, not a sleep.
    const SLEPT_MIN: Duration = Duration::from_secs(5);
    let skip = mover.skip(|moved| {
        let (from, to) = (instant::format(moved.from), instant::format(moved.to));
        let units = report::units(moved.to.since(moved.from).as_secs());
        tracing::info!(kind = "time", event = "skipped", from, to, "{units} skipped, it is {to}");
    });
    let look = async {
        loop {
            real::sleep(LOOK).await;
            if let Some(slept) = mover.clock().make_up(SLEPT_MIN) {
                let (units, slept_s) = (report::units(slept.as_secs()), slept.as_secs());
                tracing::warn!(
                    kind = "time",
                    event = "machine_slept",
                    slept_s,
                    "the machine slept for {units}: that time has passed"
                );
            }
            if matches!(mover.clock().mode(), TimeMode::Scaled(_)) {
                mover.save();
            }
        }
    };
    future::join(skip, look).await.0
}

/// Queues and KV namespaces, which are opened when a Worker has one.
#[derive(Clone)]
struct Stores {
    consumers: Arc<Consumers>,
    namespaces: Namespaces,
}

impl Stores {
    /// Opens what the Workers have, and has the queues consumed that they are configured to consume. To be called again when they are others.
    fn follow(&self, session: &Session) -> Result<(), StorageError> {
        if session.uses_kv() {
            self.namespaces.open()?;
        }
        if session.uses_queues() {
            self.consumers.queues().open()?;
        }
        self.consumers.set(session.consumptions(), |worker| Arc::new(session.slot(worker)));
        Ok(())
    }
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
