//! Workflows of the guest `behaviours`, through its routes.

use miniflow::config::WorkflowEntry;
use serde_json::{Value, json};

use crate::client::{Answer, Payload};
use crate::server::Server;
use crate::wait::{PATIENCE, Patience};

/// Returns the entry of `workflows` that `class` has without a configuration: `OneStep` is `one-step`, bound as `ONE_STEP`.
#[must_use]
pub fn bound(class: &str) -> Value {
    let entry = WorkflowEntry::of_class(class);
    json!({ "name": entry.name, "binding": entry.binding, "class_name": entry.class_name })
}

/// One workflow, by the name of its binding.
#[derive(Clone, Copy)]
pub struct Workflow<'a> {
    server: &'a Server,
    binding: &'a str,
}

impl<'a> Workflow<'a> {
    pub(crate) fn new(server: &'a Server, binding: &'a str) -> Self {
        Self { server, binding }
    }

    /// Creates an instance.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn create(self, id: &str, params: impl Into<Payload>) -> Instance<'a> {
        let created = self.try_create(id, params).expect(200).json();
        assert_eq!(created["id"], id);
        self.instance(id)
    }

    /// Asks for an instance to be created.
    #[must_use]
    #[track_caller]
    pub fn try_create(self, id: &str, params: impl Into<Payload>) -> Answer {
        self.server.post(&format!("/create?wf={}&id={id}", self.binding), params)
    }

    /// Creates instances, all at once.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn create_all(self, ids: impl IntoIterator<Item = String>, params: &Value) -> Vec<Instance<'a>> {
        let entries = ids.into_iter().map(|id| json!({ "id": id, "params": params }));
        let entries: Vec<Value> = entries.collect();
        let mut created = Vec::new();
        for batch in entries.chunks(100) {
            let answer =
                self.server.post(&format!("/batch?wf={}", self.binding), Value::from(batch)).expect(200).json();
            assert_eq!(answer["ids"].as_array().map(Vec::len), Some(batch.len()), "{answer}");
            created.extend(batch.iter().filter_map(|entry| entry["id"].as_str()).map(|id| self.instance(id)));
        }
        created
    }

    /// Returns the instance `id`, whether it exists or not.
    #[must_use]
    pub fn instance(self, id: &str) -> Instance<'a> {
        Instance { workflow: self, id: id.to_owned() }
    }
}

/// One instance.
#[derive(Clone)]
pub struct Instance<'a> {
    workflow: Workflow<'a>,
    id: String,
}

impl Instance<'_> {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns its status as the API gives it.
    ///
    /// # Panics
    ///
    /// When there is no such instance.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> Value {
        let Workflow { server, binding } = self.workflow;
        server.get(&format!("/status?wf={binding}&id={}", self.id)).expect(200).json()
    }

    /// Waits until it is `wanted`, and returns its status then.
    ///
    /// # Panics
    ///
    /// When it ends in another way, or does not get there.
    #[track_caller]
    pub fn wait_for(&self, wanted: &str) -> Value {
        let patience = Patience::default();
        loop {
            let status = self.status();
            if status["status"] == wanted {
                return status;
            }
            let name = format!("{} of {}", self.id, self.workflow.binding);
            let is_over = status["status"] == "complete" || status["status"] == "errored";
            assert!(!is_over, "{name} never gets `{wanted}`: {status}");
            assert!(patience.wait(), "{name} is not `{wanted}` within {PATIENCE:?}: {status}");
        }
    }

    /// Waits until it is complete, and returns its output.
    ///
    /// # Panics
    ///
    /// When it ends in another way, or does not end.
    #[track_caller]
    pub fn output(&self) -> Value {
        self.wait_for("complete")["output"].take()
    }

    /// Waits until it has failed, and returns the error.
    ///
    /// # Panics
    ///
    /// When it ends in another way, or does not end.
    #[track_caller]
    pub fn error(&self) -> Value {
        self.wait_for("errored")["error"].take()
    }

    /// Sends it an event.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn send_event(&self, event_type: &str, payload: impl Into<Payload>) {
        self.try_send_event(event_type, payload).expect(200);
    }

    /// Asks for an event to be sent to it.
    #[must_use]
    #[track_caller]
    pub fn try_send_event(&self, event_type: &str, payload: impl Into<Payload>) -> Answer {
        let Workflow { server, binding } = self.workflow;
        server.post(&format!("/event?wf={binding}&id={}&type={event_type}", self.id), payload)
    }
}
