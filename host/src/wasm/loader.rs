//! From the bytes of an artifact to a [`Generation`].
//!
//! Promises: what a Worker is comes from the component alone; every refusal says in one sentence what is wrong and in another what
//! to do. Never does: read files, build, or make a generation the present one.

use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::clock::real;
use tokio::sync::SetOnce;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::handler::ProxyPre;
use wasmtime_wasi_http::{p2, p3};

use super::bindings::exports::miniflow::worker::durable_objects::GuestIndices as ObjectsIndices;
use super::bindings::exports::miniflow::worker::queue_consumer::GuestIndices as QueueIndices;
use super::bindings::exports::miniflow::worker::scheduled::GuestIndices as ScheduledIndices;
use super::bindings::exports::miniflow::worker::workflows::GuestIndices;
use super::compiler::Compiler;
use super::engine::{EngineError, EngineOptions};
use super::generation::{Class, Code, Generation};
use super::limits::CPU_MAX;
use super::pool::GuestKind;
use super::services::Services;
use super::state::{Guest, GuestState};
use super::symbols::Symbols;
use super::trap::{self, Death};
use crate::bindings::Bindings;

/// Processor time for listing classes: it should take microseconds.
const DESCRIBE_CPU_MAX: Duration = Duration::from_secs(5);

/// Also when it does not compute but wait.
const DESCRIBE_MAX: Duration = Duration::from_secs(10);

/// An artifact that is not a Worker. [`LoadError::hint`] has what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Something else than WebAssembly.
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// A module without the component model.
    #[error("the file is a core WebAssembly module, a Worker is a component")]
    CoreModule,
    /// Broken, or beyond what the engine knows.
    #[error("the component is not valid: {reason}")]
    Invalid {
        /// In the engine's words.
        reason: String,
    },
    /// Needs something that is not offered, at all or in that shape.
    #[error("the component imports `{interface}`, which miniflow does not offer{reason}")]
    Import {
        /// The import.
        interface: String,
        /// More about it, beginning with a separator; may be empty.
        reason: String,
    },
    /// Exports our interface in another shape.
    #[error(
        "the component exports `miniflow:worker/{interface}` in another shape than this miniflow expects: {reason}"
    )]
    Mismatch {
        /// Which.
        interface: &'static str,
        /// In the engine's words.
        reason: String,
    },
    /// Is a component, but not a Worker.
    #[error("the component has nothing a Worker has: it exports {}", list(.exports))]
    NothingExported {
        /// Everything it exports.
        exports: Vec<String>,
    },
}

impl LoadError {
    /// What to do, as a sentence for a `hint:` line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotWasm => "`main` must name the `.wasm` file that the build makes, or a Cargo package".to_owned(),
            Self::CoreModule => "build it with `cargo build --target wasm32-wasip2`, which makes components".to_owned(),
            Self::Invalid { .. } => {
                "build it again; if it stays, the tool that made it uses a proposal that is not supported yet".to_owned()
            }
            Self::Import { interface, .. } if interface.starts_with("miniflow:") => format!(
                "this miniflow speaks version {} of its interfaces: use the version of miniflow-sdk that belongs to it",
                env!("CARGO_PKG_VERSION")
            ),
            Self::Import { .. } => {
                "a Worker may import WASI 0.2, WASI 0.3, `wasi:http` and `miniflow:worker`; drop the dependency that needs the other one".to_owned()
            }
            Self::Mismatch { .. } => format!(
                "use the version of miniflow-sdk that belongs to this miniflow ({})",
                env!("CARGO_PKG_VERSION")
            ),
            Self::NothingExported { exports } if exports.iter().any(|name| name.starts_with("wasi:cli/run")) => {
                "it is a program with a `main`; a Worker is a library: set `crate-type = [\"cdylib\"]` and use `#[event(fetch)]` or `#[workflow]`".to_owned()
            }
            Self::NothingExported { .. } => {
                "a Worker exports `wasi:http/handler@0.3`, `wasi:http/incoming-handler@0.2`, `miniflow:worker/scheduled`, `miniflow:worker/queue-consumer` or `miniflow:worker/workflows`: use `#[event(fetch)]`, `#[event(scheduled)]`, `#[event(queue)]` or `#[workflow]`".to_owned()
            }
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Makes generations. One for the session.
pub struct Loader {
    compiler: Compiler,
    services: Arc<Services>,
}

impl Loader {
    /// Starts the engine.
    ///
    /// # Errors
    ///
    /// When the machine cannot run it.
    pub fn new(options: &EngineOptions, services: Arc<Services>) -> Result<Self, EngineError> {
        Ok(Self::with(Compiler::new(options)?, services))
    }

