//! What is in a store: everything the host knows about one instance of a Worker's component.
//!
//! Promises: a guest has no environment, files, arguments or sockets of the machine; outbound HTTP and the clock are all it has
//! of the outside. Never does: outlive the guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use miniflow_runtime::Run;
use wasmtime::{Engine, Store};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::clock::GuestClock;
use super::console::Console;
use super::determinism;
use super::inward::Depth;
use super::limits::{self, CpuBudget, MemoryLimit};
use super::outbound::{Caller, Outbound};
use super::pool::GuestPermit;
use super::services::Services;
use super::symbols::Symbols;
use crate::bindings::Bindings;
use crate::bindings::durable_object::ObjectStorage;

/// The data of a store.
pub struct GuestState {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    clock: GuestClock,
    console: Console,
    bindings: Bindings,
    services: Arc<Services>,
    run: Option<Arc<Run>>,
    object: Option<Arc<ObjectStorage>>,
    depth: Depth,
    pub(super) memory: MemoryLimit,
    cpu: CpuBudget,
    /// How often it has read what another run would not read again.
    reads: AtomicU32,
    symbols: Arc<Symbols>,
    /// Released with the store.
    _permit: GuestPermit,
}

/// Who a store is for.
pub(super) struct Guest {
    /// Its slot in the pool.
    pub(super) permit: GuestPermit,
    /// Debug information of its code.
    pub(super) symbols: Arc<Symbols>,
    /// Name of the Worker.
    pub(super) worker: Arc<str>,
    /// What it can use.
    pub(super) bindings: Bindings,
    /// The run of an instance it executes, if that is what it is for.
    pub(super) run: Option<Arc<Run>>,
    /// The storage of the object it is, if it is one.
    pub(super) object: Option<Arc<ObjectStorage>>,
    /// Processor time between two waits.
    pub(super) cpu: Duration,
}

impl GuestState {
    /// Returns a store for `guest`, under its limits.
    pub(super) fn store(engine: &Engine, services: &Arc<Services>, guest: Guest) -> Store<Self> {
        let Guest { permit, symbols, worker, bindings, run, object, cpu } = guest;
        let console = Console::new(Arc::clone(&services.logs), worker, run.clone());
        let clock = GuestClock::new(Arc::clone(&services.clock), run.clone());
        let mut wasi = WasiCtx::builder();
        // No sockets: outbound HTTP goes through `wasi:http`, where it is seen.
        wasi.stdout(console.stdout()).stderr(console.stderr()).allow_tcp(false).allow_udp(false);
        clock.install(&mut wasi);
        if let Some(run) = &run {
            wasi.insecure_random_seed(determinism::seed(run));
        }
        let depth = Depth::default();
        let state = Self {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound: Outbound::new(Caller {
                services: Arc::clone(services),
                bindings: bindings.clone(),
                run: run.clone(),
                object: object.clone(),
                depth: depth.clone(),
            }),
            clock,
            console,
            bindings,
            services: Arc::clone(services),
            run,
            object,
            depth,
            memory: MemoryLimit::default(),
            cpu: CpuBudget::new(cpu),
            reads: AtomicU32::default(),
            symbols,
            _permit: permit,
        };
        let mut store = Store::new(engine, state);
        limits::install(&mut store);
        store
    }

    /// What the Worker can use.
    #[must_use]
    pub fn bound(&self) -> &Bindings {
        &self.bindings
    }

    /// The guest's console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Handles that the guest holds.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// Debug information of its code.
    pub(crate) fn symbols(&self) -> &Arc<Symbols> {
        &self.symbols
    }

    /// What guests share.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The number of a read of what another run would not read again: the first is 0.
    pub(super) fn next_read(&self) -> u32 {
        self.reads.fetch_add(1, Ordering::Relaxed)
    }

    /// The run that the guest executes; none outside of workflows.
    #[must_use]
    pub fn run(&self) -> Option<&Arc<Run>> {
        self.run.as_ref()
    }

    /// The storage of the object that the guest is; none when it is none.
    #[must_use]
    pub fn object(&self) -> Option<&Arc<ObjectStorage>> {
        self.object.as_ref()
    }

    /// How many Workers are asked for what this one does now.
    #[must_use]
    pub fn depth(&self) -> &Depth {
        &self.depth
    }

    /// The guest's processor time.
    #[must_use]
    pub fn cpu(&self) -> &CpuBudget {
        &self.cpu
    }

    pub(super) fn clock_and_table(&mut self) -> (&GuestClock, &mut ResourceTable) {
        (&self.clock, &mut self.table)
    }
}

impl Drop for GuestState {
    fn drop(&mut self) {
        self.console.flush();
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outbound }
    }
}
