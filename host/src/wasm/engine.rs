//! The one wasmtime engine: its configuration, its compile cache and the ticker of its epochs.
//!
//! Promises: every guest is compiled with the same settings, can be interrupted, and lives in a pool whose slots
//! give their memory back. Never does: load a component or know what a Worker is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::limits::MEMORY_MAX_BYTES;
use super::pool::{CORE_INSTANCES, SLOTS, STACKS, TABLES};

/// How often a guest that computes lets others run. A run beside a guest that spins waits about this long for each turn.
pub const TICK: Duration = Duration::from_millis(5);

/// Address space reserved for a memory, so that no access needs a check of its bounds.
const RESERVATION_BYTES: u64 = 4 << 30;

/// Memory that a free slot keeps, of what its last guest wrote to: more than a guest of the SDK writes to in a run of a few steps.
const KEPT_BYTES: usize = 256 << 10;

/// The same where the system cannot tell what was written to: of the first of its memory, most of which is a stack that nobody came to.
const KEPT_UNSEEN_BYTES: usize = 128 << 10;

/// What a free slot keeps of each of its tables.
const KEPT_TABLE_BYTES: usize = 8 << 10;

/// Elements of a table, pointer-sized; unoptimised guests with a JavaScript engine in them have tens of thousands.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Native stack of guest code. Unoptimised Rust with deep recursion needs more than wasmtime's 512 KiB.
const WASM_STACK_BYTES: usize = 1 << 20;

/// What can be chosen about the engine.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Where compiled components are kept. None: everything is compiled anew. Must be absolute.
    pub cache_dir: Option<PathBuf>,
    /// Live runs at a time. `None` means [`RUNS_MAX`](super::pool::RUNS_MAX), which is also the maximum.
    pub live_runs_max: Option<usize>,
}

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine could not be started: {reason}")]
pub struct EngineError {
    reason: String,
}

impl EngineError {
    pub(crate) fn new(error: &wasmtime::Error) -> Self {
        Self { reason: format!("{error:#}") }
    }
}

/// Returns the folder for compiled components: `MINIFLOW_CACHE_DIR`, else `miniflow` in the cache folder of the system.
///
/// `variable` reads a variable of the environment. None when nothing absolute is set.
#[must_use]
pub fn default_cache_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    path("MINIFLOW_CACHE_DIR")
        .or_else(|| path("XDG_CACHE_HOME").map(|dir| dir.join("miniflow")))
        .or_else(|| {
            let home = path("HOME")?;
            let caches = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
            Some(home.join(caches).join("miniflow"))
        })
        .or_else(|| path("LOCALAPPDATA").map(|dir| dir.join("miniflow").join("cache")))
}

/// Makes the engine and starts its ticker, which ends with the last clone of the engine.
///
/// Where the address space for the pool is refused (a limit on virtual memory, a small address space), guests get
/// their memory one by one. Where the cache folder cannot be used, components are compiled anew each time. Both work,
/// slower, and are told in the log.
///
/// # Errors
///
/// When the machine cannot run wasmtime's code at all.
pub fn engine(options: &EngineOptions) -> Result<Engine, EngineError> {
    let cache = options.cache_dir.as_deref().and_then(open_cache);
    let engine = Engine::new(&pooling(cache.clone())).or_else(|refused| {
        tracing::debug!("no pool of instances: {refused:#}");
        Engine::new(&on_demand(cache)).map_err(|error| EngineError::new(&error))
    })?;
    start_ticker(&engine)?;
    Ok(engine)
}

fn open_cache(dir: &Path) -> Option<Cache> {
    let mut config = CacheConfig::new();
    // A new build is served when it is kept, so that is to be quick.
    config.with_directory(dir.join("wasm")).with_baseline_compression_level(1);
    Cache::new(config)
        .inspect_err(|error| tracing::warn!("compiled Workers are not kept in {}: {error:#}", dir.display()))
        .ok()
}

fn common(cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        // `symbols.rs` resolves source lines, when a text is wanted.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(2 * WASM_STACK_BYTES)
        .cache(cache);
    config
}

fn pooling(cache: Option<Cache>) -> Config {
    let kept = if PoolingAllocationConfig::is_pagemap_scan_available() { KEPT_BYTES } else { KEPT_UNSEEN_BYTES };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        // Only memories, tables and stacks reserve address space.
        .total_core_instances(CORE_INSTANCES)
        .total_memories(SLOTS)
        .total_tables(TABLES)
        .total_stacks(STACKS)
        .max_memory_size(MEMORY_MAX_BYTES)
        .table_elements(TABLE_ELEMENTS_MAX)
        // What a small guest wrote to stays resident in a free slot and is made as it was by hand: giving it back to the system
        // and faulting it in again costs more than the rest of a short run, and stops the other cores each time.
        .linear_memory_keep_resident(kept)
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(KEPT_TABLE_BYTES);
    let mut config = common(cache);
    config.memory_reservation(RESERVATION_BYTES).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn on_demand(cache: Option<Cache>) -> Config {
    let mut config = common(cache);
    config
        .memory_reservation(MEMORY_MAX_BYTES as u64)
        .memory_reservation_for_growth(0)
        .memory_guard_size(0)
        .guard_before_linear_memory(false)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config
}

/// A plain thread: a task would not tick while guests keep every worker thread busy, which is when ticks matter.
fn start_ticker(engine: &Engine) -> Result<(), EngineError> {
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("miniflow-epochs".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(drop)
        .map_err(|error| EngineError { reason: format!("no thread for its timer: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(set: &[(&str, &str)]) -> Option<PathBuf> {
        default_cache_dir(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_cache_folder_is_the_one_told_before_the_one_of_the_system() {
        assert_eq!(dir(&[("MINIFLOW_CACHE_DIR", "/told"), ("HOME", "/home/me")]), Some("/told".into()));
        assert_eq!(dir(&[("XDG_CACHE_HOME", "/xdg"), ("HOME", "/home/me")]), Some("/xdg/miniflow".into()));
        assert!(dir(&[("HOME", "/home/me")]).is_some_and(|dir| dir.starts_with("/home/me")));
        assert_eq!(dir(&[("MINIFLOW_CACHE_DIR", "relative")]), None);
        assert_eq!(dir(&[]), None);
    }

    #[test]
    fn guests_can_have_their_memory_one_by_one() {
        Engine::new(&on_demand(None)).expect("the configuration is consistent");
    }

    #[test]
    fn an_engine_without_a_cache_starts() {
        engine(&EngineOptions::default()).expect("the engine starts");
    }
}
