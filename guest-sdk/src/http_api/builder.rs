//! [`ResponseBuilder`]: a response whose status and headers come before its body.

use futures::TryStream;
use serde::Serialize;

use super::{Body, Cors, Headers, Response};
use crate::{Error, Result};

/// Makes a response. What says how the body is made comes last.
///
/// ```
/// # use miniflow_sdk::{Response, Result};
/// # fn f() -> Result<Response> {
/// Response::builder().with_status(201).with_header("location", "/orders/7")?.from_json(&7)
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is no response yet"]
pub struct ResponseBuilder {
    status: u16,
    headers: Headers,
}

impl Default for ResponseBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseBuilder {
    /// Begins with status 200 and no headers.
    pub fn new() -> Self {
        Self { status: 200, headers: Headers::new() }
    }

    /// Sets the status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Replaces the headers.
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Sets a header. A content type that is set here is not replaced by that of the body.
    ///
    /// # Errors
    ///
    /// When it is not allowed in HTTP.
    pub fn with_header(self, name: &str, value: &str) -> Result<Self> {
        self.headers.set(name, value)?;
        Ok(self)
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

    /// Ends with a body as it is.
    #[must_use]
    pub fn body(self, body: Body) -> Response {
        Response::from_parts(self.status, self.headers, body)
    }

    /// Ends with bytes, without saying what type they are of.
    #[must_use]
    pub fn fixed(self, body: Vec<u8>) -> Response {
        self.body(body.into())
    }

    /// Ends without a body.
    #[must_use]
    pub fn empty(self) -> Response {
        self.body(Body::empty())
    }

    /// Ends with a text; see [`Response::ok`].
    ///
    /// # Errors
    ///
    /// As that.
    pub fn ok(self, body: impl Into<String>) -> Result<Response> {
        Ok(self.around(Response::ok(body)?))
    }

    /// Ends with an error, whose status counts; see [`Response::error`].
    ///
    /// # Errors
    ///
    /// As that.
    pub fn error(self, message: impl Into<String>, status: u16) -> Result<Response> {
        Ok(self.with_status(status).around(Response::error(message, status)?))
    }

    /// Ends with JSON; see [`Response::from_json`].
    ///
    /// # Errors
    ///
    /// As that.
    pub fn from_json<T: Serialize + ?Sized>(self, value: &T) -> Result<Response> {
        Ok(self.around(Response::from_json(value)?))
    }

    /// Ends with an HTML page; see [`Response::from_html`].
    ///
    /// # Errors
    ///
    /// As that.
    pub fn from_html(self, html: impl AsRef<str>) -> Result<Response> {
        Ok(self.around(Response::from_html(html)?))
    }

    /// Ends with bytes; see [`Response::from_bytes`].
    ///
    /// # Errors
    ///
    /// As that.
    pub fn from_bytes(self, bytes: Vec<u8>) -> Result<Response> {
        Ok(self.around(Response::from_bytes(bytes)?))
    }

    /// Ends with a stream; see [`Response::from_stream`].
    ///
    /// # Errors
    ///
    /// As that.
    pub fn from_stream<S>(self, stream: S) -> Result<Response>
    where
        S: TryStream + 'static,
        S::Ok: Into<Vec<u8>>,
        S::Error: Into<Error>,
    {
        Ok(self.around(Response::from_stream(stream)?))
    }

    /// The body of `response` and the type of its content, with the rest from here.
    fn around(self, response: Response) -> Response {
        let (_, headers, body) = response.into_parts();
        for (name, value) in &headers {
            if !self.headers.has(&name).unwrap_or(true) {
                // It was a header before.
                let _ = self.headers.set(&name, &value);
            }
        }
        self.body(body)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn header(response: &Response, name: &str) -> Option<String> {
        response.headers().get(name).unwrap()
    }

    #[test]
    fn status_and_headers_go_with_the_body() {
        let builder = || ResponseBuilder::new().with_status(201).with_header("x-a", "1").unwrap();
        let mut response = builder().from_json(&[1]).unwrap();
        assert_eq!((response.status_code(), header(&response, "x-a").as_deref()), (201, Some("1")));
        assert_eq!(header(&response, "content-type").as_deref(), Some("application/json"));
        assert_eq!(response.text().now_or_never().unwrap().unwrap(), "[1]");
        let response = builder().with_header("content-type", "text/css").unwrap().ok("a {}").unwrap();
        assert_eq!(header(&response, "content-type").as_deref(), Some("text/css"));
        assert_eq!(builder().error("gone", 410).unwrap().status_code(), 410);
        assert!(builder().error("fine", 200).is_err());
        assert_eq!((builder().empty().status_code(), builder().fixed(vec![1]).status_code()), (201, 201));
    }
}
