//! `content-length` follows from the body, whatever the Worker set.
//!
//! **Guarantees.** A declared length is the body's, or that of the body which GET would have got in an answer to HEAD. A status without content
//! has none. **Non-goals.** Chunks and connections: those are the host's.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue};

use super::Method;
use super::body::{Body, Inner};
use crate::{Error, Result};

/// Refused by the platform in these words.
const NULL_BODY: &str = "Response with null body status (101, 204, 205, or 304) cannot have a body.";
const STATUS_RANGE: &str = "Responses may only be constructed with status codes in the range 200 to 599, inclusive.";
const GET_WITH_BODY: &str = "Request with a GET or HEAD method cannot have a body.";

/// Returns whether a status has no content (RFC 9110, 15).
pub(super) fn is_null_body(status: u16) -> bool {
    matches!(status, 204 | 205 | 304)
}

/// Refuses a response that is none.
pub(super) fn check_response(status: u16, body: &Body) -> Result<()> {
    if !(200..=599).contains(&status) {
        return Err(Error::from(format!("{status} is not the status of an answer. {STATUS_RANGE}")));
    }
    if is_null_body(status) && !has_no_content(body) {
        return Err(Error::from(format!("{NULL_BODY} The status is {status}.")));
    }
    Ok(())
}

/// Refuses a body where the method has none. One that is passed on may be empty, which only the host knows.
pub(super) fn check_request(method: &Method, body: &Body) -> Result<()> {
    match (method, &body.0) {
        (_, Inner::Incoming(_)) => Ok(()),
        (Method::Get | Method::Head, _) if !has_no_content(body) => Err(GET_WITH_BODY.into()),
        _ => Ok(()),
    }
}

/// Sets the length of a response to a request with HEAD (`to_head`) or another method.
pub(super) fn frame_response(status: u16, headers: &mut HeaderMap, body: &Body, to_head: bool) {
    match &body.0 {
        _ if matches!(status, 204 | 304) => drop(headers.remove(CONTENT_LENGTH)),
        _ if status == 205 => set(headers, Some(0)),
        Inner::Bytes(bytes) if !bytes.is_empty() => set(headers, Some(bytes.len())),
        // What GET would have got is not known here: the Worker may say it.
        _ if to_head => keep_valid(headers),
        _ => frame(headers, body, Some(0)),
    }
}

/// Sets the length of a request.
pub(super) fn frame_request(method: &Method, headers: &mut HeaderMap, body: &Body) {
    let empty = if matches!(method, Method::Get | Method::Head) { None } else { Some(0) };
    frame(headers, body, empty);
}

/// `empty` is the length to declare when there is no content.
fn frame(headers: &mut HeaderMap, body: &Body, empty: Option<usize>) {
    match &body.0 {
        Inner::Bytes(bytes) if !bytes.is_empty() => set(headers, Some(bytes.len())),
        Inner::Bytes(_) | Inner::Empty | Inner::Used => set(headers, empty),
        Inner::Stream(_) => set(headers, None),
        // The host knows the length of a body that it passes on; a declared one has to be that.
        Inner::Incoming(incoming) => {
            if headers.contains_key(CONTENT_LENGTH) && incoming.length() != single(headers).cloned() {
                set(headers, None);
            }
        }
    }
}

fn has_no_content(body: &Body) -> bool {
    match &body.0 {
        Inner::Empty | Inner::Used => true,
        Inner::Bytes(bytes) => bytes.is_empty(),
        Inner::Stream(_) | Inner::Incoming(_) => false,
    }
}

fn set(headers: &mut HeaderMap, length: Option<usize>) {
    match length {
        Some(length) => drop(headers.insert(CONTENT_LENGTH, length.into())),
        None => drop(headers.remove(CONTENT_LENGTH)),
    }
}

fn keep_valid(headers: &mut HeaderMap) {
    let is_valid = single(headers).is_some_and(|length| {
        let digits = length.as_bytes();
        !digits.is_empty() && digits.len() < 20 && digits.iter().all(u8::is_ascii_digit)
    });
    if !is_valid {
        headers.remove(CONTENT_LENGTH);
    }
}

/// The declared length, when there is one and no second.
fn single(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(status: u16, said: &[&'static str], body: &Body, to_head: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for said in said {
            headers.append(CONTENT_LENGTH, HeaderValue::from_static(said));
        }
        frame_response(status, &mut headers, body, to_head);
        let lengths: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().map(|length| length.to_str().unwrap()).collect();
        (!lengths.is_empty()).then(|| lengths.join(", "))
    }

    #[test]
    fn length_is_the_bodys() {
        let stream = || Body::from_stream(futures::stream::iter([Ok::<_, Error>("ab")]));
        for (status, said, body, to_get, to_head) in [
            (200, vec!["9"], Body::from("ab"), Some("2"), Some("2")),
            (200, vec!["9"], Body::empty(), Some("0"), Some("9")),
            (200, vec![], Body::empty(), Some("0"), None),
            (200, vec!["9"], stream(), None, Some("9")),
            (200, vec!["9", "9"], stream(), None, None),
            (200, vec!["+9"], Body::empty(), Some("0"), None),
            (205, vec!["9"], Body::empty(), Some("0"), Some("0")),
            (204, vec!["9"], Body::empty(), None, None),
            (304, vec!["9"], Body::empty(), None, None),
        ] {
            assert_eq!(length(status, &said, &body, false).as_deref(), to_get, "{status} {said:?} {body:?}");
            assert_eq!(length(status, &said, &body, true).as_deref(), to_head, "HEAD {status} {said:?} {body:?}");
        }
    }

    #[test]
    fn request_without_content_says_so_where_there_might_be_some() {
        let framed = |method| {
            let mut headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("9"))]);
            frame_request(&method, &mut headers, &Body::empty());
            headers.get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned())
        };
        assert_eq!((framed(Method::Get), framed(Method::Head)), (None, None));
        assert_eq!((framed(Method::Post).as_deref(), framed(Method::Delete).as_deref()), (Some("0"), Some("0")));
    }

    #[test]
    fn what_has_no_content_is_refused_one() {
        let text = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(
            text(check_response(999, &Body::empty())),
            format!("999 is not the status of an answer. {STATUS_RANGE}")
        );
        assert_eq!(text(check_response(204, &Body::from("a"))), format!("{NULL_BODY} The status is 204."));
        assert_eq!(text(check_request(&Method::Head, &Body::from("a"))), GET_WITH_BODY);
        for status in [204, 205, 304, 200, 599] {
            assert!(check_response(status, &Body::from("")).is_ok(), "{status}");
        }
        assert!(check_request(&Method::Get, &Body::from("")).is_ok());
    }
}
