//! What bindings and APIs ask.

use std::collections::HashSet;
use std::sync::Arc;

use super::core::{After, Core, chain};
use super::handle::unknown_workflow;
use super::message::{InstanceKey, Reply};
use super::resident::Resident;
use super::{ApiError, BatchError, BatchResult, CreateOptions, StatusReport};
use crate::engine::{Bytes, Entry, Instance, text};
use crate::storage::{NewInstance, Storage};

impl<S: Storage> Core<S> {
    pub(super) fn create(&mut self, workflow: &Arc<str>, options: CreateOptions, reply: Reply<String>) {
        if !self.definitions.contains_key(workflow) {
            return refuse(reply, self.gone(workflow));
        }
        let id = options.id.clone().unwrap_or_else(random_id);
        match self.find(workflow, &id) {
            Ok(None) => {
                self.add(workflow, id.clone(), options);
                self.replies.push(After::Id(reply, id));
            }
            Ok(Some(_)) => refuse(reply, ApiError::new("instance.already_exists", text::ALREADY_EXISTS)),
            Err(error) => refuse(reply, error),
        }
    }

    pub(super) fn create_batch(&mut self, workflow: &Arc<str>, options: Vec<CreateOptions>, reply: Reply<BatchResult>) {
        if !self.definitions.contains_key(workflow) {
            return refuse(reply, self.gone(workflow));
        }
        let mut seen = HashSet::new();
        let mut wanted = Vec::with_capacity(options.len());
        let mut errors = Vec::new();
        for (index, options) in (0..).zip(options) {
            let id = options.id.clone().unwrap_or_else(random_id);
            let (code, message) = match self.find(workflow, &id) {
                _ if !seen.insert(id.clone()) => text::BATCH_DUPLICATE,
                Ok(Some(_)) => text::BATCH_ALREADY_EXISTS,
                Ok(None) => {
                    wanted.push((id, options));
                    continue;
                }
                Err(error) => return refuse(reply, error),
            };
            errors.push(BatchError { index, id: options.id, code, message });
        }
        let mut created = Vec::with_capacity(wanted.len());
        for (id, options) in wanted {
            created.push(id.clone());
            self.add(workflow, id, options);
        }
        self.replies.push(After::Batch(reply, BatchResult { created, errors }));
    }

    /// A workflow that was there when it was asked about.
    fn gone(&self, workflow: &str) -> ApiError {
        let mut known: Vec<_> = self.definitions.keys().map(AsRef::as_ref).collect();
        known.sort_unstable();
        unknown_workflow(workflow, known.into_iter())
    }

    pub(super) fn add(&mut self, workflow: &Arc<str>, id: String, options: CreateOptions) {
        let key = self.next_key;
        self.next_key += 1;
        let now = self.clock.now();
        let fixed = NewInstance {
            key,
            workflow: workflow.to_string(),
            id,
            created: now,
            trigger: options.trigger,
            payload: options.params.unwrap_or_else(|| Bytes::from_static(b"{}")),
            schedule: options.schedule,
            retention: options.retention,
        };
        self.ids.insert((fixed.workflow.clone(), fixed.id.clone()), key);
        let definition = self.definitions.get(workflow).cloned();
        let mut resident = Resident::new(fixed, definition, Instance::new());
        resident.is_new = true;
        resident.dirty = true;
        self.residents.insert(key, resident);
        self.dirty.push(key);
        self.urgent = true;
        if self.want(key, workflow.to_string(), false) {
            self.take_entry(key, Entry::Running, now);
        }
        self.begin_script(key);
    }

    pub(super) fn get(&mut self, workflow: &Arc<str>, id: &str, reply: Reply<()>) {
        match self.find(workflow, id) {
            // After the commit, in case it is being created in this very group.
            Ok(Some(_)) => self.replies.push(After::Unit(reply)),
            Ok(None) => refuse(reply, ApiError::not_found()),
            Err(error) => refuse(reply, error),
        }
    }

    /// Answers from memory; says none when the storage knows better.
    pub(super) fn status(&mut self, workflow: &str, id: &str, reply: Reply<Option<StatusReport>>) {
        let key = self.ids.get(&(workflow.to_owned(), id.to_owned())).copied();
        if let Some(resident) = key.and_then(|key| self.residents.get(&key)) {
            let report = resident.summary().into();
            // What is said must be durable, like everything else that is said.
            self.urgent |= resident.dirty;
            return self.replies.push(After::Status(reply, report));
        }
        if self.has_reader {
            // The receiver asks the reader then.
            let _ = reply.send(Ok(None));
            return;
        }
        let found = match self.find(workflow, id) {
            Ok(Some(key)) => self.storage.load(key).map_err(|error| {
                tracing::error!(workflow, instance = id, error = %chain(&error), "cannot read the status");
                ApiError::internal()
            }),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        // The receiver may have gone.
        let _ = reply.send(found.map(|found| found.map(|(_, summary)| summary.into())));
    }

    pub(super) fn find(&mut self, workflow: &str, id: &str) -> Result<Option<InstanceKey>, ApiError> {
        if let Some(key) = self.ids.get(&(workflow.to_owned(), id.to_owned())) {
            return Ok(Some(*key));
        }
        let found = self.storage.find(workflow, id).map_err(|error| {
            tracing::error!(workflow, instance = id, error = %chain(&error), "cannot look an instance up");
            ApiError::internal()
        })?;
        // What goes with this very group is gone.
        Ok(found.filter(|key| !self.deletes.contains(key)))
    }
}

fn random_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

pub(super) fn refuse<T>(reply: Reply<T>, error: ApiError) {
    // The asker may have gone.
    let _ = reply.send(Err(error));
}