    /// Loads with a compiler that other sessions may use as well.
    #[must_use]
    pub fn with(compiler: Compiler, services: Arc<Services>) -> Self {
        Self { compiler, services }
    }

    /// Compiles `artifact`, or takes it from the cache, and finds out what is in it.
    ///
    /// A component that traps while it lists its workflow classes is loaded all the same: see
    /// [`Generation::describe_failure`]. Takes as long as compiling does, on a thread of its own.
    ///
    /// # Errors
    ///
    /// When it is not a Worker.
    pub async fn load(&self, worker: &str, artifact: Vec<u8>, bindings: Bindings) -> Result<Generation, LoadError> {
        let worker: Arc<str> = worker.into();
        let digest = digest(&artifact);
        // Large, and mostly not needed.
        let compiled = Box::pin(self.compile(&worker, artifact, &digest, &bindings));
        let code = self.compiler.code(&digest, compiled).await?;
        let services = Arc::clone(&self.services);
        Ok(Generation { code, worker, bindings, cpu_max: CPU_MAX, services, retired: SetOnce::new() })
    }

    async fn compile(
        &self,
        worker: &Arc<str>,
        artifact: Vec<u8>,
        digest: &str,
        bindings: &Bindings,
    ) -> Result<Code, LoadError> {
        let (engine, linker) = (self.compiler.engine().clone(), Arc::clone(self.compiler.linker()));
        let compiled = tokio::task::spawn_blocking(move || {
            let pre = compile(&engine, &linker, &artifact)?;
            Ok((pre, Arc::new(Symbols::new(artifact))))
        });
        let compiled = compiled.await;
        let (pre, symbols) = compiled.unwrap_or_else(|panic| Err(LoadError::Invalid { reason: panic.to_string() }))?;
        let fetch = fetch(&pre);
        let workflows = exported("workflows", GuestIndices::new(&pre))?;
        let scheduled = exported("scheduled", ScheduledIndices::new(&pre))?;
        let objects = exported("durable-objects", ObjectsIndices::new(&pre))?;
        let queue = exported("queue-consumer", QueueIndices::new(&pre))?;
        let handlers = [scheduled.is_some(), objects.is_some(), queue.is_some()];
        let engine = self.compiler.engine();
        if fetch.is_none() && workflows.is_none() && !handlers.contains(&true) {
            return Err(LoadError::NothingExported { exports: exports(engine, pre.component()) });
        }
        let mut code = Code {
            engine: engine.clone(),
            pool: self.compiler.pool().clone(),
            symbols,
            pre,
            fetch,
            workflows,
            scheduled,
            objects,
            queue,
            classes: Vec::new(),
            object_classes: Vec::new(),
            describe_failure: None,
            digest: digest.to_owned(),
        };
        match self.describe(&code, worker, bindings).await {
            Ok(classes) => (code.classes, code.object_classes) = classes,
            Err(death) => code.describe_failure = Some(death),
        }
        Ok(code)
    }

