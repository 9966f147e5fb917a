//! Bodies and answers.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The body of a request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(pub(crate) Bytes);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// As JSON.
impl From<serde_json::Value> for Body {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

pub(crate) fn get(path: &str) -> Result<Request<()>, Error> {
    Request::get(path).body(()).map_err(|error| Error::Data(format!("`{path}`: {error}")))
}

pub(crate) fn post_json(path: &str, body: &impl serde::Serialize) -> Result<Request<Bytes>, Error> {
    let body = serde_json::to_vec(body).map_err(|error| Error::Data(format!("the body is not JSON: {error}")))?;
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json").body(Bytes::from(body));
    request.map_err(|error| Error::Data(format!("`{path}`: {error}")))
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response(http::Response<Bytes>);

impl Response {
    pub(crate) fn new(response: http::Response<Bytes>) -> Self {
        Self(response)
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// A header as text; none when it is not there, or is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Its body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.0.body()
    }

    /// Its body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// Its body, read as JSON.
    ///
    /// # Errors
    ///
    /// When it is not, or is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.bytes()).map_err(|error| {
            Error::Data(format!("status {}, and no such JSON: {error}\n{}", self.status(), self.text()))
        })
    }

    /// Returns it if its status is `status`.
    ///
    /// # Errors
    ///
    /// When it is another one.
    pub fn expect(self, status: u16) -> Result<Self, Error> {
        if self.status().as_u16() == status {
            return Ok(self);
        }
        Err(Error::Data(format!("status {}, expected {status}: {}", self.status(), self.text())))
    }
}
