//! What is in a message: bytes, and how they are to be read.

use serde::de::value::{BorrowedBytesDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};
use serde::{Serialize, forward_to_deserialize_any};
use serde_json::Value;

use crate::bindings::miniflow::worker::queue::ContentType;
use crate::{Error, Result};

/// How the body of a message is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueContentType {
    /// As JSON.
    #[default]
    Json,
    /// As a text. What is sent must be one.
    Text,
    /// As bytes. What is sent must be a sequence of them, such as a `Vec<u8>`.
    Bytes,
    /// As a structured clone of JavaScript. A Rust Worker writes and reads JSON here.
    V8,
}

/// The bytes of a message, as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBody(Vec<u8>);

impl RawBody {
    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for RawBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for RawBody {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<String> for RawBody {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&str> for RawBody {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<QueueContentType> for ContentType {
    fn from(content_type: QueueContentType) -> Self {
        match content_type {
            QueueContentType::Json => Self::Json,
            QueueContentType::Text => Self::Text,
            QueueContentType::Bytes => Self::Bytes,
            QueueContentType::V8 => Self::V8,
        }
    }
}

impl From<ContentType> for QueueContentType {
    fn from(content_type: ContentType) -> Self {
        match content_type {
            ContentType::Json => Self::Json,
            ContentType::Text => Self::Text,
            ContentType::Bytes => Self::Bytes,
            ContentType::V8 => Self::V8,
        }
    }
}

/// Writes `value` as a body of that type.
pub(super) fn encode<T: Serialize>(value: &T, content_type: QueueContentType) -> Result<RawBody> {
    let refused = |needed: &str| Error::from(format!("a message of content type {needed}"));
    match content_type {
        QueueContentType::Json | QueueContentType::V8 => Ok(RawBody(serde_json::to_vec(value)?)),
        QueueContentType::Text => match serde_json::to_value(value)? {
            Value::String(text) => Ok(text.into()),
            _ => Err(refused("`text` must be a text, such as a `String`")),
        },
        QueueContentType::Bytes => {
            let bytes = serde_json::from_value::<Vec<u8>>(serde_json::to_value(value)?);
            bytes.map(RawBody).map_err(|_| refused("`bytes` must be a sequence of bytes, such as a `Vec<u8>`"))
        }
    }
}

/// Reads a body of that type.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8], content_type: QueueContentType) -> Result<T> {
    Ok(match content_type {
        QueueContentType::Json | QueueContentType::V8 => serde_json::from_slice(body)?,
        QueueContentType::Text => {
            T::deserialize(StrDeserializer::<serde_json::Error>::new(std::str::from_utf8(body)?))?
        }
        QueueContentType::Bytes => T::deserialize(Bytes(body))?,
    })
}

/// Bytes, for who wants a sequence of numbers and for who wants bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn sequence<'de, V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_seq(SeqDeserializer::new(self.0.iter().copied()))
    }
}

impl<'de> Deserializer<'de> for Bytes<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        self.sequence(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        BorrowedBytesDeserializer::new(self.0).deserialize_bytes(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        BorrowedBytesDeserializer::new(self.0).deserialize_byte_buf(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq tuple tuple_struct map
        struct enum identifier ignored_any
    }
}

// A message may be asked for as its bytes, whatever its type says.
impl<'de> Deserialize<'de> for RawBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsBytes;
        impl<'de> Visitor<'de> for AsBytes {
            type Value = RawBody;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<RawBody, E> {
                Ok(bytes.into())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawBody, E> {
                Ok(text.into())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut sequence: A) -> Result<RawBody, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = sequence.next_element()? {
                    bytes.push(byte);
                }
                Ok(RawBody(bytes))
            }
        }
        deserializer.deserialize_byte_buf(AsBytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_went() {
        let body = encode(&("lamp", 3), QueueContentType::Json).unwrap();
        assert_eq!(body.as_bytes(), br#"["lamp",3]"#);
        assert_eq!(decode::<(String, u32)>(body.as_bytes(), QueueContentType::Json).unwrap(), ("lamp".to_owned(), 3));
        assert_eq!(encode(&Some(1), QueueContentType::V8).unwrap().as_bytes(), b"1");
    }

    #[test]
    fn a_text_is_written_without_quotes() {
        let body = encode(&"käse", QueueContentType::Text).unwrap();
        assert_eq!(body.as_bytes(), "käse".as_bytes());
        assert_eq!(decode::<String>(body.as_bytes(), QueueContentType::Text).unwrap(), "käse");
        assert_eq!(decode::<Value>(body.as_bytes(), QueueContentType::Text).unwrap(), Value::from("käse"));
        let error = encode(&7, QueueContentType::Text).unwrap_err();
        assert_eq!(error.to_string(), "a message of content type `text` must be a text, such as a `String`");
        assert!(decode::<String>(&[0xff], QueueContentType::Text).is_err());
    }

    #[test]
    fn bytes_are_read_as_numbers_and_as_bytes() {
        let body = encode(&vec![0_u8, 255], QueueContentType::Bytes).unwrap();
        assert_eq!(body.as_bytes(), [0, 255]);
        assert_eq!(decode::<Vec<u8>>(body.as_bytes(), QueueContentType::Bytes).unwrap(), [0, 255]);
        assert_eq!(decode::<RawBody>(body.as_bytes(), QueueContentType::Bytes).unwrap(), body);
        assert_eq!(decode::<Value>(body.as_bytes(), QueueContentType::Bytes).unwrap(), serde_json::json!([0, 255]));
        assert!(encode(&"text", QueueContentType::Bytes).is_err());
        assert!(encode(&[256], QueueContentType::Bytes).is_err());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(decode::<u32>(b"\"a\"", QueueContentType::Json).is_err());
        assert!(decode::<u32>(b"7", QueueContentType::Text).is_err());
    }
}
