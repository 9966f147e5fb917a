//! [`Request`]: what a Worker is asked, or asks another server.

use std::cell::OnceCell;
use std::fmt;

use serde::de::DeserializeOwned;
use url::Url;

use super::framing::check_request;
use super::target::normalized;
use super::{Body, ByteStream, Headers, Method, query};
use crate::{Error, Result};

/// An HTTP request.
///
/// Reading the body takes `&mut self` and works once. Headers and the full URL of an incoming request are fetched from the
/// host when they are asked for.
pub struct Request {
    method: Method,
    /// Path and query, in the form of the URL Standard.
    target: String,
    origin: OnceCell<String>,
    headers: OnceCell<Headers>,
    body: Body,
    redirect: RequestRedirect,
}

impl Request {
    /// Makes a request without a body.
    ///
    /// # Errors
    ///
    /// When `url` is not an absolute URL.
    pub fn new(url: &str, method: Method) -> Result<Self> {
        Self::new_with_init(url, RequestInit { method, ..RequestInit::default() })
    }

    /// Makes a request from all its parts; `init` may be a [`RequestInit`] or, for one without a stream as its body, a
    /// reference to it.
    ///
    /// # Errors
    ///
    /// When `url` is not an absolute URL; when the method is `GET` or `HEAD` and there is a body.
    pub fn new_with_init<I>(url: &str, init: I) -> Result<Self>
    where
        I: TryInto<RequestInit>,
        I::Error: Into<Error>,
    {
        let url: Url = url.parse().map_err(|error| Error::from(format!("`{url}` is not a URL: {error}")))?;
        let init = init.try_into().map_err(Into::into)?;
        let body = init.body.unwrap_or_default();
        check_request(&init.method, &body)?;
        Ok(Self {
            method: init.method,
            target: url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
            origin: url[..url::Position::BeforePath].to_owned().into(),
            headers: init.headers.into(),
            body,
            redirect: init.redirect,
        })
    }

    pub(super) fn incoming(method: Method, target: String, body: Body) -> Self {
        // What a client sent to this Worker is passed on to a server as it is, redirects included.
        let redirect = RequestRedirect::Manual;
        let target = normalized(target);
        Self { method, target, origin: OnceCell::new(), headers: OnceCell::new(), body, redirect }
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method.clone()
    }

    /// Returns the path without the query, such as `/orders/7`. It is the path of [`url`](Self::url).
    #[must_use]
    pub fn path(&self) -> String {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path).to_owned()
    }

    /// Returns the whole URL.
    ///
    /// # Errors
    ///
    /// When the client's `Host` does not make a valid URL.
    pub fn url(&self) -> Result<Url> {
        let text = format!("{}{}", self.origin(), self.target);
        text.parse().map_err(|error| format!("`{text}` is not a URL: {error}").into())
    }

    /// Returns the headers.
    pub fn headers(&self) -> &Headers {
        self.headers.get_or_init(|| self.body.incoming().map_or_else(Headers::new, |incoming| incoming.headers()))
    }

    /// Returns the headers for changing, as the `worker` crate does.
    ///
    /// # Errors
    ///
    /// None today: those of an incoming request may be changed as well.
    pub fn headers_mut(&mut self) -> Result<&mut Headers> {
        self.headers();
        self.headers.get_mut().ok_or_else(|| "a request has headers".into())
    }

    /// Reads the query string as a `T`.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] when it is of another shape.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query::from_str(query).map_err(|error| Error::Query(format!("the query does not fit: {error}")))
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
        self.take_body()?.into_bytes().await
    }

    /// Returns the body chunk by chunk.
    ///
    /// # Errors
    ///
    /// [`Error::BodyUsed`] when it was read already.
    pub fn stream(&mut self) -> Result<ByteStream> {
        Ok(self.take_body()?.into_stream())
    }

    /// Returns the body itself, to pass it on.
    ///
    /// # Errors
    ///
    /// [`Error::BodyUsed`] when it was read already.
    pub fn into_body(mut self) -> Result<Body> {
        self.take_body()
    }

    /// Returns a copy.
    ///
    /// # Errors
    ///
    /// When the body is a stream, or was read.
    #[expect(clippy::should_implement_trait, reason = "the name the `worker` crate has; it can fail")]
    pub fn clone(&self) -> Result<Self> {
        Ok(Self {
            method: self.method.clone(),
            target: self.target.clone(),
            origin: self.origin().to_owned().into(),
            headers: self.headers().clone().into(),
            body: self.body.copy()?,
            redirect: self.redirect,
        })
    }

    /// The same as [`clone`](Self::clone): here every request can be changed.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn clone_mut(&self) -> Result<Self> {
        self.clone()
    }

    fn origin(&self) -> &str {
        self.origin.get_or_init(|| self.body.incoming().map(|incoming| incoming.origin()).unwrap_or_default())
    }

    /// Takes the body, after what only the unopened message can tell.
    fn take_body(&mut self) -> Result<Body> {
        self.headers();
        self.origin();
        self.body.take()
    }

    pub(super) fn into_parts(mut self) -> Result<(Method, Url, Headers, Body, RequestRedirect)> {
        let url = self.url()?;
        let body = self.take_body()?;
        Ok((self.method, url, self.headers.into_inner().unwrap_or_default(), body, self.redirect))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method, self.target)
    }
}

