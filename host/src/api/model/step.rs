//! Steps of an instance, as they are listed.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::instance::Trigger;
use super::{ErrorShape, Json};

/// What became of a step. Names have their counter: `charge-1`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type")]
pub(crate) enum StepInfo {
    /// A `do`.
    #[serde(rename = "step")]
    Step(Attempted),
    /// The compensation of the `do` of the same name.
    #[serde(rename = "rollback")]
    Rollback(Attempted),
    /// A `sleep` or `sleepUntil`.
    #[serde(rename = "sleep")]
    Sleep(Slept),
    #[serde(rename = "waitForEvent")]
    WaitForEvent(Awaited),
    /// The instance was terminated.
    #[serde(rename = "termination")]
    Termination { trigger: Trigger },
}

/// A step with attempts.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Attempted {
    pub(crate) name: String,
    pub(crate) start: String,
    pub(crate) end: Option<String>,
    /// Null while it is not over, and when it was dropped or cut off.
    pub(crate) success: Option<bool>,
    /// A long one is cut off here; the route of the step has all of it.
    #[serde(skip_serializing_if = "Output::is_absent")]
    #[schemars(with = "serde_json::Value")]
    pub(crate) output: Output,
    pub(crate) config: ConfigInfo,
    pub(crate) attempts: Vec<AttemptInfo>,
    /// The body of another step asked for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) nested: bool,
    /// It is undone when the instance fails.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_rollback: bool,
    /// The guest gave it up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) abandoned: bool,
}

/// An output in a list of steps.
#[derive(Debug)]
pub(crate) enum Output {
    /// The field is left out.
    Absent,
    Null,
    Text(String),
    Json(Json),
}

impl Output {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl Serialize for Output {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent | Self::Null => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(json) => RawValue::serialize(json, serializer),
        }
    }
}

/// An attempt of a step.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AttemptInfo {
    pub(crate) start: String,
    pub(crate) end: Option<String>,
    pub(crate) success: Option<bool>,
    pub(crate) error: Option<ErrorShape>,
    /// From 1; one that was interrupted is made again.
    pub(crate) attempt: u32,
    /// When the next may begin, of one that is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_at: Option<String>,
}

/// The options of a step that are in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ConfigInfo {
    pub(crate) retries: RetriesInfo,
    /// Milliseconds.
    pub(crate) timeout: u64,
    /// `output`: it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sensitive: Option<&'static str>,
}

/// The retries of a step.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RetriesInfo {
    pub(crate) limit: u32,
    pub(crate) delay: DelayInfo,
    pub(crate) backoff: &'static str,
}

/// The delay before the first retry.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum DelayInfo {
    Ms(u64),
    /// `[dynamic]`: the guest says it after each attempt.
    Word(&'static str),
}

/// A sleep.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Slept {
    pub(crate) name: String,
    pub(crate) start: String,
    /// Over version 4 also of one that goes on: when it will be over.
    pub(crate) end: Option<String>,
    pub(crate) finished: bool,
    pub(crate) error: Option<ErrorShape>,
    /// When it will be over, while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wake_at: Option<String>,
}

/// A wait for an event.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Awaited {
    pub(crate) name: String,
    pub(crate) start: String,
    /// Over version 4 also of one that goes on: when it will give up.
    pub(crate) end: Option<String>,
    pub(crate) finished: bool,
    pub(crate) error: Option<ErrorShape>,
    #[serde(skip_serializing_if = "Output::is_absent")]
    #[schemars(with = "serde_json::Value")]
    pub(crate) output: Output,
    /// What it waits for, or got.
    pub(crate) event_type: Option<String>,
    /// When it gives up, while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<String>,
}
