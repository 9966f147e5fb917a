//! Journal bundle: the file format for one instance's journal, the bindings of its code and the digest of that code.
//!
//! The format is JSON, because bundles are read in reviews and stored in repositories. Text payloads stay text. The version is raised
//! only when an older miniflow would misread a file; otherwise fields are only added.
//!
//! **Guarantees.** A written bundle reads back unchanged. A file of another kind, or of a newer version, gives one clear error.
//! **Non-goals.** Secret values are never written. Step outputs are written in full, also where an API truncates them: a replay needs them.

use miniflow_runtime::engine::{Entry, Stamped};
use miniflow_runtime::storage::{AttemptKey, NewInstance, Retention, Summary, Trigger, Write};
use miniflow_runtime::{Bytes, InstanceStatus, Schedule, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Value of the field `format`.
const FORMAT: &str = "miniflow-journal";

/// Version that is written, and the newest version that is read.
pub const VERSION: u32 = 1;

/// One journal with everything that a replay needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    format: String,
    version: u32,
    /// Workflow of the instance.
    pub workflow: Workflow,
    /// Immutable properties of the instance.
    pub instance: Fixed,
    /// Component that was loaded at the export. `None` if no server was running.
    #[serde(default)]
    pub component: Option<Component>,
    /// Bindings of that component. `None` if no server was running.
    #[serde(default)]
    pub config: Option<Config>,
    journal: Vec<Value>,
    /// Step outputs that are streams.
    #[serde(default)]
    pub streams: Vec<Stream>,
}

/// The part of a workflow's configuration that its code depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// Workflow name.
    pub name: String,
    /// Class that implements `run`.
    #[serde(default)]
    pub class_name: Option<String>,
    /// Worker that exports the class.
    #[serde(default)]
    pub worker: Option<String>,
    /// Limit of `do` steps an instance.
    #[serde(default)]
    pub step_limit: Option<u32>,
}

/// Immutable properties of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Instance id.
    pub id: String,
    /// Creation time, in Unix milliseconds.
    pub created: u64,
    /// `binding`, `cron` or `api`.
    pub trigger: String,
    /// Status at the export.
    pub status: String,
    /// Params, as JSON.
    pub payload: String,
    /// Schedule that created the instance.
    #[serde(default)]
    pub schedule: Option<ByCron>,
}

/// Schedule that created an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByCron {
    /// Cron expression.
    pub cron: String,
    /// Scheduled time, in Unix milliseconds.
    pub scheduled_time: u64,
}

/// Component of a Worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// SHA-256 digest of the component.
    pub digest: String,
}

/// Bindings of a Worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Bindings by name.
    pub bindings: Vec<Binding>,
    /// Names of variables with secret values.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// Name and target of a binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Binding name.
    pub name: String,
    /// Target of the binding.
    #[serde(flatten)]
    pub to: Target,
}

/// Target of a binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// Text variable.
    Text {
        /// Value of the variable.
        value: String,
    },
    /// JSON variable.
    Json {
        /// Value of the variable, as JSON.
        value: String,
    },
    /// Workflow binding.
    Workflow {
        /// Workflow name.
        workflow: String,
    },
    /// Durable Object namespace.
    DurableObject {
        /// Worker that exports the class.
        worker: String,
        /// Class name.
        class: String,
    },
    /// Service binding.
    Service {
        /// Name of the other Worker.
        worker: String,
    },
    /// Queue producer.
    Queue {
        /// Queue name.
        queue: String,
        /// Default delivery delay in seconds.
        delay_s: u32,
    },
    /// Binding of another kind.
    Other {
        /// Name of the kind.
        what: String,
    },
}

/// Step output that is a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Step that returned it.
    pub step: u32,
    /// Attempt that wrote it.
    pub attempt: u32,
    /// Chunks, in hexadecimal digits.
    pub chunks: Vec<String>,
}

/// Error of a file that is not a usable bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file is not a bundle.
    #[error("it is not a journal that `miniflow journal export` has written")]
    Foreign,
    /// The version is newer than this miniflow supports.
    #[error("a newer miniflow has written it (version {found} of the format, this one reads up to {VERSION})")]
    Newer {
        /// Version of the file.
        found: u64,
    },
    /// The file is truncated or was edited.
    #[error("it is damaged: {reason}")]
    Damaged {
        /// Description of the mismatch.
        reason: String,
    },
}

