//! What is said to the dispatcher.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{ApiError, CreateOptions, StatusReport};
use crate::engine::{Answer, Bytes, Command, ErrorInfo, StepKey};

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
    Trapped {
        run: RunId,
        key: InstanceKey,
        error: ErrorInfo,
        culprit: Option<(StepKey, u32)>,
        replaying: bool,
    },
    Create {
        workflow: Arc<str>,
        options: CreateOptions,
        reply: Reply<String>,
    },
    CreateBatch {
        workflow: Arc<str>,
        options: Vec<CreateOptions>,
        reply: Reply<Vec<String>>,
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
    SendEvent {
        workflow: Arc<str>,
        id: String,
        event_type: Arc<str>,
        payload: Bytes,
        reply: Reply<()>,
    },
    Overview {
        reply: oneshot::Sender<super::Overview>,
    },
    Shutdown {
        grace: std::time::Duration,
        reply: oneshot::Sender<()>,
    },
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