/// What to do when a server answers with another place to go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestRedirect {
    /// Goes there, up to 20 times.
    #[default]
    Follow,
    /// Fails.
    Error,
    /// Returns the redirection itself.
    Manual,
}

/// The parts of an outbound request.
#[derive(Debug, Default)]
pub struct RequestInit {
    /// The content, from a text, bytes or a stream.
    pub body: Option<Body>,
    /// The headers.
    pub headers: Headers,
    /// `GET` unless told otherwise.
    pub method: Method,
    /// Followed unless told otherwise.
    pub redirect: RequestRedirect,
}

impl RequestInit {
    /// Makes a `GET` without headers and body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the headers.
    pub fn with_headers(&mut self, headers: Headers) -> &mut Self {
        self.headers = headers;
        self
    }

    /// Sets the method.
    pub fn with_method(&mut self, method: Method) -> &mut Self {
        self.method = method;
        self
    }

    /// Sets the body.
    pub fn with_body(&mut self, body: Option<Body>) -> &mut Self {
        self.body = body;
        self
    }

    /// Sets what to do with a redirection.
    pub fn with_redirect(&mut self, redirect: RequestRedirect) -> &mut Self {
        self.redirect = redirect;
        self
    }
}

/// Copies the parts.
impl TryFrom<&Self> for RequestInit {
    type Error = Error;

    fn try_from(init: &Self) -> Result<Self> {
        Ok(Self {
            body: init.body.as_ref().map(Body::copy).transpose()?,
            headers: init.headers.clone(),
            method: init.method.clone(),
            redirect: init.redirect,
        })
    }
}

/// As the builder methods return it.
impl TryFrom<&mut Self> for RequestInit {
    type Error = Error;

    fn try_from(init: &mut Self) -> Result<Self> {
        Self::try_from(&*init)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_put_together() {
        let request = Request::new("http://127.0.0.1:8787/a/../b?x=1&y=two", Method::Post).unwrap();
        assert_eq!(request.path(), "/b");
        assert_eq!(request.url().unwrap().as_str(), "http://127.0.0.1:8787/b?x=1&y=two");
        assert_eq!(request.method(), Method::Post);
    }

    #[test]
    fn a_query_is_read_into_a_type() {
        #[derive(Deserialize)]
        struct Query {
            x: u32,
            y: Option<String>,
            z: Option<String>,
        }
        let query: Query = Request::new("http://h/?x=1&y=a%20b", Method::Get).unwrap().query().unwrap();
        assert_eq!((query.x, query.y.as_deref(), query.z), (1, Some("a b"), None));
        let wrong = Request::new("http://h/?x=one", Method::Get).unwrap().query::<Query>();
        assert!(matches!(wrong, Err(Error::Query(_))));
    }

    #[test]
    fn an_init_can_be_given_by_reference_and_by_value() {
        let mut init = RequestInit::new();
        init.with_method(Method::Put).with_body(Some("x".into()));
        assert_eq!(Request::new_with_init("http://h/", &init).unwrap().method(), Method::Put);
        assert_eq!(Request::new_with_init("http://h/", init).unwrap().method(), Method::Put);
        assert!(Request::new("not a url", Method::Get).is_err());
    }
}
