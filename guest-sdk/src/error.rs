//! [`Error`]: the one error type of a Worker.
//!
//! Every fallible function of the SDK returns it, and the errors that Workers usually meet convert into it with `?`. An
//! error has a *name* and a *message*, because that is what Workflows record for a failed step or instance.

use std::fmt;

use crate::bindings::miniflow::worker::types;

/// A result whose error is an [`Error`] unless told otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in a Worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A plain message: what `Err("…".into())` makes.
    RustError(String),
    /// An error with a name of its own, such as a failed step's `WorkflowTimeoutError`.
    Named {
        /// Shown as `error.name` of a failed instance.
        name: String,
        /// The text.
        message: String,
    },
    /// Fails a step without further retries; see [`NonRetryableError`](crate::NonRetryableError).
    NonRetryable {
        /// `NonRetryableError` unless the maker chose another.
        name: String,
        /// The text.
        message: String,
    },
    /// A refusal by the Workflows API.
    Workflow {
        /// The stable part, such as `instance.not_found`.
        code: String,
        /// The platform's text, whole.
        message: String,
    },
    /// A name that is not bound, or not to that kind of thing. The text lists what is.
    BindingError(String),
    /// An outbound request that got no response.
    Fetch(String),
    /// The body of a request or response was asked for twice.
    BodyUsed,
    /// A header name or value, method or URI that HTTP does not allow.
    Http(http::Error),
    /// A text that is not a URL.
    Url(url::ParseError),
    /// JSON that does not parse, or is of another shape than asked for.
    SerdeJsonError(serde_json::Error),
    /// A query string of another shape than asked for.
    Query(String),
    /// Bytes that are not UTF-8.
    Utf8(std::str::Utf8Error),
    /// A failed write to a formatter.
    Fmt(fmt::Error),
    /// An input or output error.
    Io(std::io::Error),
    /// A route the [`Router`](crate::Router) cannot take.
    RouteInsertError(matchit::InsertError),
}

impl Error {
    /// Makes an error with a name of its own.
    pub fn named(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Named { name: name.into(), message: message.into() }
    }

    /// Returns the name that Workflows record: `Error` unless the error has its own.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Named { name, .. } | Self::NonRetryable { name, .. } => name,
            _ => "Error",
        }
    }

    /// Returns the stable code of a refusal by the Workflows API, such as `instance.not_found`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Workflow { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Says whether a step that fails with this error is tried again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::NonRetryable { .. })
    }

    /// Returns the form in which the host records it. It has no backtrace: one that is made here would show where the error was
    /// handed in, not where it arose.
    pub(crate) fn to_recorded(&self) -> types::Error {
        types::Error { name: self.name().to_owned(), message: self.to_string(), backtrace: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RustError(message)
            | Self::Named { message, .. }
            | Self::NonRetryable { message, .. }
            | Self::Workflow { message, .. }
            | Self::BindingError(message)
            | Self::Fetch(message)
            | Self::Query(message) => f.write_str(message),
            Self::BodyUsed => f.write_str("the body has already been read"),
            Self::Http(error) => error.fmt(f),
            Self::Url(error) => error.fmt(f),
            Self::SerdeJsonError(error) => error.fmt(f),
            Self::Utf8(error) => error.fmt(f),
            Self::Fmt(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::RouteInsertError(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self::Named { name: error.name, message: error.message }
    }
}

impl From<types::ApiError> for Error {
    fn from(error: types::ApiError) -> Self {
        Self::Workflow { code: error.code, message: error.message }
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::RustError(message.to_owned())
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::RustError(message)
    }
}

impl From<std::string::FromUtf8Error> for Error {
    fn from(error: std::string::FromUtf8Error) -> Self {
        Self::Utf8(error.utf8_error())
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

macro_rules! wrap {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::$variant(error.into())
            }
        })*
    };
}

wrap! {
    http::Error => Http,
    http::header::InvalidHeaderName => Http,
    http::header::InvalidHeaderValue => Http,
    http::method::InvalidMethod => Http,
    http::status::InvalidStatusCode => Http,
    http::uri::InvalidUri => Http,
    url::ParseError => Url,
    serde_json::Error => SerdeJsonError,
    std::str::Utf8Error => Utf8,
    fmt::Error => Fmt,
    std::io::Error => Io,
    matchit::InsertError => RouteInsertError,
}

#[cfg(test)]
mod tests {
    use super::*;

    // rules: C2.10-3
    #[test]
    fn a_plain_error_is_recorded_with_the_name_error_and_its_text() {
        let recorded = Error::from("the card was declined").to_recorded();
        assert_eq!((recorded.name.as_str(), recorded.message.as_str()), ("Error", "the card was declined"));
    }

    // rules: C2.10-3
    #[test]
    fn a_named_error_keeps_its_name() {
        assert_eq!(Error::named("PaymentError", "declined").to_recorded().name, "PaymentError");
    }

    // rules: C2.10-4
    #[test]
    fn the_question_mark_converts_what_workers_meet() {
        fn json() -> Result<u32> {
            Ok(serde_json::from_str("\"a\"")?)
        }
        fn utf8() -> Result<String> {
            Ok(String::from_utf8(vec![0xff])?)
        }
        fn header() -> Result<http::HeaderName> {
            Ok("a b".parse()?)
        }
        assert!(matches!(json(), Err(Error::SerdeJsonError(_))));
        assert!(matches!(utf8(), Err(Error::Utf8(_))));
        assert!(matches!(header(), Err(Error::Http(_))));
    }
}