impl Bundle {
    /// Creates a bundle from a journal.
    #[must_use]
    pub fn new(fixed: &NewInstance, status: InstanceStatus, journal: &[Stamped], streams: Vec<Stream>) -> Self {
        let schedule = fixed.schedule.as_ref().map(|schedule| ByCron {
            cron: schedule.cron.clone(),
            scheduled_time: schedule.scheduled_time.as_millis(),
        });
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            workflow: Workflow { name: fixed.workflow.clone(), class_name: None, worker: None, step_limit: None },
            instance: Fixed {
                id: fixed.id.clone(),
                created: fixed.created.as_millis(),
                trigger: fixed.trigger.as_str().to_owned(),
                status: status.as_str().to_owned(),
                payload: String::from_utf8_lossy(&fixed.payload).into_owned(),
                schedule,
            },
            component: None,
            config: None,
            // // Every entry serialises to JSON: its keys are strings.
            journal: journal.iter().filter_map(|entry| serde_json::to_value(entry).ok()).map(with_texts).collect(),
            streams,
        }
    }

    /// Parses the output of [`Self::to_json`].
    ///
    /// # Errors
    ///
    /// Fails if the file is not a bundle, has a newer version or is damaged.
    pub fn parse(text: &[u8]) -> Result<Self, BundleError> {
        let damaged = |error: &dyn std::fmt::Display| BundleError::Damaged { reason: error.to_string() };
        let value: Value = serde_json::from_slice(text).map_err(|error| match text.starts_with(b"{") {
            true => damaged(&error),
            false => BundleError::Foreign,
        })?;
        if value["format"] != FORMAT {
            return Err(BundleError::Foreign);
        }
        match value["version"].as_u64() {
            Some(found) if found > u64::from(VERSION) => return Err(BundleError::Newer { found }),
            Some(_) => {}
            None => return Err(BundleError::Damaged { reason: "it has no version".to_owned() }),
        }
        let bundle: Self = serde_json::from_value(value).map_err(|error| damaged(&error))?;
        bundle.journal()?;
        for stream in &bundle.streams {
            stream.pieces().ok_or_else(|| damaged(&"a stream is not in hexadecimal digits"))?;
        }
        Ok(bundle)
    }

    /// Returns the bundle as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // // Serialising cannot fail: keys are strings and numbers are integers.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Returns the journal entries.
    ///
    /// # Errors
    ///
    /// Fails if an entry has a kind that this version does not know.
    pub fn journal(&self) -> Result<Vec<Stamped>, BundleError> {
        let read = |(number, entry): (usize, &Value)| {
            Stamped::deserialize(entry).map_err(|error| BundleError::Damaged {
                reason: format!("entry {} of its journal: {error}", number + 1),
            })
        };
        self.journal.iter().enumerate().map(read).collect()
    }

    /// Returns the metadata of the instance, for a new storage.
    #[must_use]
    pub fn fixed(&self) -> NewInstance {
        let Fixed { id, created, trigger, payload, schedule, .. } = &self.instance;
        NewInstance {
            key: 1,
            workflow: self.workflow.name.clone(),
            id: id.clone(),
            created: Timestamp(*created),
            trigger: match trigger.as_str() {
                "cron" => Trigger::Cron,
                "api" => Trigger::Api,
                _ => Trigger::Binding,
            },
            payload: Bytes::from(payload.clone()),
            schedule: schedule.as_ref().map(|schedule| Schedule {
                cron: schedule.cron.clone(),
                scheduled_time: Timestamp(schedule.scheduled_time),
            }),
            retention: Retention::default(),
        }
    }

    /// Returns the writes that recreate the instance and its streams in an empty storage.
    pub(super) fn writes(&self) -> Vec<Write> {
        let fixed = self.fixed();
        let (key, created) = (fixed.key, fixed.created);
        let summary = Summary {
            status: InstanceStatus::Queued,
            wake_at: None,
            started: None,
            modified: created,
            ended: None,
            output: None,
            error: None,
            rollback: None,
            expires: None,
        };
        let streams = self.streams.iter().flat_map(|stream| {
            let attempt = AttemptKey { step: stream.step, attempt: stream.attempt };
            let pieces = stream.pieces().unwrap_or_default().into_iter();
            (0..).zip(pieces).map(move |(index, bytes)| Write::Chunk { key, attempt, index, bytes: bytes.into() })
        });
        std::iter::once(Write::Create(fixed, summary)).chain(streams).collect()
    }
}

impl Stream {
    /// Decodes and concatenates the chunks of a stream.
    pub(super) fn new(attempt: AttemptKey, pieces: &[Bytes]) -> Self {
        let hex = |piece: &Bytes| piece.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { step: attempt.step, attempt: attempt.attempt, chunks: pieces.iter().map(hex).collect() }
    }

    fn pieces(&self) -> Option<Vec<Vec<u8>>> {
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let piece = |text: &String| text.as_bytes().chunks(2).map(byte).collect();
        self.chunks.iter().map(piece).collect()
    }
}

