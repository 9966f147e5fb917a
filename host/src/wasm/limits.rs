//! What a guest may use of the machine: memory, and time on the processor between two waits.
//!
//! Promises: a guest that goes over a limit ends with an error that names the limit; its neighbours do not notice. Never
//! does: limit how long a guest waits.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::engine::TICK;
use super::state::GuestState;

/// Linear memory of a Worker's instance (documented: 128 MB).
pub const MEMORY_MAX_BYTES: usize = 128 << 20;

/// Processor time between two waits of a guest (documented as CPU time of an invocation: 30 s).
pub const CPU_MAX: Duration = Duration::from_secs(30);

/// What a guest may still compute, without a wait, for a client that has gone.
const LEFT_MAX: Duration = Duration::from_secs(1);

/// Shown when a guest computes for longer than [`CPU_MAX`]. Cloudflare's text.
pub const CPU_TEXT: &str = "Worker exceeded CPU time limit.";

/// Shown when a guest asks for more than [`MEMORY_MAX_BYTES`].
pub const MEMORY_TEXT: &str = "Worker exceeded memory limit of 128 MiB.";

/// The memories of one store, and whether more was asked for than there is.
#[derive(Debug, Default)]
pub struct MemoryLimit {
    used_bytes: usize,
    last_bytes: usize,
    denied: bool,
}

impl MemoryLimit {
    /// Whether a growth was denied. A guest can hardly go on then: Rust ends in a trap that looks like any other.
    #[must_use]
    pub fn denied(&self) -> bool {
        self.denied
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let allowed = self.used_bytes.saturating_add(more) <= MEMORY_MAX_BYTES;
        if allowed {
            self.used_bytes += more;
            self.last_bytes = more;
        } else {
            self.denied = true;
        }
        Ok(allowed)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // Also called after a denial, when nothing was counted.
        if !self.denied {
            tracing::debug!("a guest's memory could not grow: {error:#}");
            self.used_bytes = self.used_bytes.saturating_sub(std::mem::take(&mut self.last_bytes));
            self.denied = true;
        }
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// Raised in a guest that computed for too long.
#[derive(Debug, thiserror::Error)]
#[error("{CPU_TEXT}")]
pub struct CpuExceeded;

/// Raised in a guest that went on computing for a client that has gone.
#[derive(Debug, thiserror::Error)]
#[error("the client has gone")]
pub struct ClientGone;

/// Whether the client of a request is still there. Clones are about the same client.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<AtomicBool>);

impl Presence {
    /// It has gone, and nobody waits for the answer any more.
    pub fn leave(&self) {
        self.0.store(true, Relaxed);
    }

    fn has_left(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Counts the ticks of the engine that a guest computed through since it last waited.
///
/// Cheap to clone: the store counts, and whoever polls the store reports the waits.
#[derive(Clone, Debug)]
pub struct CpuBudget(Arc<Ticks>);

#[derive(Debug)]
struct Ticks {
    max: u32,
    used: AtomicU32,
    /// The guest was let go at a tick during this poll: it is not waiting for anything.
    yielded: AtomicBool,
    /// The guest waited since the last tick, so the tick says nothing about it.
    waited: AtomicBool,
    /// Whom the guest computes for, if that is one client.
    client: Mutex<Option<Presence>>,
    /// Ticks that it computed through since that one left.
    left: AtomicU32,
}

impl CpuBudget {
    /// Returns a budget of `limit` between two waits.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self(Arc::new(Ticks {
            max: ticks_of(limit),
            used: AtomicU32::new(0),
            yielded: AtomicBool::new(false),
            waited: AtomicBool::new(true),
            client: Mutex::default(),
            left: AtomicU32::new(0),
        }))
    }

    /// Begins anew, for a client. A guest that computes on when that one has gone is ended; one that waits learns of it by itself, and
    /// may do what it has promised to do all the same.
    pub fn serve(&self, client: Presence) {
        self.reset();
        self.0.left.store(0, Relaxed);
        *self.client() = Some(client);
    }

    /// To be called after each poll of the guest that returned `Pending`: unless the guest was only made to let others
    /// run, it waits for something, and may compute for the full time again afterwards. Returns whether it waits.
    pub fn after_pending(&self) -> bool {
        let waits = !self.0.yielded.swap(false, Relaxed);
        if waits {
            self.reset();
            let mut client = self.client();
            if client.as_ref().is_some_and(Presence::has_left) {
                *client = None;
            }
        }
        waits
    }

