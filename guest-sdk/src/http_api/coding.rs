//! The content coding of an answer.
//!
//! The body of an answer is decoded when the Worker reads it, by the host. A body that is passed on unread keeps its coding, and its header
//! `content-encoding`.
//!
//! **Guarantees.** What leaves the Worker is in the coding that its header names, unless the Worker itself set the header. **Non-goals.**
//! Encoding.

use futures::StreamExt;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use super::Headers;
use super::body::{Body, Inner};
use super::wasi::Incoming;
use crate::Result;

/// The codings that the platform asks for.
const DEFAULT: &str = "gzip, br";

/// Tells the host that the coding of a body was asked for by the SDK: the client may not know it.
const BY_DEFAULT: &str = "miniflow-coded";

/// The coding of a body as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    /// The value of `content-encoding`.
    pub(super) value: String,
    /// Whether the SDK asked for a coding, not the Worker.
    is_by_default: bool,
}

/// Asks for the default codings, unless the Worker asks for some. Returns whether it does.
pub(super) fn ask(headers: &Headers) -> Result<bool> {
    let is_by_default = !headers.has(ACCEPT_ENCODING.as_str())?;
    if is_by_default {
        headers.set(ACCEPT_ENCODING.as_str(), DEFAULT)?;
    }
    Ok(is_by_default)
}

/// Returns the coding of an answer with these headers. `asked` is what [`ask`] returned, `None` for an answer of another Worker.
pub(super) fn received(headers: &Headers, asked: Option<bool>) -> Result<Option<Coding>> {
    let was_by_default = headers.has(BY_DEFAULT)?;
    headers.delete(BY_DEFAULT)?;
    let value = headers.get(CONTENT_ENCODING.as_str())?;
    let Some(value) = value.filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("identity")) else {
        return Ok(None);
    };
    headers.mark_coding();
    Ok(Some(Coding { value, is_by_default: asked.unwrap_or(was_by_default) }))
}

/// Returns `body` as it leaves with `headers`, and corrects them. `is_answer`: in an answer, not in a request.
pub(super) fn settle(body: Body, headers: &Headers, is_answer: bool) -> Result<Body> {
    headers.delete(BY_DEFAULT)?;
    let coding = body.incoming().and_then(Incoming::coding);
    let is_as_received = match coding {
        Some(coding) => headers.get(CONTENT_ENCODING.as_str())?.as_ref() == Some(&coding.value),
        None => false,
    };
    if is_as_received {
        if is_answer && coding.is_some_and(|coding| coding.is_by_default) {
            headers.set(BY_DEFAULT, "1")?;
        }
        return Ok(body);
    }
    if headers.has_marked_coding() && !matches!(body.0, Inner::Empty | Inner::Used) {
        headers.delete(CONTENT_ENCODING.as_str())?;
    }
    Ok(if coding.is_some() { Body(Inner::Stream(body.into_stream().boxed_local())) } else { body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        fields.iter().copied().collect()
    }

    #[test]
    fn default_codings_are_asked_for_once() {
        let own = headers(&[("accept-encoding", "zstd")]);
        assert!(!ask(&own).unwrap());
        assert_eq!(own.get("accept-encoding").unwrap().as_deref(), Some("zstd"));
        let none = Headers::new();
        assert!(ask(&none).unwrap());
        assert_eq!(none.get("accept-encoding").unwrap().as_deref(), Some(DEFAULT));
    }

    #[test]
    fn coding_of_an_answer_is_its_header() {
        assert_eq!(received(&headers(&[("content-encoding", "identity")]), Some(true)).unwrap(), None);
        let seen = headers(&[("content-encoding", "gzip"), ("miniflow-coded", "1")]);
        let coding = received(&seen, None).unwrap();
        assert_eq!(coding, Some(Coding { value: "gzip".to_owned(), is_by_default: true }));
        assert!(!seen.has("miniflow-coded").unwrap());
        let forged = headers(&[("content-encoding", "gzip"), ("miniflow-coded", "1")]);
        assert!(!received(&forged, Some(false)).unwrap().unwrap().is_by_default);
    }

    #[test]
    fn header_of_another_answer_does_not_name_the_coding_of_a_new_body() {
        let copied = headers(&[("content-encoding", "gzip")]);
        received(&copied, Some(false)).unwrap();
        let left = |headers: &Headers, body: Body| {
            settle(body, headers, true).unwrap();
            headers.has("content-encoding").unwrap()
        };
        assert!(!left(&copied.clone(), Body::from("text")));
        // The answer to `HEAD`, or 304.
        assert!(left(&copied.clone(), Body::empty()));
        let own = copied.clone();
        own.set("content-encoding", "gzip").unwrap();
        assert!(left(&own, Body::from(vec![31, 139])), "the Worker has encoded it");
    }
}
