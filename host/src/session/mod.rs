//! The Workers of a session: what was loaded, how they reach each other, and the place of each.
//!
//! A Worker is loaded by itself ([`Session::load`]), then all are connected ([`Session::connect`], [`Session::connect_with`]): a workflow that
//! one defines is bound by another by its `script_name`. Only then the result is put in place ([`Session::put`]), so that a reload that fails
//! leaves everything as it was.
//!
//! Promises: a Worker reaches what its own configuration binds and nothing else of another one; nothing is shared with other
//! sessions of the machine. Never does: build, watch, decide what becomes of instances.

mod check;
mod connect;
mod crons;
mod queues;
mod reload;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use miniflow_runtime::WorkflowDefinition;
use miniflow_runtime::dispatcher::CronTrigger;

use crate::bindings::Bindings;
use crate::config::{DurableObjectBinding, Problem, Problems, Project, WorkflowEntry};
use crate::triggers::queue::Consumption;
use crate::wasm::limits::CPU_MAX;
use crate::wasm::{Generation, Loader, Slot, Workers};

pub use self::check::{Checked, Finding};
pub use self::reload::{OnDivergence, Reload, Reloader, Reloading};

/// The Workers that are served. Cheap to clone; all clones are the same session.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

struct Shared {
    loader: Loader,
    workers: Workers,
    present: Mutex<Present>,
}

/// What was put in place.
#[derive(Default)]
struct Present {
    members: Vec<Arc<Member>>,
    definitions: Vec<WorkflowDefinition>,
    /// What was pointed out about them.
    warnings: Problems,
}

/// A Worker that was built.
pub struct Built {
    /// What it was built from.
    pub project: Project,
    /// Its component.
    pub component: PathBuf,
}

/// A Worker of a session: its project and what its component turned out to be.
pub struct Member {
    /// What it was loaded from.
    pub project: Project,
    /// The workflows it binds, its own and those of others.
    pub workflows: Vec<WorkflowEntry>,
    /// The Durable Objects it binds, its own and those of others.
    pub durable_objects: Vec<DurableObjectBinding>,
    /// What to point out although it can be served.
    pub warnings: Problems,
    generation: Generation,
}

impl Member {
    /// The Worker's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.project.name
    }

    /// Its code, without bindings.
    #[must_use]
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    pub(crate) fn cpu_max(&self) -> Duration {
        self.project.cpu_ms.map_or(CPU_MAX, |ms| Duration::from_millis(ms.get().into()))
    }
}

/// Workers that fit together, to be put in place.
pub struct Connected {
    members: Vec<(Arc<Member>, Bindings)>,
    /// The cron triggers of all of them.
    pub triggers: Vec<CronTrigger>,
    /// The workflows of all of them.
    pub definitions: Vec<WorkflowDefinition>,
    /// What to point out although they can be served.
    pub warnings: Problems,
}

impl Connected {
    /// The Workers, and what each can use.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Arc<Member>, &Bindings)> {
        self.members.iter().map(|(member, bindings)| (member, bindings))
    }

    /// The name of the workflow that the first Worker binds to `binding`.
    #[must_use]
    pub fn workflow(&self, binding: &str) -> Option<&str> {
        let (member, _) = self.members.first()?;
        let bound = member.workflows.iter().find(|entry| entry.binding.as_deref() == Some(binding));
        bound.map(|entry| entry.name.as_str())
    }
}

impl Session {
    /// Returns a session without Workers. They will be found in `workers`.
    #[must_use]
    pub fn new(loader: Loader, workers: Workers) -> Self {
        Self(Arc::new(Shared { loader, workers, present: Mutex::default() }))
    }

    /// Reads a Worker's component and checks it against its configuration. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is not a Worker, or lacks what the configuration names.
    pub async fn load(&self, project: Project, component: &Path) -> Result<Member, Problems> {
        let shown = component.display();
        let artifact = std::fs::read(component).map_err(|error| {
            Problem::error(format!("could not read `{shown}`: {error}"))
                .with_hint("build the Worker first, or name the file that its build makes")
        })?;
        let generation = self
            .0
            .loader
            .load(&project.name, artifact, Bindings::default())
            .await
            .map_err(|error| Problem::error(format!("`{shown}`: {error}")).with_hint(error.hint()))?;
        let mut warnings = Problems::default();
        if let Some(death) = generation.describe_failure() {
            let message = format!("the Worker failed when it was asked for its classes: {}", death.report());
            let has_workflows = project.workflows.as_ref().is_some_and(|workflows| !workflows.is_empty());
            if has_workflows || !project.durable_objects.is_empty() {
                return Err(Problem::error(message).into());
            }
            warnings.push(Problem::warning(message));
        }
        queues::check(&project, &generation)?;
        warnings.extend(crons::check(&project, &generation));
        let classes: Vec<_> = generation.classes().iter().map(|class| class.name.as_str()).collect();
        let bound = project.bind_classes(&classes)?;
        warnings.extend(bound.warnings);
        let classes: Vec<_> = generation.object_classes().iter().map(|class| class.name.as_str()).collect();
        let durable_objects = project.bind_object_classes(&classes)?;
        Ok(Member { project, workflows: bound.workflows, durable_objects, warnings, generation })
    }

