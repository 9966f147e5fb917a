//! Workflows of the guest `behaviours`, through its routes.

use miniflow::config::WorkflowEntry;
use serde_json::{Value, json};
use url::form_urlencoded;

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

    /// Creates instances: `{count, params?}` or `{instances: [{id?, params?}]}`. Returns `{created, errors}`.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn create_batch_with_options(self, batch: Value) -> Value {
        self.try_create_batch_with_options(batch).expect(200).json()
    }

    /// Asks for instances to be created.
    #[must_use]
    #[track_caller]
    pub fn try_create_batch_with_options(self, batch: Value) -> Answer {
        self.server.post(&format!("/batch-with-options?wf={}", self.binding), batch)
    }

    /// Deletes instances. Returns `{deleted, errors}`.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn delete_batch(self, ids: &[&str]) -> Value {
        self.try_delete_batch(ids).expect(200).json()
    }

    /// Asks for instances to be deleted.
    #[must_use]
    #[track_caller]
    pub fn try_delete_batch(self, ids: &[&str]) -> Answer {
        self.server.post(&format!("/delete-batch?wf={}", self.binding), json!(ids))
    }

    /// Returns the instance `id`, whether it exists or not.
    #[must_use]
    pub fn instance(self, id: &str) -> Instance<'a> {
        Instance { workflow: self, id: id.to_owned() }
    }
}

/// A step to restart an instance from: the first `do` of that name unless told.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestartFrom<'a> {
    pub name: &'a str,
    pub count: Option<u32>,
    /// `do`, `sleep` or `waitForEvent`.
    pub step_type: Option<&'a str>,
}

impl<'a> From<&'a str> for RestartFrom<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, ..Self::default() }
    }
}

impl RestartFrom<'_> {
    fn query(self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("from", self.name);
        if let Some(count) = self.count {
            query.append_pair("count", &count.to_string());
        }
        if let Some(step_type) = self.step_type {
            query.append_pair("type", step_type);
        }
        query.finish()
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

    /// Returns whether there is no such instance (any more).
    #[must_use]
    #[track_caller]
    pub fn gone(&self) -> bool {
        let Workflow { server, binding } = self.workflow;
        server.get(&format!("/status?wf={binding}&id={}", self.id)).status == 404
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
            let is_over = ["complete", "errored", "terminated"].iter().any(|over| status["status"] == *over);
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

    /// Pauses it.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn pause(&self) {
        self.operate("pause").expect(200);
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn resume(&self) {
        self.operate("resume").expect(200);
    }

    /// Terminates it, and undoes its steps if `rollback`.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn terminate(&self, rollback: bool) {
        self.operate(if rollback { "terminate?rollback=true" } else { "terminate" }).expect(200);
    }

    /// Restarts it from the beginning.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn restart(&self) {
        self.operate("restart").expect(200);
    }

    /// Restarts it from a step.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn restart_from<'b>(&self, from: impl Into<RestartFrom<'b>>) {
        self.try_restart_from(from).expect(200);
    }

    /// Asks for it to be restarted from a step.
    #[must_use]
    #[track_caller]
    pub fn try_restart_from<'b>(&self, from: impl Into<RestartFrom<'b>>) -> Answer {
        self.operate(&format!("restart?{}", from.into().query()))
    }

    /// Deletes it.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn delete(&self) {
        self.operate("delete").expect(200);
    }

    /// Asks for an operation: `pause`, `resume`, `terminate`, `restart` or `delete`, with its query, if any.
    #[must_use]
    #[track_caller]
    pub fn operate(&self, operation: &str) -> Answer {
        let Workflow { server, binding } = self.workflow;
        server.post(&format!("/op/{binding}/{}/{operation}", self.id), ())
    }

    /// Follows it to its end, and returns the events after `cursor`, if given, of the types in `filter`, or of all.
    ///
    /// # Panics
    ///
    /// When that is refused, or it does not end.
    #[must_use]
    #[track_caller]
    pub fn subscribe(&self, cursor: Option<u64>, filter: &[&str]) -> Vec<Value> {
        let cursor = cursor.map(|cursor| format!("cursor={cursor}"));
        let filter = (!filter.is_empty()).then(|| format!("filter={}", filter.join(",")));
        let query: Vec<String> = cursor.into_iter().chain(filter).collect();
        self.events(&query.join("&"))
    }

    /// Returns its first `n` events, as soon as they are there.
    ///
    /// # Panics
    ///
    /// When that is refused, or they do not come.
    #[must_use]
    #[track_caller]
    pub fn first_events(&self, n: usize) -> Vec<Value> {
        self.events(&format!("n={n}"))
    }

    #[track_caller]
    fn events(&self, query: &str) -> Vec<Value> {
        let Workflow { server, binding } = self.workflow;
        let events = server.get(&format!("/op/{binding}/{}/events?{query}", self.id)).expect(200).json();
        events.as_array().cloned().unwrap_or_default()
    }
}
