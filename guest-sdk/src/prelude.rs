//! What a Worker uses, for `use miniflow_sdk::prelude::*;`. The crate's root has the same names, so that
//! `use miniflow_sdk::*;` works as well; this module leaves out the crates that are re-exported.

pub use crate::{
    Backoff, Body, ByteStream, Context, CreateOptions, Date, DateInit, Delay, Env, Error, Fetch, Headers,
    InstanceStatus, InstanceStatusKind, Method, NonRetryableError, Request, RequestInit, Response, Result,
    RetentionOptions, RetryConfig, RouteContext, Router, StepConfig, StepSensitivity, Url, WaitForEventOptions,
    Workflow, WorkflowDuration, WorkflowEntrypoint, WorkflowEvent, WorkflowInstance, WorkflowSleepDuration,
    WorkflowStep, WorkflowStepContext, WorkflowStepEvent, console_debug, console_error, console_info, console_log,
    console_warn, event, workflow,
};
