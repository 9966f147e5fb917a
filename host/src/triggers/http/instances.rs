//! The instances that serve requests, kept by wasmtime's `ProxyHandler` and steered from here.
//!
//! Promises: an instance serves one request at a time; it ends when it was idle for long, when a newer generation is there, or when
//! it goes on for too long after its response. What a guest died of reaches the request it died at, and the console.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future;
use http::{Method, Uri};
use miniflow_runtime::clock::real;
use tokio::sync::oneshot;
use wasmtime::component::GuestTaskId;
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::handler::{HandlerState, Instance, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus};

use crate::bindings::logging::Level;
use crate::wasm::limits::{ClientGone, CpuBudget, Presence};
use crate::wasm::pool::GuestKind;
use crate::wasm::trap::{Death, Trapped, explain};
use crate::wasm::{Generation, GuestState};

/// How often an instance is looked at. One timer that is seldom set: requests come by the ten thousand.
const BEAT: Duration = Duration::from_secs(5);

/// Beats after which an instance that has had nothing to do is dropped, and the memory it has grown to with it; also
/// what a guest may go on for after its response (documented for `waitUntil`: 30 s).
const BEATS_MAX: u32 = 6;

/// After a newer generation has come: an instance that was made for a request which chose the one before has begun it by then.
const LEAVE_DELAY: Duration = Duration::from_millis(250);

/// What wasmtime calls an instance whose task was dropped. It says the same when its own code panicked.
const CANCELLED: &str = "worker panicked";

/// What wasmtime calls an instance that [`Expiration`] ended while it was doing something.
const EXPIRED: &str = "guest timed out";

/// Makes instances of one generation.
pub(super) struct Instances(pub(super) Arc<Generation>);

impl HandlerState for Instances {
    type StoreData = GuestState;
    type WorkerExpiration = Expiration;
    type WorkerState = Requests;

    async fn instantiate(&self) -> wasmtime::Result<Instance<GuestState, Expiration, Requests>> {
        let generation = Arc::clone(&self.0);
        let mut store = generation.store(GuestKind::Request).await;
        let Some(proxy) = generation.instantiate_fetch(&mut store).await else {
            wasmtime::bail!("the Worker has no fetch handler");
        };
        let proxy = match proxy {
            Ok(proxy) => proxy,
            Err(error) => return Err(wasmtime::Error::msg(explain(&store, &error).await.report())),
        };
        let cpu = store.data().cpu().clone();
        Ok(Instance {
            store,
            proxy,
            view: |state| state.http(),
            expiration: Expiration::new(generation, cpu.clone()),
            state: Requests { cpu, open: Mutex::default() },
        })
    }
}

/// A request as its reader knows it: `GET /orders?id=1`.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) method: Method,
    pub(super) uri: Uri,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.uri.path_and_query().map_or("/", |path| path.as_str()))
    }
}

/// What goes along with a request.
pub(super) struct Ticket {
    pub(super) label: Arc<Label>,
    /// How many Workers are asked before this one.
    pub(super) depth: u32,
    /// Resolves when the client is gone, or has its answer.
    pub(super) gone: oneshot::Receiver<()>,
    /// The client, for a guest that does not come to look.
    pub(super) client: Presence,
    /// Told what the guest died of.
    pub(super) death: oneshot::Sender<Death>,
}

/// The requests of one instance.
pub(super) struct Requests {
    cpu: CpuBudget,
    open: Mutex<Vec<Open>>,
}

struct Open {
    label: Arc<Label>,
    death: oneshot::Sender<Death>,
}