    /// Begins anew: the guest is about to do something else.
    pub fn reset(&self) {
        self.0.used.store(0, Relaxed);
        self.0.waited.store(true, Relaxed);
    }

    fn client(&self) -> MutexGuard<'_, Option<Presence>> {
        self.0.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) -> wasmtime::Result<UpdateDeadline> {
        let ticks = &*self.0;
        if ticks.waited.swap(false, Relaxed) {
            return Ok(UpdateDeadline::Continue(1));
        }
        if ticks.used.fetch_add(1, Relaxed) >= ticks.max {
            return Err(CpuExceeded.into());
        }
        let has_left = self.client().as_ref().is_some_and(Presence::has_left);
        if has_left && ticks.left.fetch_add(1, Relaxed) >= ticks_of(LEFT_MAX) {
            return Err(ClientGone.into());
        }
        ticks.yielded.store(true, Relaxed);
        Ok(UpdateDeadline::Yield(1))
    }
}

fn ticks_of(time: Duration) -> u32 {
    u32::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX)
}

/// Puts a new store under its limits. Without this it would trap at once.
pub(super) fn install(store: &mut Store<GuestState>) {
    let cpu = store.data().cpu().clone();
    store.limiter(|state| &mut state.memory);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| cpu.tick());
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    // rules: C3-29
    #[test]
    fn memory_is_counted_over_all_memories_of_a_store() {
        let mut limit = MemoryLimit::default();
        assert!(limit.memory_growing(0, 100 * MIB, None).unwrap());
        assert!(!limit.memory_growing(0, 29 * MIB, None).unwrap());
        assert!(limit.denied());
        assert!(limit.memory_growing(0, 28 * MIB, None).unwrap());
    }

    #[test]
    fn a_growth_that_failed_is_not_counted() {
        let mut limit = MemoryLimit::default();
        assert!(limit.memory_growing(0, 100 * MIB, None).unwrap());
        limit.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        assert!(limit.denied());
        assert!(limit.memory_growing(0, 128 * MIB, None).unwrap());
    }

    /// A tick of the engine while the guest computes. When it is let go, it is polled again at once.
    fn computes(cpu: &CpuBudget) -> bool {
        match cpu.tick() {
            Ok(UpdateDeadline::Yield(_)) => {
                assert!(!cpu.after_pending());
                true
            }
            Ok(_) => true,
            Err(error) => {
                assert!(error.is::<CpuExceeded>() || error.is::<ClientGone>());
                false
            }
        }
    }

    // rules: C3-2
    #[test]
    fn a_guest_that_waits_now_and_then_never_runs_out() {
        let cpu = CpuBudget::new(TICK * 3);
        for _ in 0..100 {
            // The first tick after a wait says nothing.
            assert!((0..4).all(|_| computes(&cpu)));
            assert!(cpu.after_pending());
        }
    }

    // rules: C3-2
    #[test]
    fn a_guest_that_only_computes_runs_out() {
        let cpu = CpuBudget::new(TICK * 3);
        assert_eq!((0..100).take_while(|_| computes(&cpu)).count(), 1 + 3);
    }

    #[test]
    fn a_guest_that_computes_for_a_client_that_has_gone_runs_out_soon() {
        let (cpu, client) = (CpuBudget::new(CPU_MAX), Presence::default());
        cpu.serve(client.clone());
        let soon = ticks_of(LEFT_MAX) as usize;
        assert_eq!((0..2 * soon).take_while(|_| computes(&cpu)).count(), 2 * soon, "as long as it is there");
        client.leave();
        assert_eq!((0..2 * soon).take_while(|_| computes(&cpu)).count(), soon);
    }

    #[test]
    fn a_guest_that_has_waited_since_its_client_left_may_compute_on() {
        let (cpu, client) = (CpuBudget::new(CPU_MAX), Presence::default());
        cpu.serve(client.clone());
        client.leave();
        assert!((0..10).all(|_| computes(&cpu)));
        assert!(cpu.after_pending());
        let long = 2 * ticks_of(LEFT_MAX) as usize;
        assert_eq!((0..long).take_while(|_| computes(&cpu)).count(), long);
        // The next client is another one.
        cpu.serve(Presence::default());
        assert_eq!((0..long).take_while(|_| computes(&cpu)).count(), long);
    }
}
