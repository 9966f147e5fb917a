//! The workflows that are defined, as the API shows them: by a session, or by configurations that nobody serves.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use miniflow_runtime::{Clock, Timestamp};
use uuid::Builder;

use crate::config::WorkflowEntry;
use crate::session::{Member, Session};
use crate::wasm::Slot;

/// The workflows that are defined, as they are when they are asked for.
pub(super) struct Catalog {
    source: Source,
    clock: Arc<dyn Clock>,
    since: Timestamp,
    /// The code of each Worker, and when it was seen first.
    seen: Mutex<HashMap<String, (String, Timestamp)>>,
}

enum Source {
    Session(Session),
    /// None when it is not known what is defined: a Worker without a configuration says it itself.
    Configured(Option<Vec<Defined>>),
}

/// A workflow that is defined.
#[derive(Clone)]
pub(super) struct Defined {
    pub(super) entry: WorkflowEntry,
    /// Name of the Worker that has its class.
    pub(super) worker: String,
    /// When its code was loaded.
    pub(super) modified: Timestamp,
    /// None when nothing is served.
    slot: Option<Slot>,
}

impl Catalog {
    pub(super) fn new(session: Session, clock: Arc<dyn Clock>) -> Self {
        let catalog = Self::of(Source::Session(session), clock);
        // What is there from the start is as old as the session.
        catalog.all();
        catalog
    }

    /// What configurations define, each workflow with the name of its Worker; none when that is not known.
    pub(super) fn configured(workflows: Option<Vec<(WorkflowEntry, String)>>, clock: Arc<dyn Clock>) -> Self {
        let modified = clock.now();
        let defined = |(entry, worker)| Defined { entry, worker, modified, slot: None };
        let defined = workflows.map(|workflows| workflows.into_iter().map(defined).collect());
        Self::of(Source::Configured(defined), clock)
    }

    fn of(source: Source, clock: Arc<dyn Clock>) -> Self {
        Self { source, since: clock.now(), clock, seen: Mutex::default() }
    }

    /// When the session began.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// Every workflow, in the order of the Workers and of their configurations.
    pub(super) fn all(&self) -> Vec<Defined> {
        match &self.source {
            Source::Session(session) => {
                session.members().iter().flat_map(|member| self.of_member(session, member)).collect()
            }
            Source::Configured(defined) => defined.clone().unwrap_or_default(),
        }
    }

    /// Whether a workflow that is not found here is none of the present; else nobody knows.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self.source, Source::Configured(None))
    }

    pub(super) fn find(&self, name: &str) -> Option<Defined> {
        self.all().into_iter().find(|defined| defined.entry.name == name)
    }

    /// The Workers.
    pub(super) fn members(&self) -> Vec<Arc<Member>> {
        match &self.source {
            Source::Session(session) => session.members(),
            Source::Configured(_) => Vec::new(),
        }
    }

    /// The workflows whose classes this Worker has.
    fn of_member(&self, session: &Session, member: &Member) -> Vec<Defined> {
        let (worker, slot) = (member.name(), session.slot(member.name()));
        let modified = self.loaded(worker, &slot);
        let own = |entry: &&WorkflowEntry| entry.script_name.as_deref().is_none_or(|script| script == worker);
        let defined = |entry: &WorkflowEntry| Defined {
            entry: entry.clone(),
            worker: worker.to_owned(),
            modified,
            slot: Some(slot.clone()),
        };
        member.workflows.iter().filter(own).map(defined).collect()
    }

    fn loaded(&self, worker: &str, slot: &Slot) -> Timestamp {
        let Some(generation) = slot.get() else { return self.since };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(worker) {
            Some((digest, at)) if digest == generation.digest() => *at,
            _ => {
                let now = self.clock.now();
                seen.insert(worker.to_owned(), (generation.digest().to_owned(), now));
                now
            }
        }
    }
}

impl Defined {
    /// The version of the code that is served: tells artifacts apart. Empty when nothing is served.
    pub(super) fn version_id(&self) -> String {
        let Some(slot) = &self.slot else { return String::new() };
        let digest = slot.get().and_then(|generation| u128::from_str_radix(generation.digest(), 16).ok());
        uuid(digest.unwrap_or_default())
    }

    /// Whether the code that is served has no class for it.
    pub(super) fn lacks_class(&self) -> bool {
        self.slot.as_ref().and_then(Slot::get).is_some_and(|generation| !generation.has_class(&self.entry.class_name))
    }

    pub(super) fn steps(&self) -> Option<u32> {
        self.entry.step_limit.map(NonZeroU32::get)
    }

    pub(super) fn concurrency(&self) -> Option<u32> {
        self.entry.concurrency_limit.map(NonZeroU32::get)
    }
}

/// The id of a workflow: the same in every session.
pub(super) fn workflow_id(name: &str) -> String {
    uuid(crate::wasm::hash(name.as_bytes()))
}

fn uuid(number: u128) -> String {
    Builder::from_custom_bytes(number.to_be_bytes()).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_keeps_its_id_and_another_has_another() {
        assert_eq!(workflow_id("orders"), workflow_id("orders"));
        assert_ne!(workflow_id("orders"), workflow_id("order"));
        assert_eq!(workflow_id("orders").len(), 36);
    }
}