impl Requests {
    fn open(&self) -> std::sync::MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerState for Requests {
    type StoreData = GuestState;
    type RequestData = Ticket;

    fn should_accept_request(&self, concurrent_count: usize, _total_count: usize) -> ShouldAccept {
        // Also when a newer generation is there: a request that chose this one before may still be waiting for an instance of it, and
        // an instance that never accepts any leaves it waiting for ever.
        if concurrent_count == 0 { ShouldAccept::Yes } else { ShouldAccept::No }
    }

    fn on_request_start(
        &self,
        store: StoreContextMut<'_, GuestState>,
        ticket: Ticket,
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        self.cpu.serve(ticket.client);
        store.data().depth().set(ticket.depth);
        let mut open = self.open();
        open.retain(|open| !open.death.is_closed());
        open.push(Open { label: ticket.label, death: ticket.death });
        Box::pin(async move {
            // Only ever dropped, never sent.
            let _ = ticket.gone.await;
        })
    }

    fn drop(&self, store: Store<GuestState>, result: Result<(), wasmtime::Error>) {
        let Err(error) = result else { return };
        if !std::thread::panicking() && error.to_string() == CANCELLED {
            // The session ends, and its threads drop what they were doing.
            return;
        }
        let (over, waiting): (Vec<_>, Vec<_>) = self.open().drain(..).partition(|open| open.death.is_closed());
        let console = store.data().console();
        if error.to_string() == EXPIRED {
            let text = format!("{}: stopped, nobody had waited for it for 30 seconds", labels(&over));
            return console.tell(Level::Warn, text);
        }
        if error.is::<ClientGone>() {
            let text = format!("{}: stopped, it went on computing when its client had gone", labels(&over));
            return console.tell(Level::Warn, text);
        }
        let trapped = Trapped::of(&store, &error);
        let at = if waiting.is_empty() { format!("after {}", labels(&over)) } else { labels(&waiting) };
        let console = console.clone();
        let tell = async move {
            let death = trapped.report().await;
            console.tell(Level::Error, format!("{at}: {}", death.report()));
            for open in waiting {
                // The client may go at this very moment.
                let _ = open.death.send(death.clone());
            }
        };
        // The source lines are looked up elsewhere: the store and its slot are free meanwhile. A process that ends has no runtime any more,
        // and nobody who waits for the reason.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tell);
        }
    }
}

fn labels(open: &[Open]) -> String {
    open.iter().map(|open| open.label.to_string()).collect::<Vec<_>>().join(", ")
}

/// When an instance has to go, decided outside of the guest's own event loop, which a guest can hold up.
pub(super) struct Expiration {
    cpu: CpuBudget,
    retired: SyncFuture,
    beat: SyncFuture,
    /// What the instance was doing at the last beat, since when, and for how many beats already.
    seen: (WorkerStatus, Option<Instant>, u32),
}

type SyncFuture = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl Expiration {
    fn new(generation: Arc<Generation>, cpu: CpuBudget) -> Self {
        let retired = Box::pin(async move {
            let pool = generation.pool().clone();
            let retired = async {
                generation.retired().await;
                real::sleep(LEAVE_DELAY).await;
            };
            // Its slot serves another Worker better than it does an idle instance.
            let wanted = pool.wanted(GuestKind::Request);
            future::select(pin!(retired), pin!(wanted)).await;
        });
        Self { cpu, retired, beat: Box::pin(real::sleep(BEAT)), seen: (WorkerStatus::Idle, None, 0) }
    }

    /// Notes what the instance is doing; returns whether it has done nothing else for too long.
    fn overdue(&mut self, status: WorkerStatus, since: Instant) -> bool {
        self.seen = match self.seen {
            (was, Some(then), beats) if (was, then) == (status, since) => (status, Some(since), beats + 1),
            _ => (status, Some(since), 0),
        };
        // A request may take as long as its client waits.
        status != WorkerStatus::Requests && self.seen.2 >= BEATS_MAX
    }
}

impl WorkerExpiration for Expiration {
    // Called after each poll of the instance that returned pending.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        self.cpu.after_pending();
        while self.beat.as_mut().poll(cx).is_ready() {
            if self.overdue(status, start) {
                return Poll::Ready(());
            }
            self.beat = Box::pin(real::sleep(BEAT));
        }
        if status == WorkerStatus::Idle { self.retired.as_mut().poll(cx) } else { Poll::Pending }
    }
}
