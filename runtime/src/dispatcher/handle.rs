//! The front of the dispatcher: what bindings and APIs call.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::message::{Message, Reply};
use crate::clock::Timestamp;
use crate::engine::{Bytes, ErrorInfo, InstanceStatus, limits, text, validate};
use crate::run::Schedule;
use crate::storage::{Reader, Retention, Summary, Trigger};

/// An error of the public API: the platform's text, and its stable code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Such as `instance.not_found`.
    pub code: &'static str,
    /// The platform's text.
    pub message: String,
}

impl ApiError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn internal() -> Self {
        Self::new("internal", "workflows.api.error.internal_server")
    }

    pub(crate) fn not_found() -> Self {
        Self::new("instance.not_found", text::NOT_FOUND)
    }
}

/// How an instance is to be created.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// None: a random UUID.
    pub id: Option<String>,
    /// JSON. None: `{}`.
    pub params: Option<Bytes>,
    /// How long it is kept after its end.
    pub retention: Retention,
    /// Who creates it.
    pub trigger: Trigger,
    /// The schedule that does.
    pub schedule: Option<Schedule>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { id: None, params: None, retention: Retention::default(), trigger: Trigger::Binding, schedule: None }
    }
}

impl CreateOptions {
    fn check(&self) -> Result<(), ApiError> {
        if let Some(id) = &self.id
            && !validate::new_instance_id(id)
        {
            return Err(ApiError::new("instance.invalid_id", text::CREATE_INVALID_ID));
        }
        check_size("params", self.params.as_ref())
    }
}

/// What `status()` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// Present status.
    pub status: InstanceStatus,
    /// Why it failed.
    pub error: Option<ErrorInfo>,
    /// JSON; what `run` returned.
    pub output: Option<Bytes>,
}

impl From<Summary> for StatusReport {
    fn from(summary: Summary) -> Self {
        Self { status: summary.status, error: summary.error, output: summary.output }
    }
}

/// Numbers of the present moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Runs that are active.
    pub runs: usize,
    /// Of these, runs that wait for something soon.
    pub parked: usize,
    /// Runs to be started, and runs that have not come to wait for anything yet.
    pub starting: usize,
    /// Instances in memory.
    pub resident: usize,
    /// Timers armed.
    pub timers: usize,
    /// When the next fires.
    pub next_timer: Option<Timestamp>,
}

/// Asks the dispatcher. Cheap to clone. Every answer is about what is committed.
#[derive(Clone)]
pub struct Handle {
    sender: mpsc::UnboundedSender<Message>,
    reader: Option<std::sync::mpsc::SyncSender<ReadStatus>>,
    /// Names of workflows; what is asked about others never reaches the dispatcher.
    workflows: Arc<[Arc<str>]>,
}

impl Handle {
    pub(super) fn new(
        sender: mpsc::UnboundedSender<Message>,
        reader: Option<std::sync::mpsc::SyncSender<ReadStatus>>,
        workflows: Vec<Arc<str>>,
    ) -> Self {
        Self { sender, reader, workflows: workflows.into() }
    }

    /// Creates an instance and returns its id, once that is durable.
    ///
    /// # Errors
    /// `instance.already_exists`, `instance.invalid_id`, `body`, `workflow.not_found`.
    pub async fn create(&self, workflow: &str, options: CreateOptions) -> Result<String, ApiError> {
        let workflow = self.workflow(workflow)?;
        options.check()?;
        self.ask(|reply| Message::Create { workflow, options, reply }).await
    }

    /// Creates up to 100 instances; ids that exist or repeat are left out. Nothing is created when an entry is invalid.
    ///
    /// # Errors
    /// `instance.invalid_id`, `body`, `workflow.not_found`.
    pub async fn create_batch(&self, workflow: &str, options: Vec<CreateOptions>) -> Result<Vec<String>, ApiError> {
        let workflow = self.workflow(workflow)?;
        if options.is_empty() {
            return Err(ApiError::new("body", text::BATCH_EMPTY));
        }
        if options.len() > limits::BATCH_MAX {
            return Err(ApiError::new("body", text::BATCH_TOO_LARGE));
        }
        options.iter().try_for_each(CreateOptions::check)?;
        self.ask(|reply| Message::CreateBatch { workflow, options, reply }).await
    }

