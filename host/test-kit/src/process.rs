//! What all tests of a process share: the threads that guests run on, the compiler, the builds.
//!
//! Guests have threads of their own, so that a test may block, runs on whatever executor it likes, and never polls a guest. They end with
//! the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use miniflow::config::{Project, Source};
use miniflow::dev::build::{self, Profile, Progress, build_blocking};
use miniflow::wasm::{Compiler, EngineOptions, default_cache_dir};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::error::Error;

pub(crate) struct Process {
    runtime: Runtime,
    pub(crate) compiler: Compiler,
    /// Components, by the `Cargo.toml` they were built from.
    builds: Mutex<BTreeMap<PathBuf, Arc<OnceCell<PathBuf>>>>,
}

/// The one of this process.
pub(crate) fn process() -> Result<&'static Process, Error> {
    static PROCESS: OnceLock<Result<Process, String>> = OnceLock::new();
    PROCESS.get_or_init(Process::start).as_ref().map_err(|why| Error::Machine(why.clone()))
}

impl Process {
    fn start() -> Result<Self, String> {
        let runtime = miniflow::wasm::runtime().map_err(|error| error.to_string())?;
        let cache_dir = default_cache_dir(|name| std::env::var_os(name));
        let compiler =
            Compiler::keeping(&EngineOptions { cache_dir, live_runs_max: None }).map_err(|error| error.to_string())?;
        Ok(Self { runtime, compiler, builds: Mutex::default() })
    }

    /// Runs `work` on the threads of guests.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let task = Aborting(self.runtime.spawn(work));
        task.await
    }

    /// Runs `test` here, and what it asks for on the threads of guests.
    pub(crate) fn block_on<F: Future>(&self, test: F) -> F::Output {
        self.runtime.block_on(test)
    }

    /// Lets `work` go on by itself.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Builds a project, once in this process.
    pub(crate) async fn build(&'static self, project: &Project) -> Result<PathBuf, Error> {
        let Source::Crate { manifest } = &project.source else { return run_build(project).await };
        let cell = {
            let mut builds = self.builds.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(builds.entry(manifest.clone()).or_default())
        };
        cell.get_or_try_init(|| async {
            if project.build.is_some() { run_build(project).await } else { run_cargo(manifest).await }
        })
        .await
        .cloned()
    }
}

async fn run_build(project: &Project) -> Result<PathBuf, Error> {
    build::build(project, Profile::Development, &Silent).await.map_err(|error| Error::Build(error.to_string()))
}

/// Other test processes build into the same folder: each in its turn.
async fn run_cargo(manifest: &Path) -> Result<PathBuf, Error> {
    let folder = manifest.parent().unwrap_or(manifest).to_owned();
    let built = tokio::task::spawn_blocking(move || build_blocking(&folder)).await;
    let built = built.map_err(|panic| Error::Build(panic.to_string()))?;
    built.map_err(|error| Error::Build(error.to_string()))
}

struct Silent;

impl Progress for Silent {
    fn line(&self, _line: &str) {}
}

/// A task that ends with whoever waits for it.
struct Aborting<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for Aborting<T> {
    type Output = T;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<T> {
        std::pin::Pin::new(&mut self.0).poll(context).map(|joined| match joined {
            Ok(output) => output,
            // Only this value aborts it, so it has panicked.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        })
    }
}
