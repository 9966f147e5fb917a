//! A body in a file: as JSON or text where it is that, so that people can read and change it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::secrets::Secrets;

/// Characters of a body in a message, at most.
const SHOWN_MAX: usize = 200;

/// A body: `{"json": …}`, `{"text": "…"}` or `{"base64": "…"}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Content {
    /// Written as it came: numbers keep their digits, and fields their order.
    Json(Box<RawValue>),
    Text(String),
    Base64(String),
}

impl Content {
    pub(crate) fn of(body: &Bytes) -> Self {
        let Ok(text) = std::str::from_utf8(body) else { return Self::Base64(STANDARD.encode(body)) };
        // A text that happens to be a number reads better as one, but a word or a line is none.
        match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(json) if json.get() == text => Self::Json(json),
            _ => Self::Text(text.to_owned()),
        }
    }

    /// The body, with its secrets put in.
    pub(crate) fn bytes(&self, secrets: &Secrets) -> Result<Bytes, String> {
        match self {
            Self::Json(json) => Ok(secrets.reveal(json.get()).into()),
            Self::Text(text) => Ok(secrets.reveal(text).into()),
            Self::Base64(text) => {
                STANDARD.decode(text).map(Bytes::from).map_err(|error| format!("its body is no base64: {error}"))
            }
        }
    }

    /// Whether it is `body`; of JSON what is said counts, not how.
    pub(crate) fn is(&self, body: &[u8]) -> bool {
        match self {
            Self::Json(json) => {
                let value = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
                value(body).is_some_and(|found| value(json.get().as_bytes()) == Some(found))
            }
            Self::Text(text) => text.as_bytes() == body,
            Self::Base64(text) => STANDARD.decode(text).is_ok_and(|bytes| bytes == body),
        }
    }

    /// For a message.
    pub(crate) fn shown(&self) -> String {
        let (Self::Text(text) | Self::Base64(text)) = self else {
            let Self::Json(json) = self else { return String::new() };
            return cut(json.get());
        };
        cut(text)
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(body: &[u8]) -> (String, Bytes) {
        let content = Content::of(&Bytes::copy_from_slice(body));
        assert!(content.is(body));
        let written = serde_json::to_string(&content).unwrap();
        let read: Content = serde_json::from_str(&written).unwrap();
        (written, read.bytes(&Secrets::default()).unwrap())
    }

    #[test]
    fn a_body_is_read_as_it_was_written() {
        let large = br#"{"z":1, "a":12345678901234567890123,"e":1.50}"#;
        assert_eq!(
            round(large),
            (format!(r#"{{"json":{}}}"#, String::from_utf8_lossy(large)), Bytes::from_static(large))
        );
        assert_eq!(round(b"a=1&b"), (r#"{"text":"a=1&b"}"#.to_owned(), Bytes::from_static(b"a=1&b")));
        assert_eq!(round(b" 1"), (r#"{"text":" 1"}"#.to_owned(), Bytes::from_static(b" 1")));
        assert_eq!(round(&[0xff, 0]), (r#"{"base64":"/wA="}"#.to_owned(), Bytes::from_static(&[0xff, 0])));
    }

    #[test]
    fn json_is_the_same_in_another_order() {
        let content = Content::of(&Bytes::from_static(br#"{"a":1,"b":[2]}"#));
        assert!(content.is(br#"{ "b": [2], "a": 1 }"#));
        assert!(!content.is(br#"{"a":1,"b":[3]}"#));
        assert!(!content.is(b"no JSON"));
    }
}
