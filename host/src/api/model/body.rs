//! The bodies of requests.

use miniflow_runtime::engine::{StepKind, limits};
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::instance::Json;

/// A new instance.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct CreateBody {
    /// Made up if it is left out.
    #[serde(default, alias = "id")]
    pub(crate) instance_id: Option<String>,
    /// JSON, or a text that is JSON. Left out: `{}`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "serde_json::Value")]
    pub(crate) params: Option<Json>,
    #[serde(default)]
    pub(crate) instance_retention: Option<RetentionBody>,
    /// Taken and not used: there is one place.
    #[serde(default)]
    #[expect(dead_code, reason = "it is part of the form")]
    pub(crate) location_hint: Option<String>,
}

/// How long an instance is kept after its end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct RetentionBody {
    #[serde(default)]
    pub(crate) success_retention: Option<Length>,
    #[serde(default)]
    pub(crate) error_retention: Option<Length>,
}

/// Milliseconds, or a text such as `5 minutes`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Length {
    Ms(u64),
    Text(String),
}

/// New instances, at most 100, each a [`CreateBody`].
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct CreateMany(#[serde(deserialize_with = "at_most_a_batch")] pub(crate) Vec<Json>);

/// Ids of instances that are to go, at most 100.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct DeleteMany {
    #[serde(deserialize_with = "at_most_a_batch")]
    #[schemars(length(min = 1, max = 100))]
    pub(crate) instances: Vec<String>,
}

/// What is to be done to an instance.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct StatusBody {
    #[serde(alias = "action")]
    pub(crate) status: Verb,
    /// Undo its steps first. Only with `terminate`.
    #[serde(default)]
    pub(crate) rollback: Option<bool>,
    /// Keep what was recorded before this step. Only with `restart`.
    #[serde(default)]
    pub(crate) from: Option<FromStep>,
}

/// Verbs of [`StatusBody`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verb {
    Pause,
    Resume,
    Terminate,
    Restart,
}

/// A step to restart from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct FromStep {
    /// Without its counter.
    pub(crate) name: String,
    /// Which of this name, from 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(crate) count: Option<u32>,
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<FromKind>,
}

/// Kinds of [`FromStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FromKind {
    Do,
    Sleep,
    WaitForEvent,
}

impl From<FromKind> for StepKind {
    fn from(kind: FromKind) -> Self {
        match kind {
            FromKind::Do => Self::Do,
            FromKind::Sleep => Self::Sleep,
            FromKind::WaitForEvent => Self::Wait,
        }
    }
}

/// A workflow as somebody wants it to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PutWorkflow {
    pub(crate) class_name: String,
    pub(crate) script_name: String,
    #[serde(default)]
    pub(crate) schedules: Option<Vec<PutSchedule>>,
    #[serde(default)]
    pub(crate) limits: Option<PutLimits>,
    #[serde(default)]
    pub(crate) concurrency: Option<PutConcurrency>,
    #[serde(default)]
    pub(crate) default_retention: Option<RetentionBody>,
}

/// A schedule of [`PutWorkflow`].
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PutSchedule {
    pub(crate) cron: String,
}

/// Limits of [`PutWorkflow`].
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PutLimits {
    #[serde(default)]
    pub(crate) steps: Option<u32>,
}

/// Concurrency of [`PutWorkflow`].
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PutConcurrency {
    #[serde(default)]
    pub(crate) limit: Option<u32>,
}

/// What is there and null is not what is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// More than a batch is not even read: a body is bounded, what it makes in memory would not be.
fn at_most_a_batch<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    struct Items<T>(std::marker::PhantomData<T>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut taken = Vec::new();
            while let Some(item) = items.next_element()? {
                if taken.len() == limits::BATCH_MAX {
                    return Err(A::Error::custom("only 100 instances are supported at a time"));
                }
                taken.push(item);
            }
            Ok(taken)
        }
    }
    deserializer.deserialize_seq(Items(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(text: &str) -> Result<CreateBody, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn params_that_are_null_are_there() {
        assert_eq!(create("{}").unwrap().params.map(|json| json.get().to_owned()), None);
        assert_eq!(create(r#"{"params":null}"#).unwrap().params.unwrap().get(), "null");
        assert_eq!(create(r#"{"params":{"n":1e400}}"#).unwrap().params.unwrap().get(), r#"{"n":1e400}"#);
    }

    #[test]
    fn both_names_of_the_id_are_taken() {
        for text in [r#"{"instance_id":"a"}"#, r#"{"id":"a"}"#] {
            assert_eq!(create(text).unwrap().instance_id.as_deref(), Some("a"));
        }
        assert!(create(r#"{"id":"a","instance_id":"b"}"#).is_err());
    }

    #[test]
    fn a_list_that_is_too_long_is_not_read_to_its_end() {
        let ids = |n: usize| format!(r#"{{"instances":[{}"x"]}}"#, r#""x","#.repeat(n - 1));
        assert_eq!(serde_json::from_str::<DeleteMany>(&ids(100)).unwrap().instances.len(), 100);
        assert!(serde_json::from_str::<DeleteMany>(&ids(101)).is_err());
        let cut = format!("[{}", "{},".repeat(101));
        let error = serde_json::from_str::<CreateMany>(&cut).unwrap_err().to_string();
        assert!(error.contains("only 100"), "{error}");
    }
}
