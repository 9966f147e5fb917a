//! What a Worker uses, for `use miniflow_sdk::prelude::*;`. The crate's root has the same names, so that
//! `use miniflow_sdk::*;` works as well; this module leaves out the crates that are re-exported.

pub use crate::{
    Backoff, BatchMessageBuilder, BatchOptions, BatchResult, Body, ByteStream, Context, Cors, CreateOptions, Date,
    DateInit, Delay, DelayContext, DeleteResult, DurableObject, Entries, Env, Error, Fetch, Fetcher, Headers,
    InstanceStatus, InstanceStatusKind, KvError, KvStore, ListOptions, Message, MessageBatch, MessageBuilder,
    MessageExt, Method, NonRetryableError, ObjectId, ObjectNamespace, Queue, QueueContentType,
    QueueRetryOptionsBuilder, RawMessage, Request, RequestInit, Response, ResponseBuilder, RestartFrom, RestartOptions,
    Result, RetentionOptions, RetryConfig, RetryDelay, Rollback, RollbackConfig, RouteContext, Router, ScheduleContext,
    ScheduledEvent, ScheduledTime, SqlStorage, SqlStorageValue, State, StepConfig, StepError, StepSensitivity,
    StepType, Storage, Stub, SubscribeOptions, TerminateOptions, Transaction, Url, WaitForEventOptions, Workflow,
    WorkflowDuration, WorkflowEntrypoint, WorkflowEvent, WorkflowInstance, WorkflowInstanceEvent,
    WorkflowInstanceEventKind, WorkflowInstanceSubscription, WorkflowRollbackContext, WorkflowSleepDuration,
    WorkflowStep, WorkflowStepContext, WorkflowStepEvent, console_debug, console_error, console_info, console_log,
    console_warn, durable_object, event, workflow,
};
