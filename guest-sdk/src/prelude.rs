//! What a Worker uses, for `use miniflow_sdk::prelude::*;`. The crate's root has the same names, so that
//! `use miniflow_sdk::*;` works as well; this module leaves out the crates that are re-exported.

pub use crate::{
    Backoff, BatchOptions, BatchResult, Body, ByteStream, Context, CreateOptions, Date, DateInit, Delay, DelayContext,
    DeleteResult, Env, Error, Fetch, Headers, InstanceStatus, InstanceStatusKind, Method, NonRetryableError, Request,
    RequestInit, Response, RestartFrom, RestartOptions, Result, RetentionOptions, RetryConfig, RetryDelay, Rollback,
    RollbackConfig, RouteContext, Router, ScheduleContext, ScheduledEvent, StepConfig, StepError, StepSensitivity,
    StepType, SubscribeOptions, TerminateOptions, Url, WaitForEventOptions, Workflow, WorkflowDuration,
    WorkflowEntrypoint, WorkflowEvent, WorkflowInstance, WorkflowInstanceEvent, WorkflowInstanceEventKind,
    WorkflowInstanceSubscription, WorkflowRollbackContext, WorkflowSleepDuration, WorkflowStep, WorkflowStepContext,
    WorkflowStepEvent, console_debug, console_error, console_info, console_log, console_warn, event, workflow,
};
