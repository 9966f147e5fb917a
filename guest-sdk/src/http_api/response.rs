//! [`Response`]: what a Worker answers, or another server answered.

use std::fmt;

use futures::TryStream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{Body, ByteStream, Cors, Headers, ResponseBuilder};
use crate::{Error, Result};

/// An HTTP response.
pub struct Response {
    status: u16,
    headers: Headers,
    body: Body,
}

impl Response {
    /// Answers with a text.
    ///
    /// # Errors
    ///
    /// Never; a `Result` so that it can end a handler.
    pub fn ok(body: impl Into<String>) -> Result<Self> {
        Ok(Self::with_content(body.into().into(), "text/plain;charset=utf-8"))
    }

    /// Answers with `value` as JSON.
    ///
    /// # Errors
    ///
    /// When `value` cannot be written as JSON.
    pub fn from_json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Self::with_content(serde_json::to_vec(value)?.into(), "application/json"))
    }

    /// Answers with an HTML page.
    ///
    /// # Errors
    ///
    /// Never; a `Result` so that it can end a handler.
    pub fn from_html(html: impl AsRef<str>) -> Result<Self> {
        Ok(Self::with_content(html.as_ref().into(), "text/html;charset=utf-8"))
    }

    /// Answers with bytes.
    ///
    /// # Errors
    ///
    /// Never; a `Result` so that it can end a handler.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Ok(Self::with_content(bytes.into(), "application/octet-stream"))
    }

    /// Answers with a stream: each chunk is sent when it is there. `Response::from_stream(request.stream()?)` echoes.
    ///
    /// # Errors
    ///
    /// Never; a `Result` so that it can end a handler.
    pub fn from_stream<S>(stream: S) -> Result<Self>
    where
        S: TryStream + 'static,
        S::Ok: Into<Vec<u8>>,
        S::Error: Into<Error>,
    {
        Self::from_body(Body::from_stream(stream))
    }

    /// Answers with a body, without saying what type it is of.
    ///
    /// # Errors
    ///
    /// Never; a `Result` so that it can end a handler.
    pub fn from_body(body: Body) -> Result<Self> {
        Ok(Self { status: 200, headers: Headers::new(), body })
    }

    /// Answers 200 without a body.
    ///
    /// # Errors
    ///
    /// Never; a `Result` so that it can end a handler.
    pub fn empty() -> Result<Self> {
        Self::from_body(Body::empty())
    }

    /// Answers with an error and its text.
    ///
    /// # Errors
    ///
    /// When `status` is not between 400 and 599.
    pub fn error(message: impl Into<String>, status: u16) -> Result<Self> {
        if !(400..=599).contains(&status) {
            return Err(format!("{status} is not the status of an error: it must be 400 to 599").into());
        }
        Ok(Self::ok(message)?.with_status(status))
    }

    /// Answers 302: look there.
    ///
    /// # Errors
    ///
    /// When `url` is not allowed in a header.
    pub fn redirect(url: Url) -> Result<Self> {
        Self::redirect_with_status(url, 302)
    }

    /// Answers with a redirection of another kind.
    ///
    /// # Errors
    ///
    /// When `status` is not 301, 302, 303, 307 or 308, or `url` is not allowed in a header.
    #[expect(clippy::needless_pass_by_value, reason = "the signature of the `worker` crate")]
    pub fn redirect_with_status(url: Url, status: u16) -> Result<Self> {
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            let text =
                format!("{status} is not a redirect status code. It must be one of: 301, 302, 303, 307, or 308.");
            return Err(text.into());
        }
        let response = Self::empty()?.with_status(status);
        response.headers.set("location", url.as_str())?;
        Ok(response)
    }

    /// Begins a response whose status and headers come before its body.
    pub fn builder() -> ResponseBuilder {
        ResponseBuilder::new()
    }

    /// Sets the headers of `cors`.
    ///
    /// # Errors
    ///
    /// When a value is not allowed in HTTP.
    pub fn with_cors(mut self, cors: &Cors) -> Result<Self> {
        cors.apply_headers(&mut self.headers)?;
        Ok(self)
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Replaces the headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Returns the status.
    #[must_use]
    pub fn status_code(&self) -> u16 {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the headers for changing.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Reads the body as text.
    ///
    /// # Errors
    ///
    /// [`Error::BodyUsed`] the second time; when the body breaks off or is not UTF-8.
    pub async fn text(&mut self) -> Result<String> {
        Ok(String::from_utf8(self.bytes().await?)?)
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::BodyUsed`] the second time; when the body breaks off or is not a `T`.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        Ok(serde_json::from_slice(&self.bytes().await?)?)
    }

    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`Error::BodyUsed`] the second time; when the body breaks off.
    pub async fn bytes(&mut self) -> Result<Vec<u8>> {
        self.body.take()?.into_bytes().await
    }

    /// Returns the body chunk by chunk.
    ///
    /// # Errors
    ///
    /// [`Error::BodyUsed`] when it was read already.
    pub fn stream(&mut self) -> Result<ByteStream> {
        Ok(self.body.take()?.into_stream())
    }

    fn with_content(body: Body, content_type: &'static str) -> Self {
        let headers = Headers::new();
        headers.default_content_type(content_type);
        Self { status: 200, headers, body }
    }

    pub(super) fn from_parts(status: u16, headers: Headers, body: Body) -> Self {
        Self { status, headers, body }
    }

    pub(super) fn into_parts(self) -> (u16, Headers, Body) {
        (self.status, self.headers, self.body)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.status)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_text_has_a_type_and_can_be_read() {
        let mut response = Response::ok("hello").unwrap();
        assert_eq!(response.headers().get("content-type").unwrap().as_deref(), Some("text/plain;charset=utf-8"));
        assert_eq!(response.text().now_or_never().unwrap().unwrap(), "hello");
    }

    #[test]
    fn an_error_has_the_status_of_an_error() {
        assert_eq!(Response::error("no", 404).unwrap().status_code(), 404);
        assert!(Response::error("fine", 200).is_err());
        assert!(Response::error("what", 600).is_err());
    }

    #[test]
    fn a_redirection_says_where() {
        let response = Response::redirect("http://h/x".parse().unwrap()).unwrap();
        assert_eq!(response.status_code(), 302);
        assert_eq!(response.headers().get("Location").unwrap().as_deref(), Some("http://h/x"));
    }
}