    /// As [`Self::load`], of several Workers. The problems are what to point out although all can be served.
    ///
    /// # Errors
    ///
    /// When one of them cannot be: everything that is wrong with any.
    pub async fn load_all(&self, workers: Vec<Built>) -> Result<(Vec<Arc<Member>>, Problems), Problems> {
        let (mut members, mut problems) = (Vec::new(), Problems::default());
        for Built { project, component } in workers {
            match self.load(project, &component).await {
                Ok(member) => {
                    problems.extend(member.warnings.iter().cloned());
                    members.push(Arc::new(member));
                }
                Err(errors) => problems.extend(errors),
            }
        }
        problems.or(members)
    }

    /// Finds out how `members` reach each other; the first one takes the requests. Changes nothing.
    ///
    /// # Errors
    ///
    /// When two of them, or two of their workflows, have one name.
    pub fn connect(&self, members: Vec<Arc<Member>>) -> Result<Connected, Problems> {
        connect::connect(members)
    }

    /// As [`Self::connect`], for the present Workers with `member` in the place of the one of its name.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub fn connect_with(&self, member: Member) -> Result<Connected, Problems> {
        let member = Arc::new(member);
        let exchange =
            |present: Arc<Member>| if present.name() == member.name() { Arc::clone(&member) } else { present };
        self.connect(self.members().into_iter().map(exchange).collect())
    }

    /// Puts Workers in place: from now on events go to them. One that is as before stays as it is.
    pub fn put(&self, connected: &Connected) {
        self.put_changed(connected, self.changes(connected));
    }

    /// The Workers that are not as they are now, as they are to be.
    fn changes(&self, connected: &Connected) -> Vec<Arc<Generation>> {
        let change = |(member, bindings): &(Arc<Member>, Bindings)| {
            let now = self.0.workers.slot(member.name()).get();
            let is_same = now.is_some_and(|now| now.is_same(&member.generation, bindings, member.cpu_max()));
            (!is_same).then(|| Arc::new(member.generation.configured(bindings.clone(), member.cpu_max())))
        };
        connected.members.iter().filter_map(change).collect()
    }

    fn put_changed(&self, connected: &Connected, changes: Vec<Arc<Generation>>) {
        for generation in changes {
            self.0.workers.slot(generation.worker()).set(generation);
        }
        let members: Vec<_> = connected.members.iter().map(|(member, _)| Arc::clone(member)).collect();
        let mut warnings = connected.warnings.clone();
        warnings.extend(members.iter().flat_map(|member| member.warnings.iter().cloned()));
        *self.present() = Present { members, definitions: connected.definitions.clone(), warnings };
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.0.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Workers that were put in place; the first one takes the requests.
    #[must_use]
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.present().members.clone()
    }

    /// The workflows of the Workers that were put in place.
    #[must_use]
    pub fn definitions(&self) -> Vec<WorkflowDefinition> {
        self.present().definitions.clone()
    }

    /// What the Workers consume that were put in place.
    #[must_use]
    pub fn consumptions(&self) -> Vec<Consumption> {
        queues::consumptions(&self.members())
    }

    /// Whether any Worker that was put in place has to do with queues.
    #[must_use]
    pub fn uses_queues(&self) -> bool {
        queues::are_used(&self.members())
    }

    /// Whether any Worker that was put in place has a KV namespace.
    #[must_use]
    pub fn uses_kv(&self) -> bool {
        self.members().iter().any(|member| !member.project.kv_namespaces.is_empty())
    }

    /// Where the generations of a Worker are found.
    #[must_use]
    pub fn slot(&self, worker: &str) -> Slot {
        self.0.workers.slot(worker)
    }

    /// Says that nothing new is to begin on any Worker.
    pub(crate) fn retire(&self) {
        for generation in self.members().iter().filter_map(|member| self.slot(member.name()).get()) {
            generation.retire();
        }
    }
}
