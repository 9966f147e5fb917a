//! A journal as a file: one instance, what its code was given, and which code that was.
//!
//! JSON, because it is read in reviews and kept in repositories; texts stand in it as texts. The version is raised when an older miniflow
//! would misread it; fields are otherwise only added.
//!
//! Promises: what is written is read back as it was; a file of another kind, or of a newer miniflow, is one clear error. Never does: write
//! the value of a secret. What steps returned is in it as it is, also where an API would not show it: replaying needs it.

use miniflow_runtime::engine::{Entry, Stamped};
use miniflow_runtime::storage::{AttemptKey, NewInstance, Retention, Summary, Trigger, Write};
use miniflow_runtime::{Bytes, InstanceStatus, Schedule, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the field `format` says.
const FORMAT: &str = "miniflow-journal";

/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;

/// A journal, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    format: String,
    version: u32,
    /// Its workflow.
    pub workflow: Workflow,
    /// What is fixed of the instance.
    pub instance: Fixed,
    /// The code that was in place when it was exported; none when nobody served the state.
    #[serde(default)]
    pub component: Option<Component>,
    /// What that code was given; none as above.
    #[serde(default)]
    pub config: Option<Config>,
    journal: Vec<Value>,
    /// The outputs that are streams.
    #[serde(default)]
    pub streams: Vec<Stream>,
}

/// A workflow, as far as its code is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// The class that has its `run`.
    #[serde(default)]
    pub class_name: Option<String>,
    /// The Worker that has the class.
    #[serde(default)]
    pub worker: Option<String>,
    /// `do` steps that an instance may have.
    #[serde(default)]
    pub step_limit: Option<u32>,
}

/// What is fixed of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Its id.
    pub id: String,
    /// When it was created, milliseconds since 1970.
    pub created: u64,
    /// `binding`, `cron` or `api`.
    pub trigger: String,
    /// Its status when it was exported.
    pub status: String,
    /// JSON.
    pub payload: String,
    /// The schedule that made it.
    #[serde(default)]
    pub schedule: Option<ByCron>,
}

/// A schedule that made an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByCron {
    /// The expression.
    pub cron: String,
    /// The moment it stood for, milliseconds since 1970.
    pub scheduled_time: u64,
}

/// A build of a Worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its content address.
    pub digest: String,
}

/// What code was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The names it could use and what they stood for.
    pub bindings: Vec<Binding>,
    /// Names of variables whose values are secret.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// A name and what it stood for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The name.
    pub name: String,
    /// What kind of thing it was.
    #[serde(flatten)]
    pub to: Target,
}

/// What a name stood for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// A variable.
    Text {
        /// Its value.
        value: String,
    },
    /// A variable that is not a text.
    Json {
        /// Its value, as JSON.
        value: String,
    },
    /// A workflow.
    Workflow {
        /// Its name.
        workflow: String,
    },
    /// A class of Durable Objects.
    DurableObject {
        /// The Worker that has it.
        worker: String,
        /// Its name.
        class: String,
    },
    /// Another Worker.
    Service {
        /// Its name.
        worker: String,
    },
    /// A queue.
    Queue {
        /// Its name.
        queue: String,
        /// Delay of messages that do not say their own.
        delay_s: u32,
    },
    /// Anything else.
    Other {
        /// The word for it.
        what: String,
    },
}

/// An output that is a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Of which step.
    pub step: u32,
    /// The attempt that wrote it.
    pub attempt: u32,
    /// Its pieces, in hexadecimal digits.
    pub chunks: Vec<String>,
}

/// A file that cannot be used as a journal.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Something else.
    #[error("it is not a journal that `miniflow journal export` has written")]
    Foreign,
    /// Of a version that is not known here.
    #[error("a newer miniflow has written it (version {found} of the format, this one reads up to {VERSION})")]
    Newer {
        /// Its version.
        found: u64,
    },
    /// Cut off, or changed by hand.
    #[error("it is damaged: {reason}")]
    Damaged {
        /// What does not fit.
        reason: String,
    },
}

impl Bundle {
    /// Puts a journal together with what belongs to it.
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
            // Every fact can be written as JSON: its keys are texts.
            journal: journal.iter().filter_map(|entry| serde_json::to_value(entry).ok()).map(with_texts).collect(),
            streams,
        }
    }

    /// Reads what [`Self::to_json`] has written.
    ///
    /// # Errors
    ///
    /// When it is something else, of a newer version, or damaged.
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

    /// The text of the file.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Nothing of it can fail to be written: keys are texts, numbers are whole.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The entries.
    ///
    /// # Errors
    ///
    /// When one of them is not of a kind that this version knows.
    pub fn journal(&self) -> Result<Vec<Stamped>, BundleError> {
        let read = |(number, entry): (usize, &Value)| {
            Stamped::deserialize(entry).map_err(|error| BundleError::Damaged {
                reason: format!("entry {} of its journal: {error}", number + 1),
            })
        };
        self.journal.iter().enumerate().map(read).collect()
    }

    /// The instance, as it is created in a storage that is made for it.
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

    /// What puts the instance and its streams into an empty storage.
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
    /// Puts the pieces of a stream together.
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

/// What guests and senders of events have written is JSON: it is shown as that, not as a list of bytes.
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

/// The streams that a journal speaks of: which attempt wrote each, and in how many pieces.
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