    /// Succeeds when the instance exists.
    ///
    /// # Errors
    /// `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn get(&self, workflow: &str, id: &str) -> Result<(), ApiError> {
        let (workflow, id) = (self.workflow(workflow)?, address(id)?);
        self.ask(|reply| Message::Get { workflow, id, reply }).await
    }

    /// What the instance is doing.
    ///
    /// # Errors
    /// `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn status(&self, workflow: &str, id: &str) -> Result<StatusReport, ApiError> {
        let (workflow, id) = (self.workflow(workflow)?, address(id)?);
        let found =
            self.ask(|reply| Message::Status { workflow: Arc::clone(&workflow), id: id.clone(), reply }).await?;
        match (found, &self.reader) {
            (Some(report), _) => Ok(report),
            (None, None) => Err(ApiError::not_found()),
            (None, Some(reader)) => {
                let (reply, answer) = oneshot::channel();
                // A full queue means that the reader is behind: the thread is woken when it has caught up.
                let mut request = ReadStatus { workflow, id, reply };
                while let Err(std::sync::mpsc::TrySendError::Full(back)) = reader.try_send(request) {
                    request = back;
                    tokio::task::yield_now().await;
                }
                answer.await.unwrap_or_else(|_| Err(ApiError::internal()))
            }
        }
    }

    /// Delivers an event.
    ///
    /// # Errors
    /// `instance.not_found`, `workflow.invalid_event_type`, `body`, `instance.cannot_send_event`.
    pub async fn send_event(&self, workflow: &str, id: &str, event_type: &str, payload: Bytes) -> Result<(), ApiError> {
        let (workflow, id) = (self.workflow(workflow)?, address(id)?);
        if !validate::event_type(event_type) {
            return Err(ApiError::new("workflow.invalid_event_type", text::INVALID_EVENT_TYPE));
        }
        check_size("event payload", Some(&payload))?;
        let event_type = Arc::from(event_type);
        self.ask(|reply| Message::SendEvent { workflow, id, event_type, payload, reply }).await
    }

    /// Numbers of the present moment; none when the dispatcher has stopped.
    pub async fn overview(&self) -> Option<Overview> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Overview { reply }).ok()?;
        answer.await.ok()
    }

    pub(super) async fn shutdown(&self, grace: Duration) {
        let (reply, answer) = oneshot::channel();
        if self.sender.send(Message::Shutdown { grace, reply }).is_ok() {
            // An error means that it has stopped already.
            let _ = answer.await;
        }
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(message(reply)).map_err(|_| ApiError::internal())?;
        answer.await.unwrap_or_else(|_| Err(ApiError::internal()))
    }

    fn workflow(&self, name: &str) -> Result<Arc<str>, ApiError> {
        self.workflows.iter().find(|known| ***known == *name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.workflows.iter().map(AsRef::as_ref).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            ApiError::new("workflow.not_found", format!("Workflow '{name}' not found. Workflows here: {known}"))
        })
    }
}

fn address(id: &str) -> Result<String, ApiError> {
    if validate::addressable_instance_id(id) {
        Ok(id.to_owned())
    } else {
        Err(ApiError::new("instance.invalid_id", text::INVALID_ID))
    }
}

fn check_size(what: &str, payload: Option<&Bytes>) -> Result<(), ApiError> {
    match payload {
        Some(payload) if payload.len() > limits::PAYLOAD_BYTES_MAX => {
            Err(ApiError::new("body", text::payload_too_large(what, payload.len())))
        }
        _ => Ok(()),
    }
}

/// A status asked of the reader.
pub(super) struct ReadStatus {
    workflow: Arc<str>,
    id: String,
    reply: Reply<StatusReport>,
}

/// Statuses that may wait for the reader: as many as connections that a local server has.
const READS_MAX: usize = 1024;

/// Reads statuses on a thread of its own, until every handle is gone.
pub(super) fn spawn_reader(mut reader: Reader) -> std::sync::mpsc::SyncSender<ReadStatus> {
    let (sender, inbox) = std::sync::mpsc::sync_channel::<ReadStatus>(READS_MAX);
    let work = move || {
        for ReadStatus { workflow, id, reply } in inbox {
            let report = match reader.summary(&workflow, &id) {
                Ok(Some(summary)) => Ok(summary.into()),
                Ok(None) => Err(ApiError::not_found()),
                Err(error) => {
                    tracing::error!(workflow = %workflow, instance = %id, error = %super::core::chain(&error), "cannot read the status");
                    Err(ApiError::internal())
                }
            };
            // The asker may have gone.
            let _ = reply.send(report);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("miniflow-reader".into()).spawn(work) {
        tracing::error!(%error, "cannot start the reader's thread");
    }
    sender
}
