//! What goes over the wire, as types: the answers, the bodies of requests, and by them the OpenAPI documents.
//!
//! Names are Cloudflare's. What we say beyond that is in fields of its own, named in the same way.

mod account;
mod body;
mod instance;
mod step;
mod workflow;

pub(super) use account::{Account, LocalBindings, LocalWorker, Membership, TokenStatus, User, WorkflowBinding};
pub(super) use body::{CreateBody, CreateMany, DeleteMany, Length, PutWorkflow, RetentionBody, StatusBody, Verb};
pub(super) use instance::{
    CreatedInstance, DeleteError, DeletedId, DeletedMany, EventSent, InstanceDetails, Json, ListedInstance,
    PendingEvent, ScheduleInfo, StatusChanged, StepResult, Trigger, TriggerSource, json, status_of,
};
pub(super) use step::{AttemptInfo, Attempted, Awaited, ConfigInfo, DelayInfo, Output, RetriesInfo, Slept, StepInfo};
pub(super) use workflow::{ConcurrencyInfo, LimitsInfo, PutResult, RetentionInfo, Schedule, Version, Workflow};

use std::collections::BTreeMap;

use miniflow_runtime::ErrorInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query::Page;

/// What every answer that is not a refusal looks like.
#[derive(Serialize)]
pub(super) struct Success<T> {
    pub(super) success: bool,
    pub(super) errors: Vec<ErrorEntry>,
    pub(super) messages: Vec<ErrorEntry>,
    pub(super) result: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result_info: Option<ResultInfo>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct ErrorEntry {
    pub(super) code: u32,
    pub(super) message: String,
}

/// How a list stands in the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct ResultInfo {
    /// Of `result`.
    pub(super) count: u64,
    /// From 1. Not there when the list was asked for by cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<u64>,
    pub(super) per_page: u64,
    pub(super) total_count: u64,
    pub(super) total_pages: u64,
    /// Where the list goes on; not there when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
    /// How many instances have which status, whatever the list is narrowed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_counts: Option<BTreeMap<String, u64>>,
}

impl ResultInfo {
    /// About a page with `count` of `total` items.
    pub(super) fn of_page(page: Page, count: usize, total: u64) -> Self {
        Self {
            count: count as u64,
            page: Some(page.page.unwrap_or(1)),
            per_page: page.per_page,
            total_count: total,
            total_pages: total.div_ceil(page.per_page).max(1),
            ..Self::default()
        }
    }
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Status {
    Queued,
    Running,
    Paused,
    Errored,
    Terminated,
    Complete,
    WaitingForPause,
    Waiting,
    RollingBack,
    Unknown,
}

/// An error as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct ErrorShape {
    pub(super) name: String,
    pub(super) message: String,
    /// Where, one frame a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stack: Option<String>,
}

impl From<&ErrorInfo> for ErrorShape {
    fn from(error: &ErrorInfo) -> Self {
        Self { name: error.name.clone(), message: error.message.clone(), stack: error.backtrace.clone() }
    }
}

/// Something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Done {
    /// Always `ok`.
    pub(super) status: DoneStatus,
    pub(super) success: Option<bool>,
}

impl Done {
    pub(super) const OK: Self = Self { status: DoneStatus::Ok, success: Some(true) };
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DoneStatus {
    /// Done, or begun.
    Ok,
    /// Begun before, and not done yet.
    AlreadyRunning,
}

/// A job that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Job {
    pub(super) status: DoneStatus,
}

/// It was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Succeeded {
    pub(super) success: bool,
}
