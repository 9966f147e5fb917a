//! One Worker from its sources to what is served: the loop of its development.
//!
//! The loop is a value ([`State`]) that goes from state to state; each set of changes is a revision of the sources. A change that comes
//! while something is being built is not lost: another build follows, of all that has changed by then. A build is never cut off, for a
//! compiler that is killed may leave half of its work behind.
//!
//! Promises: a build that fails, a component that does not fit, a configuration that has become invalid: each is told, and leaves what is
//! served as it is. What a build itself writes makes no further build. Never does: print, or decide what becomes of instances.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::clock::{Stopwatch, real};
use tokio::sync::Notify;

use super::build::{self, BuildError, Profile, Progress};
use super::sources;
use super::watch::{self, Watch};
use crate::config::{Problems, Project, Source};
use crate::session::{OnDivergence, Reload, Reloader, Reloading};

/// After this time a file that is being written is whole.
const WRITTEN: Duration = Duration::from_millis(150);

/// Told of what happens in the loop.
pub trait Listener: Progress + 'static {
    /// Something has happened to the Worker called `worker`.
    fn happened(&self, worker: &str, news: News);
}

/// What has happened.
#[derive(Debug)]
pub enum News {
    /// It takes long to check the instances in flight; so many have been looked at.
    Checking(usize),
    /// It was reloaded; how long the build took, if there was one.
    Reloaded(Box<Reload>, Option<Duration>),
    /// A build made what is served already; none: nothing had to be built.
    Unchanged(Option<Duration>),
    /// It could not be built. The compiler has said why.
    NotBuilt(BuildError),
    /// The configuration, or the component under it, cannot be served.
    Refused(Problems),
    /// The system does not tell of changes, because of this.
    Polls(String),
    /// These change with every build: what a build does to them is no reason for another one.
    Outputs(BTreeSet<PathBuf>),
}

/// Reads the configuration anew.
pub type Load = Arc<dyn Fn() -> Result<Project, Problems> + Send + Sync>;

/// A Worker that is being developed.
pub struct Worker {
    /// What its configuration says, as it was valid last.
    pub project: Project,
    /// Its component, as it was built last.
    pub component: Option<PathBuf>,
    load: Load,
    /// Files that the configuration is read from as well, relative to its folder.
    env_files: Vec<PathBuf>,
    builds: bool,
    watch: Option<Arc<Watch>>,
    listener: Arc<dyn Listener>,
    /// What the last build came to does not stand for the sources.
    stale: bool,
    /// What is written by builds, though it is among the sources.
    outputs: BTreeSet<PathBuf>,
    /// What changed during the last build, and what that build made.
    suspicion: Option<(BTreeSet<PathBuf>, Option<u64>)>,
    revision: u64,
    /// Somebody wants it to be built again.
    wanted: Arc<Notify>,
    /// That is why it is.
    is_wanted: bool,
}

/// Where the loop is.
enum State {
    /// Nothing is to be done before something changes.
    Settled,
    /// Something has changed.
    Changed(BTreeSet<PathBuf>),
    /// The sources are to be built, because these have changed.
    Stale(BTreeSet<PathBuf>),
    /// A component is to be served; it took this long to build, if it was built now. Then what has changed meanwhile is looked at.
    Ready(Option<Duration>, BTreeSet<PathBuf>),
}

impl Worker {
    /// A Worker as `load` has read it; with `builds` it is built, otherwise what an earlier build has left is served.
    #[must_use]
    pub fn new(
        project: Project,
        load: Load,
        env_files: Vec<PathBuf>,
        builds: bool,
        listener: Arc<dyn Listener>,
    ) -> Self {
        Self {
            project,
            component: None,
            load,
            env_files,
            builds,
            watch: None,
            listener,
            stale: false,
            outputs: BTreeSet::new(),
            suspicion: None,
            revision: 0,
            wanted: Arc::default(),
            is_wanted: false,
        }
    }

    /// What has it built again when it is notified, whether something has changed or not.
    #[must_use]
    pub fn rebuild(&self) -> Arc<Notify> {
        Arc::clone(&self.wanted)
    }

