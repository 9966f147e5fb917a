//! What is said to the dispatcher.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::subscription::Feed;
use super::{
    ApiError, BatchResult, CreateOptions, CronState, CronTrigger, DeleteResult, Reloaded, StatusReport,
    WorkflowDefinition,
};
use crate::engine::{Answer, Bytes, Command, ErrorInfo, StepKey};
use crate::run::Schedule;
use crate::storage::AttemptKey;

/// An instance in this storage.
pub type InstanceKey = i64;

/// One activation of an instance, unique in the process. Messages of a run that is not the active one mean nothing.
pub(crate) type RunId = u64;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, ApiError>>;

pub(crate) enum Message {
    Run(RunMessage),
    /// The run waits for more than a commit, such as a body for an answer from elsewhere. Sent once.
    Yielded {
        run: RunId,
        key: InstanceKey,
    },
    Idle {
        run: RunId,
        key: InstanceKey,
        answers_seen: u64,
    },
    /// The host could not go on with the guest.
    Interrupted {
        run: RunId,
        key: InstanceKey,
        reason: String,
    },
    Trapped {
        run: RunId,
        key: InstanceKey,
        error: ErrorInfo,
        culprit: Option<(StepKey, u32)>,
        replaying: bool,
    },
    /// The run is held, and nothing of it is to be finished any more.
    Held {
        run: RunAt,
        key: InstanceKey,
    },
    /// A piece of a stream that a body writes.
    Chunk {
        run: RunId,
        key: InstanceKey,
        step: StepKey,
        attempt: u32,
        index: u32,
        bytes: Bytes,
        reply: oneshot::Sender<()>,
    },
    /// A piece of a stream that is stored; none when it is not.
    ReadChunk {
        key: InstanceKey,
        attempt: AttemptKey,
        index: u32,
        reply: oneshot::Sender<Option<Bytes>>,
    },
    Create {
        workflow: Arc<str>,
        options: CreateOptions,
        reply: Reply<String>,
    },
    /// What a schedule does, by hand.
    CreateScheduled {
        workflow: Arc<str>,
        schedule: Schedule,
        reply: Reply<String>,
    },
    /// The configuration has changed.
    SetTriggers {
        triggers: Vec<CronTrigger>,
    },
    Crons {
        reply: oneshot::Sender<Vec<CronState>>,
    },
    CreateBatch {
        workflow: Arc<str>,
        options: Vec<CreateOptions>,
        reply: Reply<BatchResult>,
    },
    Get {
        workflow: Arc<str>,
        id: String,
        reply: Reply<()>,
    },
    Status {
        workflow: Arc<str>,
        id: String,
        reply: Reply<Option<StatusReport>>,
    },
    /// Something that people do to an instance.
    Operate {
        workflow: Arc<str>,
        id: String,
        operation: Operation,
        reply: Reply<()>,
    },
    DeleteBatch {
        workflow: Arc<str>,
        ids: Vec<String>,
        reply: Reply<DeleteResult>,
    },
    /// As an event that is sent, also to an instance that does not exist yet, and again when it begins anew.
    MockEvent {
        workflow: Arc<str>,
        id: String,
        /// Its type, and JSON.
        event: (Arc<str>, Bytes),
        reply: Reply<()>,
    },
    Subscribe {
        workflow: Arc<str>,
        id: String,
        reply: Reply<Feed>,
    },
    /// A question about what is kept, when there is no reader beside the writer.
    Read(super::handle::ReadJob),
    /// There is new code, or there are other workflows.
    Reload {
        /// Runs of these go on with the code that is there by now.
        workers: Vec<String>,
        workflows: Vec<WorkflowDefinition>,
        reply: oneshot::Sender<Reloaded>,
    },
    Overview {
        reply: oneshot::Sender<super::Overview>,
    },
    /// Answered when nothing can happen at the present moment any more.
    Still {
        with_wake: bool,
        then: Option<super::GoOn>,
        reply: oneshot::Sender<super::Stillness>,
    },
    /// Whether anything can happen is to be looked at once more: somebody has come to rest who does not say so.
    Look,
    /// What keeps it from being still, for people.
    Working {
        reply: oneshot::Sender<Vec<String>>,
    },
    Shutdown {
        grace: std::time::Duration,
        reply: oneshot::Sender<()>,
    },
}

pub(crate) enum Operation {
    SendEvent { event_type: Arc<str>, payload: Bytes },
    Pause,
    Resume,
    Terminate { rollback: bool },
    Restart { from: Option<StepKey> },
    Delete,
}

/// A run, at the moment when it had seen so many answers.
#[derive(Clone, Copy)]
pub(crate) struct RunAt {
    pub(crate) run: RunId,
    pub(crate) answers_seen: u64,
}

/// What a run says.
pub(crate) struct RunMessage {
    pub(crate) run: RunId,
    pub(crate) key: InstanceKey,
    /// Facts that need no answer.
    pub(crate) told: Vec<Command>,
    /// A question, answered when it can be and after its commit.
    pub(crate) ask: Option<(Command, oneshot::Sender<Answer>)>,
}
