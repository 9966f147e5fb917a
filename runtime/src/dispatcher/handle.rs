//! The front of the dispatcher: what bindings and APIs call.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::message::{Message, Operation, Reply};
use super::still::{GoOn, Stillness};
use super::subscription::{SubscribeOptions, Subscription};
use super::{CronState, CronTrigger, Reloaded, WorkflowDefinition};
use crate::clock::Timestamp;
use crate::engine::events::EventKind;
use crate::engine::{
    Bytes, ErrorInfo, InstanceStatus, RollbackOutcome, Stamped, StepKey, StepKind, limits, text, validate,
};
use crate::run::Schedule;
use crate::storage::{Archive, Reader, Retention, StorageError, Summary, Trigger};

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
        for ms in [self.retention.success_ms, self.retention.error_ms].into_iter().flatten() {
            if ms == 0 {
                return Err(ApiError::new("body", text::INVALID_RETENTION));
            }
            if ms > limits::RETENTION_MS_MAX {
                return Err(ApiError::new("body", text::retention_too_long(ms)));
            }
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
    /// How its compensations went.
    pub rollback: Option<RollbackOutcome>,
}

impl From<Summary> for StatusReport {
    fn from(summary: Summary) -> Self {
        Self { status: summary.status, error: summary.error, output: summary.output, rollback: summary.rollback }
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// Ids, in the order of the batch.
    pub created: Vec<String>,
    /// What was not created.
    pub errors: Vec<BatchError>,
}

/// An entry of a batch that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchError {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// Its id, if it was given.
    pub id: Option<String>,
    /// The platform's number.
    pub code: u32,
    /// The platform's text.
    pub message: &'static str,
}

/// What became of a batch of deletions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteResult {
    /// Ids, in the order they were given; an id that repeats is there each time.
    pub deleted: Vec<String>,
    /// What was not deleted.
    pub errors: Vec<BatchError>,
}

/// The step to restart from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartFrom {
    /// Its name.
    pub name: String,
    /// Which of the steps of this name and kind, from 1.
    pub count: u32,
    /// Its kind.
    pub kind: StepKind,
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
    /// When the next cron expression fires.
    pub next_cron: Option<Timestamp>,
}

/// Asks the dispatcher. Cheap to clone. Every answer is about what is committed.
#[derive(Clone)]
pub struct Handle {
    sender: mpsc::UnboundedSender<Message>,
    reader: Option<std::sync::mpsc::SyncSender<ReadJob>>,
    /// Names of workflows. Others may have instances of an earlier time, but get no new ones.
    workflows: Arc<RwLock<Vec<Arc<str>>>>,
}