    /// Begins to watch the sources. To be called before the first build, so that no change is missed.
    pub async fn watch(&mut self) {
        let watched = self.watched().await;
        let (listener, worker) = (Arc::clone(&self.listener), self.project.name.clone());
        let start = move || Watch::start(watched, move |why| listener.happened(&worker, News::Polls(why)));
        match tokio::task::spawn_blocking(start).await {
            Ok(Ok(watch)) => self.watch = Some(Arc::new(watch)),
            Ok(Err(error)) => tracing::warn!("sources cannot be watched: {error}"),
            Err(panic) => tracing::warn!("sources cannot be watched: {panic}"),
        }
    }

    /// Builds it, or finds what an earlier build has left.
    ///
    /// # Errors
    ///
    /// When there is no component.
    pub async fn build(&mut self) -> Result<(), BuildError> {
        self.stale = true;
        let built = match self.builds {
            true => build::build(&self.project, Profile::Development, &*self.listener).await,
            false => build::use_last_built(&self.project, &*self.listener).await,
        };
        self.component = Some(built?);
        self.stale = false;
        Ok(())
    }

    /// Whether other sources may be all that it needs.
    #[must_use]
    pub fn can_heal(&self, error: &BuildError) -> bool {
        self.builds && self.watch.is_some() && error.is_of_sources()
    }

    /// Takes what an earlier build has left, for want of a better one. Returns whether there is anything.
    pub async fn take_last_build(&mut self) -> bool {
        self.component = build::last_built(&self.project).await.ok();
        self.component.is_some()
    }

    /// Returns when a build has succeeded: each time that something changes, another one is made.
    pub async fn until_built(&mut self) {
        let Some(watch) = self.watch.clone() else { return std::future::pending().await };
        loop {
            let paths = watch.changed().await;
            self.take_configuration(&paths).await;
            match self.build().await {
                Ok(()) => return,
                Err(error) => self.tell(News::NotBuilt(error)),
            }
        }
    }

    /// Serves every change, until it is dropped.
    pub async fn develop(mut self, reloader: Reloader, on_divergence: OnDivergence) {
        let Some(watch) = self.watch.clone() else { return };
        let wanted = Arc::clone(&self.wanted);
        // What has changed since the first build began.
        let meanwhile = self.without_lock(watch.changed_by_now().await);
        let mut state = if meanwhile.is_empty() { State::Settled } else { State::Changed(meanwhile) };
        loop {
            state = match state {
                State::Settled => {
                    self.is_wanted = false;
                    tokio::select! {
                        paths = watch.changed() => State::Changed(paths),
                        () = wanted.notified() => {
                            self.is_wanted = true;
                            State::Stale(BTreeSet::new())
                        }
                    }
                }
                State::Changed(paths) => self.changed(paths).await,
                State::Stale(cause) => self.built(&cause, &watch).await,
                State::Ready(took, then) => {
                    let again = Box::pin(self.reload(took, &watch, &reloader, on_divergence)).await;
                    let changed: BTreeSet<_> = then.into_iter().chain(again).collect();
                    if changed.is_empty() { State::Settled } else { State::Changed(changed) }
                }
            };
        }
    }

    async fn changed(&mut self, paths: BTreeSet<PathBuf>) -> State {
        self.revision += 1;
        tracing::debug!("revision {} of {}: {paths:?}", self.revision, self.project.name);
        // Somebody else writes it, too.
        self.outputs.retain(|output| !paths.contains(output));
        let before = self.project.clone();
        let valid = self.take_configuration(&paths).await;
        let builds_differently = (&before.source, &before.build) != (&self.project.source, &self.project.build);
        let sources: BTreeSet<_> = paths.into_iter().filter(|path| !self.is_configuration(&before, path)).collect();
        if !sources.is_empty() || builds_differently || (self.stale && valid) {
            State::Stale(sources)
        } else if valid && before != self.project {
            State::Ready(None, BTreeSet::new())
        } else {
            State::Settled
        }
    }

