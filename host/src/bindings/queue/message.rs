//! Messages, and what a producer may not send.

use bytes::Bytes;
use miniflow_runtime::Timestamp;
use uuid::Uuid;

/// Bytes of a body (documented: 128 KB of 1,000 bytes).
pub const MESSAGE_BYTES_MAX: usize = 128_000;

/// Messages that are sent together.
pub const BATCH_MESSAGES_MAX: usize = 100;

/// Bytes of their bodies.
pub const BATCH_BYTES_MAX: usize = 256_000;

/// A day: the longest delay, of a message and of a retry.
pub const DELAY_S_MAX: u32 = 86_400;

/// A message's row.
pub type Key = i64;

/// How a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// JSON.
    Json,
    /// UTF-8.
    Text,
    /// Anything.
    Bytes,
    /// What JavaScript calls a structured clone.
    V8,
}

impl ContentType {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::V8 => "v8",
        }
    }

    /// The type of that word; a word that this version does not know is read as bytes.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "json" => Self::Json,
            "text" => Self::Text,
            "v8" => Self::V8,
            _ => Self::Bytes,
        }
    }
}

/// What a producer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The body.
    pub body: Bytes,
    /// How it is to be read.
    pub content_type: ContentType,
    /// Seconds until it can be delivered; none: as said elsewhere.
    pub delay_s: Option<u32>,
}

/// A message that is to become a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The body.
    pub body: Bytes,
    /// How it is to be read.
    pub content_type: ContentType,
    /// Seconds until it can be delivered.
    pub delay_s: u32,
}

/// A message that is to be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its row.
    pub key: Key,
    /// 32 hexadecimal digits.
    pub id: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Which delivery this is, from 1.
    pub attempts: u32,
    /// How the body is to be read.
    pub content_type: ContentType,
    /// The body.
    pub body: Vec<u8>,
}

/// What is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Messages.
    pub count: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// When the oldest was sent.
    pub oldest: Option<Timestamp>,
}

/// A producer's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Said the way the platform does.
    #[error("Queue send failed: message length of {size} bytes exceeds limit of {MESSAGE_BYTES_MAX}")]
    MessageTooLarge {
        /// Its bytes.
        size: usize,
    },
    /// As the one above, of a batch.
    #[error(
        "Queue sendBatch failed: message {index} of the batch has a length of {size} bytes, which exceeds limit of {MESSAGE_BYTES_MAX}"
    )]
    MessageOfBatchTooLarge {
        /// Which, from 0.
        index: usize,
        /// Its bytes.
        size: usize,
    },
    /// More messages than one call takes.
    #[error("Queue sendBatch failed: batch message count of {count} exceeds limit of {BATCH_MESSAGES_MAX}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// None at all.
    #[error("Queue sendBatch failed: the batch has no messages")]
    Empty,
    /// More bytes than one call takes.
    #[error("Queue sendBatch failed: batch size of {size} bytes exceeds limit of {BATCH_BYTES_MAX}")]
    BatchTooLarge {
        /// Their bytes.
        size: usize,
    },
    /// Longer than a day.
    #[error("Queue send failed: delay of {delay_s} seconds exceeds limit of {DELAY_S_MAX}")]
    Delay {
        /// What was asked for.
        delay_s: u32,
    },
    /// The body is not what its content type says.
    #[error("Queue send failed: the body is not of content type `{}`: {reason}", .content_type.as_str())]
    ContentType {
        /// What it should be.
        content_type: ContentType,
        /// Why it is not.
        reason: String,
    },
}

impl SendError {
    /// The stable part, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MessageTooLarge { .. } | Self::MessageOfBatchTooLarge { .. } => "queue.message_too_large",
            Self::TooMany { .. } | Self::Empty | Self::BatchTooLarge { .. } => "queue.invalid_batch",
            Self::Delay { .. } => "queue.invalid_delay",
            Self::ContentType { .. } => "queue.invalid_body",
        }
    }
}

/// Checks one message; `default_s`: its delay if it says none.
pub(super) fn one(message: Outgoing, default_s: u32) -> Result<NewMessage, SendError> {
    let size = message.body.len();
    if size > MESSAGE_BYTES_MAX {
        return Err(SendError::MessageTooLarge { size });
    }
    checked(message, default_s)
}