    /// The workflow classes and the Durable Object classes.
    async fn describe(&self, code: &Code, worker: &Arc<str>, bindings: &Bindings) -> Result<Described, Death> {
        if code.workflows.is_none() && code.objects.is_none() {
            return Ok(Described::default());
        }
        let (worker, bindings) = (Arc::clone(worker), bindings.clone());
        let permit = code.pool.reserve(GuestKind::Check).await;
        let symbols = Arc::clone(&code.symbols);
        let guest = Guest { permit, symbols, worker, bindings, run: None, object: None, cpu: DESCRIBE_CPU_MAX };
        let mut store = GuestState::store(self.compiler.engine(), &self.services, guest);
        let described = real::timeout(DESCRIBE_MAX, call_describe(code, &mut store)).await;
        match described {
            Some(Ok(classes)) => Ok(classes),
            Some(Err(error)) => Err(trap::explain(&store, &error).await),
            None => Err(Death {
                message: format!("listing its classes took over {} seconds", DESCRIBE_MAX.as_secs()),
                backtrace: None,
            }),
        }
    }
}

type Described = (Vec<Class>, Vec<Class>);

async fn call_describe(code: &Code, store: &mut Store<GuestState>) -> wasmtime::Result<Described> {
    let instance = code.pre.instantiate_async(&mut *store).await?;
    let (mut workflows, mut objects) = Described::default();
    if let Some(indices) = &code.workflows {
        let classes = indices.load(&mut *store, &instance)?.call_describe(&mut *store).await?;
        workflows = classes.into_iter().map(|class| Class { name: class.name, source: class.source }).collect();
    }
    if let Some(indices) = &code.objects {
        let classes = indices.load(&mut *store, &instance)?.call_describe(&mut *store).await?;
        objects = classes.into_iter().map(|class| Class { name: class.name, source: class.source }).collect();
    }
    for classes in [&mut workflows, &mut objects] {
        classes.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok((workflows, objects))
}

fn compile(
    engine: &Engine,
    linker: &Linker<GuestState>,
    artifact: &[u8],
) -> Result<InstancePre<GuestState>, LoadError> {
    // The header: `\0asm`, then the version; a component's has a 1 in the third byte, the layer.
    match artifact.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => {}
        Some([0, b'a', b's', b'm', ..]) => return Err(LoadError::CoreModule),
        _ => return Err(LoadError::NotWasm),
    }
    let component = Component::from_binary(engine, artifact)
        .map_err(|error| LoadError::Invalid { reason: format!("{error:#}") })?;
    linker.instantiate_pre(&component).map_err(|error| import_error(&error))
}

/// The linker names what it misses, between backticks: the interface, then what of it, then what is wrong with that.
fn import_error(error: &wasmtime::Error) -> LoadError {
    let text = format!("{error:#}");
    let mut quoted = text.split('`').skip(1).step_by(2);
    let Some(interface) = quoted.next().map(ToOwned::to_owned) else { return LoadError::Invalid { reason: text } };
    let wrong = text.rsplit(": ").next().unwrap_or_default();
    let reason = match quoted.next() {
        Some(item) if wrong.ends_with("implementation is missing") => format!(" (`{item}` is missing)"),
        Some(item) => format!(" (its `{item}`: {wrong})"),
        None => String::new(),
    };
    LoadError::Import { interface, reason }
}

/// 0.3 first: a component with both was made for it.
fn fetch(pre: &InstancePre<GuestState>) -> Option<ProxyPre<GuestState>> {
    if let Ok(service) = p3::bindings::ServicePre::new(pre.clone()) {
        return Some(ProxyPre::P3(service));
    }
    p2::bindings::ProxyPre::new(pre.clone()).ok().map(ProxyPre::P2)
}

/// What a component exports of our interface; none when it does not.
fn exported<T>(interface: &'static str, indices: wasmtime::Result<T>) -> Result<Option<T>, LoadError> {
    match indices {
        Ok(indices) => Ok(Some(indices)),
        Err(error) => {
            let reason = format!("{error:#}");
            let absent = reason.contains("no exported instance named");
            if absent { Ok(None) } else { Err(LoadError::Mismatch { interface, reason }) }
        }
    }
}

fn exports(engine: &Engine, component: &Component) -> Vec<String> {
    component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// Where FNV-1a of 128 bits begins.
const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;

/// A step of FNV-1a: no two words make the same of the same hash.
const fn mix(hash: u128, word: u64) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    (hash ^ word as u128).wrapping_mul(PRIME)
}

/// FNV-1a of 128 bits.
pub(crate) fn hash(bytes: &[u8]) -> u128 {
    bytes.iter().fold(OFFSET, |hash, byte| mix(hash, u64::from(*byte)))
}

/// Tells artifacts of one developer apart, no more is asked of it. In words of eight bytes: a component has megabytes, and each test starts with this.
fn digest(artifact: &[u8]) -> String {
    let (words, rest) = artifact.as_chunks();
    let begun = mix(OFFSET, artifact.len() as u64);
    let words = words.iter().fold(begun, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let all = rest.iter().fold(words, |hash, byte| mix(hash, u64::from(*byte)));
    format!("{all:032x}")
}

#[cfg(test)]
mod tests;
