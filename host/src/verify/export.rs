//! Exports a journal bundle from a running server or from a state directory.
//!
//! **Guarantees.** The export only reads. **Non-goals.** Finding the state directory.

use miniflow_runtime::WorkflowDefinition;
use miniflow_runtime::storage::{Archive, StorageError};

use super::bundle::{Binding, Bundle, Component, Config, Stream, Target, streams};
use crate::bindings::{Bindings, Bound};
use crate::config::{Project, Var};
use crate::wasm::Generation;

/// Error of an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The instance does not exist.
    #[error("there is no instance `{id}`{}", of(.workflow.as_deref()))]
    NotFound {
        /// Instance id.
        id: String,
        /// Workflow that was requested.
        workflow: Option<String>,
    },
    /// Several workflows have an instance with this id.
    #[error("instances of several workflows are called `{id}`: {}", list(.workflows))]
    Several {
        /// Instance id.
        id: String,
        /// Workflows that have an instance with this id.
        workflows: Vec<String>,
    },
    /// The state cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn of(workflow: Option<&str>) -> String {
    workflow.map(|workflow| format!(" of the workflow `{workflow}`")).unwrap_or_default()
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl ExportError {
    /// Returns a hint for the user.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "name the workflow with `--workflow`, and see that it is the state that is meant",
            Self::Several { .. } => "name the one that is meant with `--workflow`",
            Self::Storage(_) => "is it the folder that `miniflow dev` keeps its state in?",
        }
    }
}

/// Exports the journal of instance `id` of `workflow`, or of the only workflow that has this id.
///
/// # Errors
///
/// Fails if the instance does not exist, several instances have the id, or the state cannot be read.
pub fn export(archive: &mut dyn Archive, workflow: Option<&str>, id: &str) -> Result<Bundle, ExportError> {
    let mut workflows: Vec<String> = match workflow {
        Some(workflow) => vec![workflow.to_owned()],
        None => archive.counts(None)?.into_iter().map(|count| count.workflow).collect(),
    };
    workflows.sort_unstable();
    workflows.dedup();
    let mut found = Vec::new();
    for name in workflows {
        found.extend(archive.record(&name, id)?);
    }
    if found.len() > 1 {
        let workflows = found.into_iter().map(|record| record.fixed.workflow).collect();
        return Err(ExportError::Several { id: id.to_owned(), workflows });
    }
    let Some(record) = found.pop() else {
        return Err(ExportError::NotFound { id: id.to_owned(), workflow: workflow.map(ToOwned::to_owned) });
    };
    let mut kept = Vec::new();
    for (attempt, chunks) in streams(&record.journal) {
        let mut pieces = Vec::new();
        for index in 0..chunks {
            pieces.extend(archive.piece(record.fixed.key, attempt, index)?);
        }
        kept.push(Stream::new(attempt, &pieces));
    }
    Ok(Bundle::new(&record.fixed, record.summary.status, &record.journal, kept))
}

impl Bundle {
    /// Adds the component digest and its bindings, without secret values.
    #[must_use]
    pub fn with_code(mut self, definition: &WorkflowDefinition, project: &Project, generation: &Generation) -> Self {
        self.workflow.class_name = Some(definition.class_name.clone());
        self.workflow.worker = Some(definition.worker.clone());
        self.workflow.step_limit = Some(definition.step_limit);
        self.component = Some(Component { digest: generation.digest().to_owned() });
        let is_secret = |name: &str| matches!(project.vars.get(name), Some(Var::Secret(_)));
        let bindings = generation.bindings().iter().filter(|(name, _)| !is_secret(name));
        self.config = Some(Config {
            bindings: bindings.map(|(name, bound)| Binding { name: name.to_owned(), to: bound.into() }).collect(),
            secrets: project.vars.keys().filter(|name| is_secret(name)).cloned().collect(),
        });
        self
    }
}

impl From<&Bound> for Target {
    fn from(bound: &Bound) -> Self {
        match bound {
            Bound::Text(value) => Self::Text { value: value.clone() },
            Bound::Json(value) => Self::Json { value: value.clone() },
            Bound::Workflow(workflow) => Self::Workflow { workflow: workflow.clone() },
            Bound::DurableObject(namespace) => {
                Self::DurableObject { worker: namespace.worker.clone(), class: namespace.class.clone() }
            }
            Bound::Service(worker) => Self::Service { worker: worker.clone() },
            Bound::Queue(bound) => Self::Queue { queue: bound.queue.clone(), delay_s: bound.delay_s },
            other => Self::Other { what: other.kind().to_owned() },
        }
    }
}

impl Config {
    /// Returns the bindings for code without a configuration of its own. Entries of `over` take precedence.
    pub(super) fn bindings(&self, over: &Bindings) -> Bindings {
        let of_bundle = self.bindings.iter().filter_map(|binding| Some((binding.name.clone(), binding.to.bound()?)));
        let over = over.iter().map(|(name, bound)| (name.to_owned(), bound.clone()));
        of_bundle.chain(over).collect()
    }
}

impl Target {
    fn bound(&self) -> Option<Bound> {
        Some(match self.clone() {
            Self::Text { value } => Bound::Text(value),
            Self::Json { value } => Bound::Json(value),
            Self::Workflow { workflow } => Bound::Workflow(workflow),
            Self::DurableObject { worker, class } => {
                Bound::DurableObject(crate::bindings::durable_object::Namespace { worker, class }.into())
            }
            Self::Service { worker } => Bound::Service(worker),
            Self::Queue { queue, delay_s } => Bound::Queue(crate::bindings::queue::BoundQueue { queue, delay_s }),
            Self::Other { .. } => return None,
        })
    }
}