impl Handle {
    pub(super) fn new(
        sender: mpsc::UnboundedSender<Message>,
        reader: Option<std::sync::mpsc::SyncSender<ReadJob>>,
        workflows: Vec<Arc<str>>,
    ) -> Self {
        Self { sender, reader, workflows: Arc::new(RwLock::new(workflows)) }
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

    /// Makes the instance that a schedule makes at its time, and returns its id.
    ///
    /// # Errors
    /// `instance.already_exists`, `workflow.not_found`.
    pub async fn create_scheduled(&self, workflow: &str, schedule: Schedule) -> Result<String, ApiError> {
        let workflow = self.workflow(workflow)?;
        self.ask(|reply| Message::CreateScheduled { workflow, schedule, reply }).await
    }

    /// Exchanges the triggers of Workers. One that stays is not interrupted; a new one fires from its next boundary on.
    pub fn set_triggers(&self, triggers: Vec<CronTrigger>) {
        // An error means that it has stopped.
        let _ = self.sender.send(Message::SetTriggers { triggers });
    }

    /// The cron expressions of the session; none when the dispatcher has stopped.
    pub async fn crons(&self) -> Option<Vec<CronState>> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Crons { reply }).ok()?;
        answer.await.ok()
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
        Ok(self.ask(|reply| Message::CreateBatch { workflow, options, reply }).await?.created)
    }

    /// Creates up to 100 instances, and tells of those that exist or repeat. Nothing is created when an entry is invalid.
    ///
    /// # Errors
    /// `instance.invalid_id`, `body`, `workflow.not_found`.
    pub async fn create_each(&self, workflow: &str, options: Vec<CreateOptions>) -> Result<BatchResult, ApiError> {
        let workflow = self.workflow(workflow)?;
        if options.is_empty() || options.len() > limits::BATCH_MAX {
            return Err(ApiError::new("body", text::BATCH_SIZE));
        }
        for options in &options {
            options.check().map_err(|error| match error.code {
                "instance.invalid_id" => ApiError::new(error.code, text::INVALID_ID),
                _ => error,
            })?;
        }
        self.ask(|reply| Message::CreateBatch { workflow, options, reply }).await
    }

    /// Creates `count` instances with generated ids, from 1 to 100.
    ///
    /// # Errors
    /// `body`, `workflow.not_found`.
    pub async fn create_many(
        &self,
        workflow: &str,
        count: u32,
        options: CreateOptions,
    ) -> Result<BatchResult, ApiError> {
        match usize::try_from(count) {
            Ok(0) => Err(ApiError::new("body", text::BATCH_COUNT)),
            Ok(count) if count <= limits::BATCH_MAX => {
                self.create_each(workflow, vec![CreateOptions { id: None, ..options }; count]).await
            }
            _ => Err(ApiError::new("body", text::BATCH_COUNT_TOO_LARGE)),
        }
    }

    /// Removes up to 100 instances with everything recorded of them. Nothing is removed when an id is invalid.
    ///
    /// # Errors
    /// `instance.invalid_id`, `body`, `workflow.not_found`.
    pub async fn delete_batch(&self, workflow: &str, ids: Vec<String>) -> Result<DeleteResult, ApiError> {
        let workflow = Arc::from(workflow);
        if ids.is_empty() {
            return Err(ApiError::new("body", text::DELETE_BATCH_EMPTY));
        }
        if ids.len() > limits::BATCH_MAX {
            return Err(ApiError::new("body", text::DELETE_BATCH_TOO_LARGE));
        }
        for id in &ids {
            address(id)?;
        }
        self.ask(|reply| Message::DeleteBatch { workflow, ids, reply }).await
    }

    /// Succeeds when the instance exists.
    ///
    /// # Errors
    /// `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn get(&self, workflow: &str, id: &str) -> Result<(), ApiError> {
        let (name, (workflow, id)) = (workflow, self.address(workflow, id)?);
        let found = self.ask(|reply| Message::Get { workflow, id, reply }).await;
        found.map_err(|error| self.of_workflow(name, error))
    }

    /// What the instance is doing.
    ///
    /// # Errors
    /// `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn status(&self, workflow: &str, id: &str) -> Result<StatusReport, ApiError> {
        let (name, (workflow, id)) = (workflow, self.address(workflow, id)?);
        let found =
            self.ask(|reply| Message::Status { workflow: Arc::clone(&workflow), id: id.clone(), reply }).await?;
        match (found, &self.reader) {
            (Some(report), _) => Ok(report),
            (None, None) => Err(self.of_workflow(name, ApiError::not_found())),
            (None, Some(_)) => {
                let found = self.read(move |archive| archive.summary(&workflow, &id)).await?;
                found.map(Into::into).ok_or_else(|| self.of_workflow(name, ApiError::not_found()))
            }
        }
    }

    /// Asks about what is committed: every answer that was given before is in it. The dispatcher goes on meanwhile, unless the state
    /// is in memory only.
    ///
    /// # Errors
    /// When the storage cannot be read; it is logged here.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Archive) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let mut job: ReadJob = Box::new(move |archive| {
            let answer = question(archive).map_err(|error| {
                tracing::error!(error = %super::core::chain(&error), "cannot read what is kept");
                ApiError::internal()
            });
            // The asker may have gone.
            let _ = reply.send(answer);
        });
        match &self.reader {
            // A full queue means that the reader is behind: the thread is woken when it has caught up.
            Some(reader) => {
                while let Err(std::sync::mpsc::TrySendError::Full(back)) = reader.try_send(job) {
                    job = back;
                    tokio::task::yield_now().await;
                }
            }
            None => self.sender.send(Message::Read(job)).map_err(|_| ApiError::internal())?,
        }
        answer.await.unwrap_or_else(|_| Err(ApiError::internal()))
    }

    /// Delivers an event.
    ///
    /// # Errors
    /// `instance.not_found`, `workflow.invalid_event_type`, `body`, `instance.cannot_send_event`.
    pub async fn send_event(&self, workflow: &str, id: &str, event_type: &str, payload: Bytes) -> Result<(), ApiError> {
        self.address(workflow, id)?;
        if !validate::event_type(event_type) {
            return Err(ApiError::new("workflow.invalid_event_type", text::INVALID_EVENT_TYPE));
        }
        check_size("event payload", Some(&payload))?;
        self.operate(workflow, id, Operation::SendEvent { event_type: Arc::from(event_type), payload }).await
    }

    /// Pauses the instance once its bodies are finished. No effect on one that is queued, paused or finished.
    ///
    /// # Errors
    /// `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn pause(&self, workflow: &str, id: &str) -> Result<(), ApiError> {
        self.operate(workflow, id, Operation::Pause).await
    }

    /// Lets a paused instance go on, or takes back a pause that has not come. No effect otherwise.
    ///
    /// # Errors
    /// `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn resume(&self, workflow: &str, id: &str) -> Result<(), ApiError> {
        self.operate(workflow, id, Operation::Resume).await
    }

    /// Ends the instance, after its compensations if they are wanted.
    ///
    /// # Errors
    /// `instance.cannot_terminate`, `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn terminate(&self, workflow: &str, id: &str, rollback: bool) -> Result<(), ApiError> {
        self.operate(workflow, id, Operation::Terminate { rollback }).await
    }

    /// Runs the instance again, keeping what was recorded before the step `from`.
    ///
    /// # Errors
    /// `instance.cannot_restart`, `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn restart(&self, workflow: &str, id: &str, from: Option<RestartFrom>) -> Result<(), ApiError> {
        let from = from.map(|RestartFrom { name, count, kind }| StepKey::new(kind, name, count));
        self.operate(workflow, id, Operation::Restart { from }).await
    }

    /// Removes the instance with everything recorded of it; one that runs is stopped, without compensations.
    ///
    /// # Errors
    /// `instance.not_found`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn delete(&self, workflow: &str, id: &str) -> Result<(), ApiError> {
        self.operate(workflow, id, Operation::Delete).await
    }

    /// Follows the instance: its events so far, then each as it happens.
    ///
    /// # Errors
    /// `instance.not_found`, `instance.invalid_id`, `workflow.not_found`; `subscription` for a type that does not exist.
    pub async fn subscribe(
        &self,
        workflow: &str,
        id: &str,
        options: SubscribeOptions,
    ) -> Result<Subscription, ApiError> {
        let (name, (workflow, id)) = (workflow, self.address(workflow, id)?);
        if !options.filter.iter().flatten().all(|name| EventKind::NAMES.contains(&name.as_str())) {
            return Err(ApiError::new("subscription", text::INVALID_SUBSCRIPTION));
        }
        let feed = self.ask(|reply| Message::Subscribe { workflow, id, reply }).await;
        let feed = feed.map_err(|error| self.of_workflow(name, error))?;
        Ok(Subscription::new(feed, options))
    }

    /// The entries of the instance in portions, as they are committed; first those that are recorded.
    pub(crate) async fn follow(
        &self,
        workflow: &str,
        id: &str,
    ) -> Result<mpsc::UnboundedReceiver<Arc<[Stamped]>>, ApiError> {
        let (workflow, id) = (self.workflow(workflow)?, address(id)?);
        let (_, _, feed) = self.ask(|reply| Message::Subscribe { workflow, id, reply }).await?;
        Ok(feed)
    }

    /// Has an event sent to an instance, which need not exist yet; again when it begins anew. For dispatchers with scripts.
    ///
    /// # Errors
    /// `workflow.invalid_event_type`, `body`, `instance.invalid_id`, `workflow.not_found`.
    pub async fn mock_event(&self, workflow: &str, id: &str, event_type: &str, payload: Bytes) -> Result<(), ApiError> {
        let (workflow, id) = (self.workflow(workflow)?, address(id)?);
        if !validate::event_type(event_type) {
            return Err(ApiError::new("workflow.invalid_event_type", text::INVALID_EVENT_TYPE));
        }
        check_size("event payload", Some(&payload))?;
        let event = (Arc::from(event_type), payload);
        self.ask(|reply| Message::MockEvent { workflow, id, event, reply }).await
    }

    async fn operate(&self, workflow: &str, id: &str, operation: Operation) -> Result<(), ApiError> {
        let (name, (workflow, id)) = (workflow, self.address(workflow, id)?);
        let done = self.ask(|reply| Message::Operate { workflow, id, operation, reply }).await;
        done.map_err(|error| self.of_workflow(name, error))
    }

    /// Says that the workflows are these from now on, and that runs of `workers` are to go on with the code that the [`GuestRunner`]
    /// has for them by now. What runs in them is finished first, however long that takes; instances of workflows that are not there
    /// any more are kept, and go on when they are there again. None when the dispatcher has stopped.
    ///
    /// [`GuestRunner`]: super::GuestRunner
    pub async fn reload(&self, workers: &[String], workflows: Vec<WorkflowDefinition>) -> Option<Reloaded> {
        let names: Vec<_> = workflows.iter().map(|workflow| Arc::from(workflow.name.as_str())).collect();
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Reload { workers: workers.to_owned(), workflows, reply }).ok()?;
        let reloaded = answer.await.ok()?;
        *self.workflows.write().unwrap_or_else(PoisonError::into_inner) = names;
        Some(reloaded)
    }

    /// Numbers of the present moment; none when the dispatcher has stopped.
    pub async fn overview(&self) -> Option<Overview> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Overview { reply }).ok()?;
        answer.await.ok()
    }

    /// Returns when nothing can happen at the present moment any more, with what is to come; none when the dispatcher has stopped.
    pub async fn still(&self, with_wake: bool) -> Option<Stillness> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Still { with_wake, then: None, reply }).ok()?;
        answer.await.ok()
    }

    /// As [`Self::still`], but each time that nothing can happen any more, and nobody holds the clock, `then` is called first, on the
    /// dispatcher's thread: true says that the clock was moved, and that this goes on. Nobody is asked any more when the receiver is dropped.
    pub(crate) fn still_and_then(&self, with_wake: bool, then: GoOn) -> Option<oneshot::Receiver<Stillness>> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Still { with_wake, then: Some(then), reply }).ok()?;
        Some(answer)
    }

    /// Has the dispatcher look once more whether anything can happen: somebody may have come to rest who does not say so.
    pub(crate) fn look(&self) {
        // One that has stopped has dropped what it was to answer.
        let _ = self.sender.send(Message::Look);
    }

    /// Instances whose guests are at work, for people.
    pub(crate) async fn working(&self) -> Vec<String> {
        let (reply, answer) = oneshot::channel();
        if self.sender.send(Message::Working { reply }).is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
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

    /// What an instance is found by.
    fn address(&self, workflow: &str, id: &str) -> Result<(Arc<str>, String), ApiError> {
        match address(id) {
            Ok(id) => Ok((Arc::from(workflow), id)),
            Err(error) => Err(self.workflow(workflow).err().unwrap_or(error)),
        }
    }

    /// An instance that is not there may be of a workflow that is not there either, which says more.
    fn of_workflow(&self, name: &str, error: ApiError) -> ApiError {
        match error.code {
            "instance.not_found" => self.workflow(name).err().unwrap_or(error),
            _ => error,
        }
    }

    fn workflow(&self, name: &str) -> Result<Arc<str>, ApiError> {
        let workflows = self.workflows.read().unwrap_or_else(PoisonError::into_inner);
        let found = workflows.iter().find(|known| ***known == *name).cloned();
        found.ok_or_else(|| unknown_workflow(name, workflows.iter().map(AsRef::as_ref)))
    }
}

pub(super) fn unknown_workflow<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> ApiError {
    let known: Vec<_> = known.collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    ApiError::new("workflow.not_found", format!("Workflow '{name}' not found. Workflows here: {known}"))
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

/// A question that somebody who can read answers.
pub(super) type ReadJob = Box<dyn FnOnce(&mut dyn Archive) + Send>;

/// Questions that may wait for the reader: as many as connections that a local server has.
const READS_MAX: usize = 1024;

/// Answers questions on a thread of its own, until every handle is gone.
pub(super) fn spawn_reader(mut reader: Reader) -> std::sync::mpsc::SyncSender<ReadJob> {
    let (sender, inbox) = std::sync::mpsc::sync_channel::<ReadJob>(READS_MAX);
    let work = move || {
        for job in inbox {
            job(&mut reader);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("miniflow-reader".into()).spawn(work) {
        tracing::error!(%error, "cannot start the reader's thread");
    }
    sender
}