/// Checks messages that are sent together.
pub(super) fn batch(messages: Vec<Outgoing>, default_s: u32) -> Result<Vec<NewMessage>, SendError> {
    if messages.is_empty() {
        return Err(SendError::Empty);
    }
    if messages.len() > BATCH_MESSAGES_MAX {
        return Err(SendError::TooMany { count: messages.len() });
    }
    let too_large = messages.iter().enumerate().find(|(_, message)| message.body.len() > MESSAGE_BYTES_MAX);
    if let Some((index, message)) = too_large {
        return Err(SendError::MessageOfBatchTooLarge { index, size: message.body.len() });
    }
    let size = messages.iter().map(|message| message.body.len()).sum();
    if size > BATCH_BYTES_MAX {
        return Err(SendError::BatchTooLarge { size });
    }
    messages.into_iter().map(|message| checked(message, default_s)).collect()
}

fn checked(message: Outgoing, default_s: u32) -> Result<NewMessage, SendError> {
    let Outgoing { body, content_type, delay_s } = message;
    let delay_s = delay_s.unwrap_or(default_s);
    if delay_s > DELAY_S_MAX {
        return Err(SendError::Delay { delay_s });
    }
    let wrong = match content_type {
        ContentType::Json => {
            serde_json::from_slice::<serde::de::IgnoredAny>(&body).err().map(|error| error.to_string())
        }
        ContentType::Text => str::from_utf8(&body).err().map(|error| error.to_string()),
        ContentType::Bytes | ContentType::V8 => None,
    };
    match wrong {
        Some(reason) => Err(SendError::ContentType { content_type, reason }),
        None => Ok(NewMessage { id: Uuid::new_v4().simple().to_string(), body, content_type, delay_s }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(size: usize) -> Outgoing {
        Outgoing { body: vec![b'a'; size].into(), content_type: ContentType::Text, delay_s: None }
    }

    #[test]
    fn a_message_has_128_kilobytes() {
        assert_eq!(one(text(128_000), 0).unwrap().body.len(), 128_000);
        let error = one(text(128_001), 0).unwrap_err();
        assert_eq!(error.to_string(), "Queue send failed: message length of 128001 bytes exceeds limit of 128000");
    }

    #[test]
    fn a_batch_has_100_messages_and_256_kilobytes() {
        assert_eq!(batch(vec![text(1); 100], 0).unwrap().len(), 100);
        assert_eq!(batch(vec![text(128_000); 2], 0).unwrap().len(), 2);
        for (messages, text) in [
            (vec![text(1); 101], "Queue sendBatch failed: batch message count of 101 exceeds limit of 100"),
            (vec![text(85_334); 3], "Queue sendBatch failed: batch size of 256002 bytes exceeds limit of 256000"),
            (
                vec![text(1), text(128_001)],
                "Queue sendBatch failed: message 1 of the batch has a length of 128001 bytes, which exceeds limit of 128000",
            ),
            (Vec::new(), "Queue sendBatch failed: the batch has no messages"),
        ] {
            assert_eq!(batch(messages, 0).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_delay_is_the_nearest_that_is_said_and_a_day_at_most() {
        let delay = |of_message, default| {
            one(Outgoing { delay_s: of_message, ..text(1) }, default).map(|message| message.delay_s)
        };
        assert_eq!((delay(None, 7), delay(Some(0), 7), delay(Some(86_400), 0)), (Ok(7), Ok(0), Ok(86_400)));
        let error = delay(Some(86_401), 0).unwrap_err();
        assert_eq!(error.to_string(), "Queue send failed: delay of 86401 seconds exceeds limit of 86400");
    }

    #[test]
    fn a_body_is_of_its_content_type() {
        let check = |body: &'static [u8], content_type| {
            one(Outgoing { body: Bytes::from_static(body), content_type, delay_s: None }, 0).map(drop)
        };
        assert_eq!(check(b"{\"a\":1}", ContentType::Json), Ok(()));
        assert_eq!(check(b"\xff", ContentType::Bytes), Ok(()));
        let error = check(b"{", ContentType::Json).unwrap_err();
        assert!(
            error.to_string().starts_with("Queue send failed: the body is not of content type `json`: "),
            "{error}"
        );
        assert_eq!(check(b"\xff", ContentType::Text).unwrap_err().code(), "queue.invalid_body");
    }

    #[test]
    fn the_word_of_a_content_type_is_read_back() {
        for content_type in [ContentType::Json, ContentType::Text, ContentType::Bytes, ContentType::V8] {
            assert_eq!(ContentType::parse(content_type.as_str()), content_type);
        }
    }
}
