//! A request, read: its parameters, its query, its body up to a bound.

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::query::Query;

/// Bytes of a body at most: params of one MiB as a text in which every character is escaped, and a batch of them as large as one call in
/// production may be.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;

/// What a handler is asked.
pub(super) struct Call {
    /// The variable parts of the path, decoded, in its order and without the account.
    parameters: Vec<String>,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub(super) async fn read<B>(parameters: Vec<String>, request: Request<B>) -> Result<Self, Failure>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let too_large = Failure::TooLarge { bytes_max: BODY_BYTES_MAX };
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
            return Err(too_large);
        }
        let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large),
            Err(error) => return Err(Failure::Invalid(format!("(body) The body broke off: {error}"))),
        };
        Ok(Self { parameters, query: Query::parse(parts.uri.query()), headers: parts.headers, body })
    }

    /// A GET without headers.
    pub(super) fn of_get(parameters: Vec<String>, query: Option<&str>) -> Self {
        Self { parameters, query: Query::parse(query), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The variable part of the path at this place, from 0.
    pub(super) fn parameter(&self, place: usize) -> &str {
        self.parameters.get(place).map_or("", String::as_str)
    }

    /// The body as JSON; none when it is empty.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        if self.is_empty() { Ok(None) } else { parse(&self.body).map(Some) }
    }

    /// The body as a JSON object; none when it is empty.
    pub(super) fn object<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        if self.is_empty() { Ok(None) } else { object(&self.body).map(Some) }
    }

    /// The body as a JSON object.
    pub(super) fn required<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.object()?.ok_or_else(empty)
    }

    /// The body as a JSON list.
    pub(super) fn list<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.json()?.ok_or_else(empty)
    }

    fn is_empty(&self) -> bool {
        self.body.trim_ascii().is_empty()
    }
}

/// JSON that is an object: serde would take the fields from a list as well.
pub(super) fn object<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    if json.trim_ascii_start().first() == Some(&b'{') {
        return parse(json);
    }
    // What is no JSON at all is told as such.
    parse::<serde::de::IgnoredAny>(json)?;
    Err(Failure::Invalid("(body) expected an object".to_owned()))
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json).map_err(|error| Failure::Invalid(format!("(body) {error}")))
}

fn empty() -> Failure {
    Failure::Invalid("(body) The body is empty".to_owned())
}
