//! What is to be tested, and under which conditions.

use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use miniflow::config::{self, LoadOptions, Project};
use miniflow::session::{Built, Connected, Session};
use miniflow::wasm::{Loader, Services};
use miniflow_runtime::SystemClock;
use miniflow_runtime::clock::TimeMode;

use crate::console::Console;
use crate::error::Error;
use crate::process::{Process, process};
use crate::running::{Settings, TestWorker};

/// How long a wait goes on in vain, real time, unless the test says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Worker to be tested. Started as often as wanted: each time it is another one, which shares nothing with the others but its code.
#[derive(Clone, Debug)]
pub struct Worker {
    path: PathBuf,
    component: Option<PathBuf>,
    options: LoadOptions,
    beside: Vec<Self>,
    settings: Settings,
}

impl Worker {
    /// The Worker in a folder, with a `wrangler.jsonc` (or `.json`, `.toml`) or a `Cargo.toml`; or one of these files, or a `.wasm` file. Relative
    /// paths are relative to the package of the test. What has to be built is built once in a process.
    #[must_use]
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        let settings = Settings { time: TimeMode::Skip, fires: false, patience: PATIENCE };
        Self { path: path.into(), component: None, options: LoadOptions::default(), beside: Vec::new(), settings }
    }

    /// The Worker that is this component, without configuration: each workflow class is bound as `dev` binds it then.
    #[must_use]
    pub fn from_wasm(component: impl Into<PathBuf>) -> Self {
        Self::from_path(component)
    }

    /// The Worker in whose folder, or a folder below, the calling source file is: in `tests/worker.rs` of a Worker's package, that Worker.
    ///
    /// # Panics
    ///
    /// When the source file is not where it was compiled from.
    #[must_use]
    #[track_caller]
    pub fn here() -> Self {
        let file = Location::caller().file();
        let found = folder_of(Path::new(file));
        Self::from_path(found.unwrap_or_else(|| panic!("there is no Worker around {file}: use `Worker::from_path`")))
    }

    /// Runs this component instead of building one.
    #[must_use]
    pub fn component(self, file: impl Into<PathBuf>) -> Self {
        Self { component: Some(file.into()), ..self }
    }

    /// Takes the environment `name` of its configuration.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.options.env = Some(name.into());
        self
    }

    /// Sets a variable, whatever files say.
    #[must_use]
    pub fn var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.vars.push((name.into(), value.into()));
        self
    }

    /// Runs `other` in the same session: they reach each other through their bindings. This one takes the requests.
    #[must_use]
    pub fn beside(mut self, other: Self) -> Self {
        self.beside.push(other);
        self
    }

    /// Lets time pass in another way. By default it is skipped while the test waits and nothing is at work: [`TimeMode::Skip`].
    #[must_use]
    pub fn time(mut self, mode: TimeMode) -> Self {
        self.settings.time = mode;
        self
    }

    /// Lets cron triggers and schedules fire when time passes them. By default only the test fires them, so that no minute that begins
    /// disturbs it.
    #[must_use]
    pub fn with_crons(mut self) -> Self {
        self.settings.fires = true;
        self
    }

    /// Says how long a wait goes on in vain, real time.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Starts it: in this process, with a state and a clock of its own, and no port.
    ///
    /// # Errors
    ///
    /// When it does not build, or could not be served either.
    pub async fn start(&self) -> Result<TestWorker, Error> {
        let process = process()?;
        let wanted = self.clone();
        process.run(async move { wanted.start_here(process).await }).await
    }

    async fn start_here(self, process: &'static Process) -> Result<TestWorker, Error> {
        let workers = self.all_built(process).await?;
        TestWorker::start(process, workers, self.settings).await
    }

    /// It and those beside it, loaded and connected, without running.
    pub(crate) async fn connected(self, process: &'static Process) -> Result<Connected, Error> {
        let services = Arc::new(Services::new(SystemClock::shared(), Arc::new(Console::default())));
        let session =
            Session::new(Loader::with(process.compiler.clone(), Arc::clone(&services)), services.workers.clone());
        let (members, _) = session.load_all(self.all_built(process).await?).await?;
        Ok(session.connect(members)?)
    }

    async fn all_built(&self, process: &'static Process) -> Result<Vec<Built>, Error> {
        let mut workers = vec![self.built(process).await?];
        for other in &self.beside {
            workers.push(other.built(process).await?);
        }
        Ok(workers)
    }

    async fn built(&self, process: &'static Process) -> Result<Built, Error> {
        let project: Project = config::load(&self.path, &self.options)?;
        let component = match &self.component {
            Some(component) => component.clone(),
            None => process.build(&project).await?,
        };
        Ok(Built { project, component })
    }
}

/// The nearest folder around a source file with a Worker in it. The compiler names files from the root of the workspace.
fn folder_of(file: &Path) -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?;
    let file = folder.ancestors().map(|root| root.join(file)).find(|file| file.is_file())?.canonicalize().ok()?;
    let is_worker = |folder: &&Path| {
        ["wrangler.jsonc", "wrangler.json", "wrangler.toml", "Cargo.toml"]
            .iter()
            .any(|name| folder.join(name).is_file())
    };
    file.ancestors().skip(1).find(is_worker).map(Path::to_owned)
}
