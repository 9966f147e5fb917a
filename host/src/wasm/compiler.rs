//! Compiles components, for one session or for many of them in one process.
//!
//! The engine reserves address space for all guests it may ever have at a time: a process that starts many sessions, such as one that runs
//! tests, has them share a compiler, and the code of a component that was compiled before.
//!
//! Promises: a component is compiled once, however many ask for it at the same time. Never does: run a guest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use wasmtime::Engine;
use wasmtime::component::Linker;

use super::engine::{EngineError, EngineOptions, engine};
use super::generation::Code;
use super::linker::linker;
use super::loader::LoadError;
use super::pool::{GuestPool, RUNS_MAX};
use super::state::GuestState;

/// Compiles components. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Compiler(Arc<Shared>);

struct Shared {
    engine: Engine,
    pool: GuestPool,
    linker: Arc<Linker<GuestState>>,
    /// What was compiled, by its digest; none: it is not kept.
    kept: Option<Mutex<Kept>>,
}

type Kept = HashMap<String, Arc<OnceCell<Arc<Code>>>>;

impl Compiler {
    /// Starts the engine.
    ///
    /// # Errors
    ///
    /// When the machine cannot run it.
    pub fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        Self::start(options, false)
    }

    /// As [`Self::new`], and keeps what it has compiled as long as it lives.
    ///
    /// # Errors
    ///
    /// When the machine cannot run it.
    pub fn keeping(options: &EngineOptions) -> Result<Self, EngineError> {
        Self::start(options, true)
    }

    fn start(options: &EngineOptions, keeps: bool) -> Result<Self, EngineError> {
        let engine = engine(options)?;
        let linker = Arc::new(linker(&engine).map_err(|error| EngineError::new(&error))?);
        let pool = GuestPool::new(options.live_runs_max.unwrap_or(RUNS_MAX));
        Ok(Self(Arc::new(Shared { engine, pool, linker, kept: keeps.then(Mutex::default) })))
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(super) fn pool(&self) -> &GuestPool {
        &self.0.pool
    }

    pub(super) fn linker(&self) -> &Arc<Linker<GuestState>> {
        &self.0.linker
    }

    /// Returns the code of this digest: what is kept, or what `compile` makes of it now.
    pub(super) async fn code(
        &self,
        digest: &str,
        compile: impl Future<Output = Result<Code, LoadError>>,
    ) -> Result<Arc<Code>, LoadError> {
        let Some(kept) = &self.0.kept else { return compile.await.map(Arc::new) };
        let cell = {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(kept.entry(digest.to_owned()).or_default())
        };
        cell.get_or_try_init(|| async { compile.await.map(Arc::new) }).await.cloned()
    }
}
