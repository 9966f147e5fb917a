//! Workflows and their versions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// A workflow.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Workflow {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Empty when the workflow is not defined any more.
    pub(crate) class_name: String,
    /// The Worker that has the class.
    pub(crate) script_name: String,
    /// When it was first seen: when the session began, or its first instance was created.
    pub(crate) created_on: String,
    /// When its code was loaded last.
    pub(crate) modified_on: String,
    /// When its newest instance was created.
    pub(crate) triggered_on: Option<String>,
    /// How many instances have which status.
    pub(crate) instances: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) schedules: Vec<Schedule>,
    /// The workflow is not defined any more, or its class is gone; its instances are kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) script_deleted: bool,
}

/// When a workflow starts by itself.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Schedule {
    pub(crate) cron: String,
    /// When it makes its next instance; left out when it makes none any more, or nothing fires by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_instance: Option<String>,
}

/// A version of a workflow: the code that is served.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) class_name: String,
    pub(crate) workflow_id: String,
    pub(crate) created_on: String,
    pub(crate) modified_on: String,
    pub(crate) has_dag: bool,
    pub(crate) language: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<LimitsInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<ConcurrencyInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_retention: Option<RetentionInfo>,
}

/// The limits of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct LimitsInfo {
    pub(crate) steps: u32,
}

/// The limits of all instances together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ConcurrencyInfo {
    pub(crate) limit: u32,
}

/// How long finished instances are kept, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct RetentionInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) success_retention: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_retention: Option<u64>,
}

/// What a PUT of a workflow answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PutResult {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) class_name: String,
    pub(crate) script_name: String,
    pub(crate) version_id: String,
    pub(crate) created_on: String,
    pub(crate) modified_on: String,
    pub(crate) triggered_on: Option<String>,
    pub(crate) is_deleted: u32,
    pub(crate) terminator_running: u32,
}