/// Converts JSON payloads of guests and event senders to JSON values, instead of byte arrays.
fn with_texts(mut stamped: Value) -> Value {
    if let Some(facts) = stamped["entry"].as_object_mut() {
        for fact in facts.values_mut() {
            for name in ["output", "payload"] {
                let text = fact.get(name).and_then(Value::as_array).and_then(|bytes| {
                    let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
                    String::from_utf8(bytes.iter().map(byte).collect::<Option<Vec<u8>>>()?).ok()
                });
                if let Some(text) = text {
                    fact[name] = Value::String(text);
                }
            }
        }
    }
    stamped
}

/// Returns the streams that the journal refers to: the attempt that wrote each one and its number of chunks.
pub(super) fn streams(journal: &[Stamped]) -> impl Iterator<Item = (AttemptKey, u32)> {
    journal.iter().filter_map(|stamped| match &stamped.entry {
        Entry::StepStreamed { step, stream } => {
            Some((AttemptKey { step: *step, attempt: stream.attempt }, stream.chunks))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use miniflow_runtime::ErrorInfo;
    use miniflow_runtime::engine::{StepConfig, StepOptions};
    use miniflow_runtime::{StepKey, StepKind};

    use super::*;

    fn bundle() -> (NewInstance, Vec<Stamped>, Bundle) {
        let fixed = NewInstance {
            key: 1,
            workflow: "orders".to_owned(),
            id: "a".to_owned(),
            created: Timestamp(1000),
            trigger: Trigger::Cron,
            payload: Bytes::from_static(b"{\"n\":1}"),
            schedule: Some(Schedule { cron: "0 9 * * *".to_owned(), scheduled_time: Timestamp(900) }),
            retention: Retention::default(),
        };
        let config = StepConfig::resolve("charge", &StepOptions::default()).unwrap();
        let entries = [
            Entry::Running,
            Entry::StepStarted {
                key: StepKey::new(StepKind::Do, "charge", 1),
                alone: true,
                config: config.into(),
                rollback: None,
                nested: false,
            },
            Entry::AttemptFailed { step: 0, error: ErrorInfo::new("Error", "no \u{1f4b3}"), retry_at: Timestamp(5) },
            Entry::StepSucceeded { step: 0, output: Bytes::from_static(b"\"paid\"") },
            Entry::EventReceived { event_type: "go".into(), payload: Bytes::from_static(&[0xff, 0]) },
            Entry::Completed { output: Bytes::from_static(b"null") },
        ];
        let journal: Vec<_> = entries.into_iter().map(|entry| Stamped { at: Timestamp(1001), entry }).collect();
        let stream = Stream::new(AttemptKey { step: 0, attempt: 2 }, &[Bytes::from_static(&[0, 0xfe, 16])]);
        let bundle = Bundle::new(&fixed, InstanceStatus::Complete, &journal, vec![stream]);
        (fixed, journal, bundle)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (fixed, journal, bundle) = bundle();
        let text = bundle.to_json();
        assert!(text.contains(r#""output": "\"paid\"""#), "{text}");
        let read = Bundle::parse(text.as_bytes()).unwrap();
        assert_eq!(read, bundle);
        assert_eq!((read.fixed(), read.journal().unwrap()), (fixed, journal));
        assert_eq!(read.streams[0].pieces().unwrap(), [[0, 0xfe, 16]]);
        assert_eq!(read.writes().len(), 2);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let said = |text: &str| Bundle::parse(text.as_bytes()).unwrap_err().to_string();
        let foreign = "it is not a journal that `miniflow journal export` has written";
        assert_eq!(said("[]"), foreign);
        assert_eq!(said("\0asm"), foreign);
        assert_eq!(said(r#"{"format": "har", "version": 1}"#), foreign);
        let newer = said(r#"{"format": "miniflow-journal", "version": 7}"#);
        assert_eq!(newer, "a newer miniflow has written it (version 7 of the format, this one reads up to 1)");
        let text = bundle().2.to_json();
        let cut = said(&text[..text.len() / 2]);
        assert!(cut.starts_with("it is damaged: EOF while parsing"), "{cut}");
        let entry = said(&text.replace("attempt_failed", "attempt_vanished"));
        assert!(
            entry.starts_with("it is damaged: entry 3 of its journal: unknown variant `attempt_vanished`"),
            "{entry}"
        );
        let stream = said(&text.replace("00fe10", "00fe1x"));
        assert_eq!(stream, "it is damaged: a stream is not in hexadecimal digits");
        let missing = said(&text.replace("\"created\"", "\"made\""));
        assert!(missing.starts_with("it is damaged: missing field `created`"), "{missing}");
    }
}