    /// Reads the configuration again if it is among `paths`. Returns whether it is valid, or was not touched.
    async fn take_configuration(&mut self, paths: &BTreeSet<PathBuf>) -> bool {
        if !paths.iter().any(|path| self.is_configuration(&self.project, path)) {
            return true;
        }
        match (self.load)() {
            Ok(project) => {
                self.project = project;
                if let Some(watch) = self.watch.clone() {
                    watch.set(self.watched().await).await;
                }
                true
            }
            Err(problems) => {
                self.tell(News::Refused(problems));
                false
            }
        }
    }

    async fn built(&mut self, cause: &BTreeSet<PathBuf>, watch: &Watch) -> State {
        let since = Stopwatch::start();
        let built = self.build().await;
        let took = since.elapsed();
        let meanwhile = watch.changed_by_now().await;
        let then = self.without_outputs(cause, meanwhile).await;
        match built {
            Ok(()) => State::Ready(self.builds.then_some(took).filter(|_| self.compiles()), then),
            Err(error) => {
                self.tell(News::NotBuilt(error));
                if then.is_empty() { State::Settled } else { State::Changed(then) }
            }
        }
    }

    /// Whether a build is more than taking a file.
    fn compiles(&self) -> bool {
        self.project.build.is_some() || matches!(self.project.source, Source::Crate { .. })
    }

    /// cargo completes it.
    fn without_lock(&self, mut paths: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        if self.builds && matches!(self.project.source, Source::Crate { .. }) {
            paths.retain(|path| path.file_name().is_none_or(|name| name != "Cargo.lock"));
        }
        paths
    }

    /// What changed during a build because somebody changed it. A build that writes among its sources would go on for ever: what changes in
    /// two builds running, of which the second had no other cause and made the same component, is taken for its output. It may be what
    /// somebody saves again and again, so it is a source all the same between builds.
    async fn without_outputs(&mut self, cause: &BTreeSet<PathBuf>, meanwhile: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let mut meanwhile = self.without_lock(meanwhile);
        meanwhile.retain(|path| !self.outputs.contains(path));
        let before = self.suspicion.take();
        if meanwhile.is_empty() {
            return meanwhile;
        }
        let made = self.component.as_deref().and_then(watch::content);
        let is_output =
            before.is_some_and(|(paths, then)| meanwhile.is_subset(&paths) && cause.is_subset(&paths) && then == made);
        if !is_output || !sources::may_be_written(&self.project).await {
            self.suspicion = Some((meanwhile.clone(), made));
            return meanwhile;
        }
        self.outputs.extend(meanwhile.iter().cloned());
        self.tell(News::Outputs(meanwhile));
        BTreeSet::new()
    }

    /// Returns what has changed since, if that is why it could not be served.
    async fn reload(
        &self,
        build: Option<Duration>,
        watch: &Watch,
        reloader: &Reloader,
        on_divergence: OnDivergence,
    ) -> BTreeSet<PathBuf> {
        let Some(component) = self.component.as_deref() else { return BTreeSet::new() };
        let checking = |done| self.tell(News::Checking(done));
        match reloader.reload(&self.project, component, on_divergence, &checking).await {
            Ok(Reloading::Same) => {
                if build.is_some() || self.is_wanted {
                    self.tell(News::Unchanged(build));
                }
            }
            Ok(Reloading::Done(reload)) => self.tell(News::Reloaded(reload, build)),
            Err(problems) => {
                if !self.compiles() {
                    // Whoever writes the file may not be done.
                    real::sleep(WRITTEN).await;
                    let changed = watch.changed_by_now().await;
                    if !changed.is_empty() {
                        return changed;
                    }
                }
                self.tell(News::Refused(problems));
            }
        }
        BTreeSet::new()
    }

    async fn watched(&self) -> watch::Watched {
        let component: Option<&Path> = self.component.as_deref().filter(|_| !self.builds);
        let mut watched = sources::watched(&self.project, self.builds, component).await;
        watched.files.extend(self.env_files.iter().map(|file| self.project.root.join(file)));
        watched
    }

    /// Whether the file at `path` is of the configuration, which was that of `project`, rather than of the code.
    fn is_configuration(&self, project: &Project, path: &Path) -> bool {
        sources::is_configuration(project, path) || self.env_files.iter().any(|file| project.root.join(file) == path)
    }

    fn tell(&self, news: News) {
        self.listener.happened(&self.project.name, news);
    }
}
